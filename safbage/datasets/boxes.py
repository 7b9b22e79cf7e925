"""Photos whose faces are annotated with boxes: WIDER FACE's, FDDB's and EyeCrowd's forms, and any
CSV.

    annotated = boxes.read("eyecrowd")
    annotated.faces  # a row per face: photo, left, top, width, height, ignore, and groups

Boxes are in pixels. Who evaluates a detector neither rewards nor punishes it for a face whose
`ignore` is true, such as one that the set's authors call invalid. Lines that cannot be used are
left out and told in `dropped`, each with its line; a file whose lines cannot be told apart is
refused.
"""

import math
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from safbage.errors import DatasetError
from safbage.runtime.files import printable

BOX = ["left", "top", "width", "height"]
LARGEST = 100_000
"""Pixels that no coordinate of a photo exceeds."""
MOST = 100_000
"""Faces that no photo has."""
LOOKED_AT = 100
"""Lines of faces by which WIDER FACE's list and FDDB's are told apart."""
TABLES = ("face_boxes.csv", "boxes.csv")
WIDER_GROUPS = {
    "blur": ("clear", "normal", "heavy"),
    "expression": ("typical", "exaggerated"),
    "illumination": ("normal", "extreme"),
    "occlusion": ("none", "partial", "heavy"),
    "pose": ("typical", "atypical"),
}
"""WIDER FACE's attributes with the words for its numbers, as its readme has them."""


@dataclass(frozen=True, eq=False)
class Annotated:
    """Photos and the boxes of their faces.

    Attributes:
        kind: "eyecrowd", "wider", "fddb" or "table".
        photos: file of each photo by its name; also those in which nobody marked a face.
        faces: a row per face: photo (a name in `photos`), `BOX` in pixels, `ignore` (bool), and a
            column for each group that the set tells, such as pose.
        dropped: what was left out: where (photo or line) and reason.
    """

    kind: str
    photos: dict[str, Path]
    faces: pd.DataFrame
    dropped: pd.DataFrame

    def first(self, count: int | None) -> "Annotated":
        """The same with so many photos only, spread evenly over all; None for all."""
        if count is None or count >= len(self.photos):
            return self
        names = list(self.photos)
        kept = [names[i] for i in np.linspace(0, len(names) - 1, count).round().astype(int)]
        faces = self.faces[self.faces.photo.isin(kept)].reset_index(drop=True)
        return Annotated(self.kind, {n: self.photos[n] for n in kept}, faces, self.dropped)


def read(folder: str | Path, boxes: str | Path | None = None) -> Annotated:
    """Photos and boxes in one of four forms, told apart by what the files hold.

    | form | boxes | photos |
    |---|---|---|
    | EyeCrowd | `face_boxes.csv` with frontal, profile, back, occluded | in `stimuli/` |
    | WIDER FACE | `wider_face_…_bbx_gt.txt` | below `images/` |
    | FDDB | `FDDB-fold-…-ellipseList.txt`, a file or the folder of ten | by path, without .jpg |
    | any other | a CSV with image, left, top, width, height, perhaps more | anywhere below |

    Args:
        folder: holds the photos, as the set is laid out.
        boxes: file or folder of boxes; by default it is looked for in the folder.

    Raises:
        FileNotFoundError: there is no such folder or file, or no photo of all that are named.
        DatasetError: the boxes are in none of these forms, or there are none.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder: {folder}")
    boxes = _found(folder) if boxes is None else Path(boxes)
    if not boxes.exists():
        raise FileNotFoundError(f"no such file of boxes: {boxes}")
    if boxes.is_dir():
        return fddb(folder, boxes)
    if boxes.suffix.lower() == ".csv":
        return table(folder, boxes)
    return fddb(folder, boxes) if _has_ellipses(boxes) else wider(folder, boxes)


def _found(folder):
    """The boxes that lie where their set has them."""
    places = [folder / name for name in TABLES]
    places += _wider_lists(folder)
    places += [folder / "FDDB-folds"]
    there = [place for place in places if place.exists()]
    if not there:
        raise FileNotFoundError(
            f"{folder} holds no boxes: neither {' nor '.join(TABLES)}, nor "
            "wider_face_…_bbx_gt.txt (WIDER FACE), nor FDDB-folds/ (FDDB); name the file"
        )
    return there[0]


def _wider_lists(folder):
    """WIDER FACE's lists in a folder. Training and validation come in one archive, their photos in
    one each: first comes a list whose photos are unpacked, and of these the validation set's."""

    def order(path):
        part = path.name.split("_")[2]
        return not (folder / f"WIDER_{part}").is_dir(), part != "val", path.name

    bases = (folder, folder / "wider_face_split")
    lists = [path for base in bases for path in base.glob("wider_face_*_bbx_gt.txt")]
    return sorted(lists, key=order)


# --- CSV, and EyeCrowd's -------------------------------------------------------------------------


