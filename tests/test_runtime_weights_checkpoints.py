"""Foreign checkpoints: made by hand here, benign and malicious."""

import collections
import io
import os
import pickle
import sys
import types
import zipfile

import numpy as np
import pytest

from safbage.errors import CheckpointError
from safbage.runtime.weights import checkpoints


@pytest.fixture
def tree(generator):
    conv = {
        "kernel": generator.normal(size=(3, 3, 2, 4)).astype("float32"),
        "bias": np.zeros(4, "float32"),
    }
    return {"Net_0": {"Conv_0": conv, "Conv_1": {"kernel": np.ones((1, 1, 4, 2), "float32")}}}


@pytest.mark.parametrize("protocol", range(6))
def test_pickled_arrays_come_back(tree, protocol):
    flat = checkpoints.read_pickle(pickle.dumps(tree, protocol))
    assert list(flat) == ["Net_0/Conv_0/kernel", "Net_0/Conv_0/bias", "Net_0/Conv_1/kernel"]
    assert np.array_equal(flat["Net_0/Conv_0/kernel"], tree["Net_0"]["Conv_0"]["kernel"])


class Malicious:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "function, argument", [(os.system, "touch {}"), (eval, "open('{}', 'w')"), (os.mkdir, "{}")]
)
def test_a_malicious_pickle_is_refused_and_runs_nothing(tmp_path, function, argument):
    trace = tmp_path / "trace"
    data = pickle.dumps({"a": np.zeros(2), "b": Malicious(function, argument.format(trace))})
    with pytest.raises(CheckpointError, match="not loaded"):
        checkpoints.read_pickle(data)
    assert not trace.exists()
    np.save(
        tmp_path / "evil.npy",
        {"conv1": [np.zeros(2), Malicious(function, argument.format(trace))]},
        allow_pickle=True,
    )
    with pytest.raises(CheckpointError, match="not loaded"):
        checkpoints.read_npy_dict(tmp_path / "evil.npy")
    assert not trace.exists()


def test_only_latin1_may_be_encoded():
    import codecs

    with pytest.raises(CheckpointError, match="codec"):
        checkpoints.read_pickle(pickle.dumps({"a": Malicious(codecs.encode, "text", "rot13")}))


def test_an_array_over_foreign_bytes_cannot_be_built():
    """numpy.ndarray((1,), "O", b"...") would read the bytes as the address of a Python object."""
    data = pickle.dumps({"a": Malicious(np.ndarray, (1,), np.dtype("O"), b"AAAAAAAA")})
    with pytest.raises(CheckpointError):
        checkpoints.read_pickle(data)
    frombuffer = np.empty(1).__reduce_ex__(5)[0]
    with pytest.raises(CheckpointError, match="not numbers"):
        checkpoints.read_pickle(
            pickle.dumps({"a": Malicious(frombuffer, b"AAAAAAAA", np.dtype("O"), (1,), "C")})
        )


def test_a_types_inner_state_is_not_taken_over():
    """A flag that says "holds objects" would have NumPy free numbers as if they were addresses."""
    data = pickle.dumps({"a": np.arange(4, dtype="f4")}, 2)
    before_flags = b"NNN" + 2 * b"J\xff\xff\xff\xff" + b"K"
    falsified = data.replace(before_flags + b"\x00", before_flags + b"\x3f")
    assert falsified != data
    assert checkpoints.read_pickle(falsified)["a"].tolist() == [0, 1, 2, 3]


def test_a_dict_within_itself_is_refused():
    tree = {}
    tree["a"] = tree
    with pytest.raises(CheckpointError):
        checkpoints.read_pickle(pickle.dumps(tree))


@pytest.mark.parametrize(
    "data",
    [b"", b"not a pickle", pickle.dumps({"a": np.zeros(2)})[:-9], pickle.dumps([np.zeros(2)])],
)
def test_damaged_or_other_pickles_are_refused(data):
    with pytest.raises(CheckpointError):
        checkpoints.read_pickle(data)


@pytest.mark.parametrize("value", ["text", None, np.array(["a"]), np.array([{}], dtype=object), 3])
def test_only_arrays_of_numbers_are_taken(value):
    with pytest.raises(CheckpointError):
        checkpoints.read_pickle(pickle.dumps({"a": value}))


