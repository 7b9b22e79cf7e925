"""Charts of comparisons: what stands where in the forest plot and in Figure 3."""

import functools
from dataclasses import replace

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from made_arms import answers, first, two_arms
from test_experiments_comparison import compare

from safbage.experiments import Arm, ArmResult, Comparison, Run
from safbage.show import plots
from safbage.show.plots import style


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


def texts(ax):
    return [text.get_text() for text in ax.texts]


def drawn(ax, marker):
    """Places of all markers of a kind, row by row."""
    return [tuple(*line.get_xydata()) for line in ax.lines if line.get_marker() == marker]


@functools.cache
def made():
    return compare(two_arms(first(0.6, 100), first(0.9, 100)))


def difference(points, p):
    """A comparison whose one test has this difference, ± 2 points."""
    comparison = made()
    shares = {"difference": points / 100, "low": (points - 2) / 100, "high": (points + 2) / 100}
    (test,) = comparison.tests
    changed = replace(test, accuracy=test.accuracy | shares | {"p_holm": p})
    about = {"title": "Gender", "where": "Table 3", "varied": "saliency"}
    return replace(comparison, tests=[changed], experiment=about, provenance={"data": "utkface"})


def test_a_forest_by_hand():
    ax = plots.forest([difference(3, 0.2), difference(-3, 0.001)])
    assert drawn(ax, "o") == [(pytest.approx(3), 1), (pytest.approx(-3), 3)]
    assert drawn(ax, "D") == [(pytest.approx(8.4), 1), (pytest.approx(8.4), 3)]
    bars = [line.get_xdata() for line in ax.lines if line.get_linewidth() == 2.4]
    assert np.allclose(bars, [[1, 5], [-5, -1]])
    zero = [line for line in ax.lines if list(line.get_xdata()) == [0, 0]]
    assert len(zero) == 1
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["", "alexnet, ratio 30 %", "", "alexnet, ratio 30 %"]
    assert texts(ax).count("Gender  (accuracy, 100 faces of UTKFace)") == 2
    assert {"+3.0  (+1.0 to +5.0)", "−3.0  (−5.0 to −1.0)", "paper +8.4"} <= set(texts(ax))


@pytest.mark.parametrize(
    "points, p, colour, filled",
    [
        (3, 0.001, style.ANSWER_COLOUR, True),
        (-3, 0.001, style.WRONG_COLOUR, True),
        (3, 0.2, style.QUIET_COLOUR, False),
    ],
)
def test_only_what_is_shown_has_a_strong_colour(points, p, colour, filled):
    (dot,) = [
        line for line in plots.forest([difference(points, p)]).lines if line.get_marker() == "o"
    ]
    assert dot.get_color() == colour
    assert dot.get_markerfacecolor() == (colour if filled else "white")


def test_arms_that_the_paper_lacks_have_no_claim():
    run, better = (Run(answers(first(share, 100))) for share in (0.5, 0.9))
    arms = {Arm("vgg16", 0.0): run, Arm("vgg16", 0.3): better}
    arms |= {Arm("alexnet", 0.0): run, Arm("alexnet", 0.9): better}
    ax = plots.forest([compare(arms)])
    assert len(drawn(ax, "o")) == 2 and not drawn(ax, "D")


def test_a_forest_needs_a_test():
    with pytest.raises(ValueError, match="there is no test"):
        plots.forest([replace(difference(1, 1), tests=[])])


def histories():
    """Two folds with two seeds each at two ratios: losses 1, 2, 3, 4 and 0."""
    rows = [
        {"epoch": epoch, "loss": (2 * fold + seed + 1) * (ratio == 0), "accuracy": 0.5}
        | {"network": "alexnet", "ratio": ratio, "fold": fold, "seed": seed}
        for epoch in (1, 2)
        for ratio in (0.0, 0.3)
        for fold in (0, 1)
        for seed in (0, 1)
    ]
    return pd.DataFrame(rows)


def test_a_mean_history_by_hand():
    table = histories()
    found = plots.mean_history(table[table.ratio == 0])
    assert found.epoch.tolist() == [1, 2] and found.trainings.tolist() == [4, 4]
    assert found.loss.tolist() == [2.5, 2.5] and found.accuracy_error.tolist() == [0, 0]
    assert found.loss_error.tolist() == pytest.approx(2 * [(5 / 3 / 4) ** 0.5])


def by_ratio(ratios=(0.0, 0.3)):
    arms = [ArmResult(Arm("alexnet", ratio), 9, {}, [], [], [], {}) for ratio in ratios]
    return Comparison("gender", arms, [])


def test_curves_have_a_line_and_a_band_for_each_arm():
    figure = plots.convergence(by_ratio((0.0, 0.3, 0.9)), histories())  # 90 % was not trained
    loss, accuracy = figure.axes
    assert [line.get_ydata().tolist() for line in loss.lines] == [[2.5, 2.5], [0, 0]]
    assert len(loss.collections) == len(accuracy.lines) == 2
    band = loss.collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() - band.min() == pytest.approx(2 * (5 / 12) ** 0.5)
    (legend,) = figure.legends
    named = [text.get_text() for text in legend.texts]
    assert named == ["alexnet, without saliency", "alexnet, ratio 30 %"]


def test_an_arms_own_history_comes_first():
    comparison = by_ratio((0.0,))
    row = {"epoch": 1, "loss": 7.0, "loss_error": 1.0, "accuracy": 0.5, "accuracy_error": 0.1}
    first = replace(comparison.arms[0], history=[row | {"trainings": 15}])
    comparison = replace(comparison, arms=[first])
    figure = plots.convergence(comparison, histories())
    assert figure.axes[0].lines[0].get_ydata().tolist() == [7.0]


def test_curves_that_nobody_kept_cannot_be_drawn():
    for kept in (None, pd.DataFrame(columns=["network", "ratio", "epoch", "loss", "accuracy"])):
        with pytest.raises(ValueError, match="have no history"):
            plots.convergence(by_ratio(), kept)
