"""The paper at the push of a button: data sets prepared, every arm trained, tested and compared.

    comparisons = reproduce("outputs/reproduction", "laptop", data_dir="/data")
    print(*show.words.verdicts(comparisons["gender"]))

All that takes long lies in the output folder, and a killed run goes on there. `show.html.write`
makes one page of it.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from safbage import datasets
from safbage.classifiers import imagenet_weights
from safbage.datasets import catalogue, preparation
from safbage.datasets.shards import Prepared
from safbage.errors import DatasetError
from safbage.experiments import arms, claims
from safbage.experiments.arms import Arm
from safbage.experiments.comparison import Comparison, compare, load, save
from safbage.runtime import backend
from safbage.runtime.backend import keras
from safbage.runtime.files import damaged, read_json, write_whole
from safbage.runtime.work import locked
from safbage.tasks import LABELS, RATIO
from safbage.training import RECIPES


@dataclass(frozen=True)
class Experiment:
    """One question that the paper asks.

    Attributes:
        title: of its part of the report.
        task: "age", "gender" or "expression".
        where: its place in the paper.
        varied: what differs between its arms: "saliency" (without, and with it at 30 %), "ratio",
            or "network" (each without and with saliency).
    """

    title: str
    task: str
    where: str
    varied: str = "saliency"


EXPERIMENTS = {
    "gender": Experiment("Gender, with and without saliency", "gender", "Table 3"),
    "age": Experiment("Age, with and without saliency", "age", "Tables 2 and 4"),
    "expression": Experiment(
        "Expression, with and without saliency", "expression", "Tables 5 and 6"
    ),
    "ratios": Experiment("How much saliency: the ratio", "gender", "Figure 3", "ratio"),
    "networks": Experiment("Other networks", "gender", "Section 4.3", "network"),
}
"""By the names of their results."""


@dataclass(frozen=True)
class Scale:
    """How much is done.

    Attributes:
        sets: data sets by task.
        pictures: by task, how many of its set are drawn at random and prepared; by default all.
        epochs: by task; by default the paper's.
        faces: by experiment, how many labelled faces it uses; by default all that are prepared.
        network: of all experiments but the one on networks.
        networks: of that one.
        ratios: of the experiment on ratios.
        clips: further arms of that one: faces whose pixels below this saliency are black.
        plain_loss: a further arm of the experiment on expression: all faces weigh the same.
        seeds: every arm is trained in every fold with each.
        folds: how many are tested.
        saliency: "mlnet", or "light" (see `saliency.load`).
        imagenet: start from what ImageNet weights there are.
    """

    sets: Mapping[str, str]
    pictures: Mapping[str, int] = field(default_factory=dict)
    epochs: Mapping[str, int] = field(default_factory=dict)
    faces: Mapping[str, int] = field(default_factory=dict)
    network: str = "alexnet"
    networks: tuple[str, ...] = ("alexnet", "gilnet", "vgg16")
    ratios: tuple[float, ...] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
    clips: tuple[float, ...] = ()
    plain_loss: bool = False
    seeds: tuple[int, ...] = (0,)
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
        clips=(0.3,),
        plain_loss=True,
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
    "workstation": Scale(
        sets={"age": "utkface", "gender": "utkface", "expression": "fer2013"},
        epochs={"age": 8, "gender": 8, "expression": 15},
        faces={"ratios": 4000, "networks": 2000},
        networks=("alexnet", "gilnet", "vgg16", "efficientnet-lite2"),
        clips=(0.3,),
        plain_loss=True,
        seeds=(0, 1, 2),
    ),
    "full": Scale(
        sets={"age": "adience", "gender": "adience", "expression": "affectnet"},
        networks=(
            "alexnet",
            "alexnet-caffe",
            "gilnet",
            "vgg16",
            "resnet50",
            "densenet121",
            "efficientnet-lite2",
        ),
        clips=(0.3,),
        plain_loss=True,
        seeds=(0, 1, 2),
    ),
}
"""``smoke`` shows in minutes, on drawn faces, that all works; ``laptop`` takes some two hours
without an accelerator; ``workstation`` takes the faces of free sets, with three seeds, for a GPU or
for days; ``full`` is the paper's protocol, for a GPU."""
DRAWN = {"pictures_per_subject": 2}
"""How faces are drawn, where they are."""
MANY = 10_000
"""Faces that are drawn where a scale has no number of pictures."""


