"""Have other detectors look through annotated photos, for `safbage evaluate-detection --beside`.

    python benchmarks/face_detection.py FOLDER --work WORK [--boxes FILE] [--yunet MODEL.onnx] [--peers WORK/peers]

FOLDER and --boxes are as for the command. Writes WORK/yunet.csv and WORK/facenet-pytorch.csv, and prints the options that
add them to the command. OpenCV's YuNet (Wu et al. 2023) wants its model, face_detection_yunet_2023mar.onnx; in its authors'
repository, ShiqiYu/libfacedetection.train (BSD), the same file is called onnx/yunet_s_640_640.onnx. facenet-pytorch, another
MTCNN, is installed into the folder --peers, an environment of its own (some GB), and answers from a process of its own. Its
smallest face and its first two thresholds are ours. All pass on boxes far less sure than they would by themselves, so that
the whole curve of precision and recall is seen.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import venv
from pathlib import Path

PACKAGES = ("torch", "torchvision", "requests", "tqdm"), ("--no-deps", "facenet-pytorch==2.6.0")
"""facenet-pytorch asks for older versions of the former than it needs."""
YUNET = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
"""SHA-256 of the model."""
LEAST = 0.1
"""Score from which YuNet's boxes are kept."""
OVERLAP = 0.3
"""What YuNet's boxes may overlap, as OpenCV has it by default."""


def yunet(model):
    """A function from a photo (H×W×3 RGB) to rows of left, top, width, height, score."""
    import cv2

    digest = hashlib.sha256(Path(model).read_bytes()).hexdigest()
    if digest != YUNET:
        sys.exit(f"{model} is not face_detection_yunet_2023mar.onnx: its SHA-256 is {digest}")
    detector = cv2.FaceDetectorYN.create(str(model), "", (320, 320), LEAST, OVERLAP, 5000)

    def look(photo):
        detector.setInputSize(photo.shape[1::-1])
        _, found = detector.detect(cv2.cvtColor(photo, cv2.COLOR_RGB2BGR))
        return [] if found is None else found[:, [0, 1, 2, 3, 14]].tolist()

    return look


def peers_python(folder):
    """The Python of facenet-pytorch's environment, made if it is not there."""
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        for packages in PACKAGES:
            subprocess.run([python, "-P", "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def facenet_pytorch(python, folder):
    """The same as `yunet`, by the MTCNN of this Python's facenet-pytorch."""
    import numpy as np

    process = subprocess.Popen(
        [python, __file__, "--as-peer"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def look(photo):
        np.save(folder / "photo.npy", photo)
        print(folder / "photo.npy", file=process.stdin, flush=True)
        return json.loads(process.stdout.readline())

    return look


def answer_as_peer():
    """In the peer's environment: for each path that comes in, the boxes of its photo."""
    import numpy as np
    import torch
    from facenet_pytorch import MTCNN

    torch.set_num_threads(1)  # several would wait for each other where the machine is busy
    detector = MTCNN(
        keep_all=True,
        min_face_size=20,
        thresholds=[0.6, 0.7, 0.3],
        device="cpu",
        select_largest=False,
    )
    for path in sys.stdin:
        boxes, scores = detector.detect(np.load(path.strip()))
        rows = [] if boxes is None else zip(boxes.tolist(), scores.tolist(), strict=True)
        rows = [[x, y, right - x, low - y, score] for (x, y, right, low), score in rows]
        print(json.dumps(rows), flush=True)


def search(annotated, look, path):
    """Write what a detector finds in all photos as a CSV."""
    import pandas as pd
    from tqdm.auto import tqdm

    from safbage import images
    from safbage.runtime.files import write_whole

    rows = []
    for name, file in tqdm(annotated.photos.items(), desc=path.stem):
        rows += [(name, *row) for row in look(images.read(file))]
    table = pd.DataFrame(rows, columns=["photo", "left", "top", "width", "height", "score"])
    table = table[(table.width > 0) & (table.height > 0)].round(4)
    write_whole(path, lambda aside: table.to_csv(aside, index=False))
    print(f"--beside {path.stem}={path}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--boxes", type=Path)
    parser.add_argument("--work", type=Path, default=Path("detection-peers"))
    parser.add_argument("--yunet", type=Path, help="face_detection_yunet_2023mar.onnx")
    parser.add_argument("--peers", type=Path, help="folder of facenet-pytorch's environment")
    parser.add_argument("--as-peer", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.as_peer:
        answer_as_peer()
        return
    from safbage.datasets import boxes

    annotated = boxes.read(args.folder, args.boxes)
    args.work.mkdir(parents=True, exist_ok=True)
    if args.yunet:
        search(annotated, yunet(args.yunet), args.work / "yunet.csv")
    if args.peers:
        look = facenet_pytorch(peers_python(args.peers), args.work)
        search(annotated, look, args.work / "facenet-pytorch.csv")


if __name__ == "__main__":
    main()
