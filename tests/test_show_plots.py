import dataclasses
import importlib
import itertools
import re
import warnings

import matplotlib
import numpy as np
import pandas as pd
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from safbage import evaluation, images
from safbage.experiments import Arm, ArmResult, Comparison
from safbage.faces import Face
from safbage.show import plots
from safbage.tasks import CLASSES


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
    assert np.array_equal(
        faint.images[0].get_array(), plots.blended(seen.crops[0], seen.maps[0] * 0.1)
    )
    assert faint.child_axes[0].get_ylim() == (0, 1)


def test_a_blend_by_hand():
    face = np.full((1, 2, 3), 100, "uint8")
    shown = plots.blended(face, np.array([[0.0, 1.0]]), colours="gray")
    assert shown[0, 0].tolist() == [75] * 3  # a quarter of black over 100
    assert shown[0, 1].tolist() == [224] * 3  # four fifths of white over 100


def evidence_pixels(face, map, **options):
    return plots.evidence(face, np.asarray(map, "float32"), **options).images[0].get_array()


def test_a_map_of_zeros_draws_as_nothing(generator):
    face = generator.integers(0, 256, (4, 4, 3), dtype="uint8")
    grey = np.round(face.mean(axis=2)).astype("uint8")
    shown = evidence_pixels(face, np.zeros((2, 2)))
    assert all(np.array_equal(shown[:, :, channel], grey) for channel in range(3))


def test_a_map_from_minus_to_plus_12_draws_its_zero_as_nothing():
    face = np.full((1, 5, 3), 100, "uint8")
    against, little, zero, half, speaks_for = evidence_pixels(
        face, [[-12.0, -1.0, 0.0, 6.0, 12.0]]
    )[0].astype(int)
    assert zero.tolist() == [100] * 3
    assert np.abs(little - 100).max() <= 13  # a twelfth of the strongest
    assert (
        against[2] > 200 > 50 > against[0] and speaks_for[0] > 200 > 50 > speaks_for[2]
    )  # blue, and orange
    assert np.abs(half - (zero + speaks_for) / 2).max() <= 1


def test_the_ends_of_a_scale_in_words():
    assert [plots.ends(reach)[1] for reach in (0.0563, 9.96, 52.9, 1234)] == [
        "+0.056",
        "+10",
        "+53",
        "+1,234",
    ]
    assert plots.ends(53)[0] == "−53"


def test_a_black_face_draws_as_nothing(model, seen):
    black = model.at_ratio(dataclasses.replace(seen, crops=np.zeros_like(seen.crops)), 0.3)
    assert (
        max(np.abs(maps).max() for maps in black.cams.values()) > 1
    )  # scores it gets all the same
    for task in model.tasks:
        assert not plots.class_activation(black, task).images[0].get_array().any()


def test_the_same_value_has_the_same_colour_in_all_pictures_of_a_face(seen):
    grey = np.full_like(seen.crops, 128)
    values = {"age": 40.0, "gender": 15.0}  # scores, at one place
    cams = {task: np.zeros((1, 2, 2, 8 if task == "age" else 2), "float32") for task in values}
    for task, value in values.items():
        cams[task][0, 0, 0, 1] = value  # this class's alone,
        cams[task][0, 1, 1, 1] = 5.0  # and what both tasks have
    probabilities = {task: seen.probabilities[task] for task in values}
    both = dataclasses.replace(
        seen, crops=grey, maps=np.ones_like(seen.maps), cams=cams, probabilities=probabilities
    )
    drawn = {task: plots.class_activation(both, task, target=1) for task in values}
    age, gender = (ax.images[0].get_array() for ax in drawn.values())
    assert np.array_equal(age[-1, -1], gender[-1, -1]) and not np.array_equal(
        age[0, 0], gender[0, 0]
    )
    assert [ax.child_axes[0].get_ylim() for ax in drawn.values()] == [(-40, 40)] * 2
    assert [text.get_text() for text in drawn["age"].child_axes[0].get_yticklabels()] == [
        "−40\nagainst",
        "0",
        "for\n+40",
    ]
    faint = dataclasses.replace(both, cams={task: maps / 40 for task, maps in cams.items()})
    assert plots.evidence_reach(faint) == plots.LEAST_REACH  # next to nothing is not stretched


