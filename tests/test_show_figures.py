"""What the paper's figures are drawn of; those in docs/, and that results' can be drawn anew."""

import importlib.util

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pytest
from conftest import REPOSITORY
from PIL import Image
from test_show_html import some_examples

from safbage import experiments
from safbage.experiments.examples import Example
from safbage.show import figures


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("drawings", REPOSITORY / "docs" / "figures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    plt.close("all")


def test_right_answers_stand_left_of_wrong_ones_in_the_papers_order():
    every = [one for of in some_examples().values() for one in of]
    (crop, look), (right, wrong) = (every[0].crop, every[0].map), every[:2]
    more = [Example("age", crop, look, "0-2", "60+", 0.5)] * 3  # no room for all
    figure = figures.example_rows([*every, *more], each=2)
    told = [ax.texts for ax in figure.axes if len(ax.texts) == 4]
    assert [texts[0].get_text()[4:] for texts in told] == 2 * ["gender"] + 2 * ["age"] + 2 * [
        "expression"
    ]
    assert [texts[3].get_text() for texts in told] == 3 * ["✓ right", "✗ wrong"]
    assert right.right and not wrong.right


def test_where_all_answers_are_right_these_are_shown():
    right = [one for of in some_examples().values() for one in of if one.right]
    told = [ax.texts for ax in figures.example_rows(right).axes if len(ax.texts) == 4]
    assert len(told) == 3
    with pytest.raises(ValueError, match="no example"):
        figures.example_rows([])
    with pytest.raises(ValueError, match="no face"):
        figures.expressions([])


def test_each_figure_has_its_picture(script):
    for name in script.DRAWINGS:
        path = REPOSITORY / "docs" / f"{name}.png"
        if name == "figure-3" and script.by_ratio() is None:
            continue
        with Image.open(path) as picture:
            assert picture.width > 700, name
        assert path.stat().st_size < 1_000_000, name


def test_the_forest_plot_holds_every_stored_test(script):
    figure = script.DRAWINGS["forest"]()
    (ax,) = figure.axes
    named = [label.get_text() for label in ax.get_yticklabels() if label.get_text()]
    saved = experiments.load_saved(REPOSITORY / "results")
    tests = [test for one in saved.values() for test in one.tests if test.arm.loss != "plain"]
    assert sorted(named) == sorted(str(test.arm) for test in tests)
