"""Where people looked: scenes with recorded fixations, and the maps made of them.

A reader for each data set gives a list of `Scene`. Any other set is a folder of images and a table
of fixations (`read_table`).
"""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from safbage import images
from safbage.errors import SceneError

logger = logging.getLogger(__name__)

DEGREE = 24 / 800
"""One degree of visual angle as a share of a scene's longer side: OSIE's 24 of 800 pixels. It is
taken for sets that do not tell theirs."""
COLUMNS = ("image", "subject", "x", "y")


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and where its viewers looked.

    Attributes:
        name: unique within its data set.
        image: its file, or its pixels (H×W×3 uint8 RGB).
        size: height and width.
        fixations: K×2 float, x and y in pixels, all within the picture.
        subjects: K, the viewer of each.
        sigma: pixels of the Gaussian that a fixation becomes in `fixation_map`.
        map_file: a ready-made fixation map, where the set gives one.
    """

    name: str
    image: Path | np.ndarray
    size: tuple[int, int]
    fixations: np.ndarray
    subjects: np.ndarray
    sigma: float
    map_file: Path | None = None

    def pixels(self) -> np.ndarray:
        """The picture, H×W×3 uint8 RGB. ImageError where the file is damaged."""
        return self.image if isinstance(self.image, np.ndarray) else images.read(self.image)

    def fixation_map(self) -> np.ndarray:
        """Where all viewers looked, H×W float32 in [0, 1], maximum 1.

        It is the set's own map where there is one, else of Gaussians (`fixation_map`).

        Raises:
            ImageError: the set's own map is damaged.
            SceneError: it is of another size than the picture, or all black.
        """
        if self.map_file is None:
            return fixation_map(self.fixations, self.size, self.sigma)
        own = images.read(self.map_file)[:, :, 0].astype("float32")
        if own.shape != self.size or not own.any():
            raise SceneError(
                f"{self.map_file} is {own.shape} and its picture {self.size}, or it is all black"
            )
        return own / own.max()


def fixation_map(points: np.ndarray, size: tuple[int, int], sigma: float) -> np.ndarray:
    """Fixations as a map: a Gaussian of `sigma` pixels at each, divided by the maximum.

    Args:
        points: K×2, x and y in pixels; those outside are left out.
        size: height and width of the map.
        sigma: in pixels; the field takes one degree of visual angle (Le Meur and Baccino 2013).

    Returns:
        float32 of `size` in [0, 1]; all zero without a fixation.
    """
    columns, rows = cells(inside(points, size)).T
    hits = np.zeros(size, "float32")
    np.add.at(hits, (rows, columns), 1)
    blurred = cv2.GaussianBlur(hits, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    return blurred / (blurred.max() or 1)


def cells(points: np.ndarray) -> np.ndarray:
    """The pixels (K×2 int: column, row) that fixations fall on."""
    return np.floor(np.asarray(points, float).reshape(-1, 2)).astype(int)


def inside(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Those of the fixations (K×2) that lie within a picture of `size` (height, width)."""
    points = np.asarray(points, float).reshape(-1, 2)
    return points[within(points, size)]


def within(points, size):
    """Which points (N×2: x, y) lie in a picture of some height and width, N bool."""
    return (points >= 0).all(axis=1) & (points < size[::-1]).all(axis=1)


# --- readers -------------------------------------------------------------------------------------


