"""One answer for each track, from all its frames."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from safbage.tasks import CLASSES, YEARS

if TYPE_CHECKING:  # imported where it is used: it takes half a second
    import pandas as pd

LEAST = 1e-4
"""What a probability counts at least: no single frame rules a class out. It is also the last digit
of tables that the command writes."""


def pooled(probabilities: np.ndarray) -> tuple[np.ndarray, float]:
    """The answer of several frames: by the mean of their log-probabilities.

    Args:
        probabilities: N×C, a row for each frame, N ≥ 1.

    Returns:
        C probabilities, which sum to 1; and how far the frames agree: the share of them whose own
        answer is this one.
    """
    values = np.maximum(np.asarray(probabilities, float), LEAST)
    together = np.exp(np.log(values).mean(axis=0))
    agreed = (values.argmax(axis=1) == together.argmax()).mean()
    return together / together.sum(), float(agreed)


def per_track(
    table: pd.DataFrame, tasks: Iterable[str] = tuple(CLASSES), *, probabilities: bool = False
) -> pd.DataFrame:
    """Answer once for each track of each film.

    Args:
        table: of `SafBage.predict` with ``probabilities=True``; rows without a track are left out.
        tasks: those that were answered.
        probabilities: add a column per class, as for `predict`.

    Returns:
        A row per film and track: photo (the film), track, frames (how many have its face), first_s
        and last_s, and per task its class, that class's probability and, as ``<task>_agreed``, the
        share of frames with that very answer; see `pooled`. Where age is answered in years, the
        means of age_years, age_low and age_high.

    Raises:
        ValueError: the table has no tracks, or lacks probabilities.
    """
    import pandas as pd

    tasks = tuple(tasks)
    needed = {"track", "time_s"} | {f"{task}[{name}]" for task in tasks for name in CLASSES[task]}
    if missing := sorted(needed - set(table.columns)):
        raise ValueError(
            f"the table lacks {', '.join(missing)}; it is to be of a film, with probabilities=True"
        )
    in_years = set(YEARS) <= set(table.columns)
    found = table[table.track.notna()]
    rows = []
    for (film, track), frames in found.groupby(["photo", "track"], sort=False):
        row = {"photo": film, "track": int(track), "frames": len(frames)}
        row |= {"first_s": float(frames.time_s.min()), "last_s": float(frames.time_s.max())}
        rows.append(row | _answers(frames, tasks, in_years, probabilities))
    return pd.DataFrame(rows, columns=columns(tasks, in_years, probabilities))


def columns(tasks: Iterable[str], years: bool, probabilities: bool = False) -> list[str]:
    """Names of the columns of `per_track`, in order."""
    names = ["photo", "track", "frames", "first_s", "last_s"]
    for task in tasks:
        names += [task, f"{task}_p", f"{task}_agreed", *(YEARS if years and task == "age" else ())]
    if probabilities:
        names += [f"{task}[{name}]" for task in tasks for name in CLASSES[task]]
    return names


def _answers(frames, tasks, in_years, probabilities):
    row, classes = {}, {}
    for task in tasks:
        names = [f"{task}[{name}]" for name in CLASSES[task]]
        values, agreed = pooled(frames[names].to_numpy(float))
        best = int(values.argmax())
        row |= {task: CLASSES[task][best], f"{task}_p": float(values[best])}
        row[f"{task}_agreed"] = agreed
        if task == "age" and in_years:
            row |= {name: float(frames[name].mean()) for name in YEARS}
        classes |= dict(zip(names, values.tolist(), strict=True))
    return row | (classes if probabilities else {})
