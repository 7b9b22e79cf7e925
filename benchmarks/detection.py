"""Time the detector against the mtcnn package as it ships, photo by photo, and compare their boxes.

    python benchmarks/detection.py FOLDER [FOLDER ...] [--limit 100]

Both see each photo once, in turn, so that a machine that drifts drifts for both. Prints JSON; the ratio is the figure to quote.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from safbage import faces, images


def overlap(a, b):
    """Intersection over union of two boxes (left, top, width, height)."""
    sides = [max(0, min(a[i] + a[i + 2], b[i] + b[i + 2]) - max(a[i], b[i])) for i in (0, 1)]
    shared = sides[0] * sides[1]
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def timed(function, *arguments, **options):
    start = time.perf_counter()
    result = function(*arguments, **options)
    return result, time.perf_counter() - start


def compare(paths):
    """Seconds of both on these photos, how many faces, and the least overlap of their boxes."""
    from mtcnn import MTCNN

    stock = MTCNN()
    seconds, found, differing, overlaps = np.zeros(2), 0, 0, []
    first = images.read(paths[0])
    stock.detect_faces(first)
    faces.detect_faces(first)
    for path in tqdm(paths):
        image = images.read(path)
        ours, own_seconds = timed(faces.detect_faces, image)
        theirs, stock_seconds = timed(stock.detect_faces, image, output_type="numpy")
        seconds += own_seconds, stock_seconds
        found += len(theirs)
        differing += len(ours) != len(theirs)
        overlaps += [overlap(face.box, row[1:5]) for face, row in zip(ours, theirs, strict=False)]
    return {
        "photos": len(paths),
        "faces": found,
        "photos_with_another_number_of_faces": differing,
        "least_overlap": min(overlaps, default=None),
        "ms_per_photo": round(1000 * seconds[0] / len(paths), 1),
        "ms_per_photo_mtcnn_package": round(1000 * seconds[1] / len(paths), 1),
        "ratio": round(seconds[0] / seconds[1], 3),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--limit", type=int, default=100, help="photos per folder, spread evenly")
    args = parser.parse_args()
    results = {}
    for folder in args.folders:
        paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
        results[folder.name] = compare(paths[:: max(1, len(paths) // args.limit)][: args.limit])
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
