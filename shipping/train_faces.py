"""Train the face network and AlexNet-GAP on all sets together, for age, gender and expression, with PyTorch on one GPU.

    python shipping/pack_faces.py PACKS --utkface … --fairface … (see there)
    python shipping/train_faces.py PACKS WORK face alexnet-gap answer --weights WEIGHTS

WEIGHTS holds ``mobilenet-vggface2`` (`mobilenet.converted`), ``alexnet-conv``, ``mlnet-light`` and ``mlnet``
(with VGG-16's first blocks) as safetensors; ``pack_faces.py --weights`` gathers them.

1. ``face``: MobileNet-v1 from VGGFace2, all layers tuned. Labels that a set lacks cost nothing at first; from half of the
   epochs on, its own averaged weights answer for them. Every face is varied differently in each epoch
   (``torch_augmentation.py``; half as much in the last quarter of the epochs), then reweighted by the light ML-Net's map of
   what is shown.
2. ``alexnet-gap``: from ImageNet; half of each target is the label where there is one, the rest the face network's answer to the
   very same view, seen as it is and mirrored.
3. ``answer``: logits of both for the validation and test faces, as the pipeline crops them, with the full ML-Net's maps.

Each goes on after its last whole epoch when it is started again: all draws follow from the seed and the epoch. The epoch that
ships is the last. Validation faces are measured after every epoch; test faces are only answered, by ``answer``.
"""

import argparse
import copy
import json
import math
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
import torch_augmentation as augmentation
from face_settings import RATIO, SETTINGS
from packs import SETS, SPLITS, read_table, read_views
from safetensors.numpy import load_file, save_file
from torch.nn import functional
from torch_networks import AlexNetGap, FaceNetwork, MLNet

CANVAS = 256
"""Side of a canvas in pixels."""
GROUPS = ((0, 2), (4, 6), (8, 13), (15, 20), (25, 32), (38, 43), (48, 53), (60, 100))
"""Adience's age groups, in years."""
YEARS = 101


# --- faces and what is known of them ----------------------------------------------------------------------------------


class Faces:
    """Faces of some splits on the device: canvases (or the pipeline's crops), targets and their weights."""

    def __init__(
        self, folder: Path, splits, device, *, canvas: bool, limit=None, leave_out=(), threads=16
    ):
        table = read_table(folder)
        chosen = np.isin(table["split"], [SPLITS.index(s) for s in splits])
        chosen &= ~np.isin(table["set"], [SETS.index(s) for s in leave_out])
        rows = np.flatnonzero(chosen)
        if limit and len(rows) > limit:
            rows = np.sort(np.random.default_rng(0).permutation(rows)[:limit])
        size, margin = (
            (CANVAS, augmentation.CANVAS_MARGIN)
            if canvas
            else (augmentation.SIZE, augmentation.MARGIN)
        )
        views, inside = read_views(folder, table, rows, margin=margin, size=size, threads=threads)
        self.rows, self.table = rows, {name: values[rows] for name, values in table.items()}
        self.views = torch.from_numpy(views).to(device)
        self.inside = torch.from_numpy(inside).to(device)
        self.targets = {
            name: torch.from_numpy(value).to(device)
            for name, value in targets_of(self.table).items()
        }

    def __len__(self):
        return len(self.rows)

    def pictures(self, chosen):
        return self.views[chosen].permute(0, 3, 1, 2).float()


