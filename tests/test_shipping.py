"""The training scripts: variants and targets by hand, a killed run resumes to the same weights, what ships, what cards say."""

import json
import sys
from pathlib import Path

import augmentation
import distil_light_mlnet
import evaluate_classifiers
import keras
import model_cards
import numpy as np
import pandas as pd
import pytest
import train_classifiers
from conftest import data_folder, killed_and_whole
from keras import layers
from train_classifiers import Settings

from safbage import SafBage, classifiers, datasets, experiments, images, saliency
from safbage.datasets import preparation, splits
from safbage.datasets.shards import Prepared
from safbage.errors import WorkError
from safbage.runtime import weights
from safbage.runtime.weights import stored
from safbage.tasks import CLASSES, GENDERS, SPLITS


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """24 drawn faces, prepared; every third is for validation, the second is for testing, the third has no gender."""
    folder = tmp_path_factory.mktemp("faces")
    table, _ = datasets.synthetic(folder / "pictures", 24, progress=False)
    split = np.where(np.arange(24) % 3 == 0, "validation", "train")
    split[1] = "test"
    table = table.assign(
        split=pd.Categorical(split, SPLITS), gender=table.gender.where(np.arange(24) != 2)
    )
    preparation.prepare(
        table,
        folder / "drawn",
        preparation.Preparation(detect="box", saliency="light"),
        progress=False,
    )
    return folder / "drawn"


@pytest.fixture(scope="module")
def faces(folder):
    return train_classifiers.Faces(folder)


# --- variants --------------------------------------------------------------------------------------------------------


def variants(face, strength, count=60, scenes=(), inside=None):
    generators = (np.random.default_rng(seed) for seed in range(count))
    return [
        augmentation.randomly_varied(face, inside, list(scenes), generator, strength)
        for generator in generators
    ]


def apart(a, b):
    """The largest difference of two pictures, in levels."""
    return int(np.abs(a.astype(int) - b).max())


def test_without_strength_a_face_stays_as_it_is_or_is_mirrored(astronaut):
    face, scene = images.resize(astronaut, (96, 96)), np.zeros((300, 400, 3), "uint8")
    seen = variants(face, 0.0, scenes=[scene], inside=np.array([0, 0, 1, 0.5]))
    mirrored = [apart(v, face[:, ::-1]) <= 1 for v in seen]
    assert all(m != (apart(v, face) <= 1) for v, m in zip(seen, mirrored, strict=True))
    assert 0.3 < np.mean(mirrored) < 0.7


def test_variants_differ_keep_their_form_and_follow_the_generator(astronaut):
    face = images.resize(astronaut, (96, 96))
    before = face.copy()
    seen = variants(face, 1.0)
    assert all(v.shape == face.shape and v.dtype == np.uint8 for v in seen)
    assert all(np.array_equal(a, b) for a, b in zip(seen, variants(face, 1.0), strict=True))
    assert len({v.tobytes() for v in seen}) == len(seen) and np.array_equal(face, before)
    mild = variants(face, 0.2)
    sides = (face, face[:, ::-1])

    def change(v):
        return min(np.abs(v.astype(int) - side).mean() for side in sides)

    assert np.mean([change(v) for v in mild]) < 0.6 * np.mean([change(v) for v in seen])


@pytest.mark.parametrize("strength", [1.0, 0.5])
def test_faces_move_by_seven_percent_at_most(strength):
    face = np.zeros((101, 101, 3), "uint8")
    face[49:52, 49:52] = 255
    ways = []
    for seed in range(200):
        moved = augmentation.randomly_moved(face, np.random.default_rng(seed), strength)[
            :, :, 0
        ].astype(float)
        y, x = (np.average(np.arange(101), weights=moved.sum(axis=1 - axis)) for axis in (0, 1))
        ways.append(max(abs(y - 50), abs(x - 50)))
    assert 5 * strength < max(ways) < 7.07 * strength + 1.5


def test_covers_are_rectangles_of_the_mean_colour(generator):
    face = generator.integers(0, 100, (100, 100, 3), "uint8")
    mean = face.mean(axis=(0, 1)).astype(int)
    covered = [
        augmentation.randomly_covered(face, np.random.default_rng(seed), 1.0) for seed in range(100)
    ]
    changed = [np.argwhere((c != face).any(axis=2)) for c in covered]
    assert 15 < sum(len(where) > 0 for where in changed) < 45
    for cover, where in zip(covered, changed, strict=True):
        if len(where):
            (top, left), (bottom, right) = where.min(axis=0), where.max(axis=0) + 1
            assert (
                max(bottom - top, right - left) <= 40
                and (np.abs(cover[top:bottom, left:right] - mean) <= 1).all()
            )


