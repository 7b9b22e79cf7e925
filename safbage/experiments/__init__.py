"""The paper's experiments on any prepared faces: arms over folds, compared with each other and with what the paper reports.

    prepared = Prepared("prepared/utkface")
    arms = cross_validate(prepared, "gender", work="work/gender")        # without and with saliency, five folds
    report = compare(arms, "gender")
    print(report["verdict"])

An arm is a network at a ratio; ratio 0 is the arm without saliency. All arms answer the same faces, so that paired tests hold.
"""

import json
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from safbage import evaluation, paper
from safbage.classifiers import SHIPPED
from safbage.datasets.shards import Prepared
from safbage.errors import DatasetError
from safbage.reweighting import RATIO, check_ratio
from safbage.runtime import parallel
from safbage.runtime.backend import keras
from safbage.runtime.files import damaged, read_json, write_whole
from safbage.tasks import CLASSES, GROUPS, LABELS
from safbage.training import RECIPES, Recipe, fine_tune
from safbage.training.division import choose
from safbage.training.outcome import open_trained

WITHOUT, WITH = 0.0, RATIO
LEVEL = 0.05
"""Below this p, corrected for the number of tests, a difference is called one."""
FIGURES = {"age": "mean_recall", "gender": "accuracy", "expression": "accuracy"}
"""What the paper's "accuracy" is, by task (see `paper`)."""
PAPERS_NETWORKS = ("alexnet", "alexnet-caffe")
"""The networks beside which the paper's figures stand: AlexNet, in either form."""
_PACKAGE = Path(__file__).parents[1]
RESULTS = next(filter(Path.is_dir, (_PACKAGE / "results", _PACKAGE.parent / "results")), _PACKAGE / "results")
"""Where the project's own experiments' reports lie: in the installed package, or beside it in a clone of the repository.

:meta hide-value:
"""


class Arm(NamedTuple):
    """One of the things compared: ``str(Arm("alexnet", 0.3))`` is "alexnet, ratio 30 %"."""

    network: str
    ratio: float

    def __str__(self):
        return f"{self.network}, " + ("without saliency" if self.ratio == 0 else f"ratio {100 * self.ratio:g} %")


def cross_validate(
    prepared: Prepared,
    task: str,
    *,
    work: str | Path,
    networks: Iterable[str] = ("alexnet",),
    ratios: Iterable[float] = (WITHOUT, WITH),
    folds: Iterable[int] | None = range(5),
    recipe: Recipe | None = None,
    seed: int = 0,
    imagenet: bool = True,
    limit: int | None = None,
    cache: bool | str | Path = True,
    workers: int = 1,
    scheduler: str | None = None,
    progress: bool = True,
) -> dict[Arm, pd.DataFrame]:
    """Fine-tune every network at every ratio, fold by fold, and gather what each answered to the faces that it did not see.

    Args:
        prepared: faces, maps and labels.
        task: "age", "gender" or "expression".
        work: a folder; each training has one of its own in it, ``gender-alexnet-30-fold0``. Killed, the same call goes on; a
            finished training is not run again.
        networks: every pair of one of them and a ratio is an arm.
        ratios: of the reweighting, 0–1.
        folds: to be tested; None trains once, by the table's split.
        recipe: this and the following as `training.fine_tune` takes them.
        seed: of initial weights, dropout and order.
        imagenet: start from what ImageNet weights there are.
        limit: use only so many labelled faces.
        cache: where the frozen layers' features are kept.
        workers: trainings at once on this machine; they share out its threads and its GPU's memory.
        scheduler: address of a Dask scheduler whose workers train instead; they see both folders.
        progress: show bars.

    Returns:
        By arm its predictions, a table as `evaluation` takes it; ``attrs["made_of"]`` tells the `trained_layers`, the
        `imagenet_layers`, those `frozen_at_random`, and the faces that each training `used`.

    Raises:
        As `training.fine_tune`.
    """
    networks, ratios, folds = list(networks), list(ratios), [None] if folds is None else list(folds)
    check(prepared, task, networks=networks, ratios=ratios, folds=folds, recipe=recipe, limit=limit)
    arms = list(dict.fromkeys(Arm(network, float(ratio)) for network in networks for ratio in ratios))  # each once
    runs = [(arm, fold) for fold in folds for arm in arms]
    found = {arm: [] for arm in arms}
    made_of = {}
    cache = cache if isinstance(cache, bool) else str(Path(cache).resolve())  # workers are elsewhere
    common = dict(recipe=recipe, seed=seed, imagenet=imagenet, limit=limit, cache=cache)
    settings = [
        common | dict(network=arm.network, ratio=arm.ratio, fold=fold, work=str(Path(work).resolve() / name_of(task, arm, fold)))
        for arm, fold in runs
    ]
    if workers > 1 or scheduler is not None:
        policy = keras.config.dtype_policy().name
        jobs = [(str(prepared.folder.resolve()), task, policy, options) for options in settings]
        local = scheduler is None
        done = parallel.in_processes(_train, jobs, workers) if local else parallel.on_cluster(_train, jobs, scheduler)
        for _ in tqdm(done, "trainings", len(jobs), disable=not progress):
            pass
        progress = False  # what follows only reads
    bar = tqdm(runs, "trainings", disable=not progress)
    for (arm, fold), options in zip(bar, settings, strict=True):
        bar.set_postfix_str(f"{arm}, " + ("split" if fold is None else f"fold {fold}"))
        result = fine_tune(prepared, task, **options, progress=progress)
        found[arm].append(result.predictions.assign(fold=0 if fold is None else fold))
        layers = {name: result.metrics[name] for name in ("trained_layers", "imagenet_layers", "frozen_at_random")}
        made_of.setdefault(arm, layers | {"used": []})["used"].append(result.metrics["settings"]["faces"])
    tables = {arm: pd.concat(parts, ignore_index=True) for arm, parts in found.items()}
    for arm, table in tables.items():
        table.attrs["made_of"] = made_of[arm]
    return tables


