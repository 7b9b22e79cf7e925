"""The way through MTCNN's three networks (Zhang et al. 2016), on arrays.

It is written out here, because that of the ``mtcnn`` package has traps: it crashes when
`min_face_size` is 28 or more, takes bad input for "no face", lets photos of one list disturb each
other, and needs a matrix of N×N for N boxes. Here one photo is seen at a time, memory stays
bounded, and whoever runs the networks is passed in. With the default settings the boxes are the
package's own.
"""

import cv2
import numpy as np

from safbage.faces.networks import Networks

CELL = 12
"""Side of the window that the first network slides over the photo, in pixels."""
STRIDE = 2
"""Pixels from one window to the next."""
CHUNK = 32
"""Patches that a network sees together, at most."""


def detect(
    networks: Networks,
    image: np.ndarray,
    *,
    min_face_size: float,
    thresholds: tuple[float, float, float],
    scale_factor: float,
) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Go through the three networks with one photo.

    Args:
        networks: they are asked for one level, or for up to `CHUNK` patches, at a time.
        image: RGB photo, H×W×3 uint8.
        min_face_size: as for `detect.detect_faces`.
        thresholds: as there.
        scale_factor: as there.

    Returns:
        By stage ("proposal", "refinement", "output"): boxes (N×4: left, top, right, bottom, in
        pixels; they may reach beyond the photo), scores (N, 0–1), and landmarks (N×10, five x, five
        y; N×0 but for the last).
    """
    photo = (image.astype("float32") - 127.5) / 128
    proposed, proposed_scores = _proposed(
        networks.proposal, photo, min_face_size, thresholds[0], scale_factor
    )
    refined, refined_scores = _refined(
        networks.refinement, photo, _squared(proposed), thresholds[1]
    )
    return {
        "proposal": (proposed, proposed_scores, np.empty((len(proposed), 0))),
        "refinement": (refined, refined_scores, np.empty((len(refined), 0))),
        "output": _final(networks.output, photo, _squared(refined), thresholds[2]),
    }


def _proposed(network, photo, min_face_size, threshold, scale_factor):
    """Candidates of every pyramid level, from the scale at which the smallest face fills a cell."""
    boxes, scores = [np.empty((0, 4))], [np.empty(0)]
    scale = CELL / min_face_size
    while min(photo.shape[:2]) * scale >= CELL:
        height, width = (int(side * scale) for side in photo.shape[:2])
        level = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
        offsets, of_face = network(level.transpose(2, 0, 1)[None])
        rows, columns = np.nonzero(of_face[0, 1] > threshold)
        corner = STRIDE * np.stack([columns, rows], axis=1)
        offsets = offsets[0, :, rows, columns].astype("float64")
        found = (np.hstack([corner + 1, corner + CELL]) + offsets * (CELL - 1)) / scale
        confidence = of_face[0, 1, rows, columns]
        kept = non_maximum_suppression(found, confidence, 0.5)
        boxes.append(found[kept])
        scores.append(confidence[kept])
        scale *= scale_factor
    boxes, scores = np.concatenate(boxes), np.concatenate(scores)
    kept = non_maximum_suppression(boxes, scores, 0.7)
    return boxes[kept], scores[kept]


def _refined(network, photo, boxes, threshold):
    offsets, of_face = _in_chunks(network, photo, boxes, 24, (4, 2))
    boxes, scores = _adjusted(boxes, offsets), of_face[:, 1]
    passed = scores > threshold
    boxes, scores = boxes[passed], scores[passed]
    kept = non_maximum_suppression(boxes, scores, 0.7)
    return boxes[kept], scores[kept]


def _final(network, photo, boxes, threshold):
    offsets, points, of_face = _in_chunks(network, photo, boxes, 48, (4, 10, 2))
    sides = np.repeat(boxes[:, 2:] - boxes[:, :2] + 1, 5, axis=1)
    points = sides * points + np.repeat(boxes[:, :2], 5, axis=1) - 1
    boxes, scores = _adjusted(boxes, offsets), of_face[:, 1]
    passed = scores > threshold
    boxes, scores, points = boxes[passed], scores[passed], points[passed]
    kept = non_maximum_suppression(boxes, scores, 0.7, of_smaller=True)
    return boxes[kept], scores[kept], points[kept]


def _in_chunks(network, photo, boxes, side, widths):
    """Run a network over the boxes' patches; outputs of the given widths."""
    outputs = [[np.empty((0, columns), "float32") for columns in widths]]
    for i in range(0, len(boxes), CHUNK):
        patches = cut_patches(photo, boxes[i : i + CHUNK], side)
        outputs.append(network(patches.transpose(0, 3, 1, 2)))
    return [np.concatenate(parts) for parts in zip(*outputs, strict=True)]


