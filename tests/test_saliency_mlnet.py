import h5py
import keras
import numpy as np
import pytest
from conftest import data_folder

from safbage import SafBage, faces, fixations, images, saliency
from safbage.errors import CheckpointError
from safbage.runtime import weights
from safbage.saliency import mlnet
from safbage.saliency.metrics import cc, mass_within

CROP = (slice(40, 264), slice(120, 344))
"""224×224 pixels about the astronaut's face, for feature values computed once with PyTorch."""


def test_the_parameters_are_those_of_the_paper():
    head = 3 * 3 * 1280 * 64 + 64 + 64 + 1 + 6 * 8
    assert mlnet.mlnet().count_params() == 14_714_688 + head


def test_published_sizes():
    model = mlnet.mlnet()
    assert [model.get_layer(f"conv{b}_1").filters for b in range(1, 6)] == [64, 128, 256, 512, 512]
    assert [model.get_layer(f"pool{b}").strides for b in range(1, 5)] == [(2, 2), (2, 2), (2, 2), (1, 1)]
    assert model.get_layer("levels").output.shape[-1] == 256 + 512 + 512
    assert model.get_layer("prior").prior.shape == (6, 8)
    assert not any(layer.name == "pool5" for layer in model.layers)


@pytest.fixture(scope="module")
def untrained():
    return mlnet.mlnet()


