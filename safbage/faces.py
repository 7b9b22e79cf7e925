"""Faces in a photo: MTCNN detection (Zhang et al. 2016) and the paper's widened, border-repeating crop (section III-A).

The networks and their weights are those of the ``mtcnn`` package. The way through them is written out here, because the
package's own has traps: it crashes when `min_face_size` is 28 or more, takes bad input for "no face", lets photos of one list
disturb each other, and runs every layer by itself. Here one photo is seen at a time, each network is one compiled graph
that takes any size, and memory stays bounded. With the default settings the boxes are the package's own.
"""

import functools
from dataclasses import dataclass
from importlib.resources import files

import cv2
import numpy as np

from safbage import images
from safbage.backend import keras, tensorflow

LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
CELL = 12
"""Side of the window that the first network slides over the photo, in pixels."""
SMALL = 160
"""Shorter side, in pixels, that `detect_enlarged` gives smaller pictures."""


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
    stages = _networks().detect(image, smallest, thresholds, scale_factor)
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


# --- the three networks ----------------------------------------------------------------------------------------------


@functools.cache
def _networks() -> "_Networks":
    return _Networks()


class _Networks:
    """MTCNN's proposal, refinement and output networks, compiled once, and the way through them."""

    def __init__(self):
        tf = tensorflow()
        from mtcnn.stages import StageONet, StagePNet, StageRNet

        # Whole paths: given a bare name, the package would first unpickle a file of that name in the working directory.
        folder = files("mtcnn.assets.weights")
        propose = _as_graph(StagePNet(weights=str(folder / "pnet.lz4")).model)
        refine = _as_graph(StageRNet(weights=str(folder / "rnet.lz4")).model)
        output = _as_graph(StageONet(weights=str(folder / "onet.lz4")).model)
        photo = tf.TensorSpec((None, None, 3), tf.float32)
        boxes = tf.TensorSpec((None, 4), tf.float32)

        def level(image, size, threshold):
            """Cells of one pyramid level above the threshold: their (row, column), offsets and scores."""
            offsets, scores = propose(tf.image.resize(image[None], size, tf.image.ResizeMethod.AREA))
            cells = tf.where(scores[0, :, :, 1] > threshold)
            return cells, tf.gather_nd(offsets[0], cells), tf.gather_nd(scores[0, :, :, 1], cells)

        def patches(image, boxes, side):
            return tf.image.crop_and_resize(image[None], boxes, tf.zeros(tf.shape(boxes)[0], tf.int32), (side, side))

        threshold = tf.TensorSpec((), tf.float32)
        self._tensor = tf.constant
        self._level = tf.function(level, autograph=False, input_signature=[photo, tf.TensorSpec((2,), tf.int32), threshold])
        self._refine = tf.function(lambda i, b: refine(patches(i, b, 24)), autograph=False, input_signature=[photo, boxes])
        self._output = tf.function(lambda i, b: output(patches(i, b, 48)), autograph=False, input_signature=[photo, boxes])

    def detect(self, image, min_face_size, thresholds, scale_factor):
        """By stage: boxes (N×4: left, top, right, bottom), scores (N), landmarks (N×10, five x, five y; N×0 but for the last)."""
        photo = self._tensor((image.astype("float32") - 127.5) / 128)
        proposed, proposed_scores = self._propose(photo, min_face_size, thresholds[0], scale_factor)
        refined, refined_scores = self._refined(photo, _squared(proposed), thresholds[1])
        return {
            "proposal": (proposed, proposed_scores, np.empty((len(proposed), 0))),
            "refinement": (refined, refined_scores, np.empty((len(refined), 0))),
            "output": self._final(photo, _squared(refined), thresholds[2]),
        }

    def _refined(self, photo, boxes, threshold):
        offsets, confidence = self._in_chunks(self._refine, photo, boxes, (4, 2))
        boxes, scores = _adjusted(boxes, offsets), confidence[:, 1]
        passed = scores > threshold
        boxes, scores = boxes[passed], scores[passed]
        kept = non_maximum_suppression(boxes, scores, 0.7)
        return boxes[kept], scores[kept]

    def _final(self, photo, boxes, threshold):
        offsets, points, confidence = self._in_chunks(self._output, photo, boxes, (4, 10, 2))
        sides = np.repeat(boxes[:, 2:] - boxes[:, :2] + 1, 5, axis=1)
        points = sides * points + np.repeat(boxes[:, :2], 5, axis=1) - 1
        boxes, scores = _adjusted(boxes, offsets), confidence[:, 1]
        passed = scores > threshold
        boxes, scores, points = boxes[passed], scores[passed], points[passed]
        kept = non_maximum_suppression(boxes, scores, 0.7, of_smaller=True)
        return boxes[kept], scores[kept], points[kept]

    def _propose(self, photo, min_face_size, threshold, scale_factor):
        """Candidates of every pyramid level, from the scale at which the smallest face fills a cell."""
        boxes, scores = [np.empty((0, 4))], [np.empty(0)]
        scale = CELL / min_face_size
        while min(photo.shape[:2]) * scale >= CELL:
            size = np.array([int(side * scale) for side in photo.shape[:2]], "int32")
            cells, offsets, confidence = (np.asarray(part) for part in self._level(photo, size, threshold))
            corner = 2 * cells[:, ::-1]
            found = (np.hstack([corner + 1, corner + CELL]) + offsets.astype("float64") * (CELL - 1)) / scale
            kept = non_maximum_suppression(found, confidence, 0.5)
            boxes.append(found[kept])
            scores.append(confidence[kept])
            scale *= scale_factor
        boxes, scores = np.concatenate(boxes), np.concatenate(scores)
        kept = non_maximum_suppression(boxes, scores, 0.7)
        return boxes[kept], scores[kept]

    @staticmethod
    def _in_chunks(network, photo, boxes, widths, chunk=512):
        """Run a network over the boxes' patches, a bounded number at a time; outputs of the given widths."""
        height, width = photo.shape[:2]
        relative = (boxes / [width, height, width, height])[:, [1, 0, 3, 2]].astype("float32")
        outputs = [[np.empty((0, columns), "float32") for columns in widths]]
        for i in range(0, len(boxes), chunk):
            outputs.append([np.asarray(part) for part in network(photo, relative[i : i + chunk])])
        return [np.concatenate(parts) for parts in zip(*outputs, strict=True)]


