"""What the light ML-Net saves and costs: time, agreement with the full one, and effect on the answers, in one table.

    python benchmarks/light_saliency.py --faces WORK/utkface WORK/fer2013

`--faces` are data sets that ``safbage prepare`` prepared; only their test splits are used. The light network that ships learnt
from UTKFace (without labels) by another draw, so that most of that test split is known to it; the figures on its card are of
faces that it had not seen. Times are medians of alternating runs on this machine, so that their ratio holds elsewhere roughly;
answers are compared face by face (exact McNemar test).
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest
from tqdm.auto import tqdm

from safbage import SafBage, saliency
from safbage.datasets.shards import Prepared
from safbage.saliency import mlnet
from safbage.saliency.metrics import cc
from safbage.tasks import LABELS


def gflop(model, size=224):
    """Work of one face's convolutions, in GFLOP."""
    names = [layer.name for layer in model.layers if "conv" in layer.name and layer.weights]
    side = {"conv1": 55, "conv2": 27, "conv3": 13, "conv4": 13, "conv5": 13}
    total = 0
    for name in names:
        height, width, into, out = model.get_layer(name).kernel.shape
        block = int(name[4]) if name.startswith("conv") and "_" in name else None
        cells = size / 2 ** (min(block, 4) - 1) if block else side.get(name, size / mlnet.STRIDE)
        total += 2 * height * width * into * out * cells**2
    return total / 1e9


def seconds_per_face(networks, crops, rounds=7):
    """Median time of a batch, the networks in turn, per face."""
    times = {name: [] for name in networks}
    for network in networks.values():
        saliency.predict_faces(crops, network)  # compiled
    for _ in range(rounds):
        for name, network in networks.items():
            start = time.perf_counter()
            saliency.predict_faces(crops, network)
            times[name].append((time.perf_counter() - start) / len(crops))
    return {name: float(np.median(values)) for name, values in times.items()}


def effect(prepared, networks):
    """Per task of a set's labels: accuracy with either network's maps, and the paired test; and CC of the maps."""
    rows = np.flatnonzero(prepared.table.split == "test")
    table = prepared.table.iloc[rows]
    tasks = tuple(task for task, column in LABELS.items() if table[column].notna().any())
    model = SafBage.load(tasks=tasks)
    answers, maps = {name: [] for name in networks}, {name: [] for name in networks}
    for i in tqdm(range(0, len(rows), 64), desc=prepared.folder.name):
        part, _ = prepared.faces(rows[i : i + 64])
        for name, network in networks.items():
            maps[name].append(saliency.predict_faces(part, network))
            answers[name].append(model.classify(part, maps=maps[name][-1]))
    full, light = (np.concatenate(maps[name]) for name in networks)
    answers = {name: pd.concat(parts, ignore_index=True) for name, parts in answers.items()}
    values = np.array([cc(a, b) for a, b in zip(light, full, strict=True)])
    result = {
        "faces": len(rows),
        "cc": float(values.mean()),
        "cc_standard_error": float(values.std(ddof=1) / len(values) ** 0.5),
    }
    for task in tasks:
        known = table[LABELS[task]].notna().to_numpy()
        truth = table[LABELS[task]].to_numpy()[known]
        right = {name: answers[name][task].to_numpy()[known] == truth for name in networks}
        a, b = right.values()
        gained, lost = int((b & ~a).sum()), int((a & ~b).sum())
        same = answers["mlnet"][task].to_numpy()[known] == answers["light"][task].to_numpy()[known]
        result[task] = {name: float(r.mean()) for name, r in right.items()} | {
            "faces": int(known.sum()),
            "same_answer": float(same.mean()),
            "gained": gained,
            "lost": lost,
            "p": float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0,
        }
    return result


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, nargs="+", required=True)
    parser.add_argument("--output", type=Path, help="also write the figures to this JSON file")
    args = parser.parse_args()
    networks = {name: saliency.load(name) for name in ("mlnet", "light")}
    sets = {folder.name: Prepared(folder) for folder in args.faces}
    crops, _ = sets[args.faces[0].name].faces(np.arange(16))
    figures = {
        "gflop": {name: gflop(model.network) for name, model in networks.items()},
        "seconds_per_face": seconds_per_face(networks, crops),
        **{name: effect(prepared, networks) for name, prepared in sets.items()},
    }
    table = Table("", "ML-Net", "light", "")
    work, seconds = figures["gflop"], figures["seconds_per_face"]
    table.add_row(
        "GFLOP per face",
        *(f"{v:.1f}" for v in work.values()),
        f"{work['mlnet'] / work['light']:.0f} times less",
    )
    times = [f"{1000 * v:.1f}" for v in seconds.values()]
    table.add_row("ms per face", *times, f"{seconds['mlnet'] / seconds['light']:.1f} times faster")
    for name in sets:
        found = figures[name]
        error = f"± {found['cc_standard_error']:.4f}, {found['faces']} faces"
        table.add_row(f"CC with ML-Net, {name}", "1", f"{found['cc']:.4f}", error)
        for task in (task for task in LABELS if task in found):
            row = found[task]
            test = f"{row['gained']} gained, {row['lost']} lost, p = {row['p']:.2f}; {row['same_answer']:.1%} same answer"
            table.add_row(
                f"{task} accuracy, {name}", f"{row['mlnet']:.1%}", f"{row['light']:.1%}", test
            )
    Console(width=130).print(table)
    if args.output:
        args.output.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
