"""Which pictures are trained on, which validate, which are tested: subjects stay together."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from safbage.errors import DatasetError
from safbage.tasks import SPLITS


def check_apart(table: pd.DataFrame, part: Sequence, kind: str) -> None:
    """Refuse folds or splits that share a person: training would know faces of the test.

    Args:
        table: with `image`, and where it is known `subject`.
        part: the fold or split of each row; rows where that is missing do not count.
        kind: "fold" or "split", for the message.

    Raises:
        DatasetError: a subject, or a picture by its path, is in more than one; the message names
            some.
    """
    for what in ("subject", "image"):
        if what in table:
            pairs = pd.DataFrame(
                {"name": table[what].astype("string").array, "part": np.asarray(part, object)}
            )
            pairs = pairs.dropna().drop_duplicates()
            several = (
                pairs[pairs.name.duplicated(keep=False)]
                .groupby("name")
                .part.agg(lambda of: sorted(map(str, of)))
            )
            if len(several):
                shown = ", ".join(
                    f"{name} in [{', '.join(of)}]" for name, of in several.head(3).items()
                )
                raise DatasetError(
                    f"{len(several)} {what}s are in more than one {kind}: {shown}; "
                    f"give each {what} one fold and one split, or neither: then they are drawn so"
                )


def with_split(
    table: pd.DataFrame, *, test: float = 0.15, validation: float = 0.1, seed: int = 0
) -> pd.DataFrame:
    """Draw a split where the set has none. Subjects (see `subjects`) stay together.

    The draw depends on the subject's name and the seed alone, so it does not change when other
    pictures come or go.

    Args:
        table: with `image`, and where it is known `subject`.
        test: share for testing.
        validation: share of the rest for validation.
        seed: of the draw.

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
    """Draw a validation split, as `with_split` does, from the rows whose split is train."""
    drawn = with_split(table, test=0, validation=validation, seed=seed).split
    return table.assign(split=table.split.where(table.split != "train", drawn))


def by_subject_folds(table: pd.DataFrame, folds: int = 5, *, seed: int = 0) -> pd.DataFrame:
    """Draw folds 0, 1, … where the set has none, as `with_split` draws a split."""
    drawn = [int(folds * _share(f"folds {seed} {name}")) for name in subjects(table)]
    return table.assign(fold=pd.array(drawn, "Int8"))


def subjects(table: pd.DataFrame, *, folders: bool = False) -> pd.Series:
    """The subject of each row; where it is not known, the name of its picture.

    Args:
        table: with `image`, and where it is known `subject`.
        folders: keep the folders in the pictures' names, so that pictures of the same name in
            different folders are different subjects.
    """
    known = table.subject if "subject" in table else pd.Series(pd.NA, table.index)
    names = known.astype("string")
    return names.where(names.notna(), table.image.map(str if folders else _file_name))


def _file_name(image):
    return Path(image).name


def _share(text):
    """A number in [0, 1) that looks random, the same for the same text everywhere."""
    digest = hashlib.sha256(text.encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
