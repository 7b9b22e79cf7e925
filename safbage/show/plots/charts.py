"""Charts of one evaluation: confusion, also beside a published one, calibration, groups, curves,
mistakes."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import PercentFormatter

from safbage import evaluation
from safbage.show.plots import style
from safbage.show.plots.pictures import image

__all__ = [
    "by_group",
    "confusion",
    "confusion_beside",
    "gallery",
    "reliability",
    "training_curves",
]

SHARE_COLOURS = "Blues"
DIFFERENCE_COLOURS = LinearSegmentedColormap.from_list(
    "difference", (style.ARM_COLOURS[1], "white", style.ANSWER_COLOUR)
)
LARGEST_DIFFERENCE = 40
"""Points at which the colours of a difference end."""


def confusion(counts: pd.DataFrame, *, title: str | None = None, ax=None):
    """A confusion matrix of counts (`evaluation.confusion`).

    A cell's colour is its share of the faces with its label; the share and the count are written
    into it.
    """
    size = len(counts)
    ax = style.axes(ax, (2.6 + 0.8 * size, 1.6 + 0.72 * size))
    shares = evaluation.percent(counts).to_numpy() / 100
    drawn = ax.imshow(shares, cmap=SHARE_COLOURS, vmin=0, vmax=1, aspect="auto")
    _write_cells(ax, counts.to_numpy(), shares)
    _name_classes(ax, counts)
    _colour_bar(ax, drawn, ticks=[0, 0.5, 1], format="{x:.0%}")
    figures = evaluation.matrix_scores(counts)
    words = f"accuracy {figures['accuracy']:.1%}, mean recall {figures['mean_recall']:.1%}"
    return style.titled(ax, words if title is None else title)


def _write_cells(ax, counts, shares):
    """Share and count into each cell; "no faces" over the row of a class that no face has."""
    small = dict(va="center", ha="center", fontsize=8)
    for (row, column), count in np.ndenumerate(counts):
        share = shares[row, column]
        if count:
            ink = dict(ha="center", color="white" if share > 0.55 else "black")
            weight = "bold" if row == column else "normal"
            ax.text(column, row, f"{share:.0%}", va="bottom", fontsize=10, weight=weight, **ink)
            ax.text(column, row + 0.07, f"{count:,}", va="top", fontsize=7.5, **ink)
        elif not np.isnan(share):
            ax.text(column, row, "0", color=style.BAR_COLOUR, **small)
    for row in np.flatnonzero(np.isnan(shares[:, 0])):
        ax.text((len(counts) - 1) / 2, row, "no faces", color=style.QUIET_COLOUR, **small)


def _name_classes(ax, counts):
    """The classes along both axes, and white lines between the cells."""
    size = len(counts)
    slanted = dict(rotation=40, ha="right", rotation_mode="anchor") if size > 2 else {}
    labels = [f"{name} ({faces:,})" for name, faces in counts.sum(axis=1).items()]
    ax.set_xticks(
        range(size), [style.readable(name) for name in counts.columns], **slanted, **style.PLAIN
    )
    ax.set_yticks(range(size), [style.readable(label) for label in labels], **style.PLAIN)
    ax.set_xticks(np.arange(1, size) - 0.5, minor=True)
    ax.set_yticks(np.arange(1, size) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=1.5)
    ax.tick_params(which="both", length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel("answer")
    ax.set_ylabel("label (faces)")


def _colour_bar(ax, drawn, **options):
    """A strip at the matrix's side that tells what its colours mean."""
    strip = ax.inset_axes([1.02, 0, 0.025, 1])
    bar = ax.figure.colorbar(drawn, cax=strip, **options)
    bar.outline.set_visible(False)
    return bar


