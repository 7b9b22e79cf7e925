"""Faces in a photo: MTCNN detection (Zhang et al. 2016) and the paper's widened, border-repeating crop (section III-A)."""

from dataclasses import dataclass

import cv2
import numpy as np

from safbage import images
from safbage.faces.mtcnn import CELL, networks

LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
SMALL = 160
"""Shorter side, in pixels, that `detect_enlarged` gives smaller pictures."""
FEW_PIXELS = 32
"""Of a box's shorter side: below, `quality` calls a face small. It lies between crops of 48 pixels, boxes of 37, which cost the
networks a point of accuracy, and crops of 24, boxes of 18, which cost them ten (README, worse pictures)."""
LEAST_SHARPNESS = 0.03
"""Below, `quality` calls a face blurred. Of 403 faces of UTKFace none is, of the same under a blur of 1/64, 1/32 and 3/64 of the
box's width 10, 87 and 99 % are; the second costs the networks ten points of accuracy."""
FURTHEST_NOSE = 0.4
"""Of the nose from the middle between the eyes, along their line, in distances of the eyes: beyond, `quality` calls a face turned
away. So are 0.5 % of UTKFace's faces, and in EyeCrowd's crowds 3 % of the frontal ones and 67 % of the profiles."""
NEAREST_BORDER = 0.5
"""Of a landmark to the photo's border, in lengths from eye to eye or from eyes to mouth: closer, `quality` calls a face cut. So
are 0.5 % of UTKFace's faces, whose tight crops nearly all boxes touch."""


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
        min_face_size: side of the smallest face looked for, in pixels, roughly; larger is faster.
        thresholds: least probability to pass the proposal, refinement and output network.
        scale_factor: ratio between the levels of the image pyramid, between 0 and 1.
        max_side: longer side, in pixels, of the largest level of the pyramid; the photo itself is reduced to twice that. It
            bounds time and memory: in a photo of 6000×4000, faces below some 60 pixels are passed over.

    Returns:
        The faces, an empty list where there is none.

    Raises:
        ImageError: the array is no photo.
        ValueError: an option is out of its range.
    """
    options = dict(min_face_size=min_face_size, thresholds=thresholds, scale_factor=scale_factor, max_side=max_side)
    return detection_stages(image, **options)["output"]


def detect_enlarged(image: np.ndarray, *, min_face: float = 0.0, **options) -> list[Face]:
    """`detect_faces` in a picture whose shorter side is enlarged to 160 pixels where it has fewer.

    The detector was not made for pictures such as FER2013's 48×48. Boxes and landmarks are in the picture's own pixels.

    Args:
        image: as `detect_faces`.
        min_face: smallest face looked for, as a share of the shorter side; 20 pixels where that is less.
        options: as `detect_faces`, all but `min_face_size`.

    Raises:
        ImageError, ValueError: as `detect_faces`.
    """
    image = images.as_rgb(image)
    height, width = image.shape[:2]
    scale = max(1, min(SMALL / min(height, width), 2000 / max(height, width)))
    shown = images.resize(image, (round(height * scale), round(width * scale))) if scale > 1 else image
    found = detect_faces(shown, min_face_size=max(20, min_face * min(shown.shape[:2])), **options)
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
    """What each of MTCNN's three networks lets pass, for looking into the detector; as `detect_faces` otherwise.

    Returns:
        "proposal", "refinement" and "output", each the boxes that its network passes on, surest first; only the last are
        detected faces, and only they have landmarks.
    """
    if not (min_face_size > 0 and 0 < scale_factor < 1 and len(thresholds) == 3 and max_side >= CELL):
        raise ValueError(
            "expected min_face_size > 0, three thresholds, 0 < scale_factor < 1 and max_side ≥ 12; "
            f"got {min_face_size}, {thresholds}, {scale_factor}, {max_side}"
        )
    image = images.as_rgb(image)
    shrink = min(1.0, 2 * max_side / max(image.shape[:2]))
    if shrink < 1:
        image = images.resize(image, tuple(max(1, round(side * shrink)) for side in image.shape[:2]))
    smallest = max(min_face_size * shrink, CELL * max(image.shape[:2]) / max_side)
    stages = networks().detect(image, smallest, thresholds, scale_factor)
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
            landmarks={name: (float(x), float(y)) for name, x, y in zip(LANDMARKS, xy[:5], xy[5:], strict=False)},
        )
        for (x1, y1, x2, y2), score, xy in zip(boxes[real], scores[real], points[real], strict=True)
    ]


def square(box: tuple[float, float, float, float], margin: float = 0.3) -> tuple[int, int, int]:
    """The square that is cropped: left, top and side in whole pixels; it may reach beyond the photo.

    Its centre is the box's; its side is the box's longer side × (1 + margin). So 0.3 widens the squared box by 30 %, 15 % of
    its side at each edge (the paper says "the box widened by 30 %" without saying of what).

    Raises:
        ValueError: the box has no area, or the margin leaves none.
    """
    left, top, width, height = box
    side = round(max(width, height) * (1 + margin))
    if not (width > 0 and height > 0 and side > 0):
        raise ValueError(f"the box {box} with the margin {margin} has no area")
    return round(left + width / 2 - side / 2), round(top + height / 2 - side / 2), side


def crop_face(
    image: np.ndarray, face: Face | tuple[float, float, float, float], *, margin: float = 0.3, size: int = 224
) -> np.ndarray:
    """Crop a face with its margin, the last pixels repeated beyond the photo's border, and resize it once.

    Args:
        image: RGB photo, H×W×3 uint8.
        face: a `Face`, or its box (left, top, width, height) in pixels.
        margin: how much wider than the squared box, see `square`; 0.3 as the paper (section III-A).
        size: side of the crop in pixels; 224 as the paper.

    Returns:
        size×size×3 uint8.

    Raises:
        ValueError: the box has no area, or lies wholly outside the photo.
    """
    left, top, side = square(face.box if isinstance(face, Face) else face, margin)
    height, width = image.shape[:2]
    x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + side, width), min(top + side, height)
    if x1 >= x2 or y1 >= y2:
        raise ValueError(f"the square at ({left}, {top}) of side {side} lies outside the {width}×{height} photo")
    edges = (y1 - top, top + side - y2, x1 - left, left + side - x2)
    widened = cv2.copyMakeBorder(image[y1:y2, x1:x2], *edges, cv2.BORDER_REPLICATE)
    return images.resize(widened, (size, size))


def largest(found: list[Face], *, min_face: float = 0, max_faces: int | None = None) -> list[Face]:
    """Of faces whose box has `min_face` pixels at its shorter side the largest so many, or all where None; order is kept."""
    fit = [i for i, face in enumerate(found) if min(face.box[2:]) >= min_face]
    kept = sorted(fit, key=lambda i: -found[i].box[2] * found[i].box[3])[:max_faces]
    return [found[i] for i in sorted(kept)]


def quality(image: np.ndarray, face: Face) -> str:
    """What speaks against the answers to a face, by its pixels and landmarks: reasons joined by ", ", "" where there is none.

    The reasons, and where they begin: "small: 14 px", the box's shorter side (`FEW_PIXELS`); "blurred" (`LEAST_SHARPNESS`);
    "turned away" (`FURTHEST_NOSE`); "cut by the border" of the photo (`NEAREST_BORDER`). The last two need landmarks.

    Args:
        image: RGB photo, H×W×3 uint8.
        face: a face in it, in its pixels.
    """
    side = min(face.box[2:])
    reasons = {
        f"small: {round(side)} px": side < FEW_PIXELS,
        "blurred": sharpness(image, face) < LEAST_SHARPNESS,
        "turned away": face.landmarks and _nose_from_middle(face) > FURTHEST_NOSE,
        "cut by the border": face.landmarks and _to_border(face, image.shape[:2]) < NEAREST_BORDER,
    }
    return ", ".join(reason for reason, holds in reasons.items() if holds)


def sharpness(image: np.ndarray, face: Face) -> float:
    """Variance of the Laplacian over variance of the grey values, of the face's box at 64×64 pixels, or its own if it has fewer.

    0 where nothing changes but evenly, 16 for a line of one pixel beside the other; contrast does not matter, nor size alone.
    """
    size = max(3, min(64, round(min(face.box[2:]))))
    grey = cv2.cvtColor(crop_face(image, face, margin=0, size=size), cv2.COLOR_RGB2GRAY).astype("float32")
    return float(cv2.Laplacian(grey, cv2.CV_32F).var() / max(grey.var(), 1.0))


def _axes(face):
    """Left eye, nose, and the ways from left eye to right and from the eyes' middle to the mouth's."""
    left, right, nose, *mouth = (np.array(face.landmarks[name]) for name in LANDMARKS)
    return left, nose, right - left, (sum(mouth) - left - right) / 2


def _nose_from_middle(face):
    """Of the nose from the middle between the eyes, along their line, in distances of the eyes."""
    left, nose, across, _ = _axes(face)
    return abs((nose - left) @ across / max(across @ across, 1e-6) - 0.5)


def _to_border(face, size):
    """Of the outermost landmark to the photo's border, in the face's own lengths; below 0 beyond it."""
    *_, across, down = _axes(face)
    height, width = size
    return min(min(x, y, width - x, height - y) for x, y in face.landmarks.values()) / max(
        np.hypot(*across), np.hypot(*down), 1e-6
    )


def near_landmarks(face: Face, size: tuple[int, int] = (28, 28), *, radius: float = 0.16, margin: float = 0.3) -> np.ndarray:
    """Which cells of a crop's map lie on eyes, nose or mouth.

    Args:
        face: a detected face; the crop is `crop_face`'s.
        size: height and width of the map.
        radius: a cell counts if its middle is no further from one of the five `LANDMARKS`, in widths of the face's box.
        margin: the crop's.

    Returns:
        bool of `size`.
    """
    left, top, side = square(face.box, margin)
    rows, columns = (np.indices(size) + 0.5) * side / np.reshape(size, (2, 1, 1))
    distances = [np.hypot(columns - (x - left), rows - (y - top)) for x, y in face.landmarks.values()]
    return np.min(distances, axis=0) < radius * face.box[2]