def read(
    folder: str | Path,
    *,
    sigma: float = 1.0,
    pixels_per_degree: float | None = None,
    split: str = "val",
) -> list[Scene]:
    """The scenes of a folder in one of two layouts, told apart by what lies in it.

    One is `stimuli/` and `fixations.csv`: OSIE, EyeCrowd, or any set brought into this form. The
    other is `images/` and `maps/`: SALICON, whose maps are ready-made.

    Args:
        folder: of the set.
        sigma: as in `read_table`.
        pixels_per_degree: as in `read_table`.
        split: of SALICON, "train" or "val".

    Raises:
        FileNotFoundError: there is no such folder, or files are missing in it.
        SceneError: it is laid out otherwise.
    """
    folder = Path(folder)
    if (folder / "fixations.csv").is_file():
        return read_table(
            folder / "stimuli",
            folder / "fixations.csv",
            sigma=sigma,
            pixels_per_degree=pixels_per_degree,
        )
    if (folder / "maps").is_dir():
        return salicon(folder, split=split)
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder: {folder}")
    raise SceneError(
        f"{folder} holds neither stimuli/ with fixations.csv (columns {', '.join(COLUMNS)}) "
        "nor images/ with maps/ (SALICON)"
    )


def osie(folder: str | Path) -> list[Scene]:
    """OSIE (Xu et al. 2014), `stimuli/` and `fixations.csv`: 24 of its 800 pixels are a degree."""
    return read_table(
        Path(folder) / "stimuli", Path(folder) / "fixations.csv", pixels_per_degree=24
    )


def eyecrowd(folder: str | Path) -> list[Scene]:
    """EyeCrowd (Jiang et al. 2014), laid out as OSIE; a degree is the same share of the width."""
    return read_table(Path(folder) / "stimuli", Path(folder) / "fixations.csv")


def read_table(
    folder: str | Path,
    table: str | Path,
    *,
    sigma: float = 1.0,
    pixels_per_degree: float | None = None,
) -> list[Scene]:
    """Scenes of a folder of images and a CSV of fixations.

    Args:
        folder: holds the images.
        table: columns image (file name), subject, x, y (pixels); others are passed over. Fixations
            outside the picture are left out.
        sigma: the fixation map's Gaussian, in degrees of visual angle.
        pixels_per_degree: `DEGREE` of the longer side by default. Give 1 to have `sigma` in pixels.

    Raises:
        FileNotFoundError: the folder, the table, or images that it names are not there.
        SceneError: a column is missing or not numeric, the table is empty, or no fixation lies
            within its picture.
        ValueError: sigma or pixels per degree are not above 0, or mad.
    """
    if not 0 < sigma < 1000 or not (pixels_per_degree is None or 0 < pixels_per_degree < 10_000):
        raise ValueError(
            "sigma lies above 0 and below 1000, pixels per degree above 0 and below 10,000; "
            f"got {sigma} and {pixels_per_degree}"
        )
    folder, table = Path(folder), Path(table)
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder: {folder}")
    rows = _read_fixations(table)
    missing = [name for name in rows.image.unique() if not os.path.isfile(folder / name)]
    if missing:
        raise FileNotFoundError(
            f"{len(missing)} images that {table} names are not in {folder}, such as {missing[0]}"
        )
    scenes = []
    for name, own in rows.groupby("image", observed=True):
        size = images.size(folder / name)
        points = own[["x", "y"]].to_numpy(float)
        good = within(points, size)
        if not good.any():
            logger.warning(
                "%s is left out: none of its %d fixations lies within the picture",
                name,
                len(points),
            )
            continue
        pixels = sigma * (pixels_per_degree or DEGREE * max(size))
        scenes.append(
            Scene(
                str(name), folder / name, size, points[good], own.subject.to_numpy()[good], pixels
            )
        )
    if not scenes or max(scene.fixations.max() for scene in scenes) <= 1:
        raise SceneError(
            f"{table}: no fixations within the pictures; "
            "x and y are pixels, not shares of the width and height"
        )
    return scenes


