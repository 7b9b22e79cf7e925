"""Keras, imported without the notes that TensorFlow writes on starting.

Those notes (which instructions it was built for, that there is no GPU) come from C++ past every
Python setting, and would be the first thing a student sees. Only lines known to be such notes are
held back; all others are shown.
"""

import contextlib
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import threading

import numpy as np

from safbage.runtime import process
from safbage.runtime.process import check_process

NOTES = [
    "All log messages before absl::InitializeLog",
    "oneDNN custom operations are on",
    "This TensorFlow binary is optimized",
    "To enable the following instructions",
]
if not shutil.which("nvidia-smi"):  # where there is a GPU, these are no notes but news
    NOTES += ["Could not find cuda drivers", "failed call to cuInit"]
_LOCK = threading.RLock()


@contextlib.contextmanager
def quiet_start():
    """Hold back TensorFlow's start-up notes from standard error while the block runs."""
    with _LOCK, _held_back():
        yield


@contextlib.contextmanager
def _held_back():
    try:
        original = os.dup(2)
    except OSError:  # no standard error at all, as under pythonw
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(original, 2)
            os.close(original)
            held.seek(0)
            for line in held.read().decode(errors="replace").splitlines():
                if not any(note in line for note in NOTES):
                    print(line, file=sys.stderr)


@functools.cache
def tensorflow():
    """TensorFlow itself, after it has looked for a GPU, and noted that there is none."""
    with quiet_start():
        import tensorflow

        tensorflow.config.list_physical_devices()
    # Photos differ in size, so that networks are traced again.
    tensorflow.get_logger().addFilter(lambda record: "retracing" not in record.getMessage())
    return tensorflow


with quiet_start():
    import keras
    from keras import layers, ops


def _check_settings():
    """Refuse settings of Keras that our networks are not built for.

    They are not changed: other code of the process may want them.

    Raises:
        ImportError: with what to change, and where.
    """
    home = os.environ.get("KERAS_HOME") or os.path.expanduser(os.path.join("~", ".keras"))
    file = os.path.join(home, "keras.json")
    for name, needed in {"image_data_format": "channels_last", "floatx": "float32"}.items():
        found = getattr(keras.config, name)()
        if found != needed:
            raise ImportError(
                f'safbage needs Keras\'s setting {name} to be "{needed}"; it is "{found}". '
                f"Change it in {file}, or, where your program sets it, call "
                f'keras.config.set_{name}("{needed}") before safbage is imported'
            )


_check_settings()
if keras.config.backend() == "tensorflow":
    tensorflow()


@functools.cache
def has_gpu() -> bool:
    """Whether Keras's backend computes on a GPU (or TPU)."""
    if keras.config.backend() == "torch":
        import torch

        return torch.cuda.is_available()
    return any(not device.startswith("cpu") for device in keras.distribution.list_devices())


@functools.cache
def batch_size() -> int:
    """Faces that go through the networks together where nobody says how many; a power of two.

    On a CPU it is `process.batch_size`. On a GPU as many as fit into half of its memory, up to 256.
    """
    if has_gpu():
        return process.power_of_two(_gpu_memory() // (2 * FACE_BYTES), 4, 256)
    return process.batch_size()


FACE_BYTES = 100_000_000
"""What one face takes on a GPU: the largest layers of ML-Net, some of them at once."""


def _gpu_memory():
    """Bytes of the smallest GPU; 8 GB where nobody tells."""
    query = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    if not shutil.which(query[0]):
        return 8_000_000_000
    told = subprocess.run(query, capture_output=True, text=True, check=True).stdout
    return 2**20 * min(map(int, told.split()))


@contextlib.contextmanager
def precision(policy: str):
    """Let networks that are built while the block runs compute under this dtype policy.

    Such are "float32" and "mixed_bfloat16".

    Raises:
        ValueError: Keras has no such policy.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def predict_batches(model, inputs, size: int):
    """A network's outputs for N rows, computed in batches.

    Batches have few shapes, since the network is compiled once for each. Where a
    `keras.distribution.DataParallel` is set (on JAX, before the network is built), each of its
    devices, a power of two, takes its share of every batch.

    Args:
        model: a `keras.Model`.
        inputs: an array of N rows, or a dict of such; N is at least 1.
        size: rows of a batch, a power of two. The last batch is filled up to the next power of two
            with copies of its last row, whose answers are dropped.

    Returns:
        What the model's outputs are, as NumPy arrays: one of N rows, or a dict of such.

    Raises:
        RuntimeError: in a forked process, see `process.check_process`.
    """
    check_process()
    sharing = keras.distribution.distribution()
    devices = sharing.device_mesh.devices.size if sharing else 1
    count, parts = len(keras.tree.flatten(inputs)[0]), []
    for start in range(0, count, size):
        rows = min(size, count - start)
        filled = max(devices, 1 << (rows - 1).bit_length())

        def batch_of(array, start=start, rows=rows, filled=filled):
            part = array[start : start + rows]
            if filled > rows:
                part = np.concatenate([part, np.repeat(part[-1:], filled - rows, axis=0)])
            if sharing:
                layout = sharing.get_data_layout(part.shape)
                part = keras.distribution.distribute_tensor(part, layout)
            return part

        outputs = model.predict_on_batch(keras.tree.map_structure(batch_of, inputs))
        parts.append(keras.tree.map_structure(lambda y, rows=rows: np.asarray(y)[:rows], outputs))
    return keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *parts)


def value_and_gradient(function, x):
    """A function's values and the gradient of their sum, on whichever backend Keras runs.

    Keras itself has no such call.

    Args:
        function: takes a tensor, gives one number for each of its N rows.
        x: array N×….

    Returns:
        The values (N) and the gradient (as `x`), NumPy arrays. Where each value depends on its own
        row alone, a row of the gradient is that of its own value.
    """
    check_process()
    x = ops.convert_to_tensor(x, "float32")
    if keras.config.backend() == "tensorflow":
        with tensorflow().GradientTape() as tape:
            tape.watch(x)
            values = function(x)
        gradient = tape.gradient(values, x)
    elif keras.config.backend() == "jax":
        import jax

        values, back = jax.vjp(function, x)
        (gradient,) = back(jax.numpy.ones_like(values))
    else:
        import torch

        x = x.detach().requires_grad_()
        with torch.enable_grad():
            values = function(x)
        (gradient,) = torch.autograd.grad(values.sum(), x)
    return ops.convert_to_numpy(values), ops.convert_to_numpy(gradient)


__all__ = [
    "batch_size",
    "check_process",
    "has_gpu",
    "keras",
    "layers",
    "ops",
    "precision",
    "predict_batches",
    "quiet_start",
    "tensorflow",
    "value_and_gradient",
]
