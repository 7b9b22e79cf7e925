"""From a table of pictures to shards of cropped faces with their saliency maps, once and for all.

    faces, dropped = datasets.utkface("/data/UTKFace")
    prepared = preparation.prepare(faces, "prepared/utkface", workers=2)

Every later training reads the shards (`datasets.shards`), whatever its ratio or task. Shards do not
depend on each other. So a killed run goes on with those that are missing, and any number of
processes or machines may make them; the result is the same, row for row. The same call on the same
machine gives the same bytes. Another number of threads sums in another order, and the last digit of
a box or a map may differ.
"""

import functools
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from safbage import faces, images, saliency
from safbage.datasets.shards import Prepared, check_versions, path_of, read_notes, read_shard
from safbage.datasets.tables import with_labels
from safbage.errors import DatasetError
from safbage.faces import Face
from safbage.photos import PIXELS, SECONDS
from safbage.runtime import backend, parallel, weights
from safbage.runtime.ahead import ahead
from safbage.runtime.backend import keras
from safbage.runtime.files import clear_asides, fingerprint, sha256, write_whole
from safbage.runtime.work import resuming
from safbage.tasks import BOX, MARGIN

CHOICES = {
    "detect": ("mtcnn", "box", "none"),
    "without_face": ("fail", "whole"),
    "image_format": ("jpeg", "png"),
    "precision": ("float32", "mixed_bfloat16", "mixed_float16"),
}
"""What the options of `Preparation` may be."""
RESERVED = ("row", "score", "crop", "map", "shard", "place")
"""Columns of the result that a table may not have."""
THREADS = 2
"""Threads that read and detect ahead while ML-Net runs."""


@dataclass(frozen=True)
class Preparation:
    """What the crops and maps depend on. All shards of a folder are made with the same options.

    Attributes:
        detect: where the face's box comes from: "mtcnn", the table's own "box", or "none" (the
            whole picture).
        without_face: what becomes of a picture in which MTCNN finds nothing: "fail", or "whole"
            (the picture is the box).
        min_face: smallest face looked for, as a share of the picture's shorter side.
        margin: how much wider than the box the crop is (the paper's 0.3).
        saliency: "mlnet", "light" or a file of weights, as `saliency.load` takes.
        precision: Keras dtype policy of ML-Net. "mixed_bfloat16" is several times faster where the
            hardware has it.
        image_format: "jpeg" (quality 95, some 20 kB a face) or "png" (lossless, four times that).
        shard_size: rows of the table per shard.

    Raises:
        ValueError: an option is out of its range.
    """

    detect: str = "mtcnn"
    without_face: str = "fail"
    min_face: float = 0.2
    margin: float = MARGIN
    saliency: str = "mlnet"
    precision: str = "float32"
    image_format: str = "jpeg"
    shard_size: int = 128

    def __post_init__(self):
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name} is one of {', '.join(allowed)}; got {getattr(self, name)!r}"
                )
        if not 0 < self.min_face <= 1 or not 0 <= self.margin <= 2 or self.shard_size < 1:
            raise ValueError(
                "min_face lies above 0 and up to 1, margin from 0 to 2, shard_size from 1"
            )


# --- one shard ----------------------------------------------------------------------------------


