"""What speaks against the answers to a face: few pixels, blur, a head that is turned or leans,
a face cut off."""

import cv2
import numpy as np

from safbage.faces.crop import crop_face
from safbage.faces.detect import Face
from safbage.faces.pose import eye_angle, head_pose
from safbage.tasks import LANDMARKS

FEW_PIXELS = 32
"""Pixels of a box's shorter side; a face with fewer is called small. Crops of 48 pixels, boxes of
37, cost the networks up to two points of accuracy; crops of 24, boxes of 18, up to ten
(docs/networks.md, worse pictures)."""
LEAST_SHARPNESS = 0.03
"""A face below is called blurred. None of 403 faces of UTKFace is; under a blur of 1/64, 1/32 and
3/64 of the box's width 10, 87 and 99 % are. The second costs the networks up to eleven
points of accuracy."""
MOST_YAW = 35
"""Degrees to either side beyond which a head is called turned away. So are 0.2 % of UTKFace's
faces, and in EyeCrowd's crowds 4.5 % of the frontal ones and 74 % of the profiles."""
MOST_LEAN = 35
"""Degrees from level beyond which the line through the eyes makes a face leaning. At 45 the answers
to 264 faces of UTKFace were right 5 to 6 points less often than upright, at 30 about 1; level eyes
(`crop_face` with `align`) give them back (benchmarks/alignment.py)."""
NEAREST_BORDER = 0.5
"""How far a landmark is from the photo's border, in lengths from eye to eye or from eyes to mouth;
a face closer is called cut. So are 0.5 % of UTKFace's faces, though nearly all boxes of its tight
crops touch the border."""


def describe_quality(image: np.ndarray, face: Face) -> str:
    """What speaks against the answers to a face, by its pixels and landmarks.

    Args:
        image: RGB photo, H×W×3 uint8.
        face: a face in it, in its pixels.

    Returns:
        Reasons joined by ", ", "" where there is none: "small: 14 px", the box's shorter side
        (`FEW_PIXELS`); "blurred" (`LEAST_SHARPNESS`); "turned away" (`MOST_YAW`); "leaning: 41°"
        (`MOST_LEAN`); "cut by the border" of the photo (`NEAREST_BORDER`). The last three need
        landmarks.
    """
    side, lean = min(face.box[2:]), abs(eye_angle(face))
    reasons = {
        f"small: {round(side)} px": side < FEW_PIXELS,
        "blurred": sharpness(image, face) < LEAST_SHARPNESS,
        "turned away": face.landmarks and _is_turned(face),
        f"leaning: {round(lean)}°": lean > MOST_LEAN,
        "cut by the border": face.landmarks and _to_border(face, image.shape[:2]) < NEAREST_BORDER,
    }
    return ", ".join(reason for reason, holds in reasons.items() if holds)


def sharpness(image: np.ndarray, face: Face) -> float:
    """How much detail a face's box has: 0 for a flat or evenly shaded area, 16 for lines of one
    pixel side by side.

    It is the variance of the Laplacian over the variance of the grey values, at 64×64 pixels or the
    box's own size if that is less. Contrast does not matter, nor does size alone.
    """
    size = max(3, min(64, round(min(face.box[2:]))))
    crop = crop_face(image, face, margin=0, size=size)
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype("float32")
    return float(cv2.Laplacian(grey, cv2.CV_32F).var() / max(grey.var(), 1.0))


def _is_turned(face):
    pose = head_pose(face)
    return pose is None or abs(pose.yaw) > MOST_YAW


def _to_border(face, size):
    """From the outermost landmark to the border in the face's own lengths; below 0 beyond."""
    left, right, _, *mouth = (np.array(face.landmarks[name]) for name in LANDMARKS)
    across, down = right - left, (sum(mouth) - left - right) / 2
    height, width = size
    nearest = min(min(x, y, width - x, height - y) for x, y in face.landmarks.values())
    return nearest / max(np.hypot(*across), np.hypot(*down), 1e-6)
