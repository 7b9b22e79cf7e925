"""What a comparison of arms comes to, in words: verdicts, notes, figures beside the paper's."""

import numpy as np
import pandas as pd

from safbage import paper
from safbage.datasets import catalogue
from safbage.experiments import FIGURES, LEVEL, ArmResult, Comparison, PairedTest, Training
from safbage.experiments.arms import NO_SALIENCY, Arm
from safbage.tasks import RATIO

PAPERS_NETWORKS = ("alexnet", "alexnet-caffe")
"""The networks beside which the paper's figures stand: AlexNet, in either form."""
SHOWN = ("accuracy", "mean_recall", "paper")
"""Columns of `beside_paper` that are shown, each with its error."""
HEADLINE = ("", "faces", "without", "with saliency", "difference, points", "p", "the paper")
"""What `headline`'s cells are."""


DATA = {"synthetic": "drawn faces"}
"""What to call a data set whose title does not say what it is."""


def title(comparison: Comparison) -> str:
    """What a comparison is of: its experiment's title, or its task."""
    return (comparison.experiment or {}).get("title", comparison.task)


def data(comparison: Comparison) -> str:
    """What its faces are called: "UTKFace", or the name of a folder."""
    name = (comparison.provenance or {}).get("data", "one data set")
    source = catalogue.SOURCES.get(name)
    return DATA.get(name, source.title if source else name)


def again(comparison: Comparison) -> str:
    """The command that makes a comparison: the one that made it, or where that was a program of its
    own, the one for its scale."""
    made = comparison.provenance
    own = made["command"].startswith("safbage ")
    return made["command"] if own else f"safbage reproduce --scale {made['scale']} --data-dir data"


def trainings(comparison: Comparison) -> str:
    """How many trainings there were of each arm: "5 folds × 3 seeds", or "5 folds"."""
    rows = comparison.arms[0].folds
    folds, seeds = ({row.get(name) for row in rows} - {None} for name in ("fold", "seed"))
    parts = [_counted(len(folds), "fold")] + ([_counted(len(seeds), "seed")] if seeds else [])
    return " × ".join(parts)


def _counted(count, thing):
    return f"{count} {thing}" + ("" if count == 1 else "s")


def history(result: ArmResult) -> list[dict]:
    """How an arm's trainings went in the mean, a row per epoch; none where that was not kept."""
    return list(result.history)


def claims(comparison: Comparison) -> list[dict]:
    """The paper's claims that a comparison judges, as rows: `claim`, a short name; `text`; the
    `value` that was found with its 95 % interval, `low` to `high`, in `unit`; `p`; `verdict`:
    "holds", "does not hold", "not shown" or "opposite". None where none was judged."""
    return list(comparison.claims)


def claim(row: dict) -> str:
    """A row of `claims` in one sentence, without its verdict."""
    text = row["text"].rstrip(".")
    if row.get("value") is None:
        return f"{text}."
    signed = row["unit"] == "points" or (row.get("low") or row["value"]) < 0
    places = 1 if row["unit"] else 3  # a loss has none
    value, *ends = (_figure(row.get(name), signed, places) for name in ("value", "low", "high"))
    parts = [f"95 % interval {ends[0]} to {ends[1]}"] if None not in ends else []
    parts += [f"p = {row['p']:.2g}"] if row.get("p") is not None else []
    said = f"{text}: {value} {row['unit']}".rstrip()
    return said + (f" ({'; '.join(parts)})." if parts else ".")


def _figure(value, signed, places):
    """A number to three digits, or to some decimals if it is signed; None where there is none."""
    if value is None:
        return None
    sign = "+" if signed else ""
    return format(value, f"{sign}.{places}f" if signed or abs(value) >= 100 else ".3g")


def claimed_lift(task: str, arm: Arm) -> float | None:
    """By how many points the paper says that an arm is better than its twin without saliency; None
    where it says nothing of that arm."""
    own = arm.network in PAPERS_NETWORKS and arm == Arm(arm.network, RATIO)
    return paper.lift(task) if own else None


def papers_tests(comparison: Comparison) -> list[PairedTest]:
    """The tests of arms that the paper has: by its formula, and with the recipe's loss."""
    return [test for test in comparison.tests if test.arm == Arm(test.arm.network, test.arm.ratio)]


