"""What levelling the eyes before cropping (`align=True`) gains on leaning faces.

    python benchmarks/alignment.py --data-dir DATA --work WORK --figure docs/alignment.png

400 (`--faces`) test pictures each of UTKFace (gender, age groups) and of FER2013 (expression) are
drawn by seed, enlarged to 160 pixels at least, and turned about their middle by each angle,
clockwise and anticlockwise in turn; the border's pixels are repeated. The detector finds the face
anew, which is cropped as it stands and with level eyes, and the shipped network answers both (the
light ML-Net, ratio 0.3). Prints by task and angle on how many pictures a face was found, both
accuracies in %, their difference with its 95 % interval (paired bootstrap), and McNemar's p after
Holm's correction over all of them; the accuracies on the faces that were found upright, too; and
how far `faces.eye_angle` and the roll of `faces.head_pose` are from the turn, less their value for
the unturned picture. For yaw and pitch no photos of known pose are at hand: their errors are those
on 300 drawn faces, whose heads do not turn in space (what stands out of them is shifted); and how
much they scatter on the first set's unturned faces. The answers are kept in WORK and read from
there when the command is given again. Some 0.3 s a picture and angle on two cores.
"""

import argparse
from dataclasses import replace
from itertools import product
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from tqdm.auto import tqdm

from safbage import SafBage, datasets, evaluation, faces, images
from safbage.datasets.drawn import factors_of, render
from safbage.faces.detect import ENLARGED
from safbage.runtime.files import write_whole
from safbage.show.plots.style import ANSWER_COLOUR, QUIET_COLOUR
from safbage.tasks import CLASSES, LABELS, POSE

ANGLES = (0, 10, 20, 30, 45)
TASKS = {"utkface": ("gender", "age"), "fer2013": ("expression",)}
ARMS = ("as it stands", "eyes level")


def turned(picture: np.ndarray, angle: float) -> np.ndarray:
    """The picture, turned clockwise in a frame that is half as wide again."""
    scale = max(1, ENLARGED / min(picture.shape[:2]))
    height, width = (round(side * scale) for side in picture.shape[:2])
    picture = images.resize(picture, (height, width))
    down, right = height // 4, width // 4
    wider = cv2.copyMakeBorder(picture, down, down, right, right, cv2.BORDER_REPLICATE)
    middle = ((wider.shape[1] - 1) / 2, (wider.shape[0] - 1) / 2)
    turn = cv2.getRotationMatrix2D(middle, -angle, 1)
    size = wider.shape[1::-1]
    return cv2.warpAffine(wider, turn, size, borderMode=cv2.BORDER_REPLICATE)


def found(picture: np.ndarray) -> faces.Face | None:
    """The largest face that holds the picture's middle."""
    height, width = picture.shape[:2]
    holding = [
        face
        for face in faces.detect_faces(picture)
        if abs(face.box[0] + face.box[2] / 2 - width / 2) < face.box[2] / 2
        and abs(face.box[1] + face.box[3] / 2 - height / 2) < face.box[3] / 2
    ]
    return max(holding, key=lambda face: face.area, default=None)


def answers(name: str, data_dir: Path, count: int) -> pd.DataFrame:
    """A row per picture, angle and task: the label, both answers with their probabilities."""
    table = datasets.load(name, data_dir=data_dir).faces
    table = table[table.split == "test"].dropna(subset=[LABELS[task] for task in TASKS[name]])
    table = table.sample(min(count, len(table)), random_state=0)
    model, rows = SafBage.load(tasks=TASKS[name], saliency="light"), []
    for i, row in enumerate(tqdm(table.to_dict("records"), desc=name)):
        for angle in ANGLES:
            signed = angle if i % 2 else -angle
            picture = turned(images.read(row["image"]), signed)
            face = found(picture)
            seen = dict(image=row["image"], angle=angle, signed=signed, found=face is not None)
            if face is None:
                rows += [seen | {"task": task} for task in TASKS[name]]
                continue
            pose = faces.head_pose(face)
            seen |= {
                "eyes": faces.eye_angle(face),
                **dict(zip(POSE, pose or [np.nan] * 3, strict=True)),
            }
            crops = [faces.crop_face(picture, face, align=align) for align in (False, True)]
            outputs = model.answer(np.stack(crops))
            for task in TASKS[name]:
                given = {"task": task, "label": row[LABELS[task]]}
                for arm, values in enumerate(outputs[task]):
                    given |= {f"{arm}_p_{c}": p for c, p in zip(CLASSES[task], values, strict=True)}
                rows.append(seen | given)
    return pd.DataFrame(rows)