def _as_graph(network):
    """One of the package's networks as a function of plain TensorFlow operations, whatever backend Keras runs on."""
    tf = tensorflow()
    arrays = {layer.name: [keras.ops.convert_to_numpy(weight) for weight in layer.weights] for layer in network.layers}

    def apply(layer, x):
        values = arrays[layer.name]
        match type(layer).__name__:
            case "Conv2D":
                x = tf.nn.bias_add(tf.nn.conv2d(x, values[0], 1, "VALID"), values[1])
                return tf.nn.softmax(x) if layer.activation is keras.activations.softmax else x
            case "Dense":
                x = tf.matmul(x, values[0]) + values[1]
                return tf.nn.softmax(x) if layer.activation is keras.activations.softmax else x
            case "PReLU":
                return tf.maximum(x, 0.0) + values[0] * tf.minimum(x, 0.0)
            case "MaxPooling2D":
                return tf.nn.max_pool2d(x, layer.pool_size, layer.strides, layer.padding.upper())
            case "Permute":
                return tf.transpose(x, (0, *layer.dims))
            case "Flatten":
                return tf.reshape(x, (-1, int(np.prod(x.shape[1:]))))
        raise TypeError(f"mtcnn's network has a layer that was not expected here: {type(layer).__name__}")

    body = [layer for layer in network.layers if "-" not in layer.name]
    heads = [layer for layer in network.layers if "-" in layer.name]

    def graph(x):
        for layer in body:
            x = apply(layer, x)
        return [apply(head, x) for head in heads]

    return graph


# --- arithmetic of boxes (N×4: left, top, right, bottom) --------------------------------------------------------------


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

    As the ``mtcnn`` package has it, a suppressed box suppresses too. Overlaps are compared a chunk at a time, so memory grows
    with N, not N².

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
        whole = smaller if of_smaller else areas[:stop, None] + areas[None, start:stop] - intersection
        earlier = np.arange(stop)[:, None] < np.arange(start, stop)[None]
        suppressed = ((intersection > threshold * whole) & earlier).any(axis=0)
        kept.append(order[start:stop][~suppressed])
    return np.concatenate(kept) if kept else order
