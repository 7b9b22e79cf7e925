"""Boxes and landmarks carried from a frame to the next by optical flow (Lucas and Kanade 1981),
where no detector runs."""

import cv2
import numpy as np

from safbage.faces import Face

SIDE = 640
"""Longer side, in pixels, to which larger frames are reduced for the flow."""
GRID = np.linspace(0.15, 0.85, 6)
"""Where in a box the points lie that are followed, in both directions."""
FEWEST = 8
"""Points of a face that must have been found again; else it is lost."""
RETURN = 1.0
"""Pixels by which a point may miss its place when it is followed back."""


def follow(before: np.ndarray, now: np.ndarray, found: list[Face]) -> list[Face]:
    """The faces of a frame in the next one; those that are lost are left out.

    A face is moved, turned and scaled as most of the points in its box are. Its score remains.

    Args:
        before: RGB frame, H×W×3 uint8.
        now: the next frame, of the same size; nothing is followed into one of another size.
        found: faces of `before`.
    """
    if not found or before.shape != now.shape:
        return []
    scale = min(1.0, SIDE / max(before.shape[:2]))
    frames = [_reduced(frame, scale) for frame in (before, now)]
    moved = [_moved(*frames, face, scale) for face in found]
    inside = (_within(face, now.shape[:2]) for face in moved if face is not None)
    return [face for face in inside if face is not None]


def _reduced(frame, scale):
    """A frame in grey, of some 640 pixels."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _moved(before, now, face, scale):
    """A face where its points have gone; None where too few are found again."""
    left, top, width, height = face.box
    grid = [(left + x * width, top + y * height) for y in GRID for x in GRID]
    points = np.float32([*grid, *face.landmarks.values()])[:, None] * np.float32(scale)
    there, found, _ = cv2.calcOpticalFlowPyrLK(before, now, points, None)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(now, before, there, None)
    missed = np.linalg.norm(back - points, axis=2)[:, 0]
    good = (found[:, 0] == 1) & (found_back[:, 0] == 1) & (missed < RETURN)
    if good.sum() < FEWEST:
        return None
    movement, used = cv2.estimateAffinePartial2D(points[good] / scale, there[good] / scale)
    if movement is None or used.sum() < FEWEST:
        return None
    return _transformed(face, movement)


def _transformed(face, movement):
    """A face moved by a similarity, 2×3. Its box stays upright."""
    left, top, width, height = face.box
    growth = float(np.hypot(movement[0, 0], movement[1, 0]))
    x, y = (float(v) for v in movement @ (left + width / 2, top + height / 2, 1))
    width, height = growth * width, growth * height
    landmarks = {
        name: tuple(float(v) for v in movement @ (*point, 1))
        for name, point in face.landmarks.items()
    }
    return Face((x - width / 2, y - height / 2, width, height), face.score, landmarks)


def _within(face, size):
    """The face with its box cut at the frame's border; None where less than half is left."""
    height, width = size
    left, top, right, bottom = (
        min(max(value, 0), limit)
        for value, limit in zip(
            (*face.box[:2], face.box[0] + face.box[2], face.box[1] + face.box[3]),
            (width - 1, height - 1) * 2,
            strict=True,
        )
    )
    cut = Face((left, top, right - left, bottom - top), face.score, face.landmarks)
    return cut if cut.area > face.area / 2 else None
