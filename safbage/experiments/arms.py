"""Arms: a network at a ratio, trained fold by fold, and what it answered to faces that it had not
seen."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from safbage.classifiers import SHIPPED
from safbage.datasets.shards import Prepared
from safbage.errors import DatasetError
from safbage.pipeline import SafBage
from safbage.reweighting import RATIO, check_mode, check_ratio
from safbage.runtime import backend, parallel
from safbage.runtime.backend import keras
from safbage.tasks import CLASSES, GROUPS, LABELS
from safbage.training import RECIPES, FineTuned, Recipe, fine_tune, first_layer
from safbage.training.division import choose

NO_SALIENCY = 0.0
"""The ratio of the arm to which the others are compared."""


class Arm(NamedTuple):
    """One of the things compared: ``str(Arm("alexnet", 0.3))`` is "alexnet, ratio 30 %".

    Attributes:
        network: one of `tasks.NETWORKS`.
        ratio: of the reweighting, 0–1; with mode "clip" the saliency below which pixels are black.
        mode: of the reweighting, one of `reweighting.MODES`.
        loss: "recipe's", or "plain", which weighs all faces alike whatever the recipe says.
    """

    network: str
    ratio: float
    mode: str = "blend"
    loss: str = "recipe's"

    def __str__(self):
        words = f"ratio {100 * self.ratio:g} %"
        if self.mode == "clip":
            words = f"clipped at {100 * self.ratio:g} %"
        elif self.ratio == NO_SALIENCY:
            words = "without saliency"
        return f"{self.network}, {words}" + (", plain loss" if self.loss == "plain" else "")

    @property
    def is_papers(self) -> bool:
        """Whether the paper's confusion matrices are of this arm."""
        return self == Arm("alexnet", RATIO)


@dataclass(frozen=True)
class Training:
    """How an arm was trained.

    Attributes:
        trained_layers: names.
        imagenet_layers: those that began with ImageNet weights.
        frozen_at_random: those that were neither trained nor had ImageNet weights.
        used: a few words for each fold: how many faces trained, validated and were tested.
    """

    trained_layers: tuple[str, ...]
    imagenet_layers: tuple[str, ...]
    frozen_at_random: tuple[str, ...]
    used: tuple[str, ...]


@dataclass(frozen=True)
class Run:
    """What an arm answered.

    Attributes:
        predictions: a table that `evaluation` takes; `seed` tells answers of several trainings to
            the same face apart.
        training: how it was trained, if it was.
        history: how its trainings went: a row per training and epoch, as `FineTuned.history`, with
            `fold` and `seed`.
    """

    predictions: pd.DataFrame
    training: Training | None = None
    history: pd.DataFrame | None = None


