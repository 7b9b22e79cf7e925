"""What all readers share: the tidy table, its classes, duplicates and splits."""

import csv
import hashlib
import logging
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from safbage import images

logger = logging.getLogger(__name__)

AGE_GROUPS = ("0-2", "4-6", "8-13", "15-20", "25-32", "38-43", "48-53", "60+")
AGE_RANGES = ((0, 2), (4, 6), (8, 13), (15, 20), (25, 32), (38, 43), (48, 53), (60, 200))
"""Adience's groups as the paper names them, and the years of each; ages in the gaps belong to none."""
GENDERS = ("male", "female")
EXPRESSIONS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger")
SPLITS = ("train", "validation", "test")

CATEGORIES = {"split": SPLITS, "age_group": AGE_GROUPS, "gender": GENDERS, "expression": EXPRESSIONS}
OLDEST = 200
"""Years; an age beyond is none."""
APPARENT = ("apparent_age", "apparent_age_spread")
"""Years: the mean of several people's guesses, and their standard deviation (0 where all agree)."""
VOTES = tuple(f"votes_{name}" for name in (*EXPRESSIONS, "contempt", "unknown", "no_face"))
"""How many of several people saw which expression, none that they know, or no face."""
BOX = ("box_left", "box_top", "box_width", "box_height")
COLUMNS = ("image", "subject", "fold", "split", "age", "age_group", "gender", "expression")
"""Of every table, in this order; what a set does not tell is missing (NA). Group columns (race) come behind, and then, where a
set has them, `APPARENT`, `VOTES` and `BOX`."""
NUMBERS = {"fold": ("Int8", 127)} | dict.fromkeys(("age", *APPARENT), ("float64", OLDEST)) | dict.fromkeys(VOTES, ("Int8", 127))
"""Columns of numbers: their type, and the most they may be; the least is 0."""

NO_FILE = "the picture is not there"
"""Why rows are left out whose picture is missing."""
OTHER_FILE = "not a kind of picture that is read"
"""Why files are left out that lie among pictures and are none by their suffix."""


class DatasetError(ValueError):
    """A folder or file is not the data set it is taken for; the message says what was expected and what is there."""


class Listing(NamedTuple):
    """What a reader returns: ``faces, dropped = datasets.utkface(folder)``.

    Attributes:
        faces: a row per usable picture; columns `COLUMNS`, then group columns and, where the set gives them, `APPARENT`,
            `VOTES` and the face's box in pixels. `image` is an absolute path; `age` is in years; `split`, `age_group`,
            `gender`, `expression` and group columns are categorical.
        dropped: a row per picture left out: `image` and `reason`.
    """

    faces: pd.DataFrame
    dropped: pd.DataFrame

    def report(self) -> str:
        """How many pictures are in, with which labels, and how many were left out for which reason, in words."""
        known = [label for label in ("age_group", "gender", "expression") if label in self.faces]
        labels = {label: self.faces[label].notna().sum() for label in known}
        given = ", ".join(f"{label} {count:,}" for label, count in labels.items() if count)
        lines = [f"{len(self.faces):,} pictures" + (f" ({given})" if given else "")]
        lines += [f"{count:,} left out: {reason}" for reason, count in self.dropped.reason.value_counts().items()]
        return "\n".join(lines)


def age_group(years: float | None) -> str | None:
    """Adience's group of an age in years; None in the gaps between the groups, and where the age is missing."""
    if years is None or pd.isna(years):
        return None
    return next((name for name, (low, high) in zip(AGE_GROUPS, AGE_RANGES, strict=True) if low <= years <= high), None)


