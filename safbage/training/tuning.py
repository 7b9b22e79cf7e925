"""One fine-tuning, from prepared faces to answers to unseen ones (section 3.3), epoch by epoch."""

import gc
import logging
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from safbage import classifiers
from safbage.datasets.shards import Prepared
from safbage.errors import WorkError
from safbage.evaluation import scores
from safbage.reweighting import RATIO, VERSION, check_mode, check_ratio
from safbage.runtime import weights
from safbage.runtime.ahead import ahead
from safbage.runtime.backend import keras, tensorflow
from safbage.runtime.epochs import EpochLog
from safbage.runtime.work import check_settings, resuming
from safbage.tasks import CLASSES
from safbage.training.division import choose, fingerprint
from safbage.training.features import Images, answers, cached
from safbage.training.momentum import Momentum
from safbage.training.outcome import (
    FineTuned,
    drop_checkpoints,
    open_trained,
    table_of_answers,
    write,
)
from safbage.training.recipes import RECIPES, Recipe, first_layer

logger = logging.getLogger(__name__)


def fine_tune(
    prepared: Prepared,
    task: str,
    *,
    work: str | Path,
    network: str = "alexnet",
    ratio: float = RATIO,
    mode: str = "blend",
    recipe: Recipe | None = None,
    fold: int | None = None,
    seed: int = 0,
    imagenet: bool = True,
    limit: int | None = None,
    cache: bool | str | Path = True,
    progress: bool = True,
) -> FineTuned:
    """Train a network on prepared faces, and let it answer those of the test fold.

    Ratio 0 is the arm without saliency, and differs in nothing else: initial weights, splits and
    order of batches follow from the other arguments alone.

    Args:
        prepared: faces, maps and labels.
        task: "age" (eight groups), "gender" or "expression".
        work: a folder for checkpoints and results. Killed, the same call goes on after the last
            whole epoch, and on a CPU ends with the same weights; finished, it returns what lies
            there.
        network: one of `tasks.NETWORKS`.
        ratio: of the reweighting, 0–1.
        mode: of the reweighting, one of `reweighting.MODES`.
        recipe: the paper's by default, `RECIPES[task]`.
        fold: the fold to be tested: one of the table's own, or where it has none or only one, of
            five drawn by subject. A tenth of the others' subjects validates. None: the table's
            split.
        seed: of initial weights, dropout and order; never of splits.
        imagenet: start from what ImageNet weights there are.
        limit: use only so many labelled faces, drawn once for all ratios and seeds.
        cache: keep the frozen layers' features on disk: True in ``features`` in the prepared
            folder, a path elsewhere; False runs the whole network on every image in every epoch
            (slow; to compare).
        progress: show bars.

    Raises:
        ValueError: an unknown task, network, mode or fold, a ratio beyond 0–1, or a layer where the
            network cannot be cut.
        DatasetError: no such labels; a split without faces, or two with the same subject or
            picture; a class that no training face has.
        WorkError: the folder was begun with other settings, the loss is not a number, or the disk
            is full.
        WeightsError: ImageNet weights are missing and cannot be fetched.
    """
    faces = choose(prepared, task, fold, limit)
    recipe, work, ratio = recipe or RECIPES[task], Path(work), check_ratio(ratio)
    layer = first_layer(recipe, network, task)
    start = classifiers.imagenet_weights(network) if imagenet else classifiers.ImagenetWeights({})
    settings = asdict(recipe) | {
        "task": task, "network": network, "train_from": layer,
        "ratio": ratio, "mode": check_mode(mode), "formula": VERSION, "fold": fold, "seed": seed,
        "imagenet": imagenet, "imagenet_weights": str(start),
        "faces": fingerprint(faces.table, faces.codes, faces.parts),
        "prepared": prepared.provenance, "shards": prepared.digest[:16],
        "cached": bool(cache), "precision": keras.config.dtype_policy().name,
        "backend": keras.config.backend(),
    }  # fmt: skip
    check_settings(work, settings)
    finished = work / "metrics.json"
    if not finished.exists():
        with resuming(work, settings):
            if not finished.exists():  # else the process that was waited for has done it
                cache = prepared.folder / "features" if cache is True else cache
                kept = np.arange(len(prepared)) if limit is None else faces.chosen
                images = Images(prepared, recipe.variants, ratio, mode)
                _run(images, faces, kept, start, settings, recipe, work, cache, progress)
                gc.collect()  # a model lies in cycles, and Python knows nothing of its size
    drop_checkpoints(work)
    return open_trained(work)


