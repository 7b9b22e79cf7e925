"""Saliency maps: where people would look, predicted by ML-Net."""

import importlib

from safbage.saliency.names import SHIPPED

_HOMES = {
    "trained": ("SCENE_SIZE", "SaliencyModel", "load"),
    "predicting": ("load_default", "normalize", "predict", "predict_faces"),
}
"""By module what is imported when it is first asked for: it brings Keras, and who measures maps or
answers from a file needs none."""


def __getattr__(name):
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"safbage.saliency.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "SCENE_SIZE",
    "SHIPPED",
    "SaliencyModel",
    "load",
    "load_default",
    "normalize",
    "predict",
    "predict_faces",
]
