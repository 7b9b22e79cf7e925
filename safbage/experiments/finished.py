"""What finished trainings left in a folder, gathered: how they went and what they answered."""

import json
from pathlib import Path

import pandas as pd

from safbage.experiments.arms import Arm, Run, gather
from safbage.runtime.files import damaged
from safbage.training import RECIPES
from safbage.training.outcome import open_trained

CHOSEN = ("task", "network", "ratio", "mode", "class_weighted", "fold", "seed")
"""What tells trainings of one experiment apart."""


def histories(folder: str | Path) -> pd.DataFrame:
    """How all finished trainings below a folder went: a row per training and epoch.

    Columns: those of `FineTuned.history`, and the training's own, `CHOSEN`; no rows where there is
    no training. A training that lies there twice, as an arm that several points of a sweep share,
    counts once.
    """
    tables = [run.history.assign(**chosen) for run, chosen in _finished(folder)]
    return _together(tables, ["epoch", "loss", "accuracy", "mean_recall", *CHOSEN])


def predictions(folder: str | Path) -> pd.DataFrame:
    """What all finished trainings below a folder answered to faces that they had not seen: a row
    per training and face.

    Columns: those of `FineTuned.predictions`, and the training's own as in `histories`; `fold` is 0
    where the table's split was tested.
    """
    tables = [
        run.predictions.assign(**chosen | {"fold": chosen["fold"] or 0})
        for run, chosen in _finished(folder)
    ]
    return _together(tables, ["label", "answer", *CHOSEN])


def runs(folder: str | Path, task: str) -> dict[Arm, Run]:
    """What the finished trainings of a task below a folder came to, by arm, as `compare` takes it;
    empty where there is none."""
    found = {}
    for run, chosen in _finished(folder):
        if chosen["task"] == task:
            plain = RECIPES[task].class_weighted and not chosen["class_weighted"]
            arm = Arm(chosen["network"], chosen["ratio"], chosen["mode"])
            found.setdefault(arm._replace(loss="plain") if plain else arm, []).append(run)
    return {arm: gather(trainings) for arm, trainings in found.items()}


def _together(tables, columns):
    """One table; an empty one with these columns where there is none."""
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def _finished(folder):
    """Each finished training below a folder, and how it was chosen."""
    seen = set()
    for path in sorted(Path(folder).rglob("metrics.json")):
        if not (path.parent / "history.csv").exists():
            continue
        run = open_trained(path.parent)
        settings = {"mode": "blend"} | run.metrics["settings"]
        if not set(CHOSEN) <= set(settings):
            raise damaged(path, f"its settings lack one of {', '.join(CHOSEN)}")
        key = json.dumps(settings, sort_keys=True)
        if key not in seen:
            seen.add(key)
            yield run, {name: settings[name] for name in CHOSEN}
