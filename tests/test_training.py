"""The training scripts: what goes in, and that a killed run resumes to the same result."""

import argparse
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import prepare_faces
import pytest
import train_gap_head
import train_mlnet_head
import work
from conftest import data_folder

from safbage import SafBage, classifiers, images, mlnet


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


def test_arrays_on_disk_resume_where_they_were_killed(tmp_path):
    computed = []

    def compute(part, killed_at=None):
        if part.start == killed_at:
            raise KeyboardInterrupt
        computed.append(part.start)
        return np.arange(part.start, part.stop)

    path = tmp_path / "a.npy"
    with pytest.raises(KeyboardInterrupt):
        work.resumable(path, (10,), "int64", lambda part: compute(part, 6), 3, "")
    array = work.resumable(path, (10,), "int64", compute, 3, "")
    assert computed == [0, 3, 6, 9] and array.tolist() == list(range(10))
    assert work.resumable(path, (10,), "int64", None, 3, "").tolist() == list(range(10))


def test_arrays_of_another_shape_are_not_gone_on_with(tmp_path):
    work.resumable(tmp_path / "a.npy", (10,), "int64", lambda part: 0, 3, "")
    with pytest.raises(SystemExit, match="another folder"):
        work.resumable(tmp_path / "a.npy", (11,), "int64", lambda part: 0, 3, "")


def test_a_folder_keeps_to_its_settings(tmp_path):
    settings = {"epochs": 3, "faces": tmp_path, "scenes": None}
    work.keep_settings(tmp_path / "new", settings)
    work.keep_settings(tmp_path / "new", settings)
    with pytest.raises(SystemExit, match="epochs: 3 there, 4 now"):
        work.keep_settings(tmp_path / "new", settings | {"epochs": 4})


@pytest.mark.parametrize("killed_in", ["save_weights", "write_whole"])
def test_a_kill_while_an_epoch_is_written_loses_that_epoch_only(tmp_path, monkeypatch, killed_in):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, name="fc", use_bias=False)])
    model.set_weights([np.array([[1.0]])])
    log = work.EpochLog(tmp_path)
    log.add(model, {"epoch": 1})
    model.set_weights([np.array([[2.0]])])

    def half(path, *_):
        Path(path).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(*((model, killed_in) if killed_in == "save_weights" else (work, killed_in)), half)
    with pytest.raises(KeyboardInterrupt):
        log.add(model, {"epoch": 2})
    monkeypatch.undo()
    if killed_in == "write_whole":  # here the stand-in wrote over the log itself, which the real one never does
        (tmp_path / "log.json").write_text('[{"epoch": 1}]')
    again = work.EpochLog(tmp_path)
    again.resume(model)
    assert again.rows == [{"epoch": 1}] and model.get_weights()[0].item() == 1


def test_files_are_written_whole_or_not_at_all(tmp_path):
    (tmp_path / "a").write_text("before")

    def half(aside):
        aside.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work.write_whole(tmp_path / "a", half)
    assert (tmp_path / "a").read_text() == "before"


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


def test_fixation_maps():
    map = train_mlnet_head.fixation_map(np.array([[10.0, 20.0], [-5.0, 3.0], [999.0, 0.0]]), (40, 60), 2)
    assert map.shape == (40, 60) and map.max() == 1
    assert np.unravel_index(map.argmax(), map.shape) == (20, 10)
    assert map[0, 0] < 1e-6 and map[0, -1] < 1e-6


def test_variants_are_seeded_and_the_first_is_the_face(astronaut):
    face = images.resize(astronaut, (224, 224))
    seen = [train_gap_head.variant(face, k, np.random.default_rng((5, k))) for k in range(train_gap_head.VARIANTS)]
    again = [train_gap_head.variant(face, k, np.random.default_rng((5, k))) for k in range(train_gap_head.VARIANTS)]
    assert all(np.array_equal(a, b) for a, b in zip(seen, again, strict=True))
    assert np.array_equal(seen[0], face) and np.array_equal(seen[1], face[:, ::-1])
    assert all(v.shape == face.shape and v.dtype == np.uint8 for v in seen)
    assert not any(np.array_equal(seen[2], other) for other in seen[3:])


def killed_and_whole(tmp_path, monkeypatch, module, name, run):
    """Run twice, once killed in the third call of `module.name` and resumed; the weights after each."""
    real = getattr(module, name)
    results = []
    for folder, killed in (("killed", True), ("whole", False)):
        calls = []

        def call(*arguments, killed=killed, calls=calls, **options):
            calls.append(1)
            if killed and len(calls) == 3:
                raise KeyboardInterrupt
            return real(*arguments, **options)

        monkeypatch.setattr(module, name, call)
        (tmp_path / folder).mkdir()
        if killed:
            with pytest.raises(KeyboardInterrupt):
                run(tmp_path / folder)
        results.append(run(tmp_path / folder))
    return results


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


def test_a_killed_mlnet_training_resumes_to_the_same_weights(tmp_path, monkeypatch, generator):
    features = np.maximum(generator.normal(size=(12, 6, 8, 1280)), 0).astype("float16")
    targets = generator.random((12, 6, 8, 1)).astype("float32")
    maps = [images.resize(target[:, :, 0], (60, 80)) for target in targets]

    def run(folder):
        keras.utils.set_random_seed(0)
        head = mlnet.mlnet_head(prior=(2, 2))
        options = dict(epochs=4, batch=4, patience=9, seed=0)
        validate = lambda h: train_mlnet_head.correlations(h, features, maps, range(9, 12))  # noqa: E731
        train_mlnet_head.train(head, features, targets, np.arange(9), validate, folder, **options)
        return [np.asarray(v) for v in head.trainable_variables]

    killed, whole = killed_and_whole(tmp_path, monkeypatch, train_mlnet_head, "correlations", run)
    assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(killed, whole, strict=True))
