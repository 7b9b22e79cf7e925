"""One fine-tuning from prepared faces to a table of answers to unseen ones (section IV-B), resumable after every epoch."""

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from safbage import classifiers
from safbage.classifiers.imagenet import describe
from safbage.datasets.shards import Prepared
from safbage.errors import WorkError
from safbage.reweighting import RATIO, check_ratio
from safbage.runtime import parallel
from safbage.runtime.backend import keras, tensorflow
from safbage.runtime.epochs import EpochLog
from safbage.runtime.work import check_settings, resuming
from safbage.tasks import CLASSES
from safbage.training.division import choose, fingerprint
from safbage.training.features import Images, answers, cached
from safbage.training.momentum import Momentum
from safbage.training.outcome import FineTuned, drop_checkpoints, open_trained, predictions_of, scores, tensors_of, write
from safbage.training.recipes import RECIPES, Recipe

logger = logging.getLogger(__name__)


def fine_tune(
    prepared: Prepared,
    task: str,
    *,
    work: str | Path,
    network: str = "alexnet",
    ratio: float = RATIO,
    recipe: Recipe | None = None,
    fold: int | None = None,
    seed: int = 0,
    imagenet: bool = True,
    limit: int | None = None,
    cache: bool | str | Path = True,
    progress: bool = True,
) -> FineTuned:
    """Train a network on prepared faces, and let it answer those of the test fold.

    Ratio 0 is the arm without saliency, and differs in nothing else: initial weights, splits and order of batches follow from
    the other arguments alone.

    Args:
        prepared: faces, maps and labels.
        task: "age" (eight groups), "gender" or "expression".
        work: a folder for checkpoints and results. Killed, the same call goes on after the last whole epoch, and on a CPU ends
            with the same weights; finished, it returns what lies there.
        network: a key of `classifiers.NETWORKS`.
        ratio: of the reweighting, 0–1.
        recipe: the paper's by default, `RECIPES[task]`.
        fold: the fold to be tested: one of the table's own, or where it has none or only one, of five drawn by subject. Of the
            others' subjects a tenth validates. None: the table's split.
        seed: of initial weights, dropout and order; never of splits.
        imagenet: start from what ImageNet weights there are.
        limit: use only so many labelled faces, drawn once for all ratios and seeds.
        cache: keep the frozen layers' features on disk: True in ``features`` in the prepared folder, a path elsewhere;
            False runs the whole network on every image in every epoch (slow; to compare).
        progress: show bars.

    Raises:
        ValueError: an unknown task, network or fold, a ratio beyond 0–1, or a layer where the network cannot be cut.
        DatasetError: no such labels; a split without faces, or two with the same subject or picture; a class that no training
            face has.
        WorkError: the folder was begun with other settings, the loss is no number, or the disk is full.
        WeightsError: ImageNet weights are missing and cannot be fetched.
    """
    faces = choose(prepared, task, fold, limit)
    recipe, work, ratio = recipe or RECIPES[task], Path(work), check_ratio(ratio)
    settings = asdict(recipe) | {
        "task": task, "network": network, "train_from": recipe.first_layer(network), "ratio": ratio, "fold": fold, "seed": seed,
        "imagenet": imagenet, "imagenet_weights": describe(network) if imagenet else None,
        "faces": fingerprint(faces.table, faces.codes, faces.parts),
        "prepared": prepared.provenance, "shards": prepared.digest[:16],
        "cached": bool(cache), "precision": keras.config.dtype_policy().name, "backend": keras.config.backend(),
    }  # fmt: skip
    check_settings(work, settings)
    finished = work / "metrics.json"
    if not finished.exists():
        with resuming(work, settings):
            if not finished.exists():  # else the process that was waited for has done it
                cache = prepared.folder / "features" if cache is True else cache
                kept = np.arange(len(prepared)) if limit is None else faces.chosen
                _run(Images(prepared, recipe.variants, ratio), faces, kept, settings, recipe, work, cache, progress)
    drop_checkpoints(work)
    return open_trained(work)


def _run(images, faces, kept, settings, recipe, work, cache, progress):
    """The training itself, and its results into `work`; features are kept of the rows `kept`, in the folder `cache` if any."""
    network, first, classes = settings["network"], settings["train_from"], CLASSES[settings["task"]]
    keras.utils.set_random_seed(settings["seed"])
    model = classifiers.classifier(network, len(classes), dropout=recipe.dropout, imagenet=settings["imagenet"])
    below, above = cut(model, first)
    at_random = [layer.name for layer in below.layers if layer.weights and layer.name not in model.pretrained] if below else []
    if at_random:
        logger.warning("%s: %s stay frozen as initialised at random: no ImageNet weights", network, ", ".join(at_random))
    made_of = {
        "imagenet_layers": list(model.pretrained),
        "frozen_at_random": at_random,
        "trained_layers": [layer.name for layer in above.layers if layer.trainable_weights],
    }
    inputs, trained = images, model
    if cache:
        inputs, trained = cached(images, kept, below, f"{network} below {first}", Path(cache), progress), above
    log = train(trained, inputs, faces.codes, faces.parts, recipe, work, settings["seed"], progress)
    log.load(trained, log.best)
    rows = faces.parts["test"]
    answered = answers(trained, inputs, rows)
    predictions = predictions_of(faces.table.iloc[rows], faces.codes[rows], answered, classes, settings["fold"])
    tensors = tensors_of(model, [*at_random, *(layer.name for layer in above.layers)])
    write(work, log, tensors, predictions, made_of | {"settings": settings})