def _run(images, faces, kept, start, settings, recipe, work, cache, progress):
    """The training itself, from the ImageNet weights `start`, and its results into `work`.

    Features are kept of the rows `kept`, in the folder `cache` if there is one.
    """
    network, first = settings["network"], settings["train_from"]
    classes, seed = CLASSES[settings["task"]], settings["seed"]
    keras.utils.set_random_seed(seed)
    model = classifiers.classifier(network, len(classes), dropout=recipe.dropout, imagenet=False)
    weights.assign(model, start.tensors)
    below, above = cut(model, first)
    layers = _origins(model, below, above, start)
    if layers["frozen_at_random"]:
        names = ", ".join(layers["frozen_at_random"])
        logger.warning(
            "%s: %s stay frozen as initialised at random: no ImageNet weights", network, names
        )
    inputs, trained = images, model
    if cache:
        features = cached(images, kept, below, f"{network} below {first}", Path(cache), progress)
        inputs, trained = features, above
    log = train(trained, inputs, faces.codes, faces.parts, recipe, work, seed, progress)
    log.load(trained, log.best)
    rows = faces.parts["test"]
    table, codes = faces.table.iloc[rows], faces.codes[rows]
    answered = answers(trained, inputs, rows)
    predictions = table_of_answers(table, codes, answered, classes, settings["fold"])
    unlike = {*layers["frozen_at_random"], *(layer.name for layer in above.layers)}
    head = weights.tensors_of(layer for layer in model.layers if layer.name in unlike)
    write(work, log, head, predictions, layers | {"settings": settings})


def _origins(model, below, above, start):
    """Names of the layers that come from ImageNet, are frozen at random, and are trained."""
    known = start.layers
    frozen = [layer.name for layer in below.layers if layer.weights] if below else []
    return {
        "imagenet_layers": [layer.name for layer in model.layers if layer.name in known],
        "frozen_at_random": [name for name in frozen if name not in known],
        "trained_layers": [layer.name for layer in above.layers if layer.trainable_weights],
    }


# --- training -------------------------------------------------------------------------------------


def cut(model: keras.Model, first: str) -> tuple[keras.Model | None, keras.Model]:
    """Freeze a network below its layer `first`, and cut it there.

    Where nothing below has weights: (None, the whole).
    """
    classifiers.freeze_below(model, first)
    below, above = classifiers.split_at(model, first)
    if not any(layer.weights for layer in below.layers):
        return None, model
    for layer in below.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0  # frozen layers answer the same in every epoch, cached or not
    return below, above


def prepare_to_train(model: keras.Model, recipe: Recipe) -> None:
    """Compile with the recipe's loss and optimizer.

    On a CPU, TensorFlow trains without XLA, which copies all weights in every step and took three
    times as long.
    """
    xla = "auto"
    if keras.config.backend() == "tensorflow" and not tensorflow().config.list_physical_devices(
        "GPU"
    ):
        xla = False
    optimizer = Momentum(recipe.rate, momentum=recipe.momentum)
    model.compile(optimizer, loss="sparse_categorical_crossentropy", jit_compile=xla)
    model.optimizer.build(model.trainable_variables)


def class_weights(codes: np.ndarray) -> np.ndarray:
    """Mean count / count of each class 0, 1, …, so that each weighs the same in sum."""
    counts = np.bincount(codes)
    return (counts.mean() / counts).astype("float32")