def arm_of(rows: pd.DataFrame, task: str, arm: int) -> pd.DataFrame:
    """One arm's table of predictions, as `evaluation` reads it."""
    names = [f"{arm}_p_{name}" for name in CLASSES[task]]
    values = rows[names].set_axis([f"p_{name}" for name in CLASSES[task]], axis=1)
    answer = [CLASSES[task][i] for i in values.to_numpy().argmax(axis=1)]
    return rows[["image", "label"]].assign(answer=answer).join(values)


def compared(rows: pd.DataFrame) -> pd.DataFrame:
    """A row per task and angle: faces, found, both accuracies, difference, interval, p."""
    result = []
    for task, angle in product(rows.task.unique(), ANGLES):
        these = rows[(rows.task == task) & (rows.angle == angle)]
        seen = these[these.found].reset_index(drop=True)
        plain, level = (arm_of(seen, task, arm) for arm in (0, 1))
        test = evaluation.paired_bootstrap(plain, level)
        result.append(
            {"task": task, "angle": angle, "faces": len(seen), "found": these.found.mean()}
            | {key: 100 * test[key] for key in ("a", "b", "difference", "low", "high")}
            | {"p": evaluation.mcnemar(plain, level)["p"]}
        )
    table = pd.DataFrame(result)
    return table.assign(p=evaluation.holm(table.p))


def beside_upright(rows: pd.DataFrame) -> pd.DataFrame:
    """By task and angle, the accuracies in % on the faces that were found both upright and turned:
    upright, turned as it stands, turned with level eyes; and McNemar's p of the last two, as it is."""
    result = []
    for task, angle in product(rows.task.unique(), ANGLES[1:]):
        seen = rows[(rows.task == task) & rows.found]
        upright, turned = (seen[seen.angle == a].set_index("image") for a in (0, angle))
        both = upright.index.intersection(turned.index)
        arms = [(upright, 0), (turned, 0), (turned, 1)]
        arms = [arm_of(those.loc[both].reset_index(), task, arm) for those, arm in arms]
        right = [round(100 * evaluation.accuracy(arm), 1) for arm in arms]
        p = evaluation.mcnemar(*arms[1:])["p"]
        result.append((task, angle, len(both), *right, round(p, 3)))
    return pd.DataFrame(result, columns=["task", "turned", "faces", "upright", *ARMS, "p"])


def roll_errors(rows: pd.DataFrame) -> pd.DataFrame:
    """By angle: median and 95th percentile of |found turn − true turn|, in degrees, by the eyes'
    line and by the fitted head."""
    once = rows[rows.found].drop_duplicates(["image", "angle"])
    start = once[once.angle == 0].set_index("image")[["eyes", "roll"]]
    result = []
    for angle in ANGLES[1:]:
        these = once[once.angle == angle].set_index("image")
        for name in ("eyes", "roll"):
            error = (these[name] - start[name] - these.signed).dropna().abs()
            low, high = error.quantile([0.5, 0.95])
            result.append({"angle": angle, "by": name, "median": low, "95 %": high})
    return pd.DataFrame(result)


