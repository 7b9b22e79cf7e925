"""One HTML page of a reproduction: every table and figure of the paper beside ours, how it was made, and the time it took.

    reports = reproduction.reproduce("outputs/reproduction", "smoke")
    report.write("outputs/reproduction/report.html", reports, reproduction.timings("outputs/reproduction"))

The page holds its pictures in itself and calls nobody; it can be mailed.
"""

import base64
import io
import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from safbage import evaluation, experiments, images, paper
from safbage.pipeline import SafBage
from safbage.runtime.files import write_whole
from safbage.show import plots
from safbage.tasks import CLASSES

CONFUSION_TABLES = {"age": 4, "expression": 5}
"""The paper's table of a task's confusion matrix."""

DATA = {"synthetic": "drawn faces (no people; what is reached on them says nothing about photos)"}
"""What to call a data set whose name does not say what it is."""


def write(path: str | Path, reports: Mapping[str, dict], timings: Mapping[str, float], histories: pd.DataFrame) -> None:
    """Write the page.

    Args:
        path: of the HTML file.
        reports: by name, as `reproduction.reproduce` returns them.
        timings: seconds by stage.
        histories: of all trainings (`experiments.histories`), for the curves of Figure 3.
    """
    page = Environment(loader=PackageLoader("safbage.show"), autoescape=True, undefined=StrictUndefined).get_template(
        "report.html.j2"
    )
    text = page.render(
        date=date.today().isoformat(),
        parts=[_part(report, histories) for report in reports.values()],
        stages=[(stage, f"{seconds / 60:.1f}") for stage, seconds in timings.items()],
        minutes=_minutes(sum(timings.values())),
        contradictions=[row | {"values": " / ".join(f"{value:g}" for value in row["values"])} for row in paper.CONTRADICTIONS],
        stations=_picture(plots.explanation(SafBage.load().explain(images.astronaut())), "One photo through every stage"),
    )
    write_whole(Path(path), lambda aside: aside.write_text(text, encoding="utf-8"))


def _minutes(seconds):
    """ "3 minutes", or "2.2 hours"."""
    return f"{seconds / 60:.1f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def _part(report, histories):
    """What the template needs of one experiment."""
    task, about = report["task"], report["experiment"]
    rows = [
        {name: experiments.plus_minus(row.get(name), row.get(f"± {name}")) for name in ("accuracy", "mean_recall", "paper")}
        | {"arm": row["arm"]}
        for row in experiments.with_paper(report).to_dict("records")
    ]
    figures = _figures_by_ratio(report, histories) if about["varied"] == "ratio" else []
    if about["varied"] == "saliency":
        figures = [figure for name, arm in report["arms"].items() for figure in _figures_of_arm(task, name, arm)]
    made = {name: value for name, value in report["provenance"].items() if name != "prepared"}
    return {
        "title": about["title"],
        "where": about["where"],
        "data": DATA.get(report["provenance"]["data"], report["provenance"]["data"]),
        "rows": rows,
        "notes": experiments.notes(report),
        "verdict": report["verdict"],
        "figures": figures,
        "provenance": json.dumps(made, indent=1),
    }


def _figures_of_arm(task, name, arm):
    """Confusion, calibration, and with saliency the groups."""
    classes = list(CLASSES[task])
    table = CONFUSION_TABLES.get(task)
    beside = f" (the paper's Table {table} averages {paper.DIAGONAL_MEANS[table]} % with saliency)" if table else ""
    counts = pd.DataFrame(arm["confusion"], index=classes, columns=classes)
    mean = evaluation.scores(counts)["mean_recall"]
    yield _picture(
        plots.confusion(counts, title=name).figure, f"Confusion of {task}, {name}: the diagonal averages {mean:.1%}{beside}"
    )
    bins = pd.DataFrame(arm["reliability"])
    yield _picture(plots.reliability(bins).figure, f"Calibration of {task}, {name}")
    if arm["ratio"]:
        for group in ("race", "gender", "age_group"):
            if arm.get(f"by_{group}"):
                drawn = plots.by_group(pd.DataFrame(arm[f"by_{group}"]))
                yield _picture(drawn.figure, f"Accuracy of {task} by {group.replace('_', ' ')}, {name}")


def _figures_by_ratio(report, histories):
    """Figure 3: loss and validation accuracy of the experiment's trainings by ratio; and the accuracy on unseen faces."""
    ratios = {arm["ratio"]: f"{100 * arm['ratio']:g} %" for arm in report["arms"].values()}
    curves = {label: histories[histories.ratio == ratio] for ratio, label in ratios.items()}
    curves = {label: rows for label, rows in curves.items() if len(rows)}
    for measure, what in (("loss", "training loss"), ("accuracy", "accuracy on validation faces")) if curves else ():
        drawn = plots.training_curves(curves, measure=measure, title=what)
        yield _picture(drawn.figure, f"Figure 3 remade: {what} by ratio; bands from the worst to the best fold")
    yield _picture(plots.against_ratio(report).figure, "Accuracy on unseen faces against the ratio, ± one standard error")


def _picture(figure, caption):
    """A figure as data that a page can hold, and its caption."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100, format="png")
    plt.close(figure)
    return {"data": base64.b64encode(buffer.getvalue()).decode(), "caption": caption}
