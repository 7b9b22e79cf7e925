"""What the paper reports, as data, to print beside one's own figures.

Gurnani et al., "SAF-BAGE: Salient Approach for Facial Soft-Biometric Classification – Age, Gender,
and Facial Expression", WACV 2019, arXiv:1803.05719. All figures are in %, as printed; ± is a
standard error over five folds.

**What its "accuracy" is.** Table 2's 62.11 % for age is the mean of Table 4's diagonal. That is
mean recall, in which every age group counts the same, and not the share of faces answered
correctly. Compare it with your own mean recall. Table 5's diagonal gives 2,368 of 3,500 faces, or
67.66 %. AffectNet's validation set has 500 faces of each of the seven expressions, so there
accuracy and mean recall are the same.

**What is missing.** The cells of the confusion matrices (Tables 4 and 5) were not at hand when this
was written. Nor were the figures of the ablations (networks, and ratios of 10 to 90 %). Where
`source` names no table, it was not known which of the figures below stand in Tables 2, 3 and 6.
Unknown cells are NaN here; none is guessed. With the paper in hand, add them to `CELLS`: the tests
check the diagonals against their known means.
"""

from dataclasses import asdict, dataclass
from math import nan

PAPER = "Gurnani et al. 2019"


@dataclass(frozen=True)
class Result:
    """A published figure.

    Attributes:
        task: "age", "gender" or "expression".
        dataset: what it was measured on.
        method: the network or arm.
        value: in %; NaN where it is not known here.
        error: its standard error in %; NaN where none is given.
        source: who reports it, and where as far as known.
        note: what to know before comparing with it.
    """

    task: str
    dataset: str
    method: str
    value: float
    error: float
    source: str
    note: str


WITHOUT, WITH = "without saliency", "with saliency"
RESULTS = (
    Result("age", "Adience", WITHOUT, 52.2, 3.9, PAPER, "presumably mean recall, as with saliency"),
    Result(
        "age",
        "Adience",
        WITH,
        62.11,
        3.2,
        f"{PAPER}, Table 2",
        "mean recall: the mean of Table 4's diagonal",
    ),
    Result("gender", "Adience", WITHOUT, 83.4, 1.6, PAPER, ""),
    Result("gender", "Adience", WITH, 91.8, 1.2, PAPER, "the error is given as 1.2 and as 1.7"),
    Result("expression", "AffectNet-7", WITHOUT, 59.2, nan, PAPER, "one split, no folds"),
    Result(
        "expression",
        "AffectNet-7",
        WITH,
        67.65,
        nan,
        PAPER,
        "one split, no folds; Table 5's diagonal gives 67.66",
    ),
)
"""The headline results: AlexNet with saliency at ratio 30 %, and without saliency.

The two runs differ in nothing else.
"""

LATER = (
    Result(
        "age",
        "Adience",
        "MiVOLOv2",
        69.43,
        nan,
        "Kuprashevich et al. 2024",
        "accuracy; trained on other data",
    ),
    Result(
        "gender",
        "Adience",
        "MiVOLOv2",
        97.39,
        nan,
        "Kuprashevich et al. 2024",
        "trained on other data",
    ),
    Result("expression", "AffectNet-7", "POSTER V2", 67.49, nan, "Mao et al. 2023", ""),
    Result(
        "expression",
        "AffectNet-7",
        "EmotiEffLib",
        nan,
        nan,
        "Savchenko",
        "these three: about 66.5 to 68.9",
    ),
    Result(
        "expression",
        "AffectNet-7",
        "MPA-FER",
        nan,
        nan,
        "Ma et al. 2025",
        "these three: about 66.5 to 68.9",
    ),
)
"""Newer references.

An AlexNet at 67.65 % would match the transformers of 2025: a claim to examine, not a bar to pass.
"""

CELLS = {4: {("38-43", "38-43"): 29.2}, 5: {}}
"""Known cells of Tables 4 (age, Adience) and 5 (expression, AffectNet), both with saliency.

Each maps (label, answer) to % of the label.
"""

CONFUSIONS = {"age": 4, "expression": 5}
"""Which table is a task's confusion matrix."""

DIAGONAL_MEANS = {4: 62.11, 5: 67.66}
"""The means of the diagonals of these tables, in %; Table 5's is 2,368 of 3,500 faces."""

CONTRADICTIONS = (
    {"where": "Table 4, row 4-6", "what": "sum of the row", "values": (101.8, 100.0)},
    {"where": "age 38-43", "what": "recall, in the text and in Table 4", "values": (27.3, 29.2)},
    {"where": "gender with saliency", "what": "standard error", "values": (1.2, 1.7)},
    {"where": "anger", "what": "recall", "values": (62.4, 62.8)},
    {
        "where": "expression with saliency",
        "what": "accuracy, reported and from Table 5's diagonal",
        "values": (67.65, 67.66),
    },
)
"""Where the paper says two things, in %. It does not tell which one holds."""


def results(task: str | None = None, *, later: bool = False):
    """`RESULTS` of one task or all, and with `later` the newer references, too.

    They come as a DataFrame with `Result`'s attributes as columns.

    Raises:
        ValueError: there is no such task.
    """
    import pandas as pd

    tasks = tuple(dict.fromkeys(result.task for result in RESULTS))
    if task not in (None, *tasks):
        raise ValueError(f"the paper's tasks are {', '.join(tasks)}; got {task!r}")
    rows = [*RESULTS, *(LATER if later else ())]
    return pd.DataFrame([asdict(row) for row in rows if task in (None, row.task)])


def confusion(table: int):
    """Table 4 or 5 as a DataFrame: a row per label, a column per answer, in % of the label.

    Cells that are not known here are NaN.

    Raises:
        ValueError: another table.
    """
    import pandas as pd

    from safbage.tasks import AGE_GROUPS, EXPRESSIONS

    if table not in CELLS:
        raise ValueError(
            "the paper's confusion matrices are Table 4 (age) and Table 5 (expression); "
            f"got {table}"
        )
    classes = {4: AGE_GROUPS, 5: EXPRESSIONS}[table]
    cells = pd.DataFrame(nan, pd.Index(classes, name="label"), pd.Index(classes, name="answer"))
    for (label, answer), value in CELLS[table].items():
        cells.loc[label, answer] = value
    return cells


def diagonal_mean(percent) -> float:
    """Mean recall of a confusion matrix as papers print it, in % of each label.

    It is the mean of the diagonal as it stands. Printed rows need not sum to 100, so
    ``evaluation.matrix_scores``, which divides by the row's sum, may differ a little.

    Raises:
        ValueError: a cell of the diagonal is not known; it is named.
    """
    unknown = [name for name in percent.index if not percent.loc[name, name] >= 0]
    if unknown:
        raise ValueError(
            f"the diagonal is not known at {', '.join(unknown)}; type the cells in from the paper"
        )
    return float(sum(percent.loc[name, name] for name in percent.index) / len(percent))
