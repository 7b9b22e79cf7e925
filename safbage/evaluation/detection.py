"""How well the boxes of a detector fit annotated faces: precision and recall, average precision,
recall by group, and the difference of two detectors with its interval.

Two tables are compared. Each has a row per box, with `photo`, `left`, `top`, `width`, `height` in
pixels:

| table | also holds |
|---|---|
| found | `score`: how sure the detector is; only the order counts |
| faces | `ignore`: whether to find it counts neither for nor against; groups, such as `pose` |

Within a photo the surest box chooses first. It takes the face that it overlaps most, if their
intersection over union reaches the threshold and no surer box has that face; then it is right. Else
it may lie on an ignored face, by the same threshold; then it does not count. Else it is wrong. So
do PASCAL VOC, COCO (Lin et al. 2014) and WIDER FACE; like VOC and WIDER FACE, and unlike COCO, an
ignored face takes any number of boxes.

Sets draw their boxes differently: some around the face, some around the head. Where a set's boxes
are larger than a detector's, few pairs reach a threshold of 0.5, however well it finds faces.
`adapted` draws its boxes as the set does before they are matched.

Average precision is the area below the curve of precision over recall, where precision at a recall
is the best that is reached at that recall or a higher one (VOC since 2010, WIDER FACE). COCO's mean
over 101 recalls comes by `points=101`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from safbage.datasets.boxes import BOX

SIZES = {"below 16": 16, "16 to 32": 32, "32 to 64": 64, "64 and more": np.inf}
"""Names of sizes, and where each ends: pixels of the square root of the box's area."""


LENIENT = 0.2
"""Intersection over union at which a box is taken to mean a face, to learn a set's convention."""
FEWEST_BOXES = 10
"""Boxes below which a convention is not learnt."""


@dataclass(frozen=True, eq=False)
class Match:
    """Boxes and faces, put together.

    Attributes:
        photos: names of all photos that were searched.
        found: `photo`, `score`, `hit`: 1 right, 0 wrong, NaN where it does not count; surest first.
        faces: as given, and `score`: that of the surest box on the face, NaN where there is none.
        threshold: least intersection over union of a box with its face.
    """

    photos: tuple[str, ...]
    found: pd.DataFrame
    faces: pd.DataFrame
    threshold: float


def intersection_over_union(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of all pairs of boxes (N×4 and M×4: left, top, width, height), N×M in [0, 1]."""
    a, b = (np.asarray(boxes, float).reshape(-1, 4) for boxes in (a, b))
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum((a[:, :2] + a[:, 2:])[:, None], (b[:, :2] + b[:, 2:])[None])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = a[:, 2:].prod(axis=1)[:, None] + b[:, 2:].prod(axis=1)[None]
    return np.divide(shared, areas - shared, out=np.zeros(shared.shape), where=areas > shared)


def match(
    found: pd.DataFrame,
    faces: pd.DataFrame,
    *,
    photos: Iterable[str] | None = None,
    threshold: float = 0.5,
) -> Match:
    """Which boxes are on faces.

    Args:
        found: boxes, as the module describes them.
        faces: faces, likewise.
        photos: all that were searched; by default those of both tables. Give them where some have
            neither faces nor boxes: intervals come from drawing photos.
        threshold: least intersection over union, above 0, up to 1.

    Raises:
        ValueError: a column is missing, a number is not finite, the threshold is out of its range,
            or a table has a photo that is not among `photos`.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"the threshold lies above 0 and reaches 1; got {threshold}")
    _check(found, ["photo", *BOX, "score"])
    _check(faces, ["photo", *BOX, "ignore"])
    named = [*found.photo.unique(), *faces.photo.unique()]
    photos = tuple(dict.fromkeys(named if photos is None else photos))
    strange = set(named) - set(photos)
    if strange:
        raise ValueError(
            f"{len(strange)} photos of the tables were not searched, such as {min(strange)}"
        )
    found = found.sort_values("score", ascending=False, kind="stable").reset_index(drop=True)
    faces = faces.reset_index(drop=True)
    hit, best = np.zeros(len(found)), np.full(len(faces), np.nan)
    theirs, boxes = faces.groupby("photo").indices, found[BOX].to_numpy(float)
    true, ignore = faces[BOX].to_numpy(float), faces.ignore.to_numpy(bool)
    scores = found.score.to_numpy(float)
    for photo, rows in found.groupby("photo").indices.items():
        own = theirs.get(photo, np.zeros(0, int))
        overlaps = intersection_over_union(boxes[rows], true[own])
        hit[rows], by = _choose(overlaps, ignore[own], threshold)
        taken = by >= 0
        best[own[taken]] = scores[rows[by[taken]]]
    return Match(photos, found.assign(hit=hit), faces.assign(score=best), threshold)


