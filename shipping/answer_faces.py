"""Answers of the networks as they ship to the test faces, as the pipeline crops them.

    python shipping/answer_faces.py PACKS WORK

``train_faces.py answer`` asks them about pictures that were packed small. Here crops are cut from the original pictures
(``PACKS/faces.csv`` says where these lie), and the float16 weights compute in float32 on the CPU. The full ML-Net's maps are those
in ``WORK/answers-test.npz``. The second head of expression, which does not ship, answers too. Writes ``WORK/shipped-test.npz``.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from face_settings import RATIO
from packs import read_table
from safetensors.numpy import load_file
from tqdm.auto import tqdm

from safbage import classifiers, faces, images, reweighting
from safbage.classifiers.face_mobilenet import features
from safbage.classifiers.parts import face_input, pooled, softmax
from safbage.runtime import weights
from safbage.runtime.backend import keras
from safbage.tasks import CLASSES

BATCH = 64


def halved(path):
    """Weights as float16 keeps them, in float32."""
    return {
        name: value.astype("float16").astype("float32") for name, value in load_file(path).items()
    }


def face_network(work) -> keras.Model:
    """The face network with all heads that it learnt."""
    tensors, face = halved(work / "face.safetensors"), face_input()
    pool = pooled(features(face))
    heads = {
        name.partition("/")[0]: value.shape[1]
        for name, value in tensors.items()
        if name.startswith("softmax_") and name.endswith("/kernel")
    }
    outputs = {
        name.removeprefix("softmax_"): softmax(count, name)(pool) for name, count in heads.items()
    }
    model = keras.Model(face, outputs)
    weights.assign(model, tensors)
    return model


def gap_network() -> keras.Model:
    """AlexNet-GAP as it ships, without its class activation maps."""
    joint = classifiers.load_joint(tuple(CLASSES), "alexnet-gap")
    return keras.Model(joint.inputs, {task: joint.output[task] for task in CLASSES})


def crop_of(path, box) -> np.ndarray:
    """The face's crop from its original picture; `box` in shares of the picture's sides."""
    picture = images.read(path)
    height, width = picture.shape[:2]
    return faces.crop_face(picture, tuple(box * (width, height, width, height)))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packs", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--limit", type=int, help="faces, for a trial")
    args = parser.parse_args()
    table = read_table(args.packs)
    pictures = pd.read_csv(args.packs / "faces.csv", index_col=0).image
    place = {row: i for i, row in enumerate(table["row"])}
    with np.load(args.work / "answers-test.npz") as file:
        rows, maps = file["row"][: args.limit], file["maps"][: args.limit]
    models = {"face": face_network(args.work), "alexnet-gap": gap_network()}
    found = {}
    for start in tqdm(range(0, len(rows), BATCH), "faces"):
        of = slice(start, start + BATCH)
        crops = np.stack([crop_of(pictures[row], table["box"][place[row]]) for row in rows[of]])
        shown = maps[of].astype("float32") / 255
        seen = reweighting.reweight(crops, shown, RATIO, rounded=False)
        for network, model in models.items():
            for question, shares in model.predict_on_batch(seen).items():
                logits = np.log(np.maximum(shares, 1e-9))
                found.setdefault(f"{network}/{question}", []).append(logits)
    np.savez(
        args.work / "shipped-test.npz",
        row=rows,
        **{name: np.concatenate(parts) for name, parts in found.items()},
    )


if __name__ == "__main__":
    main()
