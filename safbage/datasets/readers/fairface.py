"""FairFace: faces balanced over seven groups of "race", with nine age ranges of its own."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from safbage.datasets import spellings
from safbage.datasets.reading import (
    NO_FILE,
    check_folder,
    compare_with_published,
    extract_once,
    list_contents,
    read_rows,
)
from safbage.datasets.source import Source
from safbage.datasets.tables import Listing, check_pictures, listing
from safbage.errors import DatasetError

AGES = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70")
AGE_GROUPS = {"0-2": "0-2", "60-69": "60+", "more than 70": "60+"}
"""The ranges that lie within one of Adience's groups."""
RACES = (
    "East Asian", "Indian", "Black", "White", "Middle Eastern", "Latino_Hispanic",
    "Southeast Asian",
)  # fmt: skip
GENDERS = ("Male", "Female")
MARGINS = ("0.25", "1.25")
DAMAGED_AGES = {
    "3-9": ("03-Sep", "3-Sep", "Sep-03", "Sep-3", "09-Mar", "9-Mar", "Mar-09", "Mar-9"),
    "10-19": ("Oct-19", "19-Oct"),
    "more than 70": ("70+",),
}
"""What spreadsheets make of ages that they take for dates, and another spelling."""
TABLES = {"train": "fairface_label_train.csv", "test": "fairface_label_val.csv"}
PUBLISHED = {"train": 86_744, "test": 10_954}


def fairface(
    folder: str | Path,
    *,
    margin: str = "0.25",
    cache: str | Path | None = None,
    progress: bool = True,
) -> Listing:
    """FairFace, as its authors hand it out or from the Hugging Face hub (Kärkkäinen, Joo 2021).

    Further columns are `fairface_age` (its nine ranges, ordered) and `race` (seven groups).
    Its ranges are not Adience's: 3-9, say, spans one of those, part of another and the gaps
    between. So `age_group` is given only where the range lies within one group (0-2, and from 60
    on), and missing elsewhere. `split`: its training set is `train`, its validation set `test`.

    Args:
        folder: holds ``fairface_label_train.csv`` and ``fairface_label_val.csv`` with the pictures
            in ``train/`` and ``val/``, also under a folder ``fairface-img-margin…``; or Parquet
            files with the pictures inside, in it or below.
        margin: which to take where there are several, 0.25 or 1.25 of the face.
        cache: where the Parquet's pictures are extracted to, once (600 MB at 0.25); by default
            ``pictures/`` beside each file.
        progress: show the extraction.

    Raises:
        FileNotFoundError: there is no such folder.
        DatasetError: the folder has neither form, or a file is damaged or lacks a column.
        PermissionError: nothing can be written to the cache.
        ValueError: there is no such margin.
    """
    if margin not in MARGINS:
        raise ValueError(f"margin is one of {', '.join(MARGINS)}; got {margin!r}")
    folder = check_folder(folder)
    tables = {split: folder / name for split, name in TABLES.items() if (folder / name).is_file()}
    parquet = _parquet_files(folder, margin)
    if tables:
        at = _pictures_folder(folder, margin)
        rows = [
            _row(fields, place, at, split)
            for split, path in tables.items()
            for place, fields in _lines(path)
        ]
    elif parquet:
        rows = [row for path in parquet for row in _parquet_rows(path, cache, progress)]
    else:
        raise DatasetError(
            f"{folder} is not FairFace: expected {' and '.join(TABLES.values())}, "
            f"or Parquet files train-… and validation-…; {list_contents(folder)}"
        )
    faces, dropped = check_pictures(
        listing(rows, groups={"race": RACES, "fairface_age": AGES}), folder
    )
    counts = faces.split.value_counts()
    compare_with_published(
        "FairFace",
        {f"pictures for {split}": (int(counts[split]), n) for split, n in PUBLISHED.items()},
    )
    return Listing(faces.assign(fairface_age=faces.fairface_age.cat.as_ordered()), dropped)


def _lines(path):
    return read_rows(path, ("file", "age", "gender", "race"))


def _pictures_folder(folder, margin):
    """Where train/ and val/ lie."""
    inside = sorted(folder.glob(f"fairface-img-margin{margin.replace('.', '')}*"))
    return inside[0] if inside else folder


def _parquet_files(folder, margin):
    files = sorted(path for path in folder.rglob("*.parquet") if _split_of(path))
    return [path for path in files if margin in path.relative_to(folder).parts] or files


