"""Does saliency on faces tell of the face: of eyes, nose and mouth, whatever the pose, the expression, the light and the crop?

    python benchmarks/saliency_on_faces.py WORK --data-dir DATA --output results/saliency_on_faces.json

DATA holds LFW, RAF-DB and FER2013, and OSIE, whose viewers give the centre prior. Neither the full ML-Net nor the light one has learnt from
the faces that are drawn. Of LFW's people `--faces` are drawn, one picture of each; of RAF-DB's test part 100 faces of each expression; of FER2013
`--small` faces outside its training part. The first `--moved` of LFW's faces are also shown in all `WAYS`: moved, lit, degraded, cropped
otherwise. LFW's pictures have something around the face, so a moved crop shows what a detector's moved box would.

Each map of a moved crop is carried back to the cells of the crop as it stands, and the two are compared where both have cells. Intervals
are 95 %, by drawing faces again. What the networks gave is kept in WORK: a stopped run goes on where it was, and one with more faces adds
them. Some 0.1 s a face and way on two cores with bfloat16.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from robustness import coarse, compressed, grey
from scipy import stats
from tqdm.auto import tqdm

from safbage import SafBage, datasets, faces, fixations, images
from safbage.datasets import catalogue
from safbage.datasets.preparation import most_central
from safbage.errors import ImageError
from safbage.faces import Face
from safbage.runtime import weights
from safbage.runtime.files import write_text, write_whole
from safbage.runtime.work import resuming
from safbage.saliency import SHIPPED, metrics
from safbage.show import plots
from safbage.tasks import (
    BOX,
    CLASSES,
    FACE_SIZE,
    LANDMARK_COLUMNS,
    LANDMARKS,
    MAP_SIZE,
    MARGIN,
)

NETWORKS = ("mlnet", "light")
ARMS = (*NETWORKS, "none")
"""With whose saliency a face is answered; "none" is without."""
PARTS = {
    "eyes": ("left_eye", "right_eye"),
    "nose": ("nose",),
    "mouth": ("mouth_left", "mouth_right"),
    "all": LANDMARKS,
}
NEAR = 0.16
"""How far a part reaches from its landmark, in widths of the face's box; as in `faces.near_landmarks`."""
WIDE = 320
"""Side in pixels of what is cut from the photo; the crop as it stands is its middle 224."""
EDGE = (WIDE - FACE_SIZE) // 2
CELL = FACE_SIZE // MAP_SIZE[0]
EACH_EXPRESSION = 100
BLOCK = 20
"""Faces that go through the networks together, and are kept together."""
DRAWS = 2000


# --- ways to show a face --------------------------------------------------------------------------


def as_it_stands(face, generator):
    """Pixels of the crop to pixels of the wide picture, 3×3; so do all that follow."""
    return np.array([[1.0, 0, EDGE], [0, 1, EDGE], [0, 0, 1]])


def mirrored(face, generator):
    return np.array([[-1.0, 0, WIDE - EDGE], [0, 1, EDGE], [0, 0, 1]])


def shifted(pixels, face, generator):
    """The face lies so many pixels to the left, right, top or bottom; a face's own direction, whatever the pixels."""
    right, down = ((1, 0), (-1, 0), (0, 1), (0, -1))[generator.integers(4)]
    return np.array([[1.0, 0, EDGE - pixels * right], [0, 1, EDGE - pixels * down], [0, 0, 1]])


def about_the_middle(scale, degrees):
    """The face is so many times as large, and turned clockwise."""
    sine, cosine = np.sin(np.radians(degrees)) / scale, np.cos(np.radians(degrees)) / scale
    turn = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
    into, back = np.eye(3), np.eye(3)
    into[:2, 2], back[:2, 2] = -FACE_SIZE / 2, WIDE / 2
    return back @ turn @ into


def enlarged(scale, face, generator):
    return about_the_middle(scale, 0)


def turned(degrees, face, generator):
    return about_the_middle(1, degrees * generator.choice([-1, 1]))


def as_ffhq(face, generator):
    """FFHQ's square (Karras et al. 2019): level eyes, as large as the distances between eyes and mouth say."""
    left_eye, right_eye, _, left, right = face.points
    eyes, across = (left_eye + right_eye) / 2, right_eye - left_eye
    down = (left + right) / 2 - eyes
    x = across + np.array([down[1], -down[0]])
    x *= max(2 * np.hypot(*across), 1.8 * np.hypot(*down)) / np.hypot(*x)
    y, middle = np.array([-x[1], x[0]]), eyes + 0.1 * down
    axes = np.stack([x, y], axis=1) * 2 / FACE_SIZE
    return np.vstack([np.column_stack([axes, middle - x - y]), [0, 0, 1]])