def _choose(overlaps, ignore, threshold):
    """Of a photo's boxes, surest first, and its faces (N×M): what each box comes to, and for each
    face the first box on it, −1 for none."""
    hit, by = np.zeros(len(overlaps)), np.full(len(ignore), -1)
    for i, row in enumerate(overlaps):
        free = np.where(~ignore & (by < 0), row, 0)
        passed = np.where(ignore, row, 0)
        if free.max(initial=0) >= threshold:
            hit[i] = 1
            by[free.argmax()] = i
        elif passed.max(initial=0) >= threshold:
            hit[i] = np.nan
            place = passed.argmax()
            by[place] = i if by[place] < 0 else by[place]
    return hit, by


def _check(table, columns):
    lacking = [name for name in columns if name not in table]
    if lacking:
        raise ValueError(f"a table of boxes has no column {', '.join(lacking)}")
    numbers = table[[name for name in columns if name not in ("photo", "ignore")]]
    if not np.isfinite(numbers.to_numpy(float)).all():
        raise ValueError("a table of boxes holds numbers that are missing or not finite")


# --- what a set calls a face's box ---------------------------------------------------------------


@dataclass(frozen=True)
class Convention:
    """How a set's boxes lie about a detector's, which may end at the chin or hold the whole head.

    Attributes:
        right, down: how far the set's centres lie from the detector's, in the detector's widths and
            heights.
        width, height: how many times as large the set's boxes are.
        boxes: on how many boxes this was measured.
    """

    right: float = 0
    down: float = 0
    width: float = 1
    height: float = 1
    boxes: int = 0

    def applied(self, found: pd.DataFrame) -> pd.DataFrame:
        """Boxes as the set would draw them."""
        width, height = found.width * self.width, found.height * self.height
        across = found.left + found.width * (0.5 + self.right)
        down = found.top + found.height * (0.5 + self.down)
        moved = dict(left=across - width / 2, top=down - height / 2, width=width, height=height)
        return found.assign(**moved)


