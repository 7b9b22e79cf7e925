"""The convolutional trunks of AlexNet and VGG-16, with torchvision's shapes, that saliency and
classification stand on.

Functions from one Keras tensor to the next; the layers bear the papers' names, so that
`weights.assign` finds them.
"""

import numpy as np

from safbage.runtime.backend import layers

IMAGENET_MEAN = np.array([0.485, 0.456, 0.406])
IMAGENET_STD = np.array([0.229, 0.224, 0.225])
CAFFE_MEAN = np.array([123.68, 116.779, 103.939])
"""What the original VGG-16 subtracts (RGB, 0–255); it divides by nothing."""

BVLC_MEAN = np.array([122.67891434, 116.66876762, 104.00698793])
"""Of Caffe's AlexNet: the mean over the pixels of its ImageNet mean image (RGB, 0–255)."""

VGG16_BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
"""Convolutions and filters of conv1 to conv5."""


def imagenet_normalization(name="normalization"):
    """RGB 0–255 to torchvision's normalised range, as a layer; the trunks' weights expect it."""
    scale, offset = 1 / (255 * IMAGENET_STD), -IMAGENET_MEAN / IMAGENET_STD
    # In float32, since float16 would round pixels.
    return layers.Rescaling(scale.tolist(), offset.tolist(), dtype="float32", name=name)


def caffe_normalization(name="normalization", *, mean=CAFFE_MEAN):
    """RGB 0–255 minus a mean, by default the original VGG-16's, as a layer."""
    return layers.Rescaling([1.0] * 3, (-np.asarray(mean)).tolist(), dtype="float32", name=name)


def vgg16_block(x, block: int):
    """The 3×3 convolutions of one block of VGG-16, 1 to 5, without its pooling."""
    convs, filters = VGG16_BLOCKS[block - 1]
    for i in range(1, convs + 1):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv{block}_{i}")(x)
    return x


def alexnet_conv5(x, suffix=""):
    """AlexNet's fifth convolution."""
    return layers.Conv2D(256, 3, padding="same", activation="relu", name=f"conv5{suffix}")(x)


def alexnet_levels(x) -> dict:
    """Normalised images to the outputs of AlexNet's conv2, conv3 and conv4 by name.

    At 224×224 they have 27×27, 13×13 and 13×13 cells.
    """

    def conv(filters, size, name):
        return layers.Conv2D(filters, size, padding="same", activation="relu", name=name)

    x = layers.ZeroPadding2D(2, name="pad1")(x)
    x = layers.Conv2D(64, 11, strides=4, activation="relu", name="conv1")(x)
    x = layers.MaxPooling2D(3, 2, name="pool1")(x)
    conv2 = conv(192, 5, "conv2")(x)
    conv3 = conv(384, 3, "conv3")(layers.MaxPooling2D(3, 2, name="pool2")(conv2))
    return {"conv2": conv2, "conv3": conv3, "conv4": conv(256, 3, "conv4")(conv3)}


def alexnet_conv4(x):
    """AlexNet's normalisation and its first four convolutions, of RGB images, 0–255."""
    return alexnet_levels(imagenet_normalization()(x))["conv4"]
