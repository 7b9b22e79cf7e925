"""The classifiers that answer age, gender and expression: AlexNet, and AlexNet-GAP for class activation maps.

AlexNet in torchvision's shape (Krizhevsky 2014, "One weird trick"): five convolutions 64-192-384-256-256, no groups, no local
response normalisation, then fc6-fc8. AlexNet-GAP replaces the fully connected layers by global average pooling and softmax
(the paper's section IV-D, after Zhou et al. 2016). Inputs are RGB faces, 0–255, N×224×224×3; layers are named as in the paper.
"""

from safbage import trunks, weights
from safbage.backend import keras, layers
from safbage.reweighting import Reweighting
from safbage.trunks import alexnet_conv5, imagenet_normalization

SIZE = 224
TRUNK_SHAPE = (13, 13, 256)
"""Shape of conv4's output, where the tasks part."""

CLASSES = {
    "age": ("0-2", "4-6", "8-13", "15-20", "25-32", "38-43", "48-53", "60+"),
    "gender": ("male", "female"),
    "expression": ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger"),
}
"""The paper's classes (section IV-A): Adience's age groups and genders, AffectNet's seven expressions, in its order.

All are apparent: what annotators saw in a picture, not what a person is, feels or says of themselves.
"""


def _conv1_to_conv4(x):
    return trunks.alexnet_levels(imagenet_normalization()(x))["conv4"]


def _gap(x, classes, suffix=""):
    x = layers.GlobalAveragePooling2D(name=f"gap{suffix}")(x)
    return layers.Dense(classes, activation="softmax", dtype="float32", name=f"softmax{suffix}")(x)


def alexnet(classes: int, *, dropout: float = 0.5) -> keras.Model:
    """AlexNet with fc6–fc8, weights at random: faces (N×224×224×3, RGB 0–255) to probabilities (N×classes).

    57,036,616 parameters with 8 classes, 61,100,840 with 1000.
    """
    inputs = keras.Input((SIZE, SIZE, 3), name="face")
    x = alexnet_conv5(_conv1_to_conv4(inputs))
    x = layers.MaxPooling2D(3, 2, name="pool5")(x)
    x = layers.Flatten(name="flatten")(x)
    for name in ("fc6", "fc7"):
        x = layers.Dropout(dropout, name=f"dropout_{name}")(x)
        x = layers.Dense(4096, activation="relu", name=name)(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax", name="fc8")(x), name="alexnet")


def alexnet_gap(classes: int) -> keras.Model:
    """AlexNet-GAP, weights at random: faces (N×224×224×3, RGB 0–255) to probabilities (N×classes)."""
    inputs = keras.Input((SIZE, SIZE, 3), name="face")
    x = alexnet_conv5(_conv1_to_conv4(inputs))
    return keras.Model(inputs, _gap(x, classes), name="alexnet_gap")


def alexnet_trunk() -> keras.Model:
    """conv1–conv4 with the ImageNet weights, which all tasks share: faces to features (N×13×13×256).

    Raises:
        WeightsError: the weights are missing and cannot be fetched, or are damaged.
    """
    inputs = keras.Input((SIZE, SIZE, 3), name="face")
    model = keras.Model(inputs, _conv1_to_conv4(inputs), name="alexnet_trunk")
    trunks.assign_alexnet(model, conv5=False)
    return model


def gap_head(classes: int) -> keras.Model:
    """conv5, pooling and softmax: features (N×13×13×256) to [probabilities (N×classes), conv5's output (N×13×13×256)]."""
    inputs = keras.Input(TRUNK_SHAPE, name="conv4_output")
    conv5 = alexnet_conv5(inputs)
    return keras.Model(inputs, [_gap(conv5, classes), conv5], name="gap_head")


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
    x = _conv1_to_conv4(x)
    outputs = {}
    for task in tasks:
        conv5 = alexnet_conv5(x, f"_{task}")
        outputs |= {task: _gap(conv5, len(CLASSES[task]), f"_{task}"), f"conv5_{task}": conv5}
    model = keras.Model(inputs, outputs, name="saf_bage")
    trunks.assign_alexnet(model, conv5=False)
    for task in tasks:
        head = weights.load(f"alexnet-gap-{task}")
        weights.assign(model, {name.replace("/", f"_{task}/"): value for name, value in head.items()})
    return model
