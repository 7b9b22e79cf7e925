"""Which faces are trained on, which validate, which are tested; subjects whole."""

import hashlib

import numpy as np
import pandas as pd

from safbage.datasets import base
from safbage.datasets.base import DatasetError
from safbage.prepared import Prepared


def table_of(prepared: Prepared) -> pd.DataFrame:
    """The table with all columns that splits need."""
    absent = {name: pd.NA for name in ("subject", "fold", "split") if name not in prepared.table}
    return prepared.table.assign(**absent)


def divide(table: pd.DataFrame, rows: np.ndarray, fold: int | None) -> dict[str, np.ndarray]:
    """Of `rows` of the table, by position, those of "train", "validation" and "test"; see `fine_tune` for what `fold` does.

    Raises:
        ValueError: there is no such fold.
        DatasetError: one of the three is empty.
    """
    split = table.split
    if fold is not None:
        if table.fold.nunique() < 2:  # none are told, or, in an excerpt, one
            table = base.by_subject_folds(table)
        folds = sorted(table.fold.dropna().unique())
        if fold not in folds:
            raise ValueError(f"there are the folds {', '.join(map(str, folds))}; got {fold}")
        split = base.with_split(table, test=0, validation=0.1).split.astype(object)
        split = split.where(table.fold.notna(), "none").mask((table.fold == fold).fillna(False), "test")
    split = np.asarray(split.astype(object))
    parts = {name: rows[split[rows] == name] for name in base.SPLITS}
    empty = [name for name, chosen in parts.items() if not len(chosen)]
    if empty:
        remedy = "name a fold, or draw a split (datasets.base.with_split)" if fold is None else "take more faces"
        raise DatasetError(f"of {len(rows)} labelled faces none is for {', '.join(empty)}: {remedy}")
    return parts


def fingerprint(table: pd.DataFrame, codes: np.ndarray, parts: dict[str, np.ndarray]) -> str:
    """A few words for a division and its labels, other ones for any other."""
    total = hashlib.sha256(table[["image", "row"]].to_csv().encode() + codes.tobytes())
    for rows in parts.values():
        total.update(rows.tobytes())
    return ", ".join(f"{len(rows)} {name}" for name, rows in parts.items()) + f" ({total.hexdigest()[:8]})"