def test_scenes_fill_what_lies_beyond_the_picture(generator):
    face, scene = np.full((224, 224, 3), 200, "uint8"), np.full((300, 400, 3), 10, "uint8")
    filled = augmentation.with_scene(face, np.array([0.25, 0, 1, 0.75]), [scene], generator)
    assert (
        (filled[:160, 64:] == 200).all()
        and (filled[176:] == 10).all()
        and (filled[:, :48] == 10).all()
    )


def test_scenes_are_read_small(tmp_path, astronaut):
    images.write(tmp_path / "a.jpg", astronaut)
    assert [scene.shape for scene in augmentation.read_scenes(tmp_path)] == [(300, 400, 3)]
    assert augmentation.read_scenes(None) == []


def test_coarse_faces_are_grey_and_hold_no_more_than_their_width(generator):
    face = generator.integers(0, 256, (224, 224, 3), "uint8")
    coarse = augmentation.coarse(face)
    assert (coarse == coarse[:, :, :1]).all() and coarse.std() < 0.5 * face.std()
    assert apart(coarse, augmentation.coarse(coarse)) < apart(coarse, face) / 2


# --- what goes in ----------------------------------------------------------------------------------------------------


def test_what_of_a_crop_lies_within_its_picture(tmp_path):
    path = images.write(tmp_path / "a.png", np.zeros((90, 120, 3), "uint8"))

    def inside(*box):
        return train_classifiers.inside(
            {"image": path}
            | dict(zip(("box_left", "box_top", "box_width", "box_height"), box, strict=True))
        )

    # 30 % wider than 100 about (50, 50): from -15 to 115 both ways
    assert np.allclose(inside(0, 0, 100, 100), [15 / 130, 15 / 130, 1, 105 / 130])
    assert np.allclose(inside(40, 30, 20, 20), [0, 0, 1, 1])
    assert np.allclose(inside(100, 30, 20, 20), [0, 0, 23 / 26, 1])  # from 97 to 123


class Labels:
    """What `targets_of` looks at."""

    def __init__(self, **labels):
        self.labels = {task: np.array(codes) for task, codes in labels.items()}

    def __len__(self):
        return len(next(iter(self.labels.values())))


