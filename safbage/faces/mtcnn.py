"""MTCNN's three networks and the way through them (Zhang et al. 2016), on arrays.

The networks and their weights are those of the ``mtcnn`` package. The way through them is written
out here, because the package's own has traps: it crashes when `min_face_size` is 28 or more, takes
bad input for "no face", lets photos of one list disturb each other, and runs every layer by itself.
Here one photo is seen at a time, each network is one compiled graph that takes any size, and memory
stays bounded. With the default settings the boxes are the package's own.
"""

import functools
import threading
from importlib.resources import files

import numpy as np

from safbage.runtime.backend import check_process, keras, tensorflow

CELL = 12
"""Side of the window that the first network slides over the photo, in pixels."""


_LOCK = threading.Lock()


def networks() -> "Cascade":
    """The three networks, built once in a process, whichever thread asks first.

    Raises:
        RuntimeError: in a forked process, see `backend.check_process`.
    """
    check_process()
    with _LOCK:
        return _built()


@functools.cache
def _built():
    return Cascade()


class Cascade:
    """MTCNN's proposal, refinement and output networks, and the way through them."""

    def __init__(self):
        tf = tensorflow()
        from mtcnn.stages import StageONet, StagePNet, StageRNet

        # Absolute paths: given a bare name, the package would first unpickle a file of that name
        # that lies in the working directory.
        folder = files("mtcnn.assets.weights")
        propose = _proposal(StagePNet(weights=str(folder / "pnet.lz4")).model)
        refine = _as_graph(StageRNet(weights=str(folder / "rnet.lz4")).model)
        output = _as_graph(StageONet(weights=str(folder / "onet.lz4")).model)
        photo = tf.TensorSpec((None, None, 3), tf.float32)
        boxes = tf.TensorSpec((None, 4), tf.float32)

        def patches(image, boxes, side):
            return tf.image.crop_and_resize(
                image[None], boxes, tf.zeros(tf.shape(boxes)[0], tf.int32), (side, side)
            )

        level = [photo, tf.TensorSpec((2,), tf.int32), tf.TensorSpec((), tf.float32)]
        self._tensor = tf.constant
        self.cells = {
            odd: tf.function(
                functools.partial(propose, odd=odd), autograph=False, input_signature=level
            )
            for odd in np.ndindex(2, 2)
        }
        self._refine = tf.function(
            lambda i, b: refine(patches(i, b, 24)), autograph=False, input_signature=[photo, boxes]
        )
        self._output = tf.function(
            lambda i, b: output(patches(i, b, 48)), autograph=False, input_signature=[photo, boxes]
        )

    def detect(self, image, min_face_size, thresholds, scale_factor):
        """By stage: boxes (N×4: left, top, right, bottom), scores (N), landmarks (N×10, five x,
        five y; N×0 but for the last)."""
        photo = self._tensor((image.astype("float32") - 127.5) / 128)
        proposed, proposed_scores = self._propose(photo, min_face_size, thresholds[0], scale_factor)
        refined, refined_scores = self._refined(photo, _squared(proposed), thresholds[1])
        return {
            "proposal": (proposed, proposed_scores, np.empty((len(proposed), 0))),
            "refinement": (refined, refined_scores, np.empty((len(refined), 0))),
            "output": self._final(photo, _squared(refined), thresholds[2]),
        }

    def _propose(self, photo, min_face_size, threshold, scale_factor):
        """Candidates of every pyramid level, from the scale at which the smallest face fills a
        cell."""
        boxes, scores = [np.empty((0, 4))], [np.empty(0)]
        scale = CELL / min_face_size
        while min(photo.shape[:2]) * scale >= CELL:
            size = np.array([int(side * scale) for side in photo.shape[:2]], "int32")
            cells, offsets, confidence = (
                np.asarray(part) for part in self.cells[tuple(size % 2)](photo, size, threshold)
            )
            corner = 2 * cells[:, ::-1]
            found = (
                np.hstack([corner + 1, corner + CELL]) + offsets.astype("float64") * (CELL - 1)
            ) / scale
            kept = non_maximum_suppression(found, confidence, 0.5)
            boxes.append(found[kept])
            scores.append(confidence[kept])
            scale *= scale_factor
        boxes, scores = np.concatenate(boxes), np.concatenate(scores)
        kept = non_maximum_suppression(boxes, scores, 0.7)
        return boxes[kept], scores[kept]

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

    @staticmethod
    def _in_chunks(network, photo, boxes, widths, chunk=512):
        """Run a network over the boxes' patches, a bounded number at a time; outputs of the given
        widths."""
        height, width = photo.shape[:2]
        relative = (boxes / [width, height, width, height])[:, [1, 0, 3, 2]].astype("float32")
        outputs = [[np.empty((0, columns), "float32") for columns in widths]]
        for i in range(0, len(boxes), chunk):
            outputs.append([np.asarray(part) for part in network(photo, relative[i : i + chunk])])
        return [np.concatenate(parts) for parts in zip(*outputs, strict=True)]