@pytest.mark.parametrize("size", [(16, 16), (24, 40), (32, 16), (48, 80)])
def test_any_size_in_one_model(size, untrained):
    maps = untrained.predict_on_batch(np.zeros((2, *size, 3), "float32"))
    assert maps.shape == (2, size[0] // 8, size[1] // 8, 1)


def test_the_trunks_features_are_torchvisions(astronaut):
    """Means of pool3, pool4 and conv5_3, from the same weights run by PyTorch."""
    features = mlnet.mlnet_trunk().predict_on_batch(astronaut[CROP][None].astype("float32"))
    assert features.shape == (1, 28, 28, 1280)
    levels = (slice(0, 256), slice(256, 768), slice(768, 1280))
    assert [float(features[..., level].mean()) for level in levels] == pytest.approx([2.43679, 0.984737, 0.157887], rel=1e-4)


# --- the prior --------------------------------------------------------------------------------------------------------


def test_an_untrained_prior_changes_nothing(generator):
    maps = generator.random((2, 7, 9, 1)).astype("float32")
    assert np.allclose(mlnet.LearnedPrior(2, 3)(maps), maps, atol=1e-6)


def test_the_prior_by_hand():
    prior = mlnet.LearnedPrior(1, 2)
    prior.build((None, 1, 4, 1))
    prior.prior.assign([[0.0, 2.0]])
    # 1 + W = [1, 3], stretched to four cells: 1, 1.5, 2.5, 3
    assert np.allclose(np.ravel(prior(np.ones((1, 1, 4, 1), "float32"))), [1, 1.5, 2.5, 3])


def test_stretching_is_bilinear_resizing(generator):
    values = generator.random((3, 4)).astype("float32")
    for size in ((30, 40), (28, 28), (5, 9)):
        down, across = (keras.ops.convert_to_numpy(mlnet.stretch(n, t)) for n, t in zip((3, 4), size, strict=True))
        assert np.allclose(down @ values @ across.T, images.resize(values, size), atol=1e-5)


# --- the loss ---------------------------------------------------------------------------------------------------------


def test_the_loss_by_hand():
    truth = np.array([0.0, 0.5, 1.0, 0.6], "float32").reshape(1, 2, 2, 1)
    predicted = np.array([0.0, 1.0, 2.0, 0.4], "float32").reshape(1, 2, 2, 1)  # over its maximum: 0, 0.5, 1, 0.2
    assert float(mlnet.mlnet_loss(truth, predicted)[0]) == pytest.approx((0.4**2 / 0.5) / 4, rel=1e-4)


def test_the_loss_does_not_see_the_predictions_scale(generator):
    truth, predicted = generator.random((2, 3, 6, 8, 1)).astype("float32")
    assert np.allclose(mlnet.mlnet_loss(truth, predicted), mlnet.mlnet_loss(truth, 7 * predicted), rtol=1e-4)


# --- the shipped network ----------------------------------------------------------------------------------------------


def test_maps_of_faces(model, astronaut):
    seen = model.explain(astronaut)
    assert seen.maps.shape == (1, 28, 28)
    assert seen.maps.min() >= 0 and seen.maps.max() == pytest.approx(1)


def test_no_faces_no_maps():
    assert saliency.predict_faces(np.zeros((0, 224, 224, 3), "uint8")).shape == (0, 28, 28)


@pytest.mark.parametrize("size", [(512, 512), (100, 333), (7, 5), (1, 1)])
def test_a_photos_map_has_the_photos_size(astronaut, size):
    photo = images.resize(astronaut, size)
    map = saliency.predict(photo)
    assert map.shape == size and map.dtype == np.float32
    assert map.min() >= 0 and map.max() <= 1


def test_a_face_sized_photo_is_seen_as_the_pipeline_sees_it(astronaut):
    face = astronaut[CROP]
    small = saliency.predict_faces(face[None])[0]
    assert np.corrcoef(images.resize(small, (224, 224)).ravel(), saliency.predict(face).ravel())[0, 1] > 0.97


def test_the_saliency_of_a_face_lies_on_eyes_nose_and_mouth(astronaut):
    (face,) = faces.detect_faces(astronaut)
    (map,) = saliency.predict_faces(faces.crop_face(astronaut, face)[None])
    assert landmark_share(face, map) > 2.5


def landmark_share(face, map):
    """Mass near a landmark, over what a uniform map has there."""
    near = faces.near_landmarks(face)
    return mass_within(map, near) / near.mean()


@pytest.mark.parametrize("step", [1800, pytest.param(300, marks=pytest.mark.slow)])
def test_the_saliency_of_many_faces_lies_on_eyes_nose_and_mouth(step):
    shares = []
    for path in sorted(data_folder("UTKFace").iterdir())[11::step]:
        image = images.read(path)
        found = faces.detect_faces(image, min_face_size=60)
        if found:
            (map,) = saliency.predict_faces(faces.crop_face(image, found[0])[None])
            shares.append(landmark_share(found[0], map))
    assert len(shares) > 10_000 / step and np.mean(shares) > 2.5


@pytest.mark.parametrize("count", [8, pytest.param(60, marks=pytest.mark.slow)])
def test_held_back_scenes_are_predicted(count):
    """A part of the fifth of OSIE that training never saw (the model card has all of it)."""
    seen = mlnet.load().seen
    held_back = [scene for scene in fixations.osie(data_folder("osie")) if scene.name not in seen]
    assert len(held_back) == 120 and len(seen) == 680
    values = [cc(saliency.predict(scene.pixels()), scene.fixation_map()) for scene in held_back[:count]]
    assert np.mean(values) > 0.74


# --- the light network -------------------------------------------------------------------------------------------------


def test_levels_are_read_at_the_middles_of_cells():
    """AlexNet's levels, as a ramp over the picture's pixels, read 4, 12, 20 … at the map's cells, held at the border."""
    image = np.zeros((1, 224, 224, 3), "float32")
    for name, cells in (("conv2", 27), ("conv5", 13)):
        step, first = mlnet.ALEXNET_GRIDS[name]
        ramp = np.broadcast_to((first + step * np.arange(cells, dtype="float32"))[:, None], (cells, cells))
        level = np.stack([ramp, ramp.T], axis=-1)[None]
        read = keras.ops.convert_to_numpy(mlnet.AtCells(step, first)(level, image))
        expected = np.clip(8 * np.arange(28) + 4, ramp.min(), ramp.max())
        assert np.allclose(read[0, :, 5, 0], expected, atol=1e-3) and np.allclose(read[0, 5, :, 1], expected, atol=1e-3)


def test_alexnets_cells_lie_where_the_grids_say():
    """With means for kernels, a bright bar over the middle of a level's fifth cell raises that level about its fifth cell."""
    model = mlnet.mlnet(backbone="alexnet", prior=(2, 2))
    for layer in model.layers:
        if layer.name.startswith("conv") and layer.weights:
            layer.kernel.assign(np.full(layer.kernel.shape, 1 / np.prod(layer.kernel.shape[:3])))
    for name, (step, first) in mlnet.ALEXNET_GRIDS.items():
        level = keras.Model(model.input, model.get_layer(name).output)
        for cell in (5, 6):
            bar = np.full((2, 224, 224, 3), 140.0, "float32")
            middle = round(first + cell * step)
            bar[1, :, middle - 8 : middle + 8] = 255
            even, barred = keras.ops.convert_to_numpy(level(bar))[:, 6, :, 0]
            raised = barred - even
            assert (np.arange(len(raised)) * raised).sum() / raised.sum() == pytest.approx(cell, abs=0.3)


@pytest.mark.parametrize("size", [(224, 224), (80, 128), (240, 320)])
def test_the_light_network_takes_any_size(size):
    maps = mlnet.mlnet(backbone="alexnet", prior=(2, 2)).predict_on_batch(np.zeros((2, *size, 3), "float32"))
    assert maps.shape == (2, size[0] // 8, size[1] // 8, 1)


def test_the_light_networks_maps_are_ml_nets(astronaut):
    (face,) = faces.detect_faces(astronaut)
    crop = faces.crop_face(astronaut, face)[None]
    light = saliency.predict_faces(crop, mlnet.load("light"))
    assert light.shape == (1, 28, 28) and cc(light[0], saliency.predict_faces(crop)[0]) > 0.9


def test_the_pipeline_takes_the_light_network(astronaut):
    seen = SafBage.load(tasks=("gender",), saliency="light").explain(astronaut)
    assert len(seen.faces) == 1 and seen.maps.max() == pytest.approx(1)


def test_unknown_backbones_and_files(tmp_path):
    with pytest.raises(ValueError, match="vgg16"):
        mlnet.mlnet(backbone="resnet")
    with pytest.raises(FileNotFoundError, match="light"):
        mlnet.load("lihgt")
    weights.save({"a/b": np.zeros(3)}, tmp_path / "other.safetensors", {})
    with pytest.raises(CheckpointError, match="no weights of an ML-Net"):
        mlnet.load(tmp_path / "other.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    with pytest.raises(CheckpointError, match="damaged"):
        mlnet.load(tmp_path / "torn.safetensors")


# --- the authors' file --------------------------------------------------------------------------------------------------

VGG16 = ((3, 64), (64, 64), (64, 128), (128, 128), (128, 256), *[(256, 256)] * 2, (256, 512), *[(512, 512)] * 5)


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
                own = {f"{name}_W": generator.normal(0, spread, shape), f"{name}_b": generator.normal(0.05, 0.02, shape[0])}
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
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2, 2), axis=(1, 2))[:, ::stride, ::stride]
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
    model = mlnet.load(path)
    picture = images.resize(astronaut, (480, 640))
    expected = authors_forward(picture, arrays)
    found = model.predict_on_batch(picture[None].astype("float32"))[0, :, :, 0]
    assert expected.std() > 0.1 * expected.mean() > 0
    assert np.abs(found - expected).max() < 1e-3 * expected.max()


def test_the_authors_way_with_a_photo(authors_file, astronaut):
    map = saliency.predict(astronaut[:300], mlnet.load(authors_file[0]))
    assert map.shape == (300, 512) and map.max() == 1


def test_other_hdf5_files_are_refused(tmp_path, authors_file):
    whole = authors_file[0].read_bytes()
    (tmp_path / "torn.pkl").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match=r"torn\.pkl"):
        mlnet.load(tmp_path / "torn.pkl")
    (tmp_path / "pickle.pkl").write_bytes(b"\x80\x04N.")
    with pytest.raises(CheckpointError, match="no Keras 1 file"):
        mlnet.load(tmp_path / "pickle.pkl")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file.attrs["layer_names"] = [b"dense_1"]
        group = file.create_group("dense_1")
        group.attrs["weight_names"] = [b"W"]
        group["W"] = np.zeros((3, 4))
    with pytest.raises(CheckpointError, match="holds 1 arrays; the authors' ML-Net has 31"):
        mlnet.load(tmp_path / "other.h5")
    for options in (dict(shape=(2**33,)), dict(shape=(2**20,), chunks=(2**10,)), dict(shape=(3,), dtype="S4")):
        with h5py.File(tmp_path / "other.h5", "a") as file:
            del file["dense_1/W"]
            file["dense_1"].create_dataset("W", **options)
        with pytest.raises(CheckpointError, match=r"declares|no array of numbers"):  # and no memory is asked for
            mlnet.load(tmp_path / "other.h5")


