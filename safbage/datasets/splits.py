"""Which pictures are trained on, which validate, which are tested: subjects stay together."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from safbage.errors import DatasetError
from safbage.tasks import SPLITS


def check_apart(table: pd.DataFrame, part: Sequence, kind: str) -> None:
    """Refuse folds or splits that share a person: what training knows of it would flatter the test.

    Args:
        table: with `image`, and where it is known `subject`.
        part: of each row its fold or split; rows where that is missing do not count.
        kind: "fold" or "split", for the message.

    Raises:
        DatasetError: a subject, or a picture by its path, is in more than one; the message names some.
    """
    for what in ("subject", "image"):
        if what in table:
            pairs = pd.DataFrame({"name": table[what].astype("string").array, "part": np.asarray(part, object)})
            pairs = pairs.dropna().drop_duplicates()
            several = pairs[pairs.name.duplicated(keep=False)].groupby("name").part.agg(lambda of: sorted(map(str, of)))
            if len(several):
                shown = ", ".join(f"{name} in [{', '.join(of)}]" for name, of in several.head(3).items())
                raise DatasetError(
                    f"{len(several)} {what}s are in more than one {kind}: {shown}; give each {what} one fold and one split, "
                    "or neither: then they are drawn so"
                )


def with_split(table: pd.DataFrame, *, test: float = 0.15, validation: float = 0.1, seed: int = 0) -> pd.DataFrame:
    """Draw a split where the set has none: a share for testing, of the rest a share for validation; subjects stay together.

    A subject is a row's `subject`, or where that is missing the row itself. The draw depends on the subject's name and the
    seed alone, so it does not change when other pictures come or go.

    Raises:
        ValueError: a share is not in [0, 1), or they leave nothing to train on.
    """
    if not (0 <= test < 1 and 0 <= validation < 1):
        raise ValueError(f"shares lie in [0, 1); got test {test}, validation {validation}")
    draws = np.array([_share(f"{seed} {name}") for name in subjects(table)])
    rest = (draws - test) / (1 - test)
    split = np.where(draws < test, "test", np.where(rest < validation, "validation", "train"))
    return table.assign(split=pd.Categorical(split, categories=list(SPLITS)))


def with_validation(table: pd.DataFrame, *, validation: float = 0.1, seed: int = 0) -> pd.DataFrame:
    """Draw a validation split from the rows whose split is train, as `with_split` does; the others stay where they are."""
    drawn = with_split(table, test=0, validation=validation, seed=seed).split
    return table.assign(split=table.split.where(table.split != "train", drawn))


def by_subject_folds(table: pd.DataFrame, folds: int = 5, *, seed: int = 0) -> pd.DataFrame:
    """Number folds 0, 1, … where the set has none, subjects whole, by the subject's name and the seed (as `with_split`)."""
    return table.assign(fold=pd.array([int(folds * _share(f"folds {seed} {name}")) for name in subjects(table)], "Int8"))


def subjects(table: pd.DataFrame) -> pd.Series:
    """Of each row its subject, or where that is missing its picture's name (without folders)."""
    names = table.subject.astype("string")
    return names.where(names.notna(), table.image.map(lambda image: Path(image).name))


def _share(text):
    """A number in [0, 1) that looks random, the same for the same text everywhere."""
    return int.from_bytes(hashlib.sha256(text.encode(errors="surrogateescape")).digest()[:6], "big") / 2**48
