"""Widgets for notebooks: thin layers over tested functions. Pictures are redrawn in place, so nothing flickers."""

from collections.abc import Callable

import ipywidgets
import numpy as np

from safbage import faces, images
from safbage.faces import Face


def margin(photo: np.ndarray, face: Face, *, value: float = 0.3) -> ipywidgets.Widget:
    """A slider of the margin, 0–100 %, beside the crop that it gives."""
    slider = ipywidgets.FloatSlider(value=value, min=0, max=1, step=0.05, description="margin", readout_format=".0%")

    def draw():
        crop = faces.crop_face(photo, face, margin=slider.value)
        side = faces.square(face.box, slider.value)[2]
        return crop, f"{side} × {side} pixels of the photo, scaled to 224 × 224"

    return _redrawn(slider, draw, width=280)


def _redrawn(slider, draw: Callable[[], tuple[np.ndarray, str]], *, width: int) -> ipywidgets.Widget:
    """The slider over a picture and a line of text; an error in `draw` is shown there in words."""
    picture, text = ipywidgets.Image(format="png", width=width), ipywidgets.HTML()

    def update(_=None):
        try:
            shown, text.value = draw()
            picture.value = images.encode(shown, "png")
        except Exception as error:  # inside a callback nobody else would see it
            text.value = f"<b>Error:</b> {type(error).__name__}: {error}"

    slider.observe(update, "value")
    update()
    return ipywidgets.VBox([slider, picture, text])