def reproduce(
    output: str | Path,
    scale: str | Scale = "laptop",
    *,
    only: Sequence[str] = (),
    sets: Sequence[str] = (),
    networks: Sequence[str] = (),
    seeds: int | None = None,
    data_dir: str | Path | None = None,
    precision: str = "float32",
    cache: bool | str | Path = True,
    workers: int = 1,
    scheduler: str | None = None,
    progress: bool = True,
    verdicts: Callable[[Comparison], Sequence[str]] | None = None,
) -> dict[str, Comparison]:
    """Run all of the paper's experiments, and keep what each comes to in ``results/<name>.json``.

    Args:
        output: folder for all of it: ``prepared``, ``work``, ``results`` and ``timings.json``.
            After a kill the same call goes on.
        scale: a name of `SCALES`, or one of your own.
        only: names of `EXPERIMENTS` that are run; all by default.
        sets: data sets in place of the scale's, by name or as folders that `preparation` filled:
            each task takes the first that has labels for it. A task for which none has labels is
            left out.
        networks: of the experiment on networks, in place of the scale's.
        seeds: how many, 0, 1 and so on, in place of the scale's.
        data_dir: where the data sets lie; by default where SAFBAGE_DATA says.
        precision: Keras dtype policy; mixed_bfloat16 is faster where the hardware has it.
        cache: where the frozen layers' features are kept, as `training.fine_tune` takes it.
        workers: processes on this machine.
        scheduler: address of a Dask scheduler whose workers do it instead; they see the output
            folder.
        progress: show bars.
        verdicts: what says a comparison in sentences for its file, such as `show.words.verdicts`.

    Returns:
        By experiment what `compare` returns, with `experiment` (title, where, varied) and
        `provenance`.

    Raises:
        ValueError: an unknown scale, experiment or network, or no seed.
        DatasetError: a data set is unknown or not found, or none has labels for any task.
        WeightsError: ImageNet weights of a network are missing and cannot be fetched; nothing has
            run yet.
        As `preparation.prepare` and `training.fine_tune`.
    """
    name, scale = _scale(scale, networks, seeds)
    wanted = _experiments(only)
    output = Path(output)
    cluster = dict(workers=workers, scheduler=scheduler, progress=progress)
    with backend.precision(precision):
        _fetch_imagenet(scale, wanted.values())
        with locked(output, wait=True):  # the second of two finds all made
            asked = {experiment.task for experiment in wanted.values()}
            tasks = [task for task in LABELS if task in asked]
            found = _prepare(output, scale, tasks, sets, data_dir, cluster)
            wanted = {key: of for key, of in wanted.items() if of.task in found}
            jobs = [
                _Job(output, name, scale, key, *found[experiment.task], verdicts)
                for key, experiment in wanted.items()
            ]
            for job in jobs:  # what the last one would refuse is to be refused now
                job.check()
            return {job.key: job.run(cluster | {"cache": cache}) for job in jobs}


def _scale(scale, networks, seeds):
    """A scale's name, and the scale with these networks and so many seeds, if they are given."""
    if isinstance(scale, str) and scale not in SCALES:
        raise ValueError(f"scale is one of {', '.join(SCALES)}; got {scale!r}")
    if seeds is not None and seeds < 1:
        raise ValueError(f"seeds is at least 1; got {seeds}")
    name, found = (scale, SCALES[scale]) if isinstance(scale, str) else ("own", scale)
    if networks:
        found = replace(found, networks=tuple(networks))
    return name, found if seeds is None else replace(found, seeds=tuple(range(seeds)))


def _experiments(only):
    """Those that are asked for, in the order of `EXPERIMENTS`."""
    unknown = [key for key in only if key not in EXPERIMENTS]
    if unknown:
        raise ValueError(f"no experiment {unknown[0]!r}; there are {', '.join(EXPERIMENTS)}")
    return {key: found for key, found in EXPERIMENTS.items() if not only or key in only}


def _networks(scale, experiment):
    return scale.networks if experiment.varied == "network" else (scale.network,)


def _fetch_imagenet(scale, wanted):
    """An experiment that needs the internet is to fail now, not when all before it have run."""
    if scale.imagenet:
        for network in {network for one in wanted for network in _networks(scale, one)}:
            imagenet_weights(network)


def _prepare(output, scale, wanted, sets, data_dir, cluster):
    """By task the name of its set and the prepared faces."""
    chosen = {task: list(sets) if sets else [scale.sets[task]] for task in wanted}
    prepared, found = {}, {}
    for name in dict.fromkeys(name for names in chosen.values() for name in names):
        tasks = [task for task, names in chosen.items() if name in names and task not in found]
        if tasks:
            faces = prepared[name] = _prepare_set(output, scale, name, tasks, data_dir, cluster)
            labelled = [task for task in tasks if LABELS[task] in faces.table]
            found |= {task: (name, faces) for task in labelled if (faces.codes(task) >= 0).any()}
    if not found:
        raise DatasetError(f"{', '.join(prepared)}: no labels of age, gender or expression")
    return found


