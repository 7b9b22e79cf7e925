"""The shipped AlexNet-GAP of all tasks, which share conv1–conv4: what the pipeline runs, and what its heads are trained on."""

from safbage import trunks, weights
from safbage.backend import keras
from safbage.classifiers.classes import CLASSES
from safbage.classifiers.networks import SIZE, conv1_to_conv4, gap
from safbage.reweighting import Reweighting
from safbage.trunks import alexnet_conv5

TRUNK_SHAPE = (13, 13, 256)
"""Shape of conv4's output, where the tasks part."""


def alexnet_trunk() -> keras.Model:
    """conv1–conv4 with the ImageNet weights, which all tasks share: faces to features (N×13×13×256).

    Raises:
        WeightsError: the weights are missing and cannot be fetched, or are damaged.
    """
    inputs = keras.Input((SIZE, SIZE, 3), name="face")
    model = keras.Model(inputs, conv1_to_conv4(inputs), name="alexnet_trunk")
    trunks.assign_alexnet(model, conv5=False)
    return model


def gap_head(classes: int) -> keras.Model:
    """conv5, pooling and softmax: features (N×13×13×256) to [probabilities (N×classes), conv5's output (N×13×13×256)]."""
    inputs = keras.Input(TRUNK_SHAPE, name="conv4_output")
    conv5 = alexnet_conv5(inputs)
    return keras.Model(inputs, [gap(conv5, classes), conv5], name="gap_head")


def load(tasks: tuple[str, ...]) -> keras.Model:
    """Reweighting and the shipped AlexNet-GAP of several tasks as one model, in which conv1–conv4 run once.

    Inputs: {"face": N×224×224×3 in 0–255, "map": N×28×28 in [0, 1], "ratio": N×1 in [0, 1]}.
    Outputs: for every task its probabilities N×C under its name, and conv5's output N×13×13×256 under ``conv5_<task>``.

    Raises:
        KeyError: a task that is not in `CLASSES`.
        WeightsError: weights are missing and cannot be fetched, or are damaged.
    """
    inputs = {
        "face": keras.Input((SIZE, SIZE, 3), name="face"),
        "map": keras.Input((None, None), name="map"),
        "ratio": keras.Input((1,), name="ratio"),
    }
    x = Reweighting(name="reweighting")([inputs["face"], inputs["map"], inputs["ratio"]])
    x = conv1_to_conv4(x)
    outputs = {}
    for task in tasks:
        conv5 = alexnet_conv5(x, f"_{task}")
        outputs |= {task: gap(conv5, len(CLASSES[task]), f"_{task}"), f"conv5_{task}": conv5}
    model = keras.Model(inputs, outputs, name="saf_bage")
    trunks.assign_alexnet(model, conv5=False)
    for task in tasks:
        head = weights.load(f"alexnet-gap-{task}")
        weights.assign(model, {name.replace("/", f"_{task}/"): value for name, value in head.items()})
    return model