def cut_patches(photo: np.ndarray, boxes: np.ndarray, side: int) -> np.ndarray:
    """What lies in the boxes, each resized to a square, bilinearly.

    The patch's outer pixels lie on the box's border. Beyond the photo it is grey.

    Args:
        photo: H×W×3 float32; grey is 0.
        boxes: N×4 (left, top, right, bottom), in pixels; N is at least 1 and at most
            ``32767 // side``.
        side: of the patches, in pixels.

    Returns:
        N×side×side×3 float32.
    """
    height, width = photo.shape[:2]
    x = _samples(boxes[:, 0], boxes[:, 2], width, side)
    y = _samples(boxes[:, 1], boxes[:, 3], height, side)
    shape = len(boxes), side, side
    across = np.broadcast_to(x[:, None, :], shape).reshape(-1, side)
    down = np.broadcast_to(y[:, :, None], shape).reshape(-1, side)
    patches = cv2.remap(photo, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return patches.reshape(*shape, 3)


def _samples(first, last, length, count):
    """`count` places from first to last, N×count, of an axis of that length; those that lie outside
    are moved far away.

    As the ``mtcnn`` package has it, the whole length of the boxes' coordinates is laid over the
    pixels' centres, which are one less.
    """
    first, last = ((edge / length).astype("float32")[:, None] for edge in (first, last))
    places = (first + np.linspace(0, 1, count, dtype="float32") * (last - first)) * (length - 1)
    return np.where((places >= 0) & (places <= length - 1), places, -2).astype("float32")


# --- arithmetic of boxes (N×4: left, top, right, bottom) ------------------------------------------


def _squared(boxes):
    """The smallest squares about the boxes' centres that hold them."""
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True)
    corner = (boxes[:, :2] + boxes[:, 2:] - sides) / 2
    return np.hstack([corner, corner + sides])


def _adjusted(boxes, offsets):
    """The boxes moved by the networks' offsets, which are given in widths and heights."""
    return boxes + offsets * np.tile(boxes[:, 2:] - boxes[:, :2] + 1, 2)


def non_maximum_suppression(boxes, scores, threshold, *, of_smaller=False, chunk=512):
    """Indices of the boxes that no surer box overlaps by more than `threshold`, surest first.

    As the ``mtcnn`` package has it, a suppressed box suppresses too. Overlaps are compared a chunk
    at a time, so memory grows with N, not N².

    Args:
        boxes: N×4 (left, top, right, bottom).
        scores: N.
        threshold: largest overlap allowed, 0–1.
        of_smaller: measure the intersection against the smaller box instead of the union.
        chunk: boxes compared with all surer ones at a time.
    """
    order = np.argsort(scores)[::-1]
    boxes = boxes[order]
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    kept = []
    for start in range(0, len(boxes), chunk):
        stop = min(start + chunk, len(boxes))
        across, down = (
            np.minimum(boxes[:stop, None, i + 2], boxes[None, start:stop, i + 2])
            - np.maximum(boxes[:stop, None, i], boxes[None, start:stop, i])
            for i in (0, 1)
        )
        intersection = np.maximum(across, 0) * np.maximum(down, 0)
        smaller = np.minimum(areas[:stop, None], areas[None, start:stop])
        whole = (
            smaller if of_smaller else areas[:stop, None] + areas[None, start:stop] - intersection
        )
        earlier = np.arange(stop)[:, None] < np.arange(start, stop)[None]
        suppressed = ((intersection > threshold * whole) & earlier).any(axis=0)
        kept.append(order[start:stop][~suppressed])
    return np.concatenate(kept) if kept else order
