"""Class activation maps (Zhou et al. 2016; the paper's section IV-D, Figure 4): where a class's evidence lies."""

import numpy as np


def class_activation_maps(features: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """CAM of every class: the features weighted by that class's softmax weights.

    A map's mean, plus the class's bias, is the score that enters the softmax.

    Args:
        features: output of the last convolution, h×w×K (or N×h×w×K).
        kernel: weights from the pooled features to the classes, K×C.

    Returns:
        h×w×C float32 (or N×h×w×C), one map per class, of any sign and range; see `normalize`.

    Raises:
        ValueError: features and kernel do not fit.
    """
    return np.asarray(features, "float32") @ np.asarray(kernel, "float32")


def normalize(map: np.ndarray) -> np.ndarray:
    """Stretch a map (h×w), or each of a batch (N×h×w), to [0, 1]; one that is flat becomes zero."""
    map = np.asarray(map, "float32")
    low = map.min(axis=(-2, -1), keepdims=True)
    span = map.max(axis=(-2, -1), keepdims=True) - low
    return (map - low) / np.where(span > 0, span, 1)