# --- training ----------------------------------------------------------------------------------------------------------


def cut(model: keras.Model, first: str) -> tuple[keras.Model | None, keras.Model]:
    """Freeze a network below its layer `first`, and part it there; (None, the whole) where nothing below has weights."""
    classifiers.freeze_below(model, first)
    below, above = classifiers.split_at(model, first)
    if not any(layer.weights for layer in below.layers):
        return None, model
    for layer in below.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0  # frozen layers answer the same in every epoch, also where they are not cached
    return below, above


def prepare_to_train(model: keras.Model, recipe: Recipe) -> None:
    """Compile with the recipe's loss and optimizer.

    On a CPU, TensorFlow trains without XLA, which copies all weights in every step and took three times as long.
    """
    cpu = keras.config.backend() == "tensorflow" and not tensorflow().config.list_physical_devices("GPU")
    optimizer = Momentum(recipe.rate, momentum=recipe.momentum)
    model.compile(optimizer, loss="sparse_categorical_crossentropy", jit_compile=False if cpu else "auto")
    model.optimizer.build(model.trainable_variables)


def class_weights(codes: np.ndarray) -> np.ndarray:
    """Mean count / count of each class 0, 1, …, so that each weighs the same in sum."""
    counts = np.bincount(codes)
    return (counts.mean() / counts).astype("float32")


def batches(rows: np.ndarray, variants: int, batch: int, seed: int, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """An epoch's batches (rows, numbers of variants): every variant of every row once, in an order that seed and epoch decide."""
    order = np.random.default_rng((seed, epoch)).permutation(len(rows) * variants)
    for i in range(0, len(order), batch):
        row, number = np.divmod(np.sort(order[i : i + batch]), variants)
        yield rows[row], number


def run_epoch(model, inputs, codes, rows, recipe: Recipe, seed: int, epoch: int, *, progress: bool = False) -> float:
    """Train one epoch (counted from 0) on some rows; the mean loss. WorkError as soon as that is no number."""
    model.optimizer.learning_rate = recipe.rate_in(epoch)
    keras.utils.set_random_seed(int(np.random.default_rng((seed, epoch)).integers(2**31)))  # PyTorch's dropout knows no other
    dropouts = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout) and layer.rate]
    for i, layer in enumerate(dropouts):
        layer.seed_generator.state.assign(np.random.default_rng((seed, epoch, i)).integers(2**31, size=2))
    model.reset_metrics()
    weight = class_weights(codes[rows]) if recipe.class_weighted else None
    order = list(batches(rows, len(recipe.variants), recipe.batch, seed, epoch))
    made = parallel.ahead(lambda batch: (batch[0], inputs(*batch)), order, threads=1, limit=1)
    with closing(made):
        for these, x in tqdm(made, f"epoch {epoch + 1}", len(order), leave=False, disable=not progress):
            y = codes[these]
            loss = float(model.train_on_batch(x, y, sample_weight=None if weight is None else weight[y]))
            if not np.isfinite(loss):
                raise WorkError(f"the loss became {loss} in epoch {epoch + 1}: try a smaller learning rate than {recipe.rate}")
    return loss  # Keras's mean since the epoch began


def train(model, inputs, codes, parts, recipe: Recipe, work: Path, seed: int, progress: bool) -> EpochLog:
    """All epochs, each kept in `work`; the log's best epoch is the recipe's to keep."""
    prepare_to_train(model, recipe)
    log = EpochLog(work, lambda row: row["epoch"] if recipe.keep == "last" else row["mean_recall"])
    log.resume(model)
    truth = codes[parts["validation"]]
    epochs = tqdm(range(len(log.rows), recipe.epochs), "epochs", recipe.epochs, initial=len(log.rows), disable=not progress)
    for epoch in epochs:
        start = time.perf_counter()
        loss = run_epoch(model, inputs, codes, parts["train"], recipe, seed, epoch, progress=progress)
        answered = answers(model, inputs, parts["validation"]).argmax(axis=1)
        row = {"epoch": epoch + 1, "rate": recipe.rate_in(epoch), "loss": loss, **scores(truth, answered)}
        log.add(model, row | {"seconds": time.perf_counter() - start})
        epochs.set_postfix(loss=f"{loss:.3f}", accuracy=f"{row['accuracy']:.3f}", mean_recall=f"{row['mean_recall']:.3f}")
    return log
