"""Test faces with the answers that they were given, for pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from safbage.datasets.shards import Prepared
from safbage.experiments.arms import Arm
from safbage.experiments.comparison import Comparison
from safbage.experiments.finished import runs
from safbage.tasks import CLASSES, RATIO


class Example(NamedTuple):
    """A face, and what was answered.

    Attributes:
        task: "age", "gender" or "expression".
        crop: 224×224×3 uint8.
        map: its saliency, h×w in [0, 1].
        label: its class.
        answer: the class that was answered.
        confidence: that answer's probability.
    """

    task: str
    crop: np.ndarray
    map: np.ndarray
    label: str
    answer: str
    confidence: float

    @property
    def right(self) -> bool:
        return self.label == self.answer


def choose(
    prepared: Prepared, answered: pd.DataFrame, task: str, *, seed: int = 0
) -> list[Example]:
    """Of each class one face that was answered rightly and one that was answered wrongly, where
    there are such, drawn at random and in a random order.

    Args:
        prepared: the faces.
        answered: answers to them, as `evaluation` describes them, with `row`.
        task: of the answers.
        seed: of what is drawn.

    Raises:
        DatasetError: a shard is damaged.
        KeyError: a row is not among the prepared.
    """
    order = np.random.default_rng(seed).permutation(len(answered))
    drawn = answered.iloc[order]
    right = drawn.label.astype(str) == drawn.answer.astype(str)
    first = drawn[~pd.DataFrame({"label": drawn.label, "right": right}).duplicated()]
    places = pd.Series(np.arange(len(prepared)), prepared.table.row)
    if not len(first):
        return []
    crops, maps = prepared.faces(places.loc[first.row].to_numpy())
    confidence = first[[f"p_{name}" for name in CLASSES[task]]].max(axis=1)
    told = zip(first.label.astype(str), first.answer.astype(str), confidence, strict=True)
    return [Example(task, *seen, *of) for *seen, of in zip(crops, maps, told, strict=True)]


def of_reproduction(
    output: str | Path, comparisons: Mapping[str, Comparison], folders: Mapping[str, Path]
) -> dict[str, list[Example]]:
    """`choose` for each comparison with and without saliency: what the first network at ratio 30 %,
    trained with the first seed, answered to its test faces.

    Args:
        output: the reproduction's folder.
        comparisons: by name.
        folders: prepared faces by the name of the data set; what is not there is looked for in the
            output folder.

    Returns:
        By task; a task whose faces or trainings are not there is left out.

    Raises:
        As `choose`, `finished.runs` and `Prepared`.
    """
    output, found = Path(output), {}
    for name, comparison in comparisons.items():
        if comparison.experiment["varied"] != "saliency":
            continue
        data = comparison.provenance["data"]
        folder = folders.get(data, output / "prepared" / data)
        arm = Arm(comparison.arms[0].arm.network, RATIO)
        run = runs(output / "work" / name, comparison.task).get(arm)
        if run and (folder / "shards").is_dir():
            answered = run.predictions
            answered = answered[answered.seed == answered.seed.min()]
            found[comparison.task] = choose(Prepared(folder), answered, comparison.task)
    return found
