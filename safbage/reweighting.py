"""The paper's reweighting: a face multiplied by its saliency map, as strongly as the ratio says (section III-B).

    reweighted = face · ((1 − r) + r · S)        S in [0, 1], maximum 1;  r the ratio

Ratio 0 leaves the face as it is, 1 multiplies by the map; the paper's 0.3 darkens what nobody looks at by 30 %.
"""

from numbers import Real

import numpy as np

from safbage import images
from safbage.runtime.backend import keras, layers, ops

RATIO = 0.3
"""The ratio the paper settles on (Figure 3)."""
MODES = ("blend", "clip")


def check_ratio(ratio: float) -> float:
    """The ratio itself; ValueError where it lies outside 0–1."""
    if not isinstance(ratio, Real) or not 0 <= ratio <= 1:
        raise ValueError(f"the ratio lies between 0 and 1 (30 % is 0.3); got {ratio}")
    return float(ratio)


def reweight(face: np.ndarray, map: np.ndarray, ratio: float = RATIO, *, mode: str = "blend") -> np.ndarray:
    """Reweight a face, or a batch of faces, by its saliency.

    Args:
        face: H×W×3 uint8 (or N×H×W×3).
        map: its saliency, h×w in [0, 1] (or N×h×w); another size is stretched bilinearly.
        ratio: 0–1.
        mode: "blend", the formula above; or "clip", which blackens what is less salient than the ratio and leaves the rest.

    Returns:
        As `face`, rounded to uint8.

    Raises:
        ValueError: ratio, mode, map values or shapes are off.

    Example:
        >>> reweight(np.full((1, 1, 3), 200, "uint8"), np.array([[0.5]]), 0.3)[0, 0].tolist()
        [170, 170, 170]
    """
    check_ratio(ratio)
    if mode not in MODES:
        raise ValueError(f"mode is one of {', '.join(MODES)}; got {mode!r}")
    face, map = np.asarray(face), np.asarray(map, "float32")
    if face.ndim == 4:
        if len(face) != len(map):
            raise ValueError(f"{len(face)} faces, but {len(map)} maps")
        pairs = zip(face, map, strict=True)
        return np.stack([reweight(f, m, ratio, mode=mode) for f, m in pairs]) if len(face) else face
    if face.ndim != 3 or map.ndim != 2 or face.dtype != np.uint8:
        raise ValueError(
            f"expected a face H×W×3 of uint8 and a map h×w; got {face.shape} of {face.dtype} and {map.shape}. "
            "images.as_rgb brings other arrays to uint8."
        )
    if not (map.min() >= 0 and map.max() <= 1):
        raise ValueError(f"a map lies in [0, 1]; this one spans {map.min()} to {map.max()}")
    if map.shape != face.shape[:2]:
        map = images.resize(map, face.shape[:2])
    weight = (1 - ratio) + ratio * map if mode == "blend" else map >= ratio
    return np.round(face * weight[:, :, None]).astype("uint8")


@keras.saving.register_keras_serializable("safbage")
class Reweighting(layers.Layer):
    """`reweight` (mode "blend") inside a model: [faces N×H×W×3 in 0–255, maps N×h×w, ratios N×1] to faces, not rounded."""

    def call(self, inputs):
        faces, maps, ratios = inputs
        maps = ops.image.resize(maps[..., None], faces.shape[1:3], interpolation="bilinear")
        ratios = ops.reshape(ratios, (-1, 1, 1, 1))
        return faces * ((1 - ratios) + ratios * maps)

    def compute_output_shape(self, input_shape):
        return input_shape[0]
