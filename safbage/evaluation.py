"""How well answers fit labels: accuracy, recalls, calibration, folds, groups, and paired tests between two arms.

Everything here works on one table of predictions, a row per face:

| column | holds |
|---|---|
| `image` | the picture |
| `row` | where known, the face's number in the list of faces: a list may hold a picture twice (Adience's do) |
| `subject` | who it shows; where missing, the picture stands for it |
| `fold` | the fold in which it was tested, a whole number |
| `label` | the true class |
| `answer` | the class of the largest probability (of tied ones, any) |
| `p_<class>` | per class its probability, 0–1; together 1 |
| others | groups: `race`, `gender`, `age_group`, whatever the data set tells |

The classes are those of the `p_` columns: in the paper's order where they are a task's (`tables.CATEGORIES`), else as
the columns stand; `classes` sets another order. All figures are shares, 0–1. The paper's "accuracy" for age is what is called
mean recall here (see `paper`), so both are reported. Every function raises ValueError for a table that breaks this contract.

All this follows from counts, so NumPy and pandas suffice; intervals and p-values are SciPy's. The tests hold every figure
against scikit-learn or statsmodels.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from safbage.datasets import splits, tables
from safbage.tasks import AGE_GROUPS

TOLERANCE = 1e-3
"""How far probabilities may be from summing to 1: float16 and rounded text files are."""
BINS = 15
EXACT_BELOW = 25
"""Discordant pairs below which McNemar's test is exact."""
FEWEST = 30
"""Faces below which a group's figures are flagged."""
CHUNK = 2_000_000
"""Draws held in memory at a time by the bootstrap."""


def classes_of(predictions: pd.DataFrame) -> tuple[str, ...]:
    """The classes that have a column of probabilities, in the paper's order where they are a task's."""
    names = [str(name)[2:] for name in predictions.columns if str(name).startswith("p_")]
    known = (classes for classes in tables.CATEGORIES.values() if sorted(classes) == sorted(names))
    return next(known, tuple(names))


def check(predictions: pd.DataFrame, classes: Sequence[str] | None = None) -> tuple[str, ...]:
    """The table's classes in order, if it keeps the contract above; ValueError if not. Needs neither `fold` nor `subject`."""
    classes = tuple(classes or classes_of(predictions))
    needed = ["image", "label", "answer", *(f"p_{name}" for name in classes)]
    missing = [name for name in needed if name not in predictions]
    if missing or len(classes) < 2:
        lacking = ", ".join(missing) or "p_<class>"
        raise ValueError(f"predictions need image, label, answer and p_<class> of 2 or more classes; there is no {lacking}")
    if predictions.empty:
        raise ValueError("predictions hold no row: there is nothing to evaluate")
    for column in ("label", "answer"):
        strange = predictions[column][~predictions[column].isin(classes)].unique()
        if len(strange):
            raise ValueError(f"unknown {column} {', '.join(map(repr, strange[:5]))}; the classes are {', '.join(classes)}")
    p = _probabilities(predictions, classes)
    bad = ~((p >= 0).all(axis=1) & (np.abs(p.sum(axis=1) - 1) <= TOLERANCE))  # also NaN
    if bad.any():
        row = int(bad.argmax())
        first = f"{predictions.image.iloc[row]}: {p[row]}, sum {p[row].sum():.4g}"
        raise ValueError(f"probabilities must be ≥ 0 and sum to 1; {bad.sum()} rows have others, first {first}")
    answered = p[np.arange(len(p)), _codes(predictions.answer, classes)]
    if (answered < p.max(axis=1) - TOLERANCE).any():
        row = int((p.max(axis=1) - answered).argmax())
        raise ValueError(f"the answer is the class of the largest probability; that of {predictions.image.iloc[row]} is not")
    return classes


def _codes(values, classes):
    return pd.Categorical(values, categories=list(classes)).codes.astype(int)


def _right(predictions):
    return (predictions.label.astype(str) == predictions.answer.astype(str)).to_numpy()


def _subjects(table):
    """Of each row its subject, or where that is missing its picture, with its folder: other folders' may bear the same name."""
    names = (table if "subject" in table else table.assign(subject=pd.NA)).subject.astype("string")
    return names.where(names.notna(), table.image.astype("string")).to_numpy()


def _probabilities(predictions, classes):
    return predictions[[f"p_{name}" for name in classes]].to_numpy(float)


# --- figures of one table ------------------------------------------------------------------------------------------------


def confusion(predictions: pd.DataFrame, classes: Sequence[str] | None = None) -> pd.DataFrame:
    """Counts of faces, C×C: a row per true class, a column per answer."""
    classes = check(predictions, classes)
    cells = _codes(predictions.label, classes) * len(classes) + _codes(predictions.answer, classes)
    counts = np.bincount(cells, minlength=len(classes) ** 2).reshape(len(classes), -1)
    return pd.DataFrame(counts, pd.Index(classes, name="label"), pd.Index(classes, name="answer"))