def _read_fixations(table):
    if not table.is_file():
        raise FileNotFoundError(f"no such table of fixations: {table}")
    try:
        rows = pd.read_csv(
            table, dtype={"image": str, "subject": str}, keep_default_na=False
        )  # a viewer may be called NA
    except ValueError as error:
        raise SceneError(f"{table} is not a table of text: {error}") from error
    lacking = [column for column in COLUMNS if column not in rows]
    if lacking:
        raise SceneError(
            f"{table} has no column {', '.join(lacking)}; "
            f"it has {', '.join(rows)} and needs {', '.join(COLUMNS)}"
        )
    numbers = rows[["x", "y"]].apply(pd.to_numeric, errors="coerce").astype(float)
    bad = rows.index[~np.isfinite(numbers).all(axis=1) | (rows.image == "") | (rows.subject == "")]
    if len(bad):
        raise SceneError(
            f"{table}, line {bad[0] + 2}: "
            f"all columns must be given, x and y as numbers ({len(bad)} such lines)"
        )
    if rows.empty:
        raise SceneError(f"{table} holds no fixations")
    return rows.assign(x=numbers.x, y=numbers.y)


def salicon(folder: str | Path, *, split: str = "val") -> list[Scene]:
    """SALICON (Jiang et al. 2015) as published: images/, maps/ and, if wanted, fixations/.

    Images lie in `images/<split>/` or, as in the 2017 release, all in `images/`; maps (PNG) in
    `maps/<split>/`, fixations (MATLAB) in `fixations/<split>/`. Without the fixations only the
    metrics on maps can be measured.

    Raises:
        FileNotFoundError: a folder, or the image of a map, is not there.
        SceneError: there are no maps, or a file of fixations is of another form.
    """
    folder = Path(folder)
    if not (folder / "maps" / split).is_dir():
        raise FileNotFoundError(
            f"no such folder: {folder / 'maps' / split}; SALICON has images/ and maps/{split}/"
        )
    map_files = sorted((folder / "maps" / split).glob("*.png"))
    if not map_files:
        raise SceneError(f"{folder / 'maps' / split} holds no PNG maps")
    return [_salicon_scene(folder, split, map_file) for map_file in map_files]


def _salicon_scene(folder, split, map_file):
    name = map_file.stem
    places = [folder / "images" / split / f"{name}.jpg", folder / "images" / f"{name}.jpg"]
    image = next((place for place in places if place.is_file()), None)
    if image is None:
        raise FileNotFoundError(
            f"the image of {map_file} is at neither of {places[0]} and {places[1]}"
        )
    size, points, subjects = images.size(image), np.zeros((0, 2)), np.zeros(0, int)
    gaze = folder / "fixations" / split / f"{name}.mat"
    if gaze.is_file():
        points, subjects = _read_gaze(gaze, size)
    return Scene(name, image, size, points, subjects, DEGREE * size[1], map_file)


def _read_gaze(path, size):
    """Fixations of a SALICON file: a struct per viewer, whose `fixations` are x and y from 1."""
    import scipy.io

    try:
        viewers = np.ravel(scipy.io.loadmat(path)["gaze"])
        points = [np.asarray(viewer["fixations"], float) for viewer in viewers]
        points = [p.reshape(-1, 2) - 1 if not p.size else p - 1 for p in points]
        if any(p.ndim != 2 or p.shape[1] != 2 for p in points):
            raise ValueError("fixations are not K×2")
    except Exception as error:  # SciPy raises whatever it stumbles over
        raise SceneError(f"{path} is not a SALICON file of fixations ({error})") from error
    subjects = np.repeat(np.arange(len(points)), [len(p) for p in points])
    points = np.concatenate(points) if points else np.zeros((0, 2))
    good = within(points, size)
    return points[good], subjects[good]


# --- what is held back ---------------------------------------------------------------------------


def hold_back(
    scenes: list[Scene], share: float = 0.2, *, seed: int = 0
) -> tuple[list[Scene], list[Scene]]:
    """(the rest, those held back): a share of the scenes, drawn at random.

    The same seed holds back the same scenes, in whatever order they come. Another collection, even
    by one scene, gives another draw; the file of a network tells which scenes it has seen.
    """
    scenes = sorted(scenes, key=lambda scene: scene.name)
    order = np.random.default_rng(seed).permutation(len(scenes))
    apart = int(len(scenes) * share)
    return [scenes[i] for i in order[apart:]], [scenes[i] for i in order[:apart]]
