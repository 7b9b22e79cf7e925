"""Any table of pictures and labels."""

import os
from pathlib import Path

from safbage.datasets import spellings, tables
from safbage.datasets.reading import NO_FILE, read_rows
from safbage.datasets.tables import APPARENT, COLUMNS, VOTES, Listing, check_pictures, listing
from safbage.tasks import BOX, LABELS


def csv(path: str | Path, *, require_files: bool = True, **columns: str) -> Listing:
    """Pictures and labels from a CSV (UTF-8, with a header).

        found = datasets.csv("my.csv", image="file", gender="sex")

    Takes the columns that are named as in this library's tables (`COLUMNS`, `APPARENT`, `VOTES` and
    `BOX`), and those that a keyword maps. At least one label is needed: `age` (years; `age_group`
    follows where it is not given), `age_group`, `gender` or `expression`, in the usual spellings.
    Empty fields are missing labels. A row with a value that is none of the classes is dropped and
    says so.

    Args:
        path: the file. Pictures are named relative to its folder, or absolutely.
        require_files: drop rows whose picture is not there.
        columns: a column of this library = its name in the file.

    Raises:
        FileNotFoundError: there is no such file.
        TypeError: a keyword is not a column of this library.
        DatasetError: a mapped column, the image or every label is missing from the file; or no row
            is left, and why.
    """
    path = Path(path)
    strange = [name for name in columns if name not in _READ]
    if strange:
        raise TypeError(f"no such column: {', '.join(strange)}; there are {', '.join(_READ)}")
    rows = [
        _row(place, fields, path.resolve().parent, columns, require_files)
        for place, fields in read_rows(path, list({"image": "image", **columns}.values()))
    ]
    return check_pictures(listing(rows), path)


def _number(text):
    try:
        return float(text)
    except ValueError:
        return None


def _age(text):
    number = _number(text)
    return number if number is not None and 0 <= number <= 120 else None


def _whole(text):
    return int(text) if text.isdecimal() and len(text) < 9 and int(text) < 100 else None


_READ = (
    dict.fromkeys(COLUMNS, str)
    | dict.fromkeys(APPARENT, _age)
    | dict.fromkeys(VOTES, _whole)
    | dict.fromkeys(BOX, _number)
)
_READ |= {"fold": _whole, "split": spellings.split, "age": _age, "age_group": spellings.age_group}
_READ |= {"gender": spellings.gender, "expression": spellings.expression}
"""What makes a value of a text, by column; it gives None where it cannot."""


def _row(place, fields, folder, columns, require_files):
    """A row; with a `reason` where it is dropped."""
    if fields is None or not fields[columns.get("image", "image")]:
        return {"image": place, "reason": "malformed line"}
    texts = {name: fields.get(columns.get(name, name), "") for name in _READ}
    image = folder / texts["image"]
    row = {name: _READ[name](text) if text else None for name, text in texts.items()} | {
        "image": str(image)
    }
    unknown = [
        f"{name} {texts[name]!r}" for name, value in row.items() if texts[name] and value is None
    ]
    if unknown:
        return {"image": str(image), "reason": f"unknown: {', '.join(unknown)}"}
    row["age_group"] = row["age_group"] or tables.age_group(row["age"])
    if all(row[label] is None for label in ("age", *LABELS.values())):
        return {"image": str(image), "reason": "neither age, age_group, gender nor expression"}
    if require_files and not os.path.isfile(
        image
    ):  # unlike Path's, it takes any name, however long
        return {"image": str(image), "reason": NO_FILE}
    return row
