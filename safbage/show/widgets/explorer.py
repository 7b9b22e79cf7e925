"""The ratio explorer: turn the dial, and watch face, map, evidence and answers change."""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import ipywidgets
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from safbage import images, reweighting
from safbage.errors import ImageError
from safbage.faces import Face
from safbage.pipeline import Explanation, SafBage
from safbage.show import plots
from safbage.show.widgets.parts import (
    COLOURS,
    EVIDENCE_COLOURS,
    Message,
    Picture,
    bars,
    evidence_scale,
    pixels,
    scale,
)
from safbage.tasks import CLASSES, LABELS

if TYPE_CHECKING:  # the readers of data sets bring Keras
    from safbage.datasets.shards import Prepared

EMBEDDED, GIVEN = "the embedded photo", "the given photo"
UPLOADED, PREPARED = "a photo of your own", "a face of the data set"
ANSWER = -1
"""Stands for "the class that is answered" among the CAM's classes."""
FORMULA_TITLES = {"blend": "blend: (1 − r) + r · S", "clip": "clip: where S ≥ r"}
"""How formulas are offered; one without an entry is offered by its name."""
STYLE = {"description_width": "64px"}
CHOOSE = (
    "Choose a photo: it stays on the machine that runs this. (A JupyterLab that was not started by "
    "`make lab` drops files above 10 MB; then give ratio_explorer the photo's path.)"
)
WIDTH = 210
"""The largest width of a picture on the screen, in pixels."""


def ratio_explorer(
    model: SafBage,
    photo: str | Path | np.ndarray | Image.Image | None = None,
    *,
    prepared: "Prepared | None" = None,
    save_to: str | Path = "views",
) -> "RatioExplorer":
    """A dial for the reweighting's ratio: reweighted face, CAM and probabilities move with it.

    The detector and ML-Net run once for each photo; a move of the dial runs the classifier alone.
    A photo that cannot be read or has no face raises nothing: the widget says so, and another can
    be chosen.

    Args:
        model: from `SafBage.load`.
        photo: a path, an array or a PIL image to begin with; the embedded photo where None.
        prepared: a prepared data set, whose faces can then be chosen too.
        save_to: the folder into which "save this view" writes.
    """
    return RatioExplorer(model, photo, prepared=prepared, save_to=save_to)


