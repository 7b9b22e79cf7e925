"""The paper's reweighting: a face multiplied by its saliency map, as strongly as the ratio says
(section 3).

    reweighted = face · ((1 − r) + r · S)        S in [0, 1], maximum 1;  r the ratio

Ratio 0 leaves the face as it is, 1 multiplies it by the map. The paper's 0.3 darkens by 30 % what
nobody looks at. `FORMULAS` holds the library's only copy of the formula; `weigh` applies it to
NumPy's arrays and to Keras's tensors.
"""

from numbers import Real

import numpy as np

from safbage import images
from safbage.tasks import RATIO

VERSION = 1
"""The version of the formulas. Raise it when one changes: what was computed by another version is
not reused."""
FORMULAS = {
    "blend": lambda saliency, ratio, array: (1 - ratio) + ratio * saliency,
    "clip": lambda saliency, ratio, array: array.where(saliency >= ratio, 1.0, 0.0),
}
"""What a pixel is multiplied by. "blend" is the paper's; "clip" blackens pixels whose saliency is
below the ratio and leaves the others as they are."""
MODES = tuple(FORMULAS)


def check_ratio(ratio: float) -> float:
    """The ratio itself; ValueError where it lies outside 0–1."""
    if not isinstance(ratio, Real) or not 0 <= ratio <= 1:
        raise ValueError(f"the ratio lies between 0 and 1 (30 % is 0.3); got {ratio}")
    return float(ratio)


def check_mode(mode: str) -> str:
    """The mode itself; ValueError where there is none of its name."""
    if mode not in MODES:
        raise ValueError(f"mode is one of {', '.join(MODES)}; got {mode!r}")
    return mode


def weigh(saliency, ratio, mode: str = "blend", array=np):
    """What the pixels of a face are multiplied by, 0–1.

    Args:
        saliency: in [0, 1], of any shape: NumPy's array or Keras's tensor.
        ratio: 0–1, or several of them that broadcast with `saliency`.
        mode: a key of `FORMULAS`.
        array: the module that computes: `numpy`, or `keras.ops` for tensors.
    """
    return FORMULAS[mode](saliency, ratio, array)


def reweight(
    face: np.ndarray,
    saliency: np.ndarray,
    ratio: float = RATIO,
    *,
    mode: str = "blend",
    rounded: bool = True,
) -> np.ndarray:
    """Reweight a face, or a batch of faces, by its saliency.

    Args:
        face: H×W×3 uint8 (or N×H×W×3).
        saliency: its map, h×w in [0, 1] (or N×h×w); another size is stretched bilinearly.
        ratio: 0–1.
        mode: one of `MODES`, see `FORMULAS`.
        rounded: round to uint8, for pictures; otherwise float32, as the classifiers take it.

    Returns:
        As `face`; uint8, or float32 in 0–255.

    Raises:
        ValueError: the ratio, the mode, the map's values or the shapes are not as described.

    Example:
        >>> reweight(np.full((1, 1, 3), 200, "uint8"), np.array([[0.5]]), 0.3)[0, 0].tolist()
        [170, 170, 170]
    """
    check_ratio(ratio)
    check_mode(mode)
    face, saliency = np.asarray(face), np.asarray(saliency, "float32")
    if face.ndim == 4:
        if len(face) != len(saliency):
            raise ValueError(f"{len(face)} faces, but {len(saliency)} maps")
        result = np.empty(face.shape, "uint8" if rounded else "float32")
        for i, (one, its_map) in enumerate(zip(face, saliency, strict=True)):
            result[i] = reweight(one, its_map, ratio, mode=mode, rounded=rounded)
        return result
    if face.ndim != 3 or saliency.ndim != 2 or face.dtype != np.uint8:
        raise ValueError(
            "expected a face H×W×3 of uint8 and a map h×w; "
            f"got {face.shape} of {face.dtype} and {saliency.shape}. "
            "images.as_rgb brings other arrays to uint8."
        )
    low, high = saliency.min(), saliency.max()
    if not (low >= 0 and high <= 1):
        raise ValueError(f"a map lies in [0, 1]; this one spans {low} to {high}")
    if saliency.shape != face.shape[:2]:
        saliency = images.resize(saliency, face.shape[:2])
    result = face * weigh(saliency, ratio, mode)[:, :, None]
    return np.round(result).astype("uint8") if rounded else result.astype("float32")


def reweight_tensors(faces, saliency, ratios):
    """`reweight` by the paper's formula inside a model, not rounded.

    Args:
        faces: a tensor N×H×W×3, 0–255.
        saliency: their maps, a tensor N×h×w in [0, 1].
        ratios: a ratio for each, a tensor N×1.
    """
    from safbage.runtime.backend import ops  # Keras is here with the model, and only then

    maps = ops.image.resize(saliency[..., None], faces.shape[1:3], interpolation="bilinear")
    return faces * weigh(maps, ops.reshape(ratios, (-1, 1, 1, 1)), array=ops)