def cross_validate(
    prepared: Prepared,
    task: str,
    *,
    work: str | Path,
    networks: Iterable[str] = ("alexnet",),
    ratios: Iterable[float] = (NO_SALIENCY, RATIO),
    more: Iterable[Arm] = (),
    folds: Iterable[int] | None = range(5),
    recipe: Recipe | None = None,
    seeds: Iterable[int] = (0,),
    imagenet: bool = True,
    limit: int | None = None,
    cache: bool | str | Path = True,
    workers: int = 1,
    scheduler: str | None = None,
    progress: bool = True,
) -> dict[Arm, Run]:
    """Fine-tune every network at every ratio, fold by fold, and gather what each answered to the
    faces that it had not seen.

    Args:
        prepared: faces, maps and labels.
        task: "age", "gender" or "expression".
        work: a folder in which each training has one of its own, named by `name_of`.
            After a kill the same call goes on; a finished training is not run again.
        networks: every pair of one of them and a ratio is an arm.
        ratios: of the reweighting, 0–1.
        more: further arms.
        folds: to be tested; None trains once, by the table's split.
        recipe: as `training.fine_tune` takes it.
        seeds: of initial weights, dropout and order: every arm is trained in every fold with each.
        imagenet: start from what ImageNet weights there are.
        limit: use only so many labelled faces.
        cache: where the frozen layers' features are kept.
        workers: trainings at once on this machine; they share its threads and its GPU's memory.
        scheduler: address of a Dask scheduler whose workers train instead; they see both folders.
        progress: show bars.

    Raises:
        As `training.fine_tune`.
    """
    arms = _arms(networks, ratios, more)
    folds = [None] if folds is None else list(folds)
    _check(prepared, task, arms, folds, recipe, limit)
    if not isinstance(cache, bool):
        cache = str(Path(cache).resolve())  # workers are elsewhere
    common, work = dict(imagenet=imagenet, limit=limit, cache=cache), Path(work).resolve()
    recipe = recipe or RECIPES.get(task)
    keys = [(arm, fold, seed) for seed in dict.fromkeys(seeds) for fold in folds for arm in arms]
    trainings = [
        common | _settings(*key, recipe) | {"work": str(work / name_of(task, *key))} for key in keys
    ]
    if workers > 1 or scheduler is not None:
        _train_elsewhere(prepared, task, trainings, workers, scheduler, progress)
        progress = False  # what follows only reads
    results = {arm: [] for arm in arms}
    bar = tqdm(zip(keys, trainings, strict=True), "trainings", len(keys), disable=not progress)
    for (arm, fold, _), training in bar:
        bar.set_postfix_str(f"{arm}, " + ("split" if fold is None else f"fold {fold}"))
        results[arm].append(fine_tune(prepared, task, **training, progress=progress))
    return {arm: gather(parts) for arm, parts in results.items()}


def _arms(networks, ratios, more):
    """Each arm once."""
    ratios = list(ratios)
    pairs = [Arm(network, float(ratio)) for network in networks for ratio in ratios]
    return list(dict.fromkeys([*pairs, *more]))


def _settings(arm, fold, seed, recipe):
    """What `fine_tune` is told of one training."""
    if arm.loss == "plain":
        recipe = replace(recipe, class_weighted=False)
    chosen = arm._asdict()
    del chosen["loss"]
    return chosen | {"fold": fold, "seed": seed, "recipe": recipe}


def _train_elsewhere(prepared, task, trainings, workers, scheduler, progress):
    """In processes of this machine, or where a Dask scheduler has its workers."""
    policy = keras.config.dtype_policy().name
    jobs = [(str(prepared.folder.resolve()), task, policy, training) for training in trainings]
    where = workers if scheduler is None else scheduler
    run = parallel.in_processes if scheduler is None else parallel.on_cluster
    done = run(_train, jobs, where)
    for _ in tqdm(done, "trainings", len(jobs), disable=not progress):
        pass


def _train(folder, task, policy, training):
    """One training in a process of its own."""
    with backend.precision(policy):
        fine_tune(Prepared(folder), task, **training, progress=False)


def gather(trainings: Sequence[FineTuned]) -> Run:
    """What an arm's trainings, one for each fold and seed, answered and how they went."""
    first = trainings[0].metrics
    names = ("trained_layers", "imagenet_layers", "frozen_at_random")
    used = dict.fromkeys(training.metrics["settings"]["faces"] for training in trainings)
    return Run(
        _together(trainings, "predictions"),
        Training(*(tuple(first[name]) for name in names), tuple(used)),
        _together(trainings, "history"),
    )


def _together(trainings, name):
    """A table of every training, with its fold (0 where a split was tested) and its seed."""
    settings = [training.metrics["settings"] for training in trainings]
    tables = [
        getattr(training, name).assign(fold=of["fold"] or 0, seed=of["seed"])
        for training, of in zip(trainings, settings, strict=True)
    ]
    return pd.concat(tables, ignore_index=True)


def check(
    prepared: Prepared,
    task: str,
    *,
    networks: Iterable[str] = ("alexnet",),
    ratios: Iterable[float] = (NO_SALIENCY, RATIO),
    more: Iterable[Arm] = (),
    folds: Iterable[int] | None = range(5),
    recipe: Recipe | None = None,
    limit: int | None = None,
) -> None:
    """Refuse, before anything is trained, what `cross_validate` would refuse at its last fold or
    arm. It takes some of the same arguments.

    Raises:
        ValueError: an unknown task, network, mode or fold, or a ratio beyond 0–1.
        DatasetError: as `division.choose`.
    """
    folds = [None] if folds is None else folds
    _check(prepared, task, _arms(networks, ratios, more), folds, recipe, limit)


