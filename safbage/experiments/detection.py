"""How well MTCNN finds the faces of annotated photos, with which settings, beside which other
detectors, and whether saliency helps.

    annotated = boxes.read("eyecrowd")
    result = measure(annotated, work="work/detection", saliency="mlnet")

The result is plain numbers, ready for JSON. `show.detection` says them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from safbage import images
from safbage.datasets.boxes import Annotated
from safbage.errors import DatasetError
from safbage.evaluation import detection, holm
from safbage.experiments.searching import (
    WINDOWS,
    ZOOM,
    Maps,
    Search,
    look_where_salient,
    saliency_within,
    search,
)
from safbage.runtime.files import read_json, write_text

KIND = "detection"
"""Tells a file of `save` from others of the project's results."""
BASE = "mtcnn"
SHIPPED_SCORE = 0.8
"""Last threshold with which the detector ships: precision and recall are told there."""
IOU, LENIENT_IOU = 0.5, 0.3
ARMS = {
    "all thresholds lower": Search(thresholds=(0.4, 0.5, 0.3)),
    "smallest face 12 px": Search(min_face_size=12),
    "smallest face 40 px": Search(min_face_size=40),
    "pyramid 0.5": Search(scale_factor=0.5),
}
"""Ways to search beside the first: each differs in one thing."""
THRESHOLDS = (0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Last thresholds that are told."""
WEIGHTS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Weights of saliency among which one is chosen."""
CURVE = 200
"""Points of a curve that are kept, at most."""
FEWEST_UNSEEN = 10
"""Photos that ML-Net has not learnt from, and that it has, below which they are not told apart."""


def measure(
    annotated: Annotated,
    work: str | Path,
    *,
    how: Search | None = None,
    arms: Sequence[str] = (),
    saliency: str | None = None,
    windows: int = 0,
    others: Mapping[str, pd.DataFrame] | None = None,
    repetitions: int = 2000,
    seed: int = 0,
    progress: bool = True,
) -> dict:
    """Search all photos and measure what was found.

    Average precision is told three ways: at an intersection over union of 0.5 with the boxes as
    they are ("plain"), at 0.5 with the boxes as the set would draw them ("adapted", see
    `evaluation.detection.adapted`), and at 0.3 with the boxes as they are ("lenient"). Detectors
    are compared by "adapted", so that none gains by drawing its boxes as the set does.

    Args:
        annotated: photos and faces.
        work: folder for what was found, a folder in it for each arm; a stopped run goes on.
        how: the detector's settings; by default its own, with a last threshold of 0.3.
        arms: names in `ARMS` of other settings to measure, too.
        saliency: an ML-Net, as `saliency.load` takes it: whether it helps is measured, too.
        windows: with saliency: in so many photos, spread evenly, windows are searched again.
        others: what other detectors have found, by their names.
        repetitions: draws of photos for the intervals.
        seed: of the draws.
        progress: show bars.

    Returns:
        `data`, `arms` (the first is `BASE`), `thresholds`, `tests`, `saliency` (None, or what
        `_saliency` says).

    Raises:
        DatasetError: no photo could be searched.
        WorkError, WeightsError, CheckpointError: of the work folder and of ML-Net's weights.
        ValueError: settings are out of their range, no arm is called so, or no face counts.
    """
    if not set(arms) <= set(ARMS):
        raise ValueError(f"arms are {', '.join(ARMS)}; got {', '.join(arms)}")
    work, draw = Path(work), dict(repetitions=repetitions, seed=seed)
    how = how or Search()
    searches = {BASE: how} | {name: ARMS[name] for name in arms}
    maps, unread = None, {}
    if saliency:
        maps, unread = look_where_salient(annotated, saliency, work / "maps", progress=progress)
    found, failed = {}, dict(unread)
    for name, settings in searches.items():
        place = work / name.replace(" ", "-")
        found[name], why = search(annotated, settings, place, progress=progress)
        failed |= why
    annotated = _without(annotated, failed)
    if not annotated.photos:
        raise DatasetError(f"no photo could be searched: {next(iter(failed.values()))}")
    found = {name: _of(annotated, boxes) for name, boxes in (found | dict(others or {})).items()}
    measured = {name: _Arm(annotated, boxes) for name, boxes in found.items()}
    again = {"windows": None}
    if maps and windows:
        some, before = annotated.first(windows), measured[BASE].found
        again = {"windows": _windows(some, before, how, work, maps, draw, progress)}
    rows = []
    for name, arm in measured.items():
        settings = asdict(searches[name]) if name in searches else None
        rows.append({"name": name, "settings": settings} | arm.figures(**draw))
    return {
        "data": _described(annotated, failed),
        "arms": rows,
        "thresholds": _at_thresholds(measured[BASE].adapted),
        "tests": _tests(measured, draw),
        "saliency": _saliency(annotated, measured[BASE], maps, draw) | again if maps else None,
    }


def _without(annotated, photos):
    kept = {name: path for name, path in annotated.photos.items() if name not in photos}
    faces = annotated.faces[annotated.faces.photo.isin(kept)].reset_index(drop=True)
    return replace(annotated, photos=kept, faces=faces)


def _of(annotated, found):
    return found[found.photo.isin(annotated.photos)].reset_index(drop=True)


def _described(annotated, failed):
    faces = annotated.faces
    return {
        "kind": annotated.kind,
        "photos": len(annotated.photos),
        "faces": len(faces),
        "counted": int((~faces.ignore.astype(bool)).sum()),
        "dropped": annotated.dropped.to_dict("records"),
        "failed": failed,
    }


class _Arm:
    """What a detector found, matched in three ways."""

    def __init__(self, annotated: Annotated, found: pd.DataFrame):
        self.found = found
        faces, photos = annotated.faces, tuple(annotated.photos)
        self.moved, self.conventions = detection.adapted(found, faces, photos)
        of = dict(photos=photos)
        self.plain = detection.match(found, faces, threshold=IOU, **of)
        self.lenient = detection.match(found, faces, threshold=LENIENT_IOU, **of)
        self.adapted = detection.match(self.moved, faces, threshold=IOU, **of)

    def figures(self, repetitions, seed) -> dict:
        draw = dict(repetitions=repetitions, seed=seed)
        precisions = {}
        for name in ("plain", "adapted", "lenient"):
            matched = getattr(self, name)
            low, high = detection.precision_interval(matched, **draw)
            value = detection.average_precision(matched)
            precisions[name] = {"value": value, "low": low, "high": high}
        faces = self.adapted.faces
        counted = replace(self.adapted, faces=faces[~faces.ignore.astype(bool)])
        groups = {"size": (counted, detection.sizes(counted.faces))}
        told = faces.columns.drop(["photo", *detection.BOX, "ignore", "score"])
        groups |= {name: (self.adapted, name) for name in told}
        return {
            "boxes": len(self.found),
            "average_precision": precisions,
            "conventions": [asdict(rule) for rule in self.conventions],
            "recall": {
                name: _recall(matched, group, draw) for name, (matched, group) in groups.items()
            },
            "curve": _thinned(detection.precision_recall(self.adapted)),
        }


def _recall(matched, group, draw):
    """Recall by group, of boxes that the detector passes on as it ships."""
    rows = detection.recall_by(matched, group, score=SHIPPED_SCORE, **draw)
    names = [*detection.SIZES] if set(rows.group) <= set(detection.SIZES) else [*rows.group]
    order = rows.group.map(names.index)
    return rows.iloc[np.argsort(order, kind="stable")].to_dict("records")


def _thinned(curve):
    rows = np.unique(np.linspace(0, len(curve) - 1, min(CURVE, len(curve))).round().astype(int))
    kept = curve.iloc[rows][["recall", "precision"]]
    return [[round(float(value), 4) for value in row] for row in kept.to_numpy()]


def _at_thresholds(matched):
    """What the last threshold trades: a row for each of `THRESHOLDS`."""
    curve, rows = detection.precision_recall(matched), []
    for score in THRESHOLDS:
        kept = curve[curve.score >= score]
        if len(kept):
            row = kept.iloc[-1][["precision", "recall", "wrong"]]
            rows.append({"score": score} | {name: float(value) for name, value in row.items()})
    return rows


def _tests(measured, draw):
    """Every arm beside the first, by adapted boxes; p corrected for their number."""
    names = [name for name in measured if name != BASE]
    tests = [
        {"name": name}
        | detection.compare_precision(measured[BASE].adapted, measured[name].adapted, **draw)
        for name in names
    ]
    corrected = holm([test["p"] for test in tests]) if tests else []
    return [test | {"p_holm": p} for test, p in zip(tests, corrected, strict=True)]


# --- does saliency help? -------------------------------------------------------------------------


def rescored(found: pd.DataFrame, within: np.ndarray, weight: float) -> pd.DataFrame:
    """Boxes with another score: the log-odds of their own, and `weight` times the logarithm of the
    saliency inside, as a multiple of the photo's mean.

    Args:
        found: boxes with scores in [0, 1].
        within: of each box, as `searching.saliency_within` gives it.
        weight: 0 leaves the order as it is.
    """
    score = found.score.clip(1e-6, 1 - 1e-6)
    odds = np.log(score / (1 - score))
    return found.assign(score=odds + weight * np.log(np.maximum(within, 0.01)))


def _windows(annotated, before, how, work, maps, draw, progress):
    """Whether windows around the saliency's peaks add to what was found in the photos, and more so
    than as many windows anywhere."""
    options = dict(before=before, maps=maps, progress=progress)
    arms = {"alone": _Arm(annotated, _of(annotated, before))}
    for way in ("salient", "random"):
        place = work / f"{way}-windows"
        found, _ = search(annotated, replace(how, windows=way), place, **options)
        arms[way] = _Arm(annotated, found)
    alone, salient, random = (arm.adapted for arm in arms.values())
    return {
        "count": WINDOWS,
        "zoom": ZOOM,
        "beside_alone": detection.compare_precision(alone, salient, **draw),
        "beside_random": detection.compare_precision(random, salient, **draw),
    }


def _saliency(annotated, base, maps: Maps, draw) -> dict:
    """Whether saliency ranks boxes better.

    The weight is chosen on one half of the photos and tested on the other, and the other way round.
    Where ML-Net has learnt from some of the photos (from where people looked in them, not from
    faces), it is also chosen on these and tested on the others alone.
    """
    sizes = {name: images.size(path) for name, path in annotated.photos.items()}
    within = pd.Series(saliency_within(base.found, maps, sizes), base.found.index)
    hit = base.adapted.found
    inside = within.loc[base.moved.sort_values("score", ascending=False, kind="stable").index]
    inside = inside.reset_index(drop=True)
    scorer = _Scorer(annotated.faces, base.moved, within)
    seen = [name for name in annotated.photos if Path(name).name in maps.seen]
    unseen = [name for name in annotated.photos if Path(name).name not in maps.seen]
    result = {
        "source": maps.source,
        "inside": {
            name: {"boxes": int((hit.hit == value).sum()), "median": _median(inside, hit, value)}
            for name, value in (("right", 1), ("wrong", 0))
        },
        "rescored": _by_halves(scorer, detection.halves(annotated.photos), draw),
        "photos_seen": len(seen),
        "unseen": None,
    }
    if min(len(seen), len(unseen)) >= FEWEST_UNSEEN:
        weight = scorer.best(seen)
        test = detection.compare_precision(
            scorer.match(unseen, 0), scorer.match(unseen, weight), **draw
        )
        result["unseen"] = {"weight": weight} | test
    return result


def _median(inside, found, value):
    own = inside[(found.hit == value).to_numpy()]
    return float(own.median()) if len(own) else None


def _by_halves(scorer, parts, draw):
    """The weight chosen on each half, and the test on the other."""
    weights = [scorer.best(part) for part in parts[::-1]]
    plain = [scorer.match(part, 0) for part in parts]
    with_saliency = [
        scorer.match(part, weight) for part, weight in zip(parts, weights, strict=True)
    ]
    return {"weights": weights} | detection.compare_precision(plain, with_saliency, **draw)


class _Scorer:
    """Boxes re-scored by the saliency inside, on some photos."""

    def __init__(self, faces, found, within):
        self.faces, self.found, self.within = faces, found, within

    def match(self, photos, weight) -> detection.Match:
        found = self.found[self.found.photo.isin(photos)]
        faces = self.faces[self.faces.photo.isin(photos)]
        boxes = rescored(found, self.within.loc[found.index].to_numpy(), weight)
        return detection.match(boxes, faces, photos=photos, threshold=IOU)

    def best(self, photos) -> float:
        """The weight with the highest average precision; of equal ones the smallest."""
        values = [detection.average_precision(self.match(photos, w)) for w in WEIGHTS]
        return WEIGHTS[int(np.argmax(np.round(values, 6)))]


# --- kept ----------------------------------------------------------------------------------------


def save(result: dict, path: str | Path, *, command: str, verdict: list[str]) -> None:
    """Write what `measure` gave as JSON, with the command that made it and what it comes to.

    Raises:
        WorkError: it cannot be written.
    """
    libraries = ("safbage", "numpy", "pandas", "mtcnn", "opencv-python-headless")
    made = {"command": command, "versions": {name: version(name) for name in libraries}}
    text = json.dumps(
        {"kind": KIND} | _rounded(result) | {"verdict": verdict, "provenance": made},
        indent=1,
        default=str,
        allow_nan=False,
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text + "\n")


def _rounded(value):
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    return round(value, 6) if isinstance(value, float) else value


def load(path: str | Path) -> dict:
    """What `save` wrote into a file.

    Raises:
        FileNotFoundError: there is none.
        WorkError: it is damaged.
        DatasetError: it holds other results.
    """
    found = read_json(Path(path), dict)
    if found.get("kind") != KIND:
        raise DatasetError(f"{path} holds no results of `safbage evaluate-detection`")
    return found
