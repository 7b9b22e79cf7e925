"""Distil the light ML-Net, on AlexNet's levels, from the full one on faces.

    safbage prepare utkface WORK/utkface --data-dir DATA --saliency light
    python shipping/distil_light_mlnet.py --faces WORK/utkface WORK/rafdb --work WORK/light --epochs 5 --ship

`--faces` are prepared data sets with a split; their crops are read into memory (150 kB a face), their maps are not used. The target
is the full network's map of each face, which is made here, once. Every other face of the train split is first moved and partly covered
at random. The light network is shown each mirrored half of the time, and half of the time degraded and lit anew: it learns to answer a
poor picture as the full network answers the good one. AlexNet's convolutions are trained along, from ImageNet's or, with `--start`, from
those of an earlier light network. The epoch is chosen on the validation split; CC with the full network's maps is reported on the test
split. A killed run goes on after its last whole epoch.
"""

import argparse
import json
from pathlib import Path

import keras
import numpy as np
from augmentation import MOVED, SPOILT, varied
from tqdm.auto import tqdm

from safbage import SafBage
from safbage.datasets.shards import Prepared
from safbage.runtime import backend, weights
from safbage.runtime.arrays import fill_array
from safbage.runtime.epochs import EpochLog
from safbage.runtime.weights import checkpoints
from safbage.runtime.work import resuming
from safbage.saliency import mlnet, training
from safbage.saliency.metrics import cc
from safbage.tasks import MAP_SIZE

JUDGED = 1000
"""Faces of the validation split that choose the epoch."""


