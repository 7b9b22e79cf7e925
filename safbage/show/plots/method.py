"""The paper's Figures 1, 2 and 4: the method step by step, examples, evidence by expression."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path as Outline

from safbage import reweighting
from safbage.experiments.examples import Example
from safbage.faces import square
from safbage.pipeline import Explanation
from safbage.show.plots import style
from safbage.show.plots.answers import evidence_of, probabilities
from safbage.show.plots.pictures import BOX_COLOUR, boxes, evidence, image, overlay
from safbage.tasks import CLASSES, RATIO

__all__ = ["example_rows", "expressions", "overview"]

WIDER_COLOUR = "#ffffff"
PANEL_COLOURS = {
    "Face module": "#eef4fa",
    "Saliency module": "#fdf3e7",
    "Convolution module": "#eef7f0",
}
RIGHT_COLOUR = "#2c7a4b"
FEATURES_SHOWN = 9
"""Channels of a layer that are drawn, the strongest first."""
INK = "#33404d"


def overview(seen: Explanation, features: Mapping[str, np.ndarray]) -> Figure:
    """One photo from its pixels to the answers, in the paper's three modules (Figure 1).

    Args:
        seen: an explanation that kept its image; its first face is shown.
        features: of the answering network's layers for that face, h×w×K, by their names, in order.

    Raises:
        ValueError: the photo has no face, or the image was not kept.
    """
    if not seen.faces or seen.image is None:
        raise ValueError(f"nothing to draw for {seen.photo}: {seen.status}")
    figure = plt.figure(figsize=(15, 8.2))
    _panel(figure, "Face module", 0.01, 0.51, 0.475, 0.475)
    _panel(figure, "Saliency module", 0.5, 0.51, 0.49, 0.475)
    _panel(figure, "Convolution module", 0.01, 0.012, 0.98, 0.465)
    left, wide, high = (0.025, 0.29, 0.55, 0.8), 0.18, 0.329
    axes = [figure.add_axes((at, 0.585, wide, high)) for at in left]
    _draw_stages(seen, axes)
    words = ("cropped and\nresized", "ML-Net", "multiplied")
    for before, after, text in zip(left[:-1], left[1:], words, strict=True):
        _arrow(figure, [(before + wide + 0.004, 0.75), (after - 0.004, 0.75)], text)
    shown = _draw_features(figure, features)
    middle = left[-1] + wide / 2
    _arrow(figure, [(middle, 0.542), (middle, 0.494), (shown[0], 0.494), (shown[0], 0.362)])
    for before, after in pairwise(shown):
        _arrow(figure, [(before + 0.048, 0.26), (after - 0.048, 0.26)])
    _arrow(figure, [(shown[-1] + 0.048, 0.26), (0.66, 0.26)])
    _draw_answers(seen, figure)
    return figure


def _panel(figure, title, left, bottom, width, height):
    """A module's ground and its name."""
    box = dict(boxstyle="round,pad=0,rounding_size=0.012", mutation_aspect=15 / 8.2)
    colours = dict(facecolor=PANEL_COLOURS[title], edgecolor="none")
    figure.add_artist(FancyBboxPatch((left, bottom), width, height, zorder=-2, **box, **colours))
    name = dict(weight="bold", fontsize=12, va="top", color=INK)
    indent = 0.09 if title == "Convolution module" else 0.008  # an arrow comes in beside it
    figure.text(left + indent, bottom + height - 0.012, title, **name)


def _arrow(figure, points, text=""):
    """An arrow along points in shares of the figure, its words above the middle."""
    codes = [Outline.MOVETO] + [Outline.LINETO] * (len(points) - 1)
    shape = dict(arrowstyle="-|>", mutation_scale=16, linewidth=1.6, color=INK)
    figure.add_artist(FancyArrowPatch(path=Outline(points, codes), **shape))
    if text:
        (x, y), (to, _) = points[0], points[-1]
        above = dict(ha="center", va="bottom", fontsize=8.5, color=INK)
        figure.text((x + to) / 2, y + 0.015, text, **above)


