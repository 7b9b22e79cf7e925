"""How well embeddings tell people apart: pairs by LFW's protocol, and ranks of nearest neighbours.

A similarity is the cosine of two embeddings, from −1 to 1. A pair is called the same person where
it is at least the threshold.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from sklearn import metrics
from sklearn.neighbors import NearestNeighbors

from safbage.tasks import AGE_GROUPS

ROWS = 256
"""Pictures that are ranked at a time: their similarities to 10,000 others take 10 MB."""
DRAWS = 10_000_000
"""Draws that a bootstrap holds in memory at a time."""
FALSE_MATCHES = (0.001, 0.01, 0.1)
"""Rates of false matches at which the rate of true matches is told."""


def similarities(embeddings: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosines of pairs, P float32.

    Args:
        embeddings: N×D, each row of length 1 (`embeddings.normalize`).
        first: the place of each pair's first picture, P whole numbers.
        second: that of its second.
    """
    return np.einsum("pd,pd->p", embeddings[first], embeddings[second]).astype("float32")


# --- pairs ----------------------------------------------------------------------------------------


def best_threshold(similarity: np.ndarray, same: np.ndarray) -> float:
    """The threshold with which most pairs are answered rightly.

    It lies half-way between two neighbouring similarities, or beyond all of them. Of several that
    are as good, the middle one is taken.

    Args:
        similarity: of P pairs.
        same: whether each shows one person, P bool.
    """
    order = np.argsort(similarity, kind="stable")
    values, truth = np.asarray(similarity, float)[order], np.asarray(same, bool)[order]
    # With the threshold before place i, the pairs from i on are called the same.
    right = np.concatenate([[0], np.cumsum(~truth)]) + truth.sum()
    right = right - np.concatenate([[0], np.cumsum(truth)])
    edges = np.concatenate([[values[0] - 1], (values[:-1] + values[1:]) / 2, [values[-1] + 1]])
    possible = np.concatenate([[True], values[:-1] < values[1:], [True]])
    best = np.flatnonzero(possible & (right == right[possible].max()))
    return float(edges[best[(len(best) - 1) // 2]])


class Verified(NamedTuple):
    """Answers to pairs.

    Attributes:
        called_same: what each pair was called, P bool.
        right: whether that is true, P bool.
        thresholds: by fold, the one chosen on all others.
        accuracies: by fold, the share of its pairs that were answered rightly.
    """

    called_same: np.ndarray
    right: np.ndarray
    thresholds: np.ndarray
    accuracies: np.ndarray

    @property
    def accuracy(self) -> float:
        """Mean over folds."""
        return float(self.accuracies.mean())

    @property
    def error(self) -> float:
        """Its standard error: the standard deviation over folds by the root of their number."""
        return float(stats.sem(self.accuracies))


def verify(similarity: np.ndarray, same: np.ndarray, fold: np.ndarray) -> Verified:
    """LFW's protocol: each fold is answered with the threshold that is best on all others.

    Args:
        similarity: of P pairs.
        same: the truth, P bool.
        fold: of each pair.

    Raises:
        ValueError: there are fewer than two folds.
    """
    folds = np.unique(fold)
    if len(folds) < 2:
        raise ValueError("a threshold is chosen on the other folds; there is only one fold")
    same, called = np.asarray(same, bool), np.zeros(len(same), bool)
    thresholds = []
    for one in folds:
        of = fold == one
        thresholds.append(best_threshold(similarity[~of], same[~of]))
        called[of] = similarity[of] >= thresholds[-1]
    right = called == same
    accuracies = np.array([right[fold == one].mean() for one in folds])
    return Verified(called, right, np.array(thresholds), accuracies)


def roc(similarity: np.ndarray, same: np.ndarray) -> pd.DataFrame:
    """The receiver operating characteristic, by scikit-learn: a row per threshold, highest first.

    Returns:
        Columns `threshold`, `false_match` (the share of pairs of two people that are called one)
        and `true_match` (the share of pairs of one person that are).
    """
    false, true, thresholds = metrics.roc_curve(same, similarity, drop_intermediate=True)
    return pd.DataFrame({"threshold": thresholds, "false_match": false, "true_match": true})


def separation(similarity: np.ndarray, same: np.ndarray) -> dict[str, float]:
    """`auc`, the area under the ROC, and `true_match_at_<rate>` for each of `FALSE_MATCHES`: the
    largest share of true matches at no more false ones than that."""
    curve = roc(similarity, same)
    at = {
        f"true_match_at_{rate:g}": float(curve.true_match[curve.false_match <= rate].max())
        for rate in FALSE_MATCHES
    }
    return {"auc": float(metrics.roc_auc_score(same, similarity))} | at


def error_rates(called_same: np.ndarray, same: np.ndarray, groups: np.ndarray) -> pd.DataFrame:
    """What goes wrong by group.

    Args:
        called_same: what each pair was called, P bool.
        same: the truth, P bool.
        groups: the group of each pair; missing (None) where its two pictures are of two groups.

    Returns:
        A row per group, age groups by age, and kind of error, "false match" (two people called
        one) and "false non-match": `group`, `error`, `pairs` that could go wrong so, `wrong`,
        `rate`, and Wilson's 95 % interval `low` to `high`.
    """
    rows = []
    groups = pd.Series(np.asarray(groups, object))
    for group in _in_order({*groups.dropna()}):
        inside = (groups == group).to_numpy()
        for error, of in (("false match", ~same), ("false non-match", same)):
            of = inside & of
            if not of.any():
                continue
            wrong, count = int((called_same != same)[of].sum()), int(of.sum())
            low, high = stats.binomtest(wrong, count).proportion_ci(method="wilson")
            row = {"group": group, "error": error, "pairs": count, "wrong": wrong}
            rows.append(row | {"rate": wrong / count, "low": float(low), "high": float(high)})
    return pd.DataFrame(rows)


def _in_order(groups):
    """Age groups by age, others by name."""
    if groups <= set(AGE_GROUPS):
        return [name for name in AGE_GROUPS if name in groups]
    return sorted(groups)


# --- neighbours -----------------------------------------------------------------------------------


def neighbours(
    embeddings: np.ndarray, count: int, *, of: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The most similar faces, by scikit-learn.

    Args:
        embeddings: N×D.
        count: of neighbours, at least 1 and less than N.
        of: M×D, the faces that are looked for; by default each of the N, and then none is its own
            neighbour.

    Returns:
        Places of the neighbours, M×count, the most similar first; and their cosines, M×count.

    Raises:
        ValueError: there are not so many faces.
    """
    most = len(embeddings) - (of is None)
    if not 1 <= count <= most:
        raise ValueError(f"count lies between 1 and {most}, the faces there are; got {count}")
    index = NearestNeighbors(metric="cosine", algorithm="brute").fit(embeddings)
    distances, places = index.kneighbors(of, n_neighbors=count)
    return places, 1 - distances


def identify(embeddings: np.ndarray, subjects: np.ndarray) -> pd.DataFrame:
    """Look for each picture's person among all other pictures.

    Args:
        embeddings: N×D, each row of length 1.
        subjects: who each shows, N names; each at least twice.

    Returns:
        A row per picture: `subject`; `first`, whether the most similar other picture shows the same
        person; `precision`, the average precision of the ranking: the mean, over the person's other
        pictures, of the share of that person's among all that are ranked as high.

    Raises:
        ValueError: a person has one picture only.
    """
    codes, names = pd.factorize(np.asarray(subjects, object))
    counts = np.bincount(codes)
    if len(counts) and counts.min() < 2:
        raise ValueError(f"{names[counts.argmin()]} has one picture: there is no other to find")
    first, precision = [], []
    for start in range(0, len(codes), ROWS):
        stop = min(start + ROWS, len(codes))
        similar = embeddings[start:stop] @ embeddings.T
        similar[np.arange(stop - start), np.arange(start, stop)] = -np.inf  # itself comes last
        order = np.argsort(-similar, axis=1, kind="stable")[:, :-1]
        found = codes[order] == codes[start:stop, None]
        shares = np.cumsum(found, axis=1) / np.arange(1, found.shape[1] + 1)
        first.append(found[:, 0])
        precision.append((shares * found).sum(axis=1) / found.sum(axis=1))
    return pd.DataFrame(
        {
            "subject": subjects,
            "first": np.concatenate(first),
            "precision": np.concatenate(precision),
        }
    )


# --- two arms -------------------------------------------------------------------------------------


def paired_difference(
    before: np.ndarray,
    after: np.ndarray,
    people: np.ndarray,
    *,
    once: bool = False,
    repetitions: int = 10_000,
    seed: int = 0,
) -> dict[str, float | int]:
    """How much larger the second arm's mean is, with an interval from drawing people again, all
    that is theirs together.

    Pairs and pictures of one person are alike, so that drawing them one by one would promise too
    much.

    Args:
        before: the first arm's values, N numbers.
        after: the second arm's for the same pairs or pictures.
        people: whose each is.
        once: take each person's mean first, so that all people count the same; otherwise all pairs
            or pictures do.
        repetitions: draws.
        seed: of the draws.

    Returns:
        `without` and `with` (the arms' means), `difference`, `low` and `high` (95 %, percentiles),
        two-sided `p` (twice the rarer sign's share), `people`, `items`, `repetitions`.
    """
    codes = pd.factorize(np.asarray(people, object))[0]
    counts = np.bincount(codes).astype(float)
    sums = [np.bincount(codes, np.asarray(values, float)) for values in (before, after)]
    if once:
        sums, counts = [each / counts for each in sums], np.ones(len(counts))
    means = [float(each.sum() / counts.sum()) for each in sums]
    generator, differences = np.random.default_rng(seed), []
    step = max(1, DRAWS // len(counts))
    for start in range(0, repetitions, step):
        rows = min(step, repetitions - start)
        drawn = generator.integers(len(counts), size=(rows, len(counts)))
        drawn += len(counts) * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
        differences.append(times @ (sums[1] - sums[0]) / (times @ counts))
    differences = np.concatenate(differences)
    low, high = map(float, np.percentile(differences, [2.5, 97.5]))
    rarer = min((differences <= 0).sum(), (differences >= 0).sum())
    return {
        "without": means[0],
        "with": means[1],
        "difference": means[1] - means[0],
        "low": low,
        "high": high,
        "p": float(min(1, 2 * (rarer + 1) / (repetitions + 1))),
        "people": len(counts),
        "items": len(codes),
        "repetitions": repetitions,
    }