def test_boxes_fit_a_reduced_photo(seen):
    large = np.zeros((3000, 1500, 3), "uint8")
    (face,) = seen.faces
    ax = plots.boxes(large, [face])
    assert ax.images[0].get_array().shape[0] == plots.SHOWN_SIDE
    assert ax.patches[0].get_width() == pytest.approx(face.box[2] * plots.SHOWN_SIDE / 3000)


def test_each_box_bears_its_own_label_at_its_corner():
    faces = [Face((20.0, 40.0, 30.0, 30.0), 1, {}), Face((120.0, 50.0, 30.0, 30.0), 1, {})]
    ax = plots.boxes(np.zeros((100, 200, 3), "uint8"), faces, labels=["left", "right"])
    assert [(text.get_text(), text.get_position()) for text in ax.texts] == [
        ("left", (20, 40)),
        ("right", (120, 50)),
    ]


def test_each_bar_bears_the_name_of_its_class():
    ax = plots.probabilities("gender", np.array([0.2, 0.8]))
    names = [label.get_text() for label in ax.get_yticklabels()]
    lengths = [bar.get_width() for bar in ax.patches]
    assert names == ["male", "female"] and lengths == [0.2, 0.8]


def test_the_answer_is_the_strong_bar():
    ax = plots.probabilities("gender", np.array([0.2, 0.8]))
    assert matplotlib.colors.to_hex(ax.patches[1].get_facecolor()) == plots.ANSWER_COLOUR
    assert ax.get_title() == "gender: female (80%)"


def test_an_age_in_years_is_told_with_its_interval(seen, alexnet_gap):
    assert plots.age_in_words([30, 24, 37]) == "30 years (24–37)"
    assert plots.age_in_words([1, 0, 2]) == "1 year (0–2)"
    told = plots.age_in_words(seen.years[0])
    for figure in (plots.explanation(seen), plots.reweighted_view(seen, "gender")):
        with_years = [ax for ax in figure.axes if ax.get_title().endswith(f"\n{told}")]
        assert len(with_years) == 1 and "25-32" in with_years[0].get_title()
    without = plots.explanation(alexnet_gap.explain(seen.image))
    assert not any("years" in ax.get_title() for ax in without.axes)


def test_the_whole_explanation_of_one_and_of_many_faces(model, seen, astronaut):
    one = plots.explanation(seen)
    titles = [ax.get_title() for ax in one.axes]
    assert "where people look (ML-Net)" in titles and "reweighted, ratio 30%" in titles
    assert sum(title.startswith("CAM of ") for title in titles) == 3
    assert one.axes[0].get_title().startswith("detected (score 99.9")


def test_a_group_is_shown_once_and_its_largest_faces_below(model, astronaut):
    crowd = np.concatenate([astronaut[:300, 100:400]] * 6, axis=1)
    crowd[:300, :300] = images.resize(
        np.pad(astronaut[:300, 100:400], ((150, 150), (150, 150), (0, 0))), (300, 300)
    )
    group = model.explain(crowd)
    assert len(group.faces) == 6
    sizes = [face.box[2] * face.box[3] for face in group.faces]
    quality = ["small: 40 px" if size == min(sizes) else "" for size in sizes]
    group = dataclasses.replace(group, quality=quality)
    figure = plots.explanation(group)
    assert figure.axes[0].get_title() == "photo 0: 6 faces, the 4 largest below"
    assert (
        len(figure.axes[0].patches) == 6
        and sum(len(ax.patches) == 6 for ax in figure.axes if ax.images) == 1
    )
    shown = [
        ax.get_title().split(",")[0] for ax in figure.axes if ax.get_title().startswith("face ")
    ]
    assert shown == [f"face {i}" for i in sorted(range(6), key=lambda i: -sizes[i])[:4]]
    assert figure.get_size_inches()[1] * 110 < 2000
    small = dataclasses.replace(group.only(int(np.argmin(sizes))), image=crowd)
    assert "small: 40 px" in [
        text.get_text() for ax in plots.explanation(small).axes for text in ax.texts
    ]