def confusion_beside(
    counts: pd.DataFrame, published: pd.DataFrame, *, title: str | None = None, ax=None
):
    """A confusion matrix beside a published one, cell by cell, both in % of the row.

    In each cell ours stands above, in bold, and the published share below. The colour is their
    difference, to 40 points: blue where ours is larger, orange where the published one is.

    Args:
        counts: ours, C×C (`evaluation.confusion`); the row of a class without faces has dashes.
        published: C×C in %, of the same classes (`paper.confusion`).
        title: by default the means of both diagonals.
        ax: axes to draw into.

    Raises:
        ValueError: the two are not of the same classes in the same order.
    """
    names = [[list(table.index), list(table.columns)] for table in (counts, published)]
    if names[0] != names[1]:
        raise ValueError(f"both matrices need the same classes; got {names[0]} and {names[1]}")
    size = len(counts)
    ax = style.axes(ax, (2.8 + 0.8 * size, 1.6 + 0.72 * size))
    ours, theirs = evaluation.percent(counts).to_numpy(), published.to_numpy(float)
    reach = dict(vmin=-LARGEST_DIFFERENCE, vmax=LARGEST_DIFFERENCE)
    drawn = ax.imshow(ours - theirs, cmap=DIFFERENCE_COLOURS, aspect="auto", **reach)
    for (row, column), share in np.ndenumerate(ours):
        strong = abs(share - theirs[row, column]) > 0.7 * LARGEST_DIFFERENCE
        ink = dict(ha="center", color="white" if strong else "black")
        above = "–" if np.isnan(share) else f"{share:.1f}"
        ax.text(column, row - 0.02, above, va="bottom", fontsize=10, weight="bold", **ink)
        ax.text(column, row + 0.07, f"{theirs[row, column]:.1f}", va="top", fontsize=8.5, **ink)
    _name_classes(ax, counts)
    ends = [-LARGEST_DIFFERENCE, 0, LARGEST_DIFFERENCE]
    bar = _colour_bar(ax, drawn, ticks=ends, extend="both")
    bar.set_ticklabels([f"−{LARGEST_DIFFERENCE}", "0", f"+{LARGEST_DIFFERENCE}"])
    bar.set_label("ours − published, points")
    ax.set_xlabel("answer (in each cell ours above, the published share below)")
    words = f"mean of the diagonal: ours {np.nanmean(np.diag(ours)):.1f} %, published "
    words += f"{np.diag(theirs).mean():.1f} %"
    return style.titled(ax, words if title is None else title)


def reliability(bins: pd.DataFrame, *, title: str | None = None, ax=None):
    """Accuracy against confidence (`evaluation.reliability`): on the diagonal is calibrated.

    Bars below show each bin's share of the faces.
    """
    ax = style.axes(ax, (4.6, 4.8))
    width = bins.high - bins.low
    ax.plot([0, 1], [0, 1], "--", color=style.QUIET_COLOUR, linewidth=1, zorder=1)
    held = bins[bins.faces > 0]
    bars = dict(align="edge", edgecolor="white")
    ax.bar(held.low, held.accuracy, width[held.index], color=style.BAR_COLOUR, zorder=2, **bars)
    gap = dict(color=style.WRONG_COLOUR, linewidth=1.6, zorder=3)
    ax.vlines(held.confidence, held.accuracy, held.confidence, **gap)
    ax.plot(held.confidence, held.accuracy, "o", color=style.ANSWER_COLOUR, markersize=5, zorder=4)
    ax.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
    ticks = [0, 0.25, 0.5, 0.75, 1]
    ax.set_yticks(ticks, [f"{tick:.0%}" for tick in ticks])
    ax.tick_params(labelbottom=False)
    strip = ax.inset_axes([0, -0.24, 1, 0.2], sharex=ax)
    strip.bar(bins.low, bins.faces / bins.faces.sum(), width, color=style.ANSWER_COLOUR, **bars)
    strip.set_xticks(ticks, [f"{tick:.0%}" for tick in ticks])
    strip.tick_params(axis="y", labelsize=7)
    strip.set(xlabel="confidence")
    strip.set_ylabel("faces", fontsize=8)
    strip.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    for each in (ax, strip):
        each.spines[["top", "right"]].set_visible(False)
    words = f"calibration error {evaluation.calibration_gap(bins):.1%}"
    return style.titled(ax, words if title is None else title)


def by_group(
    groups: pd.DataFrame,
    *,
    overall: float | None = None,
    title: str = "accuracy by group, 95 % interval",
    ax=None,
):
    """Accuracy of groups (`evaluation.by_group`) as dots with their intervals, faces at the side.

    The dot of a group with few faces is hollow. The dashed line is `overall`, the accuracy of all
    faces, by default that of the groups together.
    """
    ax = style.axes(ax, (6.4, 1.3 + 0.34 * len(groups)))
    names = groups.iloc[:, : groups.columns.get_loc("faces")].astype(str).agg(", ".join, axis=1)
    if overall is None:
        overall = np.average(groups.accuracy, weights=groups.faces)
    ax.axvline(overall, color=style.QUIET_COLOUR, linestyle="--", linewidth=1)
    beside = dict(
        transform=ax.get_yaxis_transform(), va="center", fontsize=8, color=style.QUIET_COLOUR
    )
    for row, group in enumerate(groups.itertuples()):
        colour, filling = (
            (style.BAR_COLOUR, "white") if group.few else (style.ANSWER_COLOUR, style.ANSWER_COLOUR)
        )
        ax.plot([group.low, group.high], [row, row], color=colour, linewidth=2.5)
        dot = dict(color=style.ANSWER_COLOUR, markerfacecolor=filling, markersize=7)
        ax.plot(group.accuracy, row, "o", **dot)
        ax.text(1.02, row, f"n = {group.faces:,}" + (" (few)" if group.few else ""), **beside)
    ax.set_yticks(range(len(groups)), [style.readable(name) for name in names], **style.PLAIN)
    ax.set_ylim(len(groups) - 0.4, -0.6)
    ax.set_xlim(max(0, groups.low.min() - 0.05), min(1, groups.high.max() + 0.05))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.grid(axis="x", color=style.GRID_COLOUR)
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    return style.titled(ax, title)


