"""EfficientNet-Lite2 (Tan and Le 2019), a modern network.

Lite is the variant of 2020 for small machines, without squeeze and excitation. Layers are named as
those of keras.applications' EfficientNets.
"""

import math

from safbage.classifiers.parts import face_input, pooled, softmax
from safbage.classifiers.registry import Network
from safbage.runtime import weights
from safbage.runtime.backend import keras, layers
from safbage.tasks import CLASSES

STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Repeats, kernel, stride, expansion and filters of each stage of Lite0."""
WIDTH, DEPTH = 1.1, 1.2
"""Lite2 has so many times Lite0's filters and repeats; its first and last stage repeat no more."""


def efficientnet_lite2(classes: int, *, dropout: float = 0.2) -> keras.Model:
    """6,150,168 parameters with 1000 classes; pip fetches the ImageNet weights."""
    face = face_input()
    x = pooled(features(face), dropout=dropout)
    return keras.Model(face, softmax(classes)(x), name="efficientnet_lite2")


def blocks():
    """Each block in turn: its name, kernel, stride, expansion and filters."""
    for stage, (repeats, kernel, stride, expansion, filters) in enumerate(STAGES, 1):
        repeats = repeats if stage in (1, len(STAGES)) else math.ceil(repeats * DEPTH)
        filters = int(filters * WIDTH + 4) // 8 * 8
        for i, letter in enumerate("abcde"[:repeats]):
            yield f"block{stage}{letter}", kernel, stride if i == 0 else 1, expansion, filters


def features(x):
    """From RGB pictures (N×H×W×3, 0–255) to N×⌈H/32⌉×⌈W/32⌉×1280."""
    x = layers.Rescaling(1 / 128, -127 / 128, dtype="float32", name="normalize")(x)
    x = _convolution(x, 32, 3, "stem", strides=2)
    for block in blocks():
        x = _block(x, *block)
    return _convolution(x, 1280, 1, "top")


def _block(inputs, name, kernel, stride, expansion, filters):
    """Widen by 1×1, filter each channel, narrow by 1×1; add the inputs where shapes allow."""
    x = inputs
    if expansion > 1:
        x = _convolution(x, inputs.shape[-1] * expansion, 1, f"{name}_expand")
    x = layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False, name=f"{name}_dwconv")(x)
    x = layers.ReLU(6, name=f"{name}_activation")(_normalized(x, f"{name}_bn"))
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project_conv")(x)
    x = _normalized(x, f"{name}_project_bn")
    return layers.Add(name=f"{name}_add")([x, inputs]) if x.shape == inputs.shape else x


def _convolution(x, filters, size, name, strides=1):
    x = layers.Conv2D(filters, size, strides, "same", use_bias=False, name=f"{name}_conv")(x)
    return layers.ReLU(6, name=f"{name}_activation")(_normalized(x, f"{name}_bn"))


def _normalized(x, name):
    return layers.BatchNormalization(epsilon=1e-3, name=name)(x)


NETWORK = Network(
    efficientnet_lite2,
    imagenet=lambda: weights.load("efficientnet-lite2"),
    trained_from=dict.fromkeys(CLASSES, "softmax"),
)