def test_npy_of_a_dict_of_layers(tmp_path, generator):
    kernel = generator.normal(size=(11, 11, 3, 4)).astype("float32")
    np.save(tmp_path / "net.npy", {"conv1": [kernel, np.ones(4)]}, allow_pickle=True)
    flat = checkpoints.read_npy_dict(tmp_path / "net.npy")
    assert np.array_equal(flat["conv1/0"], kernel) and flat["conv1/1"].tolist() == [1] * 4
    np.save(tmp_path / "plain.npy", np.zeros(3))
    with pytest.raises(CheckpointError, match="expected one pickled dict"):
        checkpoints.read_npy_dict(tmp_path / "plain.npy")
    for other in (b"something else", b"\x93NUMPY\x01\x00\x08\x00{'a': (\n"):
        (tmp_path / "no.npy").write_bytes(other)
        with pytest.raises(CheckpointError, match=r"not a \.npy"):
            checkpoints.read_npy_dict(tmp_path / "no.npy")


# --- a state dict as torch.save writes it, without PyTorch --------------------------------------------------------------


@pytest.fixture
def fake_torch(monkeypatch):
    """Just enough of the names in PyTorch's pickles for the standard pickler to write them."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    class FloatStorage:
        pass

    def _rebuild_tensor_v2(*_):
        raise AssertionError("must not be called when reading")

    FloatStorage.__module__, FloatStorage.__qualname__ = "torch", "FloatStorage"
    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = (
        "torch._utils",
        "_rebuild_tensor_v2",
    )
    torch.FloatStorage, torch._utils, utils._rebuild_tensor_v2 = (
        FloatStorage,
        utils,
        _rebuild_tensor_v2,
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)
    return torch


class Storage:
    def __init__(self, key, length):
        self.key, self.length = key, length


class Tensor:
    def __init__(self, rebuild, storage, offset, shape, stride):
        self.call = rebuild, (storage, offset, shape, stride, False, collections.OrderedDict())

    def __reduce__(self):
        return self.call


def write_torch(path, torch, tensors):
    """`tensors`: name to (values, offset, shape, stride)."""
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, 2)
    pickler.persistent_id = lambda o: (
        ("storage", torch.FloatStorage, o.key, "cpu", o.length) if isinstance(o, Storage) else None
    )
    rebuild = torch._utils._rebuild_tensor_v2
    state = collections.OrderedDict(
        (name, Tensor(rebuild, Storage(str(i), len(values)), offset, shape, stride))
        for i, (name, (values, offset, shape, stride)) in enumerate(tensors.items())
    )
    state._metadata = collections.OrderedDict(
        {"": {"version": 1}}
    )  # as a module's state_dict() has it
    pickler.dump(state)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", stream.getvalue())
        for i, (values, *_) in enumerate(tensors.values()):
            archive.writestr(f"archive/data/{i}", np.asarray(values, "<f4").tobytes())


def test_torch_state_dict(tmp_path, fake_torch):
    values = np.arange(12, dtype="float32")
    tensors = {
        "a.weight": (values, 0, (3, 4), (4, 1)),
        "a.turned": (values, 2, (2, 3), (1, 2)),
        "b": (values, 5, (2,), (1,)),
    }
    write_torch(tmp_path / "net.pth", fake_torch, tensors)
    flat = checkpoints.read_torch(tmp_path / "net.pth")
    assert np.array_equal(flat["a.weight"], values.reshape(3, 4))
    assert flat["a.turned"].tolist() == [[2, 4, 6], [3, 5, 7]]
    assert flat["b"].tolist() == [5, 6]


def test_a_tensor_may_not_reach_beyond_its_storage(tmp_path, fake_torch):
    write_torch(tmp_path / "net.pth", fake_torch, {"a": (np.zeros(4), 0, (1000,), (1,))})
    with pytest.raises(CheckpointError, match="beyond"):
        checkpoints.read_torch(tmp_path / "net.pth")


def test_a_tensor_may_not_repeat_its_values_without_end(tmp_path, fake_torch):
    write_torch(tmp_path / "net.pth", fake_torch, {"a": (np.zeros(4), 0, (2**40,), (0,))})
    with pytest.raises(CheckpointError, match="beyond"):
        checkpoints.read_torch(tmp_path / "net.pth")


def test_a_zip_file_may_not_be_larger_inside(tmp_path, fake_torch):
    write_torch(tmp_path / "net.pth", fake_torch, {"a": (np.zeros(4), 0, (4,), (1,))})
    with zipfile.ZipFile(tmp_path / "net.pth", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/1", bytes(10**6))
    with pytest.raises(CheckpointError, match="declares"):
        checkpoints.read_torch(tmp_path / "net.pth")


def test_damaged_torch_files_are_refused(tmp_path, fake_torch):
    write_torch(tmp_path / "net.pth", fake_torch, {"a": (np.zeros(4), 0, (4,), (1,))})
    whole = (tmp_path / "net.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[:-30])
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoints.read_torch(tmp_path / "cut.pth")
    with zipfile.ZipFile(tmp_path / "other.pth", "w") as archive:
        archive.writestr("readme", "nothing")
    with pytest.raises(CheckpointError, match=r"not one that torch\.save wrote"):
        checkpoints.read_torch(tmp_path / "other.pth")


def test_a_tensor_may_not_stand_for_anothers_storage(tmp_path, fake_torch):
    """An array of shape (10⁹, 0) has no bytes, but a length; laid over it, a tensor would read foreign memory."""
    rebuild = fake_torch._utils._rebuild_tensor_v2
    hollow = Tensor(rebuild, Storage("0", 4), 0, (10**9, 0), (1, 1))
    stream = io.BytesIO()
    pickler = pickle.Pickler(stream, 2)
    pickler.persistent_id = lambda o: (
        ("storage", fake_torch.FloatStorage, o.key, "cpu", 4) if isinstance(o, Storage) else None
    )
    pickler.dump({"a": Tensor(rebuild, hollow, 0, (10**6,), (1,))})
    with zipfile.ZipFile(tmp_path / "net.pth", "w") as archive:
        archive.writestr("archive/data.pkl", stream.getvalue())
        archive.writestr("archive/data/0", np.zeros(4, "<f4").tobytes())
    with pytest.raises(CheckpointError, match="not its stored values"):
        checkpoints.read_torch(tmp_path / "net.pth")


def write_legacy_torch(path, torch, tensors):
    """As `write_torch`, in the layout before PyTorch 1.6."""
    stream = io.BytesIO()
    for head in (
        0x1950A86A20F9469CFC6C,
        1001,
        {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}},
    ):
        pickle.dump(head, stream, 2)
    pickler = pickle.Pickler(stream, 2)
    pickler.persistent_id = lambda o: (
        ("storage", torch.FloatStorage, o.key, "cpu", o.length, None)
        if isinstance(o, Storage)
        else None
    )
    rebuild = torch._utils._rebuild_tensor_v2
    pickler.dump(
        collections.OrderedDict(
            (name, Tensor(rebuild, Storage(name, len(values)), offset, shape, stride))
            for name, (values, offset, shape, stride) in tensors.items()
        )
    )
    pickle.dump(sorted(tensors), stream, 2)
    for name in sorted(tensors):
        values = np.asarray(tensors[name][0], "<f4")
        stream.write(len(values).to_bytes(8, "little") + values.tobytes())
    path.write_bytes(stream.getvalue())


def test_legacy_torch_state_dict(tmp_path, fake_torch):
    first, second = np.arange(12, dtype="float32"), np.arange(5, dtype="float32") + 100
    tensors = {"b.weight": (first, 2, (2, 3), (1, 2)), "a": (second, 1, (4,), (1,))}
    write_legacy_torch(tmp_path / "net.pth", fake_torch, tensors)
    flat = checkpoints.read_torch(tmp_path / "net.pth")
    assert list(flat) == ["b.weight", "a"]
    assert flat["b.weight"].tolist() == [[2, 4, 6], [3, 5, 7]]
    assert flat["a"].tolist() == [101, 102, 103, 104]


def test_bad_legacy_torch_files_are_refused(tmp_path, fake_torch):
    write_legacy_torch(tmp_path / "net.pth", fake_torch, {"a": (np.zeros(40), 0, (40,), (1,))})
    whole = (tmp_path / "net.pth").read_bytes()
    for length in (0, 10, 60, len(whole) // 2, len(whole) - 30):
        (tmp_path / "cut.pth").write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"damaged|beyond"):
            checkpoints.read_torch(tmp_path / "cut.pth")
    place = len(whole) - 160 - 8
    (tmp_path / "more.pth").write_bytes(
        whole[:place] + (2**60).to_bytes(8, "little") + whole[place + 8 :]
    )
    with pytest.raises(CheckpointError, match="declares"):
        checkpoints.read_torch(tmp_path / "more.pth")
    (tmp_path / "call.pth").write_bytes(pickle.dumps(print))
    with pytest.raises(CheckpointError, match=r"names builtins\.print"):
        checkpoints.read_torch(tmp_path / "call.pth")
    (tmp_path / "other.pth").write_bytes(pickle.dumps(1))
    with pytest.raises(CheckpointError, match=r"not written by torch\.save"):
        checkpoints.read_torch(tmp_path / "other.pth")
    write_legacy_torch(tmp_path / "net.pth", fake_torch, {"a": (np.zeros(4), 0, (1000,), (1,))})
    with pytest.raises(CheckpointError, match="beyond"):
        checkpoints.read_torch(tmp_path / "net.pth")


def test_a_pickle_that_numbers_beyond_its_bytes_takes_no_memory():
    with pytest.raises(CheckpointError, match="number 2147483647, and has 9 bytes"):
        checkpoints.read_pickle(b"\x80\x02}r\xff\xff\xff\x7f.")
