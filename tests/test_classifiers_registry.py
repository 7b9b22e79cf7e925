"""Every network by name: its size, its layers' names, where it is cut; its preprocessing and its ImageNet weights."""

import numpy as np
import pytest

from safbage import tasks, trunks
from safbage.classifiers import (
    classifier,
    efficientnet_lite2,
    freeze_below,
    imagenet_weights,
    network,
    split_at,
)
from safbage.errors import WeightsError
from safbage.runtime import backend, weights
from safbage.runtime.backend import keras, ops
from safbage.runtime.weights import converting
from safbage.tasks import NETWORKS

CLASSES = 3
LAST = dict.fromkeys(("alexnet-gap", "resnet50", "densenet121", "efficientnet-lite2"), "softmax")
PARAMETERS = {
    "alexnet": 61_100_840,
    "alexnet-caffe": 60_965_224,
    "alexnet-gap": 2_469_696 + 257 * 1000,
    # conv1-conv3, fc6 on 7 x 7 x 384, fc7, fc8
    "gilnet": (49 * 3 + 1) * 96
    + (25 * 96 + 1) * 256
    + (9 * 256 + 1) * 384
    + (49 * 384 + 1) * 512
    + 513 * 512
    + 513 * 1000,
    "vgg16": 138_357_544,
    "resnet50": 25_636_712,
    "densenet121": 8_062_504,
    "efficientnet-lite2": 6_150_168,
}
"""With 1000 classes, as published."""


@pytest.fixture(scope="module", params=NETWORKS)
def built(request):
    """(name, model), weights at random; one network at a time is in memory."""
    keras.utils.set_random_seed(0)
    return request.param, classifier(request.param, CLASSES, imagenet=False)


@pytest.fixture(scope="module")
def face(request):
    return np.random.default_rng(0).uniform(0, 255, (1, 224, 224, 3)).astype("float32")


def answer(model, x):
    return ops.convert_to_numpy(model(x, training=False))


def same(x, y):
    return np.allclose(x, y, rtol=1e-4, atol=1e-5 * np.abs(y).max())


def test_parameters_are_as_published(built):
    name, model = built
    last = model.layers[-1]
    assert model.count_params() + (last.kernel.shape[0] + 1) * (1000 - CLASSES) == PARAMETERS[name]


def test_layers_have_the_papers_names_and_none_is_nested(built):
    name, model = built
    found = [layer.name for layer in model.layers if layer.weights]
    convs = {
        "alexnet": converting.ALEXNET_CONVS,
        "gilnet": ("conv1", "conv2", "conv3"),
        "vgg16": converting.VGG16_CONVS,
    }
    if name in ("resnet50", "densenet121"):
        assert found[0] == "conv1_conv" and found[-1] == "softmax"
        assert found.count("conv5_block3_2_conv") == 1
    elif name == "efficientnet-lite2":
        assert found[:2] == ["stem_conv", "stem_bn"] and found[-2:] == ["top_bn", "softmax"]
        assert [found.count(f"block6{letter}_dwconv") for letter in "aef"] == [1, 1, 0]
    elif name == "alexnet-gap":
        assert found == [*converting.ALEXNET_CONVS, "softmax"]
    else:
        assert found == [*convs[name.removesuffix("-caffe")], "fc6", "fc7", "fc8"]
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)


def test_what_lies_below_is_frozen_and_no_more(built):
    name, model = built
    head = LAST.get(name, "fc6")
    assert freeze_below(model, head) is model
    trained = {layer.name for layer in model.layers if layer.weights and layer.trainable}
    assert trained == ({"softmax"} if head == "softmax" else {"fc6", "fc7", "fc8"})
    assert len(model.trainable_variables) == 2 * len(trained)
    if "alexnet" in name:
        freeze_below(model, "conv5")  # anew, not on top of the first
        assert {
            layer.name for layer in model.layers if layer.weights and not layer.trainable
        } == set(converting.ALEXNET_CONVS[:4])
    if name == "resnet50":
        freeze_below(model, "conv5_block3_2_conv")
        frozen = [layer.name for layer in model.layers if layer.weights and not layer.trainable]
        assert frozen[-1] == "conv5_block3_1_bn" and "conv5_block2_out" not in frozen
        assert not model.get_layer("conv1_bn").trainable


