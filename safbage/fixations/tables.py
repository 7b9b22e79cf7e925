"""Sets whose fixations are a table: OSIE, EyeCrowd, or your own."""

import logging
import os
from pathlib import Path

import numpy as np
import pandas as pd

from safbage import images
from safbage.errors import SceneError
from safbage.fixations.scenes import DEGREE, Scene, check_degrees, within

logger = logging.getLogger(__name__)

COLUMNS = ("image", "subject", "x", "y")


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
    check_degrees(sigma, pixels_per_degree)
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
