"""The classifiers that answer age, gender and expression: the paper's networks and those of its
future work.

`classifier` builds a network by name, to be fine-tuned; `freeze_below`, `split_at` and
`split_after` part what is trained from what is not. `load` gives a shipped network of one task,
`load_joint` one of several tasks, for the pipeline. Inputs are RGB faces, 0–255, N×224×224×3;
layers are named as in the papers. `network` gives the record of a network. `years` makes age groups
and an interval of a distribution over years.
"""

import importlib

from safbage.classifiers.names import check_network
from safbage.tasks import NETWORKS, SHIPPED

_HOMES = {
    "cutting": ("freeze_below", "split_after", "split_at"),
    "registry": (
        "ImagenetWeights",
        "Network",
        "Shipped",
        "classifier",
        "imagenet_weights",
        "network",
        "trainable",
    ),
    "shipped": ("load", "load_joint"),
    "years": ("tail_of",),
}
"""By module what is imported when it is first asked for: what builds networks brings Keras, and who
answers from a file needs none."""


def __getattr__(name):
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"safbage.classifiers.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


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
