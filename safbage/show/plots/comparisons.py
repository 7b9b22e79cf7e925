"""Charts of arms compared: differences with their intervals, curves and accuracies by ratio."""

from collections.abc import Iterable
from itertools import cycle
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from safbage.experiments import FIGURES, LEVEL, NO_SALIENCY, Arm, Comparison, mean_history
from safbage.show import words
from safbage.show.plots import style

__all__ = ["against_ratio", "convergence", "forest", "mean_history"]

CLAIM_COLOUR = style.ARM_COLOURS[1]
ROW = 0.3
"""Height of a row of the forest plot, in inches."""
CURVE_COLOURS = "viridis"


class _Row(NamedTuple):
    """A row of the forest plot: a heading, or an arm with its difference."""

    label: str
    found: dict | None = None
    lift: float | None = None


def forest(comparisons: Iterable[Comparison], *, title: str = "", ax=None):
    """Every arm against the one without saliency of the same network, a row each. Arms that differ
    in their loss are left out.

    The dot is the difference in the figure that the paper compares (`experiments.FIGURES`), in
    points. The bar is its 95 % interval. Blue is shown to be better, red to be worse, and hollow
    grey neither, all after the correction for several tests. The orange diamond is the lift that
    the paper claims for that arm (`words.claimed_lift`).

    Args:
        comparisons: each gets a heading; those without tests are left out.
        title: above the plot.
        ax: axes to draw into. Labels stand to their left, numbers to their right.

    Raises:
        ValueError: there is no test at all.
    """
    rows = [row for comparison in comparisons for row in _forest_rows(comparison)]
    if not rows:
        raise ValueError("there is no test: an arm with saliency needs its twin without")
    ax = style.axes(ax, (9.6, 1.5 + ROW * len(rows)))
    for place, row in enumerate(rows):
        if row.found:
            _difference(ax, place, row)
    ax.axvline(0, color="black", linewidth=0.9, zorder=1)
    _name_rows(ax, rows)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.margins(x=0.06)
    ax.set_xlabel("difference that saliency makes, points")
    ax.xaxis.set_major_formatter(lambda value, _: _signed(value, 0))
    ax.grid(axis="x", color=style.GRID_COLOUR)
    ax.set_axisbelow(True)
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    _forest_legend(ax)
    return style.titled(ax, title)


def _forest_rows(comparison):
    figure = FIGURES[comparison.task]
    tests = [test for test in comparison.tests if test.without.ratio == NO_SALIENCY]
    if tests:
        faces = getattr(tests[0], figure)["faces"]
        about = f"{figure.replace('_', ' ')}, {faces:,} faces of {words.data(comparison)}"
        yield _Row(f"{words.title(comparison)}  ({about})")
    for test in tests:
        lift = words.claimed_lift(comparison.task, test.arm)
        yield _Row(str(test.arm), getattr(test, figure), lift)


def _difference(ax, place, row):
    """An arm's interval, dot and numbers, and the paper's diamond."""
    points, low, high = (100 * row.found[key] for key in ("difference", "low", "high"))
    shown = row.found["p_holm"] < LEVEL
    colour = style.QUIET_COLOUR
    if shown:
        colour = style.ANSWER_COLOUR if points > 0 else style.WRONG_COLOUR
    ax.plot([low, high], [place, place], color=colour, linewidth=2.4, solid_capstyle="butt")
    filling = colour if shown else "white"
    ax.plot(points, place, "o", color=colour, markerfacecolor=filling, markersize=7, zorder=3)
    if row.lift is not None:
        ax.plot(row.lift, place, "D", color=CLAIM_COLOUR, markersize=7, zorder=3)
    text = f"{_signed(points)}  ({_signed(low)} to {_signed(high)})"
    beside = dict(transform=ax.get_yaxis_transform(), va="center", fontsize=9)
    ax.text(1.02, place, text, color=colour if shown else "black", **beside)
    if row.lift is not None:
        ax.text(1.3, place, f"paper {row.lift:+g}", color=CLAIM_COLOUR, **beside)


def _name_rows(ax, rows):
    """Arms as labels of the axis; headings in bold, flush left above them."""
    labels = ["" if row.found is None else style.readable(row.label) for row in rows]
    ax.set_yticks(range(len(rows)), labels, fontsize=9, **style.PLAIN)
    head = dict(transform=ax.get_yaxis_transform(), va="center", weight="bold", fontsize=9.5)
    head["bbox"] = dict(facecolor="white", edgecolor="none", pad=1)  # lines end at a heading
    for place, row in enumerate(rows):
        if row.found is None:
            ax.text(-0.26, place, style.readable(row.label), **head, **style.PLAIN)


