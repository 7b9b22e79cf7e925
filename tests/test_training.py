"""The training scripts: what goes in, and that a killed run resumes to the same result."""

import argparse
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import prepare_faces
import pytest
import train_gap_head
from conftest import data_folder, killed_and_whole

from safbage import SafBage, classifiers, images


@pytest.mark.parametrize(
    "age, group", [(0, "0-2"), (3, None), (13, "8-13"), (14, None), (25, "25-32"), (60, "60+"), (116, "60+")]
)
def test_ages_fall_into_adiences_groups(age, group):
    assert prepare_faces.age_group(age) == group


def test_utkface_names(tmp_path):
    for name in ("25_0_2_1.jpg.chip.jpg", "61_1_20170109142408075.jpg.chip.jpg", "8_1_4_2.jpg.chip.jpg"):
        (tmp_path / name).touch()
    table = prepare_faces.list_utkface(tmp_path)
    assert table[["age", "gender", "race"]].values.tolist() == [["25-32", "male", 2], ["8-13", "female", 4]]


def test_duplicates_go_before_the_split_and_wholly_where_labels_disagree(tmp_path, generator):
    pictures = generator.integers(0, 256, (3, 8, 8, 3), "uint8")
    files = [images.write(tmp_path / f"{i}.png", pictures[k]) for i, k in enumerate((0, 0, 1, 1, 2))]
    table = pd.DataFrame({"file": files, "gender": ["male", "male", "male", "female", "female"], "pool": "all"})
    left = prepare_faces.without_duplicates(table, ["gender"])
    assert [file.name for file in left.file] == ["0.png", "4.png"]


def test_splits_are_disjoint_seeded_and_keep_a_sets_own_test():
    table = pd.DataFrame({"file": range(2000), "pool": "all"})
    split = prepare_faces.with_split(table).split
    assert split.equals(prepare_faces.with_split(table).split)
    assert 0.12 < (split == "test").mean() < 0.18 and 0.05 < (split == "validation").mean() < 0.12
    own = prepare_faces.with_split(table.assign(pool=["test"] * 500 + ["train"] * 1500)).split
    assert (own[:500] == "test").all() and not (own[500:] == "test").any()


def test_no_picture_of_utkface_is_in_two_splits_and_the_test_split_is_answered():
    folder = data_folder("UTKFace")
    table = prepare_faces.with_split(prepare_faces.without_duplicates(prepare_faces.list_utkface(folder), ["years", "gender"]))
    pixels = pd.Series([images.read(file).tobytes() for file in table.file]).map(hash)
    splits = table.groupby(pixels).split.nunique()
    assert len(table) > 10_000 and splits.max() == 1
    tested = table[(table.split == "test") & table.age.notna()][::8]
    answers = SafBage.load(tasks=("age", "gender")).predict(list(tested.file.map(Path)), progress=False)
    surest = answers[answers.face == 0].set_index("photo").loc[lambda t: ~t.index.duplicated()]
    tested = tested.set_index(tested.file.astype(str)).loc[surest.index]
    assert len(tested) > 200
    assert (surest.gender == tested.gender).mean() > 0.83 and (surest.age == tested.age).mean() > 0.55


def test_scenes_fill_what_lies_beyond_the_picture(generator):
    face = np.full((224, 224, 3), 200, "uint8")
    scene = np.full((300, 400, 3), 10, "uint8")
    filled = train_gap_head.with_scene(face, (50.0, 60.0, 100.0, 140.0), (200, 200), [scene], generator)
    # the square is 182 wide and begins at (9, 39): rows beyond 161 of 182 lie below the picture
    assert (filled[:190, 10:] == 200).all() and (filled[206:] == 10).all()


def test_names_of_utkface_that_are_no_labels_are_left_out(tmp_path):
    for name in ("25__0_x.jpg", "x_0_0_1.jpg", "25_01_0_1.jpg", "25_0_9_1.jpg"):
        (tmp_path / name).touch()
    assert prepare_faces.list_utkface(tmp_path).empty


def test_variants_are_seeded_and_the_first_is_the_face(astronaut):
    face = images.resize(astronaut, (224, 224))
    seen = [train_gap_head.variant(face, k, np.random.default_rng((5, k))) for k in range(train_gap_head.VARIANTS)]
    again = [train_gap_head.variant(face, k, np.random.default_rng((5, k))) for k in range(train_gap_head.VARIANTS)]
    assert all(np.array_equal(a, b) for a, b in zip(seen, again, strict=True))
    assert np.array_equal(seen[0], face) and np.array_equal(seen[1], face[:, ::-1])
    assert all(v.shape == face.shape and v.dtype == np.uint8 for v in seen)
    assert not any(np.array_equal(seen[2], other) for other in seen[3:])


def test_a_killed_head_training_resumes_to_the_same_weights(tmp_path, monkeypatch, generator):
    features = np.maximum(generator.normal(size=(40, train_gap_head.VARIANTS, *classifiers.TRUNK_SHAPE)), 0).astype("float16")
    labels, split = np.arange(40) % 2, np.where(np.arange(40) < 30, "train", "validation")
    args = argparse.Namespace(epochs=4, batch=10, rate=1e-3, weight_decay=0.01, smoothing=0.05, balance=0.5, seed=0)

    def run(folder):
        keras.utils.set_random_seed(0)
        head = classifiers.gap_head(2)
        assert 1 <= train_gap_head.train(head, features, labels, split, folder, args) <= 4
        return head.get_weights()

    killed, whole = killed_and_whole(tmp_path, monkeypatch, train_gap_head, "probabilities", run)
    assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(killed, whole, strict=True))