def targets_of(table: dict) -> dict[str, np.ndarray]:
    """Per face and question a target distribution (zeros where there is none), intervals and groups of age, and class weights."""
    n, years = len(table["set"]), np.arange(YEARS)
    gender = np.eye(2, dtype="float32")[table["gender"].clip(0)] * (table["gender"] >= 0)[:, None]
    own = (
        np.eye(7, dtype="float32")[table["expression"].clip(0)]
        * (table["expression"] >= 0)[:, None]
    )
    of_fer2013 = (table["set"] == SETS.index("fer2013"))[:, None]
    votes = table["votes"].astype("float32")
    expression = np.where(
        of_fer2013, votes, 0.97 * own + 0.03 / 7 * own.sum(1, keepdims=True)
    ).astype("float32")
    mean, spread = table["age_mean"], table["age_spread"]
    age = np.exp(
        -0.5
        * (
            (years[None] - np.nan_to_num(mean).clip(0, 100)[:, None])
            / np.nan_to_num(spread, nan=1)[:, None]
        )
        ** 2
    )
    age = (age / age.sum(1, keepdims=True) * np.isfinite(mean)[:, None]).astype("float32")
    low, high = table["age_low"][:, None], table["age_high"][:, None]
    interval = ((years[None] >= low) & (years[None] <= high) & (low >= 0)).astype("float32")
    exact = np.where((table["set"] == SETS.index("utkface")), np.nan_to_num(mean, nan=-1), -1)
    group = np.stack(
        [(exact >= a) & (exact <= b if b < 100 else True) for a, b in GROUPS], 1
    ).astype("float32")
    weight = np.ones(n, "float32")
    if group.any():  # rare age groups count more
        frequency = group.sum(0) / group.sum()
        factor = (frequency.clip(1e-3) * len(GROUPS)) ** -0.35
        weight = np.where(group.any(1), group @ factor, 1).astype("float32")
    rafdb = table["set"] == SETS.index("rafdb")
    expression_weight = np.ones(n, "float32")
    if rafdb.any():
        frequency = own[rafdb].mean(0).clip(1e-3)
        expression_weight[rafdb] = (own[rafdb] @ (frequency * 7) ** -0.25).astype("float32")
    return {
        "gender": gender,
        "expression": expression,
        "expression_fer2013": (own * of_fer2013).astype("float32"),
        "age": age,
        "age_mean": np.nan_to_num(mean, nan=-1).clip(-1, 100).astype("float32"),
        "interval": interval,
        "group": group,
        "group_weight": weight,
        "expression_weight": expression_weight,
    }


def group_matrix(device):
    years = torch.arange(YEARS, device=device)
    return torch.stack([(years >= low) & (years <= high) for low, high in GROUPS]).float()


def log_groups(age_logits):
    """Log-probabilities of the eight groups, of an age known to lie in one of them."""
    inside = group_matrix(age_logits.device).log()
    return torch.logsumexp(age_logits[:, None] + inside[None], dim=2).log_softmax(1)


# --- losses -----------------------------------------------------------------------------------------------------------


def cross_entropy(logits, target):
    """Per face, N; 0 where the target is all zero."""
    return -(target * logits.log_softmax(1)).sum(1)


def face_losses(answers, targets) -> dict:
    """Of the face network by label, each N and 0 where there is none."""
    age = answers["age"].log_softmax(1)
    interval, bounded = targets["interval"] > 0, targets["interval"].any(1)
    within = -torch.logsumexp(
        torch.where(interval | ~bounded[:, None], age, -torch.inf), dim=1
    )  # 0 where there is none
    known = targets["age_mean"] >= 0
    expected = (age.exp() * torch.arange(YEARS, device=age.device)).sum(1)
    group = -(targets["group"] * log_groups(answers["age"])).sum(1)
    by_year = (
        cross_entropy(answers["age"], targets["age"])
        + 0.05 * known * (expected - targets["age_mean"]).abs()
    )
    return {
        "gender": cross_entropy(
            answers["gender"],
            0.98 * targets["gender"] + 0.01 * targets["gender"].sum(1, keepdim=True),
        ),
        "expression": cross_entropy(answers["expression"], targets["expression"])
        * targets["expression_weight"],
        "expression_fer2013": 0.7
        * cross_entropy(answers["expression_fer2013"], targets["expression_fer2013"]),
        "age": targets["group_weight"] * (0.6 * by_year + 0.5 * group) + within,
    }


def labelled(targets) -> dict:
    """Whether a face has a label, by question, N of 0 or 1."""
    found = {
        name: targets[name].any(1).float()
        for name in ("gender", "expression", "expression_fer2013", "age")
    }
    found["age"] = (found["age"].bool() | targets["interval"].any(1)).float()
    return found


