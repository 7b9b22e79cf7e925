"""Soft painting in a face's own coordinates: smooth curves, tapered strokes and blurred fills."""

import functools
from collections.abc import Sequence

import cv2
import numpy as np

SUBPIXEL = 4
"""Bits behind the point in the coordinates that OpenCV gets, so that edges fall between the
pixels."""


def path(x: Sequence[float], y: Sequence[float]) -> np.ndarray:
    """Points N×2 from their N coordinates to the right and down."""
    return np.column_stack([x, y]).astype(float)


def shifted(points: np.ndarray, right: float, down: float) -> np.ndarray:
    """The points moved."""
    return points + np.array((right, down))


def closed_curve(points: np.ndarray, steps: int = 6) -> np.ndarray:
    """A smooth closed curve through the points (N×2): Catmull–Rom, `steps` vertices for each."""
    points = np.asarray(points, float)
    return _spline(
        np.roll(points, 1, 0), points, np.roll(points, -1, 0), np.roll(points, -2, 0), steps
    )


def open_curve(points: np.ndarray, steps: int = 6) -> np.ndarray:
    """A smooth curve from the first point to the last (N×2)."""
    p = np.asarray(points, float)
    p = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    return np.vstack([_spline(p[:-3], p[1:-2], p[2:-1], p[3:], steps), p[-2]])


def _spline(before, start, end, after, steps):
    t = np.arange(steps)[:, None] / steps
    cubic = (
        2 * start
        + (end - before) * t[..., None]
        + (2 * before - 5 * start + 4 * end - after) * t[..., None] ** 2
    )
    cubic = cubic + (3 * start - before - 3 * end + after) * t[..., None] ** 3
    return cubic.transpose(1, 0, 2).reshape(-1, 2) / 2


def blend(colours: np.ndarray, place: float) -> np.ndarray:
    """The colour at `place` (0–1) of a ramp of colours (N×3)."""
    places = np.linspace(0, 1, len(colours))
    return np.array([np.interp(place, places, channel) for channel in colours.T])


def mirrored(half: np.ndarray) -> np.ndarray:
    """The closed outline whose right half, from top to bottom, is given; its first and last point
    lie on the middle line."""
    half = np.asarray(half, float)
    return np.vstack([half, half[-2:0:-1] * (-1, 1)])


def between(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """The outline of what lies between two lines that run the same way."""
    return np.vstack([upper, lower[::-1]])


def ellipse(centre: Sequence[float], radii: Sequence[float], vertices: int = 24) -> np.ndarray:
    """The outline of an ellipse."""
    angles = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    return np.asarray(centre) + np.asarray(radii) * np.column_stack(
        [np.cos(angles), np.sin(angles)]
    )


def outline(line: np.ndarray, width: float | np.ndarray) -> np.ndarray:
    """The outline of a stroke along a line (N×2): `width` at every point, or tapered to both ends
    where it is one number."""
    line = np.asarray(line, float)
    if np.ndim(width) == 0:
        width = width * _taper(len(line))
    along = np.empty_like(line)
    along[1:-1] = line[2:] - line[:-2]
    along[0], along[-1] = line[1] - line[0], line[-1] - line[-2]
    across = along[:, ::-1] * (-1, 1)
    half = across * (width / (2 * np.hypot(*along.T)))[:, None]
    return between(line + half, line - half)


@functools.cache
def _taper(length):
    return np.sin(np.linspace(0.12, np.pi - 0.12, length)) ** 0.7


def _channels(colour):
    """A number or three as an array that goes with 3×h×w."""
    return np.asarray(colour, np.float32).reshape(-1, 1, 1)


class Canvas:
    """A picture that is painted on in face coordinates.

    Args:
        picture: 3×H×W float32, RGB 0–1; it is changed in place. Channels first, as NumPy is several
            times faster so.
        project: from face coordinates (N×2) to pixels (N×2).
        unit: pixels of one face unit; softness is given in face units.
        light: 3×H×W, what paint is multiplied by where it is lit.
    """

    def __init__(self, picture, project, unit, light):
        self.picture, self.project, self.unit, self.light = picture, project, unit, light

    def paint(self, points, colour, *, soft=0.0, opacity=1.0, within=None, lit=True):
        """Cover an area (its outline, N×2, or K outlines of as many points, K×N×2) with a colour
        (RGB 0–1)."""
        mask, region = self._mask(points, soft, opacity, within)
        if mask is not None:
            there = self.picture[region]
            colour = _channels(colour)
            there += mask * ((self.light[region] * colour if lit else colour) - there)

    def shade(self, points, factor, *, soft=0.0, opacity=1.0, within=None):
        """Multiply an area by a number or by one for each of R, G and B: shadow below 1, highlight
        above."""
        mask, region = self._mask(points, soft, opacity, within)
        if mask is not None:
            self.picture[region] *= 1 + mask * (_channels(factor) - 1)

    def _mask(self, points, soft, opacity, within):
        """How much of each pixel is covered (h×w, 0–1), and the part of the picture that this
        is."""
        if opacity < 0.02:
            return None, None
        pixels = self.project(points.reshape(-1, 2))
        radius = round(soft * self.unit)
        height, width = self.picture.shape[1:]
        (left, top), (right, bottom) = pixels.min(0).tolist(), pixels.max(0).tolist()
        left, top = max(int(left) - 2 * radius - 1, 0), max(int(top) - 2 * radius - 1, 0)
        right, bottom = (
            min(int(right) + 2 * radius + 3, width),
            min(int(bottom) + 2 * radius + 3, height),
        )
        if left >= right or top >= bottom:
            return None, None
        mask = self._filled(
            pixels.reshape(-1, *points.shape[-2:]), (left, top), (bottom - top, right - left)
        )
        if radius:
            mask = cv2.stackBlur(mask, (2 * radius + 1,) * 2)
        mask = mask.astype(np.float32) * np.float32(opacity / 255)
        if within is not None:
            mask *= self._filled(self.project(within)[None], (left, top), mask.shape) * np.float32(
                1 / 255
            )
        return mask, np.s_[:, top:bottom, left:right]

    @staticmethod
    def _filled(outlines, corner, shape):
        mask = np.zeros(shape, np.uint8)
        for one in np.rint((outlines - corner) * 2**SUBPIXEL).astype(np.int32):
            cv2.fillPoly(mask, [one], 255, cv2.LINE_AA, SUBPIXEL)
        return mask
