import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from safbage import plots


@pytest.fixture(scope="module")
def seen(model, astronaut):
    return model.explain(astronaut)


@pytest.fixture(autouse=True)
def no_figures_left():
    yield
    plt.close("all")


def test_every_plot_draws_into_the_axes_given(seen):
    for draw in (
        lambda ax: plots.image(seen.crops[0], ax=ax),
        lambda ax: plots.boxes(seen.image, seen.faces, labels=["a"], ax=ax),
        lambda ax: plots.saliency(seen.crops[0], seen.maps[0], ax=ax),
        lambda ax: plots.probabilities("age", seen.probabilities["age"][0], ax=ax),
        lambda ax: plots.class_activation(seen, "age", target=3, ax=ax),
    ):
        ax = plt.figure().add_subplot()
        assert draw(ax) is ax
        assert draw(None) is not ax


def test_maps_have_a_fixed_scale(seen):
    faint = plots.saliency(seen.crops[0], seen.maps[0] * 0.1)
    assert faint.images[1].get_clim() == (0, 1)


def test_boxes_fit_a_reduced_photo(seen):
    large = np.zeros((3000, 1500, 3), "uint8")
    (face,) = seen.faces
    ax = plots.boxes(large, [face])
    assert ax.images[0].get_array().shape[0] == plots.SHOWN_SIDE
    assert ax.patches[0].get_width() == pytest.approx(face.box[2] * plots.SHOWN_SIDE / 3000)


def test_the_answer_is_the_strong_bar():
    ax = plots.probabilities("gender", np.array([0.2, 0.8]))
    assert matplotlib.colors.to_hex(ax.patches[1].get_facecolor()) == plots.ANSWER_COLOUR
    assert ax.get_title() == "gender: female (80%)"


def test_the_whole_explanation_of_one_and_of_many_faces(model, seen, astronaut):
    one = plots.explanation(seen)
    titles = [ax.get_title() for ax in one.axes]
    assert "where people look (ML-Net)" in titles and "reweighted, ratio 30%" in titles
    assert sum(title.startswith("CAM of ") for title in titles) == 3
    group = model.explain(np.concatenate([astronaut[:300, 100:400]] * 6, axis=1))
    many = plots.explanation(group)
    assert len(group.faces) >= 6
    assert many.axes[0].get_title() == f"photo 0: {len(group.faces)} faces; the 4 surest below"
    assert len(many.axes[0].patches) == len(group.faces)


def test_nothing_to_draw_is_said(model):
    with pytest.raises(ValueError, match="no face"):
        plots.explanation(model.explain(np.zeros((50, 50, 3), "uint8")))