def face_loss(answers, targets, taught, settings):
    """Mean loss of a batch; `taught` holds logits of the averaged weights, or is None."""
    losses, known = face_losses(answers, targets), labelled(targets)
    if taught is None:
        return sum(loss.mean() for loss in losses.values())
    total = 0
    for name, loss in losses.items():
        soft = cross_entropy(answers[name], taught[name].softmax(1))
        mixed = known[name] * (settings.label_share * loss + (1 - settings.label_share) * soft)
        mixed = mixed + settings.unlabelled * (1 - known[name]) * soft
        total = total + mixed.mean()
    return total


def student_targets(targets) -> dict:
    """AlexNet-GAP's targets from labels: FER2013's own label and FER+'s votes count alike."""
    own = targets["expression_fer2013"]
    both = own.any(1, keepdim=True) & targets["expression"].any(1, keepdim=True)
    expression = torch.where(both, (own + targets["expression"]) / 2, own + targets["expression"])
    return {"gender": targets["gender"], "expression": expression, "age": targets["group"]}


def as_student(taught) -> dict:
    """The face network's logits (two views) as probabilities for AlexNet-GAP's three tasks."""
    mean = lambda name: sum(view[name].softmax(1) for view in taught) / len(taught)  # noqa: E731
    expression = (mean("expression") + mean("expression_fer2013")) / 2
    age = sum(log_groups(view["age"]).exp() for view in taught) / len(taught)
    return {"gender": mean("gender"), "expression": expression, "age": age}


def student_loss(answers, targets, taught, settings):
    labels, total = student_targets(targets), 0
    for name, answer in as_student(taught).items():
        share = settings.label_share * labels[name].any(1, keepdim=True)
        target = share * labels[name] + (1 - share) * answer
        loss = cross_entropy(answers[name], target)
        weight = (
            targets["group_weight"]
            if name == "age"
            else targets["expression_weight"]
            if name == "expression"
            else 1
        )
        total = total + (weight * loss).mean()
    return total


# --- training ---------------------------------------------------------------------------------------------------------


def autocast(device):
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def reweighted(faces, maps, ratios):
    """The paper's reweighting of faces N×3×H×W by maps N×h×w."""
    maps = functional.interpolate(
        maps[:, None], size=faces.shape[2:], mode="bilinear", align_corners=False
    )
    return faces * ((1 - ratios) + ratios * maps)


def shown(data, chosen, scenes, mlnet, random, settings, strength=1.0):
    """Faces as a network is shown them in training: varied, and reweighted by the map of what is shown."""
    faces = augmentation.vary(data.pictures(chosen), data.inside[chosen], scenes, random, strength)
    with autocast(faces.device):
        maps = mlnet(faces)
    other = random.uniform(0, 1, len(faces), 1, 1, 1) < settings.ratio_jitter
    ratios = torch.where(other, random.uniform(0, 0.9, len(faces), 1, 1, 1), RATIO)
    return reweighted(faces, maps, ratios)


def order_of(sets: np.ndarray, settings, epoch) -> np.ndarray:
    """Rows of one epoch in random order; each set `repeats` times, of the last part of a time a random share."""
    generator, rows = np.random.default_rng((settings.seed, epoch)), []
    for name, times in settings.repeats:
        of = np.flatnonzero(sets == SETS.index(name))
        rows += [of] * int(times) + [generator.permutation(of)[: round(len(of) * (times % 1))]]
    return generator.permutation(np.concatenate(rows))


class Averaged:
    """A copy of a network whose weights follow the network's slowly."""

    def __init__(self, model, share):
        self.model, self.share = copy.deepcopy(model).eval(), share
        self.pairs = None

    @torch.no_grad()
    def follow(self, model, step):
        if self.pairs is None:
            mine, its = self.model.state_dict(), model.state_dict()
            names = [name for name, value in mine.items() if value.is_floating_point()]
            self.pairs = [mine[name] for name in names], [its[name] for name in names]
        torch._foreach_lerp_(*self.pairs, 1 - min(self.share, (1 + step) / (20 + step)))