def table(folder: str | Path, boxes: str | Path) -> Annotated:
    """Boxes of a CSV with image, left, top, width, height, a line per face.

    A photo without faces has a line without numbers. `ignore` (0 or 1) is as in `Annotated`. All
    other columns are groups. EyeCrowd's flags become its groups pose and occlusion, and every face
    that is not frontal, or occluded, is ignored: its boxes are of heads.

    Args:
        folder: holds the photos, or `stimuli/` or `images/` does.
        boxes: the CSV.

    Raises:
        FileNotFoundError, DatasetError: as for `read`.
    """
    folder, boxes = Path(folder), Path(boxes)
    try:
        lines = pd.read_csv(boxes, dtype=str, keep_default_na=False, encoding="utf-8")
    except ValueError as error:  # of pandas's parser and of the decoder
        raise DatasetError(f"{boxes} is not a CSV of text: {error}") from error
    lacking = [name for name in ["image", *BOX] if name not in lines]
    if lacking:
        raise DatasetError(f"{boxes} has no column {', '.join(lacking)}; it has {', '.join(lines)}")
    groups = [name for name in lines if name not in ("image", "ignore", *BOX)]
    eyecrowd = {"frontal", "profile", "back", "occluded"} <= {*groups}
    rows = _Rows(folder, boxes)
    for number, line in enumerate(lines.to_dict("records"), 2):
        numbers = [line[name] for name in BOX]
        if not rows.add_photo(line["image"], number) or not any(numbers):
            continue
        told = {name: line[name] for name in groups}
        ignore = line.get("ignore", "") in ("1", "true", "True")
        if eyecrowd:
            told = _of_eyecrowd(told)
            ignore = told["pose"] != "frontal" or told["occlusion"] != "none"
        rows.add_face(line["image"], number, numbers, ignore=ignore, **told)
    return rows.annotated("eyecrowd" if eyecrowd else "table")


def _of_eyecrowd(flags):
    poses = [name for name in ("frontal", "profile", "back") if flags[name] in ("1", "1.0")]
    occluded = flags["occluded"] in ("1", "1.0")
    return {
        "pose": poses[0] if len(poses) == 1 else "not told",
        "occlusion": "occluded" if occluded else "none",
    }


# --- WIDER FACE ----------------------------------------------------------------------------------


def wider(folder: str | Path, boxes: str | Path) -> Annotated:
    """WIDER FACE (Yang et al. 2016): the photo's path, the number of its faces, a line for each of
    left, top, width, height, blur, expression, illumination, invalid, occlusion, pose.

    Invalid faces are ignored. A photo without faces has a line of zeros all the same.

    Args:
        folder: holds the photos, or `images/` or `WIDER_val/images/` does.
        boxes: such as `wider_face_val_bbx_gt.txt`.

    Raises:
        FileNotFoundError, DatasetError: as for `read`.
    """
    rows = _Rows(Path(folder), Path(boxes))
    for name, number, faces in _listed(Path(boxes), zeros=True):
        if not rows.add_photo(name, number):
            continue
        for number, words in faces:
            values = words + ["0"] * (10 - len(words))  # test lists have boxes alone
            told = dict(zip(("blur", "expression", "illumination"), values[4:7], strict=True))
            told |= dict(zip(("occlusion", "pose"), values[8:10], strict=True))
            told = {key: _word(WIDER_GROUPS[key], value) for key, value in told.items()}
            rows.add_face(name, number, words[:4], ignore=values[7] == "1", **told)
    return rows.annotated("wider")


def _word(words, number):
    return words[int(number)] if re.fullmatch(r"\d", number) and int(number) < len(words) else "?"


# --- FDDB ----------------------------------------------------------------------------------------


def fddb(folder: str | Path, ellipses: str | Path) -> Annotated:
    """FDDB (Jain and Learned-Miller 2010): the photo's path without suffix, the number of its
    faces, a line for each of half the major axis, half the minor one, the major axis's angle in
    radians, and the centre's x and y.

    A box is the upright rectangle around the ellipse.

    Args:
        folder: holds the photos, as the paths say, or `originalPics/` does.
        ellipses: one `FDDB-fold-…-ellipseList.txt`, or the folder of all.

    Raises:
        FileNotFoundError, DatasetError: as for `read`.
    """
    ellipses = Path(ellipses)
    files = sorted(ellipses.glob("*ellipseList.txt")) if ellipses.is_dir() else [ellipses]
    if not files:
        raise DatasetError(f"{ellipses} holds no FDDB-fold-…-ellipseList.txt")
    rows = _Rows(Path(folder), ellipses)
    for file in files:
        for name, number, faces in _listed(file):
            where = f"{file.name}:{number}" if len(files) > 1 else number
            if not rows.add_photo(name, where, suffix=".jpg"):
                continue
            for number, words in faces:
                where = f"{file.name}:{number}" if len(files) > 1 else number
                rows.add_face(name, where, _around(words))
    return rows.annotated("fddb")