def make_shard(table: pd.DataFrame, folder: str, number: int, options: Preparation) -> int:
    """Crop and map the faces of some rows, and write them as a shard; its metadata names failures.

    Threads read the next pictures and find their faces while ML-Net runs. Returns the number of
    rows.
    """
    network = _network(options.saliency, options.precision)
    done, failed, waiting = [], [], []
    batch = backend.batch_size()
    found = ahead(
        lambda row: (row, _find(row, options)),
        table.to_dict("records"),
        threads=THREADS,
        limit=2 * max(batch, THREADS),
        size=lambda row: images.pixels(row["image"]),
        budget=PIXELS,
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
    rows = [int(table.row.iloc[0]), int(table.row.iloc[-1])]
    _write(
        table,
        done,
        path_of(Path(folder), number),
        _provenance(options) | {"failed": failed, "rows": rows},
    )
    return len(table)


@functools.cache
def _network(source, precision):
    """ML-Net, loaded once per process."""
    with backend.precision(precision):
        return saliency.load(source)


def _find(row, options):
    """(face, crop) of a row's picture, or in words why there is none."""
    try:
        picture = images.read(row["image"])
        face = _face(picture, row, options)
        if face is None:
            return "no face found"
        return face, faces.crop_face(picture, face, margin=options.margin)
    except Exception as error:  # one bad picture must not cost the others theirs
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
    """The face that a portrait is of: the largest one over the picture's middle, else the surest.

    Args:
        found: at least one face, the surest first.
        size: height and width of the picture.
    """
    height, width = size

    def holds_middle(face):
        left, top, w, h = face.box
        return left <= width / 2 <= left + w and top <= height / 2 <= top + h

    central = [face for face in found if holds_middle(face)]
    return max(central, key=lambda face: face.area) if central else found[0]


def finish(waiting, network, options):
    """Map a batch of (row, face, crop), and give each as the columns of a shard."""
    if not waiting:
        return []
    crops = np.stack([crop for _, _, crop in waiting])
    maps = saliency.predict_faces(crops, network).astype("float16")
    return [
        {
            "row": row["row"],
            **dict(zip(BOX, face.box, strict=True)),
            "score": face.score,
            "crop": images.encode(crop, options.image_format),
            "map": saliency_map.tobytes(),
        }
        for (row, face, crop), saliency_map in zip(waiting, maps, strict=True)
    ]


def _write(table, done, path, notes):
    """Write the table's rows that succeeded; the box that was used takes the place of their own."""
    labels = table.drop(columns=[name for name in BOX if name in table]).set_index(
        "row", drop=False
    )
    rows = pa.Table.from_pandas(labels.loc[[made["row"] for made in done]], preserve_index=False)
    types = dict.fromkeys((*BOX, "score"), pa.float64()) | dict.fromkeys(
        ("crop", "map"), pa.binary()
    )
    for name, kind in types.items():
        values = pa.array([made[name] for made in done], kind, from_pandas=True)
        rows = rows.append_column(name, values)
    told = {b"safbage": json.dumps(notes, sort_keys=True).encode()}
    rows = rows.replace_schema_metadata(rows.schema.metadata | told)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda aside: pq.write_table(rows, aside, write_page_checksum=True))


def versions() -> dict[str, str]:
    """The version of every package that can change the pixels of a crop or a map.

    All shards of a folder are of the same versions, and so are the workers that make them.
    """
    backend = keras.config.backend()
    return parallel.versions() | {backend: version(backend)}


def _provenance(options):
    return {"options": asdict(options), "versions": versions(), "weights": _weights(options)}


def _weights(options):
    """Digests of all networks that a shard's content depends on."""
    if options.saliency in saliency.SHIPPED:
        trunk, name = saliency.SHIPPED[options.saliency]
        return {trunk: weights.REGISTRY[trunk].digest, name: weights.shipped_hashes()[name]}
    if not Path(options.saliency).is_file():
        raise FileNotFoundError(
            f'no such file: {options.saliency}; saliency is "mlnet", "light" or a file of weights'
        )
    return {"file": sha256(Path(options.saliency))}


# --- all shards ---------------------------------------------------------------------------------


