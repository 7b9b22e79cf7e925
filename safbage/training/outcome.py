"""What a fine-tuning leaves in its folder: history, answers, trained weights, metrics; and the way back from there."""

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from safbage import classifiers
from safbage.runtime import weights
from safbage.runtime.backend import keras, ops
from safbage.runtime.epochs import EpochLog
from safbage.runtime.files import damaged, read_json, write_whole
from safbage.runtime.weights import checkpoints
from safbage.tasks import CLASSES, GROUPS


@dataclass(frozen=True)
class FineTuned:
    """What a fine-tuning came to; all of it lies in `work`, too.

    Attributes:
        work: the folder; `load_trained` rebuilds the network from it.
        history: a row per epoch: `epoch`, `rate`, `loss` (of training, weighted as trained), `accuracy` and `mean_recall` on the
            validation faces, `seconds`.
        predictions: a row per test face: `image`, `row` (of the prepared table), `subject`, `fold`, `label`, `answer`,
            `p_<class>` …, and its known groups.
        metrics: `accuracy`, `mean_recall` and number of test `faces`, the `epoch` kept, and how it all was made.
    """

    work: Path
    history: pd.DataFrame
    predictions: pd.DataFrame
    metrics: dict


def scores(truth: np.ndarray, answered: np.ndarray) -> dict[str, float]:
    """Accuracy, and the mean recall of those classes that occur."""
    recalls = [float((answered[truth == label] == label).mean()) for label in np.unique(truth)]
    return {"accuracy": float((answered == truth).mean()), "mean_recall": float(np.mean(recalls))}


def predictions_of(
    faces: pd.DataFrame, codes: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...], fold: int | None
) -> pd.DataFrame:
    """The table of answers (see `FineTuned`) to rows of a table; without a fold, the table's own stands there."""
    names = np.array(classes)
    columns = {
        "image": faces.image.astype(str).to_numpy(),
        "row": faces.row.to_numpy(),
        "subject": faces.subject.astype("string").array,
        "fold": faces.fold.astype("Int8").to_numpy() if fold is None else np.full(len(faces), fold, "int8"),
        "label": names[codes],
        "answer": names[probabilities.argmax(axis=1)],
        **{f"p_{name}": probabilities[:, i] for i, name in enumerate(classes)},
        **{name: faces[name].to_numpy() for name in GROUPS if name in faces and faces[name].notna().any()},
    }
    return pd.DataFrame(columns)


def tensors_of(model: keras.Model, names) -> dict[str, np.ndarray]:
    """Weights of the layers of these names, as `weights.assign` takes them."""
    chosen = [layer for layer in model.layers if layer.name in set(names)]
    return {f"{layer.name}/{v.name}": ops.convert_to_numpy(v) for layer in chosen for v in layer.weights}


def write(work: Path, log: EpochLog, tensors: dict[str, np.ndarray], predictions: pd.DataFrame, made_of: dict) -> None:
    """Write the results; metrics.json last: where it is, all is."""
    head = {name: np.ascontiguousarray(value, "float16") for name, value in tensors.items()}
    settings = made_of["settings"]
    weights.save(head, work / "head.safetensors", {"description": f"{settings['network']} for {settings['task']}"})
    history = pd.DataFrame(log.rows)
    write_whole(work / "history.csv", lambda aside: history.to_csv(aside, index=False))
    write_whole(work / "predictions.parquet", lambda aside: predictions.to_parquet(aside, index=False))
    reached = scores(predictions.label.to_numpy(), predictions.answer.to_numpy())
    versions = {name: version(name) for name in ("safbage", "keras", "numpy", keras.config.backend())}
    metrics = {
        **reached,
        "faces": len(predictions),
        "epoch": log.best,
        "seconds": float(history.seconds.sum()),
        "versions": versions,
    }
    text = json.dumps(metrics | made_of, indent=2, default=str)
    write_whole(work / "metrics.json", lambda aside: aside.write_text(text))


def drop_checkpoints(work: Path) -> None:
    """Delete a finished fine-tuning's checkpoints, which take GBs."""
    for path in work.glob("epoch-*.weights.h5"):
        path.unlink(missing_ok=True)


def open_trained(work: str | Path) -> FineTuned:
    """The results of a finished fine-tuning.

    Raises:
        FileNotFoundError: the folder holds none.
        WorkError: a file of it is damaged; the message names it.
    """
    work = Path(work)
    metrics = read_json(work / "metrics.json", dict)
    if not isinstance(metrics.get("settings"), dict):
        raise damaged(work / "metrics.json", "it lacks settings")
    tables = []
    for name, read in (("history.csv", pd.read_csv), ("predictions.parquet", pd.read_parquet)):
        try:
            tables.append(read(work / name))
        except (ValueError, pa.ArrowException) as error:
            raise damaged(work / name, error) from error
    return FineTuned(work, *tables, metrics)


def load_trained(work: str | Path) -> keras.Model:
    """The network of a finished fine-tuning: faces (N×224×224×3, RGB 0–255, reweighted at its ratio) to probabilities.

    Raises:
        FileNotFoundError: the folder holds no finished fine-tuning.
        CheckpointError: its weights are damaged.
        WorkError: another file of it is.
    """
    settings = open_trained(work).metrics["settings"]
    classes = len(CLASSES[settings["task"]])
    model = classifiers.classifier(settings["network"], classes, dropout=settings["dropout"], imagenet=settings["imagenet"])
    weights.assign(model, checkpoints.read_safetensors(Path(work) / "head.safetensors")[0])
    return model
