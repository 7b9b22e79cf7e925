"""Pairs of pictures, of which an evaluation asks whether they show the same person."""

import csv
from pathlib import Path

import pandas as pd

from safbage.errors import DatasetError

NAMES = ("pairs.txt", "pairs.csv")
"""What a file of pairs is called, in the order in which they are looked for."""
COLUMNS = ("fold", "first", "second", "same")
LARGEST = 5_000_000
"""Bytes of a file of pairs, at most; LFW's has 150 kB."""


def find_pairs(folder: str | Path) -> Path | None:
    """The file of pairs in a folder, by its name; None where there is none."""
    there = (Path(folder) / name for name in NAMES)
    return next((path for path in there if path.is_file()), None)


def read_pairs(path: str | Path) -> pd.DataFrame:
    """LFW's list of pairs, in its own form or as a table with commas.

    A line is ``name number number`` for two pictures of a person, or ``name number name number``
    for two people. A fold ends where such a line is followed by one of the first kind.
    ``pairs.txt`` has tabs, and begins with a line of counts (folds and pairs of each kind, or pairs
    alone), which must be true. A csv begins with a line of names, and has empty fields where a line
    is shorter.

    Returns:
        A row per pair: `fold` (from 0), `first` and `second` (pictures by name, without suffix, as
        "Abel_Pacheco_0001"), and `same`.

    Raises:
        FileNotFoundError: there is no such file.
        DatasetError: a line is neither, the file has another number of pairs than it says, or it
            holds none.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such file of pairs: {path}")
    if path.stat().st_size > LARGEST:
        raise DatasetError(f"{path} is larger than any list of pairs ({LARGEST:,} bytes)")
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    rows, fold, promised = [], 0, None
    for number, fields in enumerate(map(_fields, lines), 1):
        if number == 1 and all(field.isdecimal() for field in fields) and 1 <= len(fields) <= 2:
            promised = [int(field[:9]) for field in fields]
            continue
        if not fields or (number == 1 and fields[0].lower() == "name"):
            continue
        pair = _pair(fields)
        if pair is None:
            raise DatasetError(
                f"{path}:{number} is no pair: {lines[number - 1][:80]!r}; expected a name and two "
                "numbers, or twice a name and a number"
            )
        first, second, same = pair
        if rows and same and not rows[-1][-1]:
            fold += 1
        rows.append((fold, first, second, same))
    if not rows:
        raise DatasetError(f"{path} holds no pairs")
    _check_counts(path, rows, promised)
    return pd.DataFrame(rows, columns=COLUMNS)


def _fields(line):
    """The fields of a line that hold anything."""
    split = line.split("\t") if "\t" in line else next(csv.reader([line]), [])
    return [field.strip() for field in split if field.strip()]


def _pair(fields):
    """(first picture, second picture, whether of one person), or None."""
    if len(fields) == 3:
        name, one, other = fields
        fields = [name, one, name, other]
    if len(fields) != 4 or not all(_is_number(fields[place]) for place in (1, 3)):
        return None
    first, second = (f"{fields[i]}_{int(fields[i + 1]):04d}" for i in (0, 2))
    return first, second, fields[0] == fields[2]


def _is_number(text):
    return text.isascii() and text.isdecimal() and len(text) <= 6


def _check_counts(path, rows, promised):
    """Refuse a file that has lost lines."""
    if promised is None:
        return
    folds, each = promised if len(promised) == 2 else (1, promised[0])
    if len(rows) != 2 * folds * each or rows[-1][0] != folds - 1:
        raise DatasetError(
            f"{path} holds {len(rows):,} pairs in {rows[-1][0] + 1} folds; its first line promises "
            f"{folds} folds of {each} pairs of either kind"
        )


def locate(pairs: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """The pairs whose pictures are both there, with their places in a table.

    Args:
        pairs: as `read_pairs` gives them.
        table: of pictures, with `image`.

    Returns:
        The pairs' rows with whole numbers `a` and `b`, places in `table`; a pair of which a picture
        is missing is left out.

    Raises:
        DatasetError: no pair is left.
    """
    names = pd.Series(range(len(table)), table.image.map(lambda image: Path(image).stem))
    places = names[~names.index.duplicated()]
    found = pairs.assign(a=pairs["first"].map(places), b=pairs.second.map(places))
    found = found.dropna(subset=["a", "b"])
    if found.empty:
        raise DatasetError(
            f"of {len(pairs):,} pairs none has both its pictures here; the first is "
            f"{pairs['first'].iloc[0]} and {pairs.second.iloc[0]}"
        )
    return found.astype({"a": int, "b": int}).reset_index(drop=True)
