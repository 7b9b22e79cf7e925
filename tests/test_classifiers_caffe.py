"""Caffe's layers by their definitions, and whole converted checkpoints beside PyTorch networks written out by hand."""

import pickle
import struct

import numpy as np
import pytest

from safbage.classifiers.alexnet import alexnet
from safbage.classifiers.alexnet_caffe import alexnet_caffe
from safbage.classifiers.caffe import GroupedConv2D, LocalResponseNormalization, RgbToBgr
from safbage.runtime import weights
from safbage.runtime.backend import keras, layers, ops, tensorflow


def answer(model, x):
    return ops.convert_to_numpy(model(x))


# --- the layers --------------------------------------------------------------------------------------------------------


def test_response_normalisation_by_hand():
    """One place, three channels, sums over three neighbours: (1 + 3/3 · sum of squares) to the power -0.75."""
    layer = LocalResponseNormalization(size=3, alpha=3)
    found = answer(layer, np.array([1, 2, 3], "float32").reshape(1, 1, 1, 3))
    assert np.allclose(found.ravel(), [1 / 6**0.75, 2 / 15**0.75, 3 / 14**0.75])


def test_response_normalisation_is_tensorflows_and_caffes_definition(generator):
    x = generator.normal(0, 100, (2, 3, 4, 7)).astype("float32")
    found = answer(LocalResponseNormalization(), x)
    expected = np.empty_like(x)
    for c in range(7):
        expected[..., c] = (
            x[..., c] / (1 + 1e-4 / 5 * (x[..., max(c - 2, 0) : c + 3] ** 2).sum(-1)) ** 0.75
        )
    assert np.abs(expected / x).min() < 0.9  # there is something to normalise
    assert np.allclose(found, expected, rtol=1e-5)
    assert np.allclose(
        found, tensorflow().nn.local_response_normalization(x, 2, 1, 1e-4 / 5, 0.75), rtol=1e-5
    )


def test_response_normalisation_does_not_overflow_in_float16():
    layer = LocalResponseNormalization(dtype="mixed_float16")
    found = answer(layer, np.full((1, 1, 1, 5), 1000, "float16"))
    assert found.dtype == np.float16
    assert found.ravel()[2] == pytest.approx(1000 / (1 + 100) ** 0.75, rel=1e-3)


@pytest.mark.parametrize("strides, padding", [(1, "same"), (2, "valid")])
def test_grouped_convolution_is_keras_own(generator, strides, padding):
    x = generator.normal(size=(2, 8, 8, 6)).astype("float32")
    options = dict(groups=2, strides=strides, padding=padding, activation="relu")
    ours, theirs = GroupedConv2D(4, 3, **options), layers.Conv2D(4, 3, **options)
    answer(ours, x), answer(theirs, x)
    theirs.set_weights([generator.normal(size=v.shape) for v in theirs.weights])
    ours.set_weights(theirs.get_weights())
    assert ours.kernel.shape == (3, 3, 3, 4)
    assert np.allclose(answer(ours, x), answer(theirs, x), atol=1e-5)


def test_the_layers_are_trained_and_saved(generator, tmp_path):
    x = generator.uniform(0, 255, (4, 8, 8, 4)).astype("float32")
    path = [
        RgbToBgr(),
        GroupedConv2D(4, 3, groups=2),
        LocalResponseNormalization(size=3, alpha=0.1),
        layers.Flatten(),
    ]
    model = keras.Sequential([keras.Input((8, 8, 4)), *path, layers.Dense(2, activation="softmax")])
    before = ops.convert_to_numpy(model.layers[1].kernel)
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    model.fit(x, np.array([0, 1, 0, 1]), verbose=0)
    changed = np.abs(ops.convert_to_numpy(model.layers[1].kernel) - before).max(axis=(0, 1, 2))
    assert np.isfinite(changed).all() and (changed > 0).all()  # filters of both groups
    model.save(tmp_path / "model.keras")
    assert np.allclose(
        answer(keras.models.load_model(tmp_path / "model.keras"), x), answer(model, x), atol=1e-6
    )


def test_bgr():
    assert answer(RgbToBgr(), np.array([[[[1.0, 2, 3]]]])).tolist() == [[[[3, 2, 1]]]]


# --- checkpoints of the true layouts -----------------------------------------------------------------------------------


def scaled(generator, shape):
    """Values at which signals neither vanish nor swell from layer to layer."""
    return (generator.standard_normal(shape, "float32") * np.sqrt(2 / np.prod(shape[1:]))).astype(
        "float32"
    )


def filled(torch, network, generator):
    """Kernels and biases of the PyTorch `network` drawn at random."""
    with torch.no_grad():
        for parameter in network.parameters():
            values = (
                scaled(generator, parameter.shape)
                if parameter.ndim > 1
                else generator.normal(0, 0.1, parameter.shape)
            )
            parameter.copy_(torch.from_numpy(values))
    return network.eval()