def batches(
    rows: np.ndarray, variants: int, batch: int, seed: int, epoch: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """An epoch's batches (rows, numbers of variants), every variant of every row once.

    Seed and epoch decide the order.
    """
    order = np.random.default_rng((seed, epoch)).permutation(len(rows) * variants)
    for i in range(0, len(order), batch):
        row, number = np.divmod(np.sort(order[i : i + batch]), variants)
        yield rows[row], number


def run_epoch(
    model, inputs, codes, rows, recipe: Recipe, seed: int, epoch: int, *, bar: tqdm | None = None
) -> float:
    """Train one epoch (counted from 0) on some rows; gives the mean loss of its pictures.

    A progress bar moves on by one with each step.

    Raises:
        WorkError: the loss is not a number.
    """
    model.optimizer.learning_rate = recipe.rate_in(epoch)
    _seed_dropouts(model, seed, epoch)
    weight = class_weights(codes[rows]) if recipe.class_weighted else None
    order = list(batches(rows, len(recipe.variants), recipe.batch, seed, epoch))
    made = ahead(lambda batch: (batch[0], inputs(*batch)), order, threads=1, limit=1)
    losses = []
    with closing(made):
        for these, x in made:
            y = codes[these]
            shares = None if weight is None else weight[y]
            model.reset_metrics()  # else TensorFlow would tell the mean since the epoch began
            loss = float(model.train_on_batch(x, y, sample_weight=shares))
            if not np.isfinite(loss):
                raise WorkError(
                    f"the loss became {loss} in epoch {epoch + 1}: "
                    f"try a smaller learning rate than {recipe.rate}"
                )
            losses.append(loss)
            if bar is not None:
                bar.update()
    return float(np.average(losses, weights=[len(rows) for rows, _ in order]))


def _seed_dropouts(model, seed, epoch):
    """Let dropout follow from seed and epoch alone, however often the training was killed."""
    whole = np.random.default_rng((seed, epoch)).integers(2**31)
    keras.utils.set_random_seed(int(whole))  # PyTorch's dropout knows no other
    dropouts = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    for i, layer in enumerate(layer for layer in dropouts if layer.rate):
        own = np.random.default_rng((seed, epoch, i)).integers(2**31, size=2)
        layer.seed_generator.state.assign(own)


def train(
    model, inputs, codes, parts, recipe: Recipe, work: Path, seed: int, progress: bool
) -> EpochLog:
    """All epochs, each kept in `work`; the log's best epoch is the recipe's to keep."""
    prepare_to_train(model, recipe)
    log = EpochLog(work, lambda row: row["epoch"] if recipe.keep == "last" else row["mean_recall"])
    log.resume(model)
    truth = codes[parts["validation"]]
    begun, steps = len(log.rows), -(-len(parts["train"]) * len(recipe.variants) // recipe.batch)
    shown = dict(total=recipe.epochs * steps, initial=begun * steps, disable=not progress)
    with tqdm(desc=f"{recipe.epochs} epochs", **shown) as bar:
        for epoch in range(begun, recipe.epochs):
            start = time.perf_counter()
            bar.set_description(f"epoch {epoch + 1} of {recipe.epochs}")
            loss = run_epoch(model, inputs, codes, parts["train"], recipe, seed, epoch, bar=bar)
            answered = answers(model, inputs, parts["validation"]).argmax(axis=1)
            row = {
                "epoch": epoch + 1,
                "rate": recipe.rate_in(epoch),
                "loss": loss,
                **scores(truth, answered),
            }
            log.add(model, row | {"seconds": time.perf_counter() - start})
            bar.set_postfix(
                loss=f"{loss:.3f}",
                accuracy=f"{row['accuracy']:.3f}",
                mean_recall=f"{row['mean_recall']:.3f}",
            )
    return log
