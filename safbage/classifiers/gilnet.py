"""GilNet, which the paper compares with (section 4.3)."""

from safbage.classifiers.caffe import LocalResponseNormalization
from safbage.classifiers.parts import face_input, fully_connected
from safbage.classifiers.registry import Network
from safbage.runtime.backend import keras, layers
from safbage.tasks import CLASSES
from safbage.trunks import caffe_normalization

GAUSSIAN = {"class_name": "RandomNormal", "config": {"stddev": 0.01}}
"""Initial weights; a description, since one initializer object gives equal shapes equal values."""
CONVOLUTIONS = (
    (96, 7, dict(strides=4)),
    (256, 5, dict(padding="same")),
    (384, 3, dict(padding="same")),
)


def gilnet(classes: int, *, dropout: float = 0.5) -> keras.Model:
    """The network of Levi and Hassner (2015), made for Adience; faces are enlarged to 227×227.

    Where Caffe rounds the size of a pooled map up, Keras's "same" does so too, and pads behind.
    """
    face = face_input()
    x = layers.Resizing(227, 227, dtype="float32", name="resize")(face)
    x = caffe_normalization()(x)
    for i, (filters, size, options) in enumerate(CONVOLUTIONS, 1):
        options = options | dict(activation="relu", kernel_initializer=GAUSSIAN, name=f"conv{i}")
        x = layers.Conv2D(filters, size, **options)(x)
        x = layers.MaxPooling2D(3, 2, padding="same", name=f"pool{i}")(x)
        x = LocalResponseNormalization(name=f"norm{i}")(x) if i < 3 else x
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(face, fully_connected(x, classes, dropout, 512, GAUSSIAN), name="gilnet")


NETWORK = Network(gilnet, imagenet=dict, trained_from=dict.fromkeys(CLASSES, "conv1"))
"""Never trained on ImageNet, and trained whole. The paper does not say which layers it trains."""