def test_the_two_parts_answer_as_the_whole(built, face):
    name, model = built
    whole = answer(model, face)
    assert whole.shape == (1, CLASSES) and whole.dtype == np.float32
    assert whole.sum() == pytest.approx(1, abs=1e-5)
    places = [LAST.get(name, "fc6")]
    places += ["conv5", places[0].replace("fc6", "fc8")] if "alexnet" in name else []
    places += {
        "vgg16": ["conv5_3", "fc8"],
        "gilnet": ["conv3"],
        "resnet50": ["conv5_block3_1_conv"],
    }.get(name, [])
    places += ["block6a_expand_conv"] if name == "efficientnet-lite2" else []
    for place in dict.fromkeys(places):
        below, above = split_at(model, place)
        assert same(answer(above, answer(below, face)), whole)
        assert place not in {layer.name for layer in below.layers}
        ours = {id(layer) for layer in model.layers}
        assert all(id(layer) in ours for layer in above.layers[1:] + below.layers)
        assert not any(
            isinstance(layer, keras.layers.Dropout) for layer in below.layers if place != "fc8"
        )
        assert place == next(layer.name for layer in above.layers if layer.weights)


def test_an_unknown_network_is_refused_with_those_there_are():
    with pytest.raises(
        ValueError, match="no network 'alexnet-owt'; there are alexnet, alexnet-caffe"
    ):
        classifier("alexnet-owt", 2)


def test_every_record_says_from_where_each_task_is_trained(built):
    name, model = built
    first = network(name).trained_from
    assert set(first) == set(tasks.CLASSES) and set(first.values()) <= {
        layer.name for layer in model.layers
    }


def test_those_that_ship_say_how():
    names = dict.fromkeys(NETWORKS + tasks.SHIPPED)
    assert {name for name in names if network(name).ships} == set(tasks.SHIPPED)
    assert {name for name in names if network(name).not_trained} == set(names) - set(NETWORKS)


# --- preprocessing -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, theirs",
    [
        ("resnet50", keras.applications.resnet.preprocess_input),
        ("densenet121", keras.applications.densenet.preprocess_input),
    ],
)
def test_the_backbone_sees_what_keras_applications_would_give_it(name, theirs, face, monkeypatch):
    """The plain network on preprocessed faces, given as if it were ImageNet's, has our features; only the last is not ours."""
    real = getattr(keras.applications, "ResNet50" if name == "resnet50" else "DenseNet121")
    plain = real(include_top=False, weights=None, input_shape=(224, 224, 3), pooling="avg")

    def fetched(*, weights, **options):
        return plain if weights == "imagenet" else real(weights=weights, **options)

    monkeypatch.setattr(keras.applications, real.__name__, fetched)
    model = classifier(name, CLASSES)
    assert set(imagenet_weights(name).layers) == {
        layer.name for layer in plain.layers if layer.weights
    }
    below, _ = split_at(model, "softmax")
    assert same(answer(below, face), answer(plain, theirs(face.copy())))


@pytest.mark.parametrize("name", ["alexnet-gap", "gilnet"])
def test_normalisation_by_hand(name, face):
    model = classifier(name, 2, imagenet=False)
    seen = answer(keras.Model(model.inputs[0], model.get_layer("normalization").output), face)
    if name == "alexnet-gap":
        assert np.allclose(
            seen, (face / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225], atol=1e-5
        )
    else:
        corners = np.ix_([0], [0, -1], [0, -1])
        assert seen.shape == (1, 227, 227, 3)
        assert np.allclose(seen[corners], face[corners] - trunks.CAFFE_MEAN, atol=1e-3)


def test_gilnets_maps_have_the_papers_sizes():
    model = classifier("gilnet", 2, imagenet=False)
    shapes = [model.get_layer(f"pool{i}").output.shape[1:] for i in (1, 2, 3)]
    assert shapes == [(28, 28, 96), (14, 14, 256), (7, 7, 384)]
    kernels = [
        ops.convert_to_numpy(model.get_layer(name).kernel) for name in ("conv2", "fc6", "fc7")
    ]
    assert all(kernel.std() == pytest.approx(0.01, rel=0.02) for kernel in kernels)


# --- mixed precision ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["alexnet-gap", "gilnet"])
def test_mixed_precision_answers_in_float32(name, face):
    with backend.precision("mixed_float16"):
        half = classifier(name, CLASSES, imagenet=False)
    whole = classifier(name, CLASSES, imagenet=False)
    whole.set_weights(half.get_weights())
    assert half.get_layer("conv1").compute_dtype == "float16"
    found = answer(half, face)
    assert found.dtype == np.float32
    assert found.sum() == pytest.approx(1, abs=1e-6)
    assert np.allclose(found, answer(whole, face), atol=2e-3)


# --- ImageNet weights --------------------------------------------------------------------------------------------------


