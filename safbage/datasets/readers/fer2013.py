"""FER2013: small grey faces with one of seven expressions, as Kaggle's csv or as folders; and FER+'s votes on them."""

from pathlib import Path

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from safbage.datasets import spellings
from safbage.datasets.reading import (
    check_folder,
    compare_with_published,
    extract_once,
    fingerprint,
    list_contents,
    pictures_below,
    read_rows,
)
from safbage.datasets.splits import with_validation
from safbage.datasets.tables import VOTES, Listing, check_pictures, listing, without_duplicates
from safbage.errors import DatasetError

EXPRESSIONS = ("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""In the csv's order."""
USAGE = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
TABLES = ("fer2013.csv", "icml_face_data.csv")
SIDE = 48
PUBLISHED = 35_887
BY_NAME, BY_LINE = "ferplus_votes.csv", "fer2013new.csv"
"""Tables of FER+: one that names pictures, and its authors' own, whose lines are those of FER2013's csv."""
CHOICES = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt", "unknown", "NF")
"""FER+'s columns, in the order of `base.VOTES`."""


def fer2013(
    path: str | Path, *, cache: str | Path | None = None, validation: float = 0.1, seed: int = 0, progress: bool = True
) -> Listing:
    """FER2013 (Goodfellow et al. 2013, Challenges in representation learning) with its seven expressions.

    The csv's Training, PublicTest and PrivateTest are `train`, `validation` and `test`. In the form of folders, ``test`` is
    `test`; where there is no ``test``, ``validation`` is; and where no validation set is left, one is drawn from ``train``. Of
    pictures with the same pixels one is kept, none where their expressions disagree.

    Args:
        path: ``fer2013.csv`` (columns emotion, pixels, Usage), a folder with it, or one with ``train/<class>/`` and
            ``test/<class>/`` or ``validation/<class>/``.
        cache: where the csv's pictures are extracted to as PNG, once (70 MB); by default ``pictures/`` beside it.
        validation: share of the training set for validation, where it is drawn.
        seed: of that draw.
        progress: show the extraction and the search for copies.

    Raises:
        FileNotFoundError: there is no such file or folder.
        DatasetError: it has none of the forms, or the csv lacks a column.
        PermissionError: nothing can be written to the cache.
        ValueError: the share leaves nothing.
    """
    path = Path(path)
    rows, others = _rows(path, cache, progress)
    return _close(path, listing(rows, others), len(rows), validation, seed, progress)


def ferplus(
    path: str | Path, *, cache: str | Path | None = None, validation: float = 0.1, seed: int = 0, progress: bool = True
) -> Listing:
    """FER2013 by FER+ (Barsoum et al. 2016, Training deep networks … with crowd-sourced label distribution): ten votes a picture.

    Beside the common columns, the votes (`base.VOTES`) and FER2013's own label as `fer2013_expression`. `expression` is what
    more than half of the votes say, single ones not counted, as FER+'s authors define a majority. Where votes are tied or
    scattered it is missing, and the votes alone tell. A picture is left out where no expression of the seven has as many
    votes as contempt, "unknown" or "not a face". Splits and copies are as for `fer2013`, copies by the majority.

    Args:
        path: as for `fer2013`; beside ``fer2013.csv`` lies FER+'s ``fer2013new.csv``, or in the folder ``ferplus_votes.csv``,
            the same table with a column `image` for the pictures' names.
        cache: as for `fer2013`, and so the others.
        validation: share of the training set for validation, where it is drawn.
        seed: of that draw.
        progress: show the extraction and the search for copies.

    Raises:
        FileNotFoundError: there is no such file or folder.
        DatasetError: as `fer2013`; or the votes are not there, or lack a column.
        PermissionError: nothing can be written to the cache.
        ValueError: the share leaves nothing.
    """
    path = Path(path)
    rows, others = _rows(path, cache, progress)
    votes = _votes(path if path.is_dir() else path.parent, by_line=_table(path) is not None)
    rows = [row if "reason" in row else _voted(row, votes.get(Path(row["image"]).name)) for row in rows]
    listed = listing(rows, others, groups={"fer2013_expression": EXPRESSIONS})
    return _close(path, listed, len(rows), validation, seed, progress)


def _rows(path, cache, progress):
    """Rows of all pictures, and left-out ones of other files."""
    table = _table(path)
    return (_from_csv(table.resolve(), cache, progress), []) if table else _from_folders(check_folder(path))


def _table(path):
    """The csv, where there is one."""
    return path if path.is_file() else next((path / name for name in TABLES if (path / name).is_file()), None)


def _close(path, listed, count, validation, seed, progress):
    """The listing of so many pictures without copies, and with a validation set."""
    check_pictures(listed, path)
    compare_with_published("FER2013", {"pictures": (count, PUBLISHED)})
    found = without_duplicates(listed, ["expression"], progress=progress)
    if (found.faces.split == "validation").any():
        return found
    return Listing(with_validation(found.faces, validation=validation, seed=seed), found.dropped)


def _votes(folder, by_line):
    """FER+'s votes by the name of the picture: of `base.VOTES` how many, and from its authors' table the split."""
    tables = {BY_NAME: "image"} | ({BY_LINE: "Usage"} if by_line else {})
    table = next((folder / name for name in tables if (folder / name).is_file()), None)
    if table is None:
        raise DatasetError(
            f"{folder} has no votes of FER+: expected {BY_NAME} (image, {', '.join(CHOICES)}), or {BY_LINE} beside fer2013.csv; "
            f"{list_contents(folder)}"
        )
    votes = {}
    for place, fields in read_rows(table, (tables[table.name], *CHOICES)):
        counts = [fields[choice] for choice in CHOICES] if fields else [""]
        if all(count.isdecimal() and len(count) < 3 for count in counts):
            counted = dict(zip(VOTES, map(int, counts), strict=True))
            if table.name == BY_NAME:
                votes[fields["image"]] = counted
            else:
                votes[_picture_name(place)] = counted | {"split": USAGE.get(fields["Usage"])}
    return votes


def _voted(row, votes):
    """The row with its votes, labelled by their majority; with a `reason` where it is left out."""
    if votes is None or votes.get("split", row["split"]) != row["split"] or not any(votes[name] for name in VOTES):
        return row | {"reason": "FER+ has no votes for it"}
    most = max(votes[name] for name in VOTES)
    leading = [name.removeprefix("votes_") for name in VOTES if votes[name] == most]
    if not set(leading) & set(EXPRESSIONS):
        return row | {"reason": f"most of FER+'s votes are for: {leading[0].replace('_', ' ')}"}
    counted = sum(votes[name] for name in VOTES if votes[name] > 1)
    majority = leading[0] if most > 1 and 2 * most > counted else None
    return row | votes | {"fer2013_expression": row["expression"], "expression": majority}


def _from_folders(folder):
    """Rows of <set>/<class>/<picture>, dropped ones with a `reason`; and those of files that are no pictures."""
    sets = {path: spellings.split(path.name) for path in sorted(folder.iterdir()) if path.is_dir() and spellings.split(path.name)}
    if "train" not in sets.values():
        raise DatasetError(
            f"{folder} is no FER2013: expected fer2013.csv, or train/<class>/ and test/<class>/; {list_contents(folder)}"
        )
    if "test" not in sets.values():
        sets = {path: "test" if split == "validation" else split for path, split in sets.items()}
    rows, others = [], []
    for at, split in sets.items():
        pictures, rest = pictures_below(at)
        others += rest
        for image in pictures:
            expression = spellings.expression(image.parent.name)
            problem = {} if expression else {"reason": f"the folder's name is no expression: {image.parent.name}"}
            rows.append({"image": str(image), "split": split, "expression": expression} | problem)
    return rows, others


def _from_csv(table, cache, progress):
    """Rows of the csv, whose pictures are extracted once; dropped ones with a `reason`."""
    pictures = Path(cache) if cache else table.parent / "pictures"
    # the content tells one csv from another, so that pictures and labels never come from different ones
    target = pictures.resolve() / f"{table.stem}-{fingerprint(table)}"
    folder = extract_once(target, lambda aside: _extract(table, aside, progress))
    return [_csv_row(place, fields, folder) for place, fields in _lines(table)]


def _lines(table):
    return read_rows(table, ("emotion", "pixels", "Usage"))


def _picture_name(place):
    return f"{int(place.rpartition(':')[2]):06d}.png"


def _csv_row(place, fields, folder):
    if fields is None:
        return {"image": place, "reason": "malformed line"}
    image = folder / _picture_name(place)
    emotion = fields["emotion"]
    if not (emotion.isdecimal() and len(emotion) < 9 and int(emotion) < len(EXPRESSIONS)):
        return {"image": place, "reason": f"unknown emotion: {emotion[:20] or 'empty'}"}
    if fields["Usage"] not in USAGE:
        return {"image": place, "reason": f"unknown Usage: {fields['Usage'] or 'empty'}"}
    if not image.is_file():
        return {"image": place, "reason": f"pixels are not {SIDE}×{SIDE} numbers from 0 to 255"}
    return {"image": str(image), "split": USAGE[fields["Usage"]], "expression": EXPRESSIONS[int(emotion)]}


def _extract(table, aside, progress):
    """A PNG file per line, named by its number; a line with other pixels gets none."""
    for place, fields in tqdm(_lines(table), desc=f"extracting {table.name}", disable=not progress):
        pixels = _pixels(fields["pixels"]) if fields else None
        if pixels is not None:
            Image.fromarray(pixels).save(aside / _picture_name(place))


def _pixels(text):
    """48×48 uint8, or None."""
    try:
        values = np.array(text.split(), dtype="int64")
    except (ValueError, OverflowError):
        return None
    whole = len(values) == SIDE * SIDE and values.min() >= 0 and values.max() <= 255
    return values.astype("uint8").reshape(SIDE, SIDE) if whole else None