def test_targets_are_labels_answers_or_both():
    data, settings = (
        Labels(gender=[0, 1, -1]),
        Settings(sizes=(8, 8), epochs=(1, 1), rate=0.1, smoothing=0.1, label_share=0.5),
    )
    targets, weight = train_classifiers.targets_of(data, ("gender",), settings, {})
    assert np.allclose(targets["gender"][:2], [[0.95, 0.05], [0.05, 0.95]]) and weight[
        "gender"
    ].tolist() == [1, 1, 0]
    answers = {"gender": np.array([[0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])}
    targets, weight = train_classifiers.targets_of(data, ("gender",), settings, answers)
    assert np.allclose(targets["gender"], [[0.575, 0.425], [0.325, 0.675], [0.3, 0.7]])
    assert weight["gender"].tolist() == [1, 1, 1]
    both = Labels(gender=[0, 1, -1], age=[3, -1, -1])
    mixed, weight = train_classifiers.targets_of(both, ("gender", "age"), settings, answers)
    assert (
        np.allclose(mixed["gender"], targets["gender"]) and mixed["age"][0].argmax() == 3
    )  # of age no teacher was asked
    assert weight["age"].tolist() == [1, 0, 0]


def test_faces_without_any_target_are_passed_over():
    weight = {"age": np.array([0, 1, 0]), "gender": np.array([0, 0, 0.5])}
    assert [train_classifiers.has_target(({}, weight), row) for row in range(3)] == [
        False,
        True,
        True,
    ]


def test_faces_are_those_prepared(faces, folder):
    crops, maps = Prepared(folder).faces(np.arange(24))
    assert np.array_equal(faces.crops, crops) and np.array_equal(faces.maps, maps)
    assert faces.labels["gender"][2] == -1 and (np.delete(faces.labels["gender"], 2) >= 0).all()
    assert faces.split[:3].tolist() == ["validation", "test", "train"] and faces.inside.shape == (
        24,
        4,
    )
    assert np.array_equal(faces.face(5, 224, 0.0), crops[5]) and not np.array_equal(
        faces.face(5, 224), crops[5]
    )
    assert np.array_equal(faces.reweighted(32)[5], faces.face(5, 32))


# --- training --------------------------------------------------------------------------------------------------------


def test_a_killed_training_resumes_to_the_same_weights(tmp_path, monkeypatch, faces):
    settings = Settings(
        sizes=(16, 32), epochs=(2, 2), rate=0.01, batch=8, warm_up=2, ratio_jitter=0.5
    )
    tasks = ("gender", "expression")
    trained_on = []
    real = train_classifiers.varied
    monkeypatch.setattr(
        train_classifiers,
        "varied",
        lambda data, row, *more: trained_on.append(row) or real(data, row, *more),
    )

    def run(folder):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((None, None, 3), name="face")
        x = layers.Conv2D(4, 8, strides=8, name="conv1")(layers.Rescaling(1 / 255)(inputs))
        x = layers.GlobalAveragePooling2D()(x)  # and no dropout, which draws anew after a kill
        model = keras.Model(
            inputs, {t: layers.Dense(len(CLASSES[t]), "softmax", name=t)(x) for t in tasks}
        )
        before = model.get_weights()
        targets = [train_classifiers.targets_of(faces, tasks, settings, {})]
        train_classifiers.train(model, [faces], targets, settings, folder, [])
        losses = [
            [row["loss"] for row in json.loads((folder / name / "log.json").read_text())]
            for name in ("wide", "mild")
        ]
        assert not np.array_equal(before[0], model.get_weights()[0])
        return [np.array(losses), *model.get_weights()]

    # the fourth validation is that of the second round's last epoch
    killed, whole = killed_and_whole(
        tmp_path, monkeypatch, train_classifiers, "validated", run, call_number=4
    )
    assert whole[0].shape == (2, 2)
    assert all(np.array_equal(a, b) for a, b in zip(killed, whole, strict=True))
    assert set(trained_on) == set(np.flatnonzero(faces.split == "train"))


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """An empty folder in place of ``safbage/trained``."""
    (tmp_path / "trained").mkdir()
    monkeypatch.setattr(stored, "TRAINED", tmp_path / "trained")
    return tmp_path / "trained"


def test_the_alexnet_that_ships_answers_as_the_student(trained, generator):
    tasks = tuple(CLASSES)
    student = train_classifiers.alexnet_student(tasks, train_classifiers.SETTINGS["alexnet-gap"])
    for number, name in enumerate(
        ("conv1", "conv4", "conv5_age", "conv5_gender", "conv5_expression"), 1
    ):
        kernel = student.get_layer(name).kernel
        kernel.assign(kernel * (1 + 0.1 * number))
    train_classifiers.ship_alexnet_gap(student)
    assert set(weights.shipped_hashes()) == {
        "alexnet-faces",
        *(f"alexnet-gap-{task}" for task in tasks),
    }
    assert set(weights.load("alexnet-faces")) == {
        f"conv{i}/{part}" for i in range(1, 5) for part in ("kernel", "bias")
    }
    for task in tasks:
        own = weights.load(f"alexnet-gap-{task}")
        assert set(own) == {
            f"{layer}/{part}" for layer in ("conv5", "softmax") for part in ("kernel", "bias")
        }
        kernel = np.asarray(student.get_layer(f"conv5_{task}").kernel)
        assert np.array_equal(own["conv5/kernel"], kernel.astype("float16").astype("float32"))
    faces = generator.integers(0, 256, (2, 224, 224, 3)).astype("float32")
    answers, right = (
        classifiers.load_joint(tasks).predict_on_batch(faces),
        student.predict_on_batch(faces),
    )
    assert all(np.allclose(answers[task], right[task], atol=0.02) for task in tasks)


def test_the_efficientnet_that_ships_answers_as_the_one_trained(trained, generator):
    tasks, settings = tuple(CLASSES), train_classifiers.SETTINGS["efficientnet-lite2"]
    teacher = train_classifiers.efficientnet(("expression",), settings)
    teacher.get_layer("block3a_bn").moving_mean.assign_add(np.ones(144, "float32"))
    model = train_classifiers.efficientnet(tasks, settings, start=teacher)
    for name in (
        "stem_conv",
        "block3a_bn",
        "softmax_expression",
    ):  # it goes on from what the teacher knows
        pairs = zip(model.get_layer(name).weights, teacher.get_layer(name).weights, strict=True)
        assert all(np.array_equal(own, before) for own, before in pairs)
    train_classifiers.ship_efficientnet(model)
    assert set(weights.shipped_hashes()) == {"efficientnet-faces"}
    faces = np.repeat(
        np.repeat(generator.integers(0, 256, (2, 112, 112, 3)), 2, axis=1), 2, axis=2
    ).astype("float32")
    answers = classifiers.load_joint(tasks, "efficientnet-lite2").predict_on_batch(faces)
    right = model.predict_on_batch(faces[:, ::2, ::2])
    assert all(np.allclose(answers[task], right[task], atol=0.02) for task in tasks)


def test_the_light_mlnets_faces(folder, tmp_path, monkeypatch):
    with pytest.raises(WorkError, match="another ML-Net"):
        distil_light_mlnet.Faces([folder], tmp_path, 8)  # the drawn faces' maps are the light one's
    light = saliency.load("light")
    monkeypatch.setattr(saliency, "load", lambda: light)
    monkeypatch.setattr(weights, "shipped_hashes", lambda: {"mlnet": None})
    faces = distil_light_mlnet.Faces([folder], tmp_path, 8)
    crops, maps = Prepared(folder).faces(np.array([4]))
    x, y = faces.batch(np.array([4, 4, 4, 4]), np.arange(4))
    assert np.array_equal(x[0], crops[0]) and np.allclose(y[0, :, :, 0], maps[0])
    assert np.array_equal(x[1], x[0, :, ::-1]) and np.array_equal(y[1], y[0, :, ::-1])
    assert np.array_equal(x[3], x[2, :, ::-1]) and np.array_equal(y[3], y[2, :, ::-1])
    assert np.abs(x[2] - x[0]).mean() > 2 and not np.array_equal(y[2], y[0])


# --- figures and cards -----------------------------------------------------------------------------------------------


def predictions(labels, answers, classes, **columns):
    table = pd.DataFrame(
        {
            "image": [f"{i}.jpg" for i in range(len(labels))],
            "subject": pd.NA,
            "fold": 0,
            "label": labels,
        }
    )
    p = np.where(np.array(answers)[:, None] == np.array(classes), 0.9, 0.1 / (len(classes) - 1))
    return table.assign(
        answer=answers, **{f"p_{name}": p[:, i] for i, name in enumerate(classes)}, **columns
    )


def test_the_standard_error_keeps_subjects_whole():
    table = predictions(["male"] * 4, ["male", "male", "female", "female"], CLASSES["gender"])
    assert evaluate_classifiers.standard_error(table) == pytest.approx(
        np.std([1, 1, 0, 0], ddof=1) / 2
    )
    # two subjects, one always right and one never: as two draws of 1 and 0
    table = table.assign(subject=["a", "a", "b", "b"])
    assert evaluate_classifiers.standard_error(table) == pytest.approx(
        np.std([1, 0], ddof=1) / np.sqrt(2)
    )
    assert np.isnan(evaluate_classifiers.standard_error(table.assign(subject="a")))
    assert (
        evaluate_classifiers.figures(table.assign(subject="a"), "gender")["standard_error"] is None
    )


def test_figures_by_hand():
    labels = ["male", "male", "female", "female", "female"]
    answers = ["male", "female", "female", "female", "male"]
    table = predictions(labels, answers, CLASSES["gender"], race=list("aabbb"), gender=labels)
    found = evaluate_classifiers.figures(table, "gender")
    assert found["accuracy"] == pytest.approx(0.6) and found[
        "most_frequent_class"
    ] == pytest.approx(0.6)
    assert found["recall"] == {"male": 0.5, "female": pytest.approx(2 / 3)} and found[
        "faces_per_class"
    ] == {
        "male": 2,
        "female": 3,
    }
    assert found["calibration_error"] == pytest.approx(0.3) and "one_off_accuracy" not in found
    assert found["by_race"]["a"]["accuracy"] == 0.5 and found["by_race"]["b"]["faces"] == 3
    assert (
        found["by_race_and_gender"].keys() == {"a, male", "b, female"} and found["subjects"] is None
    )
    json.dumps(found, allow_nan=False)


@pytest.fixture
def measured(trained, folder, tmp_path, monkeypatch):
    """Runs evaluate_classifiers.py on three made sets; `sets` are their folders."""
    generator = np.random.default_rng(0)

    def answered(prepared, tasks, *, network):
        """120 made answers, each right in three of four."""
        name, found = prepared.folder.name, {}
        for task in {"utkface": ("age", "gender"), "fer2013": ("expression",), "adience": ("age",)}[
            name
        ]:
            classes = np.array(CLASSES[task])
            labels = generator.integers(len(classes), size=120)
            answers = classes[(labels + (np.arange(120) % 4 == 0)) % len(classes)]
            groups = {"race": np.resize(["Black", "White"], 120)} if name == "utkface" else {}
            found[task] = predictions(classes[labels], answers, CLASSES[task], **groups)
        return found

    monkeypatch.setattr(experiments, "answer_as_shipped", answered)
    monkeypatch.setattr(model_cards, "count", lambda name: "1,234")
    sets = [tmp_path / name for name in ("utkface", "fer2013", "adience")]
    for path in sets:
        path.symlink_to(folder)
    monkeypatch.setattr(Path, "resolve", Path.absolute)  # the links' names are the sets'

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["", *map(str, words), "--ship"])
        evaluate_classifiers.main()

    run.sets = sets
    return run


