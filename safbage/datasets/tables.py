"""The tidy table that every reader gives, its labels and its duplicates."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from safbage import images
from safbage.errors import DatasetError, ImageError
from safbage.runtime.files import fingerprint
from safbage.tasks import AGE_GROUPS, AGE_RANGES, BOX, EXPRESSIONS, GENDERS, LABELS, SPLITS

CATEGORIES = {
    "split": SPLITS,
    "age_group": AGE_GROUPS,
    "gender": GENDERS,
    "expression": EXPRESSIONS,
}
OLDEST = 200
"""The most years that are taken for an age."""
APPARENT = ("apparent_age", "apparent_age_spread")
"""Years: the mean of several people's guesses, and their standard deviation (0 where all agree)."""
VOTES = tuple(f"votes_{name}" for name in (*EXPRESSIONS, "contempt", "unknown", "no_face"))
"""How many of several people saw which expression, none that they know, or no face."""
COLUMNS = ("image", "subject", "fold", "split", "age", "age_group", "gender", "expression")
"""Columns of every table, in this order; what a set does not tell is missing (NA). Behind them come
group columns (race), then those of `APPARENT`, `VOTES` and `BOX` that a set has."""
NUMBERS = (
    {"fold": ("Int8", 127)}
    | dict.fromkeys(("age", *APPARENT), ("float64", OLDEST))
    | dict.fromkeys(VOTES, ("Int8", 127))
)
"""Columns of numbers: their type, and the most they may be; the least is 0."""


class Listing(NamedTuple):
    """What a reader returns: ``faces, dropped = datasets.utkface(folder)``.

    Attributes:
        faces: a row per usable picture; columns `COLUMNS`, then group columns and, where the set
            gives them, `APPARENT`, `VOTES` and the face's box in pixels. `image` is an absolute
            path; `age` is in years; `split`, `age_group`, `gender`, `expression` and group columns
            are categorical.
        dropped: a row per picture left out: `image` and `reason`.
    """

    faces: pd.DataFrame
    dropped: pd.DataFrame

    def report(self) -> str:
        """In words how many pictures there are, with which labels, and how many were left out."""
        known = [label for label in LABELS.values() if label in self.faces]
        labels = {label: self.faces[label].notna().sum() for label in known}
        given = ", ".join(f"{label} {count:,}" for label, count in labels.items() if count)
        lines = [f"{len(self.faces):,} pictures" + (f" ({given})" if given else "")]
        lines += [
            f"{count:,} left out: {reason}"
            for reason, count in self.dropped.reason.value_counts().items()
        ]
        return "\n".join(lines)


def age_group(years: float | None) -> str | None:
    """Adience's group of an age in years; None in the gaps between groups and for a missing age."""
    if years is None or pd.isna(years):
        return None
    groups = zip(AGE_GROUPS, AGE_RANGES, strict=True)
    return next((name for name, (low, high) in groups if low <= years <= high), None)


def listing(
    rows: Iterable[dict],
    dropped: Iterable[dict] = (),
    *,
    groups: dict[str, Sequence[str]] | None = None,
) -> Listing:
    """A `Listing` of rows that are dicts.

    Args:
        rows: each with some of the columns `COLUMNS`, `APPARENT`, `VOTES`, `BOX` and `groups`; with
            a `reason`, the picture is left out.
        dropped: further pictures that are left out, `image` and `reason`.
        groups: the classes of each group column.

    Raises:
        ValueError: a label is none of its column's classes.
    """
    rows = list(rows)
    table = pd.DataFrame([row for row in rows if "reason" not in row])
    dropped = [*(row for row in rows if "reason" in row), *dropped]
    groups = groups or {}
    further = [
        name for name in (*APPARENT, *VOTES, *BOX) if name in table and table[name].notna().any()
    ]
    table = table.reindex(columns=[*COLUMNS, *groups, *further])
    table = table.astype({"image": str, **{name: "float64" for name in BOX if name in further}})
    table["subject"] = table.subject.astype("string")
    return Listing(
        with_labels(table, groups),
        pd.DataFrame(dropped, columns=["image", "reason"]).astype({"image": str}),
    )


def with_labels(
    table: pd.DataFrame, groups: dict[str, Sequence[str]] | None = None
) -> pd.DataFrame:
    """The table with its labels in the types that `Listing` names; it gets no further columns.

    Args:
        table: of pictures; the columns of `CATEGORIES` and `NUMBERS` are looked at.
        groups: further columns by their classes.

    Raises:
        DatasetError: a label is none of its column's classes, a fold or a count of votes no whole
            number from 0 to 127, an age not from 0 to 200; the message tells the values, and what
            is expected.
    """
    labels = {}
    for name, classes in (CATEGORIES | (groups or {})).items():
        if name in table:  # a Categorical makes what it does not know missing, silently
            values = table[name].astype(object)
            known = [isinstance(value, str) and value in classes for value in values]
            _refuse(name, f"one of {', '.join(classes)}", values[~np.array(known, bool)])
            labels[name] = pd.Categorical(
                table[name], categories=list(classes), ordered=name == "age_group"
            )
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


def check_pictures(found: Listing, origin: Path) -> Listing:
    """The listing. DatasetError where not one picture is left, with the most frequent reasons."""
    if found.faces.empty:
        reasons = "; ".join(found.dropped.reason.value_counts().index[:5]) or "it is empty"
        raise DatasetError(f"{origin}: no picture is left ({reasons})")
    return found


def without_duplicates(found: Listing, labels: Sequence[str], *, progress: bool = True) -> Listing:
    """One of each set of pictures with the same pixels, none of a set whose labels disagree.

    To be done before any split, so that no picture is on both sides. A file that cannot be read is
    left out, and says so.
    """
    table = found.faces
    pixels, unreadable = [], {}
    for image in tqdm(table.image, desc="looking for copies", disable=not progress):
        try:
            pixels.append(fingerprint(images.read(image).tobytes(), digits=64))
        except (ImageError, OSError) as error:
            unreadable[image] = f"unreadable: {error}"
            pixels.append(f"unreadable {image}")
    labelled = table[list(labels)].assign(pixels=pixels).drop_duplicates()
    agree = ~pd.Series(pixels).isin(labelled.pixels[labelled.pixels.duplicated()]).to_numpy()
    first = ~pd.Series(pixels).duplicated().to_numpy()
    reasons = np.where(
        ~agree,
        "same pixels as another picture, other labels",
        np.where(first, "", "copy of another picture"),
    )
    reasons = np.array(
        [unreadable.get(image, reason) for image, reason in zip(table.image, reasons, strict=True)],
        object,
    )
    gone = pd.DataFrame({"image": table.image, "reason": reasons})[reasons != ""]
    return Listing(
        table[reasons == ""].reset_index(drop=True),
        pd.concat([found.dropped, gone], ignore_index=True),
    )
