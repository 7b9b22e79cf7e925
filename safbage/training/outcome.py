"""What a fine-tuning leaves in its folder: history, answers, weights, metrics; and the way back."""

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from safbage import classifiers
from safbage.evaluation import scores
from safbage.runtime import weights
from safbage.runtime.backend import keras
from safbage.runtime.epochs import EpochLog
from safbage.runtime.files import damaged, read_json, write_text, write_whole
from safbage.runtime.weights import checkpoints
from safbage.tasks import CLASSES, GROUPS


@dataclass(frozen=True)
class FineTuned:
    """What a fine-tuning came to; all of it lies in `work`, too.

    Attributes:
        work: the folder; `load_trained` rebuilds the network from it.
        history: a row per epoch: `epoch`, `rate`, `loss` (of training, weighted as trained),
            `accuracy` and `mean_recall` on the validation faces, `seconds`.
        predictions: a row per test face: `image`, `row` (of the prepared table), `subject`, `fold`,
            `label`, `answer`, `p_<class>` …, and its known groups.
        metrics: `accuracy`, `mean_recall` and number of test `faces`, the `epoch` kept, and how it
            all was made.
    """

    work: Path
    history: pd.DataFrame
    predictions: pd.DataFrame
    metrics: dict


def table_of_answers(
    faces: pd.DataFrame,
    codes: np.ndarray,
    probabilities: np.ndarray,
    classes: tuple[str, ...],
    fold: int | None,
) -> pd.DataFrame:
    """The table of answers (see `FineTuned`) to some faces; without a fold, with the faces' own."""
    names, groups = np.array(classes), [name for name in GROUPS if name in faces]
    own = faces.fold.astype("Int8").to_numpy()
    columns = {
        "image": faces.image.astype(str).to_numpy(),
        "row": faces.row.to_numpy(),
        "subject": faces.subject.astype("string").array,
        "fold": own if fold is None else np.full(len(faces), fold, "int8"),
        "label": names[codes],
        "answer": names[probabilities.argmax(axis=1)],
        **{f"p_{name}": probabilities[:, i] for i, name in enumerate(classes)},
        **{name: faces[name].to_numpy() for name in groups if faces[name].notna().any()},
    }
    return pd.DataFrame(columns)


def write(
    work: Path,
    log: EpochLog,
    tensors: dict[str, np.ndarray],
    predictions: pd.DataFrame,
    made_of: dict,
) -> None:
    """Write the results; metrics.json last: where it is, all is."""
    head = {name: np.ascontiguousarray(value, "float16") for name, value in tensors.items()}
    settings, history = made_of["settings"], pd.DataFrame(log.rows)
    description = f"{settings['network']} for {settings['task']}"
    weights.save(head, work / "head.safetensors", {"description": description})
    write_whole(work / "history.csv", lambda aside: history.to_csv(aside, index=False))
    write_whole(
        work / "predictions.parquet", lambda aside: predictions.to_parquet(aside, index=False)
    )
    packages = ("safbage", "keras", "numpy", keras.config.backend())
    metrics = {
        **scores(predictions.label.to_numpy(), predictions.answer.to_numpy()),
        "faces": len(predictions),
        "epoch": log.best,
        "seconds": float(history.seconds.sum()),
        "versions": {name: version(name) for name in packages},
    }
    text = json.dumps(metrics | made_of, indent=2, default=str)
    write_text(work / "metrics.json", text)


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
    """The network of a finished fine-tuning: faces, reweighted at its ratio, to probabilities.

    Faces are N×224×224×3, RGB 0–255.

    Raises:
        FileNotFoundError: the folder holds no finished fine-tuning.
        CheckpointError: its weights are damaged.
        WorkError: another file of it is.
    """
    settings = open_trained(work).metrics["settings"]
    options = {name: settings[name] for name in ("dropout", "imagenet")}
    classes = len(CLASSES[settings["task"]])
    model = classifiers.classifier(settings["network"], classes, **options)
    weights.assign(model, checkpoints.read_safetensors(Path(work) / "head.safetensors")[0])
    return model
