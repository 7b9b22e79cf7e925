"""One HTML page of a reproduction, to be sent to a colleague: verdicts, the forest plot, tables
beside the paper's, the paper's figures remade, how to run it again.

    comparisons = reproduction.reproduce("outputs/reproduction", "smoke")
    html.write("report.html", comparisons, reproduction.timings("outputs/reproduction"), histories)

The page holds its pictures in itself and loads nothing else, so it can be mailed. It suits light
and dark screens.
"""

import base64
import io
import json
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import pandas as pd

from safbage import evaluation, images, paper
from safbage.datasets import catalogue
from safbage.experiments import Comparison
from safbage.experiments.examples import Example
from safbage.runtime.files import write_text
from safbage.show import figures, pages, plots, words
from safbage.tasks import CLASSES, EXPRESSIONS, GROUPS

TONES = {"holds": "yes", "does not hold": "no", "opposite": "no"}
"""By verdict the colour of its label; others are grey."""


def write(
    path: str | Path,
    comparisons: Mapping[str, Comparison],
    timings: Mapping[str, float],
    histories: pd.DataFrame,
    examples: Mapping[str, Sequence[Example]] | None = None,
) -> None:
    """Write the page.

    Args:
        path: of the HTML file.
        comparisons: by name, as `reproduction.reproduce` returns them.
        timings: seconds by stage.
        histories: of all trainings (`experiments.histories`), for the curves of Figure 3.
        examples: by task test faces with their answers (`experiments.examples`), for Figures 2 and
            4. They are pictures of people: the page is then for those who may see them.
    """
    environment = pages.templates()
    environment.filters["tied"] = _tied
    every = list(comparisons.values())
    text = environment.get_template("report.html.j2").render(
        date=date.today().isoformat(),
        data=list(dict.fromkeys(map(words.data, every))),
        verdicts=[verdict for comparison in every for verdict in _verdicts(comparison)],
        resampling=_resampling(every),
        forest=_forest(every),
        head=words.HEADLINE,
        headline=[words.headline(one) for one in every if len(words.papers_tests(one)) == 1],
        parts=[_part(comparison) for comparison in every],
        remade=list(_remade(every, histories, examples or {})),
        people=bool(examples),
        commands=list(dict.fromkeys(map(words.again, every))),
        sources=_sources(every),
        stages=[(stage, f"{seconds / 60:.1f}") for stage, seconds in timings.items()],
        duration=_duration(sum(timings.values())),
        contradictions=_contradictions(),
        checks=len(paper.CHECKS),
    )
    write_text(Path(path), text)


def _verdicts(comparison):
    """The claims that a comparison judges; where it judges none, what it comes to in short."""
    claims = words.claims(comparison)
    for row in claims:
        tone = TONES.get(row["verdict"], "open")
        yield {"label": row["verdict"], "tone": tone, "lead": "", "text": words.claim(row)}
    if not claims:
        lead, text = f"{words.title(comparison)}.", words.in_short(comparison)
        yield {"label": "", "tone": "open", "lead": lead, "text": text}


