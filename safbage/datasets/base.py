"""What all readers share: the tidy table, its classes, duplicates and splits."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from safbage import images

AGE_GROUPS = ("0-2", "4-6", "8-13", "15-20", "25-32", "38-43", "48-53", "60+")
AGE_RANGES = ((0, 2), (4, 6), (8, 13), (15, 20), (25, 32), (38, 43), (48, 53), (60, 200))
"""Adience's groups as the paper names them, and the years of each; ages in the gaps belong to none."""
GENDERS = ("male", "female")
EXPRESSIONS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger")
SPLITS = ("train", "validation", "test")

CATEGORIES = {"split": SPLITS, "age_group": AGE_GROUPS, "gender": GENDERS, "expression": EXPRESSIONS}
BOX = ("box_left", "box_top", "box_width", "box_height")
COLUMNS = ("image", "subject", "fold", "split", "age", "age_group", "gender", "expression")
"""Of every table, in this order; what a set does not tell is missing (NA). Group columns (race) and boxes come behind."""


class DatasetError(ValueError):
    """A folder or file is not the data set it is taken for; the message says what was expected and what is there."""


class Listing(NamedTuple):
    """What a reader returns: ``faces, dropped = datasets.utkface(folder)``.

    Attributes:
        faces: a row per usable picture; columns `COLUMNS`, then group columns and, where the set gives one, the face's box
            in pixels. `image` is an absolute path; `age` is in years; `split`, `age_group`, `gender`, `expression` and group
            columns are categorical.
        dropped: a row per picture left out: `image` and `reason`.
    """

    faces: pd.DataFrame
    dropped: pd.DataFrame

    def report(self) -> str:
        """How many pictures are in, and how many were left out for which reason, in words."""
        lines = [f"{len(self.faces):,} pictures"]
        lines += [f"{count:,} left out: {reason}" for reason, count in self.dropped.reason.value_counts().items()]
        return "\n".join(lines)


def age_group(years: float | None) -> str | None:
    """Adience's group of an age in years; None in the gaps between the groups, and where the age is missing."""
    if years is None or pd.isna(years):
        return None
    return next((name for name, (low, high) in zip(AGE_GROUPS, AGE_RANGES, strict=True) if low <= years <= high), None)


def listing(rows: Iterable[dict], dropped: Iterable[dict], *, groups: dict[str, Sequence[str]] | None = None) -> Listing:
    """Rows as dicts with some of `COLUMNS` (and `BOX`, and group columns with their categories) to a `Listing`."""
    table = pd.DataFrame(list(rows))
    groups = groups or {}
    boxes = [name for name in BOX if name in table]
    table = table.reindex(columns=[*COLUMNS, *groups, *boxes])
    table = table.astype({"image": str, "age": "float64", "fold": "Int8", **dict.fromkeys(boxes, "float64")})
    table["subject"] = table.subject.astype("string")
    for name, categories in (CATEGORIES | groups).items():
        table[name] = pd.Categorical(table[name], categories=list(categories), ordered=name == "age_group")
    return Listing(table, pd.DataFrame(list(dropped), columns=["image", "reason"]).astype({"image": str}))


def without_duplicates(found: Listing, labels: Sequence[str], *, progress: bool = True) -> Listing:
    """One of each set of pictures with the same pixels, none of a set whose labels disagree.

    To be done before any split, so that no picture is on both sides. A file that cannot be read is left out, and says so.
    """
    table = found.faces
    pixels, unreadable = [], {}
    for image in tqdm(table.image, desc="looking for copies", disable=not progress):
        try:
            pixels.append(hashlib.sha256(images.read(image).tobytes()).hexdigest())
        except (images.ImageError, OSError) as error:
            unreadable[image] = f"unreadable: {error}"
            pixels.append(f"unreadable {image}")
    groups = table.groupby(np.array(pixels), sort=False)
    agree = np.ones(len(table), bool)
    for label in labels:
        agree &= groups[label].transform(lambda column: column.astype(object).nunique(dropna=False)).eq(1).to_numpy()
    first = ~pd.Series(pixels).duplicated().to_numpy()
    reasons = np.where(~agree, "same pixels as another picture, other labels", np.where(first, "", "copy of another picture"))
    reasons = np.array([unreadable.get(image, reason) for image, reason in zip(table.image, reasons, strict=True)], object)
    gone = pd.DataFrame({"image": table.image, "reason": reasons})[reasons != ""]
    return Listing(table[reasons == ""].reset_index(drop=True), pd.concat([found.dropped, gone], ignore_index=True))


def with_split(table: pd.DataFrame, *, test: float = 0.15, validation: float = 0.1, seed: int = 0) -> pd.DataFrame:
    """Draw a split where the set has none: a share for testing, of the rest a share for validation; subjects stay together.

    A subject is a row's `subject`, or where that is missing the row itself. The draw depends on the subject's name and the
    seed alone, so it does not change when other pictures come or go.
    """
    names = table.subject.fillna("").where(table.subject.notna(), table.image.map(lambda image: Path(image).name))
    draws = np.array([_share(f"{seed} {name}") for name in names])
    rest = (draws - test) / (1 - test)
    split = np.where(draws < test, "test", np.where(rest < validation, "validation", "train"))
    return table.assign(split=pd.Categorical(split, categories=list(SPLITS)))


def _share(text):
    """A number in [0, 1) that looks random, the same for the same text everywhere."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48


def check_folder(folder: str | Path, *needed: str) -> Path:
    """The folder as a path. FileNotFoundError where it is not there, DatasetError where none of the `needed` lies in it."""
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder: {folder}")
    if needed and not any((folder / name).exists() for name in needed):
        there = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
        raise DatasetError(f"{folder} holds none of {', '.join(needed)}; it holds {there}")
    return folder.resolve()


def by_subject_folds(table: pd.DataFrame, folds: int = 5, *, seed: int = 0) -> pd.DataFrame:
    """Number folds 0, 1, … where the set has none, subjects whole, by the subject's name and the seed (as `with_split`)."""
    names = table.subject.fillna("").where(table.subject.notna(), table.image.map(lambda image: Path(image).name))
    return table.assign(fold=pd.array([int(folds * _share(f"folds {seed} {name}")) for name in names], "Int8"))