def percent(counts: pd.DataFrame) -> pd.DataFrame:
    """A confusion matrix in % of its rows, as the paper prints it (Tables 4 and 5); NaN for a class without faces."""
    faces = counts.sum(axis=1)
    return 100 * counts.div(faces.where(faces > 0), axis=0)


def scores(counts: pd.DataFrame) -> dict[str, float]:
    """Figures that a confusion matrix of counts tells: `accuracy`, `mean_recall`, `one_off_accuracy`.

    One-off accuracy counts the neighbouring class as right too; its sense is in ordered classes, such as age groups.

    Raises:
        ValueError: the matrix is not square, has a cell that is unknown or negative, or holds no face.
    """
    cells = counts.to_numpy(float)
    if cells.ndim != 2 or cells.shape[0] != cells.shape[1] or not (cells >= 0).all() or not cells.sum():
        raise ValueError(f"a confusion matrix is square, its cells known, ≥ 0 and not all 0; got {cells.shape}: {cells}")
    right, faces = np.diag(cells), cells.sum(axis=1)
    near = sum(np.trace(cells, offset) for offset in (-1, 0, 1)) / faces.sum()
    figures = {"accuracy": _accuracy(right, faces), "mean_recall": _mean_recall(right, faces), "one_off_accuracy": near}
    return {name: float(value) for name, value in figures.items()}


def accuracy(predictions: pd.DataFrame, classes: Sequence[str] | None = None) -> float:
    """Share of faces answered rightly."""
    return scores(confusion(predictions, classes))["accuracy"]


def recalls(predictions: pd.DataFrame, classes: Sequence[str] | None = None) -> pd.Series:
    """Per class the share of its faces answered rightly; NaN for a class without faces."""
    shares = percent(confusion(predictions, classes)) / 100
    return pd.Series(np.diag(shares), shares.index, name="recall")


def mean_recall(predictions: pd.DataFrame, classes: Sequence[str] | None = None) -> float:
    """Mean of the recalls, every class counting the same. A class without faces is left out, as in scikit-learn's
    ``balanced_accuracy_score`` (which warns of classes that are answered but never true)."""
    return scores(confusion(predictions, classes))["mean_recall"]


def one_off_accuracy(predictions: pd.DataFrame, classes: Sequence[str] | None = None) -> float:
    """Share of faces answered with their class or a neighbour of it: for age groups, as papers on Adience report it."""
    return scores(confusion(predictions, classes))["one_off_accuracy"]


def _accuracy(right, faces):
    """Per class right ones and all (…×C) to accuracy (…)."""
    return right.sum(axis=-1) / faces.sum(axis=-1)


def _mean_recall(right, faces):
    """The same to mean recall, over the classes that have faces."""
    shares = np.divide(right, faces, out=np.zeros(right.shape), where=faces > 0)
    return shares.sum(axis=-1) / (faces > 0).sum(axis=-1)


def reliability(predictions: pd.DataFrame, classes: Sequence[str] | None = None, *, bins: int = BINS) -> pd.DataFrame:
    """Confidence beside accuracy, in bins of equal width over 0–1 (Guo et al. 2017, "On Calibration of Modern Neural Networks").

    Confidence is the answer's probability; a bin holds those above its `low`, up to and with its `high`.

    Returns:
        A row per bin: `low`, `high`, `faces`, mean `confidence` and `accuracy` (NaN in empty bins).
    """
    if bins < 1:
        raise ValueError(f"bins must be 1 or more, got {bins}")
    classes = check(predictions, classes)
    confidence = np.clip(_probabilities(predictions, classes).max(axis=1), 0, 1)
    edges = np.linspace(0, 1, bins + 1)
    bin = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    values = pd.DataFrame({"confidence": confidence, "accuracy": _right(predictions).astype(float)})
    means = values.groupby(bin).mean().reindex(range(bins))
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "faces": np.bincount(bin, minlength=bins)}).join(means)


def calibration_error(predictions: pd.DataFrame, classes: Sequence[str] | None = None, *, bins: int = BINS) -> float:
    """Expected calibration error: ``|confidence − accuracy|`` of `reliability`'s bins, weighted by their faces. 0 is best."""
    return calibration_gap(reliability(predictions, classes, bins=bins))


def calibration_gap(table: pd.DataFrame) -> float:
    """The expected calibration error of `reliability`'s table."""
    gaps = (table.confidence - table.accuracy).abs() * table.faces
    return float(gaps.sum() / table.faces.sum())


