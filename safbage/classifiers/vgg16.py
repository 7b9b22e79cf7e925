"""VGG-16, which the paper compares with (section 4.3)."""

from safbage import trunks
from safbage.classifiers.parts import face_input, fully_connected
from safbage.classifiers.registry import Network
from safbage.runtime import weights
from safbage.runtime.backend import keras, layers
from safbage.tasks import CLASSES


def vgg16(classes: int, *, dropout: float = 0.5) -> keras.Model:
    """VGG-16 (Simonyan and Zisserman 2014), normalised as torchvision's.

    138,357,544 parameters with 1000 classes.
    """
    face = face_input()
    x = trunks.imagenet_normalization()(face)
    for block in range(1, 6):
        x = layers.MaxPooling2D(2, name=f"pool{block}")(trunks.vgg16_block(x, block))
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(face, fully_connected(x, classes, dropout), name="vgg16")


NETWORK = Network(
    vgg16,
    imagenet=lambda: weights.load("vgg16-conv"),
    trained_from=dict.fromkeys(CLASSES, "fc8"),
)
"""Only its last layer is trained, as in the paper; but fc6 and fc7 stay at random, which there came
from ImageNet."""
