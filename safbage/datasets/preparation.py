"""From a table of pictures to shards of cropped faces with their saliency, once, and never again for another ratio or task.

    faces, dropped = datasets.utkface("/data/UTKFace")
    report = preparation.prepare(faces, "prepared/utkface", workers=2)

A shard is a Parquet file of consecutive rows of the table: the crop as JPEG or PNG, the map as 28×28 float16, the labels, and
where it all came from. Shards do not depend on each other, so a killed run goes on with those that are missing, and any number
of processes or machines may make them; the result is the same, row for row. The same call on the same machine gives the same
bytes; other numbers of threads sum in another order, and the last digit of a box or a map may differ.
"""

import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from safbage import faces, images, saliency
from safbage.datasets.tables import with_labels
from safbage.errors import DatasetError
from safbage.faces import Face
from safbage.photos import PIXELS, SECONDS
from safbage.runtime import backend, parallel, weights
from safbage.runtime.backend import keras
from safbage.runtime.files import clear_asides, write_whole
from safbage.runtime.work import resuming
from safbage.saliency import mlnet
from safbage.tasks import BOX

DETECTIONS = ("mtcnn", "box", "none")
FORMATS = ("jpeg", "png")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
RESERVED = ("row", "score", "crop", "map", "shard", "place")
STORED = ("image", "row", *BOX, "score", "crop", "map")
"""Columns of every shard."""
NOTES = {"options": dict, "versions": dict, "weights": dict, "failed": list, "rows": list}
"""What every shard's metadata tells."""
READERS = 2
"""Threads that read and detect ahead while ML-Net runs."""


