"""Files of trained ML-Nets: ours, with what they tell, and the authors'; all others are refused."""

import h5py
import numpy as np
import pytest

from safbage import images, saliency
from safbage.errors import CheckpointError
from safbage.runtime import weights


def test_files_that_are_no_ml_net_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="light"):
        saliency.load("lihgt")
    weights.save({"a/b": np.zeros(3)}, tmp_path / "other.safetensors", {})
    with pytest.raises(CheckpointError, match="no weights of an ML-Net"):
        saliency.load(tmp_path / "other.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="damaged"):
        saliency.load(tmp_path / "torn.safetensors")


VGG16 = (
    (3, 64),
    (64, 64),
    (64, 128),
    (128, 128),
    (128, 256),
    *[(256, 256)] * 2,
    (256, 512),
    *[(512, 512)] * 5,
)


def write_authors_file(path, generator):
    """A file structured as Keras 1.1 with Theano wrote them; returns its arrays."""
    shapes = [(out, into, 3, 3) for into, out in VGG16] + [(64, 1280, 3, 3), (1, 64, 1, 1)]
    arrays = []
    with h5py.File(path, "w") as file:
        names = [f"convolution2d_{i}" for i in range(1, len(shapes) + 1)]
        places = (2, 5, 9, 13)  # where poolings stand between the layers; they hold no arrays
        for k, place in enumerate(places):
            names.insert(place + k, f"maxpooling2d_{k + 1}")
        names = ["input_1", *names, "eltwiseproduct_1", "activation_1"]
        file.attrs["layer_names"] = [name.encode() for name in names]
        kernels = iter(shapes)
        for name in names:
            group = file.create_group(name)
            own = {}
            if name.startswith("convolution"):
                shape = next(kernels)
                spread = np.sqrt(2 / np.prod(shape[1:]))
                own = {
                    f"{name}_W": generator.normal(0, spread, shape),
                    f"{name}_b": generator.normal(0.05, 0.02, shape[0]),
                }
            elif name == "eltwiseproduct_1":
                own = {"param_0": generator.normal(0, 0.3, (6, 8))}
            group.attrs["weight_names"] = [key.encode() for key in own]
            for key, value in own.items():
                group[key] = value.astype("float32")
                arrays.append(group[key][()])
    return arrays


def theano_conv(x, kernel, bias):
    """Theano's convolution, "same", which flips kernels: out[o, y, x] = Σ kernel[o, i, a, b] · in[i, y + r − a, x + r − b]."""
    r = kernel.shape[2] // 2
    height, width = x.shape[1:]
    padded = np.pad(x, ((0, 0), (r, r), (r, r)))
    total = np.zeros((len(kernel), height, width))
    for a in range(2 * r + 1):
        for b in range(2 * r + 1):
            part = padded[:, 2 * r - a : 2 * r - a + height, 2 * r - b : 2 * r - b + width]
            total += np.tensordot(kernel[:, :, a, b], part, axes=1)
    return np.maximum(total + bias[:, None, None], 0)


def theano_pool(x, stride):
    """Keras 1's 2×2 "same" pooling on Theano: padded by one on all sides, then cut to the expected size."""
    size = [-(-side // stride) for side in x.shape[1:]]
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2, 2), axis=(1, 2))[
        :, ::stride, ::stride
    ]
    return windows.max(axis=(3, 4))[:, : size[0], : size[1]]


def theano_upsample(values, ratio):
    """Theano's bilinear_upsampling along the last axis: the ends repeated, a transposed convolution with a triangle, cut."""
    values = np.concatenate([values[..., :1], values, values[..., -1:]], axis=-1)
    triangle = np.concatenate([np.arange(1, ratio + 1), np.arange(ratio - 1, 0, -1)]) / ratio
    full = np.zeros((*values.shape[:-1], ratio * (values.shape[-1] - 1) + len(triangle)))
    for i in range(values.shape[-1]):
        full[..., i * ratio : i * ratio + len(triangle)] += values[..., i : i + 1] * triangle
    start = 2 * ratio - (ratio - 1) // 2 - 1
    return full[..., start : start + ratio * (values.shape[-1] - 2)]


def authors_forward(picture, arrays):
    """ML-Net as the authors' code runs it under Theano, in NumPy alone: H×W×3 RGB to h×w."""
    layers = iter(zip(arrays[:-1:2], arrays[1:-1:2], strict=True))
    x = (picture[:, :, ::-1].astype(float) - [103.939, 116.779, 123.68]).transpose(2, 0, 1)
    levels = []
    for block, convs in enumerate((2, 2, 3, 3, 3), 1):
        for _ in range(convs):
            x = theano_conv(x, *next(layers))
        x = theano_pool(x, 2 if block < 4 else 1) if block < 5 else x
        levels.append(x)
    x = np.concatenate(levels[2:])
    for layer in layers:
        x = theano_conv(x, *layer)
    ratio = 10
    prior = theano_upsample(theano_upsample(1 + arrays[-1], ratio).T, ratio).T
    return np.maximum(x[0] * prior, 0)


@pytest.fixture(scope="module")
def authors_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("authors") / "mlnet_salicon_weights.pkl"
    return path, write_authors_file(path, np.random.default_rng(0))


@pytest.mark.slow
def test_the_authors_file_gives_the_authors_network(authors_file, astronaut):
    """Layer for layer what Theano computes, checked at the published size against an implementation in NumPy alone."""
    path, arrays = authors_file
    model = saliency.load(path).network
    picture = images.resize(astronaut, (480, 640))
    expected = authors_forward(picture, arrays)
    found = model.predict_on_batch(picture[None].astype("float32"))[0, :, :, 0]
    assert expected.std() > 0.1 * expected.mean() > 0
    assert np.abs(found - expected).max() < 1e-3 * expected.max()


def test_the_authors_way_with_a_photo(authors_file, astronaut):
    saliency_map = saliency.predict(astronaut[:300], saliency.load(authors_file[0]))
    assert saliency_map.shape == (300, 512) and saliency_map.max() == 1


def test_other_hdf5_files_are_refused(tmp_path, authors_file):
    whole = authors_file[0].read_bytes()
    (tmp_path / "torn.pkl").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"torn\.pkl"):
        saliency.load(tmp_path / "torn.pkl")
    (tmp_path / "pickle.pkl").write_bytes(b"\x80\x04N.")
    with pytest.raises(CheckpointError, match="not a Keras 1 file"):
        saliency.load(tmp_path / "pickle.pkl")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["layer_names"] = [b"dense_1"]
        group = file.create_group("dense_1")
        group.attrs["weight_names"] = [b"W"]
        group["W"] = np.zeros((3, 4))
    with pytest.raises(CheckpointError, match="holds 1 arrays; the authors' ML-Net has 31"):
        saliency.load(tmp_path / "other.h5")
    for options in (
        dict(shape=(2**33,)),
        dict(shape=(2**20,), chunks=(2**10,)),
        dict(shape=(3,), dtype="S4"),
    ):
        with h5py.File(tmp_path / "other.h5", "a") as file:
            del file["dense_1/W"]
            file["dense_1"].create_dataset("W", **options)
        with pytest.raises(
            CheckpointError, match=r"declares|not an array of numbers"
        ):  # and no memory is asked for
            saliency.load(tmp_path / "other.h5")


