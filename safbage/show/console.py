"""Comparisons of arms as tables on a terminal."""

import pandas as pd
from rich.console import Console
from rich.table import Table

from safbage import evaluation, paper
from safbage.experiments import Comparison
from safbage.show import words
from safbage.tasks import CLASSES

SHOWN = ("race", "gender", "age_group", "race_and_gender")
"""Groups whose accuracies are shown."""
DATASETS = {"age": "Adience", "gender": "Adience", "expression": "AffectNet"}
"""What the paper reports on, by task."""


def show(comparison: Comparison, console: Console) -> None:
    """Print a comparison: arms beside the paper's, confusions beside its, groups, verdicts."""

    def say(text):
        console.print(text, soft_wrap=True)

    task = comparison.task
    beside = f"beside what the paper reports on {DATASETS[task]}"
    say(f"\n{task}, % ± standard error over folds, {beside}")
    head = ("arm", "accuracy", "mean recall", "paper")
    console.print(_table(head, words.beside_paper_in_words(comparison)))
    for line in words.notes(comparison):
        say(line)
    for result in comparison.arms:
        table = paper.CONFUSIONS.get(task) if result.arm.is_papers else None
        beside = f"; in brackets the paper's Table {table}" if table else ""
        say(f"\n{result.arm}: % of each row's faces{beside}")
        console.print(confusion_table(task, result.confusion, table))
    for result in comparison.arms:
        for name in SHOWN:
            rows = result.groups.get(name)
            if rows:
                few = "; * few faces" if any(row["few"] for row in rows) else ""
                of = name.replace("_", " ")
                say(f"\n{result.arm}: accuracy by {of}, % [95 % interval]{few}")
                console.print(group_table(rows))
    for line in words.verdicts(comparison):
        say(line)


def confusion_table(task: str, counts: list[list[int]], published: int | None = None) -> Table:
    """Percentages of each row; beside them in brackets those of the paper's table of the number
    `published`."""
    names = list(CLASSES[task])
    shares = evaluation.percent(pd.DataFrame(counts, names, names)).map("{:.1f}".format)
    if published:
        shares += paper.confusion(published).map(" ({:.1f})".format)
    return _table(("label", *names), shares.reset_index().to_numpy())


def group_table(rows: list[dict]) -> Table:
    """Accuracy by group, with Wilson's interval; groups of few faces have a star."""
    return _table(("", "faces", "accuracy"), map(_group, rows))


def _group(row):
    columns = list(row)[: list(row).index("faces")]
    low, value, high = (100 * row[name] for name in ("low", "accuracy", "high"))
    faces = f"{row['faces']:,}" + ("*" if row["few"] else "")
    return [", ".join(row[name] for name in columns), faces, f"{value:.1f} [{low:.1f}, {high:.1f}]"]


def _table(head, rows):
    """The first column to the left, the others to the right."""
    table = Table()
    for place, name in enumerate(head):
        table.add_column(name, justify="right" if place else "left")
    for row in rows:
        table.add_row(*row)
    return table
