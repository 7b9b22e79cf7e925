"""A scene and where people looked at it; fixations as a map."""

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from safbage import images
from safbage.errors import SceneError

DEGREE = 24 / 800
"""One degree of visual angle as a share of a scene's longer side: OSIE's 24 of 800 pixels. It is
taken for sets that do not tell theirs."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and where its viewers looked.

    Attributes:
        name: unique within its data set, and among the sets that are read here.
        image: its file, or its pixels (H×W×3 uint8 RGB).
        size: height and width.
        fixations: K×2 float, x and y in pixels, all within the picture.
        subjects: K, the viewer of each.
        sigma: pixels of the Gaussian that a fixation becomes in `fixation_map`.
        map_file: a ready-made fixation map, where the set gives one.
    """

    name: str
    image: Path | np.ndarray
    size: tuple[int, int]
    fixations: np.ndarray
    subjects: np.ndarray
    sigma: float
    map_file: Path | None = None

    def pixels(self) -> np.ndarray:
        """The picture, H×W×3 uint8 RGB. ImageError where the file is damaged."""
        return self.image if isinstance(self.image, np.ndarray) else images.read(self.image)

    def at_most(self, side: int) -> "Scene":
        """The scene itself, or a copy whose longer side is scaled down to so many pixels.

        One with a ready-made map stays as it is. ImageError where the picture is damaged.
        """
        scale = side / max(self.size)
        if scale >= 1 or self.map_file is not None:
            return self
        size = tuple(max(1, round(scale * length)) for length in self.size)
        return replace(
            self,
            image=images.resize(self.pixels(), size),
            size=size,
            fixations=self.fixations * (np.array(size) / self.size)[::-1],
            sigma=self.sigma * scale,
        )

    def fixation_map(self) -> np.ndarray:
        """Where all viewers looked, H×W float32 in [0, 1], maximum 1.

        It is the set's own map where there is one, else of Gaussians (`fixation_map`).

        Raises:
            ImageError: the set's own map is damaged.
            SceneError: it is of another size than the picture, or all black.
        """
        if self.map_file is None:
            return fixation_map(self.fixations, self.size, self.sigma)
        own = images.read(self.map_file)[:, :, 0].astype("float32")
        if own.shape != self.size or not own.any():
            raise SceneError(
                f"{self.map_file} is {own.shape} and its picture {self.size}, or it is all black"
            )
        return own / own.max()


def fixation_map(points: np.ndarray, size: tuple[int, int], sigma: float) -> np.ndarray:
    """Fixations as a map: a Gaussian of `sigma` pixels at each, divided by the maximum.

    Args:
        points: K×2, x and y in pixels; those outside are left out.
        size: height and width of the map.
        sigma: in pixels; the field takes one degree of visual angle (Le Meur and Baccino 2013).

    Returns:
        float32 of `size` in [0, 1]; all zero without a fixation.
    """
    columns, rows = cells(inside(points, size)).T
    hits = np.zeros(size, "float32")
    np.add.at(hits, (rows, columns), 1)
    blurred = cv2.GaussianBlur(hits, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    return blurred / (blurred.max() or 1)


def cells(points: np.ndarray) -> np.ndarray:
    """The pixels (K×2 int: column, row) that fixations fall on."""
    return np.floor(np.asarray(points, float).reshape(-1, 2)).astype(int)


def inside(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Those of the fixations (K×2) that lie within a picture of `size` (height, width)."""
    points = np.asarray(points, float).reshape(-1, 2)
    return points[within(points, size)]


def within(points, size):
    """Which points (N×2: x, y) lie in a picture of some height and width, N bool."""
    return (points >= 0).all(axis=1) & (points < size[::-1]).all(axis=1)


def check_degrees(sigma: float, pixels_per_degree: float | None) -> None:
    """ValueError where a fixation map's Gaussian, in degrees, or a degree, in pixels, is mad."""
    if not 0 < sigma < 1000 or not (pixels_per_degree is None or 0 < pixels_per_degree < 10_000):
        raise ValueError(
            "sigma lies above 0 and below 1000, pixels per degree above 0 and below 10,000; "
            f"got {sigma} and {pixels_per_degree}"
        )
