"""Prepared faces on disk: what a shard holds, and `Prepared`, which reads a folder of them.

    prepared = datasets.Prepared("prepared/utkface")
    crops, maps = prepared.faces([0, 1, 2])

A shard is a Parquet file of consecutive rows of a table: the crop as JPEG or PNG, the map as
28×28 float16, the labels, and in its metadata what it was made of.
"""

import functools
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from safbage import images
from safbage.datasets.tables import with_labels
from safbage.errors import DatasetError
from safbage.runtime.files import fingerprint, read_json, sha256
from safbage.tasks import BOX, FACE_SIZE, LABELS, MAP_SIZE

STORED = ("image", "row", *BOX, "score", "crop", "map")
"""Columns of every shard."""
NOTES = {"options": dict, "versions": dict, "weights": dict, "failed": list, "rows": list}
"""What every shard's metadata tells."""
FAILED = {"image": str, "row": "int64", "reason": str}
"""Columns of the table of failures."""
HELD = 16
"""Shards that are held in memory, still encoded: some 40 MB."""


class Prepared:
    """A folder of shards. It is never in memory as a whole.

    Attributes:
        folder: where ``shards/`` lies.
        table: a row per face: its labels, the box that was used, the box's score, and the `shard`
            and the `place` within it.
        failed: a row per picture without a face: `image`, `row` (of the table that was prepared)
            and `reason`.
        provenance: the options, versions and weights that the shards were made with.
    """

    def __init__(self, folder: str | Path):
        """Open a folder.

        Raises:
            FileNotFoundError: it holds no shards.
            DatasetError: a shard is damaged or missing, or they were made in different ways.
            WorkError: its ``settings.json`` is damaged.
        """
        self.folder = Path(folder)
        self.shards = sorted(
            (self.folder / "shards").glob("part-[0-9][0-9][0-9][0-9][0-9].parquet")
        )
        if not self.shards:
            raise FileNotFoundError(
                f"{self.folder} holds no prepared faces (shards/part-00000.parquet …)"
            )
        notes = {str(shard): read_notes(shard) for shard in self.shards}
        check_versions({shard: note["versions"] for shard, note in notes.items()})
        self._check_whole(notes.values())
        first, *_ = notes.values()
        self.provenance = {name: first[name] for name in ("options", "versions", "weights")}
        failed = [fault for note in notes.values() for fault in note["failed"]]
        self.failed = pd.DataFrame(failed, columns=list(FAILED)).astype(FAILED)
        self.table = pd.concat(
            map(_labels, range(len(self.shards)), self.shards), ignore_index=True
        )
        if self.table.row.duplicated().any():
            raise DatasetError(
                f"{self.folder} holds some faces twice: a shard was copied; "
                "delete the shards and prepare again"
            )
        self._encoded = functools.lru_cache(HELD)(self._read_shard)

    def _check_whole(self, notes):
        """Refuse shards of different making, and a preparation that was not finished."""
        made = {json.dumps([note["options"], note["weights"]], sort_keys=True) for note in notes}
        if len(made) > 1:
            raise DatasetError(
                f"the shards of {self.folder} were made with "
                f"{len(made)} different options or weights"
            )
        settings = self.folder / "settings.json"
        count = read_json(settings, dict).get("shards") if settings.exists() else len(self.shards)
        if len(self.shards) != count:
            raise DatasetError(
                f"{self.folder} has {len(self.shards)} of {count} shards: "
                "run the preparation to its end first"
            )

    def __len__(self):
        return len(self.table)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the shards' bytes, so of crops, maps and labels; it takes a second per GB."""
        parts = (bytes.fromhex(sha256(shard)) for shard in self.shards)
        return fingerprint(*parts, digits=64)

    def _read_shard(self, number):
        part = read_shard(self.shards[number], ["crop", "map"])
        return part["crop"].to_pylist(), part["map"].to_pylist()

    def faces(self, rows) -> tuple[np.ndarray, np.ndarray]:
        """Crops (N×224×224×3 uint8) and maps (N×28×28 float32) of rows of `table`, by position.

        Raises:
            DatasetError: a shard is damaged, or holds something else; the message names it.
        """
        chosen = self.table.iloc[rows]
        faces = [self._face(*at) for at in zip(chosen.shard, chosen.place, strict=True)]
        crops, maps = zip(*faces, strict=True)
        return np.stack(crops), np.stack(maps).astype("float32")

    def _face(self, number, place):
        crops, maps = self._encoded(number)
        try:
            return _crop(crops[place]), np.frombuffer(maps[place], "float16").reshape(MAP_SIZE)
        except ValueError as error:
            raise DatasetError(
                f"{self.shards[number]} holds no face and map at place {place} ({error})"
            ) from error

    def codes(self, task: str) -> np.ndarray:
        """The labels of a task ("age" …) as numbers of its classes, int64; −1 where there is none.

        Raises:
            DatasetError: there are no labels of this task, or one is none of its classes.
        """
        column = LABELS.get(task)
        if column not in self.table:
            raise DatasetError(f"{self.folder} has no labels {task!r}")
        return with_labels(self.table[[column]])[column].cat.codes.to_numpy("int64")


