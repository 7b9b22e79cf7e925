"""Train ML-Net's head (two convolutions and the prior) on OSIE's fixations, over the frozen VGG-16 trunk.

    python training/train_mlnet_head.py OSIE_FOLDER --work WORK_FOLDER

OSIE_FOLDER holds ``stimuli/*.jpg`` and ``fixations.csv`` (image, subject, x, y). The scenes are shuffled once (seed 0):
a fifth is held back for the figures on the model card, a tenth of the rest chooses the epoch. Trunk features are computed
once into WORK_FOLDER and a killed run goes on after its last whole epoch. With ``--ship`` the best head and its figures are
stored in ``safbage/trained``.
"""

import argparse
import json
from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
from tqdm.auto import tqdm
from work import EpochLog, keep_settings, resumable

from safbage import images, mlnet, weights


def fixation_map(points, size, sigma):
    """Fixations (N×2, x and y in pixels) as a map of `size`, blurred by a Gaussian of `sigma` pixels, maximum 1."""
    height, width = size
    x, y = np.round(points).astype(int).T
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    hits = np.zeros(size, "float32")
    np.add.at(hits, (y[inside], x[inside]), 1)
    blurred = cv2.GaussianBlur(hits, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    return blurred / blurred.max()


def read_scenes(folder, sigma, size):
    """OSIE as arrays: names, RGB scenes (N×H×W×3) at `size`, and fixation maps at 800×600 (list)."""
    fixations = pd.read_csv(folder / "fixations.csv", dtype={"image": str})
    names, scenes, maps = [], [], []
    for name, rows in tqdm(fixations.groupby("image"), desc="reading scenes"):
        scene = images.read(folder / "stimuli" / name)
        maps.append(fixation_map(rows[["x", "y"]].to_numpy(), scene.shape[:2], sigma))
        scenes.append(images.resize(scene, size))
        names.append(name)
    return names, np.stack(scenes), maps


def cached_features(scenes, folder, precision):
    """Trunk features of all scenes (N×H/8×W/8×1280 float16), computed once."""
    keras.config.set_dtype_policy(precision)
    trunk = mlnet.mlnet_trunk()
    keras.config.set_dtype_policy("float32")
    shape = (len(scenes), scenes.shape[1] // mlnet.STRIDE, scenes.shape[2] // mlnet.STRIDE, 1280)

    def compute(part):
        return trunk.predict_on_batch(scenes[part].astype("float32"))

    return resumable(folder / "features.npy", shape, "float16", compute, 4, "trunk features")


def correlations(head, features, maps, indices):
    """CC of each scene's predicted map, brought to the scene's size, with its fixation map."""
    values = []
    for i in indices:
        predicted = np.asarray(head.predict_on_batch(np.asarray(features[i : i + 1], "float32")))[0, :, :, 0]
        predicted = cv2.resize(predicted.astype("float32"), maps[i].shape[::-1], interpolation=cv2.INTER_LINEAR)
        values.append(np.corrcoef(predicted.ravel(), maps[i].ravel())[0, 1])
    return np.array(values)


def train(head, features, targets, train_indices, validate, work, *, epochs, batch, patience, seed):
    """Epoch by epoch, saved after each; leaves the best one by validation CC in the head and returns its number."""
    head.compile(keras.optimizers.Adam(1e-4), loss=mlnet.mlnet_loss)
    head.optimizer.build(head.trainable_variables)
    log = EpochLog(work)
    log.resume(head)
    for epoch in range(len(log.rows), epochs):
        if log.rows and len(log.rows) - log.best(lambda row: row["cc"]) >= patience:
            break
        head.get_layer("dropout").seed_generator.state.assign([seed, epoch])
        order = np.random.default_rng((seed, epoch)).permutation(train_indices)
        steps = [np.sort(order[i : i + batch]) for i in range(0, len(order), batch)]
        losses = [
            float(head.train_on_batch(np.asarray(features[s], "float32"), targets[s]))
            for s in tqdm(steps, desc=f"epoch {epoch + 1}", leave=False)
        ]
        log.add(head, {"epoch": epoch + 1, "loss": float(np.mean(losses)), "cc": float(validate(head).mean())})
    best = log.best(lambda row: row["cc"])
    head.load_weights(log.weights_path(best))
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("osie", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder for features and checkpoints (1.9 GB at 240×320)")
    parser.add_argument("--size", type=int, nargs=2, default=[240, 320], help="height and width of the scenes")
    parser.add_argument("--sigma", type=float, default=24, help="Gaussian in pixels of the 800×600 scene (one degree)")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--patience", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", default="float32", help="of the trunk; mixed_bfloat16 is faster where the hardware has it")
    parser.add_argument("--ship", action="store_true", help="store the head in safbage/trained")
    args = parser.parse_args()
    keep_settings(args.work, {name: value for name, value in vars(args).items() if name != "ship"})
    keras.utils.set_random_seed(args.seed)

    names, scenes, maps = read_scenes(args.osie, args.sigma, args.size)
    order = np.random.default_rng(0).permutation(len(names))
    held_back, rest = order[: len(order) // 5], order[len(order) // 5 :]
    chosen_on, trained_on = rest[: len(rest) // 10], rest[len(rest) // 10 :]
    map_size = (args.size[0] // mlnet.STRIDE, args.size[1] // mlnet.STRIDE)
    targets = np.stack([cv2.resize(m, map_size[::-1], interpolation=cv2.INTER_AREA) for m in maps])[..., None]
    targets /= targets.max(axis=(1, 2, 3), keepdims=True)
    features = cached_features(scenes, args.work, args.precision)

    head = mlnet.mlnet_head(prior=(map_size[0] // 10, map_size[1] // 10))
    options = dict(epochs=args.epochs, batch=args.batch, patience=args.patience, seed=args.seed)
    best = train(head, features, targets, trained_on, lambda h: correlations(h, features, maps, chosen_on), args.work, **options)
    cc = correlations(head, features, maps, held_back)
    prior_map = np.mean([targets[i] for i in trained_on], axis=0)[:, :, 0]
    centre = [np.corrcoef(cv2.resize(prior_map, maps[i].shape[::-1]).ravel(), maps[i].ravel())[0, 1] for i in held_back]
    figures = {
        "epoch": best,
        "cc_mean": float(cc.mean()),
        "cc_standard_error": float(cc.std(ddof=1) / np.sqrt(len(cc))),
        "cc_mean_training_map": float(np.mean(centre)),
        "scenes_trained": len(trained_on),
        "scenes_choosing": len(chosen_on),
        "scenes_held_back": len(held_back),
    }
    print(json.dumps(figures, indent=2))
    if args.ship:
        tensors = {f"{la.name}/{v.name}": np.asarray(v) for la in head.layers for v in la.weights if "seed" not in v.path}
        metadata = {"description": "ML-Net head and prior, trained on OSIE", "licence": "MIT"}
        path = weights.ship(tensors, "mlnet-head", metadata)
        path.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
