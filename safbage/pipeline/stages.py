"""SAF-BAGE in five steps (section 3): find the faces, crop them, see where people look, darken
the rest, answer."""

import numpy as np

from safbage import faces, reweighting, saliency
from safbage.faces import Face
from safbage.runtime.backend import keras, ops
from safbage.tasks import FACE_SIZE


def find(
    image: np.ndarray, *, min_face: float = 0, max_faces: int | None = None, align: bool = False
) -> tuple[list[Face], np.ndarray]:
    """Steps 1 and 2: a photo's faces, and each with 30 % around it, N×224×224×3 uint8; with `align`
    its eyes are level."""
    found = faces.largest(faces.detect_enlarged(image), min_face=min_face, max_faces=max_faces)
    return found, crop(image, found, align=align)


def crop(image: np.ndarray, found: list[Face], *, align: bool = False) -> np.ndarray:
    """Step 2 alone: each face with 30 % around it, N×224×224×3 uint8."""
    crops = [faces.crop_face(image, face, align=align) for face in found]
    return np.array(crops, "uint8").reshape(-1, FACE_SIZE, FACE_SIZE, 3)


def network(mlnet: keras.Model, classifier: keras.Model) -> keras.Model:
    """Steps 3 to 5 as one network, which shares the weights of these two.

    Cropping stays outside, with OpenCV: it takes some tenths of a millisecond (the detector takes a
    hundred), while a network that cropped would be compiled for every size of photo.

    Inputs: {"face": N×224×224×3 uint8 RGB, as `find` crops them; "ratio": N×1 float32 in [0, 1]}.
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
    look = saliency.normalize(ops.squeeze(mlnet(pixels), axis=-1), ops)  # 3. where people look
    darkened = reweighting.reweight_tensors(pixels, look, ratio)  # 4. the rest is darkened
    answers = classifier(darkened)  # 5. age, gender, expression
    return keras.Model({"face": face, "ratio": ratio}, {"map": look, **answers}, name="saf_bage")
