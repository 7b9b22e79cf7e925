"""Where the paper says two things, found by computing everything that it says twice."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from statistics import mean, stdev

from safbage.paper import tables
from safbage.paper.accuracies import RESULTS, TABLES, WITH
from safbage.tasks import AGE_GROUPS, EXPRESSIONS, SPLITS


@dataclass(frozen=True)
class Check:
    """A figure that the paper gives, and the same figure from elsewhere in it.

    Attributes:
        where: in the paper.
        what: the figure.
        values: both, the second often computed.
        digits: to which they have to agree, as many as the paper prints.
    """

    where: str
    what: str
    values: tuple[float, float]
    digits: int

    @property
    def agrees(self) -> bool:
        """Whether rounding can be what parts them."""
        return round(abs(self.values[0] - self.values[1]), 6) <= 0.5 * 10**-self.digits


RECALLS_IN_TEXT = {
    "age": {"38-43": 27.3},
    "expression": {"surprise": 73.0, "happy": 76.4, "neutral": 62.4, "anger": 62.4, "sad": 64.4},
}
"""Recalls that sections 4.1 and 4.2 name, in %."""
COMPARED_IN_TEXT = {
    "age": (28, 29, 37, 33),
    "gender": (28, 27, 32, 38, 33),
    "expression": (36, 39, 40),
}
"""The references with which sections 4.1 and 4.2 say that each table compares."""
AFFECTNET_IN_TEXT = 287_400
"""Pictures of AffectNet (section 3.1)."""
ERRORS_IN_TEXT = {"age": 3.2, "gender": 1.7}
"""The ± with saliency in section 4.1."""
LEADS_IN_TEXT = (
    ("age", 33, 0.8, 1),
    ("gender", 33, 0.8, 1),
    ("expression", 36, 3.0, 0),
    ("expression", 36, 3.12, 2),
)
"""By how many points the abstract (the first three) and section 4.2 put the approach before the
best other method: task, that method's number, points, and to how many digits."""
EXTREMES_IN_TEXT = (
    ("age", "38-43", "lowest"),
    ("expression", "happy", "highest"),
    ("expression", "neutral", "lowest"),
)
"""Classes whose recall sections 4.1 and 4.2 call the lowest or the highest."""


def _checks() -> Iterator[Check]:
    yield from _split()
    yield from _rows()
    yield from _cells()
    yield from _diagonals()
    yield from _recalls()
    yield from _extremes()
    yield from _errors()
    yield from _leads()
    yield from _confused()


def _split():
    columns = zip(SPLITS, zip(*tables.TABLE_1, strict=True), tables.TABLE_1_TOTALS, strict=True)
    for name, column, total in columns:
        yield Check("Table 1", f"pictures for {name}: total and sum", (total, sum(column)), 0)
    values = (AFFECTNET_IN_TEXT, sum(tables.TABLE_1_TOTALS))
    yield Check("section 3.1", "pictures of AffectNet: in the text and in Table 1", values, 0)


def _rows():
    for number, rows in tables.CELLS.items():
        for name, row in zip(tables.MATRIX_CLASSES[number], rows, strict=True):
            where = f"Table {number}, row {name}"
            yield Check(where, "sum of the row, and what it should be", (sum(row), 100.0), 1)
    for name, row, split in zip(EXPRESSIONS, tables.TABLE_5_COUNTS, tables.TABLE_1, strict=True):
        where = f"Table 5, row {name}"
        yield Check(where, "faces of the row, and in Table 1", (sum(row), split[-1]), 0)


def _cells():
    """Each percentage of Table 5 against its count."""
    for row, column in product(range(len(EXPRESSIONS)), repeat=2):
        of = tables.TABLE_5_COUNTS[row]
        values = (tables.TABLE_5[row][column], 100 * of[column] / sum(of))
        where = f"Table 5, {EXPRESSIONS[row]} answered {EXPRESSIONS[column]}"
        yield Check(where, "printed share, and that of its count", values, 1)


def _recall(number, name):
    place = tables.MATRIX_CLASSES[number].index(name)
    return tables.CELLS[number][place][place]


def _diagonals():
    reported = {row.task: row.value for row in RESULTS if row.method == WITH}
    recalls = [_recall(4, name) for name in AGE_GROUPS]
    what = "figure reported in Table 2, and the mean of Table 4's diagonal"
    yield Check("age with saliency", what, (reported["age"], mean(recalls)), 2)
    right = sum(row[i] for i, row in enumerate(tables.TABLE_5_COUNTS))
    share = 100 * right / sum(map(sum, tables.TABLE_5_COUNTS))
    what = "accuracy reported in Table 6, and that of Table 5's counts"
    yield Check("expression with saliency", what, (reported["expression"], share), 2)


def _recalls():
    for task, named in RECALLS_IN_TEXT.items():
        number = tables.CONFUSIONS[task]
        for name, value in named.items():
            what = f"recall, in the text and in Table {number}"
            yield Check(f"{task} {name}", what, (value, _recall(number, name)), 1)


