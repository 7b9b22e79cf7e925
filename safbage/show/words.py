"""What a comparison of arms comes to, in words: verdicts, notes, figures beside the paper's."""

import numpy as np
import pandas as pd

from safbage import paper
from safbage.experiments import FIGURES, LEVEL, Comparison, PairedTest, Training
from safbage.experiments.arms import NO_SALIENCY
from safbage.tasks import RATIO

PAPERS_NETWORKS = ("alexnet", "alexnet-caffe")
"""The networks beside which the paper's figures stand: AlexNet, in either form."""
SHOWN = ("accuracy", "mean_recall", "paper")
"""Columns of `beside_paper` that are shown, each with its error."""


def verdicts(comparison: Comparison) -> list[str]:
    """A sentence for each test, and for each network that was set beside the first."""
    figure = FIGURES[comparison.task]
    tested = [verdict(test, figure) for test in comparison.tests]
    return tested + [compare_networks(found) for found in comparison.networks]


def verdict(test: PairedTest, figure: str) -> str:
    """A test in one sentence: does saliency help these networks, as the paper claims?"""
    found = getattr(test, figure)
    p = f"p = {found['p_holm']:.2g}"
    if found["tests"] > 1:
        p += f" after Holm's correction over {found['tests']} tests"
    helps = "saliency helps" if found["difference"] > 0 else "saliency costs"
    says = helps if found["p_holm"] < LEVEL else "no difference is shown"
    difference = _difference(found, figure.replace("_", " "), p)
    line = f"{test.arm}: on these trained networks {says}: {difference}"
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
