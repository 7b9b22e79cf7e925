"""The networks by name. Each has a file of its own, which ends with its record `NETWORK`."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from safbage.runtime import weights
from safbage.runtime.backend import check_process, keras
from safbage.tasks import NETWORKS, SHIPPED


@dataclass(frozen=True)
class Shipped:
    """How a network ships that was trained for several tasks at once.

    Attributes:
        features: from faces (N×224×224×3, RGB 0–255, a Keras tensor) and a suffix for each task to
            what each task pools, N×h×w×K. Layers of one task alone bear its suffix.
        tensors: from tasks to their weights by name, with the suffixes ``_<task>``.
    """

    features: Callable[[keras.KerasTensor, Sequence[str]], list[keras.KerasTensor]]
    tensors: Callable[[Sequence[str]], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Network:
    """What the library knows of a network.

    Attributes:
        build: from the number of classes, and `dropout` by name, to the network with random
            weights: faces (N×224×224×3, RGB 0–255) to probabilities (N×classes, float32). It brings
            its preprocessing as layers and nests no model: ``model.layers`` bear the papers' names.
        imagenet: gives its ImageNet weights by name (``"conv1/kernel"``), or an empty dict.
        trained_from: the first trained layer by task; all below it stay frozen.
        ships: the trained network that safbage ships, if it does.
        not_trained: why safbage does not train it; "" where it does. Without training there is only
            what ships.
    """

    build: Callable[..., keras.Model] | None = None
    imagenet: Callable[[], dict[str, np.ndarray]] = dict
    trained_from: Mapping[str, str] = field(default_factory=dict)
    ships: Shipped | None = None
    not_trained: str = ""


@dataclass(frozen=True)
class ImagenetWeights:
    """A network's ImageNet weights by name; as text, their layers and digest, or "none"."""

    tensors: Mapping[str, np.ndarray]

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that have them; all other layers start at random."""
        return tuple(dict.fromkeys(name.split("/")[0] for name in self.tensors))

    @property
    def digest(self) -> str:
        """16 hexadecimal digits, others for other values."""
        return weights.digest(self.tensors)[:16]

    def __str__(self):
        return f"{', '.join(self.layers)} ({self.digest})" if self.tensors else "none"


def network(name: str) -> Network:
    """The record of a network that ships or can be trained; ValueError where there is none."""
    if name not in NETWORKS + SHIPPED:
        raise ValueError(f"no network {name!r}; there are {', '.join(NETWORKS)}")
    return importlib.import_module(f"safbage.classifiers.{name.replace('-', '_')}").NETWORK


def trainable(name: str) -> Network:
    """The record of a network that can be trained; ValueError where it cannot, or there is none."""
    record = network(name)
    if record.not_trained:
        raise ValueError(
            f"{name} is not trained here: {record.not_trained}. Train one of {', '.join(NETWORKS)}"
        )
    return record


def imagenet_weights(name: str) -> ImagenetWeights:
    """The ImageNet weights at hand for a network, fetched where they can be.

    Raises:
        ValueError: no such network, or it is not trained here.
        WeightsError: they are missing and cannot be fetched, or are damaged.
    """
    return ImagenetWeights(trainable(name).imagenet())


def classifier(
    name: str, classes: int, *, dropout: float = 0.5, imagenet: bool = True
) -> keras.Model:
    """A network to be fine-tuned: faces (N×224×224×3, RGB 0–255) to probabilities (N×classes,
    float32).

    Args:
        name: one of `tasks.NETWORKS`.
        classes: how many answers there are.
        dropout: the share of values dropped before the fully connected layers while training. The
            paper has 0.4 for age and gender and 0.35 for expression (section 3.3).
        imagenet: put in the ImageNet weights there are; ``imagenet_weights(name).layers`` names
            the layers that get them. All others start at random, the last one always.

    Raises:
        ValueError: no such network, or it is not trained here.
        WeightsError: as `imagenet_weights`, where `imagenet`.
    """
    check_process()
    model = trainable(name).build(classes, dropout=dropout)
    if imagenet:
        weights.assign(model, imagenet_weights(name).tensors)
    return model
