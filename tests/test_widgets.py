import io

import numpy as np
import pytest
from PIL import Image

from safbage import faces, widgets
from safbage.faces import Face


def test_the_margin_slider_redraws_the_crop(astronaut):
    face = Face((170.0, 60.0, 90.0, 110.0), 1.0, {})
    widget = widgets.margin(astronaut, face)
    slider, picture, text = widget.children
    for value in (0.3, 0.0, 0.85):
        slider.value = value
        shown = np.asarray(Image.open(io.BytesIO(picture.value)))
        assert np.array_equal(shown, faces.crop_face(astronaut, face, margin=value))
        assert text.value.startswith(f"{round(110 * (1 + value))} ×")


@pytest.mark.parametrize("box", [(0.0, 0.0, 0.0, 0.0), (900.0, 900.0, 50.0, 50.0)])
def test_errors_appear_in_words(astronaut, box):
    text = widgets.margin(astronaut, Face(box, 1.0, {})).children[2].value
    assert text.startswith("<b>Error:</b> ValueError")