def _extremes():
    for task, name, which in EXTREMES_IN_TEXT:
        number = tables.CONFUSIONS[task]
        recalls = [_recall(number, one) for one in tables.MATRIX_CLASSES[number]]
        values = (_recall(number, name), min(recalls) if which == "lowest" else max(recalls))
        what = f"recall, called the {which}, and the {which} in Table {number}"
        yield Check(f"{task} {name}", what, values, 1)


def _errors():
    printed = {row.task: row.error for row in RESULTS if row.method == WITH}
    for task, error in ERRORS_IN_TEXT.items():
        number = TABLES[task][0].where
        what = f"standard error, in {number} and in section 4.1"
        yield Check(f"{task} with saliency", what, (printed[task], error), 1)
    recalls = [_recall(4, name) for name in AGE_GROUPS]
    what = "standard error over the age groups (so the caption): printed, and of Table 4's recalls"
    values = (printed["age"], stdev(recalls) / len(recalls) ** 0.5)
    yield Check("Table 2, age with saliency", what, values, 1)


def lead_over(task: str, reference: int) -> float:
    """By how many points the approach with saliency is before another method in the tables."""
    ours = next(row.value for row in TABLES[task] if row.method == WITH)
    return ours - max(row.value for row in TABLES[task] if row.reference == reference)


def _leads():
    for task, reference, lead, digits in LEADS_IN_TEXT:
        what = f"points before the best other method: in the text, and in {TABLES[task][0].where}"
        yield Check(f"{task} with saliency", what, (lead, lead_over(task, reference)), digits)


def _confused():
    """Section 4.2 says that neutral is often taken for disgust."""
    row = dict(zip(EXPRESSIONS, tables.TABLE_5[EXPRESSIONS.index("neutral")], strict=True))
    del row["neutral"]
    most = max(row, key=row.get)
    what = f"answered disgust, which the text names, and {most}, its most frequent wrong answer"
    yield Check("neutral, section 4.2 and Table 5", what, (row["disgust"], row[most]), 1)


CHECKS = tuple(_checks())
"""Everything that the paper gives twice."""
CONTRADICTIONS = tuple(
    {
        "where": check.where,
        "what": check.what,
        "values": tuple(round(value, check.digits) for value in check.values),
    }
    for check in CHECKS
    if not check.agrees
)
"""Those of `CHECKS` that do not agree, in %: `where`, `what` and both `values`, rounded as the
paper prints them. It does not tell which one holds."""


def _wrong_references():
    """Tables of which the text names other references than they list."""
    for task, named in COMPARED_IN_TEXT.items():
        listed = {row.reference for row in TABLES[task]} - {None}
        if listed != set(named):
            values = tuple(
                ", ".join(f"[{number}]" for number in sorted(numbers))
                for numbers in (named, listed)
            )
            what = "methods compared with: in the text, and in the table"
            yield {"where": TABLES[task][0].where, "what": what, "values": values}


def _lowest_in_text() -> str:
    """The expressions whose recall is the lowest of those that section 4.2 names."""
    named = RECALLS_IN_TEXT["expression"]
    return " and ".join(name for name in named if named[name] == min(named.values()))


IN_WORDS = (
    *_wrong_references(),
    {
        "where": "abstract, section 4.2 and Table 6",
        "what": "points before the best other method for expression",
        "values": ("nearly 3", "more than 3.12", f"{lead_over('expression', 36):.2f}"),
    },
    {
        "where": "abstract, sections 1 and 3, and Figure 1",
        "what": "how far the margin of the box is increased",
        "values": ("by 30 %", "to 30 %"),
    },
    {
        "where": "section 3.3",
        "what": "pictures made of each face: as said, and as listed",
        "values": ("4 times more, which would be 5", "4: itself, flipped, turned by 3° and -3°"),
    },
    {
        "where": "section 3.3 and acknowledgments",
        "what": "graphics card",
        "values": ("TitanX", "Titan XP"),
    },
    {
        "where": "sections 3.2 and 4.2",
        "what": "expressions with an acceptable accuracy",
        "values": ("disgust", "surprise and happy"),
    },
    {
        "where": "section 4.2",
        "what": "lowest recall of an expression: as said, and by the figures in the text",
        "values": ("neutral", _lowest_in_text()),
    },
    {
        "where": "section 4.3",
        "what": "where the curve of validation accuracy is: in the text, and by the captions",
        "values": ("Figure 4", "Figure 3, right"),
    },
    {
        "where": "section 1, Figures 2 and 4, section 5",
        "what": "which parts of a face dominate",
        "values": ("eyes, nose and face", "eyes, nose and mouth", "hair, face and mouth"),
    },
)
"""Where it says two things in words, in the form of `CONTRADICTIONS`."""
