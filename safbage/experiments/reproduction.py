"""The paper at the push of a button: data sets prepared, every arm trained and tested, every table and figure beside the paper's.

    reports = reproduce("outputs/reproduction", "laptop", data_dir="/data")
    print(reports["gender"]["verdict"])

All that takes long lies in the output folder, and a killed run goes on there. `html.write` makes one page of it.
"""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from safbage import datasets, experiments
from safbage.classifiers import imagenet
from safbage.datasets import preparation
from safbage.datasets.shards import Prepared
from safbage.errors import DatasetError
from safbage.runtime.backend import keras
from safbage.runtime.files import damaged, read_json, write_whole
from safbage.runtime.work import locked
from safbage.tasks import LABELS
from safbage.training import RECIPES


@dataclass(frozen=True)
class Experiment:
    """One question that the paper asks.

    Attributes:
        title: of its part of the report.
        task: "age", "gender" or "expression".
        where: in the paper.
        varied: what differs between its arms: "saliency" (without, and with it at 30 %), "ratio", or "network" (each without
            and with saliency).
    """

    title: str
    task: str
    where: str
    varied: str = "saliency"


EXPERIMENTS = {
    "gender": Experiment("Gender, with and without saliency", "gender", "The headline results"),
    "age": Experiment("Age, with and without saliency", "age", "Tables 2 and 4"),
    "expression": Experiment("Expression, with and without saliency", "expression", "The headline results and Table 5"),
    "ratios": Experiment("How much saliency: the ratio", "gender", "Figure 3", "ratio"),
    "networks": Experiment("Other networks", "gender", "Section IV-C", "network"),
}
"""By the names of their results. Which of the paper's numbers stands in which table is told as far as `paper` knows it."""


@dataclass(frozen=True)
class Scale:
    """How much is done.

    Attributes:
        sets: data set by task.
        pictures: how many are drawn from a task's set and prepared; all where it is not named.
        epochs: by task; the paper's where it is not named.
        faces: by experiment, how many labelled faces it uses; all prepared ones where it is not named.
        network: of all experiments but the one on networks.
        networks: of that one.
        ratios: of the experiment on ratios.
        folds: how many are tested.
        saliency: "mlnet", or "light" (see `mlnet.load`).
        imagenet: start from what ImageNet weights there are.
    """

    sets: Mapping[str, str]
    pictures: Mapping[str, int] = field(default_factory=dict)
    epochs: Mapping[str, int] = field(default_factory=dict)
    faces: Mapping[str, int] = field(default_factory=dict)
    network: str = "alexnet"
    networks: tuple[str, ...] = ("alexnet", "gilnet", "vgg16")
    ratios: tuple[float, ...] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
    folds: int = 5
    saliency: str = "mlnet"
    imagenet: bool = True


SCALES = {
    "smoke": Scale(
        sets=dict.fromkeys(LABELS, "synthetic"),
        pictures=dict.fromkeys(LABELS, 120),
        epochs=dict.fromkeys(LABELS, 2),
        faces={"networks": 40},  # GilNet is trained whole
        network="alexnet-gap",
        networks=("alexnet-gap", "gilnet"),
        ratios=(0.0, 0.3, 0.9),
        folds=2,
        saliency="light",
    ),
    "laptop": Scale(
        sets={"age": "utkface", "gender": "utkface", "expression": "fer2013"},
        pictures={"age": 4500, "gender": 4500, "expression": 3500},
        epochs={"age": 3, "gender": 3, "expression": 4},
        faces={"expression": 2500, "ratios": 600, "networks": 120},
        networks=("alexnet", "gilnet", "vgg16", "efficientnet-lite2"),
        saliency="light",
    ),
    "full": Scale(
        sets={"age": "adience", "gender": "adience", "expression": "affectnet"},
        networks=("alexnet", "alexnet-caffe", "gilnet", "vgg16", "resnet50", "densenet121", "efficientnet-lite2"),
    ),
}
"""``smoke`` shows in minutes, on drawn faces, that all works; ``laptop`` takes some two hours without any accelerator;
``full`` is the paper's protocol, for a GPU."""

