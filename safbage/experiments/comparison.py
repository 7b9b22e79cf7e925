"""Arms compared: each one's figures, and paired tests against the arm without saliency."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from safbage import evaluation
from safbage.experiments.arms import NO_SALIENCY, Arm, Run, Training
from safbage.runtime.backend import keras
from safbage.runtime.files import read_json, write_text
from safbage.tasks import CLASSES, GROUPS

LEVEL = 0.05
"""Below this p, corrected for the number of tests, a difference is called one."""
FIGURES = {"age": "mean_recall", "gender": "accuracy", "expression": "accuracy"}
"""What the paper's "accuracy" is, by task (see `paper`)."""
_PACKAGE = Path(__file__).parents[1]
_PLACES = [_PACKAGE / "results", _PACKAGE.parent / "results"]
RESULTS = next(filter(Path.is_dir, _PLACES), _PLACES[0])
"""Where the project's own experiments' results lie: in the installed package, or beside it in a
clone of the repository.

:meta hide-value:
"""
KEYS = {"task", "arms", "verdict"}
"""What every file holds that `save` writes."""


@dataclass(frozen=True)
class ArmResult:
    """One arm's figures; tables are lists of rows.

    Attributes:
        arm: network, ratio and what else is its own.
        faces: how many it answered.
        summary: by figure its `mean` over folds, standard `error` (None for one fold) and `folds`.
            Seeds are averaged before.
        folds: the figures of each fold and `seed`.
        confusion: counts, a row per true class, in the order of `tasks.CLASSES`. Of several seeds,
            this and the two that follow are of the first.
        reliability: bins, as `evaluation.reliability` gives them.
        groups: accuracies, as `evaluation.by_group` gives them, by the groups' columns:
            "race_and_gender".
        training: how it was trained, if it was.
        history: a row per epoch: `epoch`, training `loss` and `accuracy` on the validation faces,
            means over `trainings`, with standard errors `loss_error` and `accuracy_error` (None for
            one training).
    """

    arm: Arm
    faces: int
    summary: dict[str, dict]
    folds: list[dict]
    confusion: list[list[int]]
    reliability: list[dict]
    groups: dict[str, list[dict]]
    training: Training | None = None
    history: Sequence[dict] = ()


@dataclass(frozen=True)
class PairedTest:
    """An arm against its `base`.

    Attributes:
        without: the base: the arm without saliency of the same network; or of an arm with plain
            loss, the one with the recipe's.
        arm: the other.
        mcnemar: as `evaluation.mcnemar` returns it, of the first seed.
        accuracy: as `evaluation.paired_bootstrap` returns it, with `p_holm`, corrected for the
            number of `tests`, and `alike` of `folds`: those whose difference has the whole's sign.
        mean_recall: the same.
    """

    without: Arm
    arm: Arm
    mcnemar: dict
    accuracy: dict
    mean_recall: dict


@dataclass(frozen=True)
class Comparison:
    """All that the paper's tables tell, and what they do not, of some arms.

    Attributes:
        task: "age", "gender" or "expression".
        arms: each one's figures.
        tests: every arm against its `base`. Faces are drawn again, and where there are several
            seeds, trainings, too. With one seed the tests say nothing of networks trained with
            another.
        networks: where asked for, each other network against the first (see `compare_networks`).
        claims: of the paper, as rows (see `claims.Claim`).
        experiment: title and place in the paper, where it is one of the paper's.
        provenance: how it was made, where it was kept.
    """

    task: str
    arms: list[ArmResult]
    tests: list[PairedTest]
    networks: Sequence[dict] = ()
    claims: Sequence[dict] = ()
    experiment: dict | None = None
    provenance: dict | None = None

    def as_dict(self) -> dict:
        """What JSON can hold; arms by their names."""
        tests = [
            {"without": str(test.without), "with": str(test.arm)}
            | {"mcnemar": test.mcnemar, "accuracy": test.accuracy, "mean_recall": test.mean_recall}
            for test in self.tests
        ]
        arms = {str(result.arm): _as_dict(result) for result in self.arms}
        more = {name: getattr(self, name) for name in _MORE}
        found = {"task": self.task, "arms": arms, "tests": tests}
        return found | {name: value for name, value in more.items() if value}

    @classmethod
    def from_dict(cls, data: dict) -> "Comparison":
        """The way back from `as_dict`, also from what `save` wrote.

        Raises:
            ValueError: it holds something else; also LookupError, TypeError and AttributeError.
        """
        if not isinstance(data, dict) or not KEYS.issubset(data):
            raise ValueError("it lacks task, arms or verdict")
        arms = {name: _from_dict(found) for name, found in data["arms"].items()}
        tests = [
            PairedTest(
                without=arms[test["without"]].arm,
                arm=arms[test["with"]].arm,
                **{name: test[name] for name in ("mcnemar", "accuracy", "mean_recall")},
            )
            for test in data["tests"]
        ]
        more = {name: data[name] for name in _MORE if name in data}
        return cls(data["task"], list(arms.values()), tests, **more)


