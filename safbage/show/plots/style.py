"""What all figures share: colours, and text that others have written."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.font_manager import FontProperties, findfont, get_font

__all__ = [
    "ANSWER_COLOUR",
    "ARM_COLOURS",
    "BAR_COLOUR",
    "LINE_COLOURS",
    "QUIET_COLOUR",
    "WRONG_COLOUR",
    "age_in_words",
    "label_lines",
    "percentages",
    "readable",
]

BAR_COLOUR, ANSWER_COLOUR = "#b8c4d0", "#1f5a94"
WRONG_COLOUR, QUIET_COLOUR, GRID_COLOUR = "#b3261e", "#6b7580", "#e6eaee"
ARM_COLOURS = (ANSWER_COLOUR, "#d95f02", "#3b8f5a", "#8e5aa8", "#8c6d31", "#555555")
LINE_COLOURS = (*ARM_COLOURS, "#c2557f", "#1b9aaa")
"""For as many lines as a task has classes."""
PLAIN = {"parse_math": False}
"""How text by others is drawn: a dollar sign in it is a dollar sign."""


def readable(text: str) -> str:
    """Text with □ for every character that none of matplotlib's fonts in use has.

    Without that, matplotlib would warn at each of them.
    """
    families = plt.rcParams["font.family"]
    fonts = [get_font(findfont(FontProperties(family=[family]))) for family in families]
    known = {c: any(font.get_char_index(ord(c)) for font in fonts) for c in set(str(text))}
    return "".join(c if c == "\n" or known[c] else "□" for c in str(text))


def axes(ax=None, size: tuple[float, float] | None = None):
    """The axes given, or new ones: the only axes of a figure of that size, in inches."""
    return ax or plt.subplots(figsize=size, layout="constrained" if size else None)[1]


def titled(ax, title: str):
    """The axes, under a title that is drawn as it stands."""
    ax.set_title(readable(title), **PLAIN)
    return ax


def finish_lines(ax) -> None:
    """Grid, frame and legend of a chart of lines."""
    ax.grid(color=GRID_COLOUR)
    ax.spines[["top", "right"]].set_visible(False)
    for text in ax.legend(frameon=False).texts:
        text.set(**PLAIN)


def label_lines(ax, *, fontsize: float = 9):
    """Write each line's label at its right end, in its colour, in place of a legend.

    Labels that would cover each other are moved apart. The axes' limits must be final. A line's
    label is taken as matplotlib keeps it; those that begin with an underscore are left out.

    Returns:
        The axes.
    """
    if ax.get_legend():
        ax.get_legend().remove()
    bottom, top = ax.get_ylim()
    ends = []
    for line in ax.get_lines():
        values = np.asarray(line.get_ydata(), float)
        known = values[np.isfinite(values)]
        if len(known) and not str(line.get_label()).startswith("_"):
            ends.append(((known[-1] - bottom) / (top - bottom), line))
    ends.sort(key=lambda end: end[0])
    height = ax.get_position().height * ax.figure.get_figheight() * 72  # points
    places = _apart([place for place, _ in ends], 1.15 * fontsize / height)
    for place, (_, line) in zip(places, ends, strict=True):
        words = dict(color=line.get_color(), fontsize=fontsize, va="center", **PLAIN)
        ax.text(1.015, place, readable(line.get_label()), transform=ax.transAxes, **words)
    return ax


def _apart(places, gap):
    """Rising places from 0 to 1, moved as little as it takes to lie `gap` apart, and within 0 and 1
    as long as there is room."""
    moved = np.array(places, float).clip(0, 1)
    for _ in range(20 * len(moved)):
        short = gap - np.diff(moved)
        if not (short > 1e-6).any():
            break
        push = np.maximum(short, 0) / 2
        moved[1:] += push
        moved[:-1] -= push
    steps = gap * np.arange(len(moved))
    return np.maximum(np.minimum(moved, 1 - steps[::-1]), steps)


def age_in_words(years: Sequence[float]) -> str:
    """A face's row of `Explanation.years`: "30 years (24–37)"."""
    age, low, high = years
    return f"{age:.0f} year{'' if age == 1 else 's'} ({low:.0f}–{high:.0f})"


def percentages(shares: Sequence[float]) -> list[str]:
    """Shares in [0, 1] as percentages, with just enough decimals to tell them apart: "99.98 %".

    Only a share of 1 is written as 100 %. There are one to four decimals.
    """
    for digits in range(1, 5):
        texts = [f"{100 * share:.{digits}f} %" for share in shares]
        certain = [t.startswith("100") and s < 1 for t, s in zip(texts, shares, strict=True)]
        if len(set(texts)) == len(set(shares)) and not any(certain):
            break
    return texts
