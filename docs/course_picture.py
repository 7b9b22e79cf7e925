"""Draw docs/course.png, the course as pictures, from executed notebooks:

python docs/course_picture.py FOLDER    # of executed notebooks, as `make book` leaves them
"""

import argparse
import base64
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import nbformat
from PIL import Image

from safbage import images

COLUMNS = 4


class Tile(NamedTuple):
    """What stands for a notebook."""

    words: str
    piece: str
    """Of the source of the cell whose picture is shown."""
    part: tuple[float, float, float, float] = (0, 0, 1, 1)
    """Of that picture: left, top, right and bottom, as shares of its width and height."""
    columns: int = 1


CHOSEN = {
    "00": Tile("one photo, every stage", "00_all_stages.png", columns=2),
    "01": Tile("find the face", "plots.boxes(photo, boxes", (0, 0, 0.67, 1)),
    "02": Tile("where people look", "ML-Net's prediction", (0.32, 0, 1, 1)),
    "03": Tile("reweight it", "reweighting.reweight(crop, map, ratio)", (0.147, 0, 0.71, 1)),
    "04": Tile("fine-tune AlexNet", "set_ylim(bottom=bottom)"),
    "05": Tile("measure it fairly", "plots.gallery", (0, 0.08, 0.5, 1)),
    "06": Tile("run it many times", "plots.against_ratio(real)"),
    "07": Tile("see why", "ratio {ratio:.0%}, {ax.get_title"),
    "08": Tile("is it chance?", "plots.forest"),
    "09": Tile("find a face again", "neighbours.png", (0, 0, 1, 0.5)),
    "10": Tile("your own pictures", "ax.title.set(fontsize=9"),
}


def picture(notebook: Path, tile: Tile) -> Image.Image:
    """The picture that the first cell with this piece of source has drawn."""
    for cell in nbformat.read(notebook, 4).cells:
        for output in cell.get("outputs", []) if tile.piece in cell.source else []:
            if "image/png" in output.get("data", {}):
                whole = images.decode(base64.b64decode(output.data["image/png"]))
                height, width = whole.shape[:2]
                left, top, right, bottom = tile.part
                return Image.fromarray(whole).crop(
                    (left * width, top * height, right * width, bottom * height)
                )
    raise ValueError(f"{notebook} has no picture from a cell with {tile.piece!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("course.png"))
    args = parser.parse_args()
    cells = sum(tile.columns for tile in CHOSEN.values())
    figure = plt.figure(figsize=(14, 2.5 * -(-cells // COLUMNS)), layout="constrained")
    grid, place = figure.add_gridspec(-(-cells // COLUMNS), COLUMNS), 0
    for number, tile in CHOSEN.items():
        row, column = divmod(place, COLUMNS)
        place += tile.columns
        ax = figure.add_subplot(grid[row, column : column + tile.columns])
        (notebook,) = args.folder.glob(f"{number}_*.ipynb")
        ax.imshow(picture(notebook, tile), interpolation="lanczos")
        ax.set_title(f"{number}  {tile.words}", loc="left", fontsize=14)
        ax.set_anchor("NW")
        ax.set_axis_off()
    figure.savefig(args.output, dpi=100, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