def _around(words):
    """Left, top, width and height of the rectangle around an ellipse; the words themselves where
    they are no numbers."""
    try:
        major, minor, angle, x, y = (float(word) for word in words[:5])
    except ValueError:
        return words[:4]
    if not all(map(math.isfinite, (major, minor, angle, x, y))) or min(major, minor) <= 0:
        return [math.nan] * 4
    cos, sin = math.cos(angle), math.sin(angle)
    across, down = math.hypot(major * cos, minor * sin), math.hypot(major * sin, minor * cos)
    return [x - across, y - down, 2 * across, 2 * down]


def _has_ellipses(path):
    """Whether most lines of faces have six numbers, as FDDB's, and not four or ten."""
    faces = (words for _, _, faces in _listed(path, zeros=True) for _, words in faces)
    lengths = Counter(len(words) for words in islice(faces, LOOKED_AT))
    return bool(lengths) and lengths.most_common(1)[0][0] in (5, 6)


def _listed(path, *, zeros=False) -> Iterator[tuple[str, int, list]]:
    """The photos of a list: name, its line, and its faces' lines as (number, words).

    `zeros` is whether a photo without faces has a line all the same.
    """
    lines = _lines(path)
    at = 0
    while at < len(lines):
        number, name = lines[at]
        count = lines[at + 1][1].strip() if at + 1 < len(lines) else "nothing"
        if not re.fullmatch(r"\d{1,6}", count) or int(count) > MOST:
            raise DatasetError(
                f"{path}, line {number + 1}: the number of faces of "
                f"{printable(name)[:80]} was expected; there is {printable(count)[:40]!r}"
            )
        count, at = int(count), at + 2
        faces = [(number, text.split()) for number, text in lines[at : at + count]]
        if len(faces) < count:
            raise DatasetError(
                f"{path}: {printable(name)[:80]} (line {number}) has {count} faces, "
                f"and the file ends after {len(faces)} of them; it is cut off"
            )
        at += count
        if zeros and not count and at < len(lines) and _is_zeros(lines[at][1]):
            at += 1
        yield name, number, faces


def _lines(path):
    """Lines that are not empty, with their numbers."""
    if not path.is_file():
        raise FileNotFoundError(f"no such file of boxes: {path}")
    text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    lines = [(i, line.strip()) for i, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        raise DatasetError(f"{path} is empty")
    return lines


def _is_zeros(line):
    words = line.split()
    return len(words) > 1 and all(re.fullmatch(r"0+(\.0+)?", word) for word in words)


# --- what all share ------------------------------------------------------------------------------


class _Rows:
    """Gathers photos and faces, and what is left out."""

    def __init__(self, folder: Path, boxes: Path):
        self.boxes = boxes
        self.bases = [folder / name for name in ("", "stimuli", "images", "originalPics")]
        self.bases += sorted(folder.glob("WIDER_*/images"))
        self.photos: dict[str, Path] = {}
        self.lacking: set[str] = set()
        self.faces: list[dict] = []
        self.dropped: list[dict] = []

    def add_photo(self, name: str, line, *, suffix: str = "") -> bool:
        """Note a photo; whether its file is there."""
        if name in self.photos or name in self.lacking:
            return name in self.photos
        found = self._file(name + suffix)
        if isinstance(found, str):
            self.lacking.add(name)
            self._drop(name, line, found)
            return False
        self.photos[name] = found
        return True

    def _file(self, name: str) -> Path | str:
        """The photo's file, or why there is none."""
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or "\0" in name:
            return "the name leads out of the folder, or is none"
        places = [base / name for base in self.bases]
        found = next((place for place in places if os.path.isfile(place)), None)
        return found or "its file is not there"

    def add_face(self, name: str, line, numbers, *, ignore: bool = False, **groups) -> None:
        """Note a face, or why it cannot be used."""
        try:
            box = [float(number) for number in numbers]
        except ValueError:
            box = []
        if len(box) != 4 or not all(map(math.isfinite, box)):
            self._drop(name, line, "four numbers were expected")
        elif min(box[2:]) <= 0:
            self._drop(name, line, "the box has no area")
        elif max(map(abs, box)) > LARGEST:
            self._drop(name, line, f"a coordinate lies beyond {LARGEST:,} pixels")
        else:
            named = dict(zip(BOX, box, strict=True))
            self.faces.append({"photo": name, **named, "ignore": ignore, **groups})

    def _drop(self, name, line, reason):
        where = f"line {line}" if isinstance(line, int) else str(line)
        self.dropped.append({"photo": printable(name), "where": where, "reason": reason})

    def annotated(self, kind: str) -> Annotated:
        """What was gathered.

        Raises:
            FileNotFoundError: there is none of the photos.
            DatasetError: there is no face.
        """
        if not self.photos:
            first = self.dropped[0] if self.dropped else {"photo": "none", "reason": "no lines"}
            raise FileNotFoundError(
                f"none of the photos that {self.boxes} names is in {self.bases[0]}: "
                f"{first['photo']}: {first['reason']}"
            )
        if not self.faces:
            raise DatasetError(f"{self.boxes} holds no face that can be used")
        dropped = pd.DataFrame(self.dropped, columns=["photo", "where", "reason"])
        return Annotated(kind, self.photos, pd.DataFrame(self.faces), dropped)
