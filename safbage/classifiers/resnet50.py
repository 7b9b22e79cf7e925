"""ResNet-50, of the paper's future work."""

from safbage.classifiers.caffe import RgbToBgr
from safbage.classifiers.parts import applications_weights, face_input, on_applications
from safbage.classifiers.registry import Network
from safbage.runtime.backend import keras
from safbage.tasks import CLASSES
from safbage.trunks import caffe_normalization


def resnet50(classes: int, *, dropout: float = 0.5) -> keras.Model:
    """ResNet-50 (He et al. 2016). 25,636,712 parameters with 1000 classes."""
    face = face_input()
    x = RgbToBgr(dtype="float32", name="bgr")(caffe_normalization()(face))
    return on_applications(keras.applications.ResNet50, face, x, classes, dropout)


NETWORK = Network(
    resnet50,
    imagenet=lambda: applications_weights(keras.applications.ResNet50),
    trained_from=dict.fromkeys(CLASSES, "softmax"),
)
