"""Faces packed for training on a machine far from the data: a file of WebP pictures per set and one table for all.

A folder of packs holds ``<set>.bin``, the pictures one after the other, and ``faces.npz`` (``pack_faces.py`` makes both) with an
entry per face in each of:

    set, split    codes into `SETS` and `SPLITS`
    offset, length    of its picture in the set's file, bytes
    box    left, top, width, height as shares of the picture's width and height
    gender    0 male, 1 female, −1 unknown
    votes    seven shares of annotators per expression (`safbage`'s order); zeros where unknown
    expression    FER2013's own label or RAF-DB's, −1 unknown
    age_mean, age_spread    years; NaN unknown
    age_low, age_high    years, an interval that holds the age; −1 unknown
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

SETS = ("utkface", "fairface", "fer2013", "rafdb", "appa", "adience")
SPLITS = ("train", "validation", "test")


def read_table(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "faces.npz") as file:
        return {name: file[name] for name in file.files}


def read_views(
    folder: Path, table: dict, rows: np.ndarray, *, margin: float, size: int, threads: int = 16
):
    """Of some rows the square around the box, `margin` times its longer side, the picture's last pixels repeated beyond it.

    Returns:
        Views N×size×size×3 uint8, and N×4 float32: left, top, right, bottom of what is picture, as shares of the view's side.
    """
    views, inside = (
        np.zeros((len(rows), size, size, 3), "uint8"),
        np.zeros((len(rows), 4), "float32"),
    )
    files = {
        code: np.memmap(folder / f"{SETS[code]}.bin", mode="r")
        for code in np.unique(table["set"][rows])
    }

    def read(i):
        row = rows[i]
        offset, length = table["offset"][row], table["length"][row]
        picture = cv2.imdecode(files[table["set"][row]][offset : offset + length], cv2.IMREAD_COLOR)
        height, width = picture.shape[:2]
        left, top, across, down = table["box"][row] * (width, height, width, height)
        side = max(across, down) * margin
        x, y, scale = left + across / 2 - side / 2, top + down / 2 - side / 2, size / side
        turn = np.array(
            [[scale, 0, -x * scale + scale / 2 - 0.5], [0, scale, -y * scale + scale / 2 - 0.5]]
        )
        if scale < 0.7:  # averaged first, else pixels would be skipped
            picture = cv2.blur(picture, (round(1 / scale), round(1 / scale)))
        view = cv2.warpAffine(
            picture, turn, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        views[i] = view[:, :, ::-1]
        inside[i] = np.clip([-x / side, -y / side, (width - x) / side, (height - y) / side], 0, 1)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(read, range(len(rows)), chunksize=64))
    return views, inside