_MORE = ("networks", "claims", "experiment", "provenance")
_MEASURED = ("faces", "summary", "folds", "confusion", "reliability")
_GROUP = "by_"


def _as_dict(result):
    training = asdict(result.training) if result.training else {}
    measured = {name: getattr(result, name) for name in _MEASURED}
    groups = {f"{_GROUP}{name}": rows for name, rows in result.groups.items()}
    history = {"history": list(result.history)} if result.history else {}
    usual, chosen = Arm._field_defaults, result.arm._asdict()
    chosen = {name: value for name, value in chosen.items() if value != usual.get(name)}
    return chosen | training | measured | groups | history


def _from_dict(found):
    layers = {name: tuple(found[name]) for name in Training.__annotations__ if name in found}
    return ArmResult(
        arm=Arm(**{name: found[name] for name in Arm._fields if name in found}),
        **{name: found[name] for name in _MEASURED},
        groups={
            name[len(_GROUP) :]: rows for name, rows in found.items() if name.startswith(_GROUP)
        },
        training=Training(**layers) if layers else None,
        history=found.get("history", ()),
    )


def compare(runs: Mapping[Arm, Run], task: str, *, repetitions: int = 10_000) -> Comparison:
    """Measure arms, and test each against its `base`: by McNemar's test, and by the paired
    bootstrap for accuracy and for mean recall.

    Args:
        runs: answers to the same faces. Of two arms those trainings are compared that both have.
        task: "age", "gender" or "expression".
        repetitions: of the bootstrap.

    Raises:
        ValueError: the tables do not hold the same faces, or break `evaluation`'s contract.
    """
    results = {arm: describe(arm, run, CLASSES[task]) for arm, run in runs.items()}
    pairs = [(base(arm), arm) for arm in runs if base(arm) in runs]
    tables = [_of_same_trainings(*(runs[arm].predictions for arm in pair)) for pair in pairs]
    figures = {name: [] for name in ("accuracy", "mean_recall")}
    for figure, found in figures.items():
        for without, against in tables:
            test = evaluation.paired_bootstrap(
                without, against, statistic=figure, repetitions=repetitions
            )
            found.append(test | _folds_alike(without, against, figure, test["difference"]))
        corrected = evaluation.holm([test["p"] for test in found])
        for test, p in zip(found, corrected, strict=True):
            test |= {"p_holm": p, "tests": len(found)}
    mcnemar = [evaluation.mcnemar(*map(_first_seed, pair)) for pair in tables]
    tests = zip(pairs, mcnemar, *figures.values(), strict=True)
    return Comparison(
        task=task,
        arms=list(results.values()),
        tests=[PairedTest(*pair, *measured) for pair, *measured in tests],
    )


def base(arm: Arm) -> Arm | None:
    """The arm that another is compared with; None for one without saliency."""
    if arm.loss == "plain":
        return arm._replace(loss="recipe's")
    return None if arm.ratio == NO_SALIENCY else Arm(arm.network, NO_SALIENCY)


def _of_same_trainings(a, b):
    """The answers of those folds and seeds that both tables have."""
    if "seed" not in a or "seed" not in b:
        return a, b
    there = [pd.MultiIndex.from_frame(table[["fold", "seed"]]) for table in (a, b)]
    return a[there[0].isin(there[1])], b[there[1].isin(there[0])]


def _first_seed(table):
    """The answers of the first seed alone, which are one to a face."""
    return table[table.seed == table.seed.min()] if "seed" in table else table


def _folds_alike(without, against, figure, difference):
    """In how many folds the arms differ to the same side as in all together."""
    before, after = (evaluation.by_fold(table)[figure] for table in (without, against))
    alike = int((np.sign(after - before) == np.sign(difference)).sum())
    return {"alike": alike, "folds": len(after)}


