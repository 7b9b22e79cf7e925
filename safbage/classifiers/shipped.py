"""The shipped networks: of all tasks in one, as the pipeline runs them, sharing their first layers; and of one task alone."""

from safbage.classifiers import efficientnet
from safbage.classifiers.networks import SIZE, conv1_to_conv4, gap
from safbage.reweighting import Reweighting
from safbage.runtime import weights
from safbage.runtime.backend import check_process, keras, layers, ops
from safbage.tasks import CLASSES
from safbage.trunks import alexnet_conv5

SHARED = {"alexnet-gap": "alexnet-faces", "efficientnet-lite2": "efficientnet-faces"}
"""The weights that all tasks share, of each network that ships. They were tuned on faces: ImageNet's are not needed to answer."""
SHIPPED = tuple(SHARED)


def load_joint(tasks: tuple[str, ...], network: str = SHIPPED[0]) -> keras.Model:
    """Reweighting and a shipped network of several tasks as one model, in which what they share runs once.

    Inputs: {"face": N×224×224×3 in 0–255, "map": N×28×28 in [0, 1], "ratio": N×1 in [0, 1]}.
    Outputs: for every task its probabilities N×C under its name, and its class activation maps N×h×w×C under ``cam_<task>``
    (`cam.class_activation_maps` of the last convolution's output and the softmax's weights, computed inside).

    Args:
        tasks: some of `CLASSES`.
        network: "alexnet-gap", after the paper, with CAMs of 13×13; or "efficientnet-lite2", of today, with CAMs of 4×4,
            which hardly tell where the evidence lies.

    Raises:
        ValueError: a network that does not ship.
        KeyError: a task that is not in `CLASSES`.
        WeightsError: shipped weights are missing or damaged.
    """
    check_process()
    check_network(network)
    inputs = {
        "face": keras.Input((SIZE, SIZE, 3), name="face"),
        "map": keras.Input((None, None), name="map"),
        "ratio": keras.Input((1,), name="ratio"),
    }
    x = Reweighting(dtype="float32", name="reweighting")([inputs["face"], inputs["map"], inputs["ratio"]])
    outputs = {}
    for task, features in zip(tasks, _features(x, [f"_{task}" for task in tasks], network), strict=True):
        outputs[task] = gap(features, len(CLASSES[task]), f"_{task}")
        kernel = outputs[task]._keras_history.operation.kernel
        outputs[f"cam_{task}"] = ops.matmul(ops.cast(features, "float32"), kernel)
    model = keras.Model(inputs, outputs, name="saf_bage")
    weights.assign(model, _tensors(tasks, network))
    return model


def load(task: str, network: str = SHIPPED[0]) -> keras.Model:
    """A shipped network of one task by itself: (reweighted) faces N×224×224×3, 0–255, to probabilities N×C.

    "alexnet-gap" has the layers that `classifier` builds.

    Raises:
        ValueError: a task that is not in `CLASSES`, or a network that does not ship.
        WeightsError: shipped weights are missing or damaged.
    """
    check_process()
    if task not in CLASSES:
        raise ValueError(f"task is one of {', '.join(CLASSES)}; got {task!r}")
    check_network(network)
    face = keras.Input((SIZE, SIZE, 3), name="face")
    (features,) = _features(face, [""], network)
    model = keras.Model(face, gap(features, len(CLASSES[task])), name=network.replace("-", "_"))
    weights.assign(model, {name.replace(f"_{task}/", "/"): value for name, value in _tensors((task,), network).items()})
    return model


def check_network(network: str) -> str:
    """The name of a network that ships; ValueError where it is none."""
    if network not in SHIPPED:
        raise ValueError(f"network is one of {', '.join(SHIPPED)}; got {network!r}")
    return network


def _features(x, suffixes, network):
    """What global average pooling is given, for each task; a task's own layers bear its suffix."""
    if network == "alexnet-gap":
        conv4 = conv1_to_conv4(x)
        return [alexnet_conv5(conv4, suffix) for suffix in suffixes]
    half = layers.AveragePooling2D(2, dtype="float32", name="half")(x)  # it learnt at 112×112
    return [efficientnet.features(half)] * len(suffixes)


def _tensors(tasks, network):
    """The weights of some tasks; the names of a task's own layers end with it."""
    tensors = weights.load(SHARED[network])
    if network == "alexnet-gap":
        for task in tasks:
            own = weights.load(f"alexnet-gap-{task}")
            tensors |= {name.replace("/", f"_{task}/"): value for name, value in own.items()}
        return tensors
    others = tuple(f"softmax_{task}/" for task in CLASSES if task not in tasks)
    return {name: value for name, value in tensors.items() if not name.startswith(others)}