def _tied(text):
    """A sentence in which no line ends before a percent sign or within "p = 0.2"."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%").replace(
        "p = ", "p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}"
    )


def _resampling(comparisons):
    """What the intervals allow for: chance in the faces, and in the trainings where there were
    several."""
    arms = [result for comparison in comparisons for result in comparison.arms]
    seeds = [{row.get("seed") for row in result.folds} for result in arms]
    if all(len(of) > 1 for of in seeds):
        return "Faces and trainings are both drawn again for the intervals."
    return (
        "Faces are drawn again for the intervals. Trainings are not where an arm was trained with "
        "one seed: there another seed may turn a small difference round."
    )


def _forest(comparisons):
    """The plot of all tests; nothing where there is none."""
    tested = [comparison for comparison in comparisons if comparison.tests]
    if not tested:
        return None
    caption = "What saliency changes: each arm against its twin without saliency, 95 % intervals"
    return _picture(plots.forest(tested).figure, caption, wide=True)


def _part(comparison):
    """What the template needs of one experiment."""
    about, provenance = comparison.experiment, dict(comparison.provenance)
    provenance.pop("prepared", None)
    columns = ("arm", *words.SHOWN)
    saliency = about["varied"] == "saliency"
    arms = comparison.arms if saliency else ()
    drawn = [one for arm in arms for one in _figures_of_arm(comparison.task, arm)]
    return {
        "title": about["title"],
        "where": about["where"],
        "data": words.data(comparison),
        "trainings": words.trainings(comparison),
        "rows": [
            dict(zip(columns, row, strict=True)) for row in words.beside_paper_in_words(comparison)
        ],
        "published": _published(comparison.task) if saliency else [],
        "notes": words.notes(comparison),
        "verdicts": words.verdicts(comparison),
        "beside": [one for one in drawn if one["wide"]],
        "figures": [one for one in drawn if not one["wide"]],
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


def _remade(comparisons, histories, examples):
    """The paper's four figures."""
    drawn = figures.overview(images.astronaut())
    caption = "Figure 1 remade: one photo through every stage, with the paper's network as it ships"
    yield _picture(drawn, caption, wide=True)
    if any(examples.values()):
        drawn = figures.example_rows([one for of in examples.values() for one in of])
        caption = "Figure 2 remade: test faces with their maps, products and answers, drawn at "
        caption += "random from right answers (left) and wrong ones (right)"
        yield _picture(drawn, caption, wide=True)
    for comparison in comparisons:
        if comparison.experiment["varied"] == "ratio":
            yield from _by_ratio(comparison, histories)
    of_labels = {one.label: one for one in examples.get("expression", ())}
    faces = [of_labels[name] for name in EXPRESSIONS if name in of_labels]
    if faces:
        caption = "Figure 4 remade: class activation maps of the shipped AlexNet, which may know "
        caption += "some of these faces: what speaks for an expression (orange), against it (blue)"
        yield _picture(figures.expressions(faces), caption, wide=True)


def _by_ratio(comparison, histories):
    """Loss and validation accuracy by ratio, and the accuracy on unseen faces."""
    over = words.trainings(comparison)
    if any(map(words.history, comparison.arms)) or len(histories):
        caption = "Figure 3 remade: training loss and accuracy on validation faces by ratio, "
        caption += f"mean ± one standard error over {over}"
        yield _picture(plots.convergence(comparison, histories), caption, wide=True)
    drawn = plots.against_ratio(comparison)
    caption = f"Accuracy on unseen faces against the ratio, ± one standard error over {over}"
    yield _picture(drawn.figure, caption)


def _sources(comparisons):
    """The data sets that were used: title, terms, and where to get them."""
    names = dict.fromkeys(comparison.provenance["data"] for comparison in comparisons)
    known = [catalogue.SOURCES[name] for name in names if name in catalogue.SOURCES]
    return [{"title": one.title, "licence": one.licence, "where": one.where} for one in known]


def _contradictions():
    """Rows of a table: where, what, and the two values as one text."""
    twice = [(row, [f"{value:g} %" for value in row["values"]]) for row in paper.CONTRADICTIONS]
    twice += [(row, row["values"]) for row in paper.IN_WORDS]
    return [row | {"values": " / ".join(values)} for row, values in twice]


def _duration(seconds):
    """ "3 minutes", or "2.2 hours"."""
    return f"{seconds / 60:.1f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def _picture(figure, caption, *, wide=False):
    """A figure as data that a page can hold, its caption, and whether it takes the page's width."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    around = {"bbox_inches": "tight"} if wide else {}  # labels may stand beyond the axes
    figure.savefig(buffer, dpi=100, format="png", **around)
    plt.close(figure)
    data = base64.b64encode(buffer.getvalue()).decode()
    return {"data": data, "caption": caption, "wide": wide}
