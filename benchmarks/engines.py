"""How far an engine's reduced precision moves maps and answers, on UTKFace's faces that trained no network here.

    python benchmarks/engines.py --data-dir DATA [--engine openvino] [--precision bfloat16] [--faces 3000]

Each face is cropped at the median of the boxes that the detector finds in the first pictures, which are aligned. Printed are the
correlation of the maps with float32's, and how many answers differ.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from safbage import SafBage, faces, images
from safbage.datasets.splits import with_split
from safbage.saliency import metrics
from safbage.tasks import CLASSES

BOXES = 60
"""Pictures whose faces are found."""


def unseen(folder, count):
    """Pictures outside the training part, in an order of their own."""
    table = with_split(pd.DataFrame({"image": sorted(map(str, folder.glob("*.jpg")))}))
    others = table[table.split != "train"]
    return others.image.sample(min(count, len(others)), random_state=0).tolist()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--engine", default="openvino")
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--faces", type=int, default=3000)
    args = parser.parse_args()
    pictures = unseen(args.data_dir / "UTKFace", args.faces)
    found = [faces.detect_enlarged(images.read(path)) for path in pictures[:BOXES]]
    box = tuple(np.median([each[0].box for each in found if each], axis=0))
    exact, reduced = (
        SafBage.load(engine=args.engine, precision=precision)
        for precision in ("float32", args.precision)
    )
    correlations, differ = [], dict.fromkeys(CLASSES, 0)
    for i in tqdm(range(0, len(pictures), 8)):
        crops = np.stack([faces.crop_face(images.read(path), box) for path in pictures[i : i + 8]])
        expected, given = exact.answer(crops), reduced.answer(crops)
        correlations += [
            metrics.cc(*maps) for maps in zip(expected["map"], given["map"], strict=True)
        ]
        for task in CLASSES:
            differ[task] += int((expected[task].argmax(1) != given[task].argmax(1)).sum())
    print(
        f"{len(pictures)} faces; maps correlate by {np.mean(correlations):.5f}, at worst {min(correlations):.4f}"
    )
    print("answers that differ:", ", ".join(f"{task} {count}" for task, count in differ.items()))


if __name__ == "__main__":
    main()