def _weights(network):
    return {
        layer.name: [keras.ops.convert_to_numpy(weight) for weight in layer.weights]
        for layer in network.layers
    }


def _convolution(x, kernel, bias, stride=1):
    tf = tensorflow()
    return tf.nn.bias_add(tf.nn.conv2d(x, kernel, stride, "VALID"), bias)


def _prelu(x, slopes):
    tf = tensorflow()
    return tf.nn.relu(x) - slopes * tf.nn.relu(-x)


def _proposal(network):
    """The package's first network as a function: the cells of a level above a threshold, as (row,
    column), offsets, scores.

    Its arguments are the photo, the level's (height, width), the threshold, and whether height and
    width are odd, 0 or 1 each.

    It sees most pixels, so it is the one to make fast. Its first convolution and the pooling of 2×2
    that follows are one convolution of stride 2, whose 40 channels are the four neighbours of each
    pooled pixel; and only cells above the threshold get their offsets.
    """
    tf = tensorflow()
    weights = _weights(network)
    kernel, bias = weights["conv1"]
    neighbours = np.zeros((4, 4, 3, 4, len(bias)), "float32")
    for i, (row, column) in enumerate(np.ndindex(2, 2)):
        neighbours[row : row + 3, column : column + 3, :, i] = kernel
    neighbours = neighbours.reshape(4, 4, 3, -1)
    slopes = {i: weights[f"prelu{i}"][0].ravel() for i in (1, 2, 3)}
    # softmax of two is sigmoid of one
    of_face = [weight[..., 1:] - weight[..., :1] for weight in weights["conv4-2"]]

    def pooled(x, odd):
        x = tf.pad(x, [[0, 0], [0, odd[0]], [0, odd[1]], [0, 0]]) if any(odd) else x
        x = _prelu(_convolution(x, neighbours, np.tile(bias, 4), 2), np.tile(slopes[1], 4))
        largest, *others = tf.split(x, 4, axis=3)
        for (row, column), other in zip([(0, 1), (1, 0), (1, 1)], others, strict=True):
            down, right = row * odd[0], column * odd[1]
            if down or right:  # the last of these neighbours lie beyond the picture
                other = other[:, : -1 if down else None, : -1 if right else None]
                other = tf.pad(
                    other, [[0, 0], [0, down], [0, right], [0, 0]], constant_values=-np.inf
                )
            largest = tf.maximum(largest, other)
        return largest

    def propose(photo, size, threshold, odd):
        x = pooled(tf.image.resize(photo[None], size, tf.image.ResizeMethod.AREA), odd)
        x = _prelu(_convolution(x, *weights["conv2"]), slopes[2])
        x = _prelu(_convolution(x, *weights["conv3"]), slopes[3])
        cells = tf.where(tf.sigmoid(_convolution(x, *of_face))[0, :, :, 0] > threshold)
        # For single cells, 1×1 convolutions are products; oneDNN's convolutions fail for no cells.
        x = tf.gather_nd(x[0], cells)
        offsets, scores = (
            tf.matmul(x, weights[name][0][0, 0]) + weights[name][1]
            for name in ("conv4-1", "conv4-2")
        )
        return cells, offsets, tf.nn.softmax(scores)[:, 1]

    return propose


def _as_graph(network):
    """One of the package's other networks as a function of TensorFlow operations, whatever backend
    Keras runs on."""
    tf = tensorflow()
    weights = _weights(network)

    def apply(layer, x):
        values = weights[layer.name]
        match type(layer).__name__:
            case "Conv2D":
                return _convolution(x, *values)
            case "Dense":
                x = tf.matmul(x, values[0]) + values[1]
                return tf.nn.softmax(x) if layer.activation is keras.activations.softmax else x
            case "PReLU":
                return _prelu(x, values[0])
            case "MaxPooling2D":
                return tf.nn.max_pool2d(x, layer.pool_size, layer.strides, layer.padding.upper())
            case "Permute":
                return tf.transpose(x, (0, *layer.dims))
            case "Flatten":
                return tf.reshape(x, (-1, int(np.prod(x.shape[1:]))))
        raise TypeError(
            f"mtcnn's network has a layer that was not expected here: {type(layer).__name__}"
        )

    body = [layer for layer in network.layers if "-" not in layer.name]
    heads = [layer for layer in network.layers if "-" in layer.name]

    def graph(x):
        for layer in body:
            x = apply(layer, x)
        return [apply(head, x) for head in heads]

    return graph


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