def _draw_stages(seen, axes):
    """Photo with both boxes, crop, map and product, into four axes."""
    photo, crop, look, product = axes
    boxes(seen.image, [], ax=photo)
    scale = photo.images[0].get_array().shape[0] / seen.image.shape[0]
    left, top, side = square(seen.faces[0].box)
    for (x, y, width, height), line in (
        (seen.faces[0].box, dict(edgecolor=BOX_COLOUR, linewidth=2.2)),
        ((left, top, side, side), dict(edgecolor=WIDER_COLOUR, linewidth=2, linestyle=(0, (4, 2)))),
    ):
        corner = (x * scale, y * scale)
        photo.add_patch(Rectangle(corner, width * scale, height * scale, fill=False, **line))
    image(seen.crops[0], ax=crop)
    overlay(seen.crops[0], seen.maps[0], colour_bar=False, ax=look)
    image(seen.reweighted[0], ax=product)
    size = f"{seen.crops.shape[1]}×{seen.crops.shape[2]}"
    rows, columns = seen.maps.shape[1:]
    words = (
        "MTCNN's box, and 30 % wider",
        f"cropped face, {size}",
        f"saliency map, {rows}×{columns}",
        f"product: face × ({1 - seen.ratio:.1f} + {seen.ratio:.1f} × map)",
    )
    for ax, text in zip(axes, words, strict=True):
        below = dict(ha="center", va="top", fontsize=9, color=INK, transform=ax.transAxes)
        ax.text(0.5, -0.03, text, **below)


def _draw_features(figure, features):
    """Each layer's strongest channels; where their middles are, in shares of the figure's width."""
    middles = 0.075 + 0.121 * np.arange(len(features))
    for middle, (name, values) in zip(middles, features.items(), strict=True):
        ax = figure.add_axes((middle - 0.045, 0.178, 0.09, 0.165))
        ax.imshow(_tiled(values), cmap="magma", vmin=0, vmax=1, interpolation="nearest")
        ax.set_axis_off()
        size = "×".join(str(side) for side in values.shape)
        below = dict(ha="center", va="top", fontsize=9, color=INK, transform=ax.transAxes)
        ax.text(0.5, -0.05, f"{name}\n{size}", linespacing=1.4, **below)
    told = f"AlexNet: of each convolution the {FEATURES_SHOWN} strongest channels; "
    told += "then each channel's mean, and a softmax"
    figure.text(0.03, 0.062, told, fontsize=9, color=INK)
    return middles