PREPARATION = {
    "synthetic": {"detect": "box"},  # the painter knows where it painted
    "fer2013": {"without_face": "whole", "min_face": 0.4},  # 48×48 pixels, nothing but face
    "ferplus": {"without_face": "whole", "min_face": 0.4},
    "rafdb": {"without_face": "whole", "min_face": 0.4},  # aligned, with next to no margin
}
"""Options of `preparation` that a data set needs."""
WHOLE_SPLIT = ("affectnet",)
"""Sets that the paper tests by one split instead of folds."""


def reproduce(
    output: str | Path,
    scale: str | Scale = "laptop",
    *,
    only: Sequence[str] = (),
    sets: Sequence[str] = (),
    data_dir: str | Path | None = None,
    precision: str = "float32",
    cache: bool | str | Path = True,
    workers: int = 1,
    scheduler: str | None = None,
    progress: bool = True,
) -> dict[str, dict]:
    """Run all of the paper's experiments, and keep what each comes to in ``results/<name>.json``.

    Args:
        output: folder for all of it: ``prepared``, ``work``, ``results`` and ``timings.json``. Killed, the same call goes on.
        scale: a name of `SCALES`, or one of your own.
        only: names of `EXPERIMENTS` that are run; all by default.
        sets: data sets in place of the scale's, by name or as folders that `preparation` filled: each task takes the first that
            has labels for it, and one that none has labels for is left out.
        data_dir: where the data sets lie; by default where SAFBAGE_DATA says.
        precision: Keras dtype policy; mixed_bfloat16 is several times faster where the hardware has it.
        cache: where the frozen layers' features are kept, as `training.fine_tune` takes it.
        workers: processes on this machine.
        scheduler: address of a Dask scheduler whose workers do it instead; they see the output folder.
        progress: show bars.

    Returns:
        By experiment what `experiments.compare` returns, with `experiment` (title, task, where) and `provenance`.

    Raises:
        ValueError: an unknown scale or experiment.
        DatasetError: a data set is unknown or not found, or none has labels for any task.
        WeightsError: ImageNet weights of a network are missing and cannot be fetched; nothing has run yet.
        As `preparation.prepare` and `training.fine_tune`.
    """
    if isinstance(scale, str) and scale not in SCALES:
        raise ValueError(f"scale is one of {', '.join(SCALES)}; got {scale!r}")
    unknown = [key for key in only if key not in EXPERIMENTS]
    if unknown:
        raise ValueError(f"no experiment {unknown[0]!r}; there are {', '.join(EXPERIMENTS)}")
    wanted = {key: EXPERIMENTS[key] for key in EXPERIMENTS if not only or key in only}
    name, scale = (scale, SCALES[scale]) if isinstance(scale, str) else ("own", scale)
    output = Path(output)
    cluster = dict(workers=workers, scheduler=scheduler, progress=progress)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        _fetch_imagenet(scale, wanted.values())
        with locked(output, wait=True):  # the second of two finds all made
            tasks = [task for task in LABELS if task in {experiment.task for experiment in wanted.values()}]
            found = _prepare(output, scale, tasks, sets, data_dir, precision, cluster)
            wanted = {key: experiment for key, experiment in wanted.items() if experiment.task in found}
            for key, experiment in wanted.items():  # what the last one would refuse is to be refused now
                _check(scale, key, *found[experiment.task])
            how = cluster | {"cache": cache}
            return {key: _run(output, name, scale, key, *found[experiment.task], how) for key, experiment in wanted.items()}
    finally:
        keras.config.set_dtype_policy(before)


def _networks(scale, experiment):
    return scale.networks if experiment.varied == "network" else (scale.network,)


def _fetch_imagenet(scale, wanted):
    """Without the internet an experiment that needs it is to fail now, not when all before it have run."""
    if scale.imagenet:
        for network in dict.fromkeys(network for experiment in wanted for network in _networks(scale, experiment)):
            imagenet.describe(network)


