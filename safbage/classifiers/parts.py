"""What several networks share: their input, their heads, and the way to keras.applications."""

import numpy as np

from safbage.errors import WeightsError
from safbage.runtime import weights
from safbage.runtime.backend import keras, layers
from safbage.tasks import FACE_SIZE


def face_input() -> keras.KerasTensor:
    """Faces, N×224×224×3, RGB 0–255."""
    return keras.Input((FACE_SIZE, FACE_SIZE, 3), name="face")


def pooled(x, suffix="", *, dropout=0.0):
    """Global average pooling and dropout, N×h×w×K to N×K, for fc6 and fc7 (section 5)."""
    x = layers.GlobalAveragePooling2D(name=f"gap{suffix}")(x)
    return layers.Dropout(dropout, name=f"dropout_softmax{suffix}")(x)


def softmax(classes, name="softmax", **options) -> layers.Dense:
    """The last layer, always in float32: losses and tables need its small values.

    Make it after the layers below it. A seed's random weights depend on the order of making.
    """
    return layers.Dense(classes, activation="softmax", dtype="float32", name=name, **options)


def fully_connected(x, classes, dropout, units=4096, initializer="glorot_uniform"):
    """fc6 to fc8, with dropout behind fc6 and fc7."""
    for name in ("fc6", "fc7"):
        x = layers.Dense(units, activation="relu", kernel_initializer=initializer, name=name)(x)
        x = layers.Dropout(dropout, name=f"dropout_{name}")(x)
    return softmax(classes, "fc8", kernel_initializer=initializer)(x)


def on_applications(build, face, preprocessed, classes, dropout) -> keras.Model:
    """A network of keras.applications and its pooling on preprocessed faces, then softmax."""
    backbone = build(include_top=False, weights=None, input_tensor=preprocessed, pooling="avg")
    x = layers.Dropout(dropout, name="dropout_softmax")(backbone.outputs[0])
    return keras.Model(face, softmax(classes)(x), name=build.__name__.lower())


def applications_weights(build) -> dict[str, np.ndarray]:
    """ImageNet weights of all layers below the last, which keras.applications fetches itself."""
    shape = (FACE_SIZE, FACE_SIZE, 3)
    try:
        model = build(include_top=False, weights="imagenet", input_shape=shape, pooling="avg")
    except Exception as error:  # keras raises a bare one where the address cannot be reached
        raise WeightsError(
            f"keras.applications could not fetch ImageNet weights for {build.__name__} ({error}). "
            "Try again with the internet, put the file named there into models/ in Keras's folder "
            "(~/.keras, or $KERAS_HOME), or start at random with imagenet=False."
        ) from error
    return weights.tensors_of(model.layers)
