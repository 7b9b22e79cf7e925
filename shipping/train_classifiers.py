"""Train the classifiers that safbage ships: AlexNet-GAP and EfficientNet-Lite2 for age, gender and
expression.

    safbage prepare utkface WORK/utkface --data-dir DATA
    safbage prepare fer2013 WORK/fer2013 --data-dir DATA --without-face whole --min-face 0.4
    python shipping/train_classifiers.py alexnet-gap \
        --utkface WORK/utkface --fer2013 WORK/fer2013 --scenes OSIE/stimuli --work WORK --ship

A network takes three trainings, one after the other; each goes on after its last whole epoch when
it is started again (dropout, whose state is not kept, then draws anew). ``alexnet-gap``:

1. A teacher for age and gender: VGG-16 at 96×96, all but its first block tuned, on UTKFace.
2. A teacher for expression: the same at 72×72 (FER2013 has no more detail), on FER2013.
3. The student, all convolutions tuned, on both sets and for all three tasks at once. Where a face
   has a label, the target is half that and half the teacher's answer; where it has none, the
   teacher's alone. The teacher of expression is shown UTKFace's colour faces grey and coarse, as it
   knows them, while the student sees them in colour.

``efficientnet-lite2``:

1. A teacher for expression: EfficientNet-Lite2 at 96×96, tuned whole, on FER2013.
2. The same network goes on, on both sets and for all three tasks. Targets of expression are mixed
   as above; age and gender are learnt from labels.
3. It goes on once more, now as its own teacher: the targets of all three tasks are mixed of labels
   and of its answers so far, so that each set teaches what only the other has labels for.

Every face is shown once per epoch, randomly moved, degraded, lit and partly covered
(``augmentation.py``); each training has two rounds, the first with wide variation, the second at
half the rate with less. The split is the one that the readers draw by the picture's name. The epoch
is chosen on its validation part; nothing here looks at the test part, which is left to
``evaluate_classifiers.py``.
"""

import argparse
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import augmentation
import keras
import numpy as np
from tqdm.auto import tqdm

from safbage import faces, images, reweighting, trunks
from safbage.classifiers import efficientnet_lite2
from safbage.classifiers.parts import softmax
from safbage.datasets.shards import Prepared
from safbage.evaluation import scores
from safbage.runtime import backend, weights
from safbage.runtime.ahead import ahead
from safbage.runtime.arrays import fill_array
from safbage.runtime.epochs import EpochLog
from safbage.runtime.work import locked, resuming
from safbage.tasks import BOX, CLASSES, SHIPPED

THREADS = 2


@dataclass(frozen=True)
class Settings:
    """Of one training.

    Attributes:
        sizes: of the faces that the network is shown in the first round and in the second, in
            pixels.
        epochs: of the first round and the second.
        rate: highest learning rate of the first round; of the second it is half. It rises over
            `warm_up` steps, then falls to 0.
        label_share: the label's share of a target, the rest is the teacher's answer.
        ratio_jitter: share of faces that are reweighted by another ratio than 0.3, drawn from 0 to
            0.9, so that answers hold while a ratio is turned.
    """

    sizes: tuple[int, int]
    epochs: tuple[int, int]
    rate: float
    batch: int = 64
    warm_up: int = 200
    weight_decay: float = 0.02
    smoothing: float = 0.05
    dropout: float = 0.5
    ratio_jitter: float = 0.0
    label_share: float = 1.0
    seed: int = 0


ROUNDS = {"wide": 1.0, "mild": 0.5}
"""Strength of the variation in the two rounds."""