def in_short(comparison: Comparison) -> str:
    """What a comparison comes to in one sentence, with an interval: of one test with the lift that
    the paper claims, of several the count and the largest difference."""
    figure = FIGURES[comparison.task]
    found = [(test, getattr(test, figure)) for test in papers_tests(comparison)]
    if not found:
        return "Nothing was compared."
    if len(found) > 1:
        return _of_several(found, figure)
    ((test, only),) = found
    shown = only["p_holm"] < LEVEL
    says = "No difference is shown"
    if shown:
        says = "Saliency helps" if only["difference"] > 0 else "Saliency costs"
    lift = claimed_lift(comparison.task, test.arm)
    claimed = "" if lift is None else f"; the paper has {lift:+g}"
    return f"{says}: {_points(only)} of {figure.replace('_', ' ')}{claimed}."


def _of_several(found, figure):
    """The same of several tests."""
    shown = [test["difference"] > 0 for _, test in found if test["p_holm"] < LEVEL]
    better, worse = sum(shown), len(shown) - sum(shown)
    largest, most = max(found, key=lambda pair: abs(pair[1]["difference"]))
    counts = f"{better or 'none'} is shown to be better and {worse or 'none'} to be worse"
    return (
        f"Of {len(found)} arms with saliency, {counts} than without it; the largest difference is "
        f"that of {largest.arm}, {_points(most)} of {figure.replace('_', ' ')}."
    )


def _points(found):
    points, low, high = (100 * found[key] for key in ("difference", "low", "high"))
    return f"{points:+.1f} points (95 % interval {low:+.1f} to {high:+.1f})"


def headline(comparison: Comparison) -> list[str]:
    """A comparison of the paper's arm with saliency and the one without as a row: the figure that
    the paper compares, faces, without, with, difference and interval, p, and the paper's figures.

    Raises:
        ValueError: it has more arms with saliency, or none.
    """
    (test,) = papers_tests(comparison)
    figure = FIGURES[comparison.task]
    found = getattr(test, figure)
    rows = beside_paper(comparison).set_index("arm").loc[[str(test.without), str(test.arm)]]
    ours, theirs = (
        [plus_minus(*pair) for pair in zip(rows[name], rows[f"± {name}"], strict=True)]
        for name in (figure, "paper")
    )
    points, low, high = (f"{100 * found[key]:+.1f}" for key in ("difference", "low", "high"))
    return [
        f"{comparison.task}, {figure.replace('_', ' ')}, %",
        f"{found['faces']:,}",
        *ours,
        f"{points} ({low} to {high})",
        format(found["p"], ".2g"),
        " → ".join(theirs),
    ]


def verdicts(comparison: Comparison) -> list[str]:
    """A sentence for each test, and for each network that was set beside the first."""
    figure = FIGURES[comparison.task]
    tested = [verdict(test, figure) for test in comparison.tests]
    return tested + [compare_networks(found) for found in comparison.networks]


def verdict(test: PairedTest, figure: str) -> str:
    """A test in one sentence: does saliency help these networks, as the paper claims? Or clipping,
    or a plain loss, where the arm has it."""
    found = getattr(test, figure)
    p = f"p = {found['p_holm']:.2g}"
    if found["tests"] > 1:
        p += f" after Holm's correction over {found['tests']} tests"
    changed = {"clip": "clipping", "blend": "saliency"}[test.arm.mode]
    if test.arm.loss == "plain":
        changed = "a plain loss"
    helps = f"{changed} helps" if found["difference"] > 0 else f"{changed} costs"
    says = helps if found["p_holm"] < LEVEL else "no difference is shown"
    if found.get("trainings", 0) <= found["folds"]:  # one seed: of others nothing is known
        says = f"on these trained networks {says}"
    line = f"{test.arm}: {says}: {_difference(found, figure.replace('_', ' '), p)}"
    if found["folds"] > 1 and found["difference"]:  # equal arms have no side
        line += f", to the same side in {found['alike']} of {found['folds']} folds"
    return line


