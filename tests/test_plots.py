import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from safbage import evaluation, plots


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
    assert np.array_equal(faint.images[0].get_array(), plots.blended(seen.crops[0], seen.maps[0] * 0.1))
    assert faint.child_axes[0].get_ylim() == (0, 1)


def test_a_blend_by_hand():
    face = np.full((1, 2, 3), 100, "uint8")
    shown = plots.blended(face, np.array([[0.0, 1.0]]), colours="gray")
    assert shown[0, 0].tolist() == [75] * 3  # a quarter of black over 100
    assert shown[0, 1].tolist() == [224] * 3  # four fifths of white over 100


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


# --- evaluation ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def predictions(generator):
    p = generator.dirichlet([1.0, 1.0], 60)
    names = np.array(["male", "female"])
    labels = np.where(generator.random(60) < 0.7, names[p.argmax(axis=1)], names[p.argmin(axis=1)])
    table = pd.DataFrame(
        {"image": [f"{i}.jpg" for i in range(60)], "fold": 0, "label": labels, "answer": names[p.argmax(axis=1)]}
    )
    return table.assign(p_male=p[:, 0], p_female=p[:, 1], race=["A"] * 50 + ["B"] * 10)


def words(ax):
    return [text.get_text() for text in ax.texts]


@pytest.fixture
def history():
    return pd.DataFrame({"epoch": [1, 2, 3], "accuracy": [0.5, 0.6, 0.7], "val_accuracy": [0.5, 0.55, 0.6], "loss": [3, 2, 1]})


def test_every_evaluation_plot_draws_into_the_axes_given(predictions, history):
    crops = np.zeros((60, 8, 8, 3), "uint8")
    for draw in (
        lambda ax: plots.confusion(evaluation.confusion(predictions), ax=ax),
        lambda ax: plots.reliability(evaluation.reliability(predictions), ax=ax),
        lambda ax: plots.by_group(evaluation.by_group(predictions, "race"), ax=ax),
        lambda ax: plots.training_curves({"with": history}, ax=ax),
        lambda ax: plots.gallery(predictions, crops, ax=ax),
    ):
        ax = plt.figure().add_subplot()
        assert draw(ax) is ax
        assert draw(None) is not ax
        ax.figure.canvas.draw()


def test_confusion_shows_shares_counts_and_absent_classes():
    counts = pd.DataFrame([[3, 1, 0], [0, 2000, 0], [0, 0, 0]], list("abc"), list("abc"))
    ax = plots.confusion(counts)
    assert words(ax) == ["75%", "3", "25%", "1", "0", "0", "100%", "2,000", "0", "no faces"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a (4)", "b (2,000)", "c (0)"]
    assert ax.images[0].get_clim() == (0, 1)
    assert ax.get_title() == "accuracy 100.0%, mean recall 87.5%"


def test_reliability_shows_error_and_faces(predictions):
    bins = evaluation.reliability(predictions, bins=10)
    ax = plots.reliability(bins)
    assert ax.get_title() == f"calibration error {evaluation.calibration_error(predictions, bins=10):.1%}"
    assert [bar.get_height() for bar in ax.patches] == bins.accuracy.dropna().tolist()
    (strip,) = ax.child_axes
    np.testing.assert_allclose([bar.get_height() for bar in strip.patches], bins.faces / 60)


def test_groups_show_intervals_and_the_few(predictions):
    groups = evaluation.by_group(predictions, "race")
    ax = plots.by_group(groups)
    assert words(ax) == ["n = 50", "n = 10 (few)"]
    overall, first, dot, _, hollow = ax.lines
    assert overall.get_xdata()[0] == pytest.approx(evaluation.accuracy(predictions))
    assert first.get_xdata() == pytest.approx([groups.low[0], groups.high[0]]) and dot.get_xdata()[0] == groups.accuracy[0]
    assert hollow.get_markerfacecolor() == "white" != dot.get_markerfacecolor()


def test_curves_of_arms_and_folds(history):
    ax = plots.training_curves({"with": history, "without": history})
    assert [line.get_linestyle() for line in ax.lines] == ["--", "-"] * 2
    assert ax.lines[1].get_xdata().tolist() == [1, 2, 3] and ax.lines[1].get_ydata().tolist() == [0.5, 0.55, 0.6]
    assert [text.get_text() for text in ax.get_legend().texts] == ["with", "without"]
    unnumbered = plots.training_curves({"with": history.drop(columns="epoch")})
    assert unnumbered.lines[1].get_xdata().tolist() == [1, 2, 3]
    folds = pd.concat([history.assign(fold=0), history.assign(fold=1, val_accuracy=history.val_accuracy + 0.2)])
    ax = plots.training_curves({"with": folds})
    assert ax.lines[1].get_ydata() == pytest.approx([0.6, 0.65, 0.7])
    assert len(ax.collections) == 1  # the band from the worst fold to the best
    alone = plots.training_curves({"with": history}, measure="loss")
    assert alone.get_title() == "training" and alone.lines[0].get_linestyle() == "-"
    with pytest.raises(ValueError, match="'with' has no column recall; it has epoch"):
        plots.training_curves({"with": history}, measure="recall")


def test_gallery_shows_the_surest_wrong_answers(predictions):
    crops = np.broadcast_to(np.arange(60, dtype="uint8")[:, None, None, None], (60, 4, 4, 3))
    ax = plots.gallery(predictions, crops, shown=2)
    wrong = predictions[predictions.label != predictions.answer]
    surest = wrong[["p_male", "p_female"]].max(axis=1).sort_values(ascending=False).index[:2]
    assert [cell.images[0].get_array()[0, 0, 0] for cell in ax.child_axes] == surest.tolist()
    first = predictions.loc[surest[0]]
    assert words(ax)[:2] == [f"{first.label} → {first.answer}", f"{max(first.p_male, first.p_female):.0%} sure"]
    right = predictions.assign(label=predictions.answer)
    assert plots.gallery(right, crops).get_title() == "no wrong answer"
    with pytest.raises(ValueError, match="59 crops and 60 rows"):
        plots.gallery(predictions, crops[1:])
