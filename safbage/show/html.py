"""One HTML page of a reproduction: every table and figure of the paper beside ours, how it was
made, and the time it took.

    comparisons = reproduction.reproduce("outputs/reproduction", "smoke")
    html.write("report.html", comparisons, reproduction.timings("outputs/reproduction"), histories)

The page holds its pictures in itself and loads nothing else, so it can be mailed.
"""

import base64
import io
import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from safbage import evaluation, images, paper
from safbage.experiments import Comparison
from safbage.pipeline import SafBage
from safbage.runtime.files import write_text
from safbage.show import plots, words
from safbage.tasks import CLASSES, GROUPS

DATA = {"synthetic": "drawn faces (no people; what is reached on them says nothing about photos)"}
"""What to call a data set whose name does not say what it is."""


def write(
    path: str | Path,
    comparisons: Mapping[str, Comparison],
    timings: Mapping[str, float],
    histories: pd.DataFrame,
) -> None:
    """Write the page.

    Args:
        path: of the HTML file.
        comparisons: by name, as `reproduction.reproduce` returns them.
        timings: seconds by stage.
        histories: of all trainings (`experiments.histories`), for the curves of Figure 3.
    """
    templates = Environment(
        loader=PackageLoader("safbage.show"), autoescape=True, undefined=StrictUndefined
    )
    one_photo = plots.explanation(SafBage.load().explain(images.astronaut()))
    text = templates.get_template("report.html.j2").render(
        date=date.today().isoformat(),
        parts=[_part(comparison, histories) for comparison in comparisons.values()],
        stages=[(stage, f"{seconds / 60:.1f}") for stage, seconds in timings.items()],
        minutes=_minutes(sum(timings.values())),
        contradictions=_contradictions(),
        checks=len(paper.CHECKS),
        one_photo=_picture(one_photo, "One photo through every stage"),
    )
    write_text(Path(path), text)


def _contradictions():
    """Rows of a table: where, what, and the two values as one text."""
    twice = [(row, [f"{value:g} %" for value in row["values"]]) for row in paper.CONTRADICTIONS]
    twice += [(row, row["values"]) for row in paper.IN_WORDS]
    return [row | {"values": " / ".join(values)} for row, values in twice]


def _minutes(seconds):
    """ "3 minutes", or "2.2 hours"."""
    return f"{seconds / 60:.1f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def _part(comparison, histories):
    """What the template needs of one experiment."""
    about, provenance = comparison.experiment, dict(comparison.provenance)
    provenance.pop("prepared", None)
    figures = []
    if about["varied"] == "ratio":
        figures = _figures_by_ratio(comparison, histories)
    elif about["varied"] == "saliency":
        arms = comparison.arms
        figures = [figure for arm in arms for figure in _figures_of_arm(comparison.task, arm)]
    published = _published(comparison.task) if about["varied"] == "saliency" else []
    columns = ("arm", *words.SHOWN)
    rows = words.beside_paper_in_words(comparison)
    return {
        "title": about["title"],
        "where": about["where"],
        "data": DATA.get(provenance["data"], provenance["data"]),
        "rows": [dict(zip(columns, row, strict=True)) for row in rows],
        "published": published,
        "notes": words.notes(comparison),
        "verdict": words.verdicts(comparison),
        "figures": list(figures),
        "provenance": json.dumps(provenance, indent=1),
    }


def _published(task):
    """The paper's table of a task, with the methods that it lists."""
    return [
        {
            "method": row.method,
            "figure": words.plus_minus(row.value, row.error),
            "own": row.reference is None,
        }
        for row in paper.TABLES[task]
    ]


def _figures_of_arm(task, result):
    """Confusion, also beside the paper's, calibration, and with saliency the groups."""
    name, classes = str(result.arm), list(CLASSES[task])
    counts = pd.DataFrame(result.confusion, index=classes, columns=classes)
    caption = f"Confusion of {task}, {name}: the diagonal averages "
    caption += f"{evaluation.matrix_scores(counts)['mean_recall']:.1%}"
    table = paper.CONFUSIONS.get(task)
    if table:
        mean = paper.DIAGONAL_MEANS[table]
        caption += f" (the paper's Table {table} averages {mean} % with saliency)"
    yield _picture(plots.confusion(counts, title=name).figure, caption)
    if table and result.arm.is_papers:
        drawn = plots.confusion_beside(counts, paper.confusion(table))
        caption = f"Confusion of {task} beside the paper's Table {table}, cell by cell"
        caption += f", % of each row: {name}, above, and the paper's, below"
        yield _picture(drawn.figure, caption, wide=True)
    drawn = plots.reliability(pd.DataFrame(result.reliability))
    yield _picture(drawn.figure, f"Calibration of {task}, {name}")
    for group in GROUPS if result.arm.ratio else ():
        if result.groups.get(group):
            drawn = plots.by_group(pd.DataFrame(result.groups[group]))
            group = group.replace("_", " ")
            yield _picture(drawn.figure, f"Accuracy of {task} by {group}, {name}")


def _figures_by_ratio(comparison, histories):
    """Figure 3: loss and validation accuracy of the experiment's trainings by ratio; and the
    accuracy on unseen faces."""
    ratios = [result.arm.ratio for result in comparison.arms]
    curves = {f"{100 * ratio:g} %": histories[histories.ratio == ratio] for ratio in ratios}
    curves = {label: rows for label, rows in curves.items() if len(rows)}
    measures = {"loss": "training loss", "accuracy": "accuracy on validation faces"}
    for measure, what in measures.items() if curves else ():
        drawn = plots.training_curves(curves, measure=measure, title=what)
        bands = "bands from the worst to the best fold"
        yield _picture(drawn.figure, f"Figure 3 remade: {what} by ratio; {bands}")
    drawn = plots.against_ratio(comparison)
    caption = "Accuracy on unseen faces against the ratio, ± one standard error over folds"
    yield _picture(drawn.figure, caption)


def _picture(figure, caption, *, wide=False):
    """A figure as data that a page can hold, its caption, and whether it takes the page's width."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100, format="png")
    plt.close(figure)
    data = base64.b64encode(buffer.getvalue()).decode()
    return {"data": data, "caption": caption, "wide": wide}