class Faces:
    """Crops of several prepared folders as one, each with the full network's map. Every other training face is a moved copy."""

    def __init__(self, folders, teacher, work, most=None, batch=16):
        sets = [Prepared(folder) for folder in folders]
        draw = np.random.default_rng(0).permutation
        rows = [np.sort(draw(len(prepared))[:most]) for prepared in sets]
        self.split = np.concatenate(
            [p.table.split.to_numpy()[chosen] for p, chosen in zip(sets, rows, strict=True)]
        )
        self.set = np.repeat(
            [prepared.folder.name.lower() for prepared in sets], list(map(len, rows))
        )
        read = []
        for prepared, chosen in zip(sets, rows, strict=True):
            parts = np.array_split(chosen, -(-len(chosen) // 256))
            read += [
                prepared.faces(part)[0]
                for part in tqdm(parts, desc=f"reading {prepared.folder.name}")
            ]
        self.crops = np.concatenate(read)
        for i in np.flatnonzero(self.split == "train")[1::2]:
            self.crops[i] = varied(self.crops[i], np.random.default_rng((7, i)), MOVED)
        self.maps = fill_array(
            work / "maps.npy",
            (len(self.crops), *MAP_SIZE),
            "float16",
            lambda part: teacher.answer(self.crops[part])["map"].reshape(-1, *MAP_SIZE),
            batch,
            "maps",
        )

    def batch(self, index, kinds, generator):
        """Faces and target maps; bits of kinds: 1 mirrored, 2 degraded and lit."""
        faces = [
            varied(self.crops[i], generator, SPOILT) if k & 2 else self.crops[i]
            for i, k in zip(index, kinds, strict=True)
        ]
        faces, maps, flip = np.stack(faces), self.maps[index], kinds & 1 > 0
        faces[flip], maps[flip] = faces[flip][:, :, ::-1], maps[flip][:, :, ::-1]
        return faces.astype("float32"), maps[..., None]


def correlations(model, faces, index, kind):
    """CC of the light network's maps with the full one's."""
    values = []
    for i in range(0, len(index), 64):
        part = index[i : i + 64]
        generator = np.random.default_rng((11, i))
        x, y = faces.batch(part, np.full(len(part), kind), generator)
        predicted = np.asarray(model.predict_on_batch(x), "float32")
        values += [cc(p, q) for p, q in zip(predicted, y, strict=True)]
    return np.array(values)


def train(model, faces, work, args):
    """Epoch by epoch; leaves the best one by validation CC in the model."""
    rows = {name: np.flatnonzero(faces.split == name) for name in ("train", "validation")}
    steps = -(-len(rows["train"]) // args.batch)
    rate = keras.optimizers.schedules.CosineDecay(args.rate, args.epochs * steps)
    model.compile(keras.optimizers.Adam(rate), loss=training.kl_cc_loss)
    model.optimizer.build(model.trainable_variables)
    log = EpochLog(work, lambda row: row["cc"])
    log.resume(model)
    judged = np.random.default_rng(0).permutation(rows["validation"])[:JUDGED]
    for epoch in range(len(log.rows), args.epochs):
        generator = np.random.default_rng((args.seed, epoch))
        if args.dropout:
            model.get_layer("dropout").seed_generator.state.assign([args.seed, epoch])
        order = generator.permutation(rows["train"])
        kinds = generator.integers(0, 4, len(order))
        losses = []
        for i in tqdm(range(0, len(order), args.batch), desc=f"epoch {epoch + 1}", leave=False):
            part = slice(i, i + args.batch)
            x, y = faces.batch(order[part], kinds[part], generator)
            losses.append(float(model.train_on_batch(x, y)))
        values = correlations(model, faces, judged, 0)
        log.add(
            model, {"epoch": epoch + 1, "loss": float(np.mean(losses)), "cc": float(values.mean())}
        )
        print(log.rows[-1], flush=True)
    log.load(model, log.best)
    return log.best


def started(source):
    """The weights of a light network by name."""
    if source == "light":
        return weights.load("mlnet-light")
    return checkpoints.read_safetensors(source)[0]


def agreement(model, faces, rows):
    """CC with the full network's maps, mean and standard error: as the faces are, and spoilt; and that of the training faces' mean map."""
    found = {}
    for name, kind in (("as_they_are", 0), ("spoilt", 2)):
        values = correlations(model, faces, rows, kind)
        error = values.std(ddof=1) / np.sqrt(len(values))
        found[name] = {"mean": float(values.mean()), "standard_error": float(error)}
    mean_map = faces.maps[faces.split == "train"].mean(axis=0, dtype="float64")
    return found | {"mean_map": float(np.mean([cc(mean_map, faces.maps[i]) for i in rows]))}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, nargs="+", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--most", type=int, help="draw so many faces of each set at most")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--start", help="light, or a file of its weights, to go on from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--precision", default="float32", help="mixed_bfloat16 is faster where the hardware has it"
    )
    parser.add_argument("--ship", action="store_true", help="store the network in safbage/trained")
    args = parser.parse_args()
    settings = {name: value for name, value in vars(args).items() if name != "ship"}
    settings |= {"mlnet": weights.shipped_hashes()["mlnet"]}
    with resuming(args.work, settings), backend.precision(args.precision):
        distil(args)


def distil(args):
    """The training and its measuring; with --ship the weights, too."""
    keras.utils.set_random_seed(args.seed)
    faces = Faces(args.faces, SafBage.load(tasks=("gender",)), args.work, args.most)
    model = mlnet.mlnet(backbone="alexnet", prior=(7, 7), dropout=args.dropout)
    weights.assign(model, weights.load("alexnet-conv"))
    if args.start:
        weights.assign(model, started(args.start))
    best = train(model, faces, args.work, args)

    figures = {"epoch": best}
    for name in dict.fromkeys(faces.set):
        rows = np.flatnonzero((faces.split == "test") & (faces.set == name))
        if len(rows):
            figures[str(name)] = {"faces": len(rows)} | agreement(model, faces, rows)
    print(json.dumps(figures, indent=2))
    if args.ship:
        tensors = {
            f"{layer.name}/{v.name}": np.asarray(v)
            for layer in model.layers
            for v in layer.trainable_weights
        }
        metadata = {
            "description": "light ML-Net on AlexNet's levels, for faces",
            "licence": "non-commercial research",
        }
        path = weights.ship(tensors, "mlnet-light", metadata)
        path.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