def _check(prepared, task, arms, folds, recipe, limit):
    for fold in folds:
        choose(prepared, task, fold, limit)
    for arm in arms:
        first_layer(recipe or RECIPES[task], arm.network, task)
        check_ratio(arm.ratio)
        check_mode(arm.mode)


def name_of(task: str, arm: Arm, fold: int | None, seed: int = 0) -> str:
    """A training's folder: ``gender-alexnet-30-fold0-seed0``, or ``…-30-clip-split-seed0``."""
    changed = [arm.mode] * (arm.mode != "blend") + [arm.loss] * (arm.loss == "plain")
    part = "split" if fold is None else f"fold{fold}"
    return "-".join([task, arm.network, f"{100 * arm.ratio:g}", *changed, part, f"seed{seed}"])


def answer_as_shipped(
    prepared: Prepared,
    tasks: Iterable[str],
    *,
    network: str = SHIPPED[0],
    limit: int | None = None,
    progress: bool = True,
) -> dict[str, pd.DataFrame]:
    """What the shipped classifiers answer to the faces of the test split, or to all where the set
    has none: by task a table that `evaluation` takes.

    Args:
        prepared: faces, maps and labels.
        tasks: of "age", "gender" and "expression"; those for which the set has no labels are left
            out.
        network: one that ships, as `SafBage.load` takes it.
        limit: only so many faces, drawn at random.
        progress: show a bar.

    Raises:
        ValueError: an unknown task or network.
        DatasetError: no such face is labelled for any of the tasks.
    """
    known = _labelled(prepared, tasks)
    rows = np.flatnonzero(_unseen(prepared.table) & np.any(list(known.values()), axis=0))
    if limit is not None:
        rows = np.sort(np.random.default_rng(0).permutation(rows)[:limit])
    if not len(rows):
        asked = ", ".join(tasks)
        raise DatasetError(f"{prepared.folder} has no face to test that is labelled for {asked}")
    model = SafBage.load(tasks=tuple(known), network=network, engine="keras")
    parts = np.array_split(rows, -(-len(rows) // 128))
    answers = []
    for part in tqdm(parts, "answers", disable=not progress):
        crops, maps = prepared.faces(part)
        answers.append(model.classify(crops, maps=maps, probabilities=True))
    answers = pd.concat(answers, ignore_index=True)
    faces = prepared.table.iloc[rows].reset_index(drop=True)
    tables = {task: _as_predictions(task, faces, answers) for task in known}
    return {task: table[known[task][rows]].reset_index(drop=True) for task, table in tables.items()}


def _labelled(prepared, tasks):
    """By task which rows have a label for it; tasks without any are left out."""
    unknown = [task for task in tasks if task not in LABELS]
    if unknown:
        raise ValueError(f"task is one of {', '.join(LABELS)}; got {unknown[0]!r}")
    there = [task for task in tasks if LABELS[task] in prepared.table]
    known = {task: prepared.codes(task) >= 0 for task in there}
    return {task: rows for task, rows in known.items() if rows.any()}


def _unseen(table):
    """Which rows are of the test split; all where the table has none."""
    if "split" in table and table.split.notna().any():
        return (table.split == "test").to_numpy()
    return np.ones(len(table), bool)


def _as_predictions(task, faces, answers):
    """The pipeline's answers as a table that `evaluation` takes."""
    found = {
        "image": faces.image,
        "row": faces.row,
        "subject": faces.get("subject", pd.NA),
        "fold": 0,
        "label": faces[LABELS[task]].astype(object),
        "answer": answers[task],
    }
    found |= {f"p_{name}": answers[f"{task}[{name}]"] for name in CLASSES[task]}
    groups = [name for name in GROUPS if name in faces and faces[name].notna().any()]
    return pd.DataFrame(found | {name: faces[name] for name in groups})