def _split_of(path):
    """train-00000-of-00002.parquet or train/0000.parquet to train; validation to test; or None."""
    found = [spellings.split(name) for name in (path.stem.split("-")[0], path.parent.name)]
    split = next(filter(None, found), None)
    return "test" if split == "validation" else split


def _row(fields, place, at, split):
    """A row of the csv form."""
    if fields is None or not fields["file"]:
        return {"image": place, "reason": "malformed line"}
    return _labelled(at / fields["file"], split, fields["age"], fields["gender"], fields["race"])


def _labelled(image, split, age, gender, race):
    """A row; with a `reason` where a label is unknown or the picture is not there."""
    age = next((name for name, damaged in DAMAGED_AGES.items() if age in damaged), age)
    for what, label, known in (
        ("age", age, AGES),
        ("gender", gender, GENDERS),
        ("race", race, RACES),
    ):
        if label not in known:
            return {"image": str(image), "reason": f"unknown {what}: {label or 'empty'}"}
    if not os.path.isfile(image):  # unlike Path's, it takes any name, however long
        return {"image": str(image), "reason": NO_FILE}
    labels = {
        "fairface_age": age,
        "age_group": AGE_GROUPS.get(age),
        "gender": spellings.gender(gender),
        "race": race,
    }
    return {"image": str(image), "split": split} | labels


def _parquet_rows(path, cache, progress):
    """Rows of a Parquet file, whose pictures are extracted once."""
    try:
        file = pq.ParquetFile(path)
        missing = [
            name
            for name in ("image", "age", "gender", "race")
            if name not in file.schema_arrow.names
        ]
        if missing:
            raise DatasetError(
                f"{path} has no column {', '.join(missing)}; "
                f"it has {', '.join(file.schema_arrow.names)}"
            )
        folder = extract_once(path, cache, lambda aside: _extract(file, aside, path.name, progress))
        labels = _label_names(file.schema_arrow)
        columns = {name: file.read([name])[name].to_pylist() for name in labels}
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, PermissionError) or getattr(
            error, "errno", None
        ):  # the disk's fault, not the file's
            raise
        raise DatasetError(
            f"{path} is not a readable Parquet file ({error}); fetch it again"
        ) from error
    named = [
        [_name_of(value, labels[name]) for value in column] for name, column in columns.items()
    ]
    split = _split_of(path)
    return [
        _labelled(folder / _picture_name(i), split, age, gender, race)
        for i, (age, gender, race) in enumerate(zip(*named, strict=True))
    ]


def _picture_name(row):
    return f"{row:06d}.jpg"


def _extract(file, aside, name, progress):
    """Write the embedded pictures as they are; a row without one gets no file."""
    row = 0
    with tqdm(total=file.metadata.num_rows, desc=f"extracting {name}", disable=not progress) as bar:
        for batch in file.iter_batches(256, columns=["image"]):
            for picture in batch.column("image").to_pylist():
                if picture and picture["bytes"]:
                    (aside / _picture_name(row)).write_bytes(picture["bytes"])
                row += 1
            bar.update(len(batch))


def _label_names(schema):
    """The names behind the numbers of each label column: as the file says, else the hub's page."""
    described = (
        json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        .get("info", {})
        .get("features", {})
    )
    usual = {"age": AGES, "gender": GENDERS, "race": RACES}
    return {name: described.get(name, {}).get("names", default) for name, default in usual.items()}


def _name_of(value, known):
    """A label's name from its number in the file; anything else stays as it is."""
    inside = isinstance(value, int) and 0 <= value < len(known)
    return known[value] if inside else "" if value is None else str(value)


SOURCE = Source(
    title="FairFace",
    what="faces balanced over seven groups of race; nine age ranges, gender",
    pictures="97,698",
    size="560 MB (1.25: 2.1 GB)",
    licence="CC BY 4.0",
    citation="Kärkkäinen and Joo, FairFace: face attribute dataset for balanced race, gender, "
    "and age, WACV 2021",
    where="safbage data fetch fairface; or github.com/joojs/fairface",
    layout="0.25/train-….parquet and 0.25/validation-….parquet; or fairface_label_train.csv, "
    "fairface_label_val.csv, train/, val/",
    folders=("FairFace",),
    read=fairface,
    hub="HuggingFaceM4/FairFace",
)
