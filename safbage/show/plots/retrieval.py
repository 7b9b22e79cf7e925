"""Charts of faces found again: accuracy and what saliency changes in it, by ratio, and the ROC."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter
from scipy import stats

from safbage.experiments import LEVEL, NO_SALIENCY
from safbage.retrieval import FIGURES
from safbage.show.plots import style
from safbage.tasks import RATIO

__all__ = ["change_by_ratio", "match_curves", "pairs_by_ratio", "retrieved"]

DODGE = 1.1
"""How far the trunks' dots of one ratio stand apart, in per cent of the ratio."""
LEAST = 1e-3
"""Rate of false matches at which the ROC begins: the results keep none below."""
DASHES = ("solid", (0, (4, 2)), (0, (1, 1.5)))


def pairs_by_ratio(result: dict, *, title: str = "", ax=None):
    """Accuracy of pairs against the ratio, a line for each trunk. Arms that clip are left out.

    Bars are 95 % intervals of Student's t over the folds of LFW's protocol.

    Args:
        result: of `retrieval.evaluate`, with pairs.
        title: above the chart.
        ax: axes to draw into.

    Raises:
        ValueError: there were no pairs.
    """
    ax = style.axes(ax, (5.6, 4.2))
    trunks = _trunks(result)
    for trunk, arms in trunks.items():
        if any("pairs" not in arm for arm in arms.values()):
            raise ValueError("no pairs were compared")
        found = [(arm["ratio"], arm["pairs"]) for arm in arms.values()]
        points = [(ratio, pairs["accuracy"], *_interval(pairs)) for ratio, pairs in found]
        _line(ax, [*trunks], trunk, points)
    ax.set_ylabel(FIGURES["accuracy"])
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return _finished(ax, result, title)


def _interval(pairs):
    reach = stats.t.ppf(0.975, len(pairs["folds"]) - 1) * pairs["error"]
    return pairs["accuracy"] - reach, pairs["accuracy"] + reach


def change_by_ratio(result: dict, *, figure: str = "accuracy", title: str | None = None, ax=None):
    """What saliency changes in a figure, in points, against the ratio: a line for each trunk.

    Bars are 95 % intervals from drawing people again. A dot is filled where a difference is shown
    after the correction for several tests. Arms that clip are left out.

    Args:
        result: of `retrieval.evaluate`.
        figure: one of `retrieval.FIGURES`.
        title: by default the figure's name.
        ax: axes to draw into.

    Raises:
        ValueError: that figure was not compared.
    """
    tests = {test["arm"]: test for test in result["tests"] if test["figure"] == figure}
    if not tests:
        raise ValueError(f"{figure!r} was not compared")
    ax = style.axes(ax, (5.6, 4.2))
    ax.axhline(0, color="black", linewidth=0.9, zorder=1)
    trunks = _trunks(result)
    for trunk, arms in trunks.items():
        told = [(arm["ratio"], tests[name]) for name, arm in arms.items() if name in tests]
        points = [
            (ratio, *(100 * test[key] for key in ("difference", "low", "high")))
            for ratio, test in told
        ]
        shown = [test["p_holm"] < LEVEL for _, test in told]
        _line(ax, [*trunks], trunk, [(NO_SALIENCY, 0, 0, 0), *points], [False, *shown])
    ax.set_ylabel("difference that saliency makes, points")
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:+g}".replace("-", "−") if value else "0")
    _finished(ax, result, FIGURES[figure] if title is None else title)
    dot = dict(marker="o", markersize=6.5, linestyle="none", color=style.QUIET_COLOUR)
    marks = [Line2D([], [], **dot), Line2D([], [], markerfacecolor="white", **dot)]
    words = ["a difference is shown", "none is shown"]
    ax.legend(marks, words, loc="lower left", frameon=False, fontsize=9)
    return ax


