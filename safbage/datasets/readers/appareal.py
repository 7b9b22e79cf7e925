"""APPA-REAL: faces with their real age, and with the age that some 38 people guessed."""

import json
import logging
import os
from pathlib import Path

from safbage.datasets import spellings
from safbage.datasets.reading import (
    NO_FILE,
    check_folder,
    compare_with_published,
    list_contents,
    read_rows,
)
from safbage.datasets.source import Source
from safbage.datasets.tables import Listing, age_group, check_pictures, listing, without_duplicates
from safbage.errors import DatasetError
from safbage.tasks import SPLITS

logger = logging.getLogger(__name__)

COLUMNS = {
    "age": "real_age",
    "apparent_age": "apparent_age_avg",
    "apparent_age_spread": "apparent_age_std",
}
"""Columns of this library's tables, and of the authors'."""
GUESSES = "CLAP2016.json"
OLDEST = 120
PUBLISHED = 7_591


def appareal(folder: str | Path, *, progress: bool = True) -> Listing:
    """APPA-REAL's face crops, in its official split (Agustsson et al. 2017).

    `age`, and so `age_group`, is the real one. Further columns are `apparent_age` and
    `apparent_age_spread`: mean and standard deviation of the guesses (0 where all are alike). Of
    pictures with the same pixels one is kept, the test set's where it has one; none is kept where
    their ages disagree.

    Args:
        folder: holds ``train/``, ``valid/`` (or ``val/``) and ``test/``, and of each a table:
            ``gt_avg_train.csv``, as its authors hand it out, with the pictures
            ``000000.jpg_face.jpg``; or ``train_labels.csv``, lines of file name and real age
            without a header, with the crops as ``000000.jpg``. Then the guesses are taken from
            ``CLAP2016.json`` (Paplhám and Franc 2024), in the folder or beside it; without it
            apparent ages are missing.
        progress: show the search for copies.

    Raises:
        FileNotFoundError: there is no such folder.
        DatasetError: it has no table of any part, a table lacks a column, or ``CLAP2016.json``
            holds something else; or no picture is left, and why.
    """
    folder = check_folder(folder)
    tables = [(at, table) for at in sorted(folder.iterdir()) if (table := _table(at))]
    if not tables:
        raise DatasetError(
            f"{folder} is not APPA-REAL: expected train/, valid/ and test/ with gt_avg_train.csv … "
            f"or train_labels.csv …; {list_contents(folder)}"
        )
    tables.sort(key=lambda of: SPLITS.index(spellings.split(of[0].name)), reverse=True)
    guesses = _guesses(folder)
    rows = [
        _row(place, fields, at, guesses) for at, table in tables for place, fields in _lines(table)
    ]
    listed = check_pictures(listing(rows), folder)
    if "apparent_age" not in listed.faces:
        logger.warning(
            "APPA-REAL: no apparent ages: %s is not in %s, nor beside it", GUESSES, folder
        )
    compare_with_published("APPA-REAL", {"pictures": (len(rows), PUBLISHED)})
    return without_duplicates(listed, ["age"], progress=progress)


def _table(at):
    """The table of a part's folder; None where there is none, or the folder is not a part."""
    tables = (
        [at.parent / f"gt_avg_{at.name}.csv", at.parent / f"{at.name}_labels.csv"]
        if spellings.split(at.name)
        else []
    )
    return next((table for table in tables if table.is_file()), None)


def _lines(table):
    header = None if table.name.startswith("gt_avg_") else ("file_name", "real_age")
    return read_rows(table, ("file_name", "real_age"), header=header)


def _guesses(folder):
    """What the authors' table says of the guesses, by the pictures' split and name; empty where
    the file is not there."""
    path = next((at / GUESSES for at in (folder, folder.parent) if (at / GUESSES).is_file()), None)
    if path is None:
        return {}
    guesses = {}
    try:
        for told in json.loads(path.read_text(encoding="utf-8")):
            part, name = Path(told["img_path"]).parts[-2:]
            guesses[spellings.split(part), name] = {
                "apparent_age_avg": told["age"],
                "apparent_age_std": told["std_age"],
            }
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DatasetError(
            f"{path} is not a list of img_path, age and std_age ({error!r}); "
            "fetch it again, or remove it"
        ) from error
    return guesses


def _row(place, fields, at, guesses):
    """A row; with a `reason` where an age is none or the picture is not there."""
    if fields is None or not fields["file_name"]:
        return {"image": place, "reason": "malformed line"}
    name, split = fields["file_name"], spellings.split(at.name)
    image = next(
        (path for path in (f"{at / name}_face.jpg", str(at / name)) if os.path.isfile(path)), None
    )
    told = guesses.get((split, name), {}) | fields
    years = {ours: _years(told[theirs]) for ours, theirs in COLUMNS.items() if theirs in told}
    unknown = [
        f"{ours} {str(told[COLUMNS[ours]])[:20]!r}"
        for ours, number in years.items()
        if number is None
    ]
    if unknown:
        return {"image": image or str(at / name), "reason": f"unknown: {', '.join(unknown)}"}
    if image is None:
        return {"image": str(at / name), "reason": NO_FILE}
    return {"image": image, "split": split, "age_group": age_group(years["age"])} | years


def _years(value):
    """A number of years; None where it is none."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if 0 <= number <= OLDEST else None


SOURCE = Source(
    title="APPA-REAL",
    what="face crops; real age, and mean and spread of some 38 guesses of it",
    pictures="7,591",
    size="",
    licence="research",
    citation="Agustsson et al., Apparent and real age estimation in still images with deep "
    "residual regressors on APPA-REAL database, FG 2017",
    where="chalearnlap.cvc.uab.cat/dataset/26; CLAP2016.json (MIT): "
    "github.com/paplhjak/Facial-Age-Estimation-Benchmark-Databases",
    layout="train/, valid/, test/ and gt_avg_train.csv …; "
    "or train_labels.csv … (file name, real age) and CLAP2016.json",
    folders=("APPA-REAL", "appa-real-release", "appareal", "appa_real"),
    read=appareal,
)
