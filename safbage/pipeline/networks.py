"""The last three of SAF-BAGE's five steps (section 3) in Keras: see where people look, darken the
rest, answer; as one network, or as the two parts between which the darkening stands."""

from pathlib import Path

import numpy as np

from safbage import classifiers, reweighting, saliency
from safbage.runtime import backend
from safbage.runtime.backend import keras, ops, predict_batches
from safbage.tasks import FACE_SIZE


def network(mlnet: keras.Model, classifier: keras.Model) -> keras.Model:
    """Steps 3 to 5 as one network, which shares the weights of these two.

    Cropping stays outside, with OpenCV: it takes some tenths of a millisecond (the detector takes a
    hundred), while a network that cropped would be compiled for every size of photo.

    Inputs: {"face": N×224×224×3 uint8 RGB, as `stages.find` crops them; "ratio": N×1 float32 in
    [0, 1]}.
    Outputs, float32: "map", N×28×28 in [0, 1], and those of the classifier: for every task its
    probabilities N×C under its name, and its raw class activation maps N×h×w×C under
    ``cam_<task>``; of a network that answers age in years, also their distribution N×101 under
    "years".

    Args:
        mlnet: ``saliency.load(…).network``.
        classifier: of `classifiers.load_joint`.
    """
    face = keras.Input((FACE_SIZE, FACE_SIZE, 3), dtype="uint8", name="face")
    ratio = keras.Input((1,), name="ratio")
    pixels = ops.cast(face, "float32")
    look = _map(mlnet, pixels)  # 3. where people look
    darkened = reweighting.reweight_tensors(pixels, look, ratio)  # 4. the rest is darkened
    answers = classifier(darkened)  # 5. age, gender, expression
    return keras.Model({"face": face, "ratio": ratio}, {"map": look, **answers}, name="saf_bage")


def looking(mlnet: keras.Model) -> keras.Model:
    """Step 3 alone: {"face": N×224×224×3 uint8 RGB} to {"map": N×28×28 float32 in [0, 1]}."""
    face = keras.Input((FACE_SIZE, FACE_SIZE, 3), dtype="uint8", name="face")
    look = _map(mlnet, ops.cast(face, "float32"))
    return keras.Model({"face": face}, {"map": look}, name="looking")


def answering(classifier: keras.Model) -> keras.Model:
    """Step 5 alone: {"face": N×224×224×3 float32, darkened, 0–255} to the classifier's outputs."""
    face = classifier.inputs[0]
    return keras.Model({"face": face}, classifier.output, name="answering")


def _map(mlnet, pixels):
    return saliency.normalize(ops.squeeze(mlnet(pixels), axis=-1), ops)


class ByKeras:
    """Answers faces by Keras: see `answering.Answering`."""

    engine = "keras"

    def __init__(self, mlnet: keras.Model, classifier: keras.Model):
        self.classifier, self.network = classifier, network(mlnet, classifier)
        self.batch_size = backend.batch_size()

    def answer(self, crops: np.ndarray, ratio: float, size: int) -> dict[str, np.ndarray]:
        inputs = {"face": crops, "ratio": np.full((len(crops), 1), ratio, "float32")}
        return predict_batches(self.network, inputs, size)

    def classify(self, darkened: np.ndarray, size: int) -> dict[str, np.ndarray]:
        return predict_batches(self.classifier, darkened, size)


def load(
    tasks: tuple[str, ...], network: str, saliency: str | Path, precision: str | None = None
) -> ByKeras:
    """The networks of `SafBage.load`, whose arguments these are, to answer by Keras."""
    own = keras.config.dtype_policy().name
    with backend.precision(precision or ("mixed_bfloat16" if backend.has_gpu() else own)):
        return ByKeras(_mlnet(saliency), classifiers.load_joint(tasks, network))


def _mlnet(source):
    """ML-Net's network; the shipped one is shared by all that ask for it."""
    return (saliency.load_default() if source == "mlnet" else saliency.load(source)).network