def convention(found: pd.DataFrame, faces: pd.DataFrame) -> Convention:
    """A set's convention beside a detector's, by the medians over the boxes that are on faces that
    count (intersection over union of `LENIENT`), the surer half of them. Fewer than ten change
    nothing.
    """
    faces = faces[~faces.ignore.astype(bool)].reset_index(drop=True)
    if faces.empty or found.empty:
        return Convention()
    found = found.sort_values("score", ascending=False, kind="stable").reset_index(drop=True)
    pairs = []
    theirs = faces.groupby("photo").indices
    for photo, rows in found.groupby("photo").indices.items():
        own = theirs.get(photo, np.zeros(0, int))
        overlaps = intersection_over_union(found.loc[rows, BOX], faces.loc[own, BOX])
        _, by = _choose(overlaps, np.zeros(len(own), bool), LENIENT)
        pairs += [(rows[box], face) for box, face in zip(by, own, strict=True) if box >= 0]
    pairs = sorted(pairs)[: -(-len(pairs) // 2)]
    if len(pairs) < FEWEST_BOXES:
        return Convention()
    a, b = (
        table[BOX].to_numpy(float)[list(rows)]
        for table, rows in zip((found, faces), zip(*pairs, strict=True), strict=True)
    )
    moved = (b[:, :2] + b[:, 2:] / 2 - a[:, :2] - a[:, 2:] / 2) / a[:, 2:]
    values = np.median(np.hstack([moved, b[:, 2:] / a[:, 2:]]), axis=0)
    return Convention(*(float(value) for value in values), len(pairs))


def halves(photos: Iterable[str], seed: int = 0) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Two halves of the photos, drawn at random; in whatever order they come."""
    names = sorted(photos)
    order = np.random.default_rng(seed).permutation(len(names))
    middle = len(names) // 2
    first, second = (sorted(names[i] for i in part) for part in (order[:middle], order[middle:]))
    return tuple(first), tuple(second)


def adapted(
    found: pd.DataFrame, faces: pd.DataFrame, photos: Iterable[str]
) -> tuple[pd.DataFrame, tuple[Convention, Convention]]:
    """Boxes of a detector as the set would draw them: those of each half of the photos by the
    convention of the other half, so that no face helps to measure itself. And both conventions."""
    parts = halves(photos)
    other = [
        convention(*(table[table.photo.isin(part)] for table in (found, faces)))
        for part in parts[::-1]
    ]
    moved = [
        rule.applied(found[found.photo.isin(part)]) for rule, part in zip(other, parts, strict=True)
    ]
    return pd.concat(moved).sort_index(), tuple(other)


# --- precision, recall ---------------------------------------------------------------------------


def precision_recall(matched: Match) -> pd.DataFrame:
    """Precision and recall when boxes below a score are left out: a row for each score, the highest
    first, with `score`, `precision`, `recall`, and `wrong`, wrong boxes per photo.

    Raises:
        ValueError: no face counts.
    """
    hit, last = _steps(matched)
    faces = _counted(matched)
    right, wrong = np.cumsum(hit)[last], np.cumsum(1 - hit)[last]
    scores = matched.found.score.to_numpy()[matched.found.hit.notna().to_numpy()]
    return pd.DataFrame(
        {
            "score": scores[last],
            "precision": right / (right + wrong),
            "recall": right / faces,
            "wrong": wrong / max(1, len(matched.photos)),
        }
    )


def _counted(matched):
    faces = int((~matched.faces.ignore.astype(bool)).sum())
    if not faces:
        raise ValueError("no face counts: all are ignored, or there are none")
    return faces


def _steps(matched):
    """What each box that counts comes to, surest first, and where a run of equal scores ends."""
    counts = matched.found.hit.notna().to_numpy()
    scores = matched.found.score.to_numpy()[counts]
    last = np.flatnonzero(np.append(np.diff(scores) != 0, True)) if len(scores) else []
    return matched.found.hit.to_numpy()[counts], np.asarray(last, int)


def average_precision(matched: Match, *, points: int | None = None) -> float:
    """The area below the curve of precision over recall, 0–1.

    Args:
        matched: boxes and faces.
        points: the mean precision at so many recalls from 0 to 1, instead; COCO takes 101.

    Raises:
        ValueError: no face counts.
    """
    curve = precision_recall(matched)
    recall, precision = curve.recall.to_numpy(), curve.precision.to_numpy()
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    if points is None:
        return float((np.diff(recall, prepend=0) * precision).sum())
    at = np.searchsorted(recall, np.linspace(0, 1, points), side="left")
    return float(np.append(precision, 0)[np.minimum(at, len(precision))].mean())


def sizes(faces: pd.DataFrame) -> pd.Series:
    """Which of `SIZES` each face has."""
    side = np.sqrt(faces.width * faces.height)
    ends = [0, *SIZES.values()]
    return pd.cut(side, ends, right=False, labels=[*SIZES]).astype(str)


def recall_by(
    matched: Match,
    group: str | Sequence,
    *,
    score: float = -np.inf,
    repetitions: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """How many faces of each group are found, those that are ignored among them.

    Args:
        matched: boxes and faces.
        group: a column of the faces, or a value for each face.
        score: least score of a box that counts.
        repetitions: draws of photos for the intervals.
        seed: of the draws.

    Returns:
        A row per group: `group`, `faces`, `found`, `recall`, `low` and `high` (95 %, from drawing
        photos again).
    """
    faces = matched.faces
    names = pd.Series(faces[group] if isinstance(group, str) else group).reset_index(drop=True)
    hit = (faces.score >= score).to_numpy()
    photo = pd.Categorical(faces.photo, categories=matched.photos).codes
    times, rows = draws(len(matched.photos), repetitions, seed), []
    for name in dict.fromkeys(names):
        own = (names == name).to_numpy()
        each = np.bincount(photo[own], minlength=len(matched.photos))
        right = np.bincount(photo[own & hit], minlength=len(matched.photos))
        total = times @ each
        drawn = (times @ right)[total > 0] / total[total > 0]
        low, high = np.percentile(drawn, [2.5, 97.5])
        count, found = int(own.sum()), int((own & hit).sum())
        rows.append((name, count, found, found / count, float(low), float(high)))
    return pd.DataFrame(rows, columns=["group", "faces", "found", "recall", "low", "high"])


def draws(count: int, repetitions: int, seed: int) -> np.ndarray:
    """How often each of `count` photos is drawn, with replacement: repetitions × count."""
    generator = np.random.default_rng(seed)
    return generator.multinomial(count, np.full(count, 1 / count), size=repetitions)


def drawn_precision(matched: Match, times: np.ndarray) -> np.ndarray:
    """Average precision when each photo counts as often as it was drawn (repetitions × photos);
    NaN where no drawn photo has a face that counts."""
    hit, last = _steps(matched)
    counts = matched.found.hit.notna().to_numpy()
    photo = pd.Categorical(matched.found.photo[counts], categories=matched.photos).codes
    own = matched.faces[~matched.faces.ignore.astype(bool)].photo
    faces = times @ np.bincount(
        pd.Categorical(own, categories=matched.photos).codes, minlength=len(matched.photos)
    )
    found = np.full(len(times), np.nan)
    for i in np.flatnonzero(faces):
        weight = times[i, photo]
        right, all_boxes = np.cumsum(weight * hit)[last], np.cumsum(weight)[last]
        precision = np.divide(right, all_boxes, out=np.zeros(len(right)), where=all_boxes > 0)
        precision = np.maximum.accumulate(precision[::-1])[::-1]
        found[i] = (np.diff(right / faces[i], prepend=0) * precision).sum()
    return found


def compare_precision(
    a: Match | Sequence[Match],
    b: Match | Sequence[Match],
    *,
    repetitions: int = 2000,
    seed: int = 0,
) -> dict[str, float | int]:
    """How much more average precision the second detector has, with an interval from drawing photos
    again, the same ones for both.

    Args:
        a: the first detector's boxes and faces; or several, of parts of the photos (as where
            something was chosen on the other part): then means over the parts are compared.
        b: the second's, on the same photos and faces.
        repetitions: draws.
        seed: of the draws.

    Returns:
        `a`, `b`, `difference` (b − a), `low` and `high` (95 %), two-sided `p` (twice the rarer
        sign's share, as `paired_bootstrap` has it), `photos`, `faces` (those that count),
        `repetitions`.

    Raises:
        ValueError: the two are not of the same photos and faces.
    """
    pairs = [*zip(_parts(a), _parts(b), strict=True)]
    for one, other in pairs:
        same = set(one.photos) == set(other.photos) and len(one.faces) == len(other.faces)
        if not same or (one.faces[["photo", *BOX]].ne(other.faces[["photo", *BOX]])).any(axis=None):
            raise ValueError("both detectors must be compared on the same photos and faces")
    values = np.array([[average_precision(m) for m in pair] for pair in pairs]).mean(axis=0)
    drawn = []
    for place, (one, other) in enumerate(pairs):
        times = draws(len(one.photos), repetitions, seed + place)
        order = [other.photos.index(photo) for photo in one.photos]
        same = np.empty_like(times)
        same[:, order] = times
        drawn.append(drawn_precision(other, same) - drawn_precision(one, times))
    differences = np.mean(drawn, axis=0)
    differences = differences[np.isfinite(differences)]
    low, high = np.percentile(differences, [2.5, 97.5])
    rarer = min((differences <= 0).sum(), (differences >= 0).sum())
    return {
        "a": float(values[0]),
        "b": float(values[1]),
        "difference": float(values[1] - values[0]),
        "low": float(low),
        "high": float(high),
        "p": min(1.0, 2 * (int(rarer) + 1) / (len(differences) + 1)),
        "photos": sum(len(one.photos) for one, _ in pairs),
        "faces": sum(_counted(one) for one, _ in pairs),
        "repetitions": repetitions,
    }


def _parts(matched):
    return [matched] if isinstance(matched, Match) else list(matched)


def precision_interval(
    matched: Match, *, repetitions: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of the average precision, from drawing photos again."""
    drawn = drawn_precision(matched, draws(len(matched.photos), repetitions, seed))
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return float(low), float(high)
