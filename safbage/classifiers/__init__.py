"""The classifiers that answer age, gender and expression: the paper's networks and those of its
future work.

`classifier` builds a network by name, to be fine-tuned; `freeze_below`, `split_at` and
`split_after` part what is trained from what is not. `load` gives a shipped network of one task,
`load_joint` one of several tasks, for the pipeline. Inputs are RGB faces, 0–255, N×224×224×3;
layers are named as in the papers. `network` gives the record of a network. `years` makes age groups
and an interval of a distribution over years.
"""

from safbage.classifiers.cutting import freeze_below, split_after, split_at
from safbage.classifiers.registry import (
    ImagenetWeights,
    Network,
    Shipped,
    classifier,
    imagenet_weights,
    network,
    trainable,
)
from safbage.classifiers.shipped import check_network, load, load_joint, tail_of
from safbage.tasks import NETWORKS, SHIPPED

__all__ = [
    "NETWORKS",
    "SHIPPED",
    "ImagenetWeights",
    "Network",
    "Shipped",
    "check_network",
    "classifier",
    "freeze_below",
    "imagenet_weights",
    "load",
    "load_joint",
    "network",
    "split_after",
    "split_at",
    "tail_of",
    "trainable",
]
