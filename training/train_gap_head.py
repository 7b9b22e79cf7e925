"""Train an AlexNet-GAP head (conv5, global average pooling, softmax) on faces reweighted at 0.3.

    python training/train_gap_head.py gender --faces WORK/utkface --work WORK/gender --scenes OSIE/stimuli --ship
    python training/train_gap_head.py age --faces WORK/utkface --work WORK/age --scenes OSIE/stimuli --ship
    python training/train_gap_head.py expression --faces WORK/fer2013 --work WORK/grey --scenes OSIE/stimuli
    python training/train_gap_head.py expression --faces WORK/fer2013 --work WORK/expression --scenes OSIE/stimuli --ship \\
        --unlabelled WORK/utkface --teacher WORK/grey/best.weights.h5

FER2013 is grey and 48×48, so a head trained on it alone is lost on sharp colour photos. The second run teaches it those: on
UTKFace's faces, whose expression nobody labelled, the answer of the first head (the teacher) to the grey, coarse version of a
face is the target for the face in colour.

`--faces` is a folder that ``prepare_faces.py`` filled. conv1–conv4 stay frozen: their features are computed once per face and
variant (as is, mirrored, and four that are randomly moved, degraded and lit) and cached beside the faces. Both data sets are
cropped tightly, so that the 30 % margin is mostly repeated pixels; `--scenes`, a folder of any photos, puts pieces of real scenes
there in most of the random variants. A killed run goes on after its last whole epoch. The epoch is chosen on the validation
split. The test split is left to ``evaluate_gap_head.py``.
"""

import argparse
from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
from PIL import Image
from tqdm.auto import tqdm

from safbage import classifiers, faces, images, reweighting, weights
from safbage.work import EpochLog, keep_settings, resumable

VARIANTS = 6


def variant(face: np.ndarray, number: int, generator: np.random.Generator) -> np.ndarray:
    """Variant 0 is the face as it is, 1 its mirror image; the others differ at random as photos from elsewhere would."""
    if number == 0:
        return face
    if number == 1:
        return face[:, ::-1]
    moved = randomly_moved(face, generator)
    return randomly_lit(randomly_degraded(moved, generator), generator)


def with_scene(face, box, picture_size, scenes, generator):
    """The crop with a piece of a scene where it reaches beyond the picture it was cut from (width, height)."""
    left, top, side = faces.square(box)
    ends = [np.clip([-start, length - start], 0, side) for start, length in zip((left, top), picture_size, strict=True)]
    (x1, x2), (y1, y2) = (np.round(end * face.shape[0] / side).astype(int) for end in ends)
    inside = np.zeros(face.shape[:2], "float32")
    inside[y1:y2, x1:x2] = 1
    inside = cv2.GaussianBlur(inside, (0, 0), 2)[:, :, None]
    scene = scenes[generator.integers(len(scenes))]
    length = int(generator.uniform(60, min(scene.shape[:2])))
    y, x = (int(generator.integers(available - length + 1)) for available in scene.shape[:2])
    piece = images.resize(scene[y : y + length, x : x + length], face.shape[:2])
    return np.round(face * inside + piece * (1 - inside)).astype("uint8")


def randomly_moved(face, generator):
    """Turned by up to 12°, zoomed by 0.8–1.5, shifted by up to 16 pixels, half of the time mirrored."""
    centre = (face.shape[1] / 2, face.shape[0] / 2)
    zoom = np.exp(generator.uniform(np.log(0.8), np.log(1.5)))
    transform = cv2.getRotationMatrix2D(centre, generator.uniform(-12, 12), zoom)
    transform[:, 2] += generator.uniform(-16, 16, 2)
    border = int(generator.choice([cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT_101]))
    face = cv2.warpAffine(face, transform, face.shape[1::-1], flags=cv2.INTER_LINEAR, borderMode=border)
    return np.ascontiguousarray(face[:, ::-1]) if generator.random() < 0.5 else face


def randomly_degraded(face, generator):
    """Sometimes of low resolution, sometimes compressed hard."""
    if generator.random() < 0.4:
        side = int(generator.uniform(40, 160))
        face = images.resize(images.resize(face, (side, side)), face.shape[:2])
    if generator.random() < 0.3:
        # the codec takes red for blue and back again: which is which hardly matters to its damage
        _, jpeg = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, int(generator.uniform(20, 80))])
        face = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    return face