def _trunks(result):
    """By trunk its arms without saliency and blended, by ratio."""
    trunks = {}
    for name, arm in result["arms"].items():
        if arm["mode"] == "blend":
            trunks.setdefault(arm["network"], {})[name] = arm
    return {
        trunk: dict(sorted(arms.items(), key=lambda item: item[1]["ratio"]))
        for trunk, arms in trunks.items()
    }


def _line(ax, trunks, trunk, points, filled=None):
    """One of the trunks' values by ratio, with their intervals."""
    number = trunks.index(trunk)
    colour = style.ARM_COLOURS[number % len(style.ARM_COLOURS)]
    ratios, values, lows, highs = np.array(points, float).T
    places = 100 * ratios + DODGE * (number - (len(trunks) - 1) / 2)
    ax.plot(places, values, color=colour, linewidth=1.6, label=style.readable(trunk))
    ax.vlines(places, lows, highs, color=colour, linewidth=2.4)
    filled = np.ones(len(values), bool) if filled is None else np.array(filled)
    for of, filling in ((filled, colour), (~filled, "white")):
        dots = dict(color=colour, markerfacecolor=filling, markersize=6.5, zorder=3)
        ax.plot(places[of], values[of], "o", label="_dots", **dots)


def _finished(ax, result, title):
    ratios = sorted({arm["ratio"] for arm in result["arms"].values() if arm["mode"] == "blend"})
    ax.set_xticks([100 * ratio for ratio in ratios])
    ax.set_xlabel("ratio of the reweighting, % (0: without saliency)")
    ax.grid(axis="y", color=style.GRID_COLOUR)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    style.label_lines(ax)
    return style.titled(ax, title)


def match_curves(result: dict, *, ratios=(NO_SALIENCY, RATIO), title: str = "", ax=None):
    """The ROC of pairs: true matches over false ones, with a logarithmic scale that makes room for
    few false ones. A line for each trunk, in its colour, and ratio; areas below stand in the
    legend, the largest first. The grey line is chance.

    Args:
        result: of `retrieval.evaluate`, with pairs.
        ratios: of the arms that are drawn, at most three; none of them clips.
        title: above the chart.
        ax: axes to draw into.

    Raises:
        ValueError: there were no pairs, or no arm has such a ratio.
    """
    lines = [
        (arm["pairs"], name, style.ARM_COLOURS[i % len(style.ARM_COLOURS)], dashes)
        for i, arms in enumerate(_trunks(result).values())
        for name, arm in arms.items()
        for ratio, dashes in zip(ratios, DASHES, strict=False)
        if arm["ratio"] == ratio and "pairs" in arm
    ]
    if not lines:
        raise ValueError("no pairs were compared by an arm of such a ratio")
    ax = style.axes(ax, (8.4, 4.4))
    for pairs, name, colour, dashes in sorted(lines, key=lambda line: -line[0]["auc"]):
        false, true = np.array(pairs["roc"], float).T
        label = style.readable(f"{pairs['auc']:.3f}  {name}")
        options = dict(color=colour, linestyle=dashes, linewidth=1.8, label=label)
        ax.plot(false[false > 0], true[false > 0], **options)
    ax.plot(false, false, color=style.QUIET_COLOUR, linewidth=0.9, zorder=1)
    ax.set(xscale="log", xlim=(LEAST, 1), ylim=(0, 1.02))
    ax.set(xlabel="false matches", ylabel="true matches")
    ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    style.finish_lines(ax)
    outside = dict(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, fontsize=9)
    ax.legend(title="area below the curve", title_fontsize=9, alignment="left", **outside)
    return style.titled(ax, title)


def retrieved(result: dict) -> Figure:
    """Accuracy of pairs by ratio, and what saliency changes in it and in the first neighbour."""
    figure, axes = plt.subplots(1, 3, figsize=(15, 4.4), layout="constrained")
    pairs_by_ratio(result, title="95 % intervals over folds", ax=axes[0])
    for name, ax in zip(("accuracy", "rank_1"), axes[1:], strict=True):
        change_by_ratio(result, figure=name, ax=ax)
    return figure
