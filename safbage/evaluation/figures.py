"""Figures of one table of predictions: accuracies, recalls, calibration; by fold and by group."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats
from sklearn import metrics

from safbage.datasets import splits, tables
from safbage.tasks import AGE_GROUPS

TOLERANCE = 1e-3
"""How far probabilities may be from summing to 1: float16 and rounded text files are."""
BINS = 15
FEWEST = 30
"""Groups of fewer faces are flagged."""


def classes_of(predictions: pd.DataFrame) -> tuple[str, ...]:
    """Classes with a column of probabilities, in the paper's order where they are a task's."""
    names = [str(name)[2:] for name in predictions.columns if str(name).startswith("p_")]
    known = (classes for classes in tables.CATEGORIES.values() if sorted(classes) == sorted(names))
    return next(known, tuple(names))


def check(predictions: pd.DataFrame, classes: Sequence[str] | None = None) -> tuple[str, ...]:
    """The table's classes in order. The table needs neither `fold` nor `subject`.

    Raises:
        ValueError: it breaks the contract of `evaluation`.
    """
    classes = tuple(classes or classes_of(predictions))
    needed = ["image", "label", "answer", *(f"p_{name}" for name in classes)]
    missing = [name for name in needed if name not in predictions]
    if missing or len(classes) < 2:
        lacking = ", ".join(missing) or "p_<class>"
        raise ValueError(
            "predictions need image, label, answer and p_<class> of 2 or more classes; "
            f"there is no {lacking}"
        )
    if predictions.empty:
        raise ValueError("predictions hold no row: there is nothing to evaluate")
    for column in ("label", "answer"):
        strange = predictions[column][~predictions[column].isin(classes)].unique()
        if len(strange):
            names = ", ".join(map(repr, strange[:5]))
            raise ValueError(f"unknown {column} {names}; the classes are {', '.join(classes)}")
    _check_probabilities(predictions, classes)
    return classes


def _check_probabilities(predictions, classes):
    """They sum to 1, and the answer has the largest."""
    p = _probabilities(predictions, classes)
    bad = ~((p >= 0).all(axis=1) & (np.abs(p.sum(axis=1) - 1) <= TOLERANCE))  # also NaN
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(
            f"probabilities must be ≥ 0 and sum to 1; {bad.sum()} rows have others, first "
            f"{predictions.image.iloc[row]}: {p[row]}, sum {p[row].sum():.4g}"
        )
    lacking = p.max(axis=1) - p[np.arange(len(p)), codes(predictions.answer, classes)]
    if (lacking > TOLERANCE).any():
        image = predictions.image.iloc[int(lacking.argmax())]
        raise ValueError(
            f"the answer is the class of the largest probability; that of {image} is not"
        )


def codes(values: pd.Series, classes: Sequence[str]) -> np.ndarray:
    """The number of each value's class."""
    return pd.Categorical(values, categories=list(classes)).codes.astype(int)


def right(predictions: pd.DataFrame) -> np.ndarray:
    """Whether each row was answered rightly, N bool."""
    return (predictions.label.astype(str) == predictions.answer.astype(str)).to_numpy()


def _probabilities(predictions, classes):
    return predictions[[f"p_{name}" for name in classes]].to_numpy(float)


# --- figures of one table -------------------------------------------------------------------------


def scores(truth: Sequence, answered: Sequence, weights: Sequence | None = None) -> dict:
    """`accuracy`, and `mean_recall` over the classes that occur, as floats.

    Args:
        truth: true classes, N names or numbers.
        answered: the answers, of the same kind.
        weights: how much each one counts; by default all the same.
    """
    shares = metrics.recall_score(
        truth,
        answered,
        labels=np.unique(truth),
        average=None,
        sample_weight=weights,
        zero_division=np.nan,
    )
    accuracy = metrics.accuracy_score(truth, answered, sample_weight=weights)
    return {"accuracy": float(accuracy), "mean_recall": float(np.nanmean(shares))}


def matrix_scores(counts: pd.DataFrame) -> dict:
    """`scores` of a confusion matrix of counts.

    Raises:
        ValueError: it is not square, has a cell that is unknown or negative, or holds no face.
    """
    cells = counts.to_numpy(float)
    square = cells.ndim == 2 and cells.shape[0] == cells.shape[1]
    if not square or not (cells >= 0).all() or not cells.sum():
        raise ValueError(
            "a confusion matrix is square, its cells known, ≥ 0 and not all 0; "
            f"got {cells.shape}: {cells}"
        )
    truth, answered = np.indices(cells.shape)
    return scores(truth.ravel(), answered.ravel(), cells.ravel())


