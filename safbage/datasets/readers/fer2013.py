"""FER2013: small grey faces with one of seven expressions, as Kaggle's csv or as folders."""

from pathlib import Path

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from safbage.datasets import spellings
from safbage.datasets.reading import (
    check_folder,
    compare_with_published,
    extract_once,
    list_contents,
    pictures_below,
    read_rows,
)
from safbage.datasets.source import Source
from safbage.datasets.splits import with_validation
from safbage.datasets.tables import Listing, check_pictures, listing, without_duplicates
from safbage.errors import DatasetError

EXPRESSIONS = ("anger", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""In the csv's order."""
USAGE = {"Training": "train", "PublicTest": "validation", "PrivateTest": "test"}
TABLES = ("fer2013.csv", "icml_face_data.csv")
SIDE = 48
PUBLISHED = 35_887


def fer2013(
    path: str | Path,
    *,
    cache: str | Path | None = None,
    validation: float = 0.1,
    seed: int = 0,
    progress: bool = True,
) -> Listing:
    """FER2013 with its seven expressions (Goodfellow et al. 2013).

    The csv's Training, PublicTest and PrivateTest are `train`, `validation` and `test`. In the form
    of folders, ``test`` is `test`; where there is no ``test``, ``validation`` is; and where no
    validation set is left, one is drawn from ``train``. One of several pictures with the same
    pixels is kept, none where their expressions disagree.

    Args:
        path: ``fer2013.csv`` (columns emotion, pixels, Usage), a folder with it, or one with
            ``train/<class>/`` and ``test/<class>/`` or ``validation/<class>/``.
        cache: where the csv's pictures are extracted to as PNG, once (70 MB); by default
            ``pictures/`` beside it.
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
    rows, others = read_pictures(path, cache, progress)
    listed = listing(rows, others)
    return finish(path, listed, len(rows), validation=validation, seed=seed, progress=progress)


def read_pictures(
    path: Path, cache: str | Path | None, progress: bool
) -> tuple[list[dict], list[dict]]:
    """Rows of all pictures, and left-out ones of other files."""
    table = find_table(path)
    if table is None:
        return _from_folders(check_folder(path))
    return _from_csv(table.resolve(), cache, progress), []


def find_table(path: Path) -> Path | None:
    """The csv, where there is one."""
    if path.is_file():
        return path
    return next((path / name for name in TABLES if (path / name).is_file()), None)


def finish(
    path: Path, listed: Listing, count: int, *, validation: float, seed: int, progress: bool
) -> Listing:
    """The listing of so many pictures without copies, and with a validation set."""
    check_pictures(listed, path)
    compare_with_published("FER2013", {"pictures": (count, PUBLISHED)})
    found = without_duplicates(listed, ["expression"], progress=progress)
    if (found.faces.split == "validation").any():
        return found
    return Listing(with_validation(found.faces, validation=validation, seed=seed), found.dropped)


def _from_folders(folder):
    """Rows of <set>/<class>/<picture>, dropped ones with a `reason`; and those of other files."""
    sets = {
        path: spellings.split(path.name)
        for path in sorted(folder.iterdir())
        if path.is_dir() and spellings.split(path.name)
    }
    if "train" not in sets.values():
        raise DatasetError(
            f"{folder} is not FER2013: expected fer2013.csv, or train/<class>/ and test/<class>/; "
            f"{list_contents(folder)}"
        )
    if "test" not in sets.values():
        sets = {path: "test" if split == "validation" else split for path, split in sets.items()}
    rows, others = [], []
    for at, split in sets.items():
        pictures, rest = pictures_below(at)
        others += rest
        for image in pictures:
            expression = spellings.expression(image.parent.name)
            problem = (
                {}
                if expression
                else {"reason": f"the folder's name is not an expression: {image.parent.name}"}
            )
            rows.append({"image": str(image), "split": split, "expression": expression} | problem)
    return rows, others


def _from_csv(table, cache, progress):
    """Rows of the csv, whose pictures are extracted once; dropped ones with a `reason`."""
    folder = extract_once(table, cache, lambda aside: _extract(table, aside, progress))
    return [_csv_row(place, fields, folder) for place, fields in _lines(table)]


def _lines(table):
    return read_rows(table, ("emotion", "pixels", "Usage"))


def picture_name(place: str) -> str:
    """The file of a line's picture, by the line's place ("fer2013.csv:2")."""
    return f"{int(place.rpartition(':')[2]):06d}.png"


def _csv_row(place, fields, folder):
    if fields is None:
        return {"image": place, "reason": "malformed line"}
    image = folder / picture_name(place)
    emotion = fields["emotion"]
    if not (emotion.isdecimal() and len(emotion) < 9 and int(emotion) < len(EXPRESSIONS)):
        return {"image": place, "reason": f"unknown emotion: {emotion[:20] or 'empty'}"}
    if fields["Usage"] not in USAGE:
        return {"image": place, "reason": f"unknown Usage: {fields['Usage'] or 'empty'}"}
    if not image.is_file():
        return {"image": place, "reason": f"pixels are not {SIDE}×{SIDE} numbers from 0 to 255"}
    return {
        "image": str(image),
        "split": USAGE[fields["Usage"]],
        "expression": EXPRESSIONS[int(emotion)],
    }


def _extract(table, aside, progress):
    """A PNG file per line, named by its number; a line with other pixels gets none."""
    for place, fields in tqdm(_lines(table), desc=f"extracting {table.name}", disable=not progress):
        pixels = _pixels(fields["pixels"]) if fields else None
        if pixels is not None:
            Image.fromarray(pixels).save(aside / picture_name(place))


def _pixels(text):
    """48×48 uint8, or None."""
    try:
        values = np.array(text.split(), dtype="int64")
    except (ValueError, OverflowError):
        return None
    whole = len(values) == SIDE * SIDE and values.min() >= 0 and values.max() <= 255
    return values.astype("uint8").reshape(SIDE, SIDE) if whole else None


SOURCE = Source(
    title="FER2013",
    what="grey faces, 48×48; seven expressions",
    pictures="35,887",
    size="300 MB as csv, 60 MB as pictures",
    licence="the terms of its Kaggle challenge",
    citation="Goodfellow et al., Challenges in representation learning, ICONIP 2013",
    where="kaggle.com, "
    "challenges-in-representation-learning-facial-expression-recognition-challenge, "
    "with an account",
    layout="fer2013.csv (emotion, pixels, Usage); "
    "or train/<class>/ and test/<class>/ or validation/<class>/",
    folders=("fer2013", "FER-2013", "fer_2013"),
    read=fer2013,
    preparation={"without_face": "whole", "min_face": 0.4},  # 48×48 pixels, nothing but face
)
