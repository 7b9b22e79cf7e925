"""Table 1, the confusion matrices (Tables 4 and 5), and the two recipes (section 3.3)."""

from dataclasses import dataclass

from safbage.tasks import AGE_GROUPS, EXPRESSIONS

TABLE_1 = (
    (59900, 14973, 500),
    (107532, 26883, 500),
    (20367, 5092, 500),
    (11272, 2818, 500),
    (5102, 1276, 500),
    (3042, 761, 500),
    (19906, 4976, 500),
)
"""AffectNet's pictures to train, validate and test, a row per expression in the order of
`EXPRESSIONS`.

`test` is AffectNet's published validation set. The other two are its training set, a fifth of which
validates. AffectNet publishes 283,901 pictures there; the table has 283,900.
"""
TABLE_1_TOTALS = (227121, 56779, 3500)
"""The table's last row."""

TABLE_4 = (
    (92.1, 4.2, 0.0, 1.3, 0.0, 2.4, 0.0, 0.0),
    (22.2, 70.2, 5.8, 3.1, 0.0, 0.0, 0.4, 0.1),
    (3.6, 12.6, 52.8, 13.2, 11.7, 3.8, 2.3, 0.0),
    (1.4, 0.3, 13.7, 36.3, 42.6, 3.7, 1.2, 0.8),
    (0.2, 0.0, 0.1, 4.7, 88.4, 3.8, 2.3, 0.5),
    (0.0, 0.4, 0.7, 3.8, 49.8, 29.2, 13.8, 2.3),
    (0.8, 0.0, 0.0, 0.9, 2.6, 18.3, 47.8, 29.6),
    (0.0, 0.3, 0.4, 2.8, 1.7, 3.5, 11.2, 80.1),
)
"""Age, Adience, with saliency: a row per label, a column per answer, both in the order of
`AGE_GROUPS`, in % of the row. The paper writes the last group as "60-"."""

TABLE_5 = (
    (62.4, 6.6, 7.8, 7.4, 3.2, 3.8, 8.8),
    (3.8, 76.4, 2.0, 5.0, 1.2, 8.4, 3.2),
    (21.2, 2.8, 64.4, 3.4, 4.0, 3.6, 0.6),
    (7.8, 5.0, 3.0, 73.0, 8.6, 1.4, 1.2),
    (2.2, 5.2, 6.0, 11.6, 68.4, 4.8, 1.8),
    (5.0, 3.4, 1.4, 3.8, 18.2, 66.2, 2.0),
    (6.0, 1.6, 5.8, 5.6, 5.8, 12.4, 62.8),
)
"""Expression, AffectNet, with saliency: as Table 4, in the order of `EXPRESSIONS`."""
TABLE_5_COUNTS = (
    (312, 33, 39, 37, 16, 19, 44),
    (19, 382, 10, 25, 6, 42, 16),
    (106, 14, 322, 17, 20, 18, 3),
    (39, 25, 15, 365, 43, 7, 6),
    (11, 26, 30, 58, 342, 24, 9),
    (25, 17, 7, 19, 91, 331, 10),
    (30, 8, 29, 28, 29, 62, 314),
)
"""Its counts of faces, which the paper prints in brackets."""

CELLS = {4: TABLE_4, 5: TABLE_5}
MATRIX_CLASSES = {4: AGE_GROUPS, 5: EXPRESSIONS}
CONFUSIONS = {"age": 4, "expression": 5}
"""Which table is a task's confusion matrix; the paper has none for gender."""
DIAGONAL_MEANS = {4: 62.11, 5: 67.66}
"""The means of the diagonals of these tables, in %; Table 5's is 2,368 of 3,500 faces."""

ADIENCE_FACES = (2519, 2163, 2132, 1655, 4950, 2300, 830, 875)
"""Lines of Adience's fold files with each of `AGE_GROUPS`. Those files have 19,487 lines in all,
which is the number of images in section 3.3; 117 of them are there twice."""
AGE_ACCURACY = 67.2
"""The share of faces, in %, that Table 4 answers rightly, were it of `ADIENCE_FACES`."""


@dataclass(frozen=True)
class StatedRecipe:
    """What section 3.3 says of a fine-tuning; `training.RECIPES` adds what it leaves open.

    Attributes:
        layers: AlexNet's layers that are trained.
        pictures: made of each face to train on.
        epochs: how many.
        rate: learning rate at the start.
        drop_after: epochs after which it is divided by 10; None where it stays.
        dropout: the share of values left out.
        batch: faces in a batch.
        weighted: whether the loss weighs the classes (section 3.2).
    """

    layers: tuple[str, ...]
    pictures: int
    epochs: int
    rate: float
    drop_after: int | None
    dropout: float
    batch: int
    weighted: bool


_AGE_GENDER = StatedRecipe(("fc6", "fc7", "fc8"), 4, 30, 0.001, None, 0.4, 128, weighted=False)
RECIPES = {
    "age": _AGE_GENDER,
    "gender": _AGE_GENDER,
    "expression": StatedRecipe(
        ("conv5", "fc6", "fc7", "fc8"), 1, 40, 0.001, 30, 0.35, 128, weighted=True
    ),
}
"""By task, as stated."""
