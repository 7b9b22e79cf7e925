"""Comparisons of arms as Markdown, for README, notebooks and the book."""

from collections.abc import Iterable

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
    return "\n".join(_table(words.HEADLINE, map(words.headline, comparisons))) + "\n"


def claims(comparisons: Iterable[Comparison]) -> str:
    """The paper's claims that comparisons judge, a line each, the verdict first; "" where there are
    none."""
    rows = [row for measured in comparisons for row in words.claims(measured)]
    return "".join(f"- **{row['verdict']}**: {words.claim(row)}\n" for row in rows)


def _table(head, rows):
    """A table's lines."""
    return [_row(head), "|---" * len(head) + "|", *map(_row, rows)]


def _row(cells):
    return "|" + "".join(f" {cell}".rstrip() + " |" for cell in cells)
