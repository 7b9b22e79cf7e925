"""Measure the classifiers that safbage ships on faces they did not learn from; write their figures
and model cards.

    safbage prepare adience WORK/adience --data-dir DATA
    python shipping/evaluate_classifiers.py alexnet-gap \
        WORK/utkface WORK/fer2013 WORK/adience --ship

Each folder is a prepared data set and bears its name. UTKFace (age and gender) and FER2013
(expression) are those that the classifiers learnt from: of them the test part counts. Any other set
is foreign: it is measured for whatever it has labels for, on its test part or, where it has no
split, wholly. Prints all figures as JSON. ``--ship``, which needs UTKFace and FER2013, writes
``safbage/trained/alexnet-gap-<task>.json`` or ``efficientnet-faces.json``, and the cards
(``model_cards.py``). Where the network learnt from other preparations than those measured, such as
with the light ML-Net's maps, ``--learnt`` is the folder of them.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import model_cards
import numpy as np
import pandas as pd

from safbage import evaluation, experiments
from safbage.datasets import preparation
from safbage.datasets.shards import Prepared
from safbage.runtime.files import write_whole
from safbage.runtime.weights import stored
from safbage.tasks import CLASSES, LABELS, SHIPPED

OWN = {"age": "utkface", "gender": "utkface", "expression": "fer2013"}
"""On whose test part each task is measured."""
GROUPS = (("race",), ("gender",), ("age_group",), ("race", "gender"))


def standard_error(predictions: pd.DataFrame) -> float:
    """Of the accuracy; NaN where there is one subject.

    A subject's pictures count together; with one each, it is √(variance / faces).
    """
    subject = predictions.subject.astype(object).where(
        predictions.subject.notna(), predictions.image
    )
    right = predictions.label == predictions.answer
    excess = (right - right.mean()).groupby(subject).sum()
    if len(excess) < 2:
        return float("nan")
    return float(np.sqrt(len(excess) / (len(excess) - 1) * (excess**2).sum()) / len(right))


def figures(predictions: pd.DataFrame, task: str) -> dict:
    """All that a card reports of one task on one set. Intervals are Wilson's, 95 %."""
    classes = CLASSES[task]
    measured = evaluation.measure(predictions, classes)
    error = standard_error(predictions)
    faces = predictions.label.value_counts().reindex(list(classes), fill_value=0)
    result = {
        "faces": len(predictions),
        "subjects": int(predictions.subject.nunique()) or None,
        "accuracy": measured["accuracy"],
        "standard_error": None if np.isnan(error) else error,
        "mean_recall": measured["mean_recall"],
        "most_frequent_class": float(faces.max() / len(predictions)),
        "calibration_error": measured["calibration_error"],
        "recall": {name: measured[f"recall {name}"] for name in classes if faces[name]},
        "faces_per_class": {name: int(faces[name]) for name in classes},
    }
    if task == "age":
        result["one_off_accuracy"] = measured["one_off_accuracy"]
    for columns in GROUPS:
        if set(columns) <= set(predictions) and not (
            task == "age" and columns == ("age_group",)
        ):  # those are its classes
            found = evaluation.by_group(predictions, columns, classes)
            names = found[list(columns)].astype(str).agg(", ".join, axis=1)
            values = found[["accuracy", "low", "high", "faces"]].astype(object).to_dict("records")
            result[f"by_{'_and_'.join(columns)}"] = dict(zip(names, values, strict=True))
    return result


def measured(prepared: Prepared, network: str) -> dict[str, dict]:
    """Figures of the tasks that a set has labels for."""
    found = experiments.answer_as_shipped(prepared, tuple(CLASSES), network=network)
    return {task: figures(predictions, task) for task, predictions in found.items()}


def described(prepared: Prepared) -> dict:
    """What a card tells of a set that was learnt from: preparation, faces, labels by split."""
    table = prepared.table
    parts = {
        str(split): {"faces": len(of)}
        | {task: int(of[column].notna().sum()) for task, column in LABELS.items()}
        for split, of in table.groupby("split", observed=True)
    }
    defaults = asdict(preparation.Preparation())
    return {
        "options": {
            name: value
            for name, value in prepared.provenance["options"].items()
            if value != defaults.get(name)
        },
        "faces": len(table),
        "left_out_without_face": len(pd.read_parquet(prepared.folder / "failed.parquet")),
        "whole_picture_taken": int(table.score.isna().sum()),
        "splits": parts,
    }


def gathered(found: dict[str, dict[str, dict]]) -> dict[str, dict]:
    """By task the figures of its own set and, under `elsewhere`, of each foreign one."""
    report = {}
    for task, own in OWN.items():
        elsewhere = {
            name: tasks[task]
            for name, tasks in found.items()
            if name not in OWN.values() and task in tasks
        }
        report[task] = found.get(own, {}).get(task, {}) | {"elsewhere": elsewhere}
    return report


def as_json(result: dict) -> str:
    return json.dumps(result, indent=2, allow_nan=False) + "\n"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", choices=SHIPPED)
    parser.add_argument("prepared", type=Path, nargs="+")
    parser.add_argument(
        "--learnt",
        type=Path,
        help="folder of the prepared sets that the network learnt from, for the cards",
    )
    parser.add_argument(
        "--ship", action="store_true", help="write figures and cards into safbage/trained"
    )
    args = parser.parse_args()
    sets = {folder.resolve().name: Prepared(folder) for folder in args.prepared}
    if args.ship and not set(OWN.values()) <= set(sets):
        parser.error(
            f"the cards need {' and '.join(sorted(set(OWN.values())))}; the folders are named {', '.join(sets)}"
        )
    for name in set(OWN.values()) & set(sets):
        if not (sets[name].table.split == "test").any():
            parser.error(
                f"{sets[name].folder} has no test part, and the classifiers learnt from the rest"
            )
    report = gathered({name: measured(prepared, args.network) for name, prepared in sets.items()})
    if not args.ship:
        print(json.dumps(report, indent=2))
        return
    learnt = {
        name: Prepared(args.learnt / name) if args.learnt else sets[name]
        for name in sorted(set(OWN.values()))
    }
    data = {name: described(prepared) for name, prepared in learnt.items()}
    report = {task: result | {"measured_on": OWN[task]} for task, result in report.items()}
    if args.network == "alexnet-gap":
        texts = {"alexnet-faces.md": model_cards.shared_card(report, data)}
        texts |= {f"alexnet-gap-{task}.json": as_json(result) for task, result in report.items()}
        texts |= {
            f"alexnet-gap-{task}.md": model_cards.card(task, result, data)
            for task, result in report.items()
        }
    else:
        card = model_cards.efficientnet_card(report, data)
        texts = {"efficientnet-faces.json": as_json(report), "efficientnet-faces.md": card}
    for name, text in texts.items():
        write_whole(
            stored.TRAINED / name,
            lambda aside, text=text: aside.write_text(text, encoding="utf-8"),
        )
        print(stored.TRAINED / name)


if __name__ == "__main__":
    main()
