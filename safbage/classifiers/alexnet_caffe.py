"""AlexNet in Caffe's shape, that of Krizhevsky et al. (2012)."""

from safbage.classifiers.caffe import GroupedConv2D, LocalResponseNormalization, RgbToBgr
from safbage.classifiers.parts import face_input, fully_connected
from safbage.classifiers.registry import Network
from safbage.runtime import weights
from safbage.runtime.backend import keras, layers
from safbage.trunks import BVLC_MEAN, caffe_normalization


def alexnet_caffe(classes: int, *, dropout: float = 0.5) -> keras.Model:
    """AlexNet (BVLC): conv2, conv4 and conv5 in two groups, conv1 and conv2 normalised before
    pooling.

    Faces are enlarged to 227×227. 60,965,224 parameters with 1000 classes.
    """
    face = face_input()
    x = layers.Resizing(227, 227, dtype="float32", name="resize")(face)
    x = RgbToBgr(dtype="float32", name="bgr")(caffe_normalization(mean=BVLC_MEAN)(x))
    x = layers.Conv2D(96, 11, strides=4, activation="relu", name="conv1")(x)
    x = layers.MaxPooling2D(3, 2, name="pool1")(LocalResponseNormalization(name="norm1")(x))
    same = dict(padding="same", activation="relu")
    x = GroupedConv2D(256, 5, groups=2, name="conv2", **same)(x)
    x = layers.MaxPooling2D(3, 2, name="pool2")(LocalResponseNormalization(name="norm2")(x))
    x = layers.Conv2D(384, 3, name="conv3", **same)(x)
    x = GroupedConv2D(384, 3, groups=2, name="conv4", **same)(x)
    x = GroupedConv2D(256, 3, groups=2, name="conv5", **same)(x)
    x = layers.Flatten(name="flatten")(layers.MaxPooling2D(3, 2, name="pool5")(x))
    return keras.Model(face, fully_connected(x, classes, dropout), name="alexnet_caffe")


def imagenet():
    """All layers but the last."""
    tensors = weights.load("alexnet-caffe")
    return {name: value for name, value in tensors.items() if not name.startswith("fc8/")}


NETWORK = Network(alexnet_caffe, imagenet, {"age": "fc6", "gender": "fc6", "expression": "conv5"})
