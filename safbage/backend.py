"""Keras, imported without the notes that TensorFlow writes on starting.

Those notes (which instructions it was built for, that there is no GPU) come from C++ past every Python setting, and would be the
first thing a student sees. Only lines known to be such notes are held back; all others are shown.
"""

import contextlib
import functools
import os
import shutil
import sys
import tempfile
import threading

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
    """Hold back TensorFlow's known start-up notes from the process's standard error while the block runs."""
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
    """TensorFlow itself, its devices listed: that is when it looks for a GPU, and notes that there is none."""
    with quiet_start():
        import tensorflow

        tensorflow.config.list_physical_devices()
    tensorflow.get_logger().addFilter(lambda record: "retracing" not in record.getMessage())  # photos differ in size
    return tensorflow


with quiet_start():
    import keras
    from keras import layers, ops

if keras.config.backend() == "tensorflow":
    tensorflow()


def value_and_gradient(function, x):
    """A function's values and the gradient of their sum, on whichever backend Keras runs: Keras itself has no such call.

    Args:
        function: takes a tensor, gives one number for each of its N rows.
        x: array N×….

    Returns:
        The values (N) and the gradient (as `x`), NumPy arrays. Where each value depends on its own row alone, a row of the
        gradient is that of its own value.
    """
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


__all__ = ["keras", "layers", "ops", "quiet_start", "tensorflow", "value_and_gradient"]
