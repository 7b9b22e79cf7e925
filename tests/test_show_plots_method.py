"""The paper's Figures 1, 2 and 4 on made-up faces."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest

from safbage.experiments.examples import Example
from safbage.faces import Face
from safbage.pipeline import Explanation
from safbage.show import plots
from safbage.tasks import CLASSES


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


def words(figure):
    return [text.get_text() for ax in figure.axes for text in (ax.title, *ax.texts)]


def made(answers, task="expression"):
    """An explanation of as many faces as there are answers."""
    count, classes = len(answers), CLASSES[task]
    values = np.full((count, len(classes)), 0.1 / (len(classes) - 1), "float32")
    values[range(count), [classes.index(answer) for answer in answers]] = 0.9
    cams = np.zeros((count, 2, 2, len(classes)), "float32")
    cams[:, 0, 0] = 50 * values
    return Explanation(
        "made.jpg",
        0.3,
        "ok",
        image=np.full((40, 60, 3), 90, "uint8"),
        faces=[Face((20.0, 10.0, 10.0, 20.0), 0.9, {})] * count,
        crops=np.full((count, 224, 224, 3), 200, "uint8"),
        maps=np.full((count, 28, 28), 0.5, "float32"),
        probabilities={task: values},
        cams={task: cams},
    )


def test_the_overview_shows_every_step():
    features = {"conv1": np.ones((6, 6, 4)), "conv2": np.ones((3, 3, 16))}
    figure = plots.overview(made(["happy"]), features)
    photo, crop, look, product, conv1, conv2, answers = figure.axes
    corners = [
        (box.get_x(), box.get_y(), box.get_width(), box.get_height()) for box in photo.patches
    ]
    assert corners == [(20, 10, 10, 20), (12, 7, 26, 26)]  # 30 % wider, square, the same middle
    assert crop.images[0].get_array()[0, 0, 0] == 200
    assert product.images[0].get_array()[0, 0, 0] == 170  # 200 · (0.7 + 0.3 · 0.5)
    assert look.images and conv1.images and conv2.images
    assert "happy (90%)" in answers.get_title()
    said = " ".join(words(figure) + [text.get_text() for text in figure.texts])
    for word in ("224×224", "28×28", "conv1\n6×6×4", "conv2\n3×3×16", "ML-Net", "0.3 × map"):
        assert word in said


def test_the_strongest_channels_are_tiled():
    """Of ten channels the weakest is left out; tiles are of 2×2 with a gap of one between them."""
    values = np.ones((2, 2, 10)) * np.arange(10)
    figure = plots.overview(made(["happy"]), {"conv1": values})
    tiles = figure.axes[4].images[0].get_array()
    assert (
        tiles.shape == (8, 8) and np.ma.masked_invalid(tiles).min() == 1
    )  # each to its own maximum


def test_an_overview_needs_a_face():
    with pytest.raises(ValueError, match=r"nothing to draw for made\.jpg: no face"):
        plots.overview(Explanation("made.jpg", 0.3), {})


def example(label, answer):
    crop, look = np.full((224, 224, 3), 100, "uint8"), np.zeros((28, 28), "float32")
    return Example("gender", crop, look, label, answer, 0.87)


def test_examples_say_label_answer_and_whether_it_is_right():
    figure = plots.example_rows([example("male", "male"), example("female", "male")])
    _, _, product, right, *_, wrong = figure.axes
    assert product.images[0].get_array()[0, 0, 0] == 70  # 30 % darker where nobody looks
    assert [text.get_text() for text in right.texts] == [
        "(a) gender",
        "label: male",
        "answer: male (87%)",
        "✓ right",
    ]
    assert [text.get_text() for text in wrong.texts][1:] == [
        "label: female",
        "answer: male (87%)",
        "✗ wrong",
    ]
    with pytest.raises(ValueError, match="no example"):
        plots.example_rows([])


def test_expressions_show_the_evidence_for_answer_and_label():
    figure = plots.expressions(made(["happy", "sad"]), ["happy", "fear"])
    titles = [ax.get_title() for ax in figure.axes[:6]]
    assert titles == ["happy", "fear", "happy (90%)", "sad (90%)", "for happy", "for fear"]
    colours = [ax.title.get_color() for ax in figure.axes[2:4]]
    assert colours[0] != colours[1]  # one is right, one wrong
    own, other = (figure.axes[row].images[0].get_array()[0, 0] for row in (3, 5))
    assert own[0] > own[2] and other[0] < other[2]  # orange for sad, blue for fear
    with pytest.raises(ValueError, match="got 1 for 2 faces"):
        plots.expressions(made(["happy", "sad"]), ["happy"])