def check(
    prepared: Prepared,
    task: str,
    *,
    networks: Iterable[str] = ("alexnet",),
    ratios: Iterable[float] = (WITHOUT, WITH),
    folds: Iterable[int] | None = range(5),
    recipe: Recipe | None = None,
    limit: int | None = None,
) -> None:
    """Refuse before anything is trained what `cross_validate` would else refuse at its last fold or arm; it takes the same.

    Raises:
        ValueError: an unknown task, network or fold, a ratio beyond 0–1.
        DatasetError: as `division.choose`.
    """
    for fold in [None] if folds is None else folds:
        choose(prepared, task, fold, limit)
    for network in networks:
        (recipe or RECIPES[task]).first_layer(network)
    for ratio in ratios:
        check_ratio(ratio)


def name_of(task: str, arm: Arm, fold: int | None) -> str:
    """A training's folder: ``gender-alexnet-30-fold0``, or ``…-split``."""
    return f"{task}-{arm.network}-{100 * arm.ratio:g}-" + ("split" if fold is None else f"fold{fold}")


def _train(folder, task, policy, options):
    """One training in a process of its own."""
    keras.config.set_dtype_policy(policy)
    fine_tune(Prepared(folder), task, **options, progress=False)


CHOSEN = ("task", "network", "ratio", "fold", "seed")
"""What tells trainings of one experiment apart."""


def histories(folder: str | Path) -> pd.DataFrame:
    """How all finished trainings below a folder went: a row per training and epoch.

    Columns: those of `FineTuned.history`, and the training's `task`, `network`, `ratio`, `fold` and `seed`; no rows where there
    is none. A training that lies there twice, as an arm that several points of a sweep share, counts once.
    """
    tables = [run.history.assign(**chosen) for run, chosen in _finished(folder)]
    columns = ["epoch", "loss", "accuracy", "mean_recall", *CHOSEN]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def predictions(folder: str | Path) -> pd.DataFrame:
    """What all finished trainings below a folder answered to faces that they had not seen: a row per training and face.

    Columns: those of `FineTuned.predictions`, and as in `histories` the training's own; `fold` is 0 where the table's split was
    tested. No rows where there is no training. The rows of one network, ratio and seed are an arm, as `compare` takes it.
    """
    tables = [run.predictions.assign(**chosen | {"fold": chosen["fold"] or 0}) for run, chosen in _finished(folder)]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["label", "answer", *CHOSEN])


def _finished(folder):
    """Each finished training below a folder, and how it was chosen."""
    seen = set()
    for path in sorted(Path(folder).rglob("history.csv")):
        if (path.parent / "metrics.json").exists():
            run = open_trained(path.parent)
            settings = run.metrics["settings"]
            if not set(CHOSEN) <= set(settings):
                raise damaged(path.parent / "metrics.json", f"its settings lack one of {', '.join(CHOSEN)}")
            key = json.dumps(settings, sort_keys=True)
            if key not in seen:
                seen.add(key)
                yield run, {name: settings[name] for name in CHOSEN}


