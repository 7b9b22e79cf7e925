"""Draw docs/course.png, the course as pictures, from executed notebooks:

python docs/course_picture.py FOLDER    # of executed notebooks, as `make book` leaves them
"""

import argparse
import base64
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
from PIL import Image

from safbage import images

CHOSEN = {
    "00": ("one photo, every stage", "00_all_stages.png"),
    "01": ("find the face", "plots.boxes(photo, boxes"),
    "02": ("where people look", "ML-Net's prediction"),
    "03": ("reweight it", "reweighting.reweight(crop, map, ratio)"),
    "04": ("fine-tune AlexNet", "set_ylim(bottom=bottom)"),
    "05": ("measure it fairly", "plots.gallery"),
    "06": ("run it many times", "figure-3.png"),
    "07": ("see why", "ratio {ratio:.0%}, {ax.get_title"),
    "10": ("your own pictures", "ax.title.set(fontsize=9"),
}
"""By notebook its words, and a piece of the cell whose picture is shown."""


def picture(notebook: Path, piece: str) -> Image.Image:
    """The picture that the first cell with this piece of source has drawn."""
    for cell in nbformat.read(notebook, 4).cells:
        for output in cell.get("outputs", []) if piece in cell.source else []:
            if "image/png" in output.get("data", {}):
                return Image.fromarray(images.decode(base64.b64decode(output.data["image/png"])))
    raise ValueError(f"{notebook} has no picture from a cell with {piece!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("course.png"))
    args = parser.parse_args()
    figure, axes = plt.subplots(3, 3, figsize=(14, 6.6), layout="constrained")
    for ax, (number, (words, piece)) in zip(axes.flat, CHOSEN.items(), strict=True):
        (notebook,) = args.folder.glob(f"{number}_*.ipynb")
        ax.imshow(picture(notebook, piece), interpolation="lanczos")
        ax.set_title(f"{number}  {words}", loc="left", fontsize=13)
        ax.set_anchor("NW")
        ax.set_axis_off()
    figure.savefig(args.output, dpi=100, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