def test_torchvisions_file_answers_as_in_pytorch(tmp_path, generator):
    torch = pytest.importorskip("torch")
    nn = torch.nn

    class AlexNet(nn.Module):
        """Torchvision's layout and names."""

        def __init__(self):
            super().__init__()
            convs = [
                nn.Conv2d(3, 64, 11, 4, 2),
                nn.ReLU(),
                nn.MaxPool2d(3, 2),
                nn.Conv2d(64, 192, 5, padding=2),
                nn.ReLU(),
            ]
            convs += [
                nn.MaxPool2d(3, 2),
                nn.Conv2d(192, 384, 3, padding=1),
                nn.ReLU(),
                nn.Conv2d(384, 256, 3, padding=1),
            ]
            convs += [nn.ReLU(), nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)]
            self.features = nn.Sequential(*convs)
            dense = [
                nn.Dropout(),
                nn.Linear(9216, 4096),
                nn.ReLU(),
                nn.Dropout(),
                nn.Linear(4096, 4096),
                nn.ReLU(),
            ]
            self.classifier = nn.Sequential(*dense, nn.Linear(4096, 3))

        def forward(self, x):
            return self.classifier(self.features(x).flatten(1)).softmax(-1)

    network = filled(torch, AlexNet(), generator)
    face = generator.uniform(0, 255, (1, 224, 224, 3)).astype("float32")
    normalised = (face / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    with torch.no_grad():
        expected = network(
            torch.from_numpy(normalised.astype("float32").transpose(0, 3, 1, 2))
        ).numpy()
    torch.save(network.state_dict(), tmp_path / "alexnet.pth")
    model = alexnet(3)
    weights.assign(model, weights.REGISTRY["alexnet-imagenet"].convert(tmp_path / "alexnet.pth"))
    assert expected.max() < 0.99  # an answer that leaves room for a difference
    assert np.allclose(answer(model, face), expected, atol=1e-4)


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes as Python 2 wrote its ``str``: BVLC's file was made with it."""

    def _save_str(self, value):
        data = value.encode("ascii") if isinstance(value, str) else value
        self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)
        self.memoize(value)

    dispatch = pickle._Pickler.dispatch | {str: _save_str, bytes: _save_str}


def write_python2_npy(path, tree):
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|O", "fortran_order": False, "shape": ()}
        )
        Python2Pickler(file, protocol=2).dump(np.array(tree, dtype=object))


def test_bvlcs_file_answers_as_caffes_network_in_pytorch(tmp_path, generator):
    """Caffe's order is out×in×H×W, and C×H×W before fc6; the file has H×W×in×out, and fc6's rows in H×W×C order."""
    torch = pytest.importorskip("torch")
    nn, functional = torch.nn, torch.nn.functional
    net = nn.ModuleDict(
        {
            "conv1": nn.Conv2d(3, 96, 11, 4),
            "conv2": nn.Conv2d(96, 256, 5, padding=2, groups=2),
            "conv3": nn.Conv2d(256, 384, 3, padding=1),
            "conv4": nn.Conv2d(384, 384, 3, padding=1, groups=2),
            "conv5": nn.Conv2d(384, 256, 3, padding=1, groups=2),
            "fc6": nn.Linear(9216, 4096),
            "fc7": nn.Linear(4096, 4096),
            "fc8": nn.Linear(4096, 3),
        }
    )
    filled(torch, net, generator)
    face = generator.uniform(0, 255, (1, 224, 224, 3)).astype("float32")
    with torch.no_grad():
        x = torch.from_numpy(np.ascontiguousarray(face[..., ::-1].transpose(0, 3, 1, 2)))
        x = functional.interpolate(x, (227, 227), mode="bilinear")
        x = x - torch.tensor([104.00698793, 116.66876762, 122.67891434])[:, None, None]
        for i in (1, 2):
            x = nn.LocalResponseNorm(5, 1e-4, 0.75, 1)(net[f"conv{i}"](x).relu())
            x = functional.max_pool2d(x, 3, 2)
        for i in (3, 4, 5):
            x = net[f"conv{i}"](x).relu()
        x = functional.max_pool2d(x, 3, 2).flatten(1)
        net[
            "fc8"
        ].weight /= 20  # pixels are not divided by anything: keep the softmax from saying 0 and 1
        expected = net["fc8"](net["fc7"](net["fc6"](x).relu()).relu()).softmax(-1).numpy()

    def converted(name):
        kernel = net[name].weight.detach().numpy()
        if name == "fc6":
            return kernel.reshape(4096, 256, 6, 6).transpose(2, 3, 1, 0).reshape(9216, 4096)
        return kernel.transpose(2, 3, 1, 0) if name.startswith("conv") else kernel.T

    write_python2_npy(
        tmp_path / "bvlc.npy",
        {name: [converted(name), net[name].bias.detach().numpy()] for name in net},
    )
    model = alexnet_caffe(3)
    weights.assign(model, weights.REGISTRY["alexnet-caffe"].convert(tmp_path / "bvlc.npy"))
    assert 0.01 < expected.max() < 0.99
    assert np.allclose(answer(model, face), expected, atol=1e-4)