def test_alexnet_says_which_layers_are_imagenets(monkeypatch):
    """Its convolutions come with safbage; fc6 and fc7 only where the whole file was fetched; fc8 never."""
    convs = weights.load("alexnet-conv")
    monkeypatch.setattr(weights, "is_cached", lambda name: False)
    model = classifier("alexnet", 2)
    assert imagenet_weights("alexnet").layers == converting.ALEXNET_CONVS
    assert np.array_equal(
        ops.convert_to_numpy(model.get_layer("conv5").kernel), convs["conv5/kernel"]
    )
    whole = {
        "fc6/kernel": np.full((9216, 4096), 6, "float32"),
        "fc7/bias": np.full(4096, 7, "float32"),
    }
    monkeypatch.setattr(weights, "is_cached", lambda name: name == "alexnet-imagenet")
    loaded = {
        "alexnet-conv": convs,
        "alexnet-imagenet": whole | {"conv1/kernel": None, "fc8/kernel": None},
    }
    monkeypatch.setattr(weights, "load", lambda name: dict(loaded[name]))
    found = imagenet_weights("alexnet")
    assert found.layers == (*converting.ALEXNET_CONVS, "fc6", "fc7")
    assert all(
        np.array_equal(found.tensors[name], value) for name, value in (convs | whole).items()
    )


def test_which_layers_are_imagenets_in_words():
    found = imagenet_weights("alexnet-gap")
    assert found.layers == converting.ALEXNET_CONVS
    assert str(found) == f"conv1, conv2, conv3, conv4, conv5 ({weights.digest(found.tensors)[:16]})"
    assert str(imagenet_weights("gilnet")) == "none" and imagenet_weights("gilnet").layers == ()


def test_vgg16s_convolutions_are_torchvisions():
    assert imagenet_weights("vgg16").layers == converting.VGG16_CONVS


def test_efficientnets_checkpoint_under_our_names(monkeypatch):
    """A state dict with the shapes and names of the published one: every value finds its place, depthwise kernels too."""
    generator, plain = (
        np.random.default_rng(0),
        classifier("efficientnet-lite2", CLASSES, imagenet=False),
    )
    state, blocks = {}, [name for name, *_ in efficientnet_lite2.blocks()]
    theirs = {"stem": ("_conv_stem", "_bn0"), "top": ("_conv_head", "_bn1")}
    for i, block in enumerate(blocks):
        theirs |= {f"{block}_expand": (f"_blocks.{i}._expand_conv", f"_blocks.{i}._bn0")}
        theirs |= {f"{block}_project": (f"_blocks.{i}._project_conv", f"_blocks.{i}._bn2")}
        theirs |= {block: (f"_blocks.{i}._depthwise_conv", f"_blocks.{i}._bn1")}
    kinds = {
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    }
    for layer in plain.layers[:-1]:
        name, _, part = layer.name.rpartition("_")
        for variable in layer.weights:
            value = generator.uniform(0.1, 1, variable.shape).astype("float32")
            if part == "bn":
                state[f"{theirs[name][1]}.{kinds[variable.name]}"] = value
            else:  # PyTorch has out×in×H×W, and the channels of a depthwise kernel first
                turned = value.transpose((2, 3, 0, 1) if part == "dwconv" else (3, 2, 0, 1))
                state[f"{theirs[name][0]}.weight"] = turned
            variable.assign(value)
    state |= {"_fc.weight": np.zeros((1000, 1280)), "_fc.bias": np.zeros(1000)}
    converted = converting.efficientnet_lite2_from_pytorch(state)
    monkeypatch.setattr(weights, "load", lambda name: converted)
    model = classifier("efficientnet-lite2", CLASSES)
    layers = {layer.name for layer in model.layers[:-1] if layer.weights}
    assert set(imagenet_weights("efficientnet-lite2").layers) == layers
    for ours, known in zip(model.layers[:-1], plain.layers[:-1], strict=True):
        assert all(
            np.array_equal(a, b)
            for a, b in zip(ours.get_weights(), known.get_weights(), strict=True)
        ), ours.name
    assert (
        converted["block3a_dwconv/kernel"][1, 2, 7, 0]
        == state["_blocks.4._depthwise_conv.weight"][7, 0, 1, 2]
    )


@pytest.mark.parametrize("name, file", [("resnet50", "resnet"), ("densenet121", "densenet")])
def test_without_internet_keras_applications_says_what_to_do(name, file, monkeypatch):
    def unreachable(origin="", *arguments, **options):
        raise Exception(f"URL fetch failure on {origin}: nothing there")

    monkeypatch.setattr(f"keras.src.applications.{file}.file_utils.get_file", unreachable)
    with pytest.raises(WeightsError, match=r"nothing there.*\n?.*imagenet=False"):
        imagenet_weights(name)
