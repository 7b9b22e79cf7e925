"""Synthetic faces: their factors, their pictures, and the folder they are written to."""

import dataclasses

import numpy as np
import pytest

from safbage import datasets, faces, images
from safbage.datasets import tables
from safbage.datasets.drawn import (
    BACKGROUNDS,
    FACIAL_HAIR,
    HAIR,
    HAIR_COLOURS,
    FaceFactors,
    draw_factors,
    draw_picture,
    face_box,
    factors_of,
    render,
)
from safbage.errors import DatasetError
from safbage.tasks import AGE_GROUPS, BOX, EXPRESSIONS, GENDERS

PLAIN = FaceFactors(age=30, gender="female", expression="neutral", hair="bun", noise=2.0, seed=7)
PICTURE = (
    "expression",
    "intensity",
    "teeth",
    "yaw",
    "pitch",
    "roll",
    "scale",
    "shift",
    "light",
    "background",
    "clothes",
)
PICTURE += ("blur", "noise", "seed")


def changed(picture, other):
    """Rows and columns of the pixels that clearly differ."""
    return np.nonzero(np.abs(picture.astype(int) - other).max(axis=2) > 3)


@pytest.fixture(scope="module")
def set_of_20(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic") / "faces"
    return folder, datasets.synthetic(folder, 20, size=128, progress=False)


# --- factors ----------------------------------------------------------------------------------------------------------


def test_the_same_generator_draws_the_same_factors():
    assert draw_factors(np.random.default_rng(3)) == draw_factors(np.random.default_rng(3))
    assert draw_factors(np.random.default_rng(3)) != draw_factors(np.random.default_rng(4))


def test_given_labels_are_kept_and_years_lie_in_the_group(generator):
    for group in AGE_GROUPS:
        factors = draw_factors(generator, age_group=group, gender="male", expression="fear")
        assert (factors.age_group, factors.gender, factors.expression) == (group, "male", "fear")


def test_another_picture_is_of_the_same_person(generator):
    person = draw_factors(generator)
    other = draw_picture(generator, person)
    differing = {
        field.name
        for field in dataclasses.fields(person)
        if getattr(person, field.name) != getattr(other, field.name)
    }
    assert "yaw" in differing
    assert differing <= set(PICTURE)


def test_labels_are_balanced_in_every_whole_block():
    factors = [factors_of(index, seed=2) for index in range(112)]
    for name, classes in (
        ("age_group", AGE_GROUPS),
        ("gender", GENDERS),
        ("expression", EXPRESSIONS),
    ):
        drawn = [getattr(one, name) for one in factors]
        assert {drawn.count(label) for label in classes} == {112 // len(classes)}


def test_nuisance_factors_do_not_depend_on_the_labels():
    factors = [factors_of(index, seed=1) for index in range(1120)]
    for name in ("skin", "eyes", "glasses", "yaw", "roll", "clothes", "noise", "scale"):
        values = np.array([float(getattr(one, name)) for one in factors])
        for label in ("gender", "expression", "age_group"):
            classes = np.array([getattr(one, label) for one in factors])
            means = [values[classes == one].mean() for one in set(classes)]
            # Between 8 classes of 140 each, standardised means spread by some 0.25.
            assert np.ptp(means) / values.std() < 0.45, (name, label)


def test_only_grown_men_have_facial_hair():
    factors = [factors_of(index) for index in range(320)]
    assert {one.gender for one in factors if one.facial_hair != "none"} == {"male"}
    assert min(one.age for one in factors if one.facial_hair != "none") >= 22


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_a_picture_is_rgb_of_the_size_asked_for_and_always_the_same():
    picture = render(PLAIN, (120, 160))
    assert picture.shape == (120, 160, 3)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, render(PLAIN, (120, 160)))


def test_every_style_can_be_painted():
    for values in ({"hair": h} for h in HAIR["male"]):
        assert render(dataclasses.replace(PLAIN, **values), (64, 64)).std() > 10
    for name, values in (
        ("hair_colour", HAIR_COLOURS),
        ("facial_hair", FACIAL_HAIR),
        ("background", BACKGROUNDS),
    ):
        for value in values:
            assert render(dataclasses.replace(PLAIN, **{name: value}), (64, 64)).std() > 10


@pytest.mark.parametrize("expression", EXPRESSIONS[1:])
def test_an_expression_changes_the_face_and_nothing_else(expression):
    other = dataclasses.replace(PLAIN, expression=expression)
    rows, columns = changed(render(PLAIN), render(other))
    left, top, width, height = face_box(other)
    assert len(rows) > 300
    # The shadow on the neck moves with a dropped jaw.
    assert top <= rows.min() and rows.max() < top + 1.3 * height
    # The box is a little narrower than the head.
    assert left - 0.05 * width <= columns.min() and columns.max() < left + 1.05 * width


def test_background_and_clothes_leave_the_face_alone():
    left, top, width, height = (round(value) for value in face_box(PLAIN))
    inner = np.s_[
        top + height // 4 : top + height * 3 // 4, left + width // 4 : left + width * 3 // 4
    ]
    still = dataclasses.replace(PLAIN, noise=0.0)
    other = dataclasses.replace(still, background="shelf", clothes=0.9)
    np.testing.assert_array_equal(render(still)[inner], render(other)[inner])
    assert len(changed(render(still), render(other))[0]) > 10_000


def test_the_box_follows_the_face():
    moved = dataclasses.replace(PLAIN, shift=(0.1, -0.05))
    np.testing.assert_allclose(
        np.subtract(face_box(moved), face_box(PLAIN)), (25.6, -12.8, 0, 0), atol=1e-6
    )
    np.testing.assert_allclose(face_box(PLAIN, (512, 512)), np.multiply(2, face_box(PLAIN)))
    assert face_box(PLAIN)[3] == pytest.approx(128, rel=0.1)


@pytest.mark.parametrize(
    "wrong", [{"hair": "mohawk"}, {"expression": "bored"}, {"gender": "F"}, {"background": "sea"}]
)
def test_an_unknown_name_is_refused(wrong):
    with pytest.raises(ValueError, match="expected one of"):
        render(dataclasses.replace(PLAIN, **wrong))


def test_a_tiny_picture_is_refused():
    with pytest.raises(ValueError, match="64"):
        render(PLAIN, (32, 256))


def test_mtcnn_finds_the_faces_where_they_are():
    found = 0
    for index in range(40):
        factors = factors_of(index, seed=5)
        detected = faces.detect_faces(render(factors), min_face_size=40)
        if detected and detected[0].score >= 0.9:
            found += overlap(detected[0].box, face_box(factors)) > 0.6
    assert found >= 38


def overlap(box, other):
    """Intersection over union of two boxes (left, top, width, height)."""
    sides = [
        min(a + c, b + d) - max(a, b)
        for a, b, c, d in zip(box[:2], other[:2], box[2:], other[2:], strict=True)
    ]
    both = max(sides[0], 0) * max(sides[1], 0)
    return both / (box[2] * box[3] + other[2] * other[3] - both)


# --- the folder -------------------------------------------------------------------------------------------------------


def test_the_listing_tells_all_labels(set_of_20):
    folder, (table, dropped) = set_of_20
    assert list(table.columns) == [*tables.COLUMNS, *BOX]
    assert len(table) == 20 and len(dropped) == 0
    assert table.drop(columns="fold").notna().all().all()
    assert table.subject.is_unique
    assert (table.age.map(tables.age_group) == table.age_group.astype(str)).all()
    assert sorted(path.name for path in folder.glob("*.jpg")) == [
        f"face-{index:06d}.jpg" for index in range(20)
    ]
    for row in table.itertuples():
        assert images.read(row.image).shape == (128, 128, 3)
        assert row.box_left >= 0 and row.box_left + row.box_width <= 128


def test_a_second_call_paints_nothing_and_tells_the_same(set_of_20, monkeypatch):
    folder, before = set_of_20
    monkeypatch.setattr(images, "write", lambda *_, **__: pytest.fail("painted again"))
    after = datasets.synthetic(folder, 20, size=128, progress=False)
    assert before.faces.equals(after.faces)


def test_a_longer_set_begins_with_the_shorter(set_of_20, tmp_path):
    folder, whole = set_of_20
    short = datasets.synthetic(tmp_path, 5, size=128, progress=False)
    for name in ("age", "gender", "expression", "split", "box_top"):
        assert short.faces[name].tolist() == whole.faces[name][:5].tolist()
    assert (tmp_path / "face-000004.jpg").read_bytes() == (folder / "face-000004.jpg").read_bytes()


@pytest.mark.parametrize("other", [{"size": 96}, {"seed": 1}, {"pictures_per_subject": 2}])
def test_other_settings_in_the_same_folder_are_refused(set_of_20, other):
    with pytest.raises(DatasetError, match=next(iter(other))):
        datasets.synthetic(set_of_20[0], 20, progress=False, **({"size": 128} | other))


@pytest.mark.parametrize(
    "wrong", [{"count": 0}, {"size": 32}, {"seed": -1}, {"pictures_per_subject": 0}]
)
def test_numbers_out_of_range_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match="expected"):
        datasets.synthetic(tmp_path / "none", **({"count": 1} | wrong))
    assert not (tmp_path / "none").exists()


