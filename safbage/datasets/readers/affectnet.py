"""AffectNet: faces from web searches with the annotators' expressions, in both published forms."""

import os
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from safbage import images
from safbage.datasets.reading import (
    NO_FILE,
    check_folder,
    compare_with_published,
    list_contents,
    pictures_below,
    read_rows,
)
from safbage.datasets.source import Source
from safbage.datasets.splits import with_validation
from safbage.datasets.tables import Listing, check_pictures, listing
from safbage.errors import DatasetError
from safbage.tasks import BOX, EXPRESSIONS

OTHER_LABELS = {
    7: "contempt, not one of the paper's seven",
    8: "labelled: none of the expressions",
    9: "labelled uncertain",
    10: "labelled: no face",
}
PUBLISHED = {"train": 283_901, "test": 3_500}
"""How many pictures the published training and validation sets hold of the seven expressions."""
TABLES = {"train": "training.csv", "test": "validation.csv"}
FOLDERS = {
    "train": ("train_set", "train", "training"),
    "test": ("val_set", "val", "validation", "valid"),
}
HEADER = (
    "subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks",
    "expression", "valence", "arousal",
)  # fmt: skip
"""Columns of the older form's tables, some of which come without a first line."""
NEEDED = (*HEADER[:5], "expression")


def affectnet(
    folder: str | Path,
    *,
    validation: float = 0.2,
    seed: int = 0,
    require_files: bool = True,
    progress: bool = True,
) -> Listing:
    """AffectNet with the paper's seven expressions (Mollahosseini, Hasani, Mahoor 2017).

    Contempt and the rest are dropped. The split is the paper's (Table 1): the published validation
    set, 500 pictures per class, is `test`; `train` and `validation` are drawn from the published
    training set. The older form gives the face's box.

    Args:
        folder: the older form (``training.csv`` and ``validation.csv``, in it or in
            ``Manually_Annotated_file_lists``, with the pictures in their numbered folders, also
            under ``Manually_Annotated_Images``), or the newer one (``train_set`` and ``val_set``,
            each with ``images/<id>.jpg`` and ``annotations/<id>_exp.npy``).
        validation: share of the training set for validation; a fifth in Table 1.
        seed: of that draw.
        require_files: in the older form, drop rows whose picture is not there.
        progress: show how far the newer form's annotations are read.

    Raises:
        FileNotFoundError: there is no such folder.
        DatasetError: the folder has neither form, a table lacks a column, or no picture is left.
        ValueError: the share leaves nothing.
    """
    folder = check_folder(folder)
    tables = {
        split: _first_there(folder / "Manually_Annotated_file_lists" / n, folder / n)
        for split, n in TABLES.items()
    }
    sets = {
        split: _first_there(*(folder / name / "annotations" for name in names))
        for split, names in FOLDERS.items()
    }
    if any(tables.values()):
        parts = [
            _older(path, folder, split, require_files) for split, path in tables.items() if path
        ]
    elif any(sets.values()):
        parts = [_newer(path.parent, split, progress) for split, path in sets.items() if path]
    else:
        raise DatasetError(
            f"{folder} is not AffectNet: expected training.csv and validation.csv, or train_set/ "
            f"and val_set/ with images/ and annotations/; {list_contents(folder)}"
        )
    table, dropped = check_pictures(listing(row for part in parts for row in part), folder)
    counts = table.split.value_counts()
    compare_with_published(
        "AffectNet",
        {f"pictures for {split}": (int(counts[split]), n) for split, n in PUBLISHED.items()},
    )
    return Listing(with_validation(table, validation=validation, seed=seed), dropped)


def _first_there(*paths):
    return next((path for path in paths if path.exists()), None)


def _older(path, folder, split, require_files):
    """Rows of training.csv or validation.csv, dropped ones with a `reason`."""
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        begins_with_a_picture = (
            file.readline().split(",")[0].strip().lower().endswith(images.suffixes())
        )
    lines = list(read_rows(path, NEEDED, header=HEADER if begins_with_a_picture else None))
    at = folder
    for name in (
        "Manually_Annotated_Images",
        "Manually_Annotated",
        "Manually_Annotated/Manually_Annotated_Images",
    ):
        if any(
            fields and os.path.isfile(folder / name / fields["subDirectory_filePath"])
            for _, fields in lines[:1000]
        ):
            at = folder / name
    return [_older_row(place, fields, at, split, require_files) for place, fields in lines]


def _older_row(place, fields, at, split, require_files):
    if fields is None or not fields["subDirectory_filePath"]:
        return {"image": place, "reason": "malformed line"}
    image = at / fields["subDirectory_filePath"]
    row = _labelled(image, fields["expression"], split)
    if (
        "reason" not in row and require_files and not os.path.isfile(image)
    ):  # unlike Path's, it takes any name
        return {"image": str(image), "reason": NO_FILE}
    return row | dict(zip(BOX, map(_pixels, HEADER[1:5], [fields] * 4), strict=True))


def _pixels(name, fields):
    """A side of the box; None for NULL."""
    try:
        return float(fields[name])
    except ValueError:
        return None


def _newer(at, split, progress):
    """Rows of a set's pictures and annotations, dropped ones with a `reason`."""
    found, rows = pictures_below(at / "images")
    pictures = {}
    for path in found:
        if pictures.setdefault(path.stem, path) != path:
            rows.append({"image": str(path), "reason": "another picture has the same number"})
    ending = "_exp.npy"
    annotations = {
        path.name.removesuffix(ending): path for path in (at / "annotations").glob(f"*{ending}")
    }
    names = sorted({*pictures, *annotations})
    for name in tqdm(names, desc=f"annotations in {at.name}", disable=not progress):
        image = pictures.get(name, at / "images" / f"{name}.jpg")
        if name not in annotations:
            rows.append({"image": str(image), "reason": "the picture has no annotation"})
        elif name not in pictures:
            rows.append({"image": str(image), "reason": NO_FILE})
        else:
            rows.append(_labelled(image, _annotation(annotations[name]), split))
    return rows


def _annotation(path):
    """The number in an annotation's file, as text; empty where the file is damaged."""
    try:
        return str(np.load(path, allow_pickle=False).item())
    except (OSError, ValueError, EOFError):
        return ""


def _labelled(image, expression, split):
    """A row; with a `reason` where the expression is none of the seven."""
    number = int(expression) if expression.isdecimal() and len(expression) < 9 else None
    if number is not None and number < len(EXPRESSIONS):
        return {"image": str(image), "split": split, "expression": EXPRESSIONS[number]}
    return {
        "image": str(image),
        "reason": OTHER_LABELS.get(number, "the expression is not a number from 0 to 10"),
    }


SOURCE = Source(
    title="AffectNet",
    what="faces from web searches; eight expressions, valence, arousal",
    pictures="291,651 labelled by people with an expression",
    size="",
    licence="research, by the form's terms",
    citation="Mollahosseini, Hasani, Mahoor, AffectNet, "
    "IEEE Transactions on Affective Computing 2017",
    where="the form on the project page, mohammadmahoor.com/affectnet, "
    "signed by a professor or laboratory manager",
    layout="training.csv, validation.csv and the pictures' numbered folders; or train_set/ and "
    "val_set/, each with images/<id>.jpg and annotations/<id>_exp.npy",
    folders=("AffectNet",),
    read=affectnet,
    whole_split=True,
)
