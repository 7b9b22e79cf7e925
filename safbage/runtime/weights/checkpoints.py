"""Read foreign checkpoint files as plain arrays, without running anything that is in them.

A pickle may call any function it names. The readers here resolve only the few names that numpy
arrays (and, for a PyTorch file, tensors) are made of, and refuse the file at the first other one.
"""

import codecs
import io
import math
import os
import pickle
import pickletools
import zipfile
from pathlib import Path

import numpy as np
import safetensors.numpy

from safbage.errors import CheckpointError


def _latin1(text, encoding="latin1"):
    """The one use numpy's own pickles make of ``_codecs.encode``: bytes written as latin-1 text."""
    if encoding != "latin1":
        raise CheckpointError(
            f"the checkpoint asks for the codec {encoding!r}; arrays only need latin1"
        )
    return codecs.encode(text, "latin1")


class _Dtype:
    """In place of ``numpy.dtype``, whose inner state a pickle sets.

    A falsified one lets NumPy free what is not an object.
    """

    order = "="

    def __init__(self, kind, *_):
        self.kind = kind

    def __setstate__(self, state):
        self.order = state[1]

    def numbers(self):
        """The NumPy type of this kind and size ("f4") and byte order."""
        if self.kind[0] not in "fiu":
            raise CheckpointError(f"the checkpoint holds {self.kind}, not numbers")
        return np.dtype(self.order + self.kind)


class _Array:
    """In place of ``numpy.ndarray``: what a pickle says of an array becomes `value`."""

    value = None

    def __setstate__(self, state):
        _, shape, dtype, fortran, data = state
        if dtype.kind[0] == "O" and shape == ():  # numpy.save boxes a dict so
            (self.value,) = data
        else:
            if isinstance(data, str):  # bytes, as Python 2 wrote them
                data = data.encode("latin1")
            self.value = _array_over(data, dtype, shape, "F" if fortran else "C")


def _empty_array(kind, shape, _):
    """In place of numpy's ``_reconstruct``: an empty array, which a pickle then fills."""
    if kind is not _Array or shape != (0,):
        raise CheckpointError("the checkpoint builds an array in a way that numpy never writes")
    return _Array()


def _array_over(buffer, dtype, shape, order, *_):
    """In place of numpy's ``_frombuffer``, for arrays of numbers only."""
    return np.frombuffer(buffer, dtype.numbers()).reshape(shape, order=order)


_ARRAYS = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _latin1,
} | {
    (f"numpy.{core}.{module}", name): function
    for core in ("core", "_core")
    for module, name, function in [
        ("multiarray", "_reconstruct", _empty_array),
        ("numeric", "_frombuffer", _array_over),
    ]
}


class _ArrayUnpickler(pickle.Unpickler):
    def __init__(self, file, allowed=_ARRAYS):
        _check_memo(file)
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


def _check_memo(file):
    """Refuse a pickle that numbers what it remembers beyond its bytes.

    Python would make room for all lower numbers.
    """
    start = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(start)
    try:
        for operation, number, _ in pickletools.genops(file):
            if operation.name in ("PUT", "BINPUT", "LONG_BINPUT") and number > size:
                raise CheckpointError(
                    f"the checkpoint remembers a thing as number {number}, and has {size} bytes"
                )
    except CheckpointError:
        raise
    except Exception as error:  # no pickle, cut short, or a length beyond all memory
        raise CheckpointError(f"the checkpoint is damaged, or no pickle ({error})") from error
    file.seek(start)


def _arrays_of(unpickler):
    """Everything that comes out of a pickle, as one flat dict of arrays."""
    try:
        tree = unpickler.load()
        if isinstance(tree, _Array):
            tree = tree.value
        if not isinstance(tree, dict):
            raise CheckpointError(f"expected a dict of arrays, found a {type(tree).__name__}")
        return _flatten(tree)
    except CheckpointError:
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise CheckpointError(
            f"the checkpoint could not be read ({type(error).__name__}: {error})"
        ) from error


def _flatten(tree, prefix=""):
    """A nested dict of arrays as one dict, names joined by "/"; lists as dicts of positions."""
    items = enumerate(tree) if isinstance(tree, list | tuple) else tree.items()
    flat = {}
    for key, value in items:
        name = f"{prefix}{key}"
        if isinstance(value, dict | list | tuple):
            flat |= _flatten(value, f"{name}/")
            continue
        value = value.value if isinstance(value, _Array) else value
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
            flat[name] = value
        else:
            raise CheckpointError(f"{name} is a {type(value).__name__}, not an array of numbers")
    return flat


