"""safbage: saliency-aware face analysis after SAF-BAGE (Gurnani et al. 2019).

    from safbage import SafBage

    SafBage.load().predict("photo.jpg")

The rooms, in the order in which a photo walks: photos and images, faces, saliency, reweighting,
classifiers, cam, pipeline, show. Importing the package alone loads no TensorFlow; a room that needs
it loads it when the room is imported or used.
"""

import os

__version__ = "0.1.0"
__all__ = ["SafBage"]

# TensorFlow's start-up notes would be the first thing a student sees; its errors still show.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# Without AVX-512, TensorFlow leaves oneDNN's convolutions and products aside, although they are a
# third faster there too.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def __getattr__(name):
    if name == "SafBage":
        from safbage.pipeline import SafBage

        return SafBage
    raise AttributeError(f"module 'safbage' has no attribute {name!r}")
