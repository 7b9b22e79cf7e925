"""Which layers of which network have ImageNet weights at hand, and where they come from."""

import numpy as np

from safbage.errors import WeightsError
from safbage.runtime import weights
from safbage.runtime.backend import keras


def _alexnet():
    """conv1–conv5; and fc6 and fc7, where torchvision's whole AlexNet was fetched (``safbage weights``, 244 MB)."""
    tensors = weights.load("alexnet-conv")
    if weights.is_cached("alexnet-imagenet"):
        whole = weights.load("alexnet-imagenet")
        tensors |= {name: value for name, value in whole.items() if name.startswith(("fc6/", "fc7/"))}
    return tensors


def _alexnet_caffe():
    return {name: value for name, value in weights.load("alexnet-caffe").items() if not name.startswith("fc8/")}


def _of_applications(build):
    """All layers below the last of a network of keras.applications, which fetches its weights itself."""
    try:
        model = build(include_top=False, weights="imagenet", input_shape=(224, 224, 3), pooling="avg")
    except Exception as error:  # keras raises a bare one where the address cannot be reached
        raise WeightsError(
            f"keras.applications could not fetch ImageNet weights for {build.__name__} ({error}). Try again with the "
            "internet, put the file named there into models/ in Keras's folder (~/.keras, or $KERAS_HOME), "
            "or start at random with imagenet=False."
        ) from error
    return {f"{layer.name}/{variable.name}": np.asarray(variable) for layer in model.layers for variable in layer.weights}


SOURCES = {
    "alexnet": _alexnet,
    "alexnet-caffe": _alexnet_caffe,
    "alexnet-gap": lambda: weights.load("alexnet-conv"),
    "gilnet": lambda: {},  # never trained on ImageNet
    "vgg16": lambda: weights.load("vgg16-conv"),
    "resnet50": lambda: _of_applications(keras.applications.ResNet50),
    "densenet121": lambda: _of_applications(keras.applications.DenseNet121),
    "efficientnet-lite2": lambda: weights.load("efficientnet-lite2"),
}
"""By network, the function that gives its ImageNet weights by name (``"conv1/kernel"``)."""


def describe(name: str) -> str | None:
    """In words which layers of network `name` get which ImageNet weights, other words for any others; None for no layers.

    Raises:
        WeightsError: as `put_in`.
    """
    tensors = SOURCES[name]()
    layers = dict.fromkeys(tensor.split("/")[0] for tensor in tensors)
    return f"{', '.join(layers)} ({weights.digest(tensors)[:16]})" if tensors else None


def put_in(model: keras.Model, name: str) -> tuple[str, ...]:
    """Put network `name`'s ImageNet weights into `model`; the names of the layers that now hold them.

    Raises:
        WeightsError: they are missing and cannot be fetched, or are damaged.
    """
    tensors = SOURCES[name]()
    weights.assign(model, tensors)
    filled = {tensor.split("/")[0] for tensor in tensors}
    return tuple(layer.name for layer in model.layers if layer.name in filled)