@pytest.mark.parametrize("name, word", [("model", r"\d+ years"), ("alexnet_gap", r"\d+-\d+")])
def test_the_labels_of_a_group_tell_years_where_there_are_any(request, name, word, astronaut):
    pair = request.getfixturevalue(name).explain(np.hstack([astronaut, astronaut[:, ::-1]]))
    said = sorted(text.get_text() for text in plots.explanation(pair).axes[0].texts)
    assert [bool(re.fullmatch(rf"\d: {word}, \w+, happy", text)) for text in said] == [True] * 2


def test_labels_cover_neither_each_other_nor_another_box():
    photo, faces = (
        np.zeros((300, 400, 3), "uint8"),
        [Face((10.0 + 30 * i, 100, 20, 24), 1, {}) for i in range(10)],
    )
    words, numbers = (
        [f"{i}: 25-32, female, neutral" for i in range(10)],
        [str(i) for i in range(10)],
    )
    ax = plots.boxes(photo, faces, labels=words, short=numbers)
    ax.figure.canvas.draw()
    said = [text.get_text() for text in ax.texts]
    assert len(said) == 10 and set(said) & set(words) and set(said) & set(numbers)
    extents = [text.get_window_extent() for text in ax.texts]
    outlines = [patch.get_window_extent() for patch in ax.patches]
    assert not any(one.overlaps(other) for i, one in enumerate(extents) for other in extents[:i])
    worded = [extent for extent, text in zip(extents, said, strict=True) if text in words]
    assert not any(
        extent.overlaps(outline.shrunk(0.9, 0.9)) for extent in worded for outline in outlines
    )
    assert (
        len(plots.boxes(photo, [faces[0]] * 9, labels=words, short=numbers).texts) < 9
    )  # no room left


def test_scores_are_told_apart():
    assert plots.percentages([0.99834, 0.99991]) == ["99.83 %", "99.99 %"]
    assert plots.percentages([0.5, 0.5, 1.0]) == ["50.0 %", "50.0 %", "100.0 %"]
    assert plots.percentages([0.99996]) == ["99.996 %"] and plots.percentages([]) == []


def test_words_of_others_are_drawn_as_they_stand(seen, predictions):
    name = r"a$b$c_{ \alpha$ 100% $5 $\frac$ 日本.jpg"
    named = dataclasses.replace(seen, photo=name, quality=[name])
    pair = dataclasses.replace(
        named,
        **{part: getattr(named, part) * 2 for part in ("faces", "quality")},
        **{part: np.concatenate([getattr(named, part)] * 2) for part in ("crops", "maps", "years")},
        **{
            part: {task: np.concatenate([v] * 2) for task, v in getattr(named, part).items()}
            for part in ("probabilities", "cams")
        },
    )
    name = r"$\frac$日"
    groups = evaluation.by_group(predictions.assign(race=name), "race")
    counts = pd.DataFrame([[1, 2], [3, 4]], [name, "b"], [name, "b"])
    history = pd.DataFrame({"loss": [1.0, 0.5]})
    wrong = predictions.replace("male", name).rename(columns={"p_male": f"p_{name}"})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for figure in (
            plots.explanation(named),
            plots.explanation(pair),
            plots.boxes(seen.image, seen.faces, labels=[name], title=name).figure,
            plots.by_group(groups, title=name).figure,
            plots.confusion(counts, title=name).figure,
            plots.confusion_beside(counts, counts, title=name).figure,
            plots.training_curves({name: history}, measure="loss", title=name).figure,
            plots.gallery(wrong, np.zeros((60, 8, 8, 3), "uint8")).figure,
        ):
            figure.canvas.draw()
            theirs = [
                text for text in figure.findobj(matplotlib.text.Text) if "$" in text.get_text()
            ]
            assert theirs and not any(text.get_parse_math() for text in theirs)


