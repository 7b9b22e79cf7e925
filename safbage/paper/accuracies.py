"""Tables 2, 3 and 6, the ablations of section 4.3, and newer references."""

from dataclasses import dataclass
from math import nan

PAPER = "Gurnani et al. 2019"
WITHOUT, WITH = "without saliency", "with saliency"

REFERENCES = {
    27: (
        "Levi and Hassner 2015",
        "Age and gender classification using convolutional neural networks",
    ),
    28: (
        "Eidinger, Enbar and Hassner 2014",
        "Age and gender estimation of unfiltered faces",
    ),
    32: (
        "Liao, Petridis and Pantic 2017",
        "Local deep neural networks for age and gender classification",
    ),
    33: (
        "Dehghan et al. 2017",
        "DAGER: Deep age, gender and emotion recognition using convolutional neural network",
    ),
    36: (
        "Mollahosseini, Hasani and Mahoor 2017",
        "AffectNet: A database for facial expression, valence, and arousal computing in the wild",
    ),
    37: (
        "Qawaqneh, Abu Mallouh and Barkana 2017",
        "Deep convolutional neural network for age estimation based on VGG-Face model",
    ),
    38: ("Hassner et al. 2015", "Effective face frontalization in unconstrained images"),
    39: ("Hewitt and Gunes 2018", "CNN-based facial affect analysis on mobile devices"),
    40: (
        "Söderberg and Jönsson 2018",
        "Recognizing spontaneous facial expressions using deep convolutional neural networks",
    ),
}
"""Whose the other methods are: by their number in the paper's list, authors and title."""


@dataclass(frozen=True)
class Result:
    """A published figure.

    Attributes:
        task: "age", "gender" or "expression".
        dataset: what it was measured on.
        method: the arm, the network, or whose method it is.
        value: in %; NaN where it is not known.
        error: its ±, in %; NaN where none is given.
        source: whose figure it is.
        note: what to know before comparing with it.
        where: its place in the paper; empty for newer references.
        reference: the source's number in the paper's list; None for the paper's own figures.
    """

    task: str
    dataset: str
    method: str
    value: float
    error: float
    source: str
    note: str = ""
    where: str = ""
    reference: int | None = None


def _table(number, task, dataset, rows):
    """Rows (whose, value, error, variant, note): whose is an arm or a reference's number."""
    found = []
    for whose, value, error, variant, note in rows:
        own = whose in (WITHOUT, WITH)
        source = PAPER if own else REFERENCES[whose][0]
        found.append(
            Result(
                task,
                dataset,
                method=whose if own else ", ".join(filter(None, (source, variant))),
                value=value,
                error=error,
                source=source,
                note=note,
                where=f"Table {number}",
                reference=None if own else whose,
            )
        )
    return tuple(found)


TABLES = {
    "age": _table(
        2,
        "age",
        "Adience",
        (
            (28, 45.1, 2.6, "", ""),
            (27, 49.5, 4.4, "single crop", ""),
            (27, 50.7, 5.1, "multi crop", ""),
            (WITHOUT, 52.2, 3.9, "", "presumably mean recall, as with saliency"),
            (37, 59.9, nan, "", ""),
            (33, 61.3, 3.7, "", ""),
            (WITH, 62.11, 3.2, "", "mean recall: the mean of Table 4's diagonal"),
        ),
    ),
    "gender": _table(
        3,
        "gender",
        "Adience",
        (
            (28, 77.8, 1.3, "", ""),
            (32, 78.63, nan, "", ""),
            (38, 79.3, 0.0, "", "printed with an error of 0.0"),
            (WITHOUT, 83.4, 1.6, "", ""),
            (27, 85.9, 1.4, "first row", ""),
            (27, 86.8, 1.4, "second row", ""),
            (33, 91.0, nan, "", ""),
            (WITH, 91.8, 1.2, "", "section 4.1 gives the error as 1.7"),
        ),
    ),
    "expression": _table(
        6,
        "expression",
        "AffectNet-7",
        (
            (40, 48.58, nan, "", ""),
            (39, 57.8, nan, "", "of eight expressions, by its abstract, not of seven"),
            (WITHOUT, 59.2, nan, "", "one split, no folds"),
            (36, 64.53, nan, "", ""),
            (WITH, 67.65, nan, "", "one split, no folds; Table 5's diagonal gives 67.66"),
        ),
    ),
}
"""By task the rows of its table, in the paper's order; Table 3 has two rows of [27] and does not
say what parts them (a single crop and several, as in Table 2?)."""

RESULTS = tuple(row for table in TABLES.values() for row in table if row.reference is None)
"""The headline results: AlexNet with saliency at ratio 30 %, and without saliency.

By section 4 the two runs differ in nothing else.
"""

ABLATIONS = (
    Result(
        "gender",
        "Adience",
        "vgg16",
        93.4,
        nan,
        PAPER,
        'the paper says "about 1.6 %" better than AlexNet, 93.4 in points and 93.3 as a share',
        "section 4.3",
    ),
    Result("gender", "Adience", "gilnet", 89.8, 1.3, PAPER, "", "section 4.3"),
)
"""Other networks, with saliency, under this library's names. Of VGG-16 the last layer alone was
trained. Of the ratios (10, 30, 50, 70, 90 %) the paper has only curves, in Figure 3."""

_MODERN = "these three: about 66.5 to 68.9"
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
    Result("expression", "AffectNet-7", "POSTER V2", 67.49, nan, "Mao et al. 2023"),
    Result("expression", "AffectNet-7", "EmotiEffLib", nan, nan, "Savchenko", _MODERN),
    Result("expression", "AffectNet-7", "MPA-FER", nan, nan, "Ma et al. 2025", _MODERN),
)
"""Newer references.

An AlexNet at 67.65 % would match the transformers of 2025: a claim to examine, not a bar to pass.
"""