def measure(predictions: pd.DataFrame, classes: Sequence[str] | None = None) -> dict[str, float]:
    """All figures of a table: `faces`, `accuracy`, `mean_recall`, `one_off_accuracy` (age groups only), `calibration_error`, and
    a `recall <class>` for each."""
    classes = check(predictions, classes)
    figures = {"faces": len(predictions)} | scores(confusion(predictions, classes))
    if classes != AGE_GROUPS:
        del figures["one_off_accuracy"]
    figures["calibration_error"] = calibration_error(predictions, classes)
    return figures | {f"recall {name}": value for name, value in recalls(predictions, classes).items()}


# --- folds and groups ----------------------------------------------------------------------------------------------------


def with_folds(table: pd.DataFrame, folds: int = 5, *, seed: int = 0) -> pd.DataFrame:
    """The table with folds in which no subject is in two: its own where it has them (Adience), else `folds` drawn by subject.

    Raises:
        ValueError: its own folds share a subject or are told for some rows only; or a drawn fold is empty: too few subjects.
    """
    if "fold" not in table or table.fold.isna().all():
        table = splits.by_subject_folds(table if "subject" in table else table.assign(subject=pd.NA), folds, seed=seed)
        empty = sorted(set(range(folds)) - set(table.fold))
        if empty:
            raise ValueError(f"{len(set(_subjects(table)))} subjects leave fold {empty} of {folds} empty; draw fewer folds")
    check_folds(table)
    return table


def check_folds(table: pd.DataFrame) -> None:
    """ValueError where a row has no fold, or a subject or a picture is in two (see `splits.check_apart`)."""
    if table.fold.isna().any():
        raise ValueError(f"{table.fold.isna().sum()} of {len(table)} rows have no fold")
    splits.check_apart(table, table.fold, "fold")


def by_fold(predictions: pd.DataFrame, classes: Sequence[str] | None = None) -> pd.DataFrame:
    """`measure` fold by fold: a row per fold. A class that a fold lacks has recall NaN there and is left out of its mean recall.

    Raises:
        ValueError: also where a subject is in two folds.
    """
    classes = check(predictions, classes)
    if "fold" not in predictions:
        raise ValueError("predictions need a column fold; give it, or one number to all")
    check_folds(predictions)
    return pd.DataFrame({int(fold): measure(rows, classes) for fold, rows in predictions.groupby("fold")}).T.rename_axis("fold")


def summarise(folds: pd.DataFrame) -> pd.DataFrame:
    """`by_fold`'s table as the paper's "mean ± standard error": a row per figure; columns `mean`, `error` and `folds`.

    The error is the standard deviation over folds (ddof 1) divided by the root of their number: NaN for a single fold. Folds
    that lack a class do not count for its recall.
    """
    figures = folds.drop(columns="faces", errors="ignore")
    return pd.DataFrame({"mean": figures.mean(), "error": figures.sem(), "folds": figures.notna().sum()}).rename_axis("figure")


def by_group(
    predictions: pd.DataFrame, groups: str | Sequence[str], classes: Sequence[str] | None = None, *, fewest: int = FEWEST
) -> pd.DataFrame:
    """Accuracy of each group that occurs, or of each combination: ``by_group(predictions, ["race", "gender"])``.

    Returns:
        A row per group, age groups by age: the group columns (missing ones as "unknown"), `faces`, `accuracy` with `low` and
        `high` (Wilson's 95 % interval, which takes faces as independent: with many pictures of a subject it is too narrow),
        `mean_recall` over the classes the group has, and `few`: fewer than `fewest` faces, so read with care.
    """
    classes = check(predictions, classes)
    groups = [groups] if isinstance(groups, str) else list(groups)
    missing = [name for name in groups if name not in predictions]
    if missing or not groups:
        raise ValueError(f"no column {', '.join(missing) or 'to group by'}; there are {', '.join(map(str, predictions))}")
    for name in groups:
        if name in tables.CATEGORIES and predictions[name].dropna().isin(tables.CATEGORIES[name]).all():
            predictions = predictions.assign(**{name: pd.Categorical(predictions[name], tables.CATEGORIES[name])})
    rows = []
    for names, of in predictions.groupby(groups, observed=True, dropna=False):
        right = int(_right(of).sum())
        interval = stats.binomtest(right, len(of)).proportion_ci(method="wilson")
        group = {column: "unknown" if pd.isna(name) else name for column, name in zip(groups, names, strict=True)}
        figures = {"faces": len(of), "accuracy": right / len(of), "low": interval.low, "high": interval.high}
        rows.append(group | figures | {"mean_recall": mean_recall(of, classes), "few": len(of) < fewest})
    return pd.DataFrame(rows)


# --- paired tests between two arms ---------------------------------------------------------------------------------------


