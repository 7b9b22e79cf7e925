"""MTCNN looks through annotated photos, and ML-Net for what is salient in them: photo by photo, in
work folders that a stopped run goes on with.

What another detector has found comes in as a CSV (`read_found`).
"""

import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from safbage import faces, images, saliency
from safbage.datasets.boxes import BOX, Annotated
from safbage.errors import DatasetError, ImageError, WorkError
from safbage.runtime.files import clear_asides, damaged, fingerprint, printable, write_whole
from safbage.runtime.work import resuming

logger = logging.getLogger(__name__)

LEAST = 0.3
"""Last threshold of the arms, below the detector's own 0.8: an average precision asks for the
unsure boxes, too."""
CELLS = 160
"""Longer side of the maps that are kept."""
WINDOWS = 4
"""Windows that are searched again."""
SHARE = 0.25
"""A window's side as a share of the photo's longer side."""
ZOOM = 2
"""How much a window is enlarged."""
OVERLAP = 0.4
"""Intersection over union above which two boxes from the photo and its windows are one face."""


@dataclass(frozen=True)
class Search:
    """How MTCNN looks through a photo; the arguments are those of `faces.detect_faces`.

    Attributes:
        windows: "" for the photo; "salient" for enlarged windows around the peaks of its saliency,
            which add to what was found in it; "random" for as many anywhere, to compare with.
    """

    min_face_size: float = 20
    thresholds: tuple[float, float, float] = (0.6, 0.7, LEAST)
    scale_factor: float = 0.709
    windows: str = ""