def listing(rows: Iterable[dict], dropped: Iterable[dict] = (), *, groups: dict[str, Sequence[str]] | None = None) -> Listing:
    """Rows as dicts with some of a table's columns (`COLUMNS`; group columns are given with their categories) to a `Listing`.

    A row with a `reason` is one that is left out, as are those in `dropped`.

    Raises:
        ValueError: a label is none of its column's classes.
    """
    rows = list(rows)
    table = pd.DataFrame([row for row in rows if "reason" not in row])
    dropped = [*(row for row in rows if "reason" in row), *dropped]
    groups = groups or {}
    further = [name for name in (*APPARENT, *VOTES, *BOX) if name in table and table[name].notna().any()]
    table = table.reindex(columns=[*COLUMNS, *groups, *further])
    table = table.astype({"image": str, **{name: "float64" for name in BOX if name in further}})
    table["subject"] = table.subject.astype("string")
    return Listing(with_labels(table, groups), pd.DataFrame(dropped, columns=["image", "reason"]).astype({"image": str}))


def with_labels(table: pd.DataFrame, groups: dict[str, Sequence[str]] | None = None) -> pd.DataFrame:
    """The table, its labels in the types that `Listing` names; columns that it lacks stay away.

    Args:
        table: of pictures; the columns of `CATEGORIES` and `NUMBERS` are looked at.
        groups: further columns by their classes.

    Raises:
        DatasetError: a label is none of its column's classes, a fold or a count of votes no whole number from 0 to 127, an
            age not from 0 to 200; the message tells the values, and what is expected.
    """
    labels = {}
    for name, classes in (CATEGORIES | (groups or {})).items():
        if name in table:  # a Categorical makes what it does not know missing, silently
            values = table[name].astype(object)
            known = [isinstance(value, str) and value in classes for value in values]
            _refuse(name, f"one of {', '.join(classes)}", values[~np.array(known, bool)])
            labels[name] = pd.Categorical(table[name], categories=list(classes), ordered=name == "age_group")
    for name, (kind, most) in NUMBERS.items():
        if name in table:
            values, whole = table[name].astype(object), kind == "Int8"
            numbers = pd.to_numeric(values, errors="coerce").astype("float64")
            known = numbers.between(0, most) & ((numbers % 1 == 0) | (not whole))
            _refuse(name, f"a {'whole ' if whole else ''}number from 0 to {most}", values[~known])
            labels[name] = numbers.astype(kind)
    return table.assign(**labels)


def _refuse(name, expected, others):
    values = list(dict.fromkeys(map(repr, others.dropna())))
    if values:
        more = f" and {len(values) - 5} more" if len(values) > 5 else ""
        raise DatasetError(f"{name} is {expected}; got {', '.join(values[:5])}{more}")


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


def check_pictures(found: Listing, origin: Path) -> Listing:
    """The listing. DatasetError where not one picture is left, with the most frequent reasons."""
    if found.faces.empty:
        reasons = "; ".join(found.dropped.reason.value_counts().index[:5]) or "it is empty"
        raise DatasetError(f"{origin}: no picture is left ({reasons})")
    return found


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
    labelled = table[list(labels)].assign(pixels=pixels).drop_duplicates()
    agree = ~pd.Series(pixels).isin(labelled.pixels[labelled.pixels.duplicated()]).to_numpy()
    first = ~pd.Series(pixels).duplicated().to_numpy()
    reasons = np.where(~agree, "same pixels as another picture, other labels", np.where(first, "", "copy of another picture"))
    reasons = np.array([unreadable.get(image, reason) for image, reason in zip(table.image, reasons, strict=True)], object)
    gone = pd.DataFrame({"image": table.image, "reason": reasons})[reasons != ""]
    return Listing(table[reasons == ""].reset_index(drop=True), pd.concat([found.dropped, gone], ignore_index=True))


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


def check_folder(folder: str | Path, *needed: str) -> Path:
    """The folder as a path. FileNotFoundError where it is not there, DatasetError where none of the `needed` lies in it."""
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder: {folder}")
    if needed and not any((folder / name).exists() for name in needed):
        raise DatasetError(f"{folder} holds none of {', '.join(needed)}; {held(folder)}")
    return folder.resolve()