def answer_as_shipped(
    prepared: Prepared,
    tasks: Iterable[str],
    *,
    network: str = SHIPPED[0],
    limit: int | None = None,
    progress: bool = True,
) -> dict[str, pd.DataFrame]:
    """What the shipped classifiers answer to the faces of the test split, or to all where the set has none, by task.

    Args:
        prepared: faces, maps and labels.
        tasks: of "age", "gender" and "expression"; those that the set has no labels for are left out.
        network: one that ships, as `SafBage.load` takes it.
        limit: only so many faces, drawn at random.
        progress: show a bar.

    Raises:
        ValueError: an unknown task or network.
        DatasetError: no such face is labelled for any of the tasks.
    """
    from safbage.pipeline import SafBage

    tasks = tuple(tasks)
    unknown = [task for task in tasks if task not in LABELS]
    if unknown:
        raise ValueError(f"task is one of {', '.join(LABELS)}; got {unknown[0]!r}")
    table = prepared.table
    known = {task: prepared.codes(task) >= 0 for task in tasks if LABELS[task] in table}
    known = {task: rows for task, rows in known.items() if rows.any()}
    unseen = (table.split == "test").to_numpy() if "split" in table and table.split.notna().any() else np.ones(len(table), bool)
    rows = np.flatnonzero(unseen & np.any(list(known.values()), axis=0)) if known else []
    if limit is not None:
        rows = np.sort(np.random.default_rng(0).permutation(rows)[:limit])
    if not len(rows):
        raise DatasetError(f"{prepared.folder} has no face to test that is labelled for {', '.join(tasks)}")
    model = SafBage.load(tasks=tuple(known), network=network)
    parts = tqdm(np.array_split(rows, -(-len(rows) // 128)), "answers", disable=not progress)
    answers = []
    for part in parts:
        crops, maps = prepared.faces(part)
        answers.append(model.classify(crops, maps=maps, probabilities=True))
    answers = pd.concat(answers, ignore_index=True)
    faces = table.iloc[rows].reset_index(drop=True)
    return {task: _as_predictions(task, faces, answers)[known[task][rows]].reset_index(drop=True) for task in known}


def _as_predictions(task, faces, answers):
    """The pipeline's answers as a table that `evaluation` takes."""
    probabilities = {f"p_{name}": answers[f"{task}[{name}]"] for name in CLASSES[task]}
    groups = {name: faces[name] for name in GROUPS if name in faces and faces[name].notna().any()}
    found = {
        "image": faces.image,
        "row": faces.row,
        "subject": faces.get("subject", pd.NA),
        "fold": 0,
        "label": faces[LABELS[task]].astype(object),
    }
    return pd.DataFrame(found | {"answer": answers[task]} | probabilities | groups)


def compare(arms: dict[Arm, pd.DataFrame], task: str, *, repetitions: int = 10_000) -> dict:
    """All that the paper's tables tell, and what they do not, of some arms: a dict that JSON can hold.

    Args:
        arms: predictions of the same faces.
        task: "age", "gender" or "expression".
        repetitions: of the bootstrap.

    Returns:
        `arms`: by name `network`, `ratio`, what `cross_validate` notes it was made of, `summary` (mean ± standard error over
        folds, per figure), `folds`, `confusion` (counts), `reliability`, and accuracy `by_<group>`; `tests`: every arm against
        the one without saliency of the same network, by McNemar's test and the paired bootstrap, for accuracy and mean recall;
        each of the two with `p_holm`, corrected for the number of tests, and `alike` of `folds`, the folds whose difference has
        the whole's sign; `verdict`: one sentence a test. Faces are drawn again, trainings are not: of networks trained with
        another seed the tests say nothing.

    Raises:
        ValueError: the tables do not hold the same faces, or break `evaluation`'s contract.
    """
    classes = CLASSES[task]
    described = {
        str(arm): arm._asdict() | table.attrs.get("made_of", {}) | describe(table, classes) for arm, table in arms.items()
    }
    tests = []
    for arm, table in arms.items():
        base = Arm(arm.network, WITHOUT)
        if arm != base and base in arms:
            pair = (arms[base], table)
            test = {"without": str(base), "with": str(arm), "mcnemar": evaluation.mcnemar(*pair)}
            for figure in ("accuracy", "mean_recall"):
                found = evaluation.paired_bootstrap(*pair, statistic=figure, repetitions=repetitions)
                test[figure] = found | _folds_alike(described[str(base)], described[str(arm)], figure, found["difference"])
            tests.append(test)
    for figure in ("accuracy", "mean_recall"):
        for test, p in zip(tests, evaluation.holm([test[figure]["p"] for test in tests]), strict=True):
            test[figure] |= {"p_holm": p, "tests": len(tests)}
    return {"task": task, "arms": described, "tests": tests, "verdict": [verdict(test, FIGURES[task]) for test in tests]}


def _folds_alike(without, with_saliency, figure, difference):
    """In how many folds the arms differ to the same side as in all together."""
    folds = [{row["fold"]: row[figure] for row in arm["folds"]} for arm in (without, with_saliency)]
    signs = [np.sign(folds[1][fold] - folds[0][fold]) for fold in folds[0]]
    return {"alike": sum(int(sign == np.sign(difference)) for sign in signs), "folds": len(signs)}


def describe(predictions: pd.DataFrame, classes: tuple[str, ...]) -> dict:
    """One arm's figures, as `compare` returns them."""
    folds = evaluation.by_fold(predictions, classes)
    groups = [name for name in ("race", "gender", "age_group") if name in predictions]
    by_group = {f"by_{name}": _records(evaluation.by_group(predictions, name, classes)) for name in groups}
    if {"race", "gender"} <= set(groups):
        by_group["by_race_and_gender"] = _records(evaluation.by_group(predictions, ["race", "gender"], classes))
    known = predictions.dropna(subset=groups)
    if len(groups) == 3 and len(known):
        by_group["by_race_and_gender_and_age_group"] = _records(evaluation.by_group(known, groups, classes))
    return {
        "faces": len(predictions),
        "summary": json.loads(evaluation.summarise(folds).to_json(orient="index")),
        "folds": _records(folds.reset_index()),
        "confusion": evaluation.confusion(predictions, classes).to_numpy().tolist(),
        "reliability": _records(evaluation.reliability(predictions, classes)),
    } | by_group


def _records(table):
    return json.loads(table.to_json(orient="records"))


def verdict(test: dict, figure: str) -> str:
    """A test in one sentence: does saliency help these networks, as the paper claims?"""
    found, name = test[figure], figure.replace("_", " ")
    p = f"p = {found['p_holm']:.2g}" + (f" after Holm's correction over {found['tests']} tests" if found["tests"] > 1 else "")
    shown = "saliency helps" if found["difference"] > 0 else "saliency costs"
    says = shown if found["p_holm"] < LEVEL else "no difference is shown"
    sided = found["folds"] > 1 and found["difference"]  # equal arms have no side
    alike = f", to the same side in {found['alike']} of {found['folds']} folds" if sided else ""
    return f"{test['with']}: on these trained networks {says}: {_difference(found, name, p)}{alike}"


def beside(first: pd.DataFrame, other: pd.DataFrame, *, names: tuple[str, str], repetitions: int = 10_000) -> str:
    """Two networks' predictions of the same faces in one sentence: how far apart, and is it shown? By the paired bootstrap."""
    found = evaluation.paired_bootstrap(first, other, statistic="accuracy", repetitions=repetitions)
    shown = "is right more often" if found["difference"] > 0 else "is right less often"
    says, p = shown if found["p"] < LEVEL else "no difference is shown", f"p = {found['p']:.2g}"
    return f"{names[1]} beside {names[0]}: {says}: {_difference(found, 'accuracy', p)}"


def _difference(found, name, p):
    points, low, high = (100 * found[key] for key in ("difference", "low", "high"))
    return f"{points:+.1f} points of {name} (95 % interval {low:+.1f} to {high:+.1f}; {p}) on {found['faces']:,} faces"


def with_paper(report: dict) -> pd.DataFrame:
    """Ours beside the paper's headline (Tables 2 and 3, section IV-C): a row per arm, in %, NaN where the paper has none.

    Columns: `arm`, `accuracy`, `mean_recall` and their standard errors `± …`, and the paper's `paper`, `± paper`.
    """
    published = paper.results(report["task"]).set_index("method")
    rows = []
    for name, arm in report["arms"].items():
        row = {"arm": name}
        for figure in ("accuracy", "mean_recall"):
            row |= {figure: 100 * arm["summary"][figure]["mean"], f"± {figure}": _points(arm["summary"][figure]["error"])}
        method = {WITHOUT: paper.WITHOUT, WITH: paper.WITH}.get(arm["ratio"])
        known = arm["network"] in PAPERS_NETWORKS and method
        row |= {"paper": published.value[method] if known else np.nan, "± paper": published.error[method] if known else np.nan}
        rows.append(row)
    return pd.DataFrame(rows)


def _points(share):
    return np.nan if share is None else 100 * share


def notes(report: dict) -> list[str]:
    """What to know before reading `with_paper`'s table, a line each."""
    lines = [_layers(arm) for arm in report["arms"].values() if "trained_layers" in arm]
    if report["task"] == "age":
        lines.append(f"The paper's {paper.DIAGONAL_MEANS[4]} % is mean recall: set it beside mean recall, not beside accuracy.")
    return list(dict.fromkeys(lines))  # arms of one network have the same layers


def _layers(arm):
    """Of an arm which layers were trained, and what they and the frozen ones came from."""
    trained, imagenet, frozen = (arm[name] for name in ("trained_layers", "imagenet_layers", "frozen_at_random"))
    parts = [f"{arm['network']}: trained {_span(trained)}", f"from ImageNet {_span(imagenet)}"]
    parts.append(f"from random weights {_span([name for name in trained if name not in imagenet])}")
    return "; ".join(parts + [f"left at random weights {_span(frozen)}"] * bool(frozen)) + "."


def _span(names):
    """Layers in order, as "conv1–conv5"."""
    return "–".join(dict.fromkeys((names[0], names[-1]))) if names else "none"


def markdown(report: dict) -> str:
    """A saved or fresh report as README and notebooks show it: arms beside the paper's in a table, `notes`, the verdicts."""
    lines = ["| arm | accuracy, % | mean recall, % | the paper's, % |", "|---|---|---|---|"]
    for row in with_paper(report).to_dict("records"):
        cells = [plus_minus(row.get(name), row.get(f"± {name}")) for name in ("accuracy", "mean_recall", "paper")]
        lines.append(f"| {' | '.join([row['arm'], *cells])} |")
    lines += [part for line in notes(report) for part in ("", line)]
    return "\n".join([*lines, "", *(f"- {line}" for line in report["verdict"])]) + "\n"


def headline(reports: Iterable[dict]) -> str:
    """Reports of one arm with saliency and one without, a row each, as a table in Markdown: the figure that the paper compares,
    the difference with its 95 % interval and p-value, and the paper's two figures.

    Raises:
        ValueError: a report has more arms, or fewer.
    """
    lines = ["| | faces | without | with saliency | difference, points | p | the paper |", "|---|---|---|---|---|---|---|"]
    for report in reports:
        (test,), figure, rows = report["tests"], FIGURES[report["task"]], with_paper(report).set_index("arm")
        ours = [plus_minus(rows[figure][arm], rows[f"± {figure}"][arm]) for arm in (test["without"], test["with"])]
        theirs = " → ".join(plus_minus(rows.paper[arm], rows["± paper"][arm]) for arm in (test["without"], test["with"]))
        found = test[figure]
        points, low, high = (f"{100 * found[key]:+.1f}" for key in ("difference", "low", "high"))
        cells = [f"{report['task']}, {figure.replace('_', ' ')}, %", f"{found['faces']:,}", *ours, f"{points} ({low} to {high})"]
        lines.append(f"| {' | '.join([*cells, format(found['p'], '.2g'), theirs])} |")
    return "\n".join(lines) + "\n"


def plus_minus(value: float | None, error: float | None) -> str:
    """ "62.1 ± 3.2", without what is not known."""
    if value is None or np.isnan(value):
        return "–"
    return f"{value:.1f}" + ("" if error is None or np.isnan(error) else f" ± {error:.1f}")


def save(report: dict, path: str | Path, provenance: dict) -> None:
    """Write a report as JSON with how it was made: `provenance` (data, recipe), and the command, the backend, versions."""
    backend = keras.config.backend()
    versions = {name: version(name) for name in ("safbage", "keras", backend, "numpy", "pandas", "scipy")}
    words = [word if not Path(word).is_absolute() else Path(word).name for word in sys.argv]  # of whole paths the last part
    made = provenance | {"command": " ".join(words), "backend": backend, "versions": versions}
    text = json.dumps(report | {"provenance": made}, indent=1, default=str, allow_nan=False)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda aside: aside.write_text(text + "\n"))


def saved(folder: str | Path | None = None) -> dict[str, dict]:
    """The reports that `save` wrote into a folder, by their files' names; none where the folder is missing.

    By default the project's own, in `RESULTS`.
    """
    reports = {path.stem: read_json(path, dict) for path in sorted(Path(folder or RESULTS).glob("*.json"))}
    return {name: report for name, report in reports.items() if {"task", "arms", "verdict"} <= set(report)}
