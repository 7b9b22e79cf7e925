"""How drawn faces are painted: what is behind, the body, the head with its features, and hair."""

import cv2
import numpy as np

from safbage.datasets.drawn import features, hair
from safbage.datasets.drawn.backdrop import backdrop
from safbage.datasets.drawn.canvas import Canvas, blend
from safbage.datasets.drawn.face import Face

SKINS = (
    np.array(
        [
            (255, 223, 200),
            (243, 200, 165),
            (222, 170, 128),
            (184, 125, 86),
            (138, 88, 60),
            (98, 61, 43),
        ]
    )
    / 255
)


def box(factors, size) -> tuple[float, float, float, float]:
    """Left, top, width and height of the face, in pixels; without the ears, as MTCNN's."""
    face = Face(factors, size)
    outline = face.project(face.head[face.head[:, 1] > -1.05] * (0.93, 1))
    (left, top), (right, bottom) = outline.min(0).tolist(), outline.max(0).tolist()
    return left, top, right - left, bottom - top


def paint(factors, size) -> np.ndarray:
    """The whole picture, height×width×3 uint8."""
    generator = np.random.default_rng(factors.seed)
    face = Face(factors, size)
    canvas = Canvas(
        backdrop(factors.background, size, generator), face.project, face.unit, _light(face)
    )
    skin, hair_colour = blend(SKINS, factors.skin), hair.colour(factors)
    hair.behind(canvas, face, hair_colour)
    features.body(canvas, face, skin)
    features.head(canvas, face, skin)
    features.lines(canvas, face)
    features.nose(canvas, face)
    features.mouth(canvas, face, skin)
    hair.beard(canvas, face, hair_colour)
    features.eyes(canvas, face)
    hair.brows(canvas, face, hair_colour)
    if factors.glasses:
        features.glasses(canvas, face)
    hair.before(canvas, face, hair_colour, generator)
    return _developed(canvas.picture, factors, generator)


def _light(face):
    """What paint is multiplied by, 3×H×W: Lambert's law on an ellipsoid about the head, warm on the
    lit side."""
    height, width = face.size
    x = (np.arange(width, dtype=np.float32) - float(face.origin[0])) / float(1.3 * face.unit)
    y = (np.arange(height, dtype=np.float32) - float(face.origin[1]))[:, None] / float(
        1.9 * face.unit
    )
    right, down, strength = face.factors.light
    front = np.sqrt(np.clip(1 - x**2 - y**2, 0, 1))
    lambert = np.clip(right * np.clip(x, -1, 1) + down * np.clip(y, -1, 1), -1, 1)
    contrast = 0.14 * front - 0.12 + 0.42 * strength * lambert
    return 1 + contrast * np.array([1.06, 1, 0.93], np.float32).reshape(3, 1, 1)


def _developed(picture, factors, generator):
    """The painted picture as a camera gives it: with noise, slightly blurred, H×W×3 uint8."""
    picture *= 255
    if factors.noise:
        picture += factors.noise * generator.standard_normal(picture.shape[1:], np.float32)
    picture = np.ascontiguousarray(np.clip(picture, 0, 255).astype(np.uint8).transpose(1, 2, 0))
    sigma = factors.blur * min(picture.shape[:2]) / 256
    return cv2.GaussianBlur(picture, (0, 0), sigma) if sigma else picture