def _prepare_set(output, scale, name, tasks, data_dir, cluster):
    """A data set's faces: prepared before, or now."""
    if (Path(name) / "shards").is_dir():
        return Prepared(name)
    drawn, counts = name == "synthetic", [scale.pictures.get(task) for task in tasks]
    precision = keras.config.dtype_policy().name
    options = dict(catalogue.look_up(name).preparation)
    options |= {"saliency": scale.saliency, "precision": precision}
    with timed(output, f"prepare {name}"):
        return datasets.open_prepared(
            name,
            output / "prepared" / name,
            limit=max(counts) if None not in counts else MANY if drawn else None,
            data_dir=data_dir,
            options=preparation.Preparation(**options),
            reading=DRAWN if drawn else None,
            **cluster,
        )


@dataclass(frozen=True)
class _Job:
    """One experiment on the faces of one data set."""

    output: Path
    scale_name: str
    scale: Scale
    key: str
    data: str
    prepared: Prepared
    verdicts: Callable[[Comparison], Sequence[str]] | None

    @property
    def experiment(self):
        return EXPERIMENTS[self.key]

    def _options(self):
        """What `cross_validate` and `check` are told."""
        task, scale = self.experiment.task, self.scale
        recipe = RECIPES[task]
        if task in scale.epochs:
            recipe = replace(recipe, epochs=scale.epochs[task])
        options = {"networks": _networks(scale, self.experiment), "more": self._more_arms()}
        if self.experiment.varied == "ratio":
            options["ratios"] = scale.ratios
        source = catalogue.SOURCES.get(self.data)
        folds = None if source and source.whole_split else list(range(scale.folds))
        return options | dict(recipe=recipe, limit=scale.faces.get(self.key), folds=folds)

    def _more_arms(self):
        """Arms beyond every pair of a network and a ratio."""
        scale = self.scale
        if self.experiment.varied == "ratio":
            return [Arm(scale.network, clip, "clip") for clip in scale.clips]
        if self.key == "expression" and scale.plain_loss:
            return [Arm(scale.network, RATIO, loss="plain")]
        return []

    def check(self):
        """Refuse what would be refused in the middle of the run."""
        arms.check(self.prepared, self.experiment.task, **self._options())

    def run(self, how):
        """Train, compare, and keep the comparison as JSON."""
        experiment, scale = self.experiment, self.scale
        options = self._options() | {"imagenet": scale.imagenet, "seeds": scale.seeds}
        work = self.output / "work" / self.key
        with timed(self.output, self.key):
            runs = arms.cross_validate(self.prepared, experiment.task, work=work, **options, **how)
            comparison = compare(runs, experiment.task)
            measured = claims.measure(runs, comparison)
            if experiment.varied == "ratio":
                shown = dict.fromkeys((RATIO, max(scale.ratios)))
                measured += claims.variance(self.prepared, shown)
        about = {name: getattr(experiment, name) for name in ("title", "where", "varied")}
        comparison = replace(comparison, experiment=about, claims=measured)
        provenance = {"data": Path(self.data).name, "scale": self.scale_name}
        provenance |= {"faces": len(self.prepared), "prepared": self.prepared.provenance}
        provenance |= options | {"recipe": asdict(options["recipe"]), "seeds": scale.seeds}
        provenance["precision"] = keras.config.dtype_policy().name
        provenance["seconds"] = timings(self.output)[self.key]
        path = self.output / "results" / f"{self.key}.json"
        verdict = self.verdicts(comparison) if self.verdicts else ()
        save(comparison, path, provenance, verdict=verdict)
        return load(path)


# --- time -----------------------------------------------------------------------------------------


def timings(output: str | Path) -> dict[str, float]:
    """Seconds by stage that a reproduction took so far, in all its calls.

    Raises:
        WorkError: their file is damaged.
    """
    path = Path(output) / "timings.json"
    table = read_json(path, dict) if path.exists() else {}
    if not all(isinstance(seconds, int | float) for seconds in table.values()):
        raise damaged(path, "a time is not a number")
    return table


@contextmanager
def timed(output: Path, stage: str):
    """Add the time that a block takes to a stage's, also where the block is broken off."""
    start = time.perf_counter()
    try:
        yield
    finally:
        table = timings(output)
        table[stage] = round(table.get(stage, 0) + time.perf_counter() - start, 1)
        write_whole(
            output / "timings.json", lambda aside: aside.write_text(json.dumps(table, indent=1))
        )
