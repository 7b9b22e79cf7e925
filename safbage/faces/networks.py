"""MTCNN's three networks (Zhang et al. 2016): their layers, their weights, and OpenCV to run them.

The weights are those of the ``mtcnn`` package, read without importing it: it would bring
TensorFlow along. OpenCV is here anyway, starts at once, and takes pictures of any size as they
come.
"""

import functools
import io
import math
import pickle
import queue
import threading
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import cv2
import lz4.frame
import numpy as np
from onnx import helper, numpy_helper

from safbage.errors import CheckpointError
from safbage.runtime.process import check_process

Network = Callable[[np.ndarray], list[np.ndarray]]
"""From N RGB pictures (N×3×H×W, float32, −1 to 1) to offsets of boxes (N×4…), five points where the
network finds any (N×10), and probabilities of "no face" and "face" (N×2…)."""


class Networks(NamedTuple):
    """The three networks, whoever runs them.

    Attributes:
        proposal: takes pictures of any size from 12×12; it answers for each of their windows of
            12×12, 2 pixels apart, so that its outputs have two more axes.
        refinement: takes pictures of 24×24.
        output: takes pictures of 48×48, and gives points.
    """

    proposal: Network
    refinement: Network
    output: Network


_LOCK = threading.Lock()


def networks() -> Networks:
    """The three networks, run by OpenCV; built once in a process, whichever thread asks first.

    Raises:
        RuntimeError: in a forked process, see `process.check_process`.
        CheckpointError: the mtcnn package's files are damaged.
    """
    check_process()
    with _LOCK:
        return _built()


@functools.cache
def _built():
    return Networks(*(opencv(file) for file in onnx_files()))


def onnx_files() -> tuple[bytes, bytes, bytes]:
    """The three networks as the bytes of ONNX files, which other engines run, too.

    Raises:
        CheckpointError: the mtcnn package's files are damaged.
    """
    package = Path(find_spec("mtcnn").origin).parent  # found, but not imported
    folder = package / "assets" / "weights"
    return (
        _onnx(_proposal, read_weights(folder / "pnet.lz4"), None),
        _onnx(_refinement, read_weights(folder / "rnet.lz4"), 24),
        _onnx(_output, read_weights(folder / "onet.lz4"), 48),
    )


# --- the layers -----------------------------------------------------------------------------------


def _proposal(layers, x):
    """P-Net, for pictures of any size; the others are for one size (figure 2 of the paper)."""
    x = layers.pool(layers.prelu(layers.convolution(x)), 2)
    x = layers.prelu(layers.convolution(x))
    x = layers.prelu(layers.convolution(x))
    return layers.convolution(x), layers.softmax(layers.convolution(x))


def _refinement(layers, x):
    """R-Net."""
    x = layers.pool(layers.prelu(layers.convolution(x)), 3)
    x = layers.pool(layers.prelu(layers.convolution(x)), 3)
    x = layers.prelu(layers.convolution(x))
    x = layers.prelu(layers.dense(layers.flatten(x)))
    return layers.dense(x), layers.softmax(layers.dense(x))


def _output(layers, x):
    """O-Net."""
    x = layers.pool(layers.prelu(layers.convolution(x)), 3)
    x = layers.pool(layers.prelu(layers.convolution(x)), 3)
    x = layers.pool(layers.prelu(layers.convolution(x)), 2)
    x = layers.prelu(layers.convolution(x))
    x = layers.prelu(layers.dense(layers.flatten(x)))
    return layers.dense(x), layers.dense(x), layers.softmax(layers.dense(x))