def parameter_groups(model, settings):
    """Heads begin at random and learn faster than what was learnt before; biases and normalisations do not decay."""
    groups = {}
    for name, value in model.named_parameters():
        head, decays = name.startswith("heads"), value.ndim > 1
        groups.setdefault((head, decays), []).append(value)
    return [
        {
            "params": values,
            "highest": settings.rate * (settings.head_factor if head else 1),
            "weight_decay": settings.weight_decay * decays,
        }
        for (head, decays), values in groups.items()
    ]


def rate_at(step, steps, settings):
    rise = min(settings.warm_up, steps // 4)
    return (
        step / rise
        if step < rise
        else 0.5 * (1 + math.cos(math.pi * (step - rise) / (steps - rise)))
    )


def train(
    name,
    model,
    loss_of,
    teacher,
    data,
    check,
    *,
    scenes,
    mlnet,
    settings,
    work: Path,
    device,
    compiled,
):
    """All epochs, saved after each; returns the averaged network. `teacher(averaged, view, epoch)` gives logits or None."""
    averaged = Averaged(model, settings.averaging)
    if compiled:
        model.compile()
    optimizer = torch.optim.AdamW(parameter_groups(model, settings), fused=device.type == "cuda")
    path, sets = work / f"{name}.pt", data.table["set"]
    steps_each = len(order_of(sets, settings, 0)) // settings.batch
    first = 0
    if path.is_file():
        kept = torch.load(path, map_location=device)
        model.load_state_dict(kept["model"])
        averaged.model.load_state_dict(kept["averaged"])
        optimizer.load_state_dict(kept["optimizer"])
        first = kept["epoch"]
    for epoch in range(first, settings.epochs):
        started, losses = time.time(), []
        torch.manual_seed(settings.seed * 1000 + epoch)  # of dropout
        random = augmentation.Random(settings.seed * 1000 + epoch, device)
        order = torch.from_numpy(order_of(sets, settings, epoch)).to(device)
        strength = 0.5 if epoch >= settings.mild_from * settings.epochs else 1.0
        model.train()
        for i in range(steps_each):
            step = epoch * steps_each + i
            for group in optimizer.param_groups:
                group["lr"] = group["highest"] * rate_at(
                    step, steps_each * settings.epochs, settings
                )
            chosen = order[i * settings.batch : (i + 1) * settings.batch]
            view = shown(data, chosen, scenes, mlnet, random, settings, strength)
            targets = {key: value[chosen] for key, value in data.targets.items()}
            with autocast(device):
                taught = teacher(averaged.model, view, epoch)
                answers = model(view)
            loss = loss_of(answers, targets, taught, settings)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0, foreach=True)
            optimizer.step()
            averaged.follow(model, step)
            losses.append(loss.detach())
        row = {
            "epoch": epoch + 1,
            "loss": float(torch.stack(losses).mean()),
            "seconds": round(time.time() - started, 1),
        }
        row |= check(averaged.model)
        print(name, json.dumps({k: round(v, 4) for k, v in row.items()}), flush=True)
        state = {
            "model": model.state_dict(),
            "averaged": averaged.model.state_dict(),
            "optimizer": optimizer.state_dict(),
        }
        torch.save(state | {"epoch": epoch + 1}, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)
        save_file(averaged.model.folded(), work / f"{name}.safetensors")
    return averaged.model


# --- measuring --------------------------------------------------------------------------------------------------------


@torch.no_grad()
def maps_of(data, mlnet, batch=256):
    """Maps of faces as the pipeline crops them, N×28×28 float16."""
    parts = []
    for rows in torch.arange(len(data), device=data.views.device).split(batch):
        with autocast(data.views.device):
            parts.append(mlnet(data.pictures(rows)).half())
    return torch.cat(parts)