class RatioExplorer(ipywidgets.VBox):
    """The widget of `ratio_explorer`.

    Its controls are attributes (`ratio`, `formula`, `face`, …), so that code can set them too.
    `shown` is the `Explanation` in view, of one face.
    """

    def __init__(self, model, photo=None, *, prepared=None, save_to="views"):
        self.model, self.given, self.prepared, self.save_to = model, photo, prepared, Path(save_to)
        self.seen = self.one = self.shown = None
        self._make_controls()
        self._make_views()
        super().__init__(
            [
                ipywidgets.HBox(
                    [self.source, self.upload, self.row, self.face],
                    layout={"flex_flow": "row wrap"},
                ),
                ipywidgets.HBox([self.ratio, self.papers], layout={"flex_flow": "row wrap"}),
                ipywidgets.HBox(self.options, layout={"flex_flow": "row wrap"}),
                self.message,
                self.view,
            ]
        )
        self._listen()
        self._on_photo()

    def _make_controls(self):
        sources = [EMBEDDED if self.given is None else GIVEN, UPLOADED] + [PREPARED] * (
            self.prepared is not None
        )
        self.source = ipywidgets.Dropdown(options=sources, description="look at", style=STYLE)
        self.upload = ipywidgets.FileUpload(
            accept="image/*",
            description="choose a photo",
            layout={"display": "none", "width": "180px"},
        )
        last = len(self.prepared) - 1 if self.prepared is not None else 0
        self.row = ipywidgets.BoundedIntText(
            min=0, max=last, description=f"face 0–{last}", style=STYLE, layout={"display": "none"}
        )
        self.face = ipywidgets.Dropdown(description="face", style=STYLE, layout={"display": "none"})
        self.ratio = ipywidgets.IntSlider(min=0, max=100, description="ratio, %", style=STYLE)
        self.ratio.value, self.ratio.layout.width = round(100 * self.model.ratio), "560px"
        self.papers = ipywidgets.Button(description=f"as the paper ({reweighting.RATIO:.0%})")
        formulas = [(FORMULA_TITLES.get(mode, mode), mode) for mode in reweighting.MODES]
        self.formula = ipywidgets.Dropdown(options=formulas, description="formula", style=STYLE)
        tasks = list(self.model.tasks)
        self.task = ipywidgets.Dropdown(options=tasks, description="CAM of", style=STYLE)
        self.target = ipywidgets.Dropdown(options=self._targets(), description="class", style=STYLE)
        self.map_colours = ipywidgets.Dropdown(
            options=COLOURS, value=plots.MAP_COLOURS, description="map in", style=STYLE
        )
        self.cam_colours = ipywidgets.Dropdown(
            options=EVIDENCE_COLOURS, description="CAM in", style=STYLE
        )
        self.options = [self.formula, self.task, self.target, self.map_colours, self.cam_colours]
        for control in self.options:
            control.layout.width = "222px"
        self.formula.layout.width = "270px"
        self.save = ipywidgets.Button(description="save this view", icon="download")

    def _make_views(self):
        titles = {
            "photo": "photo",
            "face": "face",
            "map": "saliency (ML-Net)",
            "reweighted": "reweighted",
            "cam": "evidence (CAM)",
        }
        self.pictures = {name: Picture(title, width=WIDTH) for name, title in titles.items()}
        room = {"flex": "1 1 220px", "max_width": "300px", "margin": "0 24px 0 0"}
        self.bars = {task: ipywidgets.HTML(layout=room) for task in self.model.tasks}
        self.message = Message()
        wrapped = {"flex_flow": "row wrap"}
        rows = [
            ipywidgets.HBox(list(parts.values()), layout=wrapped)
            for parts in (self.pictures, self.bars)
        ]
        self.view = ipywidgets.VBox([*rows, self.save], layout={"display": "none"})

    def _listen(self):
        self.source.observe(self._on_source, "value")
        self.upload.observe(self._on_photo, "value")
        self.row.observe(self._on_photo, "value")
        self.face.observe(self._on_face, "value")
        self.task.observe(self._on_task, "value")
        for control in (self.ratio, self.formula, self.target):
            control.observe(self._on_move, "value")
        for control in (self.map_colours, self.cam_colours):
            control.observe(self._on_colours, "value")
        self.papers.on_click(lambda _: setattr(self.ratio, "value", round(100 * reweighting.RATIO)))
        self.save.on_click(self._on_save)

    def _targets(self):
        return [
            ("the answer", ANSWER),
            *((name, i) for i, name in enumerate(CLASSES[self.task.value])),
        ]

    def _on_source(self, _):
        for control, source in ((self.upload, UPLOADED), (self.row, PREPARED)):
            control.layout.display = None if self.source.value == source else "none"
        if self.source.value == UPLOADED and not self.upload.value:
            self.message.say(CHOOSE)
        else:
            self._on_photo()

    def _on_photo(self, _=None):
        """Read another photo: only here do the detector and ML-Net run."""
        self.message.say("Looking …")
        with self.message.errors():
            seen = self._read()
            if not seen.faces:
                hint = "choose another photo, larger or less turned"
                raise ImageError(f"no face was found in {seen.photo}; {hint}")
            self.seen = seen
            self.face.unobserve(self._on_face, "value")
            scores = plots.percentages([face.score for face in seen.faces])
            self.face.options = [(f"{i} (score {score})", i) for i, score in enumerate(scores)]
            self.face.value = 0
            self.face.observe(self._on_face, "value")
            self.face.layout.display = None if len(seen.faces) > 1 else "none"
            self._on_face()

    def _read(self):
        """The photo of the chosen source as an `Explanation`."""
        source = self.source.value
        if source == PREPARED:
            return self._prepared_face(self.row.value)
        if source == UPLOADED:
            file = self.upload.value[-1]
            seen = self.model.explain(images.from_bytes(bytes(file["content"]), file["name"]))
            return replace(seen, photo=file["name"])
        if source == GIVEN:
            return self.model.explain(self.given)
        return replace(self.model.explain(images.astronaut()), photo="astronaut")

    def _prepared_face(self, row):
        crops, maps = self.prepared.faces([row])
        face = Face((0.0, 0.0, float(crops.shape[2]), float(crops.shape[1])), 1.0, {})
        found = self.prepared.table.iloc[row]
        known = [str(found[name]) for name in LABELS.values() if found.get(name) is not None]
        labels = f"labelled {', '.join(known)}" if known else "without a label"
        name = f"face {row} of {self.prepared.folder.name}, {labels}"
        ratio = self.model.ratio
        return Explanation(name, ratio, "ok", crops[0], [face], crops, maps, quality=[""])

    def _on_face(self, _=None):
        """Show another face of the photo, first what does not depend on the ratio."""
        with self.message.errors():
            self.one = self.seen.only(self.face.value)
            self._draw_photo()
            amiss = "".join(f"; {reasons}" for reasons in self.one.quality if reasons)
            caption = f"the box widened by 30\N{NO-BREAK SPACE}%, scaled to 224 × 224{amiss}"
            self.pictures["face"].show(self.one.crops[0], caption)
            self._draw_map()
            self._on_move()
            self.view.layout.display = None
            self.message.value = ""

    def _on_task(self, _):
        with self.message.errors():
            self.target.unobserve(self._on_move, "value")
            self.target.options = self._targets()
            self.target.value = ANSWER
            self.target.observe(self._on_move, "value")
            self._draw_cam()

    def _on_colours(self, _):
        with self.message.errors():
            self._draw_map()
            self._draw_cam()

    def _on_move(self, _=None):
        """Ratio, formula or class moved: the classifier alone runs."""
        with self.message.errors():
            if self.one is None:
                return
            self.shown = self.model.at_ratio(
                self.one, self.ratio.value / 100, mode=self.formula.value
            )
            reweighted = self.shown.reweighted[0]
            left = reweighted.sum(dtype=float) / max(1, self.one.crops[0].sum(dtype=float))
            self.pictures["reweighted"].show(
                reweighted, f"at {self.ratio.value} %: {left:.0%} of the face's light is left"
            )
            self._draw_cam()
            for task, values in self.shown.probabilities.items():
                in_years = task == "age" and self.shown.years is not None
                years = self.shown.years[0] if in_years else None
                self.bars[task].value = bars(task, values[0], years=years)
            self.message.value = ""

    def _draw_photo(self):
        picture = self.pictures["photo"]
        if self.source.value == PREPARED:
            return picture.show(self.seen.image, self.seen.photo)
        height, width = self.seen.image.shape[:2]
        figure = Figure(figsize=(2 * WIDTH / 100, 2 * WIDTH / 100 * height / width))
        several = len(self.seen.faces) > 1
        labels = [str(i) for i in range(len(self.seen.faces))] if several else []
        ax = figure.add_axes((0, 0, 1, 1))
        plots.boxes(self.seen.image, self.seen.faces, labels=labels, ax=ax)
        caption = "the face found is boxed"
        if several:
            caption = f"{len(labels)} faces, boxed; face {self.face.value} is shown"
        picture.show(pixels(figure), f"{Path(self.seen.photo).name}: {caption}")

    def _draw_map(self):
        if self.one is None:
            return
        colours = self.map_colours.value
        shown = plots.blended(self.one.crops[0], self.one.maps[0], colours=colours)
        caption = "where people would look, S; the most looked-at place is 1"
        self.pictures["map"].show(shown, f"{caption}\n{scale(colours)}")

    def _draw_cam(self):
        if self.shown is None:
            return
        task, colours = self.task.value, self.cam_colours.value
        values = self.shown.probabilities[task][0]
        target = int(values.argmax()) if self.target.value == ANSWER else self.target.value
        evidence = plots.evidence_of(self.shown, task, target=target)
        reach = plots.evidence_reach(self.shown)
        shown = plots.tinted(self.shown.reweighted[0], evidence, reach=reach, colours=colours)
        wanted = f"{task} {CLASSES[task][target]} ({values[target]:.0%})"
        caption = f"what speaks for (+) and against (−) {wanted}"
        self.pictures["cam"].show(shown, f"{caption}\n{evidence_scale(reach, colours)}")

    def _on_save(self, _):
        with self.message.errors():
            target = None if self.target.value == ANSWER else self.target.value
            colours = dict(map_colours=self.map_colours.value, cam_colours=self.cam_colours.value)
            figure = plots.reweighted_view(self.shown, self.task.value, target=target, **colours)
            stem = re.sub(r"[^\w-]", "-", Path(self.seen.photo).stem)[:60]
            place = f"face{self.face.value}-ratio{self.ratio.value}"
            name = f"{stem}-{place}-{self.formula.value}-{self.task.value}.png"
            self.save_to.mkdir(parents=True, exist_ok=True)
            path = images.write(self.save_to / name, pixels(figure, dpi=120))
            self.message.say(f"saved {path.resolve()}")
