"""Drawn scenes with simulated viewers, for learning where no recorded fixations are at hand."""

import cv2
import numpy as np

from safbage.fixations import DEGREE, Scene, within

VIVID = ((230, 60, 50), (40, 170, 80), (60, 90, 230), (245, 200, 40), (200, 60, 200))
"""Colours of the shapes that synthetic viewers look at."""


def synthetic_scenes(
    count: int, *, size: tuple[int, int] = (240, 320), viewers: int = 15, seed: int = 0
) -> list[Scene]:
    """Drawn scenes with simulated viewers, for learning where no recorded fixations are at hand.

    On a soft, cluttered ground stand two to five bright shapes among many dull ones. A viewer's
    glance lands on a bright shape (75 %, the larger the likelier), near the middle (15 %), or
    anywhere (10 %). Nobody looked at these pictures: a network that predicts them has learnt this
    rule, and nothing about people.
    """
    generator = np.random.default_rng(seed)
    return [_synthetic_scene(f"synthetic-{i:04d}", size, viewers, generator) for i in range(count)]


def _synthetic_scene(name, size, viewers, generator):
    height, width = size
    unit = width / 320
    coarse = generator.uniform(90, 150, (4, 5, 1)) + generator.uniform(-25, 25, (4, 5, 3))
    ground = cv2.resize(coarse.astype("float32"), (width, height), interpolation=cv2.INTER_CUBIC)
    picture = np.clip(ground + generator.normal(0, 6, (*size, 1)), 0, 255).astype("uint8")
    for _ in range(40):
        place = generator.uniform((0, 0), (width, height))
        colour = picture[int(place[1]), int(place[0])].astype(int) + generator.integers(-22, 23, 3)
        _draw_shape(
            picture, place, unit * generator.uniform(4, 16), np.clip(colour, 0, 255), generator
        )
    targets = []
    for _ in range(generator.integers(2, 6)):
        place, radius = (
            generator.uniform((0.08, 0.1), (0.92, 0.9)) * (width, height),
            unit * generator.uniform(7, 20),
        )
        _draw_shape(picture, place, radius, VIVID[generator.integers(len(VIVID))], generator)
        targets.append((*place, radius))
    points, subjects = _synthetic_fixations(np.array(targets), size, viewers, generator)
    good = within(points, size)
    return Scene(name, picture, size, points[good], subjects[good], DEGREE * width)


def _synthetic_fixations(targets, size, viewers, generator, each=8):
    """Glances of all viewers at targets (x, y, radius), near the middle, or anywhere."""
    shape, kind = size[::-1], generator.random(viewers * each)
    seen = targets[generator.choice(len(targets), len(kind), p=targets[:, 2] / targets[:, 2].sum())]
    at_shape = generator.normal(seen[:, :2], seen[:, 2:] / 2)
    at_middle = generator.normal(np.array(shape) / 2, np.array(shape) / 8, at_shape.shape)
    anywhere = generator.uniform((0, 0), shape, at_shape.shape)
    points = np.where(
        kind[:, None] < 0.75, at_shape, np.where(kind[:, None] < 0.9, at_middle, anywhere)
    )
    return points, np.repeat(np.arange(viewers), each)


def _draw_shape(picture, place, radius, colour, generator):
    x, y = (int(v) for v in place)
    r, colour = int(radius), tuple(int(c) for c in colour)
    kind = generator.integers(3)
    if kind == 0:
        cv2.circle(picture, (x, y), r, colour, -1, cv2.LINE_AA)
    elif kind == 1:
        cv2.rectangle(picture, (x - r, y - r), (x + r, y + r), colour, -1)
    else:
        corners = np.array([[x, y - r], [x + r, y + r], [x - r, y + r]])
        cv2.fillPoly(picture, [corners], colour, cv2.LINE_AA)
