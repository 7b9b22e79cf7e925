"""Charts of faces found again: their lines, dots and names, and that they draw."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pytest

from safbage.show import plots


def arm(network, ratio, accuracy, mode="blend"):
    pairs = {"accuracy": accuracy, "error": 0.01, "folds": [accuracy] * 10, "auc": accuracy + 0.05}
    pairs["roc"] = [[0, 0], [0.001, 0.2], [0.1, accuracy], [1, 1]]
    return {"network": network, "ratio": ratio, "mode": mode, "pairs": pairs}


def compared(name, figure, difference, p):
    interval = {"low": difference - 0.01, "high": difference + 0.01}
    return {"arm": name, "figure": figure, "difference": difference, "p_holm": p} | interval


@pytest.fixture
def result():
    """Two trunks; the arms do not stand in the order of their ratios."""
    arms = {
        "one, ratio 90 %": arm("one", 0.9, 0.6),
        "one, without saliency": arm("one", 0.0, 0.8),
        "one, ratio 30 %": arm("one", 0.3, 0.82),
        "one, clipped at 30 %": arm("one", 0.3, 0.5, "clip"),
        "cost $5$, without saliency": arm("cost $5$", 0.0, 0.7),
        "cost $5$, ratio 30 %": arm("cost $5$", 0.3, 0.9),
    }
    tests = [
        compared("one, ratio 90 %", "accuracy", -0.2, 0.01),
        compared("one, ratio 30 %", "accuracy", 0.02, 0.2),
        compared("one, clipped at 30 %", "accuracy", -0.3, 0.01),
        compared("cost $5$, ratio 30 %", "accuracy", 0.2, 0.01),
        compared("one, ratio 30 %", "rank_1", 0.02, 0.2),
    ]
    yield {"arms": arms, "tests": tests}
    plt.close("all")


def named(ax):
    """Lines that have a name, by it."""
    return {line.get_label(): line for line in ax.lines if line.get_label()[0] != "_"}


def test_accuracy_by_ratio_with_intervals(result):
    ax = plots.pairs_by_ratio(result, title="a $title$")
    one, cost = named(ax)["one"], named(ax)["cost $5$"]
    assert one.get_ydata().tolist() == [0.8, 0.82, 0.6], "by ratio, and without the clipped arm"
    assert one.get_xdata() == pytest.approx([0, 30, 90], abs=1)
    assert cost.get_color() != one.get_color()
    (low, high) = ax.collections[0].get_segments()[0][:, 1]
    assert (low, high) == pytest.approx((0.8 - 0.0226, 0.8 + 0.0226), abs=1e-4)  # t of 9: 2.262
    assert {text.get_text() for text in ax.texts} == {"one", "cost $5$"}
    assert ax.get_xticks().tolist() == [0, 30, 90]
    assert (ax.get_ylabel(), ax.get_title()) == ("pairs answered rightly", "a $title$")
    del result["arms"]["one, ratio 30 %"]["pairs"]
    with pytest.raises(ValueError, match="no pairs were compared"):
        plots.pairs_by_ratio(result)


def test_changes_are_filled_where_they_are_shown(result):
    ax = plots.change_by_ratio(result)
    assert named(ax)["one"].get_ydata() == pytest.approx([0, 2, -20])
    filled, hollow = [line for line in ax.lines if line.get_label() == "_dots"][:2]
    assert filled.get_ydata() == pytest.approx([-20])
    assert hollow.get_ydata() == pytest.approx([0, 2])
    assert hollow.get_markerfacecolor() == "white"
    assert ax.get_title() == "pairs answered rightly"
    with pytest.raises(ValueError, match="'auc' was not compared"):
        plots.change_by_ratio(result, figure="auc")


def test_the_roc_leaves_out_what_its_scale_cannot_show(result):
    ax = plots.match_curves(result)
    labels = [text.get_text() for text in ax.get_legend().texts]
    assert labels == [
        "0.950  cost $5$, ratio 30 %",
        "0.870  one, ratio 30 %",
        "0.850  one, without saliency",
        "0.750  cost $5$, without saliency",
    ]
    assert ax.get_xscale() == "log" and ax.lines[0].get_xdata().tolist() == [0.001, 0.1, 1]
    first, second = ax.lines[1], ax.lines[2]
    assert first.get_color() == second.get_color() and first.get_linestyle() != second.get_linestyle()  # fmt: skip
    chance = ax.lines[-1]
    assert chance.get_xdata().tolist() == chance.get_ydata().tolist()
    with pytest.raises(ValueError, match="no pairs were compared by an arm of such a ratio"):
        plots.match_curves(result, ratios=[0.5])


def test_all_side_by_side(result):
    figure = plots.retrieved(result)
    assert len(figure.axes) == 3
    figure.canvas.draw()