def search(
    annotated: Annotated,
    how: Search,
    work: str | Path,
    *,
    before: pd.DataFrame | None = None,
    maps: "Maps | None" = None,
    progress: bool = True,
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The faces that MTCNN finds in all photos.

    Args:
        annotated: the photos.
        how: the detector's settings.
        work: folder in which each photo's boxes are kept; a stopped run goes on after its last
            photo.
        before: for windows: what was found in the photos alone, with the same settings.
        maps: for salient windows.
        progress: show a bar.

    Returns:
        What was found (photo, `BOX` in pixels, score), and of photos that could not be searched,
        why. Those are tried again next time.

    Raises:
        WorkError: the folder was begun with other settings, is damaged or cannot be written.
    """
    complete = {"": True, "salient": before is not None and maps, "random": before is not None}
    if not complete.get(how.windows):
        raise ValueError(
            "windows are none, random (which needs what was found before) or salient (which also "
            f"needs maps); got {how.windows!r}"
        )
    settings = asdict(how) | {"maps": maps.source if how.windows == "salient" else None}
    with resuming(Path(work), settings):
        log = _Log(Path(work) / "photos.jsonl")
        names = [name for name in annotated.photos if name not in log.rows]
        failed = {}
        for name in tqdm(names, desc=Path(work).name, disable=not progress):
            try:
                photo = images.read(annotated.photos[name])
                boxes = _look(photo, how, name, before, maps)
            except (OSError, ImageError) as error:
                failed[name] = printable(error)
                continue
            log.add(name, boxes)
    kept = {name: log.rows[name] for name in annotated.photos if name in log.rows}
    found = [(name, *box) for name, boxes in kept.items() for box in boxes]
    return pd.DataFrame(found, columns=["photo", *BOX, "score"]), failed


def _look(photo, how, name, before, maps):
    """Boxes of a photo (left, top, width, height, score), surest first."""
    options = dict(thresholds=how.thresholds, scale_factor=how.scale_factor)
    if not how.windows:
        return _rounded(_boxes(photo, how.min_face_size, options))
    side = round(SHARE * max(photo.shape[:2]))
    if how.windows == "salient":
        centres = peaks(maps.of(name), photo.shape[:2], apart=side / 2)
    else:
        generator = np.random.default_rng(int(fingerprint(name), 16))
        centres = generator.uniform((0, 0), photo.shape[1::-1], size=(WINDOWS, 2))
    found = before.loc[before.photo == name, [*BOX, "score"]].to_numpy(float).tolist()
    for centre in centres:
        found += _in_window(photo, centre, side, how.min_face_size, options)
    return _rounded(_merged(found))


def _rounded(found):
    return [[round(value, 4) for value in box] for box in found]


def _boxes(photo, min_face_size, options):
    found = faces.detect_faces(photo, min_face_size=min_face_size, **options)
    return [[*face.box, face.score] for face in found]


def _in_window(photo, centre, side, min_face_size, options):
    """Faces of an enlarged window, in the photo's pixels; without those that its border cuts."""
    height, width = photo.shape[:2]
    left, top = (
        int(np.clip(round(at - side / 2), 0, max(0, whole - side)))
        for at, whole in zip(centre, (width, height), strict=True)
    )
    window = photo[top : top + side, left : left + side]
    size = tuple(ZOOM * length for length in window.shape[:2])
    inside = []
    for x, y, w, h, score in _boxes(images.resize(window, size), min_face_size, options):
        box = [left + x / ZOOM, top + y / ZOOM, w / ZOOM, h / ZOOM, score]
        cut = (x <= 1 and left > 0) or (y <= 1 and top > 0)
        cut |= x + w >= size[1] - 2 and left + side < width
        cut |= y + h >= size[0] - 2 and top + side < height
        if not cut:
            inside.append(box)
    return inside


def _merged(found):
    """The boxes without those that a surer one overlaps, surest first."""
    if not found:
        return []
    kept = cv2.dnn.NMSBoxes([box[:4] for box in found], [box[4] for box in found], 0, OVERLAP)
    return sorted((found[i] for i in np.ravel(kept)), key=lambda box: -box[4])


def peaks(
    saliency_map: np.ndarray, size: tuple[int, int], *, apart: float, count: int = WINDOWS
) -> np.ndarray:
    """Where a map is highest: K×2, x and y in pixels of a photo of `size`, highest first.

    Args:
        saliency_map: of the photo, of any size, ≥ 0.
        size: height and width of the photo.
        apart: pixels of the photo that two peaks are apart at least.
        count: how many, at most; fewer where nothing salient is left.
    """
    left = np.array(saliency_map, "float32")
    scale = np.array(size, float) / left.shape
    rows, columns = np.indices(left.shape)
    found = []
    while len(found) < count and left.max() > 0:
        row, column = np.unravel_index(left.argmax(), left.shape)
        found.append(((column + 0.5) * scale[1], (row + 0.5) * scale[0]))
        distance = np.hypot((rows - row) * scale[0], (columns - column) * scale[1])
        left[distance < apart] = 0
    return np.array(found).reshape(-1, 2)


class _Log:
    """A line of JSON for each photo; a half one, as a killed run leaves it, is cut off."""

    def __init__(self, path: Path):
        self.path = path
        data = path.read_bytes() if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        try:
            rows = [json.loads(line) for line in whole.splitlines()]
            self.rows = {row["photo"]: np.array(row["boxes"], float) for row in rows}
            if any(boxes.size and boxes.shape[1:] != (5,) for boxes in self.rows.values()):
                raise ValueError("boxes have five numbers")
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            raise damaged(path, error) from error
        if len(whole) < len(data):
            with open(path, "r+b") as file:
                file.truncate(len(whole))

    def add(self, name: str, boxes: list) -> None:
        self.rows[name] = boxes
        line = json.dumps({"photo": name, "boxes": boxes}) + "\n"
        try:
            with open(self.path, "ab") as file:
                file.write(line.encode())
        except OSError as error:
            raise WorkError(f"{self.path} cannot be written ({error})") from error


# --- saliency ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Maps:
    """Saliency maps of photos, kept in a folder; made by `look_where_salient`.

    Attributes:
        folder: of the maps.
        source: which ML-Net made them.
        seen: photos that trained it or chose its epoch, by their files' names.
    """

    folder: Path
    source: str
    seen: frozenset[str]

    def path(self, name: str) -> Path:
        return self.folder / f"{fingerprint(name, digits=16)}.npy"

    def of(self, name: str) -> np.ndarray:
        """A photo's map, float32 in [0, 1], at most `CELLS` long.

        Raises:
            WorkError: it is damaged.
        """
        try:
            return np.load(self.path(name)).astype("float32")
        except (ValueError, EOFError) as error:
            raise damaged(self.path(name), error) from error


def look_where_salient(
    annotated: Annotated, source: str, work: str | Path, *, progress: bool = True
) -> tuple[Maps, dict[str, str]]:
    """The saliency of all photos, by ML-Net.

    Args:
        annotated: the photos.
        source: as for `saliency.load`.
        work: folder for the maps; a stopped run goes on after its last photo.
        progress: show a bar.

    Returns:
        The maps, and of photos that could not be read, why.

    Raises:
        WeightsError, CheckpointError, FileNotFoundError: as for `saliency.load`.
        WorkError: the folder was begun with other settings, or cannot be written.
    """
    model = saliency.load(source)
    maps = Maps(Path(work), Path(source).name, model.seen)
    failed = {}
    with resuming(maps.folder, {"saliency": maps.source, "cells": CELLS}):
        clear_asides(maps.folder)
        names = [name for name in annotated.photos if not maps.path(name).exists()]
        for name in tqdm(names, desc="saliency", disable=not progress):
            try:
                whole = saliency.predict(images.read(annotated.photos[name]), model)
            except (OSError, ImageError) as error:
                failed[name] = printable(error)
                continue
            scale = min(1, CELLS / max(whole.shape))
            size = tuple(max(1, round(side * scale)) for side in whole.shape)
            small = images.resize(whole, size).clip(0, 1).astype("float16")
            write_whole(maps.path(name), lambda aside, small=small: _save(aside, small))
    return maps, failed


def _save(path, array):
    with open(path, "wb") as file:
        np.save(file, array)


def saliency_within(
    found: pd.DataFrame, maps: Maps, sizes: dict[str, tuple[int, int]]
) -> np.ndarray:
    """The mean saliency inside each box, N float in [0, 1], as a multiple of its photo's mean.

    Args:
        found: as `search` gives it.
        maps: of the same photos.
        sizes: height and width of each photo.
    """
    values = np.ones(len(found))
    places = found.reset_index(drop=True).groupby("photo").indices
    for name, rows in places.items():
        own = maps.of(name)
        total = cv2.integral(own)
        mean = own.mean() or 1
        scale = np.array(own.shape[::-1], float) / sizes[name][::-1]
        box = found.iloc[rows][BOX].to_numpy(float)
        low = np.clip(np.floor(box[:, :2] * scale), 0, np.array(own.shape[::-1]) - 1).astype(int)
        high = np.ceil((box[:, :2] + box[:, 2:]) * scale).astype(int)
        high = np.clip(np.maximum(high, low + 1), 1, own.shape[::-1])
        (x1, y1), (x2, y2) = low.T, high.T
        inside = total[y2, x2] - total[y1, x2] - total[y2, x1] + total[y1, x1]
        values[rows] = inside / ((x2 - x1) * (y2 - y1)) / mean
    return values


# --- other detectors -----------------------------------------------------------------------------


def read_found(path: str | Path, annotated: Annotated) -> pd.DataFrame:
    """What another detector has found in the photos: a CSV with photo, left, top, width, height,
    score, a line per box; photos are named as in `annotated`.

    Boxes in photos that are not in `annotated` are left out.

    Raises:
        FileNotFoundError: there is no such file.
        DatasetError: a column is missing, a number is none, or none of the photos is known.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such file of boxes: {path}")
    columns = ["photo", *BOX, "score"]
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except ValueError as error:  # of pandas's parser and of the decoder
        raise DatasetError(f"{path} is not a CSV of text: {error}") from error
    lacking = [name for name in columns if name not in table]
    if lacking:
        raise DatasetError(f"{path} has no column {', '.join(lacking)}; it has {', '.join(table)}")
    numbers = table[columns[1:]].apply(pd.to_numeric, errors="coerce").astype(float)
    bad = ~np.isfinite(numbers).all(axis=1) | (numbers[["width", "height"]] < 0).any(axis=1)
    if bad.any():
        raise DatasetError(
            f"{path}, line {bad.idxmax() + 2}: {', '.join(columns[1:])} are numbers, "
            f"width and height not below 0 ({bad.sum()} such lines)"
        )
    known = table.photo.isin(annotated.photos)
    if not known.any():
        raise DatasetError(
            f"{path} names none of the photos; they are called like {next(iter(annotated.photos))}"
        )
    return numbers.assign(photo=table.photo)[columns][known].reset_index(drop=True)
