"""AlexNet in torchvision's shape, which the paper fine-tunes."""

from safbage import trunks
from safbage.classifiers.parts import face_input, softmax
from safbage.classifiers.registry import Network
from safbage.runtime import weights
from safbage.runtime.backend import keras, layers


def alexnet(classes: int, *, dropout: float = 0.5) -> keras.Model:
    """AlexNet (Krizhevsky 2014, "owt"): no groups, no response normalisation.

    57,036,616 parameters with 8 classes, 61,100,840 with 1000. As in torchvision, dropout stands
    before fc6 and fc7.
    """
    face = face_input()
    x = trunks.alexnet_conv5(trunks.alexnet_conv4(face))
    x = layers.MaxPooling2D(3, 2, name="pool5")(x)
    x = layers.Flatten(name="flatten")(x)
    for name in ("fc6", "fc7"):
        x = layers.Dropout(dropout, name=f"dropout_{name}")(x)
        x = layers.Dense(4096, activation="relu", name=name)(x)
    return keras.Model(face, softmax(classes, "fc8")(x), name="alexnet")


def imagenet():
    """conv1–conv5; and fc6 and fc7, where torchvision's whole AlexNet was fetched (244 MB)."""
    tensors = weights.load("alexnet-conv")
    if weights.is_cached("alexnet-imagenet"):
        whole = weights.load("alexnet-imagenet")
        tensors |= {name: v for name, v in whole.items() if name.startswith(("fc6/", "fc7/"))}
    return tensors


NETWORK = Network(alexnet, imagenet, {"age": "fc6", "gender": "fc6", "expression": "conv5"})
"""Trained as in section 3.3."""