def test_shipping_alexnet_writes_figures_and_cards_of_what_was_measured(measured, trained):
    measured("alexnet-gap", *measured.sets)
    figures = {
        task: json.loads((trained / f"alexnet-gap-{task}.json").read_text()) for task in CLASSES
    }
    assert all(found["accuracy"] == 0.75 and found["faces"] == 120 for found in figures.values())
    assert (
        figures["age"]["elsewhere"].keys() == {"adience"} and figures["gender"]["elsewhere"] == {}
    )
    for task in CLASSES:
        card = (trained / f"alexnet-gap-{task}.md").read_text(encoding="utf-8")
        assert "**75.0 %** ± 4.0 %" in card and ("Adience | 120 | 75.0 %" in card) == (
            task == "age"
        )
        assert ("| Black |" in card) == (task != "expression") and ("one group off" in card) == (
            task == "age"
        )
        for heading in ("Data", "Recipe", "Figures", "Limits", "Not for", "Licence"):
            assert f"\n## {heading}\n" in card
        assert (
            "{" not in card and "13 train" not in card and "15 train, 8 validation, 1 test" in card
        )
    assert "| 75.0 % ± 4.0 % | 120 |" in (trained / "alexnet-faces.md").read_text(encoding="utf-8")
    with pytest.raises(SystemExit):
        measured("alexnet-gap", measured.sets[0])  # without FER2013


