"""How ML-Net's precisions, and the light ML-Net, compare on faces that trained no network here: time, maps, answers.

    python benchmarks/engines.py --data-dir DATA [--rafdb FOLDER] [--prepared LFW] [--ways float32 bfloat16 int8 light] [--mlnet FILE] [--faces 3000]

Looked at are pictures of UTKFace's test part (DATA/UTKFace), of RAF-DB's, and of a folder that `safbage prepare` filled, such as
LFW's, in one mixed order, so that the first thousand are a sample, too. UTKFace and RAF-DB are aligned: each of their faces is cropped
at the median of the boxes that the detector finds in the set's first pictures. All ways see each batch in turn, so that a machine that
drifts drifts for all; the first of `--ways` is what the others are compared with. `light` is the light ML-Net in bfloat16 where the
processor has it; it learnt from most of UTKFace's pictures. `--mlnet` adds a further ML-Net as the way `file`, such as one that shipped earlier. With `--output` the same command goes on where it was stopped. Where labels are known, answers
are compared by McNemar's exact test.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from tqdm import tqdm

from safbage import SafBage, datasets, faces, images
from safbage.datasets.shards import Prepared
from safbage.saliency import metrics
from safbage.tasks import CLASSES, LABELS

BOXES = 60
"""Pictures of an aligned set whose faces are found."""
WAYS = {
    "float32": {"precision": "float32"},
    "bfloat16": {"precision": "bfloat16"},
    "int8": {"precision": "int8"},
    "light": {"saliency": "light"},
    "light-int8": {"saliency": "light", "precision": "int8"},
}


class Aligned:
    """The test part of an aligned set."""

    def __init__(self, listing):
        self.table = listing.faces[listing.faces.split == "test"].reset_index(drop=True)
        paths = self.table.image.sample(min(BOXES, len(self.table)), random_state=0)
        found = [faces.detect_enlarged(images.read(path)) for path in paths]
        self.box = tuple(np.median([each[0].box for each in found if each], axis=0))

    def crop(self, row):
        return faces.crop_face(images.read(self.table.image[row]), self.box)


class Shards:
    """A prepared set whose pictures are in no training."""

    def __init__(self, folder):
        self.prepared = Prepared(folder)
        self.table = self.prepared.table.reset_index(drop=True)

    def crop(self, row):
        return self.prepared.faces([row])[0][0]


def mixed(sets, count):
    """(set, row) of `count` faces, as many of each set as there are, in mixed order."""
    generator, share = np.random.default_rng(0), -(-count // len(sets))
    places = [
        (name, int(row))
        for name, one in sets.items()
        for row in generator.permutation(len(one.table))[:share]
    ]
    return [places[i] for i in generator.permutation(len(places))[:count]]


def look(models, sets, places, size, output):
    """A row for each face and way: seconds, correlation with the first way's map, answers, and the labels; written batch by batch."""
    begun = output.is_file()
    done = len(pd.read_csv(output)) // len(models) if begun else 0
    try:
        for start in tqdm(range(done, len(places), size), initial=done // size):
            rows = look_at(models, sets, places[start : start + size])
            pd.DataFrame(rows).to_csv(output, mode="a", header=not begun, index=False)
            begun = True
    except KeyboardInterrupt:
        print("stopped")
    return pd.read_csv(output)


def look_at(models, sets, places):
    """The rows of one batch."""
    crops = np.stack([sets[name].crop(row) for name, row in places])
    outputs, seconds, rows = {}, {}, []
    for way, model in models.items():
        before = time.perf_counter()
        outputs[way] = model.answer(crops)
        seconds[way] = (time.perf_counter() - before) / len(places)
    first = next(iter(outputs.values()))
    for i, (name, row) in enumerate(places):
        labels = sets[name].table.loc[row]
        known = {f"true_{task}": labels.get(column) for task, column in LABELS.items()}
        for way, found in outputs.items():
            told = {task: CLASSES[task][found[task][i].argmax()] for task in CLASSES}
            of = {"set": name, "row": row, "way": way, "seconds": seconds[way]}
            rows.append(of | {"cc": metrics.cc(found["map"][i], first["map"][i])} | told | known)
    return rows


def compare(one, other):
    """What another way's rows say beside the first one's."""
    result = {
        "faces": len(one),
        "ms_a_face": round(1000 * float(other.seconds.median()), 1),
        "times_as_fast": round(float(one.seconds.median() / other.seconds.median()), 2),
        "cc_median": round(float(other.cc.median()), 5),
        "cc_mean": round(float(other.cc.mean()), 5),
        "cc_1_percent_lie_below": round(float(other.cc.quantile(0.01)), 4),
        "cc_worst": round(float(other.cc.min()), 4),
    }
    for task in CLASSES:
        known = one[f"true_{task}"].notna().to_numpy()
        right, rights = (
            (rows[task] == rows[f"true_{task}"]).to_numpy()[known] for rows in (one, other)
        )
        gained, lost = int((rights & ~right).sum()), int((right & ~rights).sum())
        differ = int((one[task].to_numpy() != other[task].to_numpy()).sum())
        result[task] = {"differ": differ, "differ_percent": round(100 * differ / len(one), 2)}
        if known.any():
            p = binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
            result[task] |= {
                "labelled": int(known.sum()),
                "right_percent": round(100 * float(rights.mean()), 2),
                "right_percent_of_the_first": round(100 * float(right.mean()), 2),
                "gained": gained,
                "lost": lost,
                "p": round(float(p), 3),
            }
    return result


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--rafdb", type=Path)
    parser.add_argument("--prepared", type=Path)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--mlnet", type=Path, help="a file of further ML-Net weights")
    parser.add_argument("--faces", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument(
        "--output", type=Path, default="engines.csv", help="gets a row for each face and way"
    )
    args = parser.parse_args()
    sets = {"UTKFace": Aligned(datasets.utkface(args.data_dir / "UTKFace"))}
    if args.rafdb:
        sets["RAF-DB"] = Aligned(datasets.rafdb(args.rafdb))
    if args.prepared:
        sets[args.prepared.name] = Shards(args.prepared)
    ways = {way: WAYS[way] for way in args.ways}
    if args.mlnet:
        ways["file"] = {"saliency": args.mlnet}
    models = {
        way: SafBage.load(engine="openvino", batch_size=args.batch, **options)
        for way, options in ways.items()
    }
    for model in models.values():
        model.answer(np.zeros((args.batch, 224, 224, 3), "uint8"))  # prepared for this size
    rows = look(models, sets, mixed(sets, args.faces), args.batch, args.output)
    first, *others = (rows[rows.way == way].reset_index(drop=True) for way in ways)
    found = {
        "by_set": first.set.value_counts().to_dict(),
        "batch": args.batch,
        "first": args.ways[0],
        "ms_a_face_of_the_first": round(1000 * float(first.seconds.median()), 1),
    }
    for way, other in zip(list(ways)[1:], others, strict=True):
        medians = {f"cc_median_{name}": other.cc[other.set == name].median() for name in sets}
        found[way] = compare(first, other) | {
            name: round(float(value), 5) for name, value in medians.items()
        }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
