"""What the ablation over six ratios costs, beside one ratio alone: nothing is to be detected or
mapped twice.

    python benchmarks/ratios.py --count 120 --out ratios.json

Drawn faces go all the way: found by MTCNN, mapped by the full ML-Net, then a network is fine-tuned
by the paper's recipe for gender, on one fold. First one ratio from nothing; then, in a folder of
its own, six. Of both: seconds by stage, and how many pictures went through MTCNN and faces through
ML-Net.

Expected: six cost at most twice one, and both detect and map as many. What a network's epochs take
is to be paid at each ratio; AlexNet-GAP's are short, those of AlexNet's fc6-fc8 are not.
"""

import argparse
import json
import platform
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from safbage import datasets, experiments, faces, saliency, training
from safbage.datasets import preparation
from safbage.datasets.shards import Prepared

RATIOS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)


def counted(module, name, count):
    """Let a function of a module add how many faces or pictures it was given to a list."""
    real = getattr(module, name)

    def call(given, *arguments, **options):
        calls.append(count(given))
        return real(given, *arguments, **options)

    calls = []
    setattr(module, name, call)
    return calls


def run(table, folder, network, ratios, epochs):
    """Prepare and train from nothing: seconds by stage."""
    start = time.perf_counter()
    preparation.prepare(table, folder / "prepared", progress=False)
    prepared = time.perf_counter() - start
    recipe = replace(training.RECIPES["gender"], epochs=epochs)
    options = dict(networks=(network,), ratios=ratios, folds=(0,), recipe=recipe, progress=False)
    experiments.cross_validate(
        Prepared(folder / "prepared"), "gender", work=folder / "work", **options
    )
    whole = time.perf_counter() - start
    epochs = float(experiments.histories(folder / "work").seconds.sum())
    return {
        "preparation": prepared,
        "frozen features": whole - prepared - epochs,
        "epochs": epochs,
        "whole": whole,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=120, help="drawn faces")
    parser.add_argument("--network", default="alexnet-gap")
    parser.add_argument("--epochs", type=int, default=30, help="of each training; the paper's 30")
    parser.add_argument("--out", type=Path, help="a JSON file of all figures")
    args = parser.parse_args()
    detected = counted(faces, "detect_enlarged", lambda picture: 1)
    mapped = counted(saliency, "predict_faces", len)
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        table = datasets.synthetic(
            Path(folder) / "pictures", args.count, pictures_per_subject=2, progress=False
        ).faces
        run(table.head(32), Path(folder) / "warm", args.network, RATIOS[:1], 1)  # compiled
        for name, ratios in {"one": RATIOS[2:3], "six": RATIOS}.items():
            detected.clear()
            mapped.clear()
            figures[name] = run(table, Path(folder) / name, args.network, ratios, args.epochs)
            figures[name] |= {"detected": sum(detected), "mapped": sum(mapped)}
    one, six = figures["one"], figures["six"]
    figures |= {
        "six / one (2 or less)": six["whole"] / one["whole"],
        "six / one, epochs aside": (six["whole"] - six["epochs"]) / (one["whole"] - one["epochs"]),
        "six / six prepared for themselves": six["whole"] / (len(RATIOS) * one["whole"]),
        "nothing twice": (six["detected"], six["mapped"]) == (one["detected"], one["mapped"]),
        "faces": args.count,
        "network": args.network,
        "epochs": args.epochs,
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "system": platform.platform(),
        },
    }
    print(json.dumps(figures, indent=2))
    if args.out:
        args.out.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