def training_curves(
    histories: Mapping[str, pd.DataFrame],
    *,
    measure: str = "accuracy",
    title: str | None = None,
    ax=None,
):
    """A measure by epoch, a colour for each arm; where a history has both, that of training dashed
    and that of validation solid.

    Args:
        histories: each arm's history, a row per epoch: `measure` and, where there is one,
            ``val_<measure>``; the epoch's number in `epoch`, without which rows count as 1, 2, ….
            With a column `fold`, lines are means over folds, and bands reach from the worst fold to
            the best.
        measure: the column's name, such as "loss".
        title: by default what the lines are, or the measure's name.
        ax: axes to draw into.

    Raises:
        ValueError: a history has no column `measure`.
    """
    ax = style.axes(ax, (6.4, 4))
    for (arm, history), colour in zip(histories.items(), cycle(style.ARM_COLOURS), strict=False):
        if measure not in history:
            columns = ", ".join(history.columns)
            raise ValueError(f"the history of {arm!r} has no column {measure}; it has {columns}")
        _curves(ax, history, measure, colour, label=style.readable(arm))
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_xlabel("epoch")
    ax.set_ylabel(style.readable(measure), **style.PLAIN)
    style.finish_lines(ax)
    both = any(f"val_{measure}" in history for history in histories.values())
    words = "solid: validation, dashed: training" if both else measure
    return style.titled(ax, words if title is None else title)


def _curves(ax, history, measure, colour, *, label):
    """One arm's training and, where there is one, its validation, which then bears the label."""
    places = pd.Series(range(len(history)), history.index)
    numbers = (history.groupby("fold").cumcount() if "fold" in history else places) + 1
    epochs = (history.epoch if "epoch" in history else numbers).to_numpy()
    validated = f"val_{measure}" in history
    for column in (measure, f"val_{measure}") if validated else (measure,):
        lines = history[column].groupby(epochs).agg(["mean", "min", "max"])
        if validated and column == measure:
            ax.plot(lines.index, lines["mean"], "--", color=colour, linewidth=1.1)
            continue
        ax.plot(lines.index, lines["mean"], color=colour, linewidth=2, label=label)
        if "fold" in history:
            band = dict(color=colour, alpha=0.15, linewidth=0)
            ax.fill_between(lines.index, lines["min"], lines["max"], **band)


def gallery(
    predictions: pd.DataFrame,
    crops: Sequence[np.ndarray],
    *,
    shown: int = 12,
    columns: int = 6,
    ax=None,
):
    """The wrong answers given with most confidence: crop, label → answer, confidence.

    Args:
        predictions: as `evaluation` describes them.
        crops: their faces in the table's order, each H×W×3 uint8, all of one size.
        shown: how many at most.
        columns: crops side by side.
        ax: axes to draw into.

    Raises:
        ValueError: there are not as many crops as rows.
    """
    if len(crops) != len(predictions):
        raise ValueError(
            f"each row needs its crop; got {len(crops)} crops and {len(predictions)} rows"
        )
    wrong, confidence = _surest_wrong(predictions)
    wrong = wrong[:shown]
    columns = max(1, min(columns, len(wrong)))
    rows = max(1, -(-len(wrong) // columns))
    ax = style.axes(ax, (1.7 * columns, 2.15 * rows + 0.4))
    ax.set(xlim=(0, columns), ylim=(rows, 0))
    ax.set_axis_off()
    centred = dict(ha="center", **style.PLAIN)
    for place, i in enumerate(wrong):
        row, column = divmod(place, columns)
        cell = ax.inset_axes([column + 0.04, row + 0.2, 0.92, 0.78], transform=ax.transData)
        image(crops[i], ax=cell).set_anchor("N")
        answer = predictions.iloc[i]
        words = style.readable(f"{answer.label} → {answer.answer}")
        ax.text(column + 0.5, row + 0.1, words, va="bottom", fontsize=9, **centred)
        sure = dict(va="top", fontsize=7.5, color=style.WRONG_COLOUR)
        ax.text(column + 0.5, row + 0.11, f"{confidence[i]:.0%} sure", **sure, **centred)
    words = f"{len(wrong)} surest of the wrong answers, label → answer"
    return style.titled(ax, words if len(wrong) else "no wrong answer")


def _surest_wrong(predictions):
    """Rows of the wrong answers, the surest first, and the confidence of all rows."""
    classes = evaluation.check(predictions)
    confidence = predictions[[f"p_{name}" for name in classes]].max(axis=1).to_numpy()
    wrong = predictions.label.astype(str).to_numpy() != predictions.answer.astype(str).to_numpy()
    rows = np.flatnonzero(wrong)
    return rows[np.argsort(-confidence[rows], kind="stable")], confidence