def test_only_what_no_font_has_is_replaced():
    assert plots.readable("Zoë, Ωμέγα\n$5") == "Zoë, Ωμέγα\n$5"
    assert plots.readable("\udc80a") == "□a"


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
        {
            "image": [f"{i}.jpg" for i in range(60)],
            "fold": 0,
            "label": labels,
            "answer": names[p.argmax(axis=1)],
        }
    )
    return table.assign(p_male=p[:, 0], p_female=p[:, 1], race=["A"] * 50 + ["B"] * 10)


def words(ax):
    return [text.get_text() for text in ax.texts]


@pytest.fixture
def history():
    return pd.DataFrame(
        {
            "epoch": [1, 2, 3],
            "accuracy": [0.5, 0.6, 0.7],
            "val_accuracy": [0.5, 0.55, 0.6],
            "loss": [3, 2, 1],
        }
    )


def test_every_evaluation_plot_draws_into_the_axes_given(predictions, history):
    crops = np.zeros((60, 8, 8, 3), "uint8")
    for draw in (
        lambda ax: plots.confusion(evaluation.confusion(predictions), ax=ax),
        lambda ax: plots.confusion_beside(of := evaluation.confusion(predictions), of, ax=ax),
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


def test_confusion_beside_shows_both_and_their_difference():
    counts = pd.DataFrame([[3, 1, 0], [0, 2000, 0], [0, 0, 0]], list("abc"), list("abc"))
    published = pd.DataFrame(
        [[75.0, 20.0, 5.0], [90.0, 10.0, 0.0], [0.0, 0.0, 100.0]], list("abc"), list("abc")
    )
    ax = plots.confusion_beside(counts, published)
    assert words(ax) == [
        *("75.0", "75.0", "25.0", "20.0", "0.0", "5.0"),
        *("0.0", "90.0", "100.0", "10.0", "0.0", "0.0"),
        *("–", "0.0", "–", "0.0", "–", "100.0"),
    ]
    drawn = ax.images[0]
    differences = drawn.get_array()
    assert differences[:2].tolist() == [[0, 5, -5], [-90, 90, 0]]
    assert np.ma.masked_invalid(differences)[2].mask.all() and drawn.get_clim() == (-40, 40)
    orange, blank, blue = drawn.cmap([0.0, 0.5, 1.0])
    assert orange[0] > orange[2] and np.allclose(blank[:3], 1, atol=0.01) and blue[2] > blue[0]
    assert ax.get_title() == "mean of the diagonal: ours 87.5 %, published 61.7 %"
    with pytest.raises(ValueError, match="the same classes"):
        plots.confusion_beside(counts, published.iloc[::-1])


def test_reliability_shows_error_and_faces(predictions):
    bins = evaluation.reliability(predictions, bins=10)
    ax = plots.reliability(bins)
    assert (
        ax.get_title()
        == f"calibration error {evaluation.calibration_error(predictions, bins=10):.1%}"
    )
    assert [bar.get_height() for bar in ax.patches] == bins.accuracy.dropna().tolist()
    (strip,) = ax.child_axes
    np.testing.assert_allclose([bar.get_height() for bar in strip.patches], bins.faces / 60)


def test_groups_show_intervals_and_the_few(predictions):
    groups = evaluation.by_group(predictions, "race")
    ax = plots.by_group(groups)
    assert words(ax) == ["n = 50", "n = 10 (few)"]
    overall, first, dot, _, hollow = ax.lines
    assert overall.get_xdata()[0] == pytest.approx(evaluation.accuracy(predictions))
    assert (
        first.get_xdata() == pytest.approx([groups.low[0], groups.high[0]])
        and dot.get_xdata()[0] == groups.accuracy[0]
    )
    assert hollow.get_markerfacecolor() == "white" != dot.get_markerfacecolor()


def test_curves_of_arms_and_folds(history):
    ax = plots.training_curves({"with": history, "without": history})
    assert [line.get_linestyle() for line in ax.lines] == ["--", "-"] * 2
    assert ax.lines[1].get_xdata().tolist() == [1, 2, 3] and ax.lines[1].get_ydata().tolist() == [
        0.5,
        0.55,
        0.6,
    ]
    assert [text.get_text() for text in ax.get_legend().texts] == ["with", "without"]
    unnumbered = plots.training_curves({"with": history.drop(columns="epoch")})
    assert unnumbered.lines[1].get_xdata().tolist() == [1, 2, 3]
    folds = pd.concat(
        [history.assign(fold=0), history.assign(fold=1, val_accuracy=history.val_accuracy + 0.2)]
    )
    ax = plots.training_curves({"with": folds})
    assert ax.lines[1].get_ydata() == pytest.approx([0.6, 0.65, 0.7])
    assert len(ax.collections) == 1  # the band from the worst fold to the best
    alone = plots.training_curves({"with": history}, measure="loss")
    assert alone.get_title() == "loss" and alone.lines[0].get_linestyle() == "-"
    with pytest.raises(ValueError, match="'with' has no column recall; it has epoch"):
        plots.training_curves({"with": history}, measure="recall")


@pytest.fixture
def over_ratios():
    summaries = ((0.0, 0.84), (0.3, 0.80), (0.9, 0.70))
    arms = [
        ArmResult(
            Arm("alexnet", ratio), 9, {"accuracy": {"mean": mean, "error": 0.02}}, [], [], [], {}
        )
        for ratio, mean in summaries
    ]
    return Comparison("gender", arms, [])


def test_axes_say_what_they_measure(predictions, history, over_ratios):
    counts = evaluation.confusion(predictions)
    reliability = plots.reliability(evaluation.reliability(predictions))
    drawn = [
        plots.confusion(counts),
        plots.confusion_beside(counts, counts),
        plots.training_curves({"with": history}, measure="loss"),
        plots.against_ratio(over_ratios),
        *(reliability, *reliability.child_axes),
    ]
    assert [(ax.get_xlabel(), ax.get_ylabel()) for ax in drawn] == [
        ("answer", "label (faces)"),
        ("answer (in each cell ours above, the published share below)", "label (faces)"),
        ("epoch", "loss"),
        ("ratio of the reweighting, %", "accuracy"),
        *(("", "accuracy"), ("confidence", "faces")),
    ]


def test_ticks_say_the_values_at_which_they_stand(over_ratios):
    axis = plots.against_ratio(over_ratios).yaxis
    axis.axes.figure.canvas.draw()
    ticks = axis.get_majorticklocs()
    labels = [tick.label1.get_text() for tick in axis.get_major_ticks()]
    assert len(ticks) > 3 and np.allclose(
        [float(label.rstrip("%")) for label in labels], 100 * ticks
    )


def test_gallery_shows_the_surest_wrong_answers(predictions):
    crops = np.broadcast_to(np.arange(60, dtype="uint8")[:, None, None, None], (60, 4, 4, 3))
    ax = plots.gallery(predictions, crops, shown=2)
    wrong = predictions[predictions.label != predictions.answer]
    surest = wrong[["p_male", "p_female"]].max(axis=1).sort_values(ascending=False).index[:2]
    assert [cell.images[0].get_array()[0, 0, 0] for cell in ax.child_axes] == surest.tolist()
    first = predictions.loc[surest[0]]
    assert words(ax)[:2] == [
        f"{first.label} → {first.answer}",
        f"{max(first.p_male, first.p_female):.0%} sure",
    ]
    right = predictions.assign(label=predictions.answer)
    assert plots.gallery(right, crops).get_title() == "no wrong answer"
    with pytest.raises(ValueError, match="59 crops and 60 rows"):
        plots.gallery(predictions, crops[1:])


# --- films -----------------------------------------------------------------------------------------------------------


def film_table(tracks=2, frames=4):
    rows = [
        {"time_s": 0.5 * i, "track": track, "age_years": 30.0, "age_low": 25.0, "age_high": 36.0}
        | {"age": "25-32", "age_p": 0.9, "gender": ("male", "female")[track % 2], "gender_p": 0.5}
        for track in range(tracks)
        for i in range(frames)
    ]
    return pd.DataFrame(rows)


def test_each_track_has_a_line_of_years_and_lanes_of_other_answers():
    figure = plots.tracks_over_time(film_table(), title="a.mp4")
    years, gender = figure.axes
    assert [line.get_xdata().tolist() for line in years.lines] == [[0, 0.5, 1, 1.5]] * 2
    assert [bar.get_width() for bar in gender.patches] == [0.5] * 8
    assert [label.get_text() for label in gender.get_yticklabels()] == ["#0", "#1"]
    assert [text.get_text() for text in gender.get_legend().get_texts()] == ["male", "female"]


def test_nothing_is_drawn_over_what_was_not_seen():
    table = film_table(tracks=1, frames=8)
    years, gender = plots.tracks_over_time(table.drop(index=[2, 3, 4])).axes
    assert np.isnan(years.lines[0].get_ydata()).sum() == 1
    assert max(bar.get_width() for bar in gender.patches) == 0.5


def test_of_many_tracks_the_longest_are_drawn():
    figure = plots.tracks_over_time(film_table(tracks=20, frames=2))
    assert "the 12 longest of 20 tracks" in figure.get_suptitle()
    groups = plots.tracks_over_time(film_table().drop(columns=["age_years", "age_low", "age_high"]))
    assert len(groups.axes[0].patches) == 8


def test_a_table_without_tracks_draws_nothing():
    with pytest.raises(ValueError, match="no tracks"):
        plots.tracks_over_time(pd.DataFrame({"photo": ["a"]}))


def labelled(ends, limits):
    """Axes with a line for each height at which one ends, and what stands beside them: label, height, colour."""
    ax = plt.subplots(figsize=(4, 3))[1]
    for place, end in enumerate(ends):
        ax.plot(
            [0, 1, 2], [0.5, end, np.nan], label=f"line {place}", color=plots.LINE_COLOURS[place]
        )
    ax.set_ylim(limits)
    ax.legend()
    plots.label_lines(ax)
    return ax, {text.get_text(): text for text in ax.texts}


def test_lines_are_labelled_at_their_ends_in_their_colours():
    ax, texts = labelled([0.2, 0.8], (0, 1))
    assert ax.get_legend() is None
    assert texts["line 0"].get_position()[1] == pytest.approx(0.2)
    assert texts["line 1"].get_color() == plots.LINE_COLOURS[1]


def test_labels_that_would_cover_each_other_are_moved_apart():
    ax, texts = labelled([0.5, 0.5, 0.51, 0.0], (0, 1))
    ax.figure.canvas.draw()
    boxes = sorted((t.get_window_extent() for t in texts.values()), key=lambda box: box.y0)
    assert all(low.y1 <= high.y0 + 1 for low, high in itertools.pairwise(boxes))
    assert texts["line 3"].get_position()[1] == pytest.approx(0)


@pytest.mark.parametrize("end", [0, 1])
def test_labels_keep_off_the_axis_and_the_title(end):
    _, texts = labelled([end] * 5, (0, 1))
    places = [text.get_position()[1] for text in texts.values()]
    assert min(places) >= 0 and max(places) <= 1 and len(set(places)) == 5


def test_there_is_a_colour_for_each_class():
    assert len(set(plots.LINE_COLOURS)) >= max(map(len, CLASSES.values()))


def test_no_function_bears_the_name_of_a_part():
    """An imported part would hide it."""
    parts = [importlib.import_module(f"safbage.show.plots.{part}") for part in plots.PARTS]
    found = {name for part in parts for name in part.__all__}
    assert "boxes" in found and not found & set(plots.PARTS)