def drawn_errors(count: int = 300) -> pd.DataFrame:
    """Of `faces.head_pose` on drawn faces of known pose, in degrees: mean and 95th percentile of
    the error's size, the correlation with the drawn angle, and the found angle a degree of it."""
    generator, rows = np.random.default_rng(0), []
    for i in range(count):
        true = generator.uniform([-30, -30, -20], [30, 30, 20])
        factors = replace(factors_of(i), **dict(zip(POSE, map(float, true), strict=True)))
        for face in faces.detect_enlarged(render(factors, (320, 320)))[:1]:
            pose = faces.head_pose(face)
            rows += [(true, pose)] if pose else []
    true, given = (np.array(values) for values in zip(*rows, strict=True))
    result = []
    for i, name in enumerate(POSE):
        error = np.abs(given[:, i] - true[:, i])
        slope = np.polyfit(true[:, i], given[:, i], 1)[0]
        r = np.corrcoef(true[:, i], given[:, i])[0, 1]
        result.append((name, len(rows), error.mean(), np.quantile(error, 0.95), r, slope))
    return pd.DataFrame(result, columns=["angle", "faces", "mean", "95 %", "r", "slope"])


def plotted(table: pd.DataFrame, path: Path) -> None:
    """Accuracy against the angle, an axes per task."""
    tasks = table.groupby("task", sort=False)
    size = (3.6 * len(tasks), 3.4)
    figure, axes = plt.subplots(1, len(tasks), figsize=size, layout="constrained", squeeze=False)
    for ax, (task, rows) in zip(axes[0], tasks, strict=True):
        for column, arm, colour in zip("ab", ARMS, (QUIET_COLOUR, ANSWER_COLOUR), strict=True):
            spread = 100 * (rows[column] / 100 * (1 - rows[column] / 100) / rows.faces) ** 0.5
            ax.fill_between(
                rows.angle, rows[column] - spread, rows[column] + spread, color=colour, alpha=0.15
            )
            ax.plot(rows.angle, rows[column], "o-", color=colour, label=arm)
        ax.set(title=task, xlabel="face turned by, degrees", xticks=ANGLES)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel("accuracy, %")
    axes[0, 0].legend(frameon=False, loc="lower left")
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for the answers")
    parser.add_argument("--sets", nargs="+", choices=TASKS, default=[*TASKS])
    parser.add_argument("--faces", type=int, default=400, help="of each set (400)")
    parser.add_argument("--figure", type=Path)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    kept = []
    for name in args.sets:
        path = args.work / f"{name}-{args.faces}.parquet"
        if not path.exists():
            write_whole(path, answers(name, args.data_dir, args.faces).to_parquet)
        kept.append(pd.read_parquet(path))
    table = compared(pd.concat(kept, ignore_index=True))
    shown = Table("task", "turned", "faces", "found, %", *ARMS, "difference", "p")
    for row in table.itertuples():
        shown.add_row(
            row.task,
            f"{row.angle}°",
            str(row.faces),
            f"{100 * row.found:.0f}",
            f"{row.a:.1f}",
            f"{row.b:.1f}",
            f"{row.difference:+.1f} ({row.low:+.1f} to {row.high:+.1f})",
            f"{row.p:.2g}",
        )
    Console(width=110).print(shown)
    Console(width=110).print(beside_upright(pd.concat(kept, ignore_index=True)))
    for name, rows in zip(args.sets, kept, strict=True):
        Console().print(f"error of the roll, degrees, {name}", roll_errors(rows).round(1))
    unturned = kept[0][kept[0].found & (kept[0].angle == 0)].drop_duplicates("image")
    spread = {name: round(float(unturned[name].std()), 1) for name in POSE}
    Console().print(f"scatter on unturned faces of {args.sets[0]}, degrees", spread)
    Console().print("errors on drawn faces, degrees", drawn_errors().round(2))
    if args.figure:
        plotted(table, args.figure)


if __name__ == "__main__":
    main()
