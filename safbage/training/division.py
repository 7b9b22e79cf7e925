"""Divide faces into those to train on, to validate with and to test, never parting a subject's."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from safbage.datasets import splits
from safbage.datasets.shards import Prepared
from safbage.errors import DatasetError
from safbage.runtime import files
from safbage.tasks import CLASSES, LABELS, SPLITS


class Faces(NamedTuple):
    """The faces of a training.

    Attributes:
        table: all that were prepared, with the columns that splits need.
        codes: of each its label as a number, −1 where there is none.
        chosen: positions of those that are labelled, within the limit.
        parts: of these, by position, those for "train", "validation" and "test".
    """

    table: pd.DataFrame
    codes: np.ndarray
    chosen: np.ndarray
    parts: dict[str, np.ndarray]


def choose(prepared: Prepared, task: str, fold: int | None, limit: int | None = None) -> Faces:
    """The faces that a training takes, divided; what is wrong with them is told before any work.

    Raises:
        ValueError: an unknown task, or no such fold.
        DatasetError: no such labels; a part without faces; a subject or picture in two parts; a
            class that no training face has.
    """
    if task not in LABELS:
        raise ValueError(f"task is one of {', '.join(LABELS)}; got {task!r}")
    table, codes = table_of(prepared), prepared.codes(task)
    chosen = np.flatnonzero(codes >= 0)
    if limit is not None:
        chosen = np.sort(np.random.default_rng(0).permutation(chosen)[:limit])
    parts = divide(table, chosen, fold)
    missing = [name for i, name in enumerate(CLASSES[task]) if i not in codes[parts["train"]]]
    if missing:
        raise DatasetError(
            f"no face to train on is labelled {', '.join(missing)}; "
            "prepare more faces, or raise the limit"
        )
    return Faces(table, codes, chosen, parts)


def table_of(prepared: Prepared) -> pd.DataFrame:
    """The table with all columns that splits need."""
    absent = {name: pd.NA for name in ("subject", "fold", "split") if name not in prepared.table}
    return prepared.table.assign(**absent)


def divide(table: pd.DataFrame, rows: np.ndarray, fold: int | None) -> dict[str, np.ndarray]:
    """Those `rows` of the table, by position, that train, validate and test, by part.

    `fine_tune` tells what `fold` does.

    Raises:
        ValueError: there is no such fold.
        DatasetError: one of the three is empty, or a subject or picture is in two of them.
    """
    split = table.split
    if fold is not None:
        if table.fold.nunique() < 2:  # none are told, or, in an excerpt, one
            table = splits.by_subject_folds(table)
        folds = sorted(table.fold.dropna().unique())
        if fold not in folds:
            raise ValueError(f"there are the folds {', '.join(map(str, folds))}; got {fold}")
        split = splits.with_split(table, test=0, validation=0.1).split.astype(object)
        tested = (table.fold == fold).fillna(False)
        split = split.where(table.fold.notna(), "none").mask(tested, "test")
    split = np.asarray(split.astype(object))
    parts = {name: rows[split[rows] == name] for name in SPLITS}
    used = np.concatenate(list(parts.values()))
    splits.check_apart(table.iloc[used], split[used], "split")
    empty = [name for name, chosen in parts.items() if not len(chosen)]
    if empty:
        remedy = "take more faces"
        if fold is None:
            remedy = "name a fold, or draw a split (datasets.splits.with_split)"
        raise DatasetError(
            f"of {len(rows)} labelled faces none is for {', '.join(empty)}: {remedy}"
        )
    return parts


def fingerprint(table: pd.DataFrame, codes: np.ndarray, parts: dict[str, np.ndarray]) -> str:
    """A division and its labels as a few words, which differ where these do."""
    faces = table[["image", "row"]].to_csv(), codes.tobytes()
    content = files.fingerprint(*faces, *(rows.tobytes() for rows in parts.values()))
    return ", ".join(f"{len(rows)} {name}" for name, rows in parts.items()) + f" ({content})"