def cut_out(wide):
    """As if the photo ended at the face's squared box: its last pixels are repeated."""
    side = round(FACE_SIZE / (1 + MARGIN))
    edge = (WIDE - side) // 2
    inside = wide[edge : edge + side, edge : edge + side]
    rest = WIDE - side - edge
    return cv2.copyMakeBorder(inside, edge, rest, edge, rest, cv2.BORDER_REPLICATE)


def lit(gamma, crop, generator):
    return np.round(255 * (crop / 255) ** gamma).astype("uint8")


def noisy(sigma, crop, generator):
    return np.clip(np.round(crop + generator.normal(0, sigma, crop.shape)), 0, 255).astype("uint8")


def plainly(change):
    """A change to a crop in which nothing is random."""
    return lambda crop, generator: change(crop)


@dataclass(frozen=True)
class Way:
    """How a face is shown: where its crop lies, and what is done to the wide picture before and to the crop after it is cut."""

    place: Callable = as_it_stands
    before: Callable = lambda wide: wide
    after: Callable = lambda crop, generator: crop


PLAIN = "as it stands"
WAYS = {
    PLAIN: Way(),
    "mirrored": Way(mirrored),
    **{f"shifted by {n} px": Way(partial(shifted, n)) for n in (2, 4, 8, 16)},
    "20 % larger": Way(partial(enlarged, 1.2)),
    "20 % smaller": Way(partial(enlarged, 1 / 1.2)),
    "turned by 15°": Way(partial(turned, 15)),
    "turned by 30°": Way(partial(turned, 30)),
    "lighter, γ 0.5": Way(after=partial(lit, 0.5)),
    "darker, γ 2": Way(after=partial(lit, 2)),
    "grey": Way(after=plainly(grey)),
    "blurred, σ 3 px": Way(after=plainly(lambda crop: cv2.GaussianBlur(crop, (0, 0), 3))),
    "blurred, σ 6 px": Way(after=plainly(lambda crop: cv2.GaussianBlur(crop, (0, 0), 6))),
    "48×48 pixels": Way(after=plainly(partial(coarse, side=48))),
    "24×24 pixels": Way(after=plainly(partial(coarse, side=24))),
    "JPEG of quality 10": Way(after=plainly(partial(compressed, quality=10))),
    "noise, σ 20 of 255": Way(after=partial(noisy, 20)),
    "no margin": Way(partial(enlarged, 1 + MARGIN)),
    "photo ends at the box": Way(before=cut_out),
    "aligned as FFHQ": Way(as_ffhq),
}
"""By name. Places are in pixels of the 224×224 crop; a photo's surroundings come in where the crop moves."""


# --- faces ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shown:
    """A face in its wide picture (320×320×3 uint8): landmarks (5×2) and the width of its box, in the picture's pixels."""

    wide: np.ndarray
    points: np.ndarray
    width: float


def drawn(name, data_dir, count, seed):
    """Pictures of a set that no ML-Net has learnt from (some of FER2013's may have chosen the light one's epoch)."""
    table = datasets.load(name, data_dir=data_dir).faces
    if name == "rafdb":
        table = table[table.split == "test"].sample(frac=1, random_state=seed)
        return table.groupby("expression", sort=False).head(EACH_EXPRESSION)
    if name == "lfw":
        table = table.sample(frac=1, random_state=seed).drop_duplicates("subject")
    else:
        table = table[table.split != "train"].sample(frac=1, random_state=seed)
    return table.head(count)


def detected(table):
    """A row for each picture: its face's box, landmarks and pose; or why there is none, in `reason`."""
    rows = []
    for row in table.to_dict("records"):
        kept = {"image": row["image"], "expression": row.get("expression")}
        try:
            photo = images.read(row["image"])
        except (ImageError, OSError) as error:
            rows.append(kept | {"reason": str(error)})
            continue
        found = faces.detect_enlarged(photo)
        face = most_central(found, photo.shape[:2]) if found else None
        if face is None or faces.head_pose(face) is None:
            rows.append(kept | {"reason": "no face found"})
            continue
        box = dict(zip(BOX, face.box, strict=True))
        rows.append(kept | box | faces.landmark_values(face) | {"reason": ""})
    return pd.DataFrame(rows, columns=["image", "expression", *BOX, *LANDMARK_COLUMNS, "reason"])