def test_a_killed_run_leaves_whole_files(set_of_20, tmp_path, monkeypatch):
    real, calls = images.write, []

    def killed(path, image):
        calls.append(path)
        if len(calls) == 3:
            path.write_bytes(b"half")
            raise KeyboardInterrupt
        return real(path, image)

    monkeypatch.setattr(images, "write", killed)
    with pytest.raises(KeyboardInterrupt):
        datasets.synthetic(tmp_path, 4, size=128, progress=False)
    assert len(list(tmp_path.glob("face-*.jpg"))) == 2
    monkeypatch.setattr(images, "write", real)
    datasets.synthetic(tmp_path, 4, size=128, progress=False)
    assert not list(tmp_path.glob("writing-*"))
    for index in range(4):
        name = f"face-{index:06d}.jpg"
        assert (tmp_path / name).read_bytes() == (set_of_20[0] / name).read_bytes()


def test_pictures_of_a_subject_share_the_person_and_the_split(tmp_path):
    table = datasets.synthetic(tmp_path, 12, size=64, pictures_per_subject=3, progress=False).faces
    assert table.groupby("subject").size().tolist() == [3, 3, 3, 3]
    for name in ("age", "gender", "split"):
        assert (table.groupby("subject")[name].nunique() == 1).all()
    first, second = (factors_of(index, pictures_per_subject=3) for index in (0, 1))
    assert (first.skin, first.hair, first.build) == (second.skin, second.hair, second.build)
    assert (first.yaw, first.seed) != (second.yaw, second.seed)
