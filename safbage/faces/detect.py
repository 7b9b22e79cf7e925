"""Which faces are in a photo, by MTCNN (Zhang et al. 2016)."""

from dataclasses import dataclass

import numpy as np

from safbage import images
from safbage.faces import mtcnn
from safbage.faces.networks import networks
from safbage.tasks import LANDMARKS

ENLARGED = 160
"""Shorter side, in pixels, to which `detect_enlarged` enlarges smaller pictures."""


@dataclass(frozen=True)
class Face:
    """A detected face, in pixels of the photo: plain numbers, ready for JSON.

    Attributes:
        box: left, top, width, height; within the photo.
        score: the last network's probability that this is a face, 0–1.
        landmarks: (x, y) of `LANDMARKS`; left and right are the viewer's.
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: dict[str, tuple[float, float]]

    @property
    def area(self) -> float:
        """The box's, in pixels²."""
        return self.box[2] * self.box[3]


def detect_faces(
    image: np.ndarray,
    *,
    min_face_size: float = 20,
    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.8),
    scale_factor: float = 0.709,
    max_side: int = 1200,
) -> list[Face]:
    """Find the faces in one photo, surest first.

    Args:
        image: RGB photo, H×W×3 uint8, or anything `images.as_rgb` takes.
        min_face_size: side of the smallest face to look for, in pixels, roughly; larger is faster.
        thresholds: least probability to pass the proposal, refinement and output network.
        scale_factor: ratio between the levels of the image pyramid, between 0 and 1.
        max_side: longer side, in pixels, of the pyramid's largest level; the photo itself is
            reduced to twice that. It bounds time and memory: in a photo of 6000×4000, faces below
            some 60 pixels are passed over.

    Returns:
        The faces, an empty list where there is none.

    Raises:
        ImageError: the array is not a photo.
        ValueError: an option is out of its range.
    """
    return detection_stages(
        image,
        min_face_size=min_face_size,
        thresholds=thresholds,
        scale_factor=scale_factor,
        max_side=max_side,
    )["output"]


def detect_enlarged(image: np.ndarray, *, min_face: float = 0.0, **options) -> list[Face]:
    """`detect_faces` in a picture whose shorter side is first enlarged to 160 pixels, if it is
    less.

    The detector was not made for pictures such as FER2013's 48×48. Boxes and landmarks are in the
    picture's own pixels.

    Args:
        image: as for `detect_faces`.
        min_face: smallest face to look for, as a share of the shorter side; at least 20 pixels.
        options: as for `detect_faces`, all but `min_face_size`.

    Raises:
        ImageError, ValueError: as for `detect_faces`.
    """
    image = images.as_rgb(image)
    height, width = image.shape[:2]
    scale = max(1, min(ENLARGED / min(height, width), 2000 / max(height, width)))
    if scale > 1:
        image = images.resize(image, (round(height * scale), round(width * scale)))
    found = detect_faces(image, min_face_size=max(20, min_face * min(image.shape[:2])), **options)
    return [_scaled(face, 1 / scale) for face in found] if scale > 1 else found


def _scaled(face, factor):
    landmarks = {name: (x * factor, y * factor) for name, (x, y) in face.landmarks.items()}
    return Face(tuple(side * factor for side in face.box), face.score, landmarks)


def detection_stages(
    image: np.ndarray,
    *,
    min_face_size: float = 20,
    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.8),
    scale_factor: float = 0.709,
    max_side: int = 1200,
) -> dict[str, list[Face]]:
    """What each of MTCNN's three networks lets pass, to look into the detector.

    Arguments and errors are those of `detect_faces`.

    Returns:
        "proposal", "refinement" and "output", each the boxes that its network passes on, surest
        first. Only the last are detected faces, and only they have landmarks.
    """
    in_range = min_face_size > 0 and 0 < scale_factor < 1 and max_side >= mtcnn.CELL
    if not (in_range and len(thresholds) == 3):
        raise ValueError(
            "expected min_face_size > 0, three thresholds, 0 < scale_factor < 1 and max_side ≥ 12; "
            f"got {min_face_size}, {thresholds}, {scale_factor}, {max_side}"
        )
    image = images.as_rgb(image)
    shrink = min(1.0, 2 * max_side / max(image.shape[:2]))
    if shrink < 1:
        size = tuple(max(1, round(side * shrink)) for side in image.shape[:2])
        image = images.resize(image, size)
    smallest = max(min_face_size * shrink, mtcnn.CELL * max(image.shape[:2]) / max_side)
    stages = mtcnn.detect(
        networks(),
        image,
        min_face_size=smallest,
        thresholds=thresholds,
        scale_factor=scale_factor,
    )
    return {name: _as_faces(*found, image.shape[:2], shrink) for name, found in stages.items()}


def _as_faces(boxes, scores, points, size, shrink):
    """Arrays of a (reduced) photo as faces of the photo itself."""
    height, width = size
    boxes = np.clip(boxes, 0, [width - 1, height - 1] * 2) / shrink
    points = points / shrink
    real = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)  # not wholly beyond the border
    return [
        Face(
            box=(float(x1), float(y1), float(x2 - x1), float(y2 - y1)),
            score=float(score),
            landmarks={
                name: (float(x), float(y))
                for name, x, y in zip(LANDMARKS, xy[:5], xy[5:], strict=False)
            },
        )
        for (x1, y1, x2, y2), score, xy in zip(boxes[real], scores[real], points[real], strict=True)
    ]


def largest(found: list[Face], *, min_face: float = 0, max_faces: int | None = None) -> list[Face]:
    """The largest faces, in the order given.

    Args:
        found: detected faces.
        min_face: pixels that the shorter side of a face's box has at least.
        max_faces: how many, at most; None for all.
    """
    fit = [i for i, face in enumerate(found) if min(face.box[2:]) >= min_face]
    kept = sorted(fit, key=lambda i: -found[i].area)[:max_faces]
    return [found[i] for i in sorted(kept)]
