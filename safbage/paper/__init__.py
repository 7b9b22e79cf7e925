"""What the paper reports, as data, to set beside one's own figures.

Gurnani et al., "SAF-BAGE: Salient Approach for Facial Soft-Biometric Classification – Age, Gender,
and Facial Expression", WACV 2019, arXiv:1803.05719. Figures are in %, as printed. Sections, tables
and figures are numbered as in the paper.

    paper.results("age", others=True)  # Table 2, with the methods that it lists
    paper.confusion(4)                 # age, 8×8, % of each row
    pd.DataFrame(paper.CONTRADICTIONS)

`accuracies` holds Tables 2, 3 and 6 and the ablations of section 4.3; `tables` the split of
AffectNet (Table 1), the confusion matrices (Tables 4 and 5) and the two recipes; `consistency` what
does not fit together.

**What its "accuracy" is.** Table 2's 62.11 % for age is the mean of Table 4's diagonal. That is
mean recall, in which every age group counts the same, and not the share of faces answered
correctly: with as many faces of each group as Adience's fold files list, Table 4 comes to
`AGE_ACCURACY`, 67.2 %. Compare 62.11 % with your own mean recall. Table 5's diagonal gives 2,368 of
3,500 faces, or 67.66 %. AffectNet's validation set has 500 faces of each of the seven expressions,
so there accuracy and mean recall are the same.
"""

from dataclasses import asdict
from math import isnan

from safbage.paper import tables
from safbage.paper.accuracies import (
    ABLATIONS,
    LATER,
    PAPER,
    REFERENCES,
    RESULTS,
    TABLES,
    WITH,
    WITHOUT,
    Result,
)
from safbage.paper.consistency import CHECKS, CONTRADICTIONS, IN_WORDS, Check
from safbage.paper.tables import AGE_ACCURACY, CONFUSIONS, DIAGONAL_MEANS, RECIPES, StatedRecipe
from safbage.tasks import EXPRESSIONS, SPLITS

__all__ = [
    "ABLATIONS",
    "AGE_ACCURACY",
    "CHECKS",
    "CONFUSIONS",
    "CONTRADICTIONS",
    "DIAGONAL_MEANS",
    "IN_WORDS",
    "LATER",
    "PAPER",
    "RECIPES",
    "REFERENCES",
    "RESULTS",
    "TABLES",
    "WITH",
    "WITHOUT",
    "Check",
    "Result",
    "StatedRecipe",
    "beside_alexnet",
    "confusion",
    "counts",
    "diagonal_mean",
    "lift",
    "results",
    "split",
]


def results(task: str | None = None, *, others: bool = False, later: bool = False):
    """What the paper reports on one task or all: its two runs, AlexNet without and with saliency.

    Args:
        task: "age", "gender" or "expression".
        others: the whole table, in its order: also the methods that the paper compares with.
        later: also newer references, which the paper could not know.

    Returns:
        A DataFrame with `Result`'s attributes as columns.

    Raises:
        ValueError: there is no such task.
    """
    import pandas as pd

    if task not in (None, *TABLES):
        raise ValueError(f"the paper's tasks are {', '.join(TABLES)}; got {task!r}")
    rows = [row for table in TABLES.values() for row in table] if others else list(RESULTS)
    rows += LATER if later else ()
    return pd.DataFrame([asdict(row) for row in rows if task in (None, row.task)])


def lift(task: str) -> float:
    """By how many points saliency lifts a task's figure: 9.91 (age), 8.4 (gender), 8.45
    (expression), by Tables 2, 3 and 6.

    Raises:
        KeyError: there is no such task.
    """
    reported = {(row.task, row.method): row.value for row in RESULTS}
    return round(reported[task, WITH] - reported[task, WITHOUT], 2)


def beside_alexnet(network: str) -> float | None:
    """By how many points another network is better than AlexNet for gender, both with saliency
    (section 4.3): 1.6 (VGG-16), -2.0 (GilNet); None for others."""
    alexnet = next(row.value for row in RESULTS if (row.task, row.method) == ("gender", WITH))
    values = {row.method: row.value for row in ABLATIONS}
    return round(values[network] - alexnet, 2) if network in values else None


def confusion(table: int):
    """Table 4 or 5 as a DataFrame: a row per label, a column per answer, in % of the label.

    Raises:
        ValueError: another table.
    """
    if table not in tables.CELLS:
        raise ValueError(
            "the paper's confusion matrices are Table 4 (age) and Table 5 (expression); "
            f"got {table}"
        )
    return _matrix(tables.CELLS[table], tables.MATRIX_CLASSES[table])


def counts():
    """Table 5's counts of faces, 500 a row, as `confusion(5)` has their percentages."""
    return _matrix(tables.TABLE_5_COUNTS, EXPRESSIONS)


def _matrix(cells, classes):
    import pandas as pd

    return pd.DataFrame(cells, pd.Index(classes, name="label"), pd.Index(classes, name="answer"))


def split():
    """Table 1, AffectNet's pictures as the paper divides them: a row per expression, a column per
    split."""
    import pandas as pd

    return pd.DataFrame(tables.TABLE_1, pd.Index(EXPRESSIONS, name="expression"), list(SPLITS))


def diagonal_mean(percent) -> float:
    """Mean recall of a confusion matrix as papers print it, in % of each label.

    It is the mean of the diagonal as it stands. Printed rows need not sum to 100, so
    ``evaluation.matrix_scores``, which divides by the row's sum, may differ a little.

    Raises:
        ValueError: a class has no recall (its row is NaN, as that of a class without faces); it is
            named.
    """
    diagonal = {name: float(percent.loc[name, name]) for name in percent.index}
    unknown = [str(name) for name, recall in diagonal.items() if isnan(recall)]
    if unknown:
        raise ValueError(f"no recall is known of {', '.join(unknown)}: leave those classes out")
    return sum(diagonal.values()) / len(diagonal)
