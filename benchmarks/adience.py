"""Measure the shipped heads on Adience, a collection they never saw: the whole pipeline, detection included.

    python benchmarks/adience.py ADIENCE_FOLDER

ADIENCE_FOLDER holds ``fold_*_data.txt`` and ``faces/<user>/coarse_tilt_aligned_face.<face>.<image>``. Photos that are not there,
and those in which no face is detected, are left out; of several faces in a photo the largest counts. Prints JSON.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd

from safbage import SafBage
from safbage.classifiers import CLASSES

AGES = dict(
    zip(
        ("(0, 2)", "(4, 6)", "(8, 12)", "(15, 20)", "(25, 32)", "(38, 43)", "(48, 53)", "(60, 100)"),
        CLASSES["age"],
        strict=True,
    )
)
GENDERS = {"m": "male", "f": "female"}


def share(right: pd.Series) -> dict:
    """A share of right answers with its standard error."""
    return {"accuracy": right.mean(), "standard_error": right.std(ddof=1) / np.sqrt(len(right)), "faces": len(right)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()

    lists = [pd.read_csv(path, sep="\t", dtype=str) for path in sorted(args.folder.glob("fold_*_data.txt"))]
    table = pd.concat(lists, ignore_index=True)
    names = "coarse_tilt_aligned_face." + table.face_id + "." + table.original_image
    table["photo"] = [str(args.folder / "faces" / user / name) for user, name in zip(table.user_id, names, strict=True)]
    table = table[[Path(photo).is_file() for photo in table.photo]]

    answers = SafBage.load(tasks=("age", "gender")).predict(list(map(Path, table.photo)))
    answers["area"] = answers.box_width * answers.box_height
    largest = answers[answers.status == "ok"].sort_values("area").drop_duplicates("photo", keep="last").set_index("photo")
    table = table[table.photo.isin(largest.index)]
    answered = largest.loc[table.photo].reset_index()
    age, gender = table.age.map(AGES).reset_index(drop=True), table.gender.map(GENDERS).reset_index(drop=True)
    group = {name: i for i, name in enumerate(CLASSES["age"])}
    off = (age.map(group) - answered.age.map(group)).abs()[age.notna()]
    result = {
        "age": share(off == 0),
        "age, right or one group off": share(off <= 1),
        "gender": share((gender == answered.gender)[gender.notna()]),
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