def _labels(number, shard):
    """A shard's rows as a part of the table."""
    part = read_labels(shard)
    try:
        part = with_labels(part)
    except DatasetError as error:
        raise DatasetError(
            f"{shard}: {error}; correct the table and prepare again into another folder"
        ) from error
    return part.assign(shard=number, place=np.arange(len(part)))


def _crop(data):
    """A stored crop. Its size is read first: a shard's wrong claim must not fill the memory."""
    height, width = images.size(data)
    if (height, width) != (FACE_SIZE, FACE_SIZE):
        raise ValueError(f"a crop has {FACE_SIZE}×{FACE_SIZE} pixels, this one {width}×{height}")
    return images.decode(data)


# --- one shard ----------------------------------------------------------------------------------


def path_of(folder: Path, number: int) -> Path:
    """Where a folder's shard of this number lies."""
    return folder / "shards" / f"part-{number:05d}.parquet"


def read_notes(shard: Path) -> dict:
    """A shard's options, versions, weights, rows and failures (`NOTES`).

    Raises:
        DatasetError: it is damaged, or not of this library; the message names it.
    """
    with _damage_of(shard):
        notes = json.loads(pq.read_schema(shard).metadata[b"safbage"])
        wrong = [name for name, kind in NOTES.items() if not isinstance(notes[name], kind)]
        if wrong or list(map(_is_row, notes["rows"])) != [True, True]:
            name = (wrong or ["rows"])[0]
            raise ValueError(f"its notes on {', '.join(wrong) or 'rows'} are {notes[name]!r}")
        if not all(
            FAILED.keys() <= {*fault} and _is_row(fault["row"]) for fault in notes["failed"]
        ):
            raise ValueError(f"its notes on failed pictures are {notes['failed'][:3]}")
    return notes


def _is_row(number):
    """Whether it can be the number of a table's row."""
    return type(number) is int and 0 <= number < 2**31


def read_shard(shard: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Some columns of a shard, or all. Checksums and the promised number of rows are checked.

    Raises:
        DatasetError: it is damaged, or lacks rows or columns; the message names it.
    """
    notes = read_notes(shard)
    with _damage_of(shard), pq.ParquetFile(shard, page_checksum_verification=True) as file:
        missing = [name for name in STORED if name not in file.schema_arrow.names]
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
        table = file.read(columns)
        first, last = notes["rows"]
        promised = last - first + 1 - len(notes["failed"])
        if len(table) != promised:
            raise ValueError(f"it holds {len(table)} of {promised} faces")
        needed = [name for name in ("image", "row", "crop", "map") if name in table.column_names]
        empty = [name for name in needed if table[name].null_count]
        if empty:
            raise ValueError(f"some faces have no {', '.join(empty)}")
    return table


def read_labels(shard: Path) -> pd.DataFrame:
    """All columns of a shard but crops and maps. DatasetError as `read_shard`."""
    with _damage_of(shard):
        columns = [name for name in pq.read_schema(shard).names if name not in ("crop", "map")]
    table = read_shard(shard, columns)
    with _damage_of(shard):  # pandas keeps notes of its own in it
        return table.to_pandas()


@contextmanager
def _damage_of(shard) -> Iterator[None]:
    """Whatever goes wrong in reading a shard as a DatasetError that names it."""
    try:
        yield
    except (OSError, pa.ArrowException, AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else error
        raise DatasetError(
            f"{shard} is damaged, or not made by safbage ({what}). "
            "Prepare again into the same folder, and it is replaced."
        ) from error


def check_versions(versions: dict[str, dict]) -> None:
    """Refuse to mix shards that were made with different versions.

    Args:
        versions: by the name of a shard, the version of each package that made it.

    Raises:
        DatasetError: two differ; the message names both.
    """
    names = list(versions)
    for name in names[1:]:
        one, other = versions[names[0]], versions[name]
        differ = [
            package for package in sorted({*one, *other}) if one.get(package) != other.get(package)
        ]
        if differ:
            was, now = (
                ", ".join(f"{package} {of.get(package)}" for package in differ)
                for of in (one, other)
            )
            raise DatasetError(
                f"{names[0]} is of {was}, {name} of {now}: their pixels may differ. Go on with the "
                "versions that it was begun with, or prepare all into another folder."
            )