def _tiled(values):
    """The strongest channels of h×w×K features, each in [0, 1], in a square with gaps."""
    order = np.argsort(-values.mean(axis=(0, 1)))[:FEATURES_SHOWN]
    side, gap = int(np.ceil(len(order) ** 0.5)), max(1, values.shape[0] // 20)
    height, width = values.shape[0] + gap, values.shape[1] + gap
    tiles = np.full((side * height - gap, side * width - gap), np.nan)
    for place, channel in enumerate(order):
        row, column = divmod(place, side)
        one = values[..., channel]
        top, left = row * height, column * width
        tiles[top : top + height - gap, left : left + width - gap] = one / (one.max() or 1)
    return tiles


def _draw_answers(seen, figure):
    """Bars of every task's probabilities, side by side."""
    each = 0.31 / len(seen.probabilities)
    for place, (task, values) in enumerate(seen.probabilities.items()):
        ax = figure.add_axes((0.705 + place * (each + 0.003), 0.1, each - 0.05, 0.28))
        best = int(values[0].argmax())
        title = f"{task}:\n{CLASSES[task][best]} ({values[0][best]:.0%})"
        probabilities(task, values[0], title=title, ax=ax)
        ax.title.set(fontsize=10)
        ax.set_facecolor("none")
        ax.set_xticks([0, 1], ["0", "100 %"])
        ax.tick_params(labelsize=8)


def example_rows(examples: Sequence[Example], *, ratio: float = RATIO, columns: int = 2) -> Figure:
    """Faces with their map, their product and the answer, right and wrong ones (Figure 2).

    Args:
        examples: in reading order.
        ratio: of the reweighting.
        columns: examples side by side.

    Raises:
        ValueError: there is no example.
    """
    if not examples:
        raise ValueError("there is no example to draw")
    rows = -(-len(examples) // columns)
    figure = plt.figure(figsize=(7.4 * columns, 1.95 * rows + 0.3), layout="constrained")
    widths = ([1, 1, 1, 1.15, 0.12] * columns)[:-1]
    grid = figure.add_gridspec(rows, len(widths), width_ratios=widths)
    for place, example in enumerate(examples):
        row, column = divmod(place, columns)
        axes = [figure.add_subplot(grid[row, 5 * column + part]) for part in range(4)]
        _draw_example(example, ratio, axes, letter="abcdefghijklmnopqrstuvwxyz"[place % 26])
        if row == 0:
            heads = ("cropped face", "saliency", f"product, {100 * ratio:g} %")
            for ax, head in zip(axes, heads, strict=False):
                ax.set_title(head, fontsize=10)
    return figure


def _draw_example(example, ratio, axes, letter):
    """Crop, map, product and the answer in words."""
    crop, look, product, told = axes
    image(example.crop, title=crop.get_title(), ax=crop)
    overlay(example.crop, example.map, colour_bar=False, ax=look)
    image(reweighting.reweight(example.crop, example.map, ratio), ax=product)
    told.set_axis_off()
    right = example.right
    mark, colour = ("✓ right", RIGHT_COLOUR) if right else ("✗ wrong", style.WRONG_COLOUR)
    lines = (
        (0.8, f"({letter}) {example.task}", dict(weight="bold", fontsize=10.5)),
        (0.6, f"label: {example.label}", dict(fontsize=10)),
        (0.43, f"answer: {example.answer} ({example.confidence:.0%})", dict(fontsize=10)),
        (0.24, mark, dict(fontsize=10.5, weight="bold", color=colour)),
    )
    for height, text, font in lines:
        font |= dict(transform=told.transAxes, **style.PLAIN)
        told.text(0.02, height, style.readable(text), **font)


def expressions(seen: Explanation, labels: Sequence[str]) -> Figure:
    """Class activation maps of faces of several expressions (Figure 4): each face, below it what
    speaks for the answer and against it, and in a third row for the label where that is another.

    All maps have one scale.

    Args:
        seen: faces whose expression was answered.
        labels: their expressions.

    Raises:
        ValueError: there are not as many labels as faces, or none.
    """
    count = len(seen.crops)
    if not count or count != len(labels):
        raise ValueError(f"each face needs its label; got {len(labels)} for {count} faces")
    task, classes = "expression", CLASSES["expression"]
    answers = seen.probabilities[task].argmax(axis=1)
    targets = [classes.index(label) for label in labels]
    reach = max(
        float(np.abs(evidence_of(seen, task, face=face, target=target)).max())
        for face in range(count)
        for target in {targets[face], int(answers[face])}
    )
    figure, axes = plt.subplots(
        3, count, figsize=(1.95 * count + 1.0, 6.6), layout="constrained", squeeze=False
    )
    for face, (label, target, answer) in enumerate(zip(labels, targets, answers, strict=True)):
        crop, given, wanted = axes[:, face]
        image(seen.reweighted[face], title=label, ax=crop)
        last = face == count - 1
        _draw_evidence(seen, face, int(answer), reach, given, bar=last)
        sure = seen.probabilities[task][face, answer]
        colour = RIGHT_COLOUR if answer == target else style.WRONG_COLOUR
        given.set_title(f"{classes[answer]} ({sure:.0%})", color=colour, fontsize=10.5)
        _draw_evidence(seen, face, target, reach, wanted, bar=False)
        wanted.set_title(f"for {label}", fontsize=10.5)
    rows = ("label, product", "evidence, answer", "evidence, label")
    for ax, name in zip(axes[:, 0], rows, strict=True):
        side = dict(rotation=90, ha="right", va="center", fontsize=10, color=INK)
        ax.text(-0.06, 0.5, name, transform=ax.transAxes, **side)
    return figure


def _draw_evidence(seen, face, target, reach, ax, *, bar):
    values = evidence_of(seen, "expression", face=face, target=target)
    evidence(seen.reweighted[face], values, reach=reach, colour_bar=bar, ax=ax)
