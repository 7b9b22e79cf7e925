"""Where on a face do people look, and where lies the networks' evidence: on eyes, nose and mouth, as the paper says (section 5)?

    python benchmarks/facial_parts.py PREPARED WORK --output benchmarks/facial_parts.json

PREPARED is a folder of faces with labels of gender (`safbage prepare utkface PREPARED --limit 1000`). AlexNet-GAP is tuned on four fifths
of the people, without saliency and with it at 30 %, and answers the last fifth; so every face is answered by networks that never saw it.
Beside them stands AlexNet-GAP with ImageNet's convolutions and the softmax that training began with. A map's mass is what is positive of it (of a
class activation map, of the evidence for the answer and against the other class), within `faces.near_landmarks` of each part, as a share of the
whole. An even map has the parts' area. Prints and writes JSON: shares with standard errors, and paired differences with 95 % intervals.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from tqdm.auto import tqdm

from safbage import cam, classifiers, faces, images
from safbage.classifiers.cutting import split_after
from safbage.datasets.preparation import most_central
from safbage.datasets.shards import Prepared
from safbage.experiments import Arm, name_of
from safbage.reweighting import RATIO, reweight
from safbage.runtime.backend import keras, predict_batches
from safbage.runtime.files import write_text
from safbage.tasks import MAP_SIZE
from safbage.training import RECIPES, fine_tune, load_trained

PARTS = {
    "eyes": ("left_eye", "right_eye"),
    "nose": ("nose",),
    "mouth": ("mouth_left", "mouth_right"),
}
NETWORK, EPOCHS, FOLDS = "alexnet-gap", 30, 5


def cells_of(prepared: Prepared) -> dict[int, dict[str, np.ndarray]]:
    """By the face's position the cells of a map on each part; of the faces that are detected where the preparation had them."""
    found = {}
    for i, row in tqdm(prepared.table.iterrows(), "landmarks", len(prepared)):
        photo = images.read(row.image)
        detected = faces.detect_enlarged(photo, min_face=prepared.provenance["options"]["min_face"])
        if not detected:
            continue
        face = most_central(detected, photo.shape[:2])
        if np.allclose(
            face.box, row[["box_left", "box_top", "box_width", "box_height"]].astype(float), atol=1
        ):
            found[i] = {
                part: faces.near_landmarks(
                    replace(face, landmarks={name: face.landmarks[name] for name in names})
                )
                for part, names in PARTS.items()
            }
    return found


def evidence(model: keras.Model, crops: np.ndarray) -> np.ndarray:
    """What speaks for each face's answer and against the other class, N×28×28, 0 where nothing does."""
    below, _ = split_after(model, cam.last_convolution(model))
    features = predict_batches(below, crops.astype("float32"), 32)
    answers = predict_batches(model, crops.astype("float32"), 32).argmax(axis=1)
    maps = cam.contrast(cam.class_activation_maps(features, np.asarray(model.layers[-1].kernel)))
    own = np.take_along_axis(maps, answers[:, None, None, None], axis=3)[..., 0]
    return np.stack([images.resize(np.maximum(one, 0), MAP_SIZE) for one in own])


def share(a_map, cells):
    """The part of a map's mass that lies on some cells; NaN of an empty map."""
    total = a_map.sum()
    return float(a_map[cells].sum() / total) if total > 0 else np.nan


def answered(prepared, work, rows):
    """Maps of all kinds of some faces, each by networks that never saw it: by name, N×28×28."""
    crops, saliency = prepared.faces(range(len(prepared)))
    found = {"saliency": saliency} | {
        name: np.full((len(prepared), *MAP_SIZE), np.nan)
        for name in ("without saliency", "ratio 30 %", "untrained")
    }
    recipe = replace(RECIPES["gender"], epochs=EPOCHS)
    for fold in range(FOLDS):
        for name, ratio in (("without saliency", 0.0), ("ratio 30 %", RATIO)):
            folder = work / name_of("gender", Arm(NETWORK, ratio), fold)
            run = fine_tune(
                prepared,
                "gender",
                work=folder,
                network=NETWORK,
                ratio=ratio,
                recipe=recipe,
                fold=fold,
            )
            tested = np.flatnonzero(prepared.table.row.isin(run.predictions.row))
            shown = np.stack([reweight(crops[i], saliency[i], ratio) for i in tested])
            found[name][tested] = evidence(load_trained(folder), shown)
    keras.utils.set_random_seed(0)
    found["untrained"] = evidence(classifiers.classifier(NETWORK, 2), crops)
    return found


def measure(prepared, work):
    cells = cells_of(prepared)
    maps = answered(prepared, work, list(cells))
    rows = [
        {"face": i, "part": part, "area": of.mean()}
        | {name: share(every[i], of) for name, every in maps.items()}
        for i, parts in cells.items()
        for part, of in (parts | {"all three": np.any(list(parts.values()), axis=0)}).items()
    ]
    return pd.DataFrame(rows).dropna()


def compared(table):
    """Shares of each part, and what each kind of map has more than another; in points of 100."""
    kinds = [name for name in table.columns if name not in ("face", "part")]
    pairs = [
        ("saliency", "area"),
        ("ratio 30 %", "area"),
        ("without saliency", "area"),
        ("untrained", "area"),
        ("ratio 30 %", "without saliency"),
        ("ratio 30 %", "untrained"),
        ("without saliency", "untrained"),
    ]
    result = []
    for part, of in table.groupby("part", sort=False):
        row = {"part": part, "faces": len(of)} | {
            name: {"share": 100 * of[name].mean(), "error": 100 * stats.sem(of[name])}
            for name in kinds
        }
        for one, other in pairs:
            difference = 100 * (of[one] - of[other])
            low, high = stats.t.interval(
                0.95, len(of) - 1, difference.mean(), stats.sem(difference)
            )
            row[f"{one} - {other}"] = {
                "difference": difference.mean(),
                "low": low,
                "high": high,
                "p": stats.ttest_1samp(difference, 0).pvalue,
            }
        result.append(row)
    return result


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prepared", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    prepared = Prepared(args.prepared)
    table = measure(prepared, args.work)
    recipe = asdict(replace(RECIPES["gender"], epochs=EPOCHS))
    found = {
        "network": NETWORK,
        "folds": FOLDS,
        "recipe": recipe,
        "prepared": prepared.provenance,
        "parts": compared(table),
    }
    text = json.dumps(found, indent=1, default=float)
    print(json.dumps(found["parts"], indent=1, default=float))
    if args.output:
        write_text(args.output, text + "\n")


if __name__ == "__main__":
    main()