SETTINGS = {
    "teacher-expression": Settings(sizes=(72, 72), epochs=(10, 6), rate=1e-4),
    "teacher-age-gender": Settings(sizes=(96, 96), epochs=(7, 3), rate=1e-4),
    "alexnet-gap": Settings(
        sizes=(224, 224),
        epochs=(12, 6),
        rate=2e-4,
        label_share=0.5,
        ratio_jitter=0.25,
        dropout=0.2,
        smoothing=0.0,
    ),
    "efficientnet-expression": Settings(sizes=(96, 96), epochs=(8, 4), rate=4e-4),
    "efficientnet-tasks": Settings(
        sizes=(96, 112), epochs=(5, 4), rate=4e-4, label_share=0.5, ratio_jitter=0.25
    ),
    "efficientnet-lite2": Settings(
        sizes=(112, 112), epochs=(2, 4), rate=4e-4, label_share=0.5, ratio_jitter=0.25
    ),
}
TASKS = tuple(CLASSES)


class Faces:
    """Prepared faces in memory.

    Crops, maps, labels by task (−1 where there is none), split, and what of a crop is picture.
    """

    def __init__(self, folder: Path):
        prepared = Prepared(folder)
        self.table = prepared.table
        parts = np.array_split(np.arange(len(prepared)), -(-len(prepared) // 256))
        read = [prepared.faces(part) for part in tqdm(parts, desc=f"reading {folder.name}")]
        self.crops, self.maps = (np.concatenate(part) for part in zip(*read, strict=True))
        self.labels = {task: prepared.codes(task) for task in TASKS}
        self.split = self.table.split.to_numpy()
        self._reweighted = None
        self.inside = np.array([inside(row) for row in self.table.to_dict("records")])

    def __len__(self):
        return len(self.table)

    def reweighted(self, size: int) -> np.ndarray:
        """All faces at this size and the shipped ratio; those of the last size are kept."""
        if self._reweighted is None or self._reweighted.shape[1] != size:
            rows = tqdm(range(len(self)), f"reweighting at {size}", mininterval=5)
            self._reweighted = np.stack([self.face(row, size) for row in rows])
        return self._reweighted

    def face(self, row: int, size: int, ratio: float = reweighting.RATIO) -> np.ndarray:
        """One face, reweighted by its map, size×size×3 uint8."""
        face = reweighting.reweight(self.crops[row], self.maps[row], ratio)
        return images.resize(face, (size, size))


def inside(row: dict) -> np.ndarray:
    """Left, top, right and bottom of a crop's part within its picture, as shares of its side."""
    left, top, side = faces.square(tuple(row[name] for name in BOX))
    height, width = images.size(row["image"])
    return np.clip(np.array([-left, -top, width - left, height - top]) / side, 0, 1)


def varied(
    data: Faces, row: int, size: int, settings: Settings, scenes: list, generator, strength: float
) -> np.ndarray:
    """A face as the network is shown it in one epoch."""
    if generator.random() < settings.ratio_jitter:
        face = data.face(row, size, generator.uniform(0, 0.9))
    else:
        face = data.reweighted(size)[row]
    return augmentation.randomly_varied(face, data.inside[row], scenes, generator, strength)


def heads(x, tasks, settings, suffix="") -> dict:
    """By task a softmax on global average pooling, with a dropout that all of them share."""
    x = keras.layers.GlobalAveragePooling2D(name=f"gap{suffix}")(x)
    x = keras.layers.Dropout(settings.dropout, seed=settings.seed, name=f"dropout{suffix}")(x)
    return {task: softmax(len(CLASSES[task]), f"softmax_{task}")(x) for task in tasks}


def vgg16_teacher(tasks, settings) -> keras.Model:
    """VGG-16 with a softmax per task; its first block stays as ImageNet left it."""
    face = keras.Input((None, None, 3), name="face")
    x = trunks.imagenet_normalization()(face)
    for block in range(1, 6):
        x = trunks.vgg16_block(x, block)
        x = keras.layers.MaxPooling2D(name=f"pool{block}")(x) if block < 5 else x
    model = keras.Model(face, heads(x, tasks, settings), name="vgg16_teacher")
    weights.assign(model, weights.load("vgg16-conv"))
    for name in ("conv1_1", "conv1_2"):
        model.get_layer(name).trainable = False
    return model


def alexnet_student(tasks, settings) -> keras.Model:
    """AlexNet-GAP with conv1-conv4 shared and conv5 of each task its own, from ImageNet."""
    face, outputs = keras.Input((None, None, 3), name="face"), {}
    conv4, suffixes = trunks.alexnet_conv4(face), [f"_{task}" for task in tasks]
    for task, suffix in zip(tasks, suffixes, strict=True):
        outputs |= heads(trunks.alexnet_conv5(conv4, suffix), [task], settings, suffix)
    model = keras.Model(face, outputs, name="alexnet_student")
    for name, value in weights.load("alexnet-conv").items():
        for suffix in suffixes if name.startswith("conv5") else [""]:
            weights.assign(model, {name.replace("/", f"{suffix}/"): value})
    return model


def efficientnet(tasks, settings, start: keras.Model | None = None) -> keras.Model:
    """EfficientNet-Lite2 with a softmax per task, from ImageNet or from what `start` has learnt."""
    face = keras.Input((None, None, 3), name="face")
    outputs = heads(efficientnet_lite2.features(face), tasks, settings)
    model = keras.Model(face, outputs, name="efficientnet_lite2")
    tensors = weights.tensors_of(start.layers) if start else weights.load("efficientnet-lite2")
    weights.assign(model, tensors)
    return model


def targets_of(data: Faces, tasks, settings, answers: dict) -> tuple[dict, dict]:
    """Of every face and task a target, mixed of label and teacher's answer, and its weight."""
    targets, weight = {}, {}
    for task in tasks:
        classes, codes = len(CLASSES[task]), data.labels[task]
        labelled = (codes >= 0)[:, None]
        label = np.eye(classes, dtype="float32")[codes]
        label = label * (1 - settings.smoothing) + settings.smoothing / classes
        if task not in answers:
            targets[task], weight[task] = label, labelled[:, 0].astype("float32")
        else:
            share = settings.label_share * labelled
            targets[task] = share * label + (1 - share) * answers[task]
            weight[task] = np.ones(len(data), "float32")
    return targets, weight


def train(
    model,
    sets: list[Faces],
    targets: list[tuple[dict, dict]],
    settings: Settings,
    work: Path,
    scenes,
) -> keras.Model:
    """Both rounds, saved after each epoch; the second goes on from the best epoch of the first."""
    rows = [
        (k, i)
        for k, data in enumerate(sets)
        for i in np.flatnonzero(data.split == "train")
        if has_target(targets[k], i)
    ]
    tasks = list(model.output)
    for number, name in enumerate(ROUNDS):
        for data in sets:
            data.reweighted(settings.sizes[number])  # before the threads ask for it
        steps = settings.epochs[number] * -(-len(rows) // settings.batch)
        rise = min(settings.warm_up, steps // 2)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, steps - rise, warmup_target=settings.rate / (1 + number), warmup_steps=rise
        )
        optimizer = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)
        model.compile(optimizer, loss=dict.fromkeys(tasks, "categorical_crossentropy"))
        model.optimizer.build(model.trainable_variables)
        (work / name).mkdir(exist_ok=True)
        log = EpochLog(work / name, lambda row: sum(row[task] for task in tasks))
        log.resume(model)
        for epoch in range(len(log.rows), settings.epochs[number]):
            when = (number, epoch)
            loss = one_epoch(model, sets, targets, np.array(rows), settings, scenes, when)
            row = {"epoch": epoch + 1, "loss": loss}
            row |= validated(model, sets, tasks, settings.sizes[number])
            log.add(model, row)
            print(name, row, flush=True)
        log.load(model, log.best)
    return model


def one_epoch(model, sets, targets, rows, settings, scenes, when) -> float:
    """Every face once; seed, round and epoch decide order and variants; the mean loss."""
    tasks, size = list(model.output), settings.sizes[when[0]]
    strength = list(ROUNDS.values())[when[0]]
    order = np.random.default_rng((settings.seed, *when)).permutation(rows)
    batches = [order[i : i + settings.batch] for i in range(0, len(order), settings.batch)]

    def build(batch):
        generators = [np.random.default_rng((settings.seed, *when, k, i)) for k, i in batch]
        faces = zip(batch, generators, strict=True)
        x = [
            varied(sets[k], i, size, settings, scenes, generator, strength)
            for (k, i), generator in faces
        ]
        y = {task: np.stack([targets[k][0][task][i] for k, i in batch]) for task in tasks}
        weight = {task: np.array([targets[k][1][task][i] for k, i in batch]) for task in tasks}
        return np.stack(x).astype("float32"), y, weight

    losses = []
    with closing(ahead(build, batches, threads=THREADS, limit=6)) as made:
        for x, y, weight in tqdm(made, f"epoch {when[1] + 1}", len(batches), mininterval=10):
            losses.append(float(np.ravel(model.train_on_batch(x, y, sample_weight=weight))[0]))
    return float(np.mean(losses))


def has_target(targets, row):
    return any(weight[row] > 0 for weight in targets[1].values())


def unchanged(face):
    return face


def answers_of(model, data: Faces, size: int, picture=unchanged, rows=None, batch=128) -> dict:
    """By task the mean answer to faces and their mirror images; `picture` changes them first."""
    rows = np.arange(len(data)) if rows is None else rows
    parts = []
    for i in range(0, len(rows), batch):
        x = np.stack([picture(face) for face in data.reweighted(size)[rows[i : i + batch]]])
        both = [
            model.predict_on_batch(np.ascontiguousarray(side).astype("float32"))
            for side in (x, x[:, :, ::-1])
        ]
        parts.append(
            {task: (np.asarray(both[0][task]) + np.asarray(both[1][task])) / 2 for task in both[0]}
        )
    return {task: np.concatenate([part[task] for part in parts]) for task in parts[0]}


def validated(model, sets, tasks, size) -> dict:
    """Accuracy and mean recall of every task on the validation faces that have its label."""
    row = {}
    for data in sets:
        rows = np.flatnonzero(data.split == "validation")
        answers = answers_of(model, data, size, rows=rows)
        for task in tasks:
            known = data.labels[task][rows] >= 0
            if known.any():
                truth, answer = data.labels[task][rows][known], answers[task][known].argmax(axis=1)
                reached = scores(truth, answer)
                row |= {task: reached["accuracy"], f"{task}_recall": reached["mean_recall"]}
    return row


def teach(data: Faces, name: str, teacher, size: int, work: Path, picture) -> dict[str, np.ndarray]:
    """The teacher's answers to all faces of a set by task, kept on disk."""
    tasks = list(teacher.output)
    ends = np.cumsum([len(CLASSES[task]) for task in tasks])

    def compute(part):
        answers = answers_of(teacher, data, size, picture, np.arange(part.start, part.stop))
        return np.concatenate([answers[task] for task in tasks], axis=1)

    path, shape = work / f"answers-{name}.npy", (len(data), ends[-1])
    found = fill_array(path, shape, "float32", compute, 512, f"teaching {name}")
    return dict(zip(tasks, np.split(np.asarray(found), ends[:-1], axis=1), strict=True))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network", choices=SHIPPED)
    parser.add_argument("--utkface", type=Path, required=True, help="prepared UTKFace")
    parser.add_argument("--fer2013", type=Path, required=True, help="prepared FER2013")
    parser.add_argument(
        "--scenes", type=Path, help="photos whose pieces stand in for what the data sets cut off"
    )
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument(
        "--precision", default="float32", help="mixed_bfloat16 is faster where the hardware has it"
    )
    parser.add_argument("--ship", action="store_true", help="store the network in safbage/trained")
    args = parser.parse_args()

    scenes = augmentation.read_scenes(args.scenes)
    sets = {"utkface": Faces(args.utkface), "fer2013": Faces(args.fer2013)}
    learnt_with = {
        name: value for name, value in vars(args).items() if name not in ("network", "work", "ship")
    }

    def trained(name, build, tasks, set_names, answers):
        """One training, on some of the sets; `answers` of teachers by set and task."""
        settings, work = SETTINGS[name], args.work / name
        keras.utils.set_random_seed(settings.seed)
        chosen = {key: sets[key] for key in set_names}
        targets = [
            targets_of(data, tasks, settings, answers.get(key, {})) for key, data in chosen.items()
        ]
        with backend.precision(args.precision), resuming(work, asdict(settings) | learnt_with):
            model = build(tasks, settings)
            return train(model, list(chosen.values()), targets, settings, work, scenes)

    def answered(name, teacher, changes):
        """What a teacher answers to all faces, by set and task, after a set's `changes`."""
        size, work = SETTINGS[name].sizes[-1], args.work / name
        with locked(work, wait=True):
            return {
                key: teach(data, key, teacher, size, work, changes.get(key, unchanged))
                for key, data in sets.items()
            }

    def trained_alexnet_gap():
        teacher = trained("teacher-expression", vgg16_teacher, ("expression",), ["fer2013"], {})
        answers = answered("teacher-expression", teacher, {"utkface": augmentation.coarse})
        teacher = trained("teacher-age-gender", vgg16_teacher, ("age", "gender"), ["utkface"], {})
        for key, known in answered("teacher-age-gender", teacher, {}).items():
            answers[key] |= known
        return trained("alexnet-gap", alexnet_student, TASKS, sets, answers)

    def trained_efficientnet():
        teacher = trained("efficientnet-expression", efficientnet, ("expression",), ["fer2013"], {})
        answers = answered("efficientnet-expression", teacher, {"utkface": augmentation.coarse})
        go_on = partial(efficientnet, start=teacher)
        teacher = trained("efficientnet-tasks", go_on, TASKS, sets, answers)
        answers = answered("efficientnet-tasks", teacher, {})
        go_on = partial(efficientnet, start=teacher)
        return trained("efficientnet-lite2", go_on, TASKS, sets, answers)

    ways = {
        "alexnet-gap": (trained_alexnet_gap, ship_alexnet_gap),
        "efficientnet-lite2": (trained_efficientnet, ship_efficientnet),
    }
    make, ship = ways[args.network]
    model = make()
    if args.ship:
        ship(model)


LICENCE = "non-commercial research, as its training data"


def ship_alexnet_gap(model):
    """conv1-conv4 as ``alexnet-faces``; conv5 and softmax as ``alexnet-gap-<task>``."""
    tensors = weights.tensors_of(model.layers)
    convs = ("conv1/", "conv2/", "conv3/", "conv4/")
    shared = {name: value for name, value in tensors.items() if name.startswith(convs)}
    description = "AlexNet conv1-conv4 for faces, shared by all tasks"
    weights.ship(shared, "alexnet-faces", {"description": description, "licence": LICENCE})
    for task in model.output:
        own = {name: value for name, value in tensors.items() if f"_{task}/" in name}
        own = {name.replace(f"_{task}", ""): value for name, value in own.items()}
        description = f"AlexNet-GAP conv5 and softmax for {task}, over alexnet-faces"
        weights.ship(own, f"alexnet-gap-{task}", {"description": description, "licence": LICENCE})


def ship_efficientnet(model):
    """All of it as ``efficientnet-faces``."""
    description = "EfficientNet-Lite2 for faces, with a softmax per task"
    tensors = weights.tensors_of(model.layers)
    weights.ship(tensors, "efficientnet-faces", {"description": description, "licence": LICENCE})


if __name__ == "__main__":
    main()
