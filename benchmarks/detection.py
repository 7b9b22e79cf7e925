"""Time the detector against the mtcnn package as it ships and facenet-pytorch, photo by photo; compare boxes with the former's.

    python benchmarks/detection.py FOLDER [FOLDER ...] [--limit 100] [--side 512] [--peers WORK/detection-peers] [--engines]

All see each photo in turn, with the same smallest face, so that a machine that drifts drifts for all. facenet-pytorch is asked
where `--peers` names a folder: it is installed there, into an environment of its own (some GB), and answers from a process of its
own. `--engines` also has the three networks run by each engine that is installed instead of OpenCV: the first time that a size
comes, and again. "cold" is a new process, from its start to the faces of the first photo. Prints JSON; the ratios are the figures
to quote.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import venv
from collections import defaultdict
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


def largest_difference(ours, theirs):
    """Pixels between an edge of our boxes and of the mtcnn package's, at most; infinite where there are other faces."""
    if len(ours) != len(theirs) or any(
        overlap(face.box, row[1:5]) < 0.9 for face, row in zip(ours, theirs, strict=True)
    ):
        return np.inf
    return max(
        (
            float(np.abs(np.array(face.box) - row[1:5]).max())
            for face, row in zip(ours, theirs, strict=True)
        ),
        default=0.0,
    )


def compare(photos, peer):
    """Milliseconds of each on these photos, the ratios to ours, and how our faces agree with the mtcnn package's."""
    from mtcnn import MTCNN
    from tqdm.auto import tqdm

    from safbage import faces

    stock = MTCNN()
    seconds = {"ours": [], "mtcnn": []} | ({"facenet_pytorch": []} if peer else {})
    overlaps, differences, faces_of_ours = [], [], 0
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
        differences.append(largest_difference(ours, theirs))
    return {
        "photos": len(photos),
        "faces_of_mtcnn": len(overlaps),
        "faces": faces_of_ours,
        "share_of_photos_with_the_same_faces": float(np.mean(np.isfinite(differences))),
        "largest_difference_there_px": max(filter(np.isfinite, differences), default=None),
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


def by_engines(photos):
    """Milliseconds a photo, and megabytes that memory grew by, for each that can run the three networks."""
    import psutil
    from tqdm.auto import tqdm

    from safbage.faces import mtcnn
    from safbage.faces.networks import networks, onnx_files
    from safbage.runtime import engines

    ways = {"opencv": networks()}
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i}.onnx" for i in range(3)]
        for path, file in zip(paths, onnx_files(), strict=True):
            path.write_bytes(file)
        for engine in engines.installed():
            opened = [engines.open(path, engine) for path in paths]
            ways[engine] = type(networks())(*map(with_pictures, opened))
    options = {"min_face_size": SMALLEST, "thresholds": (0.6, 0.7, 0.8), "scale_factor": 0.709}
    process, first, again, grown = psutil.Process(), *(defaultdict(list) for _ in range(3))
    for photo in tqdm([photos[0], *photos]):
        for name, three in ways.items():
            before = process.memory_info().rss
            for seconds in (first, again):
                seconds[name].append(timed(mtcnn.detect, three, photo, **options)[1])
            grown[name].append(process.memory_info().rss - before)
    return {
        name: {
            "median_ms_of_the_first_time": round(1000 * float(np.median(first[name][1:])), 1),
            "median_ms": round(1000 * float(np.median(again[name][1:])), 1),
            "memory_grew_mb": round(sum(grown[name][1:]) / 1e6),
        }
        for name in ways
    }


def with_pictures(run):
    """A network of an engine in the form that the detector asks."""
    return lambda pictures: list(run({"pictures": np.ascontiguousarray(pictures)}).values())


COLD = {
    "ours": "from safbage import faces; found = faces.detect_faces(photo)",
    "mtcnn": "import mtcnn; found = mtcnn.MTCNN().detect_faces(photo)",
}
COLD_REPORT = """
import sys, psutil
print(len(found), psutil.Process().memory_info().rss // 10**6, "tensorflow" in sys.modules)
"""


def cold(photo, repeats=3):
    """Seconds of a new process up to the faces of its first photo (medians), and its memory then."""
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.npy"
        np.save(path, photo)
        for name, code in COLD.items():
            code = f"import numpy; photo = numpy.load({str(path)!r})\n{code}\n{COLD_REPORT}"
            runs = [
                timed(subprocess.check_output, [sys.executable, "-P", "-c", code], text=True)
                for _ in range(repeats)
            ]
            faces, megabytes, tensorflow = runs[0][0].split()[-3:]
            results[name] = {
                "s": round(float(np.median([seconds for _, seconds in runs])), 2),
                "faces": int(faces),
                "mb": int(megabytes),
                "imports_tensorflow": tensorflow == "True",
            }
    return results


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
    parser.add_argument("--engines", action="store_true", help="also run by each engine installed")
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
        results[folder.name]["cold"] = cold(photos[0])
        if args.engines:
            results[folder.name]["networks_run_by"] = by_engines(photos)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
