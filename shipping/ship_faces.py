"""Put the face network and AlexNet-GAP, as ``train_faces.py`` left them, into ``safbage/trained``.

    python shipping/ship_faces.py WORK

The head that learnt FER2013's own labels stays behind. Of AlexNet-GAP, conv1–conv4 and each task's conv5 and softmax become files
of their own.
"""

import argparse
from pathlib import Path

from safetensors.numpy import load_file

from safbage.runtime import weights
from safbage.tasks import CLASSES

DESCRIPTIONS = {
    "face-mobilenet": "MobileNet-v1 for faces: gender, expression, age as a distribution over 0-100 years",
    "alexnet-faces": "AlexNet conv1-conv4 for faces, shared by all tasks",
} | {
    f"alexnet-gap-{task}": f"AlexNet-GAP conv5 and softmax for {task}, over alexnet-faces"
    for task in CLASSES
}
LICENCE = "non-commercial research, as its training data"
KEPT_BACK = "softmax_expression_fer2013/"


def face_tensors(tensors):
    """All but the second head of expression."""
    return {name: value for name, value in tensors.items() if not name.startswith(KEPT_BACK)}


def gap_tensors(tensors) -> dict[str, dict]:
    """By name of a shipped file its layers."""
    own = tuple(f"_{task}/" for task in CLASSES)
    parts = {"alexnet-faces": {k: v for k, v in tensors.items() if not any(o in k for o in own)}}
    for task in CLASSES:
        parts[f"alexnet-gap-{task}"] = {
            name.replace(f"_{task}/", "/"): value
            for name, value in tensors.items()
            if f"_{task}/" in name
        }
    return parts


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    work = parser.parse_args().work
    face = face_tensors(load_file(work / "face.safetensors"))
    parts = {"face-mobilenet": face} | gap_tensors(load_file(work / "alexnet-gap.safetensors"))
    for name, tensors in parts.items():
        described = {"description": DESCRIPTIONS[name], "licence": LICENCE}
        print(weights.ship(tensors, name, described))


if __name__ == "__main__":
    main()