class _Layers:
    """Layers as nodes of an ONNX graph. Each takes the next of the weights, and a tensor's name;
    it gives the name of its output."""

    def __init__(self, weights: Iterable[np.ndarray]):
        self.weights = iter(weights)
        self.nodes, self.constants = [], []

    def convolution(self, x):
        kernel, bias = next(self.weights), next(self.weights)
        kernel = kernel.transpose(3, 2, 0, 1)  # from height, width, inputs, outputs
        return self._node("Conv", x, kernel, bias, kernel_shape=kernel.shape[2:])

    def prelu(self, x):
        slopes = next(self.weights)
        return self._node("PRelu", x, slopes.reshape(-1, 1, 1) if slopes.ndim == 3 else slopes)

    def pool(self, x, side):
        """The largest of each window; the last may reach beyond the border, as in Caffe."""
        return self._node("MaxPool", x, kernel_shape=(side, side), strides=(2, 2), ceil_mode=1)

    def flatten(self, x):
        """Column by column, the channels of a pixel together."""
        return self._node("Flatten", self._node("Transpose", x, perm=(0, 3, 2, 1)))

    def dense(self, x):
        return self._node("Gemm", x, next(self.weights), next(self.weights))

    def softmax(self, x):
        return self._node("Softmax", x, axis=1)

    def _node(self, kind, x, *constants, **options):
        name = f"{kind}_{len(self.nodes)}"
        own = [f"{name}_{i}" for i in range(len(constants))]
        self.constants += map(numpy_helper.from_array, map(np.ascontiguousarray, constants), own)
        self.nodes.append(helper.make_node(kind, [x, *own], [name], name=name, **options))
        return name


def _onnx(network, weights, side):
    """A network as an ONNX file's bytes; it takes pictures of side×side, or where that is None, of
    any size."""
    layers = _Layers(weights)
    outputs = network(layers, "pictures")
    size, cells = ((side, side), ()) if side else (("height", "width"), ("down", "across"))

    def tensor(name, *shape):
        return helper.make_tensor_value_info(name, helper.TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        layers.nodes,
        "mtcnn",
        [tensor("pictures", "count", 3, *size)],
        [tensor(name, "count", f"{name}_values", *cells) for name in outputs],
        layers.constants,
    )
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString()


# --- the weights ----------------------------------------------------------------------------------


def read_weights(path: Path) -> list[np.ndarray]:
    """The weights in one of the mtcnn package's files, in the layers' order.

    It is a pickle of joblib's, compressed. The unpickler here knows arrays of numbers and nothing
    else.

    Raises:
        CheckpointError: the file is not there, is damaged, or holds anything else.
    """
    try:
        file = io.BytesIO(lz4.frame.decompress(path.read_bytes()))
        return [array.numbers for array in _Unpickler(file).load()]
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise CheckpointError(
            f"{path} is damaged ({error!r}): python -m pip install --force-reinstall mtcnn"
        ) from error


class _Unpickler(pickle.Unpickler):
    """Knows only what joblib writes of an array."""

    def __init__(self, file):
        super().__init__(file)
        array = type("Array", (_Array,), {"file": file})
        self.known = {
            ("joblib.numpy_pickle", "NumpyArrayWrapper"): array,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): _Float32,
        }

    def find_class(self, module, name):
        return self.known[module, name]


class _Array:
    """In place of joblib's wrapper: the numbers follow it in the file, after some bytes, whose
    number comes first, that align them."""

    def __setstate__(self, state):
        self.file.read(self.file.read(1)[0])
        data = self.file.read(4 * math.prod(state["shape"]))
        self.numbers = np.frombuffer(data, "<f4").reshape(state["shape"], order=state["order"])


class _Float32:
    """In place of ``numpy.dtype``: the one that there is in these files."""

    def __init__(self, kind, *_):
        if kind != "f4":
            raise CheckpointError(f"it holds {kind}, not float32")

    def __setstate__(self, state):
        if state[1] != "<":
            raise CheckpointError("its numbers are not little-endian")


# --- OpenCV ---------------------------------------------------------------------------------------


def opencv(file: bytes) -> Network:
    """A network, given as an ONNX file's bytes, that OpenCV runs; any thread may call it."""
    content = np.frombuffer(file, "uint8")
    free = queue.SimpleQueue()  # one that answers a thread answers no other meanwhile
    free.put(cv2.dnn.readNetFromONNX(content))

    def run(pictures):
        try:
            network = free.get_nowait()
        except queue.Empty:
            network = cv2.dnn.readNetFromONNX(content)
        network.setInput(np.ascontiguousarray(pictures))
        answers = network.forward(network.getUnconnectedOutLayersNames())
        free.put(network)
        return answers

    return run
