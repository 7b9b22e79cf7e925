"""Time the detector against the mtcnn package as it ships and facenet-pytorch, photo by photo; compare boxes with the former's.

    python benchmarks/detection.py FOLDER [FOLDER ...] [--limit 100] [--side 512] [--peers WORK/detection-peers]

All see each photo in turn, with the same smallest face, so that a machine that drifts drifts for all. facenet-pytorch is asked
where `--peers` names a folder: it is installed there, into an environment of its own (some GB), and answers from a process of its
own. Prints JSON; the ratios are the figures to quote.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import numpy as np

PACKAGES = ("torch", "torchvision", "requests", "tqdm"), ("--no-deps", "facenet-pytorch==2.6.0")
"""facenet-pytorch asks for older versions of the former than it needs."""
SMALLEST = 20
"""Side of the smallest face looked for, in pixels: the default of all three."""


def overlap(a, b):
    """Intersection over union of two boxes (left, top, width, height)."""
    sides = [max(0, min(a[i] + a[i + 2], b[i] + b[i + 2]) - max(a[i], b[i])) for i in (0, 1)]
    shared = sides[0] * sides[1]
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def timed(function, *arguments, **options):
    start = time.perf_counter()
    result = function(*arguments, **options)
    return result, time.perf_counter() - start


def compare(photos, peer):
    """Milliseconds of each on these photos, the ratios to ours, and how our faces agree with the mtcnn package's."""
    from mtcnn import MTCNN
    from tqdm.auto import tqdm

    from safbage import faces

    stock = MTCNN()
    seconds, overlaps, faces_of_ours = (
        {"ours": [], "mtcnn": []} | ({"facenet_pytorch": []} if peer else {}),
        [],
        0,
    )
    for i, photo in enumerate(tqdm([photos[0], *photos])):
        ours, own = timed(faces.detect_faces, photo, min_face_size=SMALLEST)
        theirs, stocks = timed(
            stock.detect_faces, photo, min_face_size=SMALLEST, output_type="numpy"
        )
        others = [peer(photo)] if peer else []
        if i == 0:  # the first photo warms all of them up
            continue
        for name, value in zip(seconds, (own, stocks, *others), strict=True):
            seconds[name].append(value)
        faces_of_ours += len(ours)
        overlaps += [
            max((overlap(face.box, row[1:5]) for face in ours), default=0.0) for row in theirs
        ]
    return {
        "photos": len(photos),
        "faces_of_mtcnn": len(overlaps),
        "faces": faces_of_ours,
        "least_overlap": min(overlaps, default=None),
        "share_found_at_overlap_0.9": float(np.mean(np.array(overlaps) >= 0.9))
        if overlaps
        else None,
        "median_ms": {
            name: round(1000 * float(np.median(values)), 1) for name, values in seconds.items()
        },
        "times_ours": {  # of two that ran one after the other, so that what disturbs the machine disturbs both
            name: round(float(np.median(np.divide(values, seconds["ours"]))), 2)
            for name, values in seconds.items()
        },
    }


def peers_python(folder):
    """The Python of facenet-pytorch's environment, made if it is not there."""
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        for packages in PACKAGES:
            subprocess.run([python, "-P", "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def facenet_pytorch(python):
    """A function that has facenet-pytorch, of this Python, look at a photo, and gives its seconds."""
    process = subprocess.Popen(
        [python, __file__, "--as-peer"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "photo.npy"

    def peer(photo, folder=folder):  # which lives as long as the function
        np.save(path, photo)
        print(path, file=process.stdin, flush=True)
        return float(process.stdout.readline())

    return peer


def answer_as_peer():
    """In the peer's environment: for each path that comes in, the seconds that its photo took."""
    from facenet_pytorch import MTCNN

    detector = MTCNN(
        keep_all=True, min_face_size=SMALLEST, thresholds=[0.6, 0.7, 0.8], device="cpu"
    )
    for path in sys.stdin:
        photo = np.load(path.strip())
        print(timed(detector.detect, photo, landmarks=True)[1], flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--limit", type=int, default=100, help="photos per folder, spread evenly")
    parser.add_argument(
        "--side",
        type=int,
        help="longer side, in pixels, to which photos are resized; else as they are",
    )
    parser.add_argument("--peers", type=Path, help="folder of facenet-pytorch's environment")
    parser.add_argument("--as-peer", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.as_peer:
        answer_as_peer()
        return
    from safbage import images

    peer = facenet_pytorch(peers_python(args.peers)) if args.peers else None
    results = {}
    for folder in args.folders:
        paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
        photos = [
            images.read(path) for path in paths[:: max(1, len(paths) // args.limit)][: args.limit]
        ]
        if args.side:
            scales = [args.side / max(photo.shape[:2]) for photo in photos]
            sizes = [
                tuple(round(side * s) for side in photo.shape[:2])
                for photo, s in zip(photos, scales, strict=True)
            ]
            photos = [images.resize(photo, size) for photo, size in zip(photos, sizes, strict=True)]
        results[folder.name] = compare(photos, peer)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
