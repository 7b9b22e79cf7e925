"""Comparisons of arms as Markdown, for README, notebooks and the book."""

from collections.abc import Iterable

from safbage import experiments
from safbage.experiments import Comparison
from safbage.show import words


def comparison(measured: Comparison) -> str:
    """Arms beside the paper's in a table, `words.notes`, the verdicts."""
    head = ("arm", "accuracy, %", "mean recall, %", "the paper's, %")
    lines = _table(head, words.beside_paper_in_words(measured))
    for note in words.notes(measured):
        lines += ["", note]
    return "\n".join([*lines, "", *(f"- {line}" for line in words.verdicts(measured))]) + "\n"


def headline(comparisons: Iterable[Comparison]) -> str:
    """Comparisons of one arm with saliency and one without, a row each, in a table: the figure that
    the paper compares, the difference with its 95 % interval and p-value, and the paper's figures.

    Raises:
        ValueError: a comparison has more arms with saliency, or none.
    """
    head = ("", "faces", "without", "with saliency", "difference, points", "p", "the paper")
    return "\n".join(_table(head, map(_headline, comparisons))) + "\n"


def _headline(measured):
    (test,) = measured.tests
    figure = experiments.FIGURES[measured.task]
    found = getattr(test, figure)
    rows = words.beside_paper(measured).set_index("arm").loc[[str(test.without), str(test.arm)]]
    ours, theirs = (
        [words.plus_minus(*pair) for pair in zip(rows[name], rows[f"± {name}"], strict=True)]
        for name in (figure, "paper")
    )
    points, low, high = (f"{100 * found[key]:+.1f}" for key in ("difference", "low", "high"))
    return [
        f"{measured.task}, {figure.replace('_', ' ')}, %",
        f"{found['faces']:,}",
        *ours,
        f"{points} ({low} to {high})",
        format(found["p"], ".2g"),
        " → ".join(theirs),
    ]


def _table(head, rows):
    """A table's lines."""
    return [_row(head), "|---" * len(head) + "|", *map(_row, rows)]


def _row(cells):
    return "|" + "".join(f" {cell}".rstrip() + " |" for cell in cells)