def randomly_lit(face, generator):
    """Other contrast, brightness and tint; sometimes grey."""
    face = face.astype("float32")
    if generator.random() < 0.2:
        face = np.repeat(face.mean(axis=2, keepdims=True), 3, axis=2)
    mean = face.mean()
    face = (face - mean) * generator.uniform(0.6, 1.4) + mean * generator.uniform(0.7, 1.3)
    return np.clip(face * generator.uniform(0.85, 1.15, 3), 0, 255).astype("uint8")


def cached_features(folder: Path, ratio: float, precision: str, scenes_folder: Path | None) -> np.ndarray:
    """conv4's output for every face and variant, N×VARIANTS×13×13×256 float16."""
    crops, maps, boxes = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("crops", "maps", "boxes"))
    files = pd.read_csv(folder / "faces.csv").file
    paths = sorted(scenes_folder.glob("*.jpg")) if scenes_folder else []
    scenes = [images.resize(images.read(path), (300, 400)) for path in tqdm(paths, desc="scenes")]
    keras.config.set_dtype_policy(precision)
    trunk = classifiers.alexnet_trunk()
    keras.config.set_dtype_policy("float32")

    def compute(part):
        shown = []
        for i in range(part.start, part.stop):
            box = None if np.isnan(boxes[i]).any() else tuple(boxes[i].tolist())
            with Image.open(files[i]) as picture:
                size = picture.size
            for k in range(VARIANTS):
                generator = np.random.default_rng((i, k))
                face = crops[i]
                if k > 1 and box and scenes and generator.random() < 0.7:
                    face = with_scene(face, box, size, scenes, generator)
                shown.append(variant(reweighting.reweight(face, maps[i].astype("float32"), ratio), k, generator))
        features = np.asarray(trunk.predict_on_batch(np.stack(shown).astype("float32")))
        return features.reshape(-1, VARIANTS, *classifiers.TRUNK_SHAPE)

    shape = (len(crops), VARIANTS, *classifiers.TRUNK_SHAPE)
    return resumable(folder / f"conv4-{ratio}-{VARIANTS}-{len(scenes)}.npy", shape, "float16", compute, 8, "conv4 features")


def pseudo_labels(teacher, folder: Path, work: Path, ratio: float, side: int = 58) -> np.ndarray:
    """The teacher's probabilities (N×C) for unlabelled faces, shown to it grey and as coarse as FER2013's.

    FER2013's 48 pixels hold a face whose crop would be `side` pixels wide. Where no face was found, all are zero.
    """
    crops, maps = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("crops", "maps"))
    trunk = classifiers.alexnet_trunk()

    def compute(part):
        coarse = [images.resize(images.resize(crop, (side, side)), crop.shape[:2]) for crop in crops[part]]
        grey = np.stack(coarse).mean(axis=3, keepdims=True).round().astype("uint8").repeat(3, axis=3)
        shown = reweighting.reweight(grey, maps[part].astype("float32"), ratio)
        answers = np.asarray(teacher.predict_on_batch(trunk.predict_on_batch(shown.astype("float32")))[0])
        return answers * crops[part].any(axis=(1, 2, 3))[:, None]

    return resumable(work / "pseudo.npy", (len(crops), teacher.output_shape[0][1]), "float32", compute, 32, "pseudo-labels")


def probabilities(head, features, rows, batch=256):
    """Answers to the faces as they are (variant 0)."""
    parts = [np.sort(rows)[i : i + batch] for i in range(0, len(rows), batch)]
    return np.concatenate([np.asarray(head.predict_on_batch(np.asarray(features[p, 0], "float32"))[0]) for p in parts])


def balanced_accuracy(truth, predicted):
    """Mean per-class recall."""
    return float(np.mean([(predicted[truth == label] == label).mean() for label in np.unique(truth)]))