def shown(row, photo=None) -> Shown:
    """A row's face, cut wide from its photo, which is read where it is not given."""
    points = np.array([[row[f"{name}_{axis}"] for axis in "xy"] for name in LANDMARKS])
    face = Face(tuple(row[side] for side in BOX), 1.0, {})
    margin = (1 + MARGIN) * WIDE / FACE_SIZE - 1
    left, top, side = faces.square(face.box, margin)
    photo = images.read(row["image"]) if photo is None else photo
    wide = faces.crop_face(photo, face, margin=margin, size=WIDE)
    scale = WIDE / side
    return Shown(wide, (points - [left, top]) * scale, face.box[2] * scale)


def generator_of(seed, number):
    return np.random.default_rng((seed, number))


def cut(face: Shown, way: Way, seed: int, number: int):
    """(crop 224×224×3 uint8, its place 3×3) of a face in a way; `number` is the face's."""
    place = way.place(face, generator_of(seed, number))
    index = shift(-0.5) @ place @ shift(0.5)  # OpenCV's pixels have their middles at whole numbers
    crop = cv2.warpAffine(
        way.before(face.wide),
        index[:2],
        (FACE_SIZE, FACE_SIZE),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return way.after(crop, generator_of(seed, number)), place


def shift(by):
    return np.array([[1.0, 0, by], [0, 1, by], [0, 0, 1]])


# --- what the networks give -----------------------------------------------------------------------


def answered(models, table, way, seed):
    """What both networks give for some rows' faces in a way: maps (N×28×28 float16) by network, places (N×3×3), landmarks and radius of
    the parts in each crop, and answers by task and arm. The rows' numbers are the table's."""
    found = [shown(row) for row in table.to_dict("records")]
    cuts = [cut(face, way, seed, number) for face, number in zip(found, table.index, strict=True)]
    crops, places = (np.stack(values) for values in zip(*cuts, strict=True))
    inverse = np.linalg.inv(places)
    points = np.stack([face.points for face in found])
    points = np.einsum("nij,nkj->nki", inverse[:, :2, :2], points) + inverse[:, None, :2, 2]
    radius = NEAR * np.array([f.width for f in found]) * np.abs(np.linalg.det(inverse)) ** 0.5
    given = {name: model.answer(crops) for name, model in models.items()}
    maps = {name: given[name]["map"].reshape(-1, *MAP_SIZE) for name in NETWORKS}
    given["none"] = models[NETWORKS[0]].answer(crops, maps=maps[NETWORKS[0]], ratio=0)
    answers = {f"{task}_{arm}": given[arm][task].argmax(1) for task in CLASSES for arm in ARMS}
    return {"places": places, "points": points, "radius": radius, **maps, **answers}


def kept(path, compute):
    """The arrays of a file, which is made by `compute` where it is not there."""
    if not path.exists():
        arrays = compute()
        write_whole(path, lambda aside: _save(aside, arrays))
    with np.load(path) as file:
        return dict(file)


def _save(path, arrays):
    with open(path, "wb") as file:
        np.savez_compressed(file, **arrays)


def file_name(*words):
    """Words as the name of a file."""
    return "".join(c if c.isalnum() else "-" for c in "-".join(map(str, words)))


def joined(blocks):
    """Arrays of several blocks, one after the other."""
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


# --- figures --------------------------------------------------------------------------------------

ROWS, COLUMNS = (np.indices(MAP_SIZE) + 0.5) * CELL
"""Where the cells' middles lie in a crop, in its pixels."""


def carried(a_map, place):
    """A map of a crop in the cells of the crop as it stands, and which of those it covers (bool)."""
    onto = np.linalg.inv(place) @ as_it_stands(None, None)
    x = onto[0, 0] * COLUMNS + onto[0, 1] * ROWS + onto[0, 2]
    y = onto[1, 0] * COLUMNS + onto[1, 1] * ROWS + onto[1, 2]
    cells = [(values / CELL - 0.5).astype("float32") for values in (x, y)]
    moved = cv2.remap(
        a_map.astype("float32"), *cells, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return moved, (x >= 0) & (x <= FACE_SIZE) & (y >= 0) & (y <= FACE_SIZE)


def middle(a_map, covered):
    """A map's centre of mass, x and y in pixels of the crop."""
    mass = np.where(covered, a_map, 0)
    return np.array([(mass * COLUMNS).sum(), (mass * ROWS).sum()]) / mass.sum()


def between(one, other, covered=None):
    """CC, KL from the first, and distance of the centres of mass in pixels, of two maps where they are covered."""
    covered = np.ones(MAP_SIZE, bool) if covered is None else covered
    return {
        "cc": metrics.cc(one[covered], other[covered]),
        "kl": metrics.kl(other[covered], one[covered]),
        "distance": float(np.hypot(*(middle(one, covered) - middle(other, covered)))),
    }


def near(points, radius):
    """The cells (bool, 28×28) whose middles lie within a radius of some points (K×2, pixels of the crop)."""
    distances = [np.hypot(COLUMNS - x, ROWS - y) for x, y in points]
    return np.min(distances, axis=0) < radius


def interval(values):
    """Mean and its 95 % interval, by drawing faces again."""
    values = np.asarray(values, float)
    if len(values) < 2 or np.ptp(values) == 0:
        value = float(values.mean())
        return {"value": value, "low": value, "high": value}
    found = stats.bootstrap(
        (values,), np.mean, n_resamples=DRAWS, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    return {"value": float(values.mean()), "low": float(found.low), "high": float(found.high)}


def others_mean(maps):
    """For each face the mean of all other faces' maps, N×28×28."""
    return (maps.sum(axis=0) - maps) / (len(maps) - 1)


def shares(maps, given, prior):
    """A row for each face and part: the share of the map's mass, of the area, of the prior and of the mean of the others."""
    rows, others = [], others_mean(maps)
    for i, (points, radius) in enumerate(zip(given["points"], given["radius"], strict=True)):
        for part, names in PARTS.items():
            cells = near(points[[LANDMARKS.index(name) for name in names]], radius)
            values = {"share": maps[i], "prior": prior, "others": others[i]}
            row = {name: metrics.mass_within(of, cells) for name, of in values.items()}
            rows.append({"face": i, "part": part, "area": cells.mean()} | row)
    return pd.DataFrame(rows)


def groups(name, table):
    """Faces of a set (bool each) by pose, or by expression."""
    found = {"all": np.ones(len(table), bool)}
    if name == "lfw":
        for angle, edges in (("yaw", (10, 20)), ("roll", (5, 10))):
            size = table[angle].abs().to_numpy()
            found |= {
                f"{angle} below {edges[0]}°": size < edges[0],
                f"{angle} {edges[0]} to {edges[1]}°": (size >= edges[0]) & (size < edges[1]),
                f"{angle} {edges[1]}° and more": size >= edges[1],
            }
    if name == "rafdb":
        found |= {label: (table.expression == label).to_numpy() for label in CLASSES["expression"]}
    return found


def of_parts(network, name, table, given, prior):
    """Where the mass lies, by group and part."""
    rows = shares(given[network], given, prior)
    found = []
    for group, chosen in groups(name, table).items():
        for part in PARTS:
            of = rows[(rows.part == part) & chosen[rows.face]]
            if len(of) < 2:
                continue
            found.append(
                {
                    "network": network,
                    "set": name,
                    "group": group,
                    "part": part,
                    "faces": len(of),
                    "share": interval(of.share),
                    **{by: float(of[by].mean()) for by in ("area", "prior", "others")},
                    "over_prior": interval(of.share - of.prior),
                    "over_others": interval(of.share - of.others),
                }
            )
    return found


def of_pairs(pairs):
    """Intervals of each measure of `between`."""
    table = pd.DataFrame(pairs)
    return {name: interval(table[name]) for name in table}


def moved(plain, ways, network):
    """How far the map goes, by way; and how much more of it is then on the parts, of what both crops show."""
    found = []
    for way, given in ways.items():
        pairs, more = [], []
        for i, place in enumerate(given["places"]):
            before = plain[network][i]
            after, covered = carried(given[network][i], place)
            parts = near(plain["points"][i], plain["radius"][i])[covered]
            pairs.append(between(before, after, covered))
            on_parts = (metrics.mass_within(a_map[covered], parts) for a_map in (after, before))
            more.append(np.subtract(*on_parts))
        found.append({"network": network, "way": way, "faces": len(pairs)} | of_pairs(pairs))
        found[-1]["share_more"] = interval(more)
    return found


def floor(maps, seed):
    """How alike the maps of two different faces are, and a face's map and the mean of all others'."""
    order = np.random.default_rng(seed).permutation(len(maps))
    two = [between(maps[a], maps[b]) for a, b in zip(order, np.roll(order, 1), strict=True)]
    mean = [between(one, other) for one, other in zip(maps, others_mean(maps), strict=True)]
    return {"two_faces": of_pairs(two), "mean_of_others": of_pairs(mean)}


def light_beside_full(given):
    """How alike the two networks' maps of the same crops are, and the answers."""
    pairs = [between(*maps) for maps in zip(*(given[name] for name in NETWORKS), strict=True)]
    same = {task: given[f"{task}_mlnet"] == given[f"{task}_light"] for task in CLASSES}
    return of_pairs(pairs) | {
        "same_answer": {t: float(values.mean()) for t, values in same.items()}
    }


def changed_answers(plain, given):
    """By task the share of faces whose answer is another one than as it stands: with the full ML-Net's saliency, without any, and the
    difference."""
    found = {}
    for task in CLASSES:
        other = {
            arm: (plain[f"{task}_{arm}"] != given[f"{task}_{arm}"]).astype(float)
            for arm in ("mlnet", "none")
        }
        found[task] = {
            "with": interval(other["mlnet"]),
            "without": interval(other["none"]),
            "difference": interval(other["mlnet"] - other["none"]),
        }
    return found


def first(given, count):
    return {name: values[:count] for name, values in given.items()}


def measured(tables, given, prior, seed):
    """All figures, as `main` writes them. `given` has by set and way what `answered` gave."""
    ways = {way: values for (name, way), values in given.items() if name == "lfw"}
    whole = {name: given[name, PLAIN] for name in tables}
    whole = {name: _as_floats(values) for name, values in whole.items()}
    ways = {way: _as_floats(values) for way, values in ways.items() if way != PLAIN}
    plain = first(whole["lfw"], len(next(iter(ways.values()))["radius"]))
    return {
        "parts": [
            row
            for network in NETWORKS
            for name in ("lfw", "rafdb")
            for row in of_parts(network, name, tables[name], whole[name], prior)
        ],
        "moved": [row for network in NETWORKS for row in moved(plain, ways, network)],
        "floor": {network: floor(whole["lfw"][network], seed) for network in NETWORKS},
        "light": [
            {"set": name, "way": PLAIN, "faces": len(values["radius"])} | light_beside_full(values)
            for name, values in whole.items()
        ]
        + [
            {"set": "lfw", "way": way, "faces": len(values["radius"])} | light_beside_full(values)
            for way, values in ways.items()
        ],
        "answers": [{"way": way} | changed_answers(plain, v) for way, v in ways.items()],
    }


def _as_floats(values):
    return {
        name: array.astype(float) if name in NETWORKS else array for name, array in values.items()
    }


def rounded(found, digits=5):
    """The same, with few digits."""
    if isinstance(found, dict):
        return {name: rounded(value, digits) for name, value in found.items()}
    if isinstance(found, list):
        return [rounded(value, digits) for value in found]
    return round(found, digits) if isinstance(found, float) else found


# --- a picture of it ------------------------------------------------------------------------------

PICTURED = (
    PLAIN,
    "mirrored",
    "turned by 30°",
    "darker, γ 2",
    "24×24 pixels",
    "photo ends at the box",
)


def pictured(models):
    """The astronaut in some ways, with both networks' maps over her face: a column for each way."""
    photo = images.astronaut()
    face = faces.largest(faces.detect_faces(photo), max_faces=1)[0]
    wide = shown(dict(zip(BOX, face.box, strict=True)) | faces.landmark_values(face), photo)
    crops = np.stack([cut(wide, WAYS[way], 0, 0)[0] for way in PICTURED])
    figure, axes = plt.subplots(
        3, len(PICTURED), figsize=(2 * len(PICTURED), 6.4), layout="constrained"
    )
    maps = {network: models[network].answer(crops)["map"] for network in NETWORKS}
    for i, way in enumerate(PICTURED):
        plots.image(crops[i], title=way, ax=axes[0, i])
        for line, network in enumerate(NETWORKS, 1):
            a_map = maps[network][i].reshape(MAP_SIZE)
            plots.overlay(crops[i], a_map, colour_bar=False, ax=axes[line, i])
    for ax, words in zip(axes[:, 0], ("shown", "full ML-Net", "light ML-Net"), strict=True):
        ax.text(-0.06, 0.5, words, transform=ax.transAxes, rotation=90, ha="right", va="center")
    return figure


# --- the run --------------------------------------------------------------------------------------


def found_faces(name, args, count):
    """The faces of a set's drawn pictures, and what is told of them."""
    path, parts = args.work / f"{file_name(name, 'drawn', count)}.parquet", []
    if not path.exists():
        write_whole(path, drawn(name, args.data_dir, count, args.seed).to_parquet)
    pictures = pd.read_parquet(path)
    for start in tqdm(range(0, len(pictures), BLOCK), f"{name}: faces"):
        part = pictures.iloc[start : start + BLOCK]
        path = args.work / f"{file_name(name, 'faces', start, len(part))}.parquet"
        if not path.exists():
            write_whole(path, detected(part).to_parquet)
        parts.append(pd.read_parquet(path))
    table = pd.concat(parts, ignore_index=True)
    there = table[table.reason == ""].reset_index(drop=True)
    reasons = table.reason[table.reason != ""].where(table.reason == "no face found", "not read")
    about = {"set": name, "title": catalogue.SOURCES[name].title, "pictures": len(table)}
    return there, about | {"faces": len(there), "left_out": reasons.value_counts().to_dict()}


def centre_prior(args):
    """Where OSIE's viewers looked, whatever the scene, in the cells of a face's map."""
    scenes = fixations.read(catalogue.find("osie", args.data_dir))
    compute = partial(metrics.centre_prior, scenes, MAP_SIZE)
    return kept(args.work / "prior.npz", lambda: {"prior": compute()})["prior"]


def shipped():
    """SHA-256 of the weights of both networks."""
    return {name: weights.shipped_hashes()[SHIPPED[name][1]] for name in NETWORKS}


def loaded(engine):
    return {of: SafBage.load(saliency=of, engine=engine) for of in NETWORKS}


def looked_at(tables, args):
    """What the networks gave, by set and way, block by block: all ways of some faces before the next ones."""
    models, blocks = {}, {}
    steps = [
        (name, way, start)
        for name, table in tables.items()
        for start in range(0, len(table), BLOCK)
        for way in (WAYS if name == "lfw" and start < args.moved else (PLAIN,))
    ]
    for name, way, start in tqdm(steps, "maps"):
        stop = min(
            start + BLOCK, len(tables[name]), len(tables[name]) if way == PLAIN else args.moved
        )
        part = tables[name].iloc[start:stop]
        path = args.work / f"{file_name(name, way, start, len(part))}.npz"
        if not models and not path.exists():
            models = loaded(args.engine)
        compute = partial(answered, models, part, WAYS[way], args.seed)
        blocks.setdefault((name, way), []).append(kept(path, compute))
    return {key: joined(parts) for key, parts in blocks.items()}


def run(args):
    counts = {"lfw": args.faces, "rafdb": EACH_EXPRESSION, "fer2013": args.small}
    pairs = {name: found_faces(name, args, count) for name, count in counts.items()}
    tables, about = ({name: pair[i] for name, pair in pairs.items()} for i in (0, 1))
    given = looked_at(tables, args)
    made = {
        "command": f"python benchmarks/saliency_on_faces.py WORK --data-dir DATA --faces {args.faces} --moved {args.moved} "
        f"--small {args.small} --seed {args.seed} --engine {args.engine}",
        "weights": shipped(),
        "versions": {"safbage": version("safbage")},
    }
    moved_faces = min(args.moved, len(tables["lfw"]))
    return {
        "kind": "saliency on faces",
        "data": list(about.values()),
        "moved_faces": moved_faces,
        **measured(tables, given, centre_prior(args), args.seed),
        "provenance": made,
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--faces", type=int, default=1000, help="of LFW (1000)")
    parser.add_argument("--moved", type=int, default=400, help="of these in all ways (400)")
    parser.add_argument("--small", type=int, default=300, help="of FER2013 (300)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", default="openvino")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--picture", type=Path, help="also draw the astronaut in some ways, PNG")
    args = parser.parse_args()
    with resuming(args.work, {"seed": args.seed, "engine": args.engine} | shipped()):
        text = json.dumps(rounded(run(args)), indent=1, ensure_ascii=False) + "\n"
    print(text)
    if args.output:
        write_text(args.output, text)
    if args.picture:
        pictured(loaded(args.engine)).savefig(args.picture, dpi=80, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
