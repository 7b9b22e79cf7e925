"""How the shipped networks answer worse pictures: grey, blurred, coarse, compressed, dark, cropped
otherwise.

    python benchmarks/robustness.py WORK/utkface WORK/fer2013 --faces 600

Each folder is a prepared data set; of its test part, or of all of it where it has no split,
`--faces` are drawn by seed. Each crop is made worse, the light ML-Net predicts the worse crop's
saliency, and both networks answer. Prints per task a table of accuracies in %, with the standard
error of the first row. 50 ms a face and row on two cores.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table
from tqdm.auto import tqdm

from safbage import SafBage, images, saliency
from safbage.datasets.shards import Prepared
from safbage.tasks import LABELS, SHIPPED


def grey(crop):
    return cv2.transform(crop, np.full((3, 3), 1 / 3))


def coarse(crop, side):
    return images.resize(images.resize(crop, (side, side)), crop.shape[:2])


def compressed(crop, quality):
    _, jpeg = cv2.imencode(".jpg", crop[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return images.decode(jpeg.tobytes())


def zoomed(crop, zoom):
    """About the centre; what is missing at the border repeats the last pixels."""
    side = crop.shape[0]
    transform = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), 0, zoom)
    return cv2.warpAffine(
        crop, transform, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


WAYS = {
    "as it is": lambda crop: crop,
    "grey": grey,
    "blurred, σ 3 px of 224": lambda crop: cv2.GaussianBlur(crop, (0, 0), 3),
    "blurred, σ 6 px": lambda crop: cv2.GaussianBlur(crop, (0, 0), 6),
    "48×48 pixels": lambda crop: coarse(crop, 48),
    "24×24 pixels": lambda crop: coarse(crop, 24),
    "JPEG of quality 10": lambda crop: compressed(crop, 10),
    "a third of the light": lambda crop: (crop / 3).astype("uint8"),
    "cropped 20 % tighter": lambda crop: zoomed(crop, 1.2),
    "cropped 20 % wider": lambda crop: zoomed(crop, 1 / 1.2),
}


def drawn(prepared, count, seed=0):
    """Rows of unseen faces."""
    split = prepared.table.split
    rows = np.flatnonzero(split == "test") if split.notna().any() else np.arange(len(prepared))
    return np.sort(np.random.default_rng(seed).permutation(rows)[:count])


def accuracies(prepared, count):
    """Task to way to network to what was right, a bool per labelled face."""
    rows = drawn(prepared, count)
    table = prepared.table.iloc[rows]
    tasks = tuple(task for task, column in LABELS.items() if table[column].notna().any())
    models = {name: SafBage.load(tasks=tasks, network=name) for name in SHIPPED}
    light, (crops, _) = saliency.load("light"), prepared.faces(rows)
    right = {task: {} for task in tasks}
    for way, change in tqdm(WAYS.items(), desc=prepared.folder.name):
        worse = np.stack([change(crop) for crop in crops])
        maps = saliency.predict_faces(worse, light)
        for name, model in models.items():
            answers = model.classify(worse, maps=maps)
            for task in tasks:
                label = table[LABELS[task]]
                hit = (answers[task].to_numpy() == label.to_numpy())[label.notna()]
                right[task].setdefault(way, {})[name] = hit
    return right


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prepared", type=Path, nargs="+")
    parser.add_argument("--faces", type=int, default=600, help="of each set, at most (600)")
    args = parser.parse_args()
    for folder in args.prepared:
        for task, ways in accuracies(Prepared(folder), args.faces).items():
            plain = next(iter(ways.values()))
            table = Table(
                "picture",
                *SHIPPED,
                title=f"{task}, {len(plain[SHIPPED[0]]):,} faces of {folder.name}",
            )
            for way, hits in ways.items():
                errors = [
                    f" ± {100 * hit.std(ddof=1) / len(hit) ** 0.5:.1f}" if hits is plain else ""
                    for hit in hits.values()
                ]
                values = (
                    f"{100 * hit.mean():.1f}{error}"
                    for hit, error in zip(hits.values(), errors, strict=True)
                )
                table.add_row(way, *values)
            Console().print(table)


if __name__ == "__main__":
    main()
