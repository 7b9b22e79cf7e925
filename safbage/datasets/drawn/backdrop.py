"""What is behind a synthetic face: a wall, and things before it out of focus."""

import colorsys

import cv2
import numpy as np

HUES = (0.03, 0.08, 0.11, 0.36, 0.48, 0.55, 0.6, 0.7)
"""Hues of the walls: clay to sand, sage, teal, blues and lavender."""


def hue_rgb(hue, saturation, value):
    """RGB 0–1 of a colour by its hue (the circle is 1 round), saturation and value (0–1)."""
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, value))


def backdrop(name, size, generator):
    """A wall in two tones of a colour, with things before it, out of focus."""
    height, width = size
    hue, dark = generator.choice(HUES) + generator.normal(0, 0.02), generator.uniform(0.5, 0.9)
    top, bottom = hue_rgb(hue, 0.22, dark), hue_rgb(hue + 0.04, 0.3, 0.75 * dark)
    ramp = np.linspace(0, 1, height)[:, None, None]
    wall = np.broadcast_to(255 * ((1 - ramp) * top + ramp * bottom), (height, width, 3)).astype(
        np.uint8
    )
    draw = {"bokeh": _bokeh, "shelf": _shelf, "foliage": _foliage, "wall": _frames}[name]
    wall = np.ascontiguousarray(wall)
    draw(wall, generator, hue)
    radius = round(min(size) * (0.02 if name == "bokeh" else 0.012))
    blurred = cv2.stackBlur(wall, (2 * radius + 1,) * 2)
    return np.ascontiguousarray(blurred.transpose(2, 0, 1), np.float32) * np.float32(1 / 255)


def _bokeh(wall, generator, hue):
    height, width = wall.shape[:2]
    for _ in range(2):  # the first layer of discs shines through the second
        before = wall.copy()
        for _ in range(11):
            centre = (int(generator.uniform(0, width)), int(generator.uniform(0, height)))
            radius = int(min(height, width) * generator.uniform(0.03, 0.1))
            cv2.circle(
                wall,
                centre,
                radius,
                255 * hue_rgb(hue + generator.normal(0, 0.08), 0.4, 0.95),
                -1,
                cv2.LINE_AA,
            )
        cv2.addWeighted(wall, 0.5, before, 0.5, 0, wall)


def _shelf(wall, generator, hue):
    height, width = wall.shape[:2]
    rows = int(generator.integers(3, 5))
    for row in range(rows):
        floor = (row + 1) * height // rows
        x = int(generator.uniform(-0.05, 0.02) * width)
        while x < width:
            thick = int(width * generator.uniform(0.025, 0.07)) + 1
            tall = int(height / rows * generator.uniform(0.55, 0.88))
            if generator.uniform() < 0.85:
                colour = 255 * hue_rgb(
                    hue + generator.choice([0, 0.08, 0.45, 0.55]),
                    generator.uniform(0.3, 0.6),
                    generator.uniform(0.35, 0.8),
                )
                cv2.rectangle(wall, (x, floor - tall), (x + thick - 1, floor), colour, -1)
            x += thick + 1
        cv2.rectangle(
            wall, (0, floor - height // 60), (width, floor), 255 * hue_rgb(hue, 0.45, 0.3), -1
        )


def _foliage(wall, generator, hue):
    height, width = wall.shape[:2]
    for _ in range(70):
        centre = (int(generator.uniform(0, width)), int(generator.uniform(0, height)))
        long = min(height, width) * generator.uniform(0.06, 0.15)
        colour = 255 * hue_rgb(
            generator.uniform(0.22, 0.45),
            generator.uniform(0.3, 0.6),
            generator.uniform(0.25, 0.75),
        )
        cv2.ellipse(
            wall,
            centre,
            (int(long), int(0.35 * long) + 1),
            generator.uniform(0, 180),
            0,
            360,
            colour,
            -1,
            cv2.LINE_AA,
        )


def _frames(wall, generator, hue):
    height, width = wall.shape[:2]
    for _ in range(5):
        x, y = (
            int(generator.uniform(-0.1, 0.95) * width),
            int(generator.uniform(-0.1, 0.7) * height),
        )
        right, low = (
            x + int(width * generator.uniform(0.12, 0.32)),
            y + int(height * generator.uniform(0.12, 0.35)),
        )
        edge = max(2, min(height, width) // 50)
        cv2.rectangle(wall, (x, y), (right, low), 255 * hue_rgb(hue + 0.08, 0.4, 0.3), -1)
        inner = 255 * hue_rgb(hue + generator.uniform(0.3, 0.7), 0.35, generator.uniform(0.6, 0.95))
        cv2.rectangle(wall, (x + edge, y + edge), (right - edge, low - edge), inner, -1)
        disc = (int((x + right) / 2), int((y + low) / 2))
        cv2.circle(
            wall,
            disc,
            max(1, (right - x) // 5),
            255 * hue_rgb(hue + 0.5, 0.5, 0.7),
            -1,
            cv2.LINE_AA,
        )
