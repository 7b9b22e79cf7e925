"""A film's answers over time."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from safbage.show.plots import style
from safbage.tasks import CLASSES, YEARS

__all__ = ["TRACKS_SHOWN", "track_colour", "tracks_over_time"]

TRACKS_SHOWN = 12
"""How many tracks of a film are drawn, those with the most frames."""
BRIDGED = 2.5
"""Frames of a track that lie more steps apart are not joined."""
CLASS_COLOURS = ("#9aa5b1", "#f2b134", "#3f7cac", "#8e5aa8", "#2f9e8f", "#7a8b3d", "#c8553d")
CLASS_COLOURS += ("#4b4e6d",)
"""Colours of a task's classes, in their order."""


def track_colour(track: int) -> str:
    """A track's colour, in charts and annotated films."""
    return style.ARM_COLOURS[track % len(style.ARM_COLOURS)]


def tracks_over_time(table: pd.DataFrame, *, title: str = "") -> Figure:
    """Each track's answers over a film.

    Age in years is a line with its 80 % interval. Of every other task each track has a lane, whose
    colour is the answer, the stronger the more probable.

    Args:
        table: of `SafBage.predict`, of one film.
        title: of the figure.

    Raises:
        ValueError: the table holds no face that has a track.
    """
    found = table[table.track.notna()] if "track" in table else table[:0]
    if found.empty:
        raise ValueError("there are no tracks to draw")
    tracks = sorted(found.track.value_counts().index[:TRACKS_SHOWN])
    found = found[found.track.isin(tracks)].sort_values("time_s")
    tasks = [task for task in CLASSES if task in found]
    in_years = YEARS[0] in found and found[YEARS[0]].notna().any()
    heights = [2.6 if task == "age" and in_years else 0.9 + 0.26 * len(tracks) for task in tasks]
    size = (11, 0.8 + sum(heights))
    figure, axes = plt.subplots(
        len(tasks), figsize=size, height_ratios=heights, sharex=True, layout="constrained"
    )
    axes = [axes] if len(tasks) == 1 else axes
    for task, ax in zip(tasks, axes, strict=True):
        if task == "age" and in_years:
            _years(found, tracks, ax)
        else:
            _lanes(found, tracks, task, ax)
        ax.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("seconds")
    shown, all_ = len(tracks), table.track.nunique()
    rest = f" (the {shown} longest of {all_} tracks)" if shown < all_ else ""
    figure.suptitle(style.readable(title + rest), **style.PLAIN)
    return figure


def _years(found, tracks, ax):
    longest = BRIDGED * _step(found)
    for track in tracks:
        rows, colour = found[found.track == track], track_colour(track)
        times = rows.time_s.to_numpy(float)
        hidden = np.flatnonzero(np.diff(times) > longest) + 1  # no line over what was not seen
        times, middle, low, high = (
            np.insert(rows[name].to_numpy(float), hidden, np.nan) for name in ("time_s", *YEARS)
        )
        ax.fill_between(times, low, high, color=colour, alpha=0.12, linewidth=0)
        ax.plot(times, middle, "o-", color=colour, markersize=3, linewidth=1.4, label=f"#{track}")
    ax.set_ylim(bottom=0)
    ax.set_ylabel("age, years")
    ax.grid(axis="y", color=style.GRID_COLOUR)
    ax.legend(title="track", loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)


def _lanes(found, tracks, task, ax):
    """A lane for each track, the first on top; each frame's answer reaches to the next frame."""
    step = _step(found)
    for lane, track in enumerate(tracks):
        rows = found[found.track == track]
        to_next = np.append(np.diff(rows.time_s.to_numpy(float)), step)
        widths = np.where(to_next > BRIDGED * step, step, to_next)
        for time, width, name, p in zip(
            rows.time_s, widths, rows[task], rows[f"{task}_p"], strict=True
        ):
            colour = CLASS_COLOURS[CLASSES[task].index(name)]
            shown = dict(color=colour, alpha=0.25 + 0.75 * p, linewidth=0)
            ax.barh(lane, width, left=time, height=0.8, **shown)
    ax.set_yticks(range(len(tracks)), [f"#{track}" for track in tracks])
    ax.set_ylim(len(tracks) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.set_ylabel(task)
    names = [name for name in CLASSES[task] if (found[task] == name).any()]
    handles = [Patch(color=CLASS_COLOURS[CLASSES[task].index(name)], label=name) for name in names]
    ax.legend(handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)


def _step(found):
    """Seconds between the film's frames."""
    times = pd.Series(found.time_s.unique()).sort_values().diff().dropna()
    return float(times.median()) if len(times) else 0.5
