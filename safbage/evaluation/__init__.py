"""How well answers fit labels: accuracy, recalls, calibration, folds, groups, paired tests.

Everything here works on one table of predictions, a row per face:

| column | holds |
|---|---|
| `image` | the picture |
| `row` | where known, the face's number in its list, which may hold a picture twice |
| `subject` | who it shows; where that is missing, the picture stands for the person |
| `fold` | the fold in which it was tested, a whole number |
| `seed` | where several trainings answered the same face, which one |
| `label` | the true class |
| `answer` | the class of the largest probability (any of those that tie) |
| `p_<class>` | for each class its probability, 0–1; together they make 1 |
| others | groups: `race`, `gender`, `age_group`, whatever the data set tells |

The classes are those of the `p_` columns. They stand in the paper's order where they are a task's
(`tables.CATEGORIES`), else in the columns' order; `classes` sets another. All figures are shares,
0–1. The paper's "accuracy" for age is what is called mean recall here (see `paper`), so both are
reported. Every function raises ValueError for a table that breaks this contract.

Accuracies, recalls and confusions are scikit-learn's, intervals and p-values SciPy's.
"""

from safbage.evaluation.figures import (
    BINS,
    FEWEST,
    accuracy,
    by_fold,
    by_group,
    calibration_error,
    calibration_gap,
    check,
    check_folds,
    classes_of,
    confusion,
    matrix_scores,
    mean_recall,
    measure,
    one_off_accuracy,
    percent,
    recalls,
    reliability,
    scores,
    summarise,
    with_folds,
)
from safbage.evaluation.paired import STATISTICS, align, holm, mcnemar, paired_bootstrap

__all__ = [
    "BINS",
    "FEWEST",
    "STATISTICS",
    "accuracy",
    "align",
    "by_fold",
    "by_group",
    "calibration_error",
    "calibration_gap",
    "check",
    "check_folds",
    "classes_of",
    "confusion",
    "holm",
    "matrix_scores",
    "mcnemar",
    "mean_recall",
    "measure",
    "one_off_accuracy",
    "paired_bootstrap",
    "percent",
    "recalls",
    "reliability",
    "scores",
    "summarise",
    "with_folds",
]