def test_a_list_of_names_larger_than_hdf5s_header_is_refused(tmp_path):
    with h5py.File(tmp_path / "names.h5", "w", libver="latest") as file:
        file.attrs["layer_names"] = np.full(10_000, b"dense_1x")
    with pytest.raises(CheckpointError, match="layer_names is larger"):
        mlnet.load(tmp_path / "names.h5")


def test_arrays_in_other_files_are_not_followed(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["W"] = np.zeros(3)
    with h5py.File(tmp_path / "links.h5", "w") as file:
        file.attrs["layer_names"] = [b"dense_1"]
        group = file.create_group("dense_1")
        group.attrs["weight_names"] = [b"W"]
        group["W"] = h5py.ExternalLink("secret.h5", "W")
    with pytest.raises(CheckpointError, match="in this file"):
        mlnet.load(tmp_path / "links.h5")


def test_a_file_tells_the_size_it_was_trained_at_and_what_it_has_seen(tmp_path):
    own = weights.load("mlnet")
    metadata = {"scene_size": "[96, 128]", "seen": '["a.png", "b.png"]'}
    network = mlnet.load(weights.save(own, tmp_path / "own.safetensors", metadata))
    assert network.scene_size == (96, 128) and network.seen == {"a.png", "b.png"}
    photo = np.random.default_rng(0).integers(0, 256, (300, 400, 3), "uint8")
    assert np.array_equal(saliency.predict(photo, network), saliency.predict(photo, network, size=(96, 128)))
    assert not np.array_equal(saliency.predict(photo, network), saliency.predict(photo, network, size=(240, 320)))


def test_a_small_scene_is_seen_as_a_large_one(astronaut):
    large = saliency.predict(astronaut)
    small = saliency.predict(images.resize(astronaut, (128, 128)))
    assert cc(images.resize(small, (512, 512)), large) > 0.8


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
        mlnet.load(path)


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
        mlnet.load(weights.save(own, tmp_path / "odd.safetensors", {}))


def test_half_a_network_is_refused(tmp_path):
    own = weights.load("mlnet")
    own.pop("pre_final_conv/kernel")
    with pytest.raises(CheckpointError, match="pre_final_conv/kernel"):
        mlnet.load(weights.save(own, tmp_path / "half.safetensors", {}))
    own = weights.load("mlnet") | {"fc6/kernel": np.zeros(3)}
    with pytest.raises(CheckpointError, match="fc6"):
        mlnet.load(weights.save(own, tmp_path / "more.safetensors", {}))
