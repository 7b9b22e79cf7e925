"""DenseNet-121, of the paper's future work."""

from safbage.classifiers.parts import applications_weights, face_input, on_applications
from safbage.classifiers.registry import Network
from safbage.runtime.backend import keras
from safbage.tasks import CLASSES
from safbage.trunks import imagenet_normalization


def densenet121(classes: int, *, dropout: float = 0.5) -> keras.Model:
    """DenseNet-121 (Huang et al. 2017). 8,062,504 parameters with 1000 classes."""
    face = face_input()
    x = imagenet_normalization()(face)
    return on_applications(keras.applications.DenseNet121, face, x, classes, dropout)


NETWORK = Network(
    densenet121,
    imagenet=lambda: applications_weights(keras.applications.DenseNet121),
    trained_from=dict.fromkeys(CLASSES, "softmax"),
)
