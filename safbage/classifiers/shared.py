"""The shipped AlexNet-GAP: of all tasks, which share conv1–conv4, as the pipeline runs it, and of one task by itself."""

from safbage import weights
from safbage.backend import keras, ops
from safbage.classifiers.classes import CLASSES
from safbage.classifiers.networks import SIZE, alexnet_gap, conv1_to_conv4, gap
from safbage.reweighting import Reweighting
from safbage.trunks import alexnet_conv5

SHARED = "alexnet-faces"
"""The weights of conv1–conv4: AlexNet's, tuned on faces for all tasks at once. ImageNet's are not needed to answer."""


def load(tasks: tuple[str, ...]) -> keras.Model:
    """Reweighting and the shipped AlexNet-GAP of several tasks as one model, in which conv1–conv4 run once.

    Inputs: {"face": N×224×224×3 in 0–255, "map": N×28×28 in [0, 1], "ratio": N×1 in [0, 1]}.
    Outputs: for every task its probabilities N×C under its name, and its class activation maps N×13×13×C under ``cam_<task>``
    (`cam.class_activation_maps` of conv5's output and the softmax's weights, computed inside).

    Raises:
        KeyError: a task that is not in `CLASSES`.
        WeightsError: shipped weights are missing or damaged.
    """
    inputs = {
        "face": keras.Input((SIZE, SIZE, 3), name="face"),
        "map": keras.Input((None, None), name="map"),
        "ratio": keras.Input((1,), name="ratio"),
    }
    x = Reweighting(dtype="float32", name="reweighting")([inputs["face"], inputs["map"], inputs["ratio"]])
    x = conv1_to_conv4(x)
    outputs = {}
    for task in tasks:
        conv5 = alexnet_conv5(x, f"_{task}")
        outputs[task] = gap(conv5, len(CLASSES[task]), f"_{task}")
        kernel = outputs[task]._keras_history.operation.kernel
        outputs[f"cam_{task}"] = ops.matmul(ops.cast(conv5, "float32"), kernel)
    model = keras.Model(inputs, outputs, name="saf_bage")
    weights.assign(model, weights.load(SHARED))
    for task in tasks:
        own = weights.load(f"alexnet-gap-{task}")
        weights.assign(model, {name.replace("/", f"_{task}/"): value for name, value in own.items()})
    return model


def shipped(task: str) -> keras.Model:
    """The shipped AlexNet-GAP of one task, as `classifier` builds it: (reweighted) faces to probabilities.

    Raises:
        ValueError: a task that is not in `CLASSES`.
        WeightsError: shipped weights are missing or damaged.
    """
    if task not in CLASSES:
        raise ValueError(f"task is one of {', '.join(CLASSES)}; got {task!r}")
    model = alexnet_gap(len(CLASSES[task]))
    weights.assign(model, weights.load(SHARED) | weights.load(f"alexnet-gap-{task}"))
    return model