def align(a: pd.DataFrame, b: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two arms' predictions of the same faces, brought into the first one's order: by `row` where both have it, else by `image`.

    Raises:
        ValueError: a face occurs twice, is in one table only, or has two pictures or labels.
    """
    key = "row" if "row" in a and "row" in b else "image"
    for name, table in (("first", a), ("second", b)):
        check(table)
        if table[key].duplicated().any():
            twice = table[key][table[key].duplicated()].iloc[0]
            raise ValueError(f"the {name} table has {key} {twice} more than once; paired tests need each face once")
    apart = sorted(set(a[key]) ^ set(b[key]))
    if apart:
        raise ValueError(f"the arms hold different {key}s: {len(apart)} are in one only, such as {apart[0]}")
    b = b.set_index(key, drop=False).loc[a[key]].reset_index(drop=True)
    a = a.reset_index(drop=True)
    for column in ("image", "label"):
        unequal = a[column].astype(str) != b[column].astype(str)
        if unequal.any():
            i = unequal.idxmax()
            raise ValueError(f"{unequal.sum()} {column}s differ, first {a.image[i]}: {a[column][i]} and {b[column][i]}")
    return a, b


def mcnemar(a: pd.DataFrame, b: pd.DataFrame) -> dict[str, float | int | str]:
    """McNemar's test: do two arms answer equally many of the same faces rightly? Takes faces as independent.

    Returns:
        Counts `both`, `only_a`, `only_b`, `neither` of faces answered rightly; `test`: "exact" (binomial) below 25 discordant
        pairs, else "chi-square" with continuity correction; its `statistic` (the exact one: the smaller count); two-sided `p`.
    """
    a, b = align(a, b)
    right_a, right_b = _right(a), _right(b)
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
    """p-values of several tests, corrected so that all of them together err as rarely as one would (Holm 1979)."""
    p = np.asarray(p, float)
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return corrected.tolist()


STATISTICS = {"accuracy": _accuracy, "mean_recall": _mean_recall}
"""What `paired_bootstrap` can compare."""


def paired_bootstrap(
    a: pd.DataFrame, b: pd.DataFrame, *, statistic: str = "accuracy", repetitions: int = 10_000, seed: int = 0
) -> dict[str, float | int | str]:
    """How much better the second arm is, with an interval from drawing subjects again, all pictures of a subject together.

    Pictures of one subject are alike, so that drawing pictures one by one would promise too much.

    Args:
        a: the first arm, such as without saliency.
        b: the second, on the same faces.
        statistic: a name in `STATISTICS`.
        repetitions: draws.
        seed: of the draws; the same gives the same figures.

    Returns:
        `statistic`, its values `a` and `b`, `difference` (b − a), `low` and `high` (95 %, percentiles), two-sided `p` (twice the
        rarer sign's share, a zero counting for both, so that equal arms have 1), `subjects`, `faces`, `repetitions`.
    """
    if statistic not in STATISTICS or repetitions < 1:
        raise ValueError(f"statistic is one of {', '.join(STATISTICS)} and repetitions ≥ 1; got {statistic!r}, {repetitions}")
    a, b = align(a, b)
    classes = check(a)
    labels, score = _codes(a.label, classes), STATISTICS[statistic]
    subjects = pd.factorize(_subjects(a))[0]
    count, width = subjects.max() + 1, len(classes)
    tally = np.zeros((count, 3 * width), "float32")  # per subject: right in a, right in b, faces; each per class
    for block, weight in enumerate((labels == _codes(a.answer, classes), labels == _codes(b.answer, classes), np.ones(len(a)))):
        np.add.at(tally, (subjects, block * width + labels), weight)

    def arms(tally):
        right_a, right_b, faces = np.split(np.asarray(tally, float), 3, axis=-1)
        return score(right_a, faces), score(right_b, faces)

    generator = np.random.default_rng(seed)
    differences = []
    step = max(1, CHUNK // count)
    for start in range(0, repetitions, step):
        rows = min(step, repetitions - start)
        drawn = generator.integers(count, size=(rows, count)) + count * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count).astype("float32")
        first, second = arms(times @ tally)
        differences.append(second - first)
    differences = np.concatenate(differences)
    low, high = np.percentile(differences, [2.5, 97.5])
    rarer = min((differences <= 0).sum(), (differences >= 0).sum())
    first, second = map(float, arms(tally.sum(axis=0)))
    values = {"statistic": statistic, "a": first, "b": second, "difference": second - first}
    interval = {"low": float(low), "high": float(high), "p": min(1.0, 2 * (int(rarer) + 1) / (repetitions + 1))}
    return values | interval | {"subjects": int(count), "faces": len(a), "repetitions": repetitions}