def _table_scores(predictions, classes):
    check(predictions, classes)
    return scores(predictions.label.astype(str), predictions.answer.astype(str))


def accuracy(predictions: pd.DataFrame, classes: Sequence[str] | None = None) -> float:
    """The share of faces that were answered rightly."""
    return _table_scores(predictions, classes)["accuracy"]


def mean_recall(predictions: pd.DataFrame, classes: Sequence[str] | None = None) -> float:
    """The mean of the recalls: every class counts the same. A class without faces is left out."""
    return _table_scores(predictions, classes)["mean_recall"]


def one_off_accuracy(predictions: pd.DataFrame, classes: Sequence[str] | None = None) -> float:
    """The share of faces answered with their class or its neighbour: for age groups, as papers on
    Adience report it."""
    classes = check(predictions, classes)
    away = np.abs(codes(predictions.label, classes) - codes(predictions.answer, classes))
    return float((away <= 1).mean())


def confusion(predictions: pd.DataFrame, classes: Sequence[str] | None = None) -> pd.DataFrame:
    """Counts of faces, C×C: a row per true class, a column per answer."""
    classes = check(predictions, classes)
    labels, answers = predictions.label.astype(str), predictions.answer.astype(str)
    counts = metrics.confusion_matrix(labels, answers, labels=list(classes))
    index, columns = pd.Index(classes, name="label"), pd.Index(classes, name="answer")
    return pd.DataFrame(counts, index, columns)


def percent(counts: pd.DataFrame) -> pd.DataFrame:
    """A confusion matrix in % of its rows, as the paper prints it (Tables 4 and 5); NaN for a class
    without faces."""
    faces = counts.sum(axis=1)
    return 100 * counts.div(faces.where(faces > 0), axis=0)


def recalls(predictions: pd.DataFrame, classes: Sequence[str] | None = None) -> pd.Series:
    """Per class the share of its faces answered rightly; NaN for a class without faces."""
    shares = percent(confusion(predictions, classes)) / 100
    return pd.Series(np.diag(shares), shares.index, name="recall")


def reliability(
    predictions: pd.DataFrame, classes: Sequence[str] | None = None, *, bins: int = BINS
) -> pd.DataFrame:
    """Confidence beside accuracy, in bins of equal width over 0–1 (Guo et al. 2017, "On Calibration
    of Modern Neural Networks").

    Confidence is the answer's probability. A bin holds those above its `low`, up to and including
    its `high`.

    Returns:
        A row per bin: `low`, `high`, `faces`, mean `confidence` and `accuracy` (NaN in empty bins).
    """
    if bins < 1:
        raise ValueError(f"bins must be 1 or more, got {bins}")
    classes = check(predictions, classes)
    confidence = np.clip(_probabilities(predictions, classes).max(axis=1), 0, 1)
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    values = pd.DataFrame({"confidence": confidence, "accuracy": right(predictions).astype(float)})
    means = values.groupby(place).mean().reindex(range(bins))
    faces = np.bincount(place, minlength=bins)
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], "faces": faces}).join(means)


def calibration_error(
    predictions: pd.DataFrame, classes: Sequence[str] | None = None, *, bins: int = BINS
) -> float:
    """Expected calibration error: ``|confidence − accuracy|`` of `reliability`'s bins, weighted by
    their faces. 0 is best."""
    return calibration_gap(reliability(predictions, classes, bins=bins))


def calibration_gap(table: pd.DataFrame) -> float:
    """The expected calibration error of `reliability`'s table."""
    gaps = (table.confidence - table.accuracy).abs() * table.faces
    return float(gaps.sum() / table.faces.sum())


def measure(predictions: pd.DataFrame, classes: Sequence[str] | None = None) -> dict[str, float]:
    """All figures of a table: `faces`, `accuracy`, `mean_recall`, `one_off_accuracy` (age groups
    only), `calibration_error`, and a `recall <class>` for each."""
    classes = check(predictions, classes)
    figures = {"faces": len(predictions)} | _table_scores(predictions, classes)
    if classes == AGE_GROUPS:
        figures["one_off_accuracy"] = one_off_accuracy(predictions, classes)
    figures["calibration_error"] = calibration_error(predictions, classes)
    return figures | recalls(predictions, classes).add_prefix("recall ").to_dict()


