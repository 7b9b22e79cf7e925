"""Measure a shipped AlexNet-GAP head on the test split, as the pipeline runs it, and write its figures beside it.

    python training/evaluate_gap_head.py gender --faces WORK/utkface

Crops and maps are those that ``prepare_faces.py`` made; nothing of the test split was used in training or choice.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm
from train_gap_head import balanced_accuracy

from safbage import SafBage, classifiers, weights

RACES = np.array(["White", "Black", "Asian", "Indian", "other"])


def figures(truth, predicted, confidence, names, groups):
    """What the model card reports: accuracy with its standard error, recalls, calibration, accuracy by group."""
    right = predicted == truth
    bins = np.clip((confidence * 10).astype(int), 0, 9)
    gaps = [abs(right[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)]
    result = {
        "faces": len(truth),
        "accuracy": float(right.mean()),
        "standard_error": float(right.std(ddof=1) / np.sqrt(len(right))),
        "mean_recall": balanced_accuracy(truth, predicted),
        "most_frequent_class": float(np.bincount(truth).max() / len(truth)),
        "calibration_error": float(sum(gaps)),
        "recall": {name: float(right[truth == i].mean()) for i, name in enumerate(names)},
        "faces_per_class": {name: int((truth == i).sum()) for i, name in enumerate(names)},
    }
    if len(names) == 8:
        result["one_off_accuracy"] = float((abs(predicted - truth) <= 1).mean())
    for column, values in groups.items():
        result[f"by_{column}"] = {
            str(g): {"accuracy": float(right[values == g].mean()), "faces": int((values == g).sum())} for g in np.unique(values)
        }
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=list(classifiers.CLASSES))
    parser.add_argument("--faces", type=Path, required=True)
    args = parser.parse_args()

    table = pd.read_csv(args.faces / "faces.csv")
    names = classifiers.CLASSES[args.task]
    table["label"] = pd.Categorical(table[args.task], categories=names).codes
    rows = np.flatnonzero((table.split == "test") & (table.label >= 0) & table.found)
    crops, maps = (np.load(args.faces / f"{name}.npy", mmap_mode="r") for name in ("crops", "maps"))
    model = SafBage.load(tasks=(args.task,))
    parts = [rows[i : i + 64] for i in range(0, len(rows), 64)]
    answers = pd.concat([model.classify(crops[part], maps=maps[part]) for part in tqdm(parts, desc=args.task)])
    tested = table.iloc[rows]
    groups = {"race": RACES[tested.race], "gender": tested.gender.to_numpy()} if "race" in tested else {}
    predicted = pd.Categorical(answers[args.task], categories=names).codes.astype(int)
    truth = tested.label.to_numpy().astype(int)
    result = figures(truth, predicted, answers[f"{args.task}_p"].to_numpy(), names, groups)
    print(json.dumps(result, indent=2))
    path = weights.TRAINED / f"alexnet-gap-{args.task}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