def train(head, features, labels, split, work, args, unlabelled=None):
    """Epoch by epoch, saved after each; leaves the best one in the head, and in ``best.weights.h5``; returns its number.

    `unlabelled`: further features and their pseudo-labels to train on, as rows behind the labelled ones.
    """
    rows = {name: np.flatnonzero((split == name) & (labels >= 0)) for name in ("train", "validation")}
    classes = head.output_shape[0][1]
    more_features, more_targets = unlabelled or (features[:0], np.zeros((0, classes), "float32"))
    targets = np.concatenate([np.eye(classes, dtype="float32")[labels], more_targets])
    trained_on = np.concatenate([rows["train"], len(labels) + np.flatnonzero(more_targets.any(axis=1))])
    steps = int(np.ceil(len(trained_on) / args.batch))
    rate = keras.optimizers.schedules.CosineDecay(args.rate, args.epochs * steps)
    counts = np.bincount(labels[rows["train"]], minlength=classes)
    weight = np.concatenate([((counts.mean() / counts) ** args.balance)[labels], np.ones(len(more_targets))])
    answers = keras.Model(head.input, head.output[0])
    answers.compile(
        keras.optimizers.AdamW(rate, weight_decay=args.weight_decay),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=args.smoothing),
    )
    answers.optimizer.build(answers.trainable_variables)
    log = EpochLog(work, lambda row: row["accuracy"] + row["mean_recall"])
    log.resume(answers)
    for epoch in range(len(log.rows), args.epochs):
        generator = np.random.default_rng((args.seed, epoch))
        order = generator.permutation(trained_on)
        losses = []
        for i in tqdm(range(0, len(order), args.batch), desc=f"epoch {epoch + 1}", leave=False):
            these = np.sort(order[i : i + args.batch])
            own, drawn = these < len(labels), generator.integers(VARIANTS, size=len(these))
            x = [features[these[own], drawn[own]], more_features[these[~own] - len(labels), drawn[~own]]]
            x = np.concatenate(x).astype("float32")
            losses.append(float(answers.train_on_batch(x, targets[these], sample_weight=weight[these])))
        predicted = probabilities(head, features, rows["validation"]).argmax(axis=1)
        truth = labels[rows["validation"]]
        accuracy, recall = float((predicted == truth).mean()), balanced_accuracy(truth, predicted)
        loss = float(np.mean(losses))
        log.add(answers, {"epoch": epoch + 1, "loss": loss, "accuracy": accuracy, "mean_recall": recall})
        print(log.rows[-1], flush=True)
    answers.load_weights(log.weights_path(log.best))
    answers.save_weights(work / "best.weights.h5")
    return log.best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=list(classifiers.CLASSES))
    parser.add_argument("--faces", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--unlabelled", type=Path, help="another such folder, to train on the teacher's answers")
    parser.add_argument("--teacher", type=Path, help="weights of the head that answers them")
    parser.add_argument("--scenes", type=Path, help="photos whose pieces stand in for what the data set cut off")
    parser.add_argument("--ratio", type=float, default=reweighting.RATIO)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--smoothing", type=float, default=0.05)
    parser.add_argument("--balance", type=float, default=0.5, help="class weight = (mean count / count) ** balance")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", default="float32", help="mixed_bfloat16 is faster where the hardware has it")
    parser.add_argument("--ship", action="store_true", help="store the head in safbage/trained")
    args = parser.parse_args()
    keep_settings(args.work, {name: value for name, value in vars(args).items() if name != "ship"})

    table = pd.read_csv(args.faces / "faces.csv")
    names = classifiers.CLASSES[args.task]
    labels = pd.Categorical(table[args.task], categories=names).codes.astype(int)
    labels[~table.found.to_numpy() & (args.task != "expression")] = -1
    split = table.split.to_numpy()
    features = cached_features(args.faces, args.ratio, args.precision, args.scenes)

    keras.utils.set_random_seed(args.seed)
    keras.config.set_dtype_policy(args.precision)
    head = classifiers.gap_head(len(names))
    imagenet = weights.load("alexnet-conv")
    weights.assign(head, {name: value for name, value in imagenet.items() if name.startswith("conv5")})
    unlabelled = None
    if args.unlabelled:
        teacher = classifiers.gap_head(len(names))
        teacher.load_weights(args.teacher)
        targets = pseudo_labels(teacher, args.unlabelled, args.work, args.ratio)
        unlabelled = cached_features(args.unlabelled, args.ratio, args.precision, args.scenes), targets
    best = train(head, features, labels, split, args.work, args, unlabelled)

    print(f"best epoch: {best}")
    if args.ship:
        tensors = {f"{layer.name}/{v.name}": np.asarray(v) for layer in head.layers for v in layer.weights}
        description = f"AlexNet-GAP conv5 and softmax for {args.task}, trained at ratio {args.ratio}"
        licence = "non-commercial research, as its training data"
        weights.ship(tensors, f"alexnet-gap-{args.task}", {"description": description, "licence": licence})


if __name__ == "__main__":
    main()