def _prepare(output, scale, wanted, sets, data_dir, precision, cluster):
    """By task the name of its set and the prepared faces."""
    chosen = {task: list(sets) if sets else [scale.sets[task]] for task in wanted}
    prepared, found = {}, {}
    for name in dict.fromkeys(name for names in chosen.values() for name in names):
        tasks = [task for task, names in chosen.items() if name in names and task not in found]
        if tasks:
            prepared[name] = _prepared(output, scale, name, tasks, data_dir, precision, cluster)
            labelled = [task for task in tasks if LABELS[task] in prepared[name].table]
            found |= {task: (name, prepared[name]) for task in labelled if (prepared[name].codes(task) >= 0).any()}
    if not found:
        raise DatasetError(f"{', '.join(prepared)}: no labels of age, gender or expression")
    return found


def _prepared(output, scale, name, tasks, data_dir, precision, cluster):
    """A data set's faces: prepared before, or now."""
    if (Path(name) / "shards").is_dir():
        return Prepared(name)
    counts = [scale.pictures.get(task) for task in tasks]
    limit = None if None in counts else max(counts)
    folder = output / "prepared" / Path(name).name
    with timed(output, f"prepare {name}"):
        if name == "synthetic":
            table = datasets.synthetic(folder / "pictures", limit or 10_000, pictures_per_subject=2).faces
        else:
            where = datasets.find(name, data_dir)
            if where is None:
                looked = data_dir or "the folder that SAFBAGE_DATA names"
                raise DatasetError(f"no {name} in {looked}; name sets you have, or the scale smoke, which needs none")
            table = datasets.load(name, where).faces
            table = table if limit is None else table.sample(min(limit, len(table)), random_state=0)
        options = preparation.Preparation(**PREPARATION.get(name, {}), saliency=scale.saliency, precision=precision)
        preparation.prepare(table, folder, options, **cluster)
    return Prepared(folder)


def _chosen(scale, key, name):
    """What of an experiment `experiments.cross_validate` and `experiments.check` are told."""
    experiment = EXPERIMENTS[key]
    arms = dict(networks=_networks(scale, experiment)) | (dict(ratios=scale.ratios) if experiment.varied == "ratio" else {})
    recipe = RECIPES[experiment.task]
    if experiment.task in scale.epochs:
        recipe = replace(recipe, epochs=scale.epochs[experiment.task])
    return arms | dict(recipe=recipe, limit=scale.faces.get(key), folds=None if name in WHOLE_SPLIT else range(scale.folds))


def _check(scale, key, name, prepared):
    experiments.check(prepared, EXPERIMENTS[key].task, **_chosen(scale, key, name))


def _run(output, scale_name, scale, key, name, prepared, how):
    """One experiment: its trainings, its report, kept as JSON."""
    experiment = EXPERIMENTS[key]
    options = _chosen(scale, key, name) | {"imagenet": scale.imagenet}
    with timed(output, key):
        predictions = experiments.cross_validate(prepared, experiment.task, work=output / "work" / key, **options, **how)
        report = experiments.compare(predictions, experiment.task)
    report |= {"experiment": {"title": experiment.title, "where": experiment.where, "varied": experiment.varied}}
    provenance = {"data": Path(name).name, "scale": scale_name, "faces": len(prepared), "prepared": prepared.provenance}
    provenance |= options | {"precision": keras.config.dtype_policy().name, "seconds": timings(output)[key]}
    path = output / "results" / f"{key}.json"
    experiments.save(report, path, provenance)
    return json.loads(path.read_text(encoding="utf-8"))


# --- time ------------------------------------------------------------------------------------------------------------


def timings(output: str | Path) -> dict[str, float]:
    """Seconds by stage that a reproduction took so far, in all its calls. WorkError where their file is damaged."""
    path = Path(output) / "timings.json"
    table = read_json(path, dict) if path.exists() else {}
    if not all(isinstance(seconds, int | float) for seconds in table.values()):
        raise damaged(path, "a time is no number")
    return table


@contextmanager
def timed(output: Path, stage: str):
    """Add the time that a block takes, also where it is broken off, to a stage's."""
    start = time.perf_counter()
    try:
        yield
    finally:
        table = timings(output)
        table[stage] = round(table.get(stage, 0) + time.perf_counter() - start, 1)
        write_whole(output / "timings.json", lambda aside: aside.write_text(json.dumps(table, indent=1)))