def compare_networks(runs: Mapping[Arm, Run], *, repetitions: int = 10_000) -> list[dict]:
    """Each other run's accuracy against the first's, by `evaluation.paired_bootstrap`, with the
    names of both networks as `first` and `other`.

    Raises:
        ValueError: as `compare`.
    """
    (first, base), *others = runs.items()
    return [
        {"first": first.network, "other": arm.network}
        | evaluation.paired_bootstrap(base.predictions, run.predictions, repetitions=repetitions)
        for arm, run in others
    ]


def describe(arm: Arm, run: Run, classes: tuple[str, ...]) -> ArmResult:
    """One arm's figures.

    Raises:
        ValueError: its table breaks `evaluation`'s contract.
    """
    table = _first_seed(run.predictions)
    return ArmResult(
        arm=arm,
        faces=len(table),
        summary=json.loads(
            evaluation.summarise(evaluation.by_fold(run.predictions, classes)).to_json(
                orient="index"
            )
        ),
        folds=_by_training(run.predictions, classes),
        confusion=evaluation.confusion(table, classes).to_numpy().tolist(),
        reliability=_records(evaluation.reliability(table, classes)),
        groups=_by_groups(table, classes),
        training=run.training,
        history=_by_epoch(run.history),
    )


def _by_training(table, classes):
    """The figures of each fold, with its seed where the table tells seeds."""
    if "seed" not in table:
        return _records(evaluation.by_fold(table, classes).reset_index())
    parts = [
        evaluation.by_fold(rows, classes).assign(seed=seed).reset_index()
        for seed, rows in table.groupby("seed")
    ]
    return _records(pd.concat(parts, ignore_index=True))


def mean_history(histories: pd.DataFrame) -> pd.DataFrame:
    """How several trainings went, in the mean: a row per epoch.

    Args:
        histories: a row per training and epoch, as `experiments.histories` gives them.

    Returns:
        Columns: `epoch`, `loss` and `accuracy`, the means; `loss_error` and `accuracy_error`, their
        standard errors over trainings (NaN for one training); `trainings`, their number.
    """
    by_epoch = histories.groupby("epoch")
    measures = {name: by_epoch[name].mean() for name in ("loss", "accuracy")}
    errors = {f"{name}_error": by_epoch[name].sem() for name in ("loss", "accuracy")}
    return pd.DataFrame(measures | errors | {"trainings": by_epoch.size()}).reset_index()


def _by_epoch(history):
    """`mean_history` as rows; none where it was not kept."""
    return () if history is None else _records(mean_history(history))


def _by_groups(table, classes):
    """Accuracies by each group, by race and gender, and by all three where all are known."""
    there = [name for name in GROUPS if name in table]
    chosen = {name: (table, [name]) for name in there}
    if {"race", "gender"} <= set(there):
        chosen["race_and_gender"] = table, ["race", "gender"]
    known = table.dropna(subset=there)
    if len(there) == len(GROUPS) and len(known):
        chosen["_and_".join(there)] = known, there
    return {
        name: _records(evaluation.by_group(rows, columns, classes))
        for name, (rows, columns) in chosen.items()
    }


def _records(table: pd.DataFrame):
    return json.loads(table.to_json(orient="records"))


def save(
    comparison: Comparison, path: str | Path, provenance: dict, *, verdict: Sequence[str] = ()
) -> None:
    """Write a comparison as JSON.

    Args:
        comparison: what to keep.
        path: of the file, whose folder is made where it is missing.
        provenance: data, recipe; the command, the backend and versions are added.
        verdict: what it comes to, in sentences (`show.words.verdicts`), for readers of the file.
    """
    backend = keras.config.backend()
    libraries = ("safbage", "keras", backend, "numpy", "pandas", "scipy")
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv]
    made = provenance | {
        "command": " ".join(words),  # paths by their last part
        "backend": backend,
        "versions": {name: version(name) for name in libraries},
    }
    data = replace(comparison, provenance=made).as_dict() | {"verdict": list(verdict)}
    text = json.dumps(data, indent=1, default=str, allow_nan=False)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text + "\n")


def load(path: str | Path) -> Comparison:
    """What `save` wrote into a file.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it holds something else; also LookupError, TypeError and AttributeError.
    """
    return Comparison.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))


def load_saved(folder: str | Path | None = None) -> dict[str, Comparison]:
    """What `save` wrote into a folder, by the files' names; nothing where the folder is missing.

    Args:
        folder: by default `RESULTS`, the project's own.

    Raises:
        WorkError: a file is damaged; the message names it.
    """
    paths = sorted(Path(folder or RESULTS).glob("*.json"))
    found = {path.stem: read_json(path, dict) for path in paths}
    return {name: Comparison.from_dict(data) for name, data in found.items() if KEYS.issubset(data)}