def held(folder: Path) -> str:
    """What a folder holds, for messages."""
    there = sorted(path.name for path in folder.iterdir())
    return f"it holds {', '.join(there[:8]) or 'nothing'}" + (" …" if len(there) > 8 else "")


def pictures_below(folder: Path) -> tuple[list[Path], list[dict]]:
    """Every picture in a folder and below, and left-out rows of all other files: which is which, the suffix tells.

    Both are sorted; hidden files and folders are passed over.
    """
    found = sorted(path for path in folder.rglob("*") if not path.is_dir() and not _is_hidden(path.relative_to(folder)))
    known = images.suffixes()
    pictures = [path for path in found if path.suffix.lower() in known]
    others = [{"image": str(path), "reason": OTHER_FILE} for path in found if path.suffix.lower() not in known]
    return pictures, others


def _is_hidden(inside):
    return any(name.startswith(".") for name in inside.parts)


def read_rows(
    path: Path, needed: Sequence[str], *, delimiter: str = ",", header: Sequence[str] | None = None
) -> Iterator[tuple[str, dict | None]]:
    """Of each line of a table in text its place ("name:line") and its fields, stripped; None for a malformed line.

    Args:
        path: the file, UTF-8.
        needed: columns that must be there.
        delimiter: between fields; tabs imply that quotes are letters like others.
        header: names of the columns, where the file begins without them.

    Raises:
        FileNotFoundError: there is no such file.
        DatasetError: a needed column is missing, or the file is no table.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
        reader = csv.reader(file, delimiter=delimiter, quoting=quoting)
        names = list(header) if header else [name.strip() for name in next(_records(path, reader), None) or []]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DatasetError(f"{path} has the column {', '.join(twice)} twice")
        missing = [name for name in needed if name not in names]
        if missing:
            there = ", ".join(names[:12])[:200] or "nothing"
            raise DatasetError(f"{path} has no column {', '.join(missing)}; its first line holds {there}")
        for fields in _records(path, reader):
            whole = fields is not None and len(fields) == len(names)
            place = f"{path.name}:{reader.line_num}"
            yield place, {k: v.strip() for k, v in zip(names, fields, strict=True)} if whole else None


def _records(path, reader):
    """The records of a csv that hold anything; None for one that the csv module refuses, as it does a field of over 128 kB.

    DatasetError where one goes over several lines: a quotation mark stands open, and all up to the next would be lost.
    """
    while True:
        before = reader.line_num
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            fields = None
        if reader.line_num > before + 1:
            raise DatasetError(f"{path}: a quotation mark is opened and not closed before line {reader.line_num}")
        if fields != []:
            yield fields


def fingerprint(path: Path) -> str:
    """Eight hexadecimal digits for a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:8]


def extract_once(target: Path, fill: Callable[[Path], None]) -> Path:
    """A folder that `fill(aside)` fills, unless it is there already; whole or not at all, so that a killed run leaves none.

    Raises:
        PermissionError: nothing may be written there.
    """
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = tempfile.TemporaryDirectory(dir=target.parent, prefix="writing-")
    except OSError as error:
        raise PermissionError(f"cannot write to {target.parent} ({error}); name another folder with cache=") from error
    with aside as name:
        filled = Path(name) / target.name
        filled.mkdir()
        fill(filled)
        try:
            filled.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was faster
                raise
    return target


def compare_with_published(name: str, counts: dict[str, tuple[int, int]]) -> None:
    """Warn where a count (what: found, published) differs from the one that papers report."""
    for what, (found, published) in counts.items():
        if found != published:
            why = "pictures or lines are missing" if found < published else "this is another edition"
            logger.warning(
                "%s: %s %s, published are %s; %s, so results do not compare with published ones",
                name, f"{found:,}", what, f"{published:,}", why,
            )  # fmt: skip