def read_pickle(data: bytes) -> dict[str, np.ndarray]:
    """Arrays of a pickled nested dict, named by their path (``"AlexNet_0/Conv_0/kernel"``).

    Raises:
        CheckpointError: the pickle is damaged, names anything beyond numpy arrays, or holds other
            things.
    """
    return _arrays_of(_ArrayUnpickler(io.BytesIO(data)))


def read_npy_dict(path: str | Path) -> dict[str, np.ndarray]:
    """Arrays of a ``.npy`` file that holds one pickled dict.

    ``numpy.save`` writes such a file of ``{"conv1": [kernel, bias]}``.

    Returns:
        The arrays, named ``"conv1/0"`` (kernel), ``"conv1/1"`` (bias), and so on.

    Raises:
        CheckpointError: as `read_pickle`, or the file is no such ``.npy``.
    """
    with open(path, "rb") as file:
        try:
            major, minor = np.lib.format.read_magic(file)
            read_header = getattr(np.lib.format, f"read_array_header_{major}_{minor}")
            shape, _, dtype = read_header(file)
        except Exception as error:  # NumPy takes a damaged header apart as Python's source
            raise CheckpointError(f"{path} is not a .npy file ({error})") from error
        if shape != () or dtype.kind != "O":
            raise CheckpointError(
                f"{path} holds a {dtype} array of shape {shape}; expected one pickled dict"
            )
        return _arrays_of(_ArrayUnpickler(file))


_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_TORCH_STORAGES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
}


class _OrderedDict(dict):
    """In place of ``collections.OrderedDict``, without attributes (PyTorch's ``_metadata``)."""

    def __setstate__(self, state):
        pass


class _TorchUnpickler(_ArrayUnpickler):
    """Builds numpy arrays where PyTorch would build tensors.

    Args:
        file: the pickle.
        stored: gives the values of a storage, from its type and its key.
        tensor: makes an array of them, as `_tensor` does.
    """

    def __init__(self, file, stored, tensor):
        super().__init__(
            file,
            {
                ("collections", "OrderedDict"): _OrderedDict,
                ("torch._utils", "_rebuild_tensor_v2"): tensor,
                **{("torch", storage): dtype for storage, dtype in _TORCH_STORAGES.items()},
            },
        )
        self.stored = stored

    def persistent_load(self, key):
        return self.stored(*key[1:3])