@torch.no_grad()
def answers_of(model, data, maps, batch=512) -> dict:
    """Logits in float32 by question, of the pipeline's crops reweighted at the shipped ratio."""
    parts = []
    for rows in torch.arange(len(data), device=data.views.device).split(batch):
        parts.append(model(reweighted(data.pictures(rows), maps[rows].float(), RATIO).round()))
    return {name: torch.cat([part[name] for part in parts]).float() for name in parts[0]}


def median_age(age_logits):
    """Years at which the distribution's two halves meet, between whole years."""
    below = age_logits.softmax(1).cumsum(1)
    year = (below < 0.5).sum(1)
    before = torch.cat([torch.zeros_like(below[:, :1]), below], 1).gather(1, year[:, None])[:, 0]
    inside = below.gather(1, year[:, None])[:, 0] - before
    return year + (0.5 - before) / inside.clamp(min=1e-6) - 0.5


def accuracies(answers, data) -> dict:
    """Of every set and question that has labels: accuracy, mean recall of age groups, mean absolute error of age in years."""
    row, sets = {}, torch.from_numpy(data.table["set"].astype("int64")).to(data.views.device)
    age = answers["age"]
    groups = log_groups(age) if age.shape[1] == YEARS else age
    pairs = {
        "gender": ("gender", answers["gender"]),
        "expression": ("expression", answers["expression"]),
    }
    pairs["fer2013_own"] = (
        "expression_fer2013",
        answers.get("expression_fer2013", answers["expression"]),
    )
    pairs["group"] = ("group", groups)
    for code in sets.unique().tolist():
        of = sets == code
        for name, (key, logits) in pairs.items():
            target = data.targets[key]
            top = target.max(1).values
            known = of & (top > 0) & ((target == top[:, None]).sum(1) == 1)  # no ties of votes
            if known.any():
                truth, answer = target[known].argmax(1), logits[known].argmax(1)
                row[f"{name}_{SETS[code]}"] = (truth == answer).float().mean().item()
                if name == "group":
                    recalls = [
                        (answer[truth == c] == c).float().mean().item()
                        for c in truth.unique().tolist()
                    ]
                    row[f"recall_{SETS[code]}"] = float(np.mean(recalls))
        known = of & (data.targets["age_mean"] >= 0)
        if age.shape[1] == YEARS and known.any():
            row[f"mae_{SETS[code]}"] = (
                (median_age(age[known]) - data.targets["age_mean"][known]).abs().mean().item()
            )
    return row


# --- the command ------------------------------------------------------------------------------------------------------


def read_scenes(folder: Path, device):
    path = folder / "scenes.npz"
    if not path.is_file():
        return None
    with np.load(path) as file:
        ends = np.cumsum(file["length"])
        pictures = [
            cv2.imdecode(blob, cv2.IMREAD_COLOR)[:, :, ::-1]
            for blob in np.split(file["bytes"], ends[:-1])
        ]
    return torch.from_numpy(np.stack(pictures)).to(device).permute(0, 3, 1, 2).half()


