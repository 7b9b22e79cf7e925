"""The shipped networks: of all tasks in one, as the pipeline runs them, or of one task alone."""

from safbage.classifiers.parts import face_input, pooled, softmax
from safbage.classifiers.registry import network as record
from safbage.runtime import weights
from safbage.runtime.backend import check_process, keras, ops
from safbage.tasks import CLASSES, SHIPPED


def load_joint(tasks: tuple[str, ...], network: str = SHIPPED[0]) -> keras.Model:
    """A shipped network of several tasks as one model, in which what they share runs once.

    Input: faces, reweighted where they are to be, N×224×224×3 in 0–255.
    Outputs: for every task its probabilities N×C under its name, and its class activation maps
    N×h×w×C under ``cam_<task>`` (`cam.class_activation_maps` of the last convolution's output and
    the softmax's weights, computed inside).

    Args:
        tasks: some of `CLASSES`.
        network: "alexnet-gap", after the paper, with CAMs of 13×13; or "efficientnet-lite2", of
            today, with CAMs of 4×4, which hardly tell where the evidence lies.

    Raises:
        ValueError: a network that does not ship.
        KeyError: a task that is not in `CLASSES`.
        WeightsError: shipped weights are missing or damaged.
    """
    check_process()
    check_network(network)
    face = face_input()
    ships, outputs = record(network).ships, {}
    for task, features in zip(
        tasks, ships.features(face, [f"_{task}" for task in tasks]), strict=True
    ):
        head = softmax(len(CLASSES[task]), f"softmax_{task}")
        outputs[task] = head(pooled(features, f"_{task}"))
        outputs[f"cam_{task}"] = ops.matmul(ops.cast(features, "float32"), head.kernel)
    model = keras.Model(face, outputs, name="classifiers")
    weights.assign(model, ships.tensors(tasks))
    return model


def load(task: str, network: str = SHIPPED[0]) -> keras.Model:
    """A shipped network of one task: (reweighted) faces N×224×224×3, 0–255, to probabilities N×C.

    "alexnet-gap" has the layers that `classifier` builds.

    Raises:
        ValueError: a task that is not in `CLASSES`, or a network that does not ship.
        WeightsError: shipped weights are missing or damaged.
    """
    check_process()
    if task not in CLASSES:
        raise ValueError(f"task is one of {', '.join(CLASSES)}; got {task!r}")
    ships, face = record(check_network(network)).ships, face_input()
    (features,) = ships.features(face, [""])
    answer = softmax(len(CLASSES[task]))(pooled(features))
    model = keras.Model(face, answer, name=network.replace("-", "_"))
    tensors = ships.tensors((task,))
    weights.assign(model, {name.replace(f"_{task}/", "/"): v for name, v in tensors.items()})
    return model


def check_network(network: str) -> str:
    """The name of a network that ships; ValueError where it does not."""
    if network not in SHIPPED:
        raise ValueError(f"network is one of {', '.join(SHIPPED)}; got {network!r}")
    return network
