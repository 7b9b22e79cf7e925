"""Charts of detected faces: precision over recall, and recall by group."""

from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from safbage.experiments.detection import BASE, IOU, SHIPPED_SCORE
from safbage.show.detection import in_words
from safbage.show.plots import style

__all__ = ["detectors", "precision_recall", "recall_by_group"]

DASHES = ("solid", "dashed", "dotted")


def precision_recall(result: dict, *, names: list[str] | None = None, title="", ax=None):
    """Precision over recall of what `experiments.detection.measure` gave, a line for each detector,
    by boxes as the set draws them. Average precisions stand in the legend, the best first.

    Args:
        result: of the measurement.
        names: which detectors; by default all.
        title: above the chart.
        ax: axes to draw into.

    Raises:
        ValueError: there is no detector of a name.
    """
    there = {arm["name"]: arm for arm in result["arms"]}
    lacking = set(names or ()) - set(there)
    if lacking:
        raise ValueError(f"no detector {sorted(lacking)[0]!r}; there are {', '.join(there)}")
    ax = style.axes(ax, (6.8, 4.6))
    colours = cycle(style.ARM_COLOURS)
    lines = [
        (arm, next(colours), DASHES[i // len(style.ARM_COLOURS) % 3])
        for i, arm in enumerate(there[name] for name in names or there)
    ]
    for arm, colour, dashes in sorted(lines, key=lambda line: -_precision(line[0])):
        recall, precision = np.array(arm["curve"], float).reshape(-1, 2).T
        label = style.readable(f"{100 * _precision(arm):.1f} %  {arm['name']}")
        ax.plot(recall, precision, color=colour, linestyle=dashes, linewidth=2, label=label)
    ax.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1))
    style.finish_lines(ax)
    ax.legend_.set_title("average precision", dict(size=9))
    return style.titled(ax, title)


def _precision(arm):
    return arm["average_precision"]["adapted"]["value"]


def recall_by_group(result: dict, *, name: str = BASE, title: str | None = None, ax=None):
    """Which share of each group's faces a detector finds with the score at which MTCNN ships, as
    dots with 95 % intervals; faces at the side.

    Args:
        result: of `experiments.detection.measure`.
        name: the detector.
        title: by default the detector and the score.
        ax: axes to draw into.

    Raises:
        ValueError: there is no detector of that name.
    """
    own = [arm["recall"] for arm in result["arms"] if arm["name"] == name]
    if not own:
        raise ValueError(f"no detector {name!r}")
    rows = [(group, row) for group, found in own[0].items() for row in found]
    ax = style.axes(ax, (6.4, 1.3 + 0.3 * len(rows)))
    beside = dict(transform=ax.get_yaxis_transform(), va="center", fontsize=8)
    for place, (_, row) in enumerate(rows):
        ax.plot([row["low"], row["high"]], [place, place], color=style.ANSWER_COLOUR, linewidth=2.5)
        ax.plot(row["recall"], place, "o", color=style.ANSWER_COLOUR, markersize=7)
        ax.text(1.02, place, f"n = {row['faces']:,}", color=style.QUIET_COLOUR, **beside)
    for place in range(1, len(rows)):
        if rows[place][0] != rows[place - 1][0]:
            ax.axhline(place - 0.5, color=style.GRID_COLOUR)
    labels = [style.readable(f"{in_words(group)}: {row['group']}") for group, row in rows]
    ax.set_yticks(range(len(rows)), labels, **style.PLAIN)
    ax.set(xlim=(0, 1), ylim=(len(rows) - 0.4, -0.6), xlabel="faces found")
    ax.xaxis.set_major_formatter(PercentFormatter(1))
    ax.grid(axis="x", color=style.GRID_COLOUR)
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    words = f"{name}: boxes with a score of {SHIPPED_SCORE:g} at least"
    return style.titled(ax, words if title is None else title)


def detectors(result: dict) -> Figure:
    """Precision over recall, and MTCNN's recall by group, side by side."""
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(13, 5.2), layout="constrained", width_ratios=(1.25, 1)
    )
    precision_recall(result, title=f"IoU {IOU:g}, boxes as the set draws them", ax=left)
    recall_by_group(result, ax=right)
    return figure
