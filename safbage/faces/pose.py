"""How a head is held, from its five landmarks: roll, yaw and pitch."""

from typing import NamedTuple

import cv2
import numpy as np

from safbage.faces.detect import Face
from safbage.tasks import LANDMARK_COLUMNS, LANDMARKS

MODEL = np.array(
    [
        (-3.15, -2.62, -3.47),
        (3.15, -2.62, -3.47),
        (0.0, 1.13, -7.48),
        (-2.46, 4.34, -4.28),
        (2.46, 4.34, -4.28),
    ]
)
"""A generic face's `LANDMARKS` in centimetres, 5×3: x to the viewer's right, y down, z away from
the viewer. They are those of the canonical face of Google's MediaPipe; an eye is the middle between
its corners."""
DISTANCE = 20
"""How far the camera is taken to be, in distances of the landmarks that are furthest apart: some
one and a half metres. Five points are too few to tell."""


class Pose(NamedTuple):
    """How a head is held, in degrees; 0, 0, 0 looks straight at the camera, upright.

    Attributes:
        roll: positive where it leans to the viewer's right (the picture turned clockwise).
        yaw: positive where the nose points to the viewer's right.
        pitch: positive where it points down.
    """

    roll: float
    yaw: float
    pitch: float


def head_pose(face: Face) -> Pose | None:
    """How a face's head is held, by fitting a generic face to its landmarks.

    The rigid motion is OpenCV's `solvePnP` (SQPnP, then Levenberg-Marquardt) for a camera that
    looks at the landmarks' middle. The rotation is taken apart so that turning the picture changes
    the roll alone.

    Args:
        face: a detected face.

    Returns:
        Its pose, roll from −180 to 180, yaw and pitch from −90 to 90; None where it has no
        landmarks, or they lie as a face's cannot (on one line, or as if seen from behind).
    """
    if not face.landmarks:
        return None
    points = np.array([face.landmarks[name] for name in LANDMARKS])
    points = points - points.mean(axis=0)
    reach = np.linalg.norm(points[:, None] - points, axis=-1).max()
    if not reach > 0:
        return None
    camera = np.diag([DISTANCE, DISTANCE, 1.0])
    points = points / reach  # so that the fit does not depend on the photo's size
    fitted, turn, shift = cv2.solvePnP(MODEL, points, camera, None, flags=cv2.SOLVEPNP_SQPNP)
    if not fitted:
        return None
    turn, _ = cv2.solvePnPRefineLM(MODEL, points, camera, None, turn, shift)
    pose = Pose(*_angles(cv2.Rodrigues(turn)[0]))
    return pose if abs(pose.pitch) <= 90 else None


def _angles(turn):
    """Roll, yaw and pitch, in degrees, of a rotation (3×3) that pitches first, then turns, then
    rolls."""
    roll = np.arctan2(turn[1, 0], turn[0, 0])
    yaw = np.arctan2(turn[2, 0], np.hypot(turn[0, 0], turn[1, 0]))
    pitch = np.arctan2(turn[2, 1], turn[2, 2])
    return np.degrees([roll, yaw, pitch]).tolist()


def eye_angle(face: Face) -> float:
    """How far the line through the eyes is from level, in degrees, −180 to 180: positive where the
    eye on the viewer's right is lower. 0 for a face without landmarks."""
    if not face.landmarks:
        return 0.0
    left, right = (np.array(face.landmarks[name]) for name in LANDMARKS[:2])
    across, down = right - left
    return float(np.degrees(np.arctan2(down, across)))


def landmark_values(face: Face) -> dict[str, float | None]:
    """A face's landmarks (pixels of its photo) and pose (degrees) by `tasks.LANDMARK_COLUMNS`; None
    for what it has not."""
    points = [face.landmarks.get(name, (None, None)) for name in LANDMARKS]
    values = [value for point in points for value in point]
    return dict(zip(LANDMARK_COLUMNS, [*values, *(head_pose(face) or [None] * 3)], strict=True))
