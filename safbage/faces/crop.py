"""The paper's crop: a face with 30 % around it, the photo's border repeated (section 3)."""

import cv2
import numpy as np

from safbage import images
from safbage.faces.detect import Face
from safbage.faces.pose import eye_angle
from safbage.tasks import FACE_SIZE, MAP_SIZE, MARGIN


def square(box: tuple[float, float, float, float], margin: float = MARGIN) -> tuple[int, int, int]:
    """The square that is cropped: left, top and side in whole pixels; it may reach beyond the
    photo.

    Its centre is the box's; its side is the box's longer side × (1 + margin). So 0.3 widens the
    squared box by 30 %, 15 % of its side at each edge. The paper extends the box's
    margin by 30 % and does not say of what.

    Raises:
        ValueError: the box has no area, or the margin leaves none.
    """
    left, top, width, height = box
    side = round(max(width, height) * (1 + margin))
    if not (width > 0 and height > 0 and side > 0):
        raise ValueError(f"the box {box} with the margin {margin} has no area")
    return round(left + width / 2 - side / 2), round(top + height / 2 - side / 2), side


def crop_face(
    image: np.ndarray,
    face: Face | tuple[float, float, float, float],
    *,
    margin: float = MARGIN,
    size: int = FACE_SIZE,
    align: bool = False,
) -> np.ndarray:
    """Crop a face with its margin, repeat the last pixels beyond the photo's border, resize once.

    Args:
        image: RGB photo, H×W×3 uint8.
        face: a `Face`, or its box (left, top, width, height) in pixels.
        margin: how much wider than the squared box, see `square`; 0.3 as in the paper.
        size: side of the crop in pixels; 224 as in the paper.
        align: turn the face about the square's centre first, so that its eyes are level; a box or
            a face without landmarks stays as it is. The paper does not.

    Returns:
        size×size×3 uint8.

    Raises:
        ValueError: the box has no area, or lies wholly outside the photo.
    """
    box, angle = (face.box, eye_angle(face)) if isinstance(face, Face) else (face, 0.0)
    left, top, side = square(box, margin)
    if align and angle:
        around = round(side * (2**0.5 - 1) / 2) + 1  # the corners of the turned square lie here
        wider = _cut(image, left - around, top - around, side + 2 * around)
        wider = images.resize(wider, (round(size * len(wider) / side),) * 2)
        return _turned(wider, angle, size)
    return images.resize(_cut(image, left, top, side), (size, size))


def _cut(image, left, top, side):
    """A square of a photo, in whole pixels; beyond the border its last pixels are repeated."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + side, width), min(top + side, height)
    if x1 >= x2 or y1 >= y2:
        raise ValueError(
            f"the square at ({left}, {top}) of side {side} lies outside the {width}×{height} photo"
        )
    edges = (y1 - top, top + side - y2, x1 - left, left + side - x2)
    return cv2.copyMakeBorder(image[y1:y2, x1:x2], *edges, cv2.BORDER_REPLICATE)


def _turned(square, angle, size):
    """The middle of a square picture, size×size, after it was turned anticlockwise by an angle in
    degrees."""
    middle = (len(square) - 1) / 2
    turn = cv2.getRotationMatrix2D((middle, middle), angle, 1.0)
    turn[:, 2] += (size - 1) / 2 - middle
    return cv2.warpAffine(square, turn, (size, size), flags=cv2.INTER_LINEAR)


def near_landmarks(
    face: Face, size: tuple[int, int] = MAP_SIZE, *, radius: float = 0.16, margin: float = MARGIN
) -> np.ndarray:
    """Which cells of a crop's map lie on eyes, nose or mouth.

    Args:
        face: a detected face, cropped by `crop_face` as it stands (not aligned).
        size: height and width of the map.
        radius: how far a cell's middle may be from one of the five `LANDMARKS`, in widths of the
            face's box.
        margin: the crop's.

    Returns:
        bool of `size`.
    """
    left, top, side = square(face.box, margin)
    rows, columns = (np.indices(size) + 0.5) * side / np.reshape(size, (2, 1, 1))
    points = face.landmarks.values()
    distances = [np.hypot(columns - (x - left), rows - (y - top)) for x, y in points]
    return np.min(distances, axis=0) < radius * face.box[2]
