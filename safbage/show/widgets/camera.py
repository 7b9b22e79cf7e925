"""One's own face by the browser's camera: boxes, answers and maps over the running picture."""

import html
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anywidget
import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import traitlets

from safbage import faces, images, reweighting
from safbage.errors import ImageError
from safbage.pipeline import Explanation, SafBage
from safbage.show import plots
from safbage.show.widgets.parts import bars, evidence_scale, scale
from safbage.show.widgets.watching import DETECT_EVERY, Watcher
from safbage.tasks import CLASSES

OVERLAYS = {
    "nothing": "nothing",
    "where people would look": "saliency",
    "what the network sees": "reweighted",
    "what speaks for a class": "evidence",
}
"""What can be laid over the face, as it is offered."""
ANSWER = -1
"""Stands for "the class that is answered" among the CAM's classes."""
BYTES = 2**20
"""Bytes that a frame has at most; the page's own have some 60,000."""
PIXELS = 2**20
"""Pixels that a frame has at most; the page's own have up to 640×640."""
STYLE = {"description_width": "64px"}


def live(model: SafBage, *, max_faces: int = 1, detect_every: int = DETECT_EVERY) -> "Live":
    """The browser's camera, with its faces boxed and answered, and a dial for the ratio.

    The camera starts when its button is pressed. The page sends a small frame whenever the one
    before was answered, so that nothing queues up; the picture itself keeps the camera's rate.
    Frames are answered in a thread of their own, and the notebook stays free. No frame is kept or
    sent on. Without a camera, or where it is refused, the widget says what to do.

    Args:
        model: from `SafBage.load`; with ``saliency="light"`` it is fast enough.
        max_faces: how many faces are answered, the largest; others in view are passed over.
        detect_every: faces are searched for in every so many frames, and followed between.

    Raises:
        ValueError: an option is out of its range.
    """
    return Live(Watcher(model, max_faces=max_faces, detect_every=detect_every))


class Camera(anywidget.AnyWidget):
    """The camera's picture, and what is painted over it; the page's part is camera.js.

    `colours` are 256 of red, green and blue, a byte each, for a saliency map from 0 to 1.
    `speaks` are the colours of what speaks for a class and against it.
    """

    _esm = Path(__file__).with_name("camera.js")
    _css = Path(__file__).with_name("camera.css")
    colours = traitlets.Bytes().tag(sync=True)
    speaks = traitlets.List(traitlets.Unicode()).tag(sync=True)


class Live(ipywidgets.VBox):
    """The widget of `live`.

    Its controls are attributes (`ratio`, `overlay`, `task`, `target`), so that code can set them,
    too. One page at a time has the camera: the one whose button was pressed last.
    """

    def __init__(self, watcher):
        self.watcher, self.model, self.viewer = watcher, watcher.model, None
        self._busy, self._worker = threading.Lock(), ThreadPoolExecutor(1, "safbage-live")
        self._make_controls()
        palette = 255 * plt.get_cmap(plots.MAP_COLOURS)(np.arange(256))[:, :3]
        self.camera = Camera(
            colours=np.round(palette).astype("uint8").tobytes(), speaks=plots.EVIDENCE_COLOURS
        )
        wrapped = {"flex_flow": "row wrap"}
        super().__init__(
            [
                ipywidgets.HBox([self.ratio, self.papers], layout=wrapped),
                ipywidgets.HBox([self.overlay, self.task, self.target], layout=wrapped),
                self.camera,
            ]
        )
        self.camera.on_msg(self._on_message)

    def _make_controls(self):
        self.ratio = ipywidgets.IntSlider(min=0, max=100, description="ratio, %", style=STYLE)
        self.ratio.value = round(100 * self.model.ratio)
        self.ratio.layout = {"width": "560px", "max_width": "100%"}
        self.papers = ipywidgets.Button(description=f"as the paper ({reweighting.RATIO:.0%})")
        self.papers.on_click(lambda _: setattr(self.ratio, "value", round(100 * reweighting.RATIO)))
        self.overlay = ipywidgets.Dropdown(options=OVERLAYS, description="overlay", style=STYLE)
        tasks = list(self.model.tasks)
        self.task = ipywidgets.Dropdown(options=tasks, description="CAM of", style=STYLE)
        self.target = ipywidgets.Dropdown(description="class", style=STYLE)
        for control, width in ((self.overlay, 270), (self.task, 222), (self.target, 222)):
            control.layout.width = f"{width}px"
        self.overlay.observe(self._on_overlay, "value")
        self.task.observe(self._on_task, "value")
        self._on_overlay()
        self._on_task()

    def _on_overlay(self, _=None):
        for control in (self.task, self.target):
            control.layout.display = None if self.overlay.value == "evidence" else "none"

    def _on_task(self, _=None):
        names = enumerate(CLASSES[self.task.value])
        self.target.options = [("the answer", ANSWER), *((name, i) for i, name in names)]
        self.target.value = ANSWER

    def close(self) -> None:
        """Close it: the page's camera stops, and its thread ends."""
        self._worker.shutdown(wait=False)
        self.camera.close()
        super().close()

    def _on_message(self, _, content, buffers):
        """A message of the page, which may be anything.

        It is answered at once or handed to the thread, so that the kernel is never held up.
        """
        content = content if isinstance(content, dict) else {}
        kind, viewer, number = (content.get(name) for name in ("kind", "viewer", "number"))
        about = {"viewer": viewer, "number": number}
        if kind == "begin":
            self.viewer = viewer
            self._worker.submit(self.watcher.clear)
            self.camera.send({"kind": "begun", **about})
        elif kind == "end":
            if viewer == self.viewer:
                self.viewer = None
                self._worker.submit(self.watcher.clear)
        elif kind != "frame":
            text = f"a message of the kind {kind!r} is not known"
            self.camera.send({"kind": "failed", "text": text, **about})
        elif viewer != self.viewer:
            self.camera.send({"kind": "elsewhere", **about})
        elif not self._busy.acquire(blocking=False):
            self.camera.send({"kind": "dropped", **about})
        else:
            self._worker.submit(self._answer, about, buffers)

    def _answer(self, about, buffers):
        """Look at a frame and tell the page; whatever goes wrong with it, the next is looked at."""
        try:
            content, maps = self._look(buffers)
        except Exception as error:
            kind = "" if isinstance(error, ImageError) else f"{type(error).__name__}: "
            content, maps = {"kind": "failed", "text": f"{kind}{error}"}, []
        finally:
            self._busy.release()
        self.camera.send({**content, **about}, maps)

    def _look(self, buffers):
        frame = read_frame(buffers)
        seen = self.watcher.look(frame, time.monotonic(), ratio=self.ratio.value / 100)
        target = None if self.target.value == ANSWER else self.target.value
        return tell(seen, self.overlay.value, self.task.value, target)


