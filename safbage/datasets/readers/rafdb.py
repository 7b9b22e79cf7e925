"""RAF-DB, its basic part: faces in colour with one of seven expressions."""

from pathlib import Path

from safbage.datasets import spellings
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
from safbage.datasets.tables import Listing, check_pictures, listing, without_duplicates
from safbage.errors import DatasetError

CLASSES = ("surprise", "fear", "disgust", "happy", "sad", "anger", "neutral")
EXPRESSIONS = dict(zip("1234567", CLASSES, strict=True))
LIST, TABLES = "list_patition_label.txt", ("train_labels.csv", "test_labels.csv")
"""The authors' table, spelt as they do, and those that copies of the set come with."""
PUBLISHED = {"train": 12_271, "test": 3_068}


def rafdb(
    folder: str | Path, *, validation: float = 0.1, seed: int = 0, progress: bool = True
) -> Listing:
    """RAF-DB's basic part: aligned faces, one expression each (Li, Deng, Du 2017).

    `split` is its own; a validation set is drawn from the training set. One of several pictures
    with the same pixels is kept, the test set's where it has one; none is kept where their
    expressions disagree. The set does not say who is shown.

    Args:
        folder: holds, in it or below, ``list_patition_label.txt`` (name, number of the expression),
            or ``train_labels.csv`` and ``test_labels.csv`` (image, label); and anywhere below
            ``train_00001_aligned.jpg`` … and ``test_0001_aligned.jpg`` ….
        validation: share of the training set for validation.
        seed: of that draw.
        progress: show the search for copies.

    Raises:
        FileNotFoundError: there is no such folder.
        DatasetError: it has neither table, or one lacks a column; or no picture is left, and why.
        ValueError: the share leaves nothing.
    """
    folder = check_folder(folder)
    lines = _lines(folder)
    aligned = {
        _name(path): path for path in pictures_below(folder)[0] if path.stem.endswith("_aligned")
    }
    rows = sorted(
        (_row(place, fields, aligned) for place, fields in lines),
        key=lambda row: row.get("split") == "train",
    )
    unlisted = set(map(str, aligned.values())) - {row["image"] for row in rows}
    others = [{"image": image, "reason": "no table has its label"} for image in sorted(unlisted)]
    listed = check_pictures(listing(rows, others), folder)
    counts = listed.faces.split.value_counts()
    compare_with_published(
        "RAF-DB",
        {f"pictures for {split}": (int(counts[split]), n) for split, n in PUBLISHED.items()},
    )
    found = without_duplicates(listed, ["expression"], progress=progress)
    return Listing(with_validation(found.faces, validation=validation, seed=seed), found.dropped)


def _lines(folder):
    """Place and fields of every line of the tables."""
    found = sorted(folder.rglob(LIST))[:1] or [
        path for name in TABLES for path in sorted(folder.rglob(name))[:1]
    ]
    if not found:
        raise DatasetError(
            f"{folder} is not RAF-DB: expected {LIST}, or {' and '.join(TABLES)}; "
            f"{list_contents(folder)}"
        )
    header, form = ("image", "label"), {"delimiter": " ", "header": ("image", "label")}
    return [
        line
        for path in found
        for line in read_rows(path, header, **(form if path.name == LIST else {}))
    ]


def _name(path):
    """train_00001.jpg and train_00001_aligned.jpg to train_00001."""
    return Path(path).stem.removesuffix("_aligned")


def _row(place, fields, aligned):
    """A row; with a `reason` where the label is unknown or the picture is not there."""
    if fields is None or not fields["image"]:
        return {"image": place, "reason": "malformed line"}
    name, label = _name(fields["image"]), fields["label"]
    image, split = str(aligned.get(name, fields["image"])), spellings.split(name.partition("_")[0])
    if split is None:
        return {"image": image, "reason": "the name begins neither with train_ nor with test_"}
    if label not in EXPRESSIONS:
        return {"image": image, "reason": f"unknown label: {label[:20] or 'empty'}"}
    if name not in aligned:
        return {"image": image, "reason": NO_FILE}
    return {"image": image, "split": split, "expression": EXPRESSIONS[label]}


SOURCE = Source(
    title="RAF-DB",
    what="aligned faces in colour, 100×100; seven expressions (its basic part)",
    pictures="15,339",
    size="40 MB aligned",
    licence="non-commercial research",
    citation="Li, Deng, Du, Reliable crowdsourcing and deep locality-preserving learning for "
    "expression recognition in the wild, CVPR 2017",
    where="its authors, by the form on the project page, whdeng.cn/RAF/model1.html",
    layout="EmoLabel/list_patition_label.txt, or train_labels.csv and test_labels.csv (image, "
    "label); and below it train_00001_aligned.jpg … and test_0001_aligned.jpg …",
    folders=("RAF-DB", "RAFDB", "raf_db"),
    read=rafdb,
    preparation={"without_face": "whole", "min_face": 0.4},  # aligned, with next to no margin
)
