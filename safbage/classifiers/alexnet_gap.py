"""AlexNet-GAP, for class activation maps (section 5); it ships trained for all three tasks."""

from safbage import trunks
from safbage.classifiers.parts import face_input, pooled, softmax
from safbage.classifiers.registry import Network, Shipped
from safbage.runtime import weights
from safbage.runtime.backend import keras


def alexnet_gap(classes: int, *, dropout: float = 0.0) -> keras.Model:
    """AlexNet's convolutions, then pooling and softmax (Zhou et al. 2016)."""
    face = face_input()
    features = trunks.alexnet_conv5(trunks.alexnet_conv4(face))
    x = pooled(features, dropout=dropout)
    return keras.Model(face, softmax(classes)(x), name="alexnet_gap")


def shipped_features(x, suffixes):
    """conv5 of each task, on conv1–conv4, which all tasks share."""
    conv4 = trunks.alexnet_conv4(x)
    return [trunks.alexnet_conv5(conv4, suffix) for suffix in suffixes]


def shipped_tensors(tasks):
    """conv1–conv4, tuned on faces, and conv5 and softmax of each task."""
    tensors = weights.load("alexnet-faces")
    for task in tasks:
        own = weights.load(f"alexnet-gap-{task}")
        tensors |= {name.replace("/", f"_{task}/"): value for name, value in own.items()}
    return tensors


NETWORK = Network(
    alexnet_gap,
    imagenet=lambda: weights.load("alexnet-conv"),
    trained_from={"age": "softmax", "gender": "softmax", "expression": "conv5"},
    ships=Shipped(shipped_features, shipped_tensors),
)