@dataclass(frozen=True)
class Preparation:
    """What the crops and maps depend on; a folder holds those of one set of options only.

    Attributes:
        detect: where the face's box comes from: "mtcnn", the table's own "box", or "none" (the whole picture).
        without_face: what becomes of a picture in which MTCNN finds nothing: "fail", or "whole" (the picture is the box).
        min_face: smallest face looked for, as a share of the picture's shorter side.
        margin: how much wider than the box the crop is (the paper's 0.3).
        saliency: "mlnet", "light" or a file, as `mlnet.load` takes.
        precision: Keras dtype policy of ML-Net; "mixed_bfloat16" is several times faster where the hardware has it.
        image_format: "jpeg" (quality 95, some 20 kB a face) or "png" (lossless, four times that).
        shard_size: rows of the table per shard.
    """

    detect: str = "mtcnn"
    without_face: str = "fail"
    min_face: float = 0.2
    margin: float = 0.3
    saliency: str = "mlnet"
    precision: str = "float32"
    image_format: str = "jpeg"
    shard_size: int = 128

    def __post_init__(self):
        for name, allowed in (
            ("detect", DETECTIONS),
            ("without_face", ("fail", "whole")),
            ("image_format", FORMATS),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is one of {', '.join(allowed)}; got {getattr(self, name)!r}")
        if not 0 < self.min_face <= 1 or not 0 <= self.margin <= 2 or self.shard_size < 1:
            raise ValueError("min_face lies above 0 and up to 1, margin from 0 to 2, and shard_size is at least 1")


# --- one shard -------------------------------------------------------------------------------------------------------


def make_shard(table: pd.DataFrame, folder: str, number: int, options: Preparation) -> int:
    """Crop and map the faces of some rows, and write ``shards/part-<number>.parquet``; rows that fail are noted in its metadata.

    The pictures are read and their faces found by threads while ML-Net runs on those before. Returns the number of rows.
    """
    network = _network(options.saliency, options.precision)
    done, failed, waiting = [], [], []
    batch = backend.batch_size()
    found = parallel.ahead(
        lambda row: (row, _find(row, options)),
        table.to_dict("records"),
        threads=READERS,
        limit=2 * max(batch, READERS),
        size=lambda row: images.pixels(row["image"]),
        room=PIXELS,
        seconds=SECONDS,
        late=lambda row: (row, f"took longer than {SECONDS:g} s"),
    )
    with closing(found):
        for row, result in found:
            if isinstance(result, str):
                failed.append({"image": row["image"], "row": row["row"], "reason": result})
                continue
            waiting.append((row, *result))
            if len(waiting) == batch:
                done += finish(waiting, network, options)
                waiting = []
        done += finish(waiting, network, options)
    notes = _provenance(options) | {"failed": failed, "rows": [int(table.row.iloc[0]), int(table.row.iloc[-1])]}
    path = _path(Path(folder), number)
    path.parent.mkdir(parents=True, exist_ok=True)
    arrow = _as_arrow(table, done)
    arrow = arrow.replace_schema_metadata({**arrow.schema.metadata, b"safbage": json.dumps(notes, sort_keys=True).encode()})
    write_whole(path, lambda aside: pq.write_table(arrow, aside, write_page_checksum=True))
    return len(table)


@functools.cache
def _network(source, precision):
    """ML-Net, loaded once per process."""
    with backend.precision(precision):
        return mlnet.load(source)


def _find(row, options):
    """(face, crop) of a row's picture, or in words why there is none; one bad picture must not cost the others theirs."""
    try:
        picture = images.read(row["image"])
        face = _face(picture, row, options)
        return "no face found" if face is None else (face, faces.crop_face(picture, face, margin=options.margin))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _face(picture, row, options):
    height, width = picture.shape[:2]
    whole = Face((0.0, 0.0, float(width), float(height)), float("nan"), {})
    if options.detect == "none":
        return whole
    if options.detect == "box":
        box = tuple(float(pd.to_numeric(row[name], errors="coerce")) for name in BOX)
        if not np.isfinite(box).all() or min(box[2:]) <= 0 or max(box[2:]) > 2 * max(height, width):
            raise ValueError(f"the table's box is {box}, the picture {width}×{height}")
        return Face(box, float("nan"), {})
    found = faces.detect_enlarged(picture, min_face=options.min_face)
    if not found:
        return whole if options.without_face == "whole" else None
    return most_central(found, (height, width))


def most_central(found: list[Face], size: tuple[int, int]) -> Face:
    """Of several faces the one that a portrait is of: the largest whose box holds the picture's middle, else the surest."""
    height, width = size

    def holds_middle(face):
        left, top, w, h = face.box
        return left <= width / 2 <= left + w and top <= height / 2 <= top + h

    central = [face for face in found if holds_middle(face)]
    return max(central, key=lambda face: face.box[2] * face.box[3]) if central else found[0]


def finish(waiting, network, options):
    """Maps of a batch of crops, and everything as the columns of a shard."""
    if not waiting:
        return []
    maps = saliency.predict_faces(np.stack([crop for _, _, crop in waiting]), network).astype("float16")
    return [
        {
            "row": row["row"],
            **dict(zip(BOX, face.box, strict=True)),
            "score": face.score,
            "crop": images.encode(crop, options.image_format),
            "map": map.tobytes(),
        }
        for (row, face, crop), map in zip(waiting, maps, strict=True)
    ]


def _as_arrow(table, done):
    """The table's rows that succeeded, their own box replaced by the one that was used."""
    labels = table.drop(columns=[name for name in BOX if name in table]).set_index("row", drop=False)
    arrow = pa.Table.from_pandas(labels.loc[[made["row"] for made in done]], preserve_index=False)
    types = dict.fromkeys((*BOX, "score"), pa.float64()) | dict.fromkeys(("crop", "map"), pa.binary())
    for name, kind in types.items():
        arrow = arrow.append_column(name, pa.array([made[name] for made in done], kind, from_pandas=True))
    return arrow


def versions() -> dict[str, str]:
    """Of all that changes the pixels of a crop or a map its version, by the package's name.

    Shards of one folder are of the same; so are the workers that make them.
    """
    backend = keras.config.backend()
    return parallel.versions() | {backend: version(backend)}


def _provenance(options):
    return {"options": asdict(options), "versions": versions(), "weights": _weights(options)}


def _weights(options):
    """Digests of all networks that a shard's content depends on."""
    if options.saliency in ("mlnet", "light"):
        trunk = {"mlnet": "vgg16-conv", "light": "alexnet-conv"}[options.saliency]
        name = {"mlnet": "mlnet", "light": "mlnet-light"}[options.saliency]
        return {trunk: weights.REGISTRY[trunk].digest, name: weights.shipped_hashes()[name]}
    if not Path(options.saliency).is_file():
        raise FileNotFoundError(f'no such file: {options.saliency}; saliency is "mlnet", "light" or a file of weights')
    return {"file": weights.file_sha256(Path(options.saliency))}


def _path(folder, number):
    return folder / "shards" / f"part-{number:05d}.parquet"


def read_notes(shard: Path) -> dict:
    """Options, versions, weights, rows and failures of a shard. DatasetError, naming it, where it is damaged or another's."""
    with _damage_of(shard):
        notes = json.loads(pq.read_schema(shard).metadata[b"safbage"])
        wrong = [name for name, kind in NOTES.items() if not isinstance(notes[name], kind)]
        if wrong or [type(row) for row in notes["rows"]] != [int, int]:
            raise ValueError(f"its notes on {', '.join(wrong) or 'rows'} are {notes[(wrong or ['rows'])[0]]!r}")
        if not all({"image", "row", "reason"} <= set(failure) for failure in notes["failed"]):
            raise ValueError(f"its notes on failed pictures are {notes['failed'][:3]}")
    return notes


def read_shard(shard: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Some columns of a shard, or all, held against their checksums and the rows that its notes promise.

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
        empty = [name for name in ("image", "row", "crop", "map") if name in table.column_names and table[name].null_count]
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
def _damage_of(shard):
    try:
        yield
    except (OSError, pa.ArrowException, AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else error
        raise DatasetError(
            f"{shard} is damaged, or not made by safbage ({what}). Prepare again into the same folder: it is made anew."
        ) from error


def _is_whole(shard, part):
    """Whether a shard is there, undamaged to the last byte, and of just these rows; any other is made anew.

    Reading a shard takes a few milliseconds, making one a minute.
    """
    try:
        if not shard.exists():
            return False
        read_shard(shard)
        return read_notes(shard)["rows"] == [int(part.row.iloc[0]), int(part.row.iloc[-1])]
    except DatasetError:
        return False


def check_versions(shards: dict[str, dict]) -> None:
    """Refuse to mix: DatasetError, naming two, where `versions` of some shards differ. By what to call them, their versions."""
    names = list(shards)
    for name in names[1:]:
        one, other = shards[names[0]], shards[name]
        differ = [package for package in sorted({*one, *other}) if one.get(package) != other.get(package)]
        if differ:
            was, now = (", ".join(f"{package} {of.get(package)}" for package in differ) for of in (one, other))
            raise DatasetError(
                f"{names[0]} is of {was}, {name} of {now}: their pixels may differ. Go on with the versions that it was begun "
                "with, or prepare all into another folder."
            )


# --- all shards ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Report:
    """What a preparation came to.

    Attributes:
        folder: where shards and ``failed.parquet`` lie.
        prepared: faces in the shards.
        failed: a row per picture without one: `image`, `row` (of the table) and `reason`.
    """

    folder: Path
    prepared: int
    failed: pd.DataFrame


def prepare(
    table: pd.DataFrame,
    folder: str | Path,
    options: Preparation | None = None,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    retry_failed: bool = False,
    progress: bool = True,
) -> Report:
    """Detect, crop and map every picture of a table into ``folder/shards``, and what failed into ``folder/failed.parquet``.

    Killed at any moment, the same call goes on: shards that are whole are kept, the others made. A folder that was begun with
    another table, other options or other `versions` is refused.

    Args:
        table: column `image` (path), any label columns, and with ``detect="box"`` the columns `datasets.base.BOX`.
        folder: the result; for a cluster, one that all machines see.
        options: see `Options`.
        workers: processes on this machine.
        scheduler: address of a Dask scheduler, ``tcp://host:8786``; its workers make the shards (needs ``safbage[cluster]``).
        retry_failed: make shards with failures again, after the cause was mended.
        progress: show a bar with rate and time left.

    Raises:
        ValueError: an option or the number of workers is out of range.
        DatasetError: the table is empty, lacks a column, or has one that cannot be stored or is named as one of the result's;
            a label is none of its column's classes (`tables.with_labels`); the folder was begun with other versions.
        WorkError: the folder holds something else's shards, or a worker process died (the same call goes on).
        WeightsError: weights are missing and cannot be fetched.
    """
    options, folder = options or Preparation(), Path(folder)
    if workers < 1:
        raise ValueError(f"workers is at least 1; got {workers}")
    needed = ["image", *(BOX if options.detect == "box" else ())]
    _check(table, needed)
    names = table.image.where(table.image.notna(), "").astype(str)
    table = table.reset_index(drop=True).assign(image=names.to_numpy(), row=np.arange(len(table)))
    weights.fetch()
    count = -(-len(table) // options.shard_size)
    made_of = {"table": _fingerprint(table), "shards": count, "weights": _weights(options)}
    with resuming(folder, asdict(options) | made_of):
        return _prepare(table, folder, options, count, workers, scheduler, retry_failed, progress)


def _prepare(table, folder, options, count, workers, scheduler, retry_failed, progress):
    parts = {n: table.iloc[n * options.shard_size : (n + 1) * options.shard_size] for n in range(count)}
    done = {n for n, part in parts.items() if _is_whole(_path(folder, n), part)}
    if retry_failed:
        done -= {n for n in done if read_notes(_path(folder, n))["failed"]}
    parts = {n: part for n, part in parts.items() if n not in done}
    if parts:  # where nothing is left to make, nothing can be mixed
        kept = {str(_path(folder, n)): read_notes(_path(folder, n))["versions"] for n in sorted(done)}
        check_versions(kept | {"what would be made now": versions()})
    before = len(table) - sum(len(part) for part in parts.values())
    with tqdm(total=len(table), initial=before, desc="faces", unit="face", disable=not progress) as bar:
        for rows in _make(parts, folder, options, workers, scheduler):
            bar.update(rows)
    return close(folder, count)


def _check(table, needed):
    """Refuse a table before hours of work, not after."""
    lacking = [name for name in needed if name not in table]
    if lacking or table.empty:
        raise DatasetError(
            f"the table has {len(table)} rows and lacks {', '.join(lacking) or 'nothing'}; it needs {', '.join(needed)}"
        )
    taken = [name for name in RESERVED if name in table] + sorted({str(n) for n in table.columns[table.columns.duplicated()]})
    if taken:
        raise DatasetError(f"the table's columns {', '.join(taken)} are named as the result's own, or twice: rename them")
    with_labels(table)
    try:
        pa.Table.from_pandas(table.drop(columns="image"), preserve_index=False)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise DatasetError(f"a column of the table cannot be stored: {error}") from error


def _make(parts, folder, options, workers, scheduler) -> Iterator[int]:
    """Make all parts here, in processes or on a cluster; rows of each as it is done."""
    jobs = [(part, str(folder.resolve()), n, options) for n, part in parts.items()]
    if scheduler is not None:
        yield from parallel.on_cluster(make_shard, jobs, scheduler)
    elif workers == 1:
        yield from (make_shard(*job) for job in jobs)
    else:
        yield from parallel.in_processes(make_shard, jobs, workers)


def _fingerprint(table):
    """A few words for a table, other ones for any other."""
    content = table.astype(str).to_csv(index=False)
    return f"{len(table)} rows ({hashlib.sha256(content.encode()).hexdigest()[:8]})"


def close(folder, count):
    """Gather the failures that the shards note in one file, and clear away what killed runs left."""
    shards = [_path(folder, n) for n in range(count)]
    failed = [failure for shard in shards for failure in read_notes(shard)["failed"]]
    table = pd.DataFrame(failed, columns=["image", "row", "reason"]).astype({"image": str, "row": "int64", "reason": str})
    write_whole(folder / "failed.parquet", lambda aside: table.to_parquet(aside, index=False))
    clear_asides(folder / "shards")
    return Report(folder, sum(pq.read_metadata(shard).num_rows for shard in shards), table)