def _tensor(storage, offset, shape, stride, *_):
    """In place of PyTorch's ``_rebuild_tensor_v2``."""
    positive = all(length >= 0 for length in (offset, *shape))
    if not (isinstance(storage, np.ndarray) and storage.ndim == 1 and positive):
        raise CheckpointError("a tensor is laid over something that is not its stored values")
    values = storage[offset:]
    if math.prod(shape) > len(values):  # steps of zero would repeat a few values without end
        raise CheckpointError(f"a tensor of shape {shape} reaches beyond its stored values")
    last = sum((length - 1) * step for length, step in zip(shape, stride, strict=True))
    if 0 not in shape and (min(stride, default=0) < 0 or last >= len(values)):
        raise CheckpointError(f"a tensor of shape {shape} reaches beyond its stored values")
    steps = [step * storage.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(values, shape, steps, writeable=False).copy()


def read_torch(path: str | Path) -> dict[str, np.ndarray]:
    """Arrays of a state dict saved by ``torch.save``, without PyTorch.

    They are named ``"features.0.weight"`` and so on.

    Raises:
        CheckpointError: not such a file, damaged, or it names anything beyond tensors.
    """
    with open(path, "rb") as file:
        return _read_torch_zip(file) if zipfile.is_zipfile(file) else _read_torch_legacy(file)


def _check_size(path, declared):
    """Refuse a file that declares more bytes of arrays than it has, before memory is taken."""
    there = os.path.getsize(path)
    if declared > there:
        raise CheckpointError(
            f"{path} is damaged or compressed: "
            f"it has {there:,} bytes and declares arrays of {declared:,}"
        )


def _read_torch_zip(file):
    """The layout since PyTorch 1.6: a zip file of a pickle and of the values of each storage."""
    try:
        with zipfile.ZipFile(file) as archive:
            pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise CheckpointError(
                    f"{file.name} is a zip file, but not one that torch.save wrote"
                )
            root = pickles[0].removesuffix("/data.pkl")
            _check_size(file.name, sum(member.file_size for member in archive.infolist()))

            def stored(dtype, key):
                return np.frombuffer(archive.read(f"{root}/data/{key}"), dtype)

            pickled = io.BytesIO(archive.read(pickles[0]))
            return _arrays_of(_TorchUnpickler(pickled, stored, _tensor))
    except CheckpointError:
        raise
    except Exception as error:  # zipfile passes on whatever it stumbles over
        raise CheckpointError(f"{file.name} is damaged ({error})") from error


def _read_torch_legacy(file):
    """The layout before PyTorch 1.6: five pickles, then the values.

    The pickles are of a magic number, a version, facts about the machine, the tensors, and the keys
    of their storages. Then follow the values of the storages, in the order of the keys, each after
    their number. The pickle of the tensors is read twice, the first time only for the types of the
    storages.
    """
    try:
        file.seek(0)
        if _ArrayUnpickler(file, {}).load() != _TORCH_MAGIC:
            raise CheckpointError(f"{file.name} was not written by torch.save")
        for _ in ("version", "machine"):
            _ArrayUnpickler(file, {}).load()
        start, types, values = file.tell(), {}, {}
        keep_type = lambda dtype, key: types.setdefault(key, dtype)  # noqa: E731
        _TorchUnpickler(file, keep_type, lambda *_: None).load()
        for key in _ArrayUnpickler(file, {}).load():
            count = int.from_bytes(file.read(8), "little")
            size = count * np.dtype(types[key]).itemsize
            _check_size(file.name, size)
            values[key] = np.frombuffer(file.read(size), types[key])
    except CheckpointError:
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise CheckpointError(
            f"{file.name} is damaged, or was not written by torch.save ({error})"
        ) from error
    file.seek(start)
    return _arrays_of(_TorchUnpickler(file, lambda _, key: values[key], _tensor))


# --- HDF5 and safetensors, which hold nothing but arrays ---------------------------------------


def read_keras1(path: str | Path) -> list[np.ndarray]:
    """All arrays of a Keras 1 file of weights (HDF5), layer by layer in the model's order.

    Such a file names its layers in the attribute ``layer_names``, and each layer its arrays in
    ``weight_names``.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: not HDF5, cut short, or of another structure.
    """
    import h5py  # only the authors' file needs it

    if not Path(path).is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        with h5py.File(path) as file:
            root = file.get("model_weights", file)  # there, where the whole model was saved
            layers = [root[name] for name in _names(root, "layer_names")]
            arrays = [layer[name] for layer in layers for name in _names(layer, "weight_names")]
            for array in arrays:
                elsewhere = array.external or array.is_virtual or array.file != file
                if elsewhere or array.dtype.kind not in "fiu":
                    raise CheckpointError(
                        f"{path}: {array.name} is not an array of numbers in this file"
                    )
            _check_size(path, sum(array.nbytes for array in arrays))
            return [np.asarray(array, "float32") for array in arrays]
    except CheckpointError:
        raise
    except Exception as error:  # h5py passes on whatever HDF5 stumbles over
        raise CheckpointError(
            f"{path} is not a Keras 1 file of weights, or is damaged ({error})"
        ) from error


def _names(group, attribute):
    """The names in a group's attribute.

    HDF5 would read beyond the end of one that declares more than fits into a header.
    """
    found = group.attrs.get_id(attribute)
    if math.prod(found.shape) * found.get_type().get_size() > 2**16:
        raise CheckpointError(f"the attribute {attribute} is larger than HDF5 allows")
    names = group.attrs[attribute]
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def read_safetensors(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays by name, as float32, and the metadata.

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: the file is damaged, no safetensors file, or holds other things than
            numbers that NumPy knows.
    """
    try:
        with safetensors.safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
        arrays = safetensors.numpy.load_file(path)
        return {name: array.astype("float32") for name, array in arrays.items()}, metadata
    except (safetensors.SafetensorError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f"{path} is not a safetensors file or is damaged ({error})"
        ) from error
