"""Read foreign checkpoint files as plain arrays, without running anything that is in them.

A pickle may call any function it names. The readers here resolve only the few names that numpy arrays (and,
for a PyTorch file, tensors) are made of, and refuse the file at the first other one.
"""

import codecs
import io
import pickle
import zipfile
from pathlib import Path

import numpy as np


class CheckpointError(ValueError):
    """A checkpoint file is damaged, has another layout than expected, or names something that is not an array."""


def _latin1(text, encoding="latin1"):
    """The one use numpy's own pickles make of ``_codecs.encode``: bytes written as latin-1 text."""
    if encoding != "latin1":
        raise CheckpointError(f"the checkpoint asks for the codec {encoding!r}; arrays only need latin1")
    return codecs.encode(text, "latin1")


_reconstruct = np.empty(0).__reduce__()[0]
_frombuffer = np.empty(1).__reduce_ex__(5)[0]
_ARRAYS = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.numeric", "_frombuffer"): _frombuffer,
    ("numpy._core.numeric", "_frombuffer"): _frombuffer,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1,
}


class _ArrayUnpickler(pickle.Unpickler):
    def __init__(self, file, allowed=_ARRAYS):
        super().__init__(file, encoding="latin1")
        self.allowed = allowed

    def find_class(self, module, name):
        try:
            return self.allowed[module, name]
        except KeyError:
            raise CheckpointError(
                f"the checkpoint names {module}.{name}, which no array needs; it was not loaded. "
                "Get the file again from its source, and report it if this persists."
            ) from None


def _unpickle(unpickler):
    try:
        return unpickler.load()
    except CheckpointError:
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise CheckpointError(f"the checkpoint could not be read ({type(error).__name__}: {error})") from error


def _flatten(tree, prefix=""):
    """A nested dict of arrays as one dict, names joined by "/"; lists count as dicts of positions."""
    items = enumerate(tree) if isinstance(tree, list | tuple) else tree.items()
    flat = {}
    for key, value in items:
        name = f"{prefix}{key}"
        if isinstance(value, dict | list | tuple):
            flat |= _flatten(value, f"{name}/")
        elif isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
            flat[name] = value
        else:
            raise CheckpointError(f"{name} is a {type(value).__name__}, not an array of numbers")
    return flat


def read_pickle(data: bytes) -> dict[str, np.ndarray]:
    """Arrays of a pickled nested dict, named by their path (``"AlexNet_0/Conv_0/kernel"``).

    Raises:
        CheckpointError: the pickle is damaged, names anything beyond numpy arrays, or holds other things.
    """
    tree = _unpickle(_ArrayUnpickler(io.BytesIO(data)))
    if not isinstance(tree, dict):
        raise CheckpointError(f"expected a dict of arrays, found a {type(tree).__name__}")
    return _flatten(tree)


def read_npy_dict(path: str | Path) -> dict[str, np.ndarray]:
    """Arrays of a ``.npy`` file that holds one pickled dict, as ``numpy.save`` writes ``{"conv1": [kernel, bias]}``.

    Returns:
        The arrays, named ``"conv1/0"`` (kernel), ``"conv1/1"`` (bias), and so on.

    Raises:
        CheckpointError: as `read_pickle`, or the file is no such ``.npy``.
    """
    with open(path, "rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, _, dtype = read_header[version](file)
        except (ValueError, KeyError) as error:
            raise CheckpointError(f"{path} is not a .npy file ({error})") from error
        if shape != () or dtype.kind != "O":
            raise CheckpointError(f"{path} holds a {dtype} array of shape {shape}; expected one pickled dict")
        boxed = _unpickle(_ArrayUnpickler(file))
    tree = boxed.item() if isinstance(boxed, np.ndarray) and boxed.shape == () else boxed
    if not isinstance(tree, dict):
        raise CheckpointError(f"{path} holds a {type(tree).__name__}; expected a dict of layers")
    return _flatten(tree)


_TORCH_STORAGES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8"}


class _TorchUnpickler(_ArrayUnpickler):
    """Builds numpy arrays where PyTorch would build tensors (the zip layout of torch.save since 1.6)."""

    def __init__(self, archive, root):
        super().__init__(
            io.BytesIO(archive.read(f"{root}/data.pkl")),
            {
                ("collections", "OrderedDict"): dict,
                ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
                **{("torch", storage): dtype for storage, dtype in _TORCH_STORAGES.items()},
            },
        )
        self.archive, self.root = archive, root

    def persistent_load(self, key):
        _, dtype, name, _, _ = key
        return np.frombuffer(self.archive.read(f"{self.root}/data/{name}"), dtype=dtype)

    @staticmethod
    def _tensor(storage, offset, shape, stride, *_):
        values = storage[offset:]
        last = sum((length - 1) * step for length, step in zip(shape, stride, strict=True))
        if 0 not in shape and (min(stride, default=0) < 0 or last >= len(values)):
            raise CheckpointError(f"a tensor of shape {shape} reaches beyond its stored values")
        steps = [step * storage.itemsize for step in stride]
        return np.lib.stride_tricks.as_strided(values, shape, steps, writeable=False).copy()


def read_torch(path: str | Path) -> dict[str, np.ndarray]:
    """Arrays of a state dict saved by ``torch.save`` (zip layout), without PyTorch: ``"features.0.weight"`` and so on.

    Raises:
        CheckpointError: not such a file, damaged, or it names anything beyond tensors.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            roots = [name.removesuffix("/data.pkl") for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(roots) != 1:
                raise CheckpointError(f"{path} is a zip file, but not one that torch.save wrote")
            tree = _unpickle(_TorchUnpickler(archive, roots[0]))
    except zipfile.BadZipFile as error:
        raise CheckpointError(f"{path} is damaged, or not in the zip layout of torch.save ({error})") from error
    if not isinstance(tree, dict):
        raise CheckpointError(f"{path} holds a {type(tree).__name__}; expected a state dict")
    return _flatten(tree)