def test_a_list_of_names_larger_than_hdf5s_header_is_refused(tmp_path):
    with h5py.File(tmp_path / "names.h5", "w", libver="latest") as file:
        file.attrs["layer_names"] = np.full(10_000, b"dense_1x")
    with pytest.raises(CheckpointError, match="layer_names is larger"):
        saliency.load(tmp_path / "names.h5")


def test_arrays_in_other_files_are_not_followed(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["W"] = np.zeros(3)
    with h5py.File(tmp_path / "links.h5", "w") as file:
        file.attrs["layer_names"] = [b"dense_1"]
        group = file.create_group("dense_1")
        group.attrs["weight_names"] = [b"W"]
        group["W"] = h5py.ExternalLink("secret.h5", "W")
    with pytest.raises(CheckpointError, match="in this file"):
        saliency.load(tmp_path / "links.h5")


def test_a_file_tells_the_size_it_was_trained_at_and_what_it_has_seen(tmp_path):
    own = weights.load("mlnet")
    metadata = {"scene_size": "[96, 128]", "seen": '["a.png", "b.png"]'}
    network = saliency.load(weights.save(own, tmp_path / "own.safetensors", metadata))
    assert network.scene_size == (96, 128) and network.seen == {"a.png", "b.png"}
    photo = np.random.default_rng(0).integers(0, 256, (300, 400, 3), "uint8")
    assert np.array_equal(
        saliency.predict(photo, network), saliency.predict(photo, network, size=(96, 128))
    )
    assert not np.array_equal(
        saliency.predict(photo, network), saliency.predict(photo, network, size=(240, 320))
    )


@pytest.mark.parametrize(
    "metadata",
    [
        {"scene_size": "5"},
        {"scene_size": "96, 128"},
        {"scene_size": "null"},
        {"scene_size": "[96]"},
        {"scene_size": '["96", "128"]'},
        {"scene_size": "[1000000, 1000000]"},
        {"scene_size": "[-96, 128]"},
        {"seen": "5"},
        {"seen": ""},
        {"seen": "[" * 100_000},
    ],
)
def test_odd_metadata_end_in_the_librarys_own_error(tmp_path, metadata):
    path = weights.save(weights.load("mlnet-light"), tmp_path / "odd.safetensors", metadata)
    with pytest.raises(CheckpointError, match=r"scene_size|seen"):
        saliency.load(path)


@pytest.mark.parametrize(
    "name, shape",
    [
        ("int_conv/kernel", (5,)),
        ("int_conv/kernel", ()),
        ("int_conv/bias", (64, 1)),
        ("prior/prior", (5,)),
        ("prior/prior", (0, 8)),
        ("prior/prior", (2, 2, 2)),
    ],
)
def test_odd_ranks_end_in_the_librarys_own_error(tmp_path, name, shape):
    own = weights.load("mlnet-light") | {name: np.zeros(shape, "float32")}
    with pytest.raises(CheckpointError, match="shape"):
        saliency.load(weights.save(own, tmp_path / "odd.safetensors", {}))


def test_half_a_network_is_refused(tmp_path):
    own = weights.load("mlnet")
    own.pop("pre_final_conv/kernel")
    with pytest.raises(CheckpointError, match="pre_final_conv/kernel"):
        saliency.load(weights.save(own, tmp_path / "half.safetensors", {}))
    own = weights.load("mlnet") | {"fc6/kernel": np.zeros(3)}
    with pytest.raises(CheckpointError, match="fc6"):
        saliency.load(weights.save(own, tmp_path / "more.safetensors", {}))
