"""Distil the light ML-Net, on AlexNet's levels, from the full one on faces.

    safbage prepare utkface WORK/utkface --data-dir DATA
    python shipping/distil_light_mlnet.py --faces WORK/utkface --work WORK/light --epochs 5 --ship

`--faces` are prepared data sets with a split, read into memory (170 kB a face). The target is the full network's map of each face
of the train split, as it is, mirrored, and of one copy that is randomly moved, degraded, lit and partly covered (their maps are
made here, once). AlexNet's convolutions are trained along from ImageNet's. The epoch is chosen on the validation split; CC with
the full network's maps is reported on the test split. A killed run goes on after its last whole epoch.
"""

import argparse
import json
from pathlib import Path

import keras
import numpy as np
from augmentation import randomly_varied
from tqdm.auto import tqdm

from safbage import saliency
from safbage.datasets.shards import Prepared
from safbage.errors import WorkError
from safbage.runtime import backend, weights
from safbage.runtime.arrays import fill_array
from safbage.runtime.epochs import EpochLog
from safbage.runtime.work import resuming
from safbage.saliency import mlnet, training
from safbage.saliency.metrics import cc


class Faces:
    """Crops of several prepared folders as one, each with its map; and its random copy with that one's map."""

    def __init__(self, folders, work, batch):
        sets = [Prepared(folder) for folder in folders]
        for prepared in sets:
            if prepared.provenance["weights"].get("mlnet") != weights.shipped_hashes()["mlnet"]:
                raise WorkError(
                    f"the maps in {prepared.folder} are of another ML-Net than the shipped one: prepare the faces again"
                )
        self.split = np.concatenate([prepared.table.split.to_numpy() for prepared in sets])
        read = []
        for prepared in sets:
            parts = np.array_split(np.arange(len(prepared)), -(-len(prepared) // 256))
            read += [
                prepared.faces(part) for part in tqdm(parts, desc=f"reading {prepared.folder.name}")
            ]
        self.crops, self.maps = (np.concatenate(part) for part in zip(*read, strict=True))
        teacher = saliency.load()
        self.copy_maps = fill_array(
            work / "copy_maps.npy",
            self.maps.shape,
            "float16",
            lambda part: saliency.predict_faces(
                np.stack([self.copy(i) for i in range(part.start, part.stop)]), teacher
            ),
            batch,
            "maps of the copies",
        )

    def copy(self, i):
        return randomly_varied(self.crops[i], np.random.default_rng((7, i)))

    def batch(self, index, kinds):
        """Faces and target maps; kinds: 0 as is, 1 mirrored, 2 the random copy, 3 that mirrored."""
        faces = np.stack(
            [self.copy(i) if k >= 2 else self.crops[i] for i, k in zip(index, kinds, strict=True)]
        )
        maps = np.where((kinds >= 2)[:, None, None], self.copy_maps[index], self.maps[index])
        flip = kinds % 2 == 1
        faces[flip], maps[flip] = faces[flip][:, :, ::-1], maps[flip][:, :, ::-1]
        return faces.astype("float32"), maps[..., None]


def correlations(model, faces, index, kind):
    """CC of the light network's maps with the full one's."""
    values = []
    for i in range(0, len(index), 64):
        part = index[i : i + 64]
        x, y = faces.batch(part, np.full(len(part), kind))
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
    for epoch in range(len(log.rows), args.epochs):
        generator = np.random.default_rng((args.seed, epoch))
        if args.dropout:
            model.get_layer("dropout").seed_generator.state.assign([args.seed, epoch])
        order = generator.permutation(rows["train"])
        kinds = generator.integers(0, 4, len(order))
        losses = []
        for i in tqdm(range(0, len(order), args.batch), desc=f"epoch {epoch + 1}", leave=False):
            x, y = faces.batch(order[i : i + args.batch], kinds[i : i + args.batch])
            losses.append(float(model.train_on_batch(x, y)))
        values = correlations(model, faces, rows["validation"][:1000], 0)
        log.add(
            model, {"epoch": epoch + 1, "loss": float(np.mean(losses)), "cc": float(values.mean())}
        )
        print(log.rows[-1], flush=True)
    log.load(model, log.best)
    return log.best


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, nargs="+", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=3e-4)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument(
        "--frozen", action="store_true", help="train the head alone, AlexNet as it is"
    )
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
    faces = Faces(args.faces, args.work, 16)
    model = mlnet.mlnet(backbone="alexnet", prior=(7, 7), dropout=args.dropout)
    weights.assign(model, weights.load("alexnet-conv"))
    for layer in model.layers:
        layer.trainable = not (args.frozen and layer.name.startswith("conv"))
    best = train(model, faces, args.work, args)

    rows = np.flatnonzero(faces.split == "test")
    values = {
        name: correlations(model, faces, rows, kind)
        for name, kind in (("as_they_are", 0), ("moved_and_degraded", 2))
    }
    summary = {
        n: {"mean": float(v.mean()), "standard_error": float(v.std(ddof=1) / np.sqrt(len(v)))}
        for n, v in values.items()
    }
    mean_map = faces.maps[faces.split == "train"].mean(axis=0, dtype="float64")
    constant = [cc(mean_map, faces.maps[i]) for i in rows]
    figures = {
        "epoch": best,
        "faces": len(rows),
        "cc_with_mlnet": summary,
        "cc_of_the_mean_map": float(np.mean(constant)),
    }
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