def test_shipping_efficientnet_writes_one_card_for_all_tasks(measured, trained, tmp_path):
    measured("efficientnet-lite2", *measured.sets, "--learnt", tmp_path)
    figures = json.loads((trained / "efficientnet-faces.json").read_text())
    assert all(figures[task]["accuracy"] == 0.75 for task in CLASSES) and figures["age"][
        "elsewhere"
    ].keys() == {"adience"}
    card = (trained / "efficientnet-faces.md").read_text(encoding="utf-8")
    assert (
        card.count("**75.0 %** ± 4.0 %") == 3
        and card.count("Adience | 120 | 75.0 %") == 1
        and "{" not in card
    )
    for text in (
        *model_cards.LABELS.values(),
        *model_cards.LIMITS.values(),
        *model_cards.RULED_OUT.values(),
    ):
        assert text in card
    for heading in ("Data", "Recipe", "Figures", "Limits", "Not for", "Licence"):
        assert f"\n## {heading}\n" in card
    # the made sets have the light ML-Net's maps: they are prepared twice, to learn and to measure
    assert (
        "safbage prepare utkface WORK/light/utkface --data-dir DATA --detect box --saliency light\n"
        in card
    )
    assert (
        "safbage prepare utkface WORK/utkface --data-dir DATA --detect box\n" in card
        and "--learnt WORK/light" in card
    )


def test_settings_are_on_the_cards():
    text = "".join(model_cards.recipe({}, network) for network in classifiers.SHIPPED)
    for settings in train_classifiers.SETTINGS.values():
        cells = (model_cards.cell(getattr(settings, name)) for name in ("sizes", "epochs", "rate"))
        assert f"| {' | '.join(cells)} |" in text
    assert [model_cards.cell(value) for value in ((96, 112), (5, 5), 4e-4)] == [
        "96, 112",
        "5",
        "0.0004",
    ]


def test_unseen_faces_of_utkface_are_answered():
    paths = sorted(data_folder("UTKFace").glob("*.jpg"))
    table = splits.with_split(pd.DataFrame({"image": paths, "subject": pd.NA}))
    tested = [path for path in table.image[table.split == "test"] if path.name.count("_") == 3][
        ::30
    ]
    answers = SafBage.load(tasks=("gender",), saliency="light").predict(tested, progress=False)
    answers = answers[answers.face == 0]
    genders = answers.photo.map(lambda photo: GENDERS[int(Path(photo).name.split("_")[1])])
    assert len(answers) > 50 and (answers.gender == genders).mean() > 0.8