def clean_start(weights: Path, data, device):
    """The face network from VGGFace2, its batch normalisations set on plain faces; heads at random."""
    model = FaceNetwork().to(device)
    chosen = torch.arange(0, len(data), max(1, len(data) // 256), device=device)[:256]
    model.start(
        load_file(weights / "mobilenet-vggface2.safetensors"),
        augmentation.plain(data.pictures(chosen)) * 0.85,
    )
    return model


def restored(model, work: Path, name, device):
    model.load_state_dict(torch.load(work / f"{name}.pt", map_location=device)["averaged"])
    return model.to(device).eval()


class Stage:
    """What the trainings share: faces read once, ML-Nets, and where results lie."""

    def __init__(self, args):
        self.args, self.device, self.started = args, torch.device(args.device), time.time()
        self.read_so_far = {}
        self.epochs = dict(
            zip([what for what in args.what if what != "answer"], args.epochs, strict=False)
        )
        nets = (
            load_file(args.weights / f"{name}.safetensors") for name in ("mlnet-light", "mlnet")
        )
        self.light, self.full = (MLNet(tensors).to(self.device).eval() for tensors in nets)
        self.scenes = read_scenes(args.packs, self.device)

    def faces(self, split):
        """Training faces as canvases, others as the pipeline crops them."""
        if split not in self.read_so_far:
            leave_out = self.args.leave_out if split == "train" else ()
            options = dict(
                canvas=split == "train",
                limit=self.args.limit,
                leave_out=leave_out,
                threads=self.args.threads,
            )
            self.read_so_far[split] = Faces(self.args.packs, [split], self.device, **options)
            self.tell(f"{split}: {len(self.read_so_far[split])} faces")
        return self.read_so_far[split]

    def tell(self, text):
        print(f"{time.time() - self.started:6.1f} s  {text}", flush=True)

    def train(self, name):
        given = {
            key: getattr(self.args, key) for key in ("batch", "rate") if getattr(self.args, key)
        }
        given |= {"epochs": self.epochs[name]} if name in self.epochs else {}
        settings = replace(SETTINGS[name], **given)
        data, kept = self.faces("train"), self.faces("validation")
        maps = maps_of(kept, self.full)
        model, loss_of, teacher = (self.face if name == "face" else self.alexnet_gap)(
            data, settings
        )
        if self.args.layout == "channels_last":
            model = model.to(memory_format=torch.channels_last)

        def check(network):
            return accuracies(answers_of(network, kept, maps), kept)

        options = dict(
            scenes=self.scenes,
            mlnet=self.light,
            settings=settings,
            work=self.args.work,
            device=self.device,
        )
        train(name, model, loss_of, teacher, data, check, compiled=self.args.compile, **options)
        self.tell(f"{name} is done")

    def face(self, data, settings):
        @torch.no_grad()
        def teacher(averaged, view, epoch):
            return averaged(view) if epoch >= settings.teach_from * settings.epochs else None

        return clean_start(self.args.weights, data, self.device), face_loss, teacher

    def alexnet_gap(self, data, settings):
        face, model = restored(FaceNetwork(), self.args.work, "face", self.device), AlexNetGap()
        model.start(load_file(self.args.weights / "alexnet-conv.safetensors"))

        @torch.no_grad()
        def teacher(averaged, view, epoch):
            return [face(view), face(view.flip(3))]

        return model.to(self.device), student_loss, teacher

    def answer(self):
        networks = {"face": FaceNetwork(), "alexnet-gap": AlexNetGap()}
        there = {
            name: model
            for name, model in networks.items()
            if (self.args.work / f"{name}.pt").is_file()
        }
        networks = {
            name: restored(model, self.args.work, name, self.device)
            for name, model in there.items()
        }
        for split in ("validation", "test"):
            data = self.faces(split)
            maps = maps_of(data, self.full)
            found = {
                "row": data.table["row"],
                "maps": (255 * maps.float()).round().byte().cpu().numpy(),
            }
            for name, model in networks.items():
                found |= {
                    f"{name}/{key}": value.half().cpu().numpy()
                    for key, value in answers_of(model, data, maps).items()
                }
            np.savez(self.args.work / f"answers-{split}.npz", **found)
        self.tell("answered")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packs", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("what", nargs="+", choices=["face", "alexnet-gap", "answer"])
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument(
        "--epochs", type=int, nargs="+", default=[], help="of each training that is asked for"
    )
    parser.add_argument("--batch", type=int)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--limit", type=int, help="faces of each part, for a trial")
    parser.add_argument(
        "--leave-out",
        nargs="*",
        default=[],
        choices=SETS,
        help="sets not to learn from, to be tested on",
    )
    parser.add_argument(
        "--layout", default="channels_last", choices=["channels_last", "contiguous_format"]
    )
    parser.add_argument(
        "--compile",
        action="store_true",
        help="by torch.compile, which takes a minute and may be faster",
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=16, help="that read pictures")
    args = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    FaceNetwork.layout = getattr(torch, args.layout)
    args.work.mkdir(parents=True, exist_ok=True)
    stage = Stage(args)
    for what in args.what:
        stage.answer() if what == "answer" else stage.train(what)


if __name__ == "__main__":
    main()