# --- folds and groups -----------------------------------------------------------------------------


def with_folds(table: pd.DataFrame, folds: int = 5, *, seed: int = 0) -> pd.DataFrame:
    """The table with folds that share no subject: its own where it has them (Adience), else `folds`
    drawn by subject.

    Raises:
        ValueError: its own folds share a subject, or some rows have none; or there are too few
            subjects, so that a drawn fold is empty.
    """
    if "fold" not in table or table.fold.isna().all():
        table = splits.by_subject_folds(table, folds, seed=seed)
        empty = sorted(set(range(folds)) - set(table.fold))
        if empty:
            count = splits.subjects(table, folders=True).nunique()
            raise ValueError(
                f"{count} subjects leave fold {empty} of {folds} empty; draw fewer folds"
            )
    check_folds(table)
    return table


def check_folds(table: pd.DataFrame) -> None:
    """Refuse a table in which a row has no fold, or a subject or a picture is in two.

    Raises:
        ValueError: one of these; a `DatasetError` from `splits.check_apart` where two folds meet.
    """
    if table.fold.isna().any():
        raise ValueError(f"{table.fold.isna().sum()} of {len(table)} rows have no fold")
    splits.check_apart(table, table.fold, "fold")


def by_fold(predictions: pd.DataFrame, classes: Sequence[str] | None = None) -> pd.DataFrame:
    """`measure` fold by fold: a row per fold.

    A class that a fold lacks has recall NaN there and is left out of its mean recall.

    Raises:
        ValueError: also where a subject is in two folds.
    """
    classes = check(predictions, classes)
    if "fold" not in predictions:
        raise ValueError("predictions need a column fold; give it, or one number to all")
    check_folds(predictions)
    folds = {int(fold): measure(rows, classes) for fold, rows in predictions.groupby("fold")}
    return pd.DataFrame(folds).T.rename_axis("fold")


def summarise(folds: pd.DataFrame) -> pd.DataFrame:
    """`by_fold`'s table as the paper's "mean ± standard error": a row per figure; columns `mean`,
    `error` and `folds`.

    The error is the standard deviation over folds (ddof 1) divided by the root of their number: NaN
    for a single fold. Folds that lack a class do not count for its recall.
    """
    figures = folds.drop(columns="faces", errors="ignore")
    summary = {"mean": figures.mean(), "error": figures.sem(), "folds": figures.notna().sum()}
    return pd.DataFrame(summary).rename_axis("figure")


def by_group(
    predictions: pd.DataFrame,
    groups: str | Sequence[str],
    classes: Sequence[str] | None = None,
    *,
    fewest: int = FEWEST,
) -> pd.DataFrame:
    """Accuracy of each group that occurs, or of each combination of groups:
    ``by_group(predictions, ["race", "gender"])``.

    Returns:
        A row per group, age groups by age: the group columns (missing ones as "unknown"), `faces`,
        `accuracy` with `low` and `high` (Wilson's 95 % interval, which takes faces as independent:
        with many pictures of a subject it is too narrow), `mean_recall` over the classes that the
        group has, and `few`: fewer than `fewest` faces, so read with care.
    """
    classes = check(predictions, classes)
    groups = [groups] if isinstance(groups, str) else list(groups)
    missing = [name for name in groups if name not in predictions]
    if missing or not groups:
        lacking, there = ", ".join(missing) or "to group by", ", ".join(map(str, predictions))
        raise ValueError(f"no column {lacking}; there are {there}")
    for name in groups:
        known = tables.CATEGORIES.get(name, ())
        if known and predictions[name].dropna().isin(known).all():
            predictions = predictions.assign(**{name: pd.Categorical(predictions[name], known)})
    rows = []
    for names, of in predictions.groupby(groups, observed=True, dropna=False):
        count = int(right(of).sum())
        interval = stats.binomtest(count, len(of)).proportion_ci(method="wilson")
        row = dict(zip(groups, ("unknown" if pd.isna(one) else one for one in names), strict=True))
        row |= {"faces": len(of), "accuracy": count / len(of)}
        row |= {"low": interval.low, "high": interval.high}
        rows.append(row | {"mean_recall": mean_recall(of, classes), "few": len(of) < fewest})
    return pd.DataFrame(rows)
