"""What the widgets are built from: captioned pictures, bars, colour scales, a line for messages."""

import contextlib
import html
import io
from collections.abc import Callable, Iterable, Sequence

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from safbage import images
from safbage.errors import ImageError
from safbage.show import plots
from safbage.tasks import CLASSES

COLOURS = ("viridis", "inferno", "cividis", "gray")
"""The colour maps on offer: perceptually even, and fit for colour-blind eyes."""
EVIDENCE_COLOURS = {
    "orange, blue": plots.EVIDENCE_COLOURS,
    "yellow, violet": ("#ffd60a", "#9d6bff"),
    "white, black": ("#ffffff", "#000000"),
}
"""The pairs on offer for what speaks for a class and against it, fit for colour-blind eyes."""
BAR_COLOUR, ANSWER_COLOUR = "#8b98a573", "#3b7fc4"
"""Visible in JupyterLab's light and dark themes."""
ROW = "display: flex; align-items: center; line-height: 1.3"
"""CSS of a line of HTML."""


class Picture(ipywidgets.VBox):
    """A picture under its title, with a caption that says in words what it shows.

    `show` changes it in place. `width` is its largest width in pixels; several in a row share the
    room there is, down to 150 pixels each.
    """

    def __init__(self, title: str, *, width: int = 224):
        self.title = ipywidgets.HTML(f"<b>{html.escape(title)}</b>")
        self.image = ipywidgets.Image(
            format="jpeg", layout={"width": "100%"}
        )  # a tenth of a PNG's time and bytes
        self.caption = ipywidgets.HTML()
        room = {"flex": f"1 1 {min(width, 150)}px", "max_width": f"{width}px"}
        room |= {"margin": "0 12px 0 0", "overflow": "visible"}
        super().__init__([self.title, self.image, self.caption], layout=room)
        self.add_class("safbage-picture")

    def show(self, picture: np.ndarray, caption: str) -> None:
        """Change the picture (H×W×3 uint8) and the caption.

        The caption is plain text; after a line break there may be a little HTML, such as `scale`.
        """
        self.image.value = images.encode(picture, "jpeg")
        words, _, below = caption.partition("\n")
        words = f'<div style="line-height: 1.35">{html.escape(words)}</div>'
        self.caption.value = words + below


class Message(ipywidgets.HTML):
    """A line for what happened and what went wrong."""

    def say(self, text: str) -> None:
        """Tell something."""
        self.value = f'<div role="status">{html.escape(text)}</div>'

    @contextlib.contextmanager
    def errors(self):
        """Show an exception of the block here, in words: in a callback nobody would see it."""
        try:
            yield
        except Exception as error:
            known = isinstance(error, ImageError | OSError)
            text = str(error) if known else f"{type(error).__name__}: {error}"
            text = f"<b>Error:</b> {html.escape(text)}"
            self.value = f'<div role="alert" style="color: #e0483e">{text}</div>'


def bars(task: str, values: np.ndarray, *, years: Sequence[float] | None = None) -> str:
    """A task's probabilities (C values) as HTML: the answer, then bar and figure for each class.

    An age in years (a row of `Explanation.years`) stands beside the answer.
    """
    best = int(np.argmax(values))
    answer = f"<b>{task}: {CLASSES[task][best]}</b> ({values[best]:.0%})"
    answer += "" if years is None else f", {plots.age_in_words(years)}"
    lines = [f'<div style="margin-bottom: 2px; line-height: 1.35">{answer}</div>']
    for i, (name, value) in enumerate(zip(CLASSES[task], values, strict=True)):
        colour = ANSWER_COLOUR if i == best else BAR_COLOUR
        bar = f"width: {100 * value:.1f}%; height: 100%; background: {colour}"
        ground = "flex: 1; height: 11px; background: #8882"
        figure = f'style="width: 52px; text-align: right" data-class="{task} {name}"'
        lines.append(
            f'<div style="{ROW}"><span style="width: 70px">{name}</span>'
            f'<span style="{ground}" aria-hidden="true"><div style="{bar}"></div></span>'
            f"<span {figure}>{value:.1%}</span></div>"
        )
    return "".join(lines)


def scale(colours: str) -> str:
    """A colour scale from 0 to 1 as HTML."""
    stops = 255 * plt.get_cmap(colours)(np.linspace(0, 1, 9))[:, :3]
    return _strip("0", ", ".join(f"rgb({r:.0f} {g:.0f} {b:.0f})" for r, g, b in stops), "1")


def evidence_scale(reach: float, colours: tuple[str, str]) -> str:
    """The scale of `plots.tinted` as HTML: from what speaks against to what speaks for."""
    low, high = plots.ends(reach)
    return _strip(low, f"{colours[1]}, transparent, {colours[0]}", high)


def _strip(low, stops, high):
    colours = f"background: linear-gradient(to right, {stops})"
    strip = f'<span style="flex: 1; height: 8px; margin: 0 4px; {colours}"></span>'
    return f'<div style="{ROW}" aria-hidden="true">{low}{strip}{high}</div>'


def pixels(figure: Figure, *, dpi: int = 100) -> np.ndarray:
    """A figure as a picture, H×W×3 uint8; the figure is closed."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    plt.close(figure)
    return images.decode(buffer.getvalue())


def redrawn(
    controls: Iterable[ipywidgets.Widget],
    draw: Callable[[], tuple[np.ndarray, str]],
    picture: Picture,
) -> ipywidgets.VBox:
    """Controls over a picture, which `draw` makes again, caption and all, whenever one is moved."""
    controls, message = list(controls), Message()

    def update(_=None):
        message.value = ""
        with message.errors():
            picture.show(*draw())

    for control in controls:
        control.observe(update, "value")
    update()
    return ipywidgets.VBox([*controls, picture, message])
