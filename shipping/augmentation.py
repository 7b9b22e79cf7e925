"""Random variants of a face, as photos from elsewhere would differ, for distilling the light ML-Net.

Most sets' faces are cropped tightly, sharp and well lit: a network that saw nothing else would be lost on other photos.
"""

import cv2
import numpy as np

from safbage import images


def randomly_moved(face, generator, strength):
    """Turned by up to 15°, zoomed by up to 1.4 either way, shifted by up to 7 % of its side.

    Half of the time mirrored.
    """
    side = face.shape[0]
    zoom = 1.4 ** (strength * generator.uniform(-1, 1))
    transform = cv2.getRotationMatrix2D(
        (side / 2, side / 2), strength * generator.uniform(-15, 15), zoom
    )
    transform[:, 2] += strength * side * generator.uniform(-0.07, 0.07, 2)
    border = int(generator.choice([cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT_101]))
    face = cv2.warpAffine(face, transform, (side, side), flags=cv2.INTER_LINEAR, borderMode=border)
    return cv2.flip(face, 1) if generator.random() < 0.5 else face


def randomly_degraded(face, generator, strength):
    """Sometimes of low resolution or blurred, sometimes compressed hard."""
    fate, size = generator.random(), face.shape[:2]
    if fate < 0.3 * strength:
        coarser = int(min(generator.uniform(48, 160), size[0]))
        face = images.resize(images.resize(face, (coarser, coarser)), size)
    elif fate < 0.4 * strength:
        face = cv2.GaussianBlur(face, (0, 0), generator.uniform(0.002, 0.013) * size[0])
    if generator.random() < 0.25 * strength:
        # the codec takes red for blue and back again: which is which hardly matters to its damage
        _, jpeg = cv2.imencode(
            ".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, int(generator.uniform(20, 80))]
        )
        face = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    return face


def randomly_lit(face, generator, strength):
    """Other contrast, brightness and tint; sometimes grey."""
    if generator.random() < 0.2 * strength:
        face = grey(face)
    mean = np.mean(cv2.mean(face)[:3])
    contrast, brightness = 1 + strength * generator.uniform([-0.4, -0.3], [0.4, 0.3])
    tint = 1 + strength * generator.uniform(-0.15, 0.15, 3)
    levels = np.arange(256)[:, None]
    table = np.clip(((levels - mean) * contrast + mean * brightness) * tint, 0, 255).astype("uint8")
    return cv2.LUT(face, table[None])


def randomly_covered(face, generator, strength):
    """Sometimes a rectangle of the face's mean colour lies on it."""
    if generator.random() >= 0.3 * strength:
        return face
    height, width = (generator.uniform(0.1, 0.4, 2) * face.shape[0]).astype(int)
    top, left = (
        generator.integers(0, face.shape[0] - height),
        generator.integers(0, face.shape[1] - width),
    )
    face = face.copy()
    face[top : top + height, left : left + width] = cv2.mean(face)[:3]
    return face


def grey(face):
    """Its three channels' mean, three times."""
    return cv2.transform(face, np.full((3, 3), 1 / 3))


MOVED = (randomly_moved, randomly_covered)
"""What changes where people look: a variant has a map of its own."""
SPOILT = (randomly_degraded, randomly_lit)
"""What leaves it alone: a variant keeps the map of the good picture."""


def varied(
    face: np.ndarray, generator: np.random.Generator, changes=MOVED + SPOILT, strength: float = 1.0
) -> np.ndarray:
    """One variant of a face (N×N×3 uint8).

    Args:
        face: RGB, 0–255.
        generator: of all that is random.
        changes: what is done, in this order.
        strength: how far variants go, and how often, 0–1.
    """
    for change in changes:
        face = change(face, generator, strength)
    return face
