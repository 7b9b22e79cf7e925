"""The training scripts: what goes in, and that a killed run resumes to the same result."""

import argparse
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import prepare_faces
import train_gap_head
from conftest import data_folder, killed_and_whole

from safbage import SafBage, classifiers, images


def test_what_is_listed_of_utkface(tmp_path, generator):
    for name in ("25_0_2_1.jpg.chip.jpg", "61_1_20170109142408075.jpg.chip.jpg", "8_1_4_2.jpg.chip.jpg", "3_1_0_2.jpg"):
        images.write(tmp_path / name, generator.integers(0, 256, (8, 8, 3), "uint8"))
    table = prepare_faces.listed("utkface", tmp_path)
    assert [Path(file).name[:3] for file in table.file] == ["25_", "3_1", "8_1"]
    assert table.age.astype(object).fillna("").tolist() == ["25-32", "", "8-13"]
    assert table[["years", "gender", "race"]].values.tolist() == [[25, "male", 2], [3, "female", 0], [8, "female", 4]]
    assert set(table.pool) == {"all"}


def test_what_is_listed_of_fer2013(tmp_path, generator):
    for name in ("train/angry/1.png", "validation/happy/2.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        images.write(tmp_path / name, generator.integers(0, 256, (48, 48, 3), "uint8"))
    table = prepare_faces.listed("fer2013", tmp_path)
    assert table[["expression", "pool"]].values.tolist() == [["anger", "train"], ["happy", "test"]]


def test_splits_are_disjoint_seeded_and_keep_a_sets_own_test():
    table = pd.DataFrame({"file": range(2000), "pool": "all"})
    split = prepare_faces.with_split(table).split
    assert split.equals(prepare_faces.with_split(table).split)
    assert 0.12 < (split == "test").mean() < 0.18 and 0.05 < (split == "validation").mean() < 0.12
    own = prepare_faces.with_split(table.assign(pool=["test"] * 500 + ["train"] * 1500)).split
    assert (own[:500] == "test").all() and not (own[500:] == "test").any()


def test_no_picture_of_utkface_is_in_two_splits_and_the_test_split_is_answered():
    folder = data_folder("UTKFace")
    table = prepare_faces.with_split(prepare_faces.listed("utkface", folder))
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