def _forest_legend(ax):
    dot = dict(marker="o", markersize=7, linewidth=2.4)
    marks = [
        Line2D([], [], color=style.ANSWER_COLOUR, label="saliency helps", **dot),
        Line2D([], [], color=style.WRONG_COLOUR, label="saliency costs", **dot),
        Line2D([], [], color=style.QUIET_COLOUR, markerfacecolor="white", **dot),
        Line2D([], [], color=CLAIM_COLOUR, marker="D", markersize=7, linestyle="none"),
    ]
    labels = ["saliency helps", "saliency costs", "no difference is shown", "the paper's claim"]
    below = dict(loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=3.4)
    ax.legend(marks, labels, ncols=4, frameon=False, fontsize=9, columnspacing=1.4, **below)


def _signed(value, digits=1):
    """ "+8.4", "−0.9", "0"."""
    text = f"{abs(value):.{digits}f}"
    return text if not float(text) else ("−" if value < 0 else "+") + text


def convergence(comparison: Comparison, histories: pd.DataFrame | None = None) -> Figure:
    """The paper's Figure 3: training loss, and accuracy on validation faces, by epoch.

    A line for each arm is the mean over its trainings. Bands reach one standard error to either
    side.

    Args:
        comparison: arms, of one network or several.
        histories: all trainings' (`experiments.histories`), for arms that keep no `history`.

    Raises:
        ValueError: the trainings of no arm are known.
    """
    curves = {str(result.arm): _curve(result, histories) for result in comparison.arms}
    curves = {arm: curve for arm, curve in curves.items() if len(curve)}
    if not curves:
        raise ValueError("how these arms were trained was not kept: they have no history")
    figure, axes = plt.subplots(1, 2, figsize=(13, 4.2), layout="constrained")
    colours = plt.get_cmap(CURVE_COLOURS)(np.linspace(0, 0.92, len(curves)))
    for (arm, curve), colour in zip(curves.items(), colours, strict=True):
        for measure, ax in zip(("loss", "accuracy"), axes, strict=True):
            mean, error = curve[measure], curve[f"{measure}_error"]
            ax.plot(curve.epoch, mean, color=colour, linewidth=2, label=style.readable(arm))
            band = dict(color=colour, alpha=0.16, linewidth=0)
            ax.fill_between(curve.epoch, mean - error, mean + error, **band)
    axes[0].set_title("training loss")
    axes[1].set_title("accuracy on validation faces")
    axes[1].yaxis.set_major_formatter(PercentFormatter(1))
    for ax in axes:
        ax.set_xlabel("epoch")
        ax.xaxis.get_major_locator().set_params(integer=True)
        style.finish_lines(ax)
        ax.legend_.remove()
    lines, labels = axes[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside right center", frameon=False)
    return figure


def _curve(result, histories):
    """An arm's own mean history, or that of its trainings."""
    kept = words.history(result)
    if kept:
        return pd.DataFrame(kept)
    if histories is None:
        return pd.DataFrame()
    names = [name for name in ("network", "ratio", "mode") if name in histories]
    same = [histories[name] == getattr(result.arm, name) for name in names]
    return mean_history(histories[np.all(same, axis=0)])


def against_ratio(comparison: Comparison, *, figure: str = "accuracy", ax=None):
    """A figure of each arm (`experiments.compare`) against its ratio, a line for each network; arms
    that clip, or have a loss of their own, are left out.

    Bars reach one standard error over folds to either side.
    """
    ax = style.axes(ax, (6.4, 3.6))
    own = [arm for arm in comparison.arms if arm.arm == Arm(arm.arm.network, arm.arm.ratio)]
    results = sorted(own, key=lambda result: result.arm.ratio)
    networks = dict.fromkeys(result.arm.network for result in results)
    for network, colour in zip(networks, cycle(style.ARM_COLOURS), strict=False):
        own = [result for result in results if result.arm.network == network]
        ratios = [100 * result.arm.ratio for result in own]
        values = [result.summary[figure]["mean"] for result in own]
        errors = [result.summary[figure]["error"] or 0 for result in own]
        line = dict(marker="o", capsize=3, color=colour, label=style.readable(network))
        ax.errorbar(ratios, values, errors, **line)
    ax.set_xlabel("ratio of the reweighting, %")
    ax.set_ylabel(figure.replace("_", " "))
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    style.finish_lines(ax)
    return ax
