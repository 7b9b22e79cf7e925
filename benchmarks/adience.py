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

from safbage import SafBage, datasets
from safbage.classifiers import CLASSES


def share(right: pd.Series) -> dict:
    """A share of right answers with its standard error."""
    return {"accuracy": right.mean(), "standard_error": right.std(ddof=1) / np.sqrt(len(right)), "faces": len(right)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()

    table = datasets.adience(args.folder).faces.rename(columns={"image": "photo"}).drop_duplicates("photo")

    answers = SafBage.load(tasks=("age", "gender")).predict(list(map(Path, table.photo)))
    answers["area"] = answers.box_width * answers.box_height
    largest = answers[answers.status == "ok"].sort_values("area").drop_duplicates("photo", keep="last").set_index("photo")
    table = table[table.photo.isin(largest.index)]
    answered = largest.loc[table.photo].reset_index()
    age, gender = table.age_group.reset_index(drop=True).astype(object), table.gender.reset_index(drop=True).astype(object)
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
