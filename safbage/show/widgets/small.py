"""Smaller dials: a face's margin, the detector's thresholds, where a class's evidence lies."""

import functools

import ipywidgets
import numpy as np
from matplotlib.figure import Figure

from safbage import cam, classifiers, faces
from safbage.faces import Face
from safbage.pipeline import Explanation
from safbage.show import plots
from safbage.show.widgets.parts import Picture, evidence_scale, pixels, redrawn
from safbage.tasks import CLASSES, MARGIN

METHODS = {
    "Grad-CAM": cam.grad_cam,
    "Grad-CAM++": cam.grad_cam_plus_plus,
    "occlusion": cam.occlusion,
}
WIDE = {"description_width": "130px"}
SLIDER = {"width": "480px", "max_width": "100%"}
"""As wide as the widest picture below, so that each step can be hit with a mouse."""


def margin(photo: np.ndarray, face: Face, *, value: float = MARGIN) -> ipywidgets.Widget:
    """A slider for the margin around a face, 0–100 %, over the crop that it gives."""
    slider = ipywidgets.FloatSlider(value=value, min=0, max=1, step=0.05, readout_format=".0%")
    slider.description, slider.layout = "margin", SLIDER

    def draw():
        crop = faces.crop_face(photo, face, margin=slider.value)
        side = faces.square(face.box, slider.value)[2]
        return crop, f"{side} × {side} pixels of the photo, scaled to 224 × 224"

    return redrawn([slider], draw, Picture("crop", width=280))


def thresholds(photo: np.ndarray) -> ipywidgets.Widget:
    """MTCNN's three thresholds and its smallest face, over the photo with the faces then found."""
    shared = dict(continuous_update=False, style=WIDE, layout=SLIDER)
    networks = [
        ipywidgets.FloatSlider(
            value=value, min=0.05, max=0.99, step=0.01, description=f"{name} network", **shared
        )
        for name, value in (("proposal", 0.6), ("refinement", 0.7), ("output", 0.8))
    ]
    smallest = ipywidgets.IntSlider(
        value=20, min=12, max=200, description="smallest face, px", **shared
    )

    def draw():
        thresholds = tuple(slider.value for slider in networks)
        found = faces.detect_faces(photo, min_face_size=smallest.value, thresholds=thresholds)
        figure = Figure(figsize=(4.8, 4.8 * photo.shape[0] / photo.shape[1]))
        axes = figure.add_axes((0, 0, 1, 1))
        plots.boxes(photo, found, labels=plots.percentages([face.score for face in found]), ax=axes)
        count = f"{len(found)} face{'' if len(found) == 1 else 's'} found"
        return pixels(figure), f"{count}; the label is the output network's score"

    return redrawn([*networks, smallest], draw, Picture("detected", width=480))


def class_evidence(seen: Explanation, *, face: int = 0) -> ipywidgets.Widget:
    """Menus of task, class, method and layer, over the reweighted face and where the evidence lies.

    It is AlexNet-GAP's evidence, whose layers the menu lists.

    Args:
        seen: what `SafBage.explain` returned, of a model with that network.
        face: the index of one of its faces.

    Raises:
        IndexError: there is no such face.
    """
    crop = seen.only(face).reweighted
    task = ipywidgets.Dropdown(options=list(seen.probabilities), description="task", style=WIDE)
    wanted = ipywidgets.Dropdown(description="class", style=WIDE)
    method = ipywidgets.Dropdown(options=list(METHODS), description="method", style=WIDE)
    layers = [f"conv{i}" for i in range(5, 0, -1)]
    layer = ipywidgets.Dropdown(options=layers, description="layer", style=WIDE)
    shipped = functools.cache(functools.partial(classifiers.load, network="alexnet-gap"))

    def offer_classes(_=None):
        names = CLASSES[task.value]
        answer = int(seen.probabilities[task.value][face].argmax())
        said = [name + (" (the answer)" if i == answer else "") for i, name in enumerate(names)]
        wanted.options = [(name, i) for i, name in enumerate(said)]
        wanted.value = answer

    def draw():
        layer.disabled = method.value == "occlusion"
        options = {} if layer.disabled else {"layer": layer.value}
        find = METHODS[method.value]
        network = shipped(task.value)
        (evidence,) = find(network, crop.astype("float32"), target=wanted.value, **options)
        reach = float(np.abs(evidence).max()) or 1.0
        shown = plots.tinted(crop[0], evidence, reach=reach)
        name = CLASSES[task.value][wanted.value]
        where = "occlusion" if layer.disabled else f"{method.value} at {layer.value}"
        scale = evidence_scale(reach, plots.EVIDENCE_COLOURS)
        return shown, f"{where}, {task.value} {name}: {_in_words(evidence)}\n{scale}"

    offer_classes()
    task.observe(offer_classes, "value")
    return redrawn([task, wanted, method, layer], draw, Picture("evidence", width=300))


def _in_words(evidence):
    """What a map of evidence shows."""
    if not evidence.any():
        return "nothing speaks for the class"
    both = (evidence < 0).any()
    return f"what speaks for {'(+) and against (−) ' if both else ''}the class"
