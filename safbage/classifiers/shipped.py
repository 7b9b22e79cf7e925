"""The shipped networks: of all tasks in one, as the pipeline runs them, or of one task alone."""

from safbage.classifiers import years
from safbage.classifiers.names import check_network
from safbage.classifiers.parts import face_input, pooled, softmax
from safbage.classifiers.registry import network as record
from safbage.runtime import weights
from safbage.runtime.backend import check_process, keras, layers, ops
from safbage.tasks import CLASSES, IN_YEARS, SHIPPED


def load_joint(tasks: tuple[str, ...], network: str = SHIPPED[0]) -> keras.Model:
    """A shipped network of several tasks as one model, in which what they share runs once.

    Input: faces, reweighted where they are to be, N×224×224×3 in 0–255.
    Outputs: for every task its probabilities N×C under its name, and its class activation maps
    N×h×w×C under ``cam_<task>`` (`cam.class_activation_maps` of the last convolution's output and
    the softmax's weights, computed inside). Where the network answers age in years, also the
    distribution over them, N×101 under ``years``. `years.group` makes the age groups of it. A
    group's map is the mean of its years' maps, weighted by the years' probabilities: the features,
    weighted by the gradient of the log of the group's sum.

    Args:
        tasks: some of `CLASSES`.
        network: "face-mobilenet", which answers best, with CAMs of 7×7 and age in years; or
            "alexnet-gap", after the paper, with CAMs of 13×13.

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
        answer = _in_years if task == "age" and network in IN_YEARS else _in_classes
        outputs |= answer(task, features)
    model = keras.Model(face, outputs, name="classifiers")
    weights.assign(model, ships.tensors(tasks))
    return model


def _in_classes(task, features):
    head = softmax(len(CLASSES[task]), f"softmax_{task}")
    answer = head(pooled(features, f"_{task}"))
    return {task: answer, f"cam_{task}": ops.matmul(ops.cast(features, "float32"), head.kernel)}


def _in_years(task, features):
    head = layers.Dense(years.COUNT, dtype="float32", name=f"softmax_{task}")
    scores = head(pooled(features, f"_{task}"))
    groups, shares = years.group(scores)
    of_years = ops.matmul(ops.cast(features, "float32"), head.kernel)
    maps = ops.matmul(of_years, ops.expand_dims(ops.transpose(shares, (0, 2, 1)), 1))
    return {task: ops.softmax(groups), f"cam_{task}": maps, "years": ops.softmax(scores)}


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
    if task == "age" and network in IN_YEARS:
        scores = layers.Dense(years.COUNT, dtype="float32", name="softmax")(pooled(features))
        answer = layers.Softmax(dtype="float32", name="groups")(years.group(scores)[0])
    else:
        answer = softmax(len(CLASSES[task]))(pooled(features))
    model = keras.Model(face, answer, name=network.replace("-", "_"))
    tensors = ships.tensors((task,))
    weights.assign(model, {name.replace(f"_{task}/", "/"): v for name, v in tensors.items()})
    return model
