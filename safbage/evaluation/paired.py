"""Test which of two tables of answers to the same faces is better: McNemar and the bootstrap."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from safbage.datasets import splits
from safbage.evaluation.figures import check, codes, right

EXACT_BELOW = 25
"""Discordant pairs below which McNemar's test is exact."""
CHUNK = 2_000_000
"""Draws that the bootstrap holds in memory at a time."""


def align(a: pd.DataFrame, b: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two arms' predictions of the same faces, brought into the first one's order: by `row` where
    both have it, else by `image`; and by `seed` where both tell it.

    Raises:
        ValueError: a face occurs twice with one seed, is in one table only, or has two pictures or
            labels.
    """
    key = "row" if "row" in a and "row" in b else "image"
    keys = [key, *(["seed"] if "seed" in a and "seed" in b else [])]
    for name, table in (("first", a), ("second", b)):
        check(table)
        if table.duplicated(keys).any():
            twice = table[key][table.duplicated(keys)].iloc[0]
            raise ValueError(
                f"the {name} table has {key} {twice} more than once; "
                "paired tests need each face once" + ", or once for each seed" * (len(keys) > 1)
            )
    places = [pd.MultiIndex.from_frame(table[keys]) for table in (a, b)]
    apart = places[0].symmetric_difference(places[1])
    if len(apart):
        first = ", seed ".join(map(str, apart[0]))
        raise ValueError(
            f"the arms hold different {key}s: {len(apart)} are in one only, such as {first}"
        )
    b = b.iloc[places[1].get_indexer(places[0])].reset_index(drop=True)
    a = a.reset_index(drop=True)
    for column in ("image", "label"):
        unequal = a[column].astype(str) != b[column].astype(str)
        if unequal.any():
            i = unequal.idxmax()
            raise ValueError(
                f"{unequal.sum()} {column}s differ, "
                f"first {a.image[i]}: {a[column][i]} and {b[column][i]}"
            )
    return a, b


def mcnemar(a: pd.DataFrame, b: pd.DataFrame) -> dict[str, float | int | str]:
    """McNemar's test: do two arms answer equally many of the same faces rightly? It takes faces as
    independent.

    Returns:
        Counts `both`, `only_a`, `only_b`, `neither` of faces answered rightly; `test`: "exact"
        (binomial) below 25 discordant pairs, else "chi-square" with continuity correction; its
        `statistic` (of the exact test the smaller count); two-sided `p`.
    """
    right_a, right_b = map(right, align(a, b))
    both, only_a = int((right_a & right_b).sum()), int((right_a & ~right_b).sum())
    only_b, neither = int((~right_a & right_b).sum()), int((~right_a & ~right_b).sum())
    discordant = only_a + only_b
    if discordant < EXACT_BELOW:
        test, statistic = "exact", float(min(only_a, only_b))
        p = stats.binomtest(only_a, discordant).pvalue if discordant else 1.0
    else:
        test, statistic = "chi-square", max(abs(only_a - only_b) - 1, 0) ** 2 / discordant
        p = stats.chi2.sf(statistic, 1)
    counts = {"both": both, "only_a": only_a, "only_b": only_b, "neither": neither}
    return counts | {"test": test, "statistic": statistic, "p": float(p)}


def holm(p: Sequence[float]) -> list[float]:
    """p-values of several tests, corrected so that all of them together err as rarely as one would
    (Holm 1979)."""
    p = np.asarray(p, float)
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return corrected.tolist()


def _accuracy(hits, faces):
    """Accuracy (…) from right answers and faces by class (…×C)."""
    return hits.sum(axis=-1) / faces.sum(axis=-1)


def _mean_recall(hits, faces):
    """Mean recall from the same, over the classes that have faces."""
    shares = np.divide(hits, faces, out=np.zeros(hits.shape), where=faces > 0)
    return shares.sum(axis=-1) / (faces > 0).sum(axis=-1)


STATISTICS = {"accuracy": _accuracy, "mean_recall": _mean_recall}
"""What `paired_bootstrap` can compare."""


def paired_bootstrap(
    a: pd.DataFrame,
    b: pd.DataFrame,
    *,
    statistic: str = "accuracy",
    repetitions: int = 10_000,
    seed: int = 0,
) -> dict[str, float | int | str]:
    """How much better the second arm is, with an interval from drawing subjects again, all pictures
    of a subject together; and trainings again, where several seeds answered.

    Pictures of one subject are alike, so that drawing pictures one by one would promise too much.
    Of each fold as many seeds are drawn as it has, the same ones for both arms. Few seeds scatter
    less when drawn again than trainings do; for J of them the draws are spread by √(J / (J − 1)).

    Args:
        a: the first arm, such as without saliency. Its column `seed`, if it has one, tells the
            answers of several trainings to one face apart; a face's answers are averaged.
        b: the second, on the same faces and of the same seeds.
        statistic: a name in `STATISTICS`.
        repetitions: draws.
        seed: of the draws; the same seed gives the same figures.

    Returns:
        `statistic`, its values `a` and `b`, `difference` (b − a), `low` and `high` (95 %,
        percentiles), two-sided `p` (twice the rarer sign's share; a zero counts for both, so that
        equal arms have 1), `subjects`, `faces`, `trainings` (pairs of them: folds times seeds),
        `repetitions`.
    """
    if statistic not in STATISTICS or repetitions < 1:
        raise ValueError(
            f"statistic is one of {', '.join(STATISTICS)} and repetitions ≥ 1; "
            f"got {statistic!r}, {repetitions}"
        )
    a, b = align(a, b)
    subjects = pd.factorize(splits.subjects(a, folders=True))[0]
    count, tallies = subjects.max() + 1, _tallies(a, b, subjects)
    score = STATISTICS[statistic]

    def arms(times, shares):
        summed = sum(
            np.einsum("rj,rjc->rc", share, np.tensordot(times[:, who], tally, 1))
            for (who, tally), share in zip(tallies, shares, strict=True)
        )
        right_a, right_b, faces = np.split(summed.astype(float), 3, axis=-1)
        return score(right_a, faces), score(right_b, faces)

    generator = np.random.default_rng(seed)
    differences = []
    step = max(1, CHUNK // count)
    for start in range(0, repetitions, step):
        rows = min(step, repetitions - start)
        drawn = generator.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
        shares = [_drawn_shares(generator, rows, tally.shape[1]) for _, tally in tallies]
        first, second = arms(times.astype("float32"), shares)
        differences.append(second - first)
    differences = np.concatenate(differences)
    low, high = map(float, np.percentile(differences, [2.5, 97.5]))
    rarer = min((differences <= 0).sum(), (differences >= 0).sum())
    p = min(1.0, 2 * (int(rarer) + 1) / (repetitions + 1))
    each = [np.full((1, tally.shape[1]), 1 / tally.shape[1]) for _, tally in tallies]
    first, second = (float(value[0]) for value in arms(np.ones((1, count), "float32"), each))
    return {
        "statistic": statistic,
        "a": first,
        "b": second,
        "difference": second - first,
        "low": low,
        "high": high,
        "p": p,
        "subjects": int(count),
        "faces": int(a[_face_key(a)].nunique()),
        "trainings": sum(tally.shape[1] for _, tally in tallies),
        "repetitions": repetitions,
    }


def _tallies(a, b, subjects):
    """For each fold the numbers of its S subjects, and S×seeds×3C counts: how many pictures are
    right in `a`, right in `b`, and there at all, each by class."""
    classes = check(a)
    width, labels = len(classes), codes(a.label, classes)
    folds = a.fold.to_numpy() if "fold" in a else np.zeros(len(a))
    seeds = a.seed.to_numpy() if "seed" in a else np.zeros(len(a))
    counted = np.stack([right(a), right(b), np.ones(len(a))]).astype("float32")
    found = []
    for fold in np.unique(folds):
        of = folds == fold
        who, place = np.unique(subjects[of], return_inverse=True)
        names, seed = np.unique(seeds[of], return_inverse=True)
        tally = np.zeros((len(who), len(names), 3 * width), "float32")
        for block in range(3):
            np.add.at(tally, (place, seed, block * width + labels[of]), counted[block, of])
        found.append((who, tally))
    return found


def _drawn_shares(generator, rows, seeds):
    """What each of a fold's seeds counts in each draw, rows×seeds; they sum to 1."""
    if seeds == 1:
        return np.ones((rows, 1))
    times = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=rows)
    return (1 + (times - 1) * np.sqrt(seeds / (seeds - 1))) / seeds


def _face_key(table):
    return "row" if "row" in table else "image"
