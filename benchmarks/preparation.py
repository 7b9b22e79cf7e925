"""How much of the machine preparation uses: its rate against detector and ML-Net alone on the same photos in memory.

    python benchmarks/preparation.py UTKFACE --count 400

Both sides run in turn, several rounds, in one process; the figure is the ratio of the medians. What preparation does besides,
reading, cropping, encoding, writing, should hide behind the networks: 85 % or more.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from safbage import faces, images, saliency
from safbage.datasets import preparation
from safbage.runtime import backend


def alone(pictures, network):
    """Detector and ML-Net, one after the other, on pictures in memory; cropping is not counted."""
    start = time.perf_counter()
    found = [
        faces.detect_faces(picture, min_face_size=max(20, 0.2 * min(picture.shape[:2])))
        for picture in pictures
    ]
    detecting = time.perf_counter() - start
    crops = np.stack([faces.crop_face(p, f[0]) for p, f in zip(pictures, found, strict=True) if f])
    start = time.perf_counter()
    saliency.predict_faces(crops, network)
    return detecting, time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="pictures of faces")
    parser.add_argument("--count", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="float32")
    args = parser.parse_args()
    files = sorted(args.folder.glob("*.jpg"))
    files = [files[i] for i in np.random.default_rng(0).permutation(len(files))[: args.count]]
    table = pd.DataFrame({"image": files})
    pictures = [images.read(file) for file in files]
    with backend.precision(args.precision):
        network = saliency.load()
    alone(pictures[:32], network)  # compiled
    times = {"detector": [], "ML-Net": [], "preparation": []}
    for _ in range(args.rounds):
        detecting, mapping = alone(pictures, network)
        times["detector"].append(detecting)
        times["ML-Net"].append(mapping)
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            preparation.prepare(
                table, folder, preparation.Preparation(precision=args.precision), progress=False
            )
            times["preparation"].append(time.perf_counter() - start)
    median = {name: float(np.median(values)) for name, values in times.items()}
    rate = (median["detector"] + median["ML-Net"]) / median["preparation"]
    figures = {
        "pictures": len(files),
        "seconds": median,
        "faces_per_second": len(files) / median["preparation"],
        "ratio": rate,
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
