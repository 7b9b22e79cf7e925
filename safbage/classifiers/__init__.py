"""The classifiers that answer age, gender and expression: the paper's networks and those of its future work.

`classifier` builds any network of `NETWORKS`; `freeze_below` and `split_at` part what is trained from what is not.
`load` gives a shipped network of all tasks as one model, for the pipeline; `shipped` that of one task by itself.
Inputs are RGB faces, 0–255, N×224×224×3; layers are named as in the papers.
"""

from safbage.classifiers.cutting import freeze_below, split_after, split_at
from safbage.classifiers.imagenet import put_in
from safbage.classifiers.networks import (
    SIZE,
    alexnet,
    alexnet_caffe,
    alexnet_gap,
    densenet121,
    efficientnet_lite2,
    gilnet,
    resnet50,
    vgg16,
)
from safbage.classifiers.shipped import SHIPPED, check_network, load, load_joint
from safbage.runtime.backend import check_process, keras

NETWORKS = {
    "alexnet": alexnet,
    "alexnet-caffe": alexnet_caffe,
    "alexnet-gap": alexnet_gap,
    "gilnet": gilnet,
    "vgg16": vgg16,
    "resnet50": resnet50,
    "densenet121": densenet121,
    "efficientnet-lite2": efficientnet_lite2,
}
"""Every network by name; each is a function of ``(classes, *, dropout)``."""


def classifier(name: str, classes: int, *, dropout: float = 0.5, imagenet: bool = True) -> keras.Model:
    """A network of `NETWORKS`, to be fine-tuned: faces (N×224×224×3, RGB 0–255) to probabilities (N×classes, float32).

    Args:
        name: a key of `NETWORKS`.
        classes: how many answers there are.
        dropout: the share of values dropped before the fully connected layers while training; the paper has 0.4 for age
            and gender and 0.35 for expression (section IV-B).
        imagenet: put in what ImageNet weights are at hand (`imagenet.SOURCES` has them by network; GilNet has none). The
            names of the layers that hold them are ``model.pretrained``, a tuple; all others start at random, the last one always.

    Raises:
        ValueError: no such network.
        WeightsError: `imagenet`, and the weights are missing and cannot be fetched, or are damaged.
    """
    check_process()
    if name not in NETWORKS:
        raise ValueError(f"no network {name!r}; there are {', '.join(NETWORKS)}")
    model = NETWORKS[name](classes, dropout=dropout)
    model.pretrained = put_in(model, name) if imagenet else ()
    return model


__all__ = [
    "NETWORKS",
    "SHIPPED",
    "SIZE",
    "alexnet",
    "alexnet_gap",
    "check_network",
    "classifier",
    "freeze_below",
    "load",
    "load_joint",
    "split_after",
    "split_at",
]