def prepare(
    table: pd.DataFrame,
    folder: str | Path,
    options: Preparation | None = None,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    retry_failed: bool = False,
    progress: bool = True,
) -> Prepared:
    """Detect, crop and map every picture of a table, into ``folder/shards``.

    Pictures that fail are listed in ``folder/failed.parquet``. After a kill at any moment the same
    call goes on: whole shards are kept, the others made. A folder that was begun with another
    table, other options or other `versions` is refused.

    Args:
        table: column `image` (path), any label columns, and with ``detect="box"`` the columns
            `tasks.BOX`.
        folder: the result; for a cluster, one that all machines see.
        options: see `Preparation`.
        workers: processes on this machine.
        scheduler: address of a Dask scheduler, ``tcp://host:8786``, whose workers make the shards
            (needs the extra ``cluster``).
        retry_failed: make shards with failures again, once the cause is removed.
        progress: show a bar with rate and time left.

    Returns:
        The folder, opened; `Prepared.failed` tells what failed.

    Raises:
        ValueError: the number of workers is out of range.
        DatasetError: the table is empty, lacks a column, or has one that cannot be stored or is
            named as one of the result's; a label is none of its column's classes; the folder was
            begun with other versions.
        WorkError: the folder holds something else's shards, or a worker process died (the same call
            goes on).
        WeightsError: weights are missing and cannot be fetched.
        FileNotFoundError: there is no file of ML-Net weights of the name in the options.
    """
    options, folder = options or Preparation(), Path(folder)
    if workers < 1:
        raise ValueError(f"workers is at least 1; got {workers}")
    _check(table, ["image", *(BOX if options.detect == "box" else ())])
    names = table.image.where(table.image.notna(), "").astype(str)
    table = table.reset_index(drop=True).assign(image=names.to_numpy(), row=np.arange(len(table)))
    weights.fetch()
    parts = _parts(table, options.shard_size)
    made_of = {
        "table": f"{len(table)} rows ({fingerprint(table.astype(str).to_csv(index=False))})",
        "shards": len(parts),
        "weights": _weights(options),
    }
    with resuming(folder, asdict(options) | made_of):
        missing = _missing(parts, folder, retry_failed)
        kept = len(table) - sum(len(part) for part in missing.values())
        with tqdm(
            total=len(table), initial=kept, desc="faces", unit="face", disable=not progress
        ) as bar:
            for rows in _make(missing, folder, options, workers, scheduler):
                bar.update(rows)
        return close(folder)


def _check(table, needed):
    """Refuse a table before hours of work, not after."""
    lacking = [name for name in needed if name not in table]
    if lacking or table.empty:
        raise DatasetError(
            f"the table has {len(table)} rows and lacks {', '.join(lacking) or 'nothing'}; "
            f"it needs {', '.join(needed)}"
        )
    twice = sorted({str(name) for name in table.columns[table.columns.duplicated()]})
    taken = [name for name in RESERVED if name in table] + twice
    if taken:
        raise DatasetError(
            f"the table's columns {', '.join(taken)} occur twice, or are named like the result's "
            "own: rename them"
        )
    with_labels(table)
    try:
        pa.Table.from_pandas(table.drop(columns="image"), preserve_index=False)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise DatasetError(f"a column of the table cannot be stored: {error}") from error


def _parts(table, size):
    """The rows of each shard, by its number."""
    starts = range(0, len(table), size)
    return {number: table.iloc[start : start + size] for number, start in enumerate(starts)}


def _missing(parts, folder, retry_failed):
    """The parts whose shards are to be made; DatasetError where they would not fit the others."""
    done = {n for n, part in parts.items() if _is_whole(path_of(folder, n), part)}
    if retry_failed:
        done -= {n for n in done if read_notes(path_of(folder, n))["failed"]}
    missing = {n: part for n, part in parts.items() if n not in done}
    if missing:  # where nothing is left to make, nothing can be mixed
        kept = [path_of(folder, n) for n in sorted(done)]
        made = {str(shard): read_notes(shard)["versions"] for shard in kept}
        check_versions(made | {"what would be made now": versions()})
    return missing


def _is_whole(shard, part):
    """Whether a shard is there, undamaged to the last byte, and of just these rows.

    Reading a shard takes a few milliseconds, making one a minute.
    """
    try:
        if not shard.exists():
            return False
        read_shard(shard)
        return read_notes(shard)["rows"] == [int(part.row.iloc[0]), int(part.row.iloc[-1])]
    except DatasetError:
        return False


def _make(parts, folder, options, workers, scheduler) -> Iterator[int]:
    """Make all parts, here or on a cluster; gives the number of rows of each as it is done."""
    jobs = [(part, str(folder.resolve()), n, options) for n, part in parts.items()]
    if scheduler is not None:
        yield from parallel.on_cluster(make_shard, jobs, scheduler)
    elif workers == 1:
        yield from (make_shard(*job) for job in jobs)
    else:
        yield from parallel.in_processes(make_shard, jobs, workers)


def close(folder: Path) -> Prepared:
    """List all failures in one file, clear away what killed runs left, and open the folder."""
    prepared = Prepared(folder)
    failed = folder / "failed.parquet"
    write_whole(failed, lambda aside: prepared.failed.to_parquet(aside, index=False))
    clear_asides(folder / "shards")
    return prepared
