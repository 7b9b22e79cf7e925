"""All that follows detection as one network: crops in; saliency maps, probabilities and class activation maps out.

Cropping itself stays outside, with OpenCV: it takes a tenth of a millisecond to a few (the detector takes a hundred), while a
network that cropped would be compiled for every size of photo, and would have to be given whole photos.
"""

from safbage import saliency
from safbage.classifiers import SIZE
from safbage.runtime.backend import keras, ops


def join(mlnet: keras.Model, classifier: keras.Model) -> keras.Model:
    """ML-Net, the map's normalisation, reweighting and the classifiers as one model; it shares their weights.

    Inputs: {"face": N×224×224×3 uint8 RGB, cropped as by `faces.crop_face`; "ratio": N×1 float32 in [0, 1]}.
    Outputs, float32: "map", N×28×28 in [0, 1], and those of the classifier: for every task its probabilities N×C under its
    name, and its raw class activation maps N×h×w×C under ``cam_<task>``.

    Args:
        mlnet: from `mlnet.load`.
        classifier: from `classifiers.load_joint`.
    """
    inputs = {"face": keras.Input((SIZE, SIZE, 3), dtype="uint8", name="face"), "ratio": keras.Input((1,), name="ratio")}
    face = ops.cast(inputs["face"], "float32")
    map = saliency.normalized(ops.squeeze(mlnet(face), axis=-1))
    answers = classifier({"face": face, "map": map, "ratio": inputs["ratio"]})
    return keras.Model(inputs, {"map": map, **answers}, name="saf_bage")