def read_frame(buffers: list) -> np.ndarray:
    """The frame in a message's buffers, H×W×3 uint8.

    Raises:
        ImageError: they are not one file of a picture of at most `BYTES` and `PIXELS`.
    """
    if len(buffers) != 1:
        raise ImageError(f"expected one picture with each frame; got {len(buffers)}")
    data = bytes(buffers[0])
    if len(data) > BYTES:
        raise ImageError(f"the frame has {len(data):,} bytes; at most {BYTES:,} are taken")
    if (count := images.pixels(data)) > PIXELS:
        raise ImageError(f"the frame has {count:,} pixels; at most {PIXELS:,} are taken")
    return images.from_bytes(data, "the frame")


def tell(
    seen: Explanation, overlay: str, task: str, target: int | None = None
) -> tuple[dict, list[bytes]]:
    """What the page is told of a frame, and the maps that go with it.

    Args:
        seen: the frame's explanation, with its image.
        overlay: one of the values of `OVERLAYS`.
        task: whose class activation map it is, where that is laid over.
        target: the class; the one that is answered where None.

    Returns:
        Plain values, in which the frame's ``size`` is width and height; ``bars`` and ``caption``,
        HTML, are of the largest face. And one buffer: a map for each face, row by row, of
        ``cells`` rows and columns, a byte for each cell: saliency from 0 to 255, or evidence from
        −127 to 127. It is empty where nothing is laid over.
    """
    height, width = seen.image.shape[:2]
    content = {"kind": "answer", "size": [width, height], "overlay": "nothing", "faces": []}
    if not seen.faces:
        return content, []
    main = plots.by_size(seen.faces)[0]
    content |= {"ratio": seen.ratio, "overlay": overlay, "main": main}
    content["faces"] = [_face(seen, i) for i in range(len(seen.faces))]
    content["bars"] = [
        bars(name, values[main], years=_years(seen, name, main))
        for name, values in seen.probabilities.items()
    ]
    maps, content["caption"] = _overlaid(seen, overlay, task, target, main)
    content["cells"] = list(maps.shape[1:])
    return content, [maps.tobytes()]


def _face(seen, i):
    """A face's box, the square that is cropped, its answers and what speaks against them."""
    words = {task: CLASSES[task][v[i].argmax()] for task, v in seen.probabilities.items()}
    if seen.years is not None:
        words["age"] = plots.age_in_words(seen.years[i])
    face = seen.faces[i]
    about = {"track": seen.tracks[i], "words": ", ".join(words.values()), "amiss": seen.quality[i]}
    return {"box": list(face.box), "square": list(faces.square(face.box)), **about}


def _years(seen, task, i):
    return None if task != "age" or seen.years is None else seen.years[i]


def _overlaid(seen, overlay, task, target, main):
    """The maps of all faces as bytes, N×h×w, and what they are called, as HTML."""
    salient = np.round(255 * np.clip(seen.maps, 0, 1)).astype("uint8")
    if overlay == "saliency":
        return salient, "where people would look, S" + scale(plots.MAP_COLOURS)
    if overlay == "reweighted":
        words = f"the face at {seen.ratio:.0%}: darker where people look less"
        return salient, words
    if overlay != "evidence":
        return salient[:, :0, :0], ""
    every = range(len(seen.faces))
    reach = max(plots.evidence_reach(seen, face=i) for i in every)
    maps = np.stack([plots.evidence_of(seen, task, face=i, target=target) for i in every])
    values = seen.probabilities[task][main]
    target = int(values.argmax()) if target is None else target
    wanted = f"{task} {CLASSES[task][target]} ({values[target]:.0%})"
    words = html.escape(f"what speaks for (+) and against (−) {wanted}")
    signed = np.round(127 * np.clip(maps / reach, -1, 1)).astype("int8")
    return signed, words + evidence_scale(reach, plots.EVIDENCE_COLOURS)