def compare_networks(found: dict) -> str:
    """Two networks' answers to the same faces in one sentence (`experiments.compare_networks`)."""
    differs = "is right more often" if found["difference"] > 0 else "is right less often"
    says = differs if found["p"] < LEVEL else "no difference is shown"
    difference = _difference(found, "accuracy", f"p = {found['p']:.2g}")
    return f"{found['other']} beside {found['first']}: {says}: {difference}"


def _difference(found, name, p):
    points, low, high = (100 * found[key] for key in ("difference", "low", "high"))
    interval = f"95 % interval {low:+.1f} to {high:+.1f}"
    return f"{points:+.1f} points of {name} ({interval}; {p}) on {found['faces']:,} faces"


def beside_paper(comparison: Comparison) -> pd.DataFrame:
    """Ours beside the paper's headline (Tables 2, 3 and 6) and its other networks (section 4.3): a
    row per arm, in %, NaN where the paper has none.

    Columns: `arm`, `accuracy`, `mean_recall` and their standard errors `± …`, and the paper's
    `paper`, `± paper`.
    """
    rows = []
    for result in comparison.arms:
        row = {"arm": str(result.arm)}
        for figure in ("accuracy", "mean_recall"):
            mean, error = (result.summary[figure][name] for name in ("mean", "error"))
            row |= {figure: 100 * mean, f"± {figure}": np.nan if error is None else 100 * error}
        reported = _reported(comparison.task, result.arm)
        row["paper"] = reported.value if reported else np.nan
        row["± paper"] = reported.error if reported else np.nan
        rows.append(row)
    return pd.DataFrame(rows)


def _reported(task, arm) -> paper.Result | None:
    """What the paper reports of an arm."""
    if arm != Arm(arm.network, arm.ratio):  # otherwise trained or reweighted than the paper's
        return None
    method = {NO_SALIENCY: paper.WITHOUT, RATIO: paper.WITH}.get(arm.ratio)
    if arm.network not in PAPERS_NETWORKS:  # the ablations are with saliency
        method = arm.network if arm.ratio == RATIO else None
    of = (row for row in (*paper.RESULTS, *paper.ABLATIONS) if row.task == task)
    return next((row for row in of if row.method == method), None)


def beside_paper_in_words(comparison: Comparison) -> list[list[str]]:
    """`beside_paper`'s rows: arm, accuracy, mean recall, and the paper's figure."""
    return [
        [row["arm"], *(plus_minus(row[name], row[f"± {name}"]) for name in SHOWN)]
        for row in beside_paper(comparison).to_dict("records")
    ]


def notes(comparison: Comparison) -> list[str]:
    """What to know before reading `beside_paper`'s table, a line each."""
    trained = [(result.arm.network, result.training) for result in comparison.arms]
    lines = [_layers(network, training) for network, training in trained if training]
    if comparison.task == "age":
        mean = paper.DIAGONAL_MEANS[paper.CONFUSIONS["age"]]
        lines.append(
            f"The paper's {mean} % is mean recall: set it beside mean recall, not beside accuracy."
        )
    reported = (_reported(comparison.task, result.arm) for result in comparison.arms)
    lines += [
        f"{row.method}: {row.note}." for row in reported if row in paper.ABLATIONS and row.note
    ]
    return list(dict.fromkeys(lines))  # arms of one network have the same layers


def _layers(network, training: Training):
    """Which layers were trained, and what they and the frozen ones came from."""
    drawn = [name for name in training.trained_layers if name not in training.imagenet_layers]
    parts = [
        f"{network}: trained {_span(training.trained_layers)}",
        f"from ImageNet {_span(training.imagenet_layers)}",
        f"from random weights {_span(drawn)}",
    ]
    if training.frozen_at_random:
        parts.append(f"left at random weights {_span(training.frozen_at_random)}")
    return "; ".join(parts) + "."


def _span(names):
    """Layers in order, as "conv1–conv5"."""
    return "–".join(dict.fromkeys((names[0], names[-1]))) if names else "none"


def plus_minus(value: float | None, error: float | None) -> str:
    """ "62.1 ± 3.2", without what is not known."""
    if value is None or np.isnan(value):
        return "–"
    return f"{value:.1f}" + ("" if error is None or np.isnan(error) else f" ± {error:.1f}")
