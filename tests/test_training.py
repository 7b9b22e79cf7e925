"""Fine-tuning: the recipes, augmentation and weights by hand; the cache changes nothing; kills change nothing; every backend."""

import gc
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import add_network, killed_and_whole
from keras import layers
from test_runtime_work import waits

from safbage import classifiers, datasets, evaluation, training
from safbage.datasets import preparation
from safbage.datasets.shards import Prepared
from safbage.errors import DatasetError, WorkError
from safbage.tasks import CLASSES
from safbage.training import division, features, tuning
from safbage.training.momentum import Momentum
from safbage.training.recipes import Variant

GENDER = replace(training.AGE_GENDER_RECIPE, epochs=2, batch=16, rate=0.01)
EXPRESSION = replace(training.EXPRESSION_RECIPE, epochs=2, batch=16, rate=0.01)
VARIANTS = training.AGE_GENDER_RECIPE.variants


def tiny(classes, *, dropout):
    """A network of the real ones' form: frozen convolution, dropout, two dense layers."""
    inputs = keras.Input((224, 224, 3), name="face")
    x = layers.Rescaling(1 / 255, name="scale")(inputs)
    x = layers.Conv2D(6, 32, strides=32, activation="relu", name="conv1")(x)
    x = layers.Dropout(dropout, name="dropout_fc6")(layers.Flatten(name="flatten")(x))
    x = layers.Dense(16, activation="relu", name="fc6")(x)
    x = layers.Dropout(dropout, name="dropout_fc7")(x)
    return keras.Model(
        inputs,
        layers.Dense(classes, activation="softmax", dtype="float32", name="fc8")(x),
        name="tiny",
    )


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """60 drawn faces of 60 subjects."""
    folder = tmp_path_factory.mktemp("faces")
    faces, _ = datasets.synthetic(folder / "pictures", 60, progress=False)
    options = preparation.Preparation(detect="box", saliency="light")
    preparation.prepare(faces.assign(race="drawn"), folder / "prepared", options, progress=False)
    return Prepared(folder / "prepared")


@pytest.fixture
def built(monkeypatch):
    """Every tiny network that was built, in order."""
    models = []

    def build(classes, *, dropout):
        models.append(tiny(classes, dropout=dropout))
        return models[-1]

    add_network(monkeypatch, "tiny", build)
    return models


def tune(prepared, task="gender", **options):
    options = {"network": "tiny", "recipe": GENDER, "imagenet": False, "progress": False} | options
    return training.fine_tune(prepared, task, **options)


def values(model):
    return [keras.ops.convert_to_numpy(v) for layer in model.layers for v in layer.weights]


# --- recipes ---------------------------------------------------------------------------------------------------------


def test_the_papers_recipes():
    """Section 3.3."""
    recipe = training.RECIPES["age"]
    assert recipe is training.RECIPES["gender"]
    assert (recipe.epochs, recipe.rate, recipe.dropout, recipe.batch, recipe.momentum) == (
        30,
        0.001,
        0.4,
        128,
        0.9,
    )
    assert recipe.variants == ((False, 0), (True, 0), (False, 3), (False, -3))
    assert (
        not recipe.class_weighted
        and recipe.keep == "last"
        and training.first_layer(recipe, "alexnet", "age") == "fc6"
    )
    assert {recipe.rate_in(epoch) for epoch in range(30)} == {0.001}
    recipe = training.RECIPES["expression"]
    assert (recipe.epochs, recipe.dropout, recipe.batch, recipe.variants) == (
        40,
        0.35,
        128,
        ((False, 0),),
    )
    assert (
        recipe.class_weighted and training.first_layer(recipe, "alexnet", "expression") == "conv5"
    )
    assert [recipe.rate_in(epoch) for epoch in (0, 29, 30, 39)] == [0.001, 0.001, 0.0001, 0.0001]


@pytest.mark.parametrize("network", ["alexnet-gap", "gilnet"])
def test_the_first_layer_is_where_a_network_is_cut(network):
    model = classifiers.classifier(network, 2, imagenet=False)
    for task in CLASSES:
        first = training.first_layer(GENDER, network, task)
        below, above = tuning.cut(model, first)
        assert (below is None) == (network == "gilnet") and first in [
            layer.name for layer in above.layers
        ]
    assert training.first_layer(replace(GENDER, train_from="conv2"), network, "age") == "conv2"


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            {"epochs": 0},
            {"batch": 0},
            {"rate": 0.0},
            {"dropout": 1.0},
            {"momentum": 1.0},
            {"drop_after": 0},
            {"keep": "first"},
        ),
        *({"variants": ()}, {"variants": (Variant(True),)}, {"variants": (Variant(), Variant())}),
    ],
)
def test_wrong_settings_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(GENDER, **wrong)


def test_class_weights_by_hand():
    """Counts 1, 3, 2: mean 2."""
    assert np.allclose(tuning.class_weights(np.array([1, 0, 1, 2, 1, 2])), [2, 2 / 3, 1])


def test_the_fused_momentum_is_kerass():
    gradients = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
    ends = []
    for kind in (Momentum, keras.optimizers.SGD):
        variable, optimizer = keras.Variable(np.ones((5, 4), "float32")), kind(0.1, momentum=0.9)
        for gradient in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        ends.append(np.asarray(variable))
    v = np.zeros((5, 4))
    w = np.ones((5, 4))
    for gradient in gradients:
        v = 0.9 * v - 0.1 * gradient
        w = w + v
    assert np.allclose(ends[0], w, atol=1e-5) and np.allclose(ends[0], ends[1], atol=1e-6)


# --- augmentation ----------------------------------------------------------------------------------------------------


def test_mirrored_twice_is_as_it_was(generator):
    face, map = (
        generator.integers(0, 256, (224, 224, 3), "uint8"),
        generator.random((28, 28)).astype("float32"),
    )
    mirrored = features.make_variant(face, map, Variant(mirrored=True), 0.5)
    again = features.make_variant(face[:, ::-1], map[:, ::-1], Variant(), 0.5)
    assert np.array_equal(mirrored, again)
    assert np.array_equal(mirrored[:, ::-1], features.make_variant(face, map, Variant(), 0.5))
    assert not np.array_equal(mirrored, mirrored[:, ::-1])


def test_turning_by_hand():
    """A quarter turn counter-clockwise, exactly; and what lies beyond the border is its repetition."""
    image = np.arange(25, dtype="float32").reshape(5, 5)
    assert np.allclose(features.turn(image, 90), np.rot90(image), atol=1e-4)
    assert np.array_equal(
        features.turn(np.full((9, 9, 3), 7, "uint8"), 30), np.full((9, 9, 3), 7, "uint8")
    )


def test_the_map_turns_with_the_face():
    """A bright spot and the map's, on the same place: after turning they still meet, and nowhere else is light."""
    face, map = np.zeros((224, 224, 3), "uint8"), np.zeros((28, 28), "float32")
    face[168:192, 40:64], map[20:25, 4:9] = 255, 1
    for variant in VARIANTS:
        seen = features.make_variant(face, map, variant, 1.0)
        unweighted = features.make_variant(face, np.ones_like(map), variant, 1.0)
        assert np.abs(seen.astype(int) - unweighted).mean() < 0.01 * unweighted.mean()
    turned = [
        np.argwhere(features.make_variant(face, map, Variant(turned=t), 1.0)[..., 0] > 127).mean(
            axis=0
        )
        for t in (3, -3)
    ]
    assert turned[0][0] > 179.5 > turned[1][0], (
        "the left side goes down where the turn is counter-clockwise"
    )


# --- which faces -----------------------------------------------------------------------------------------------------


def table_of(count=300, *, fold=None):
    table = pd.DataFrame(
        {"image": [f"{i}.jpg" for i in range(count)], "row": range(count), "split": pd.NA}
    )
    table["subject"] = pd.array([str(i // 3) for i in range(count)], "string")
    table["fold"] = pd.array([pd.NA] * count if fold is None else fold, "Int8")
    return table


def test_folds_keep_subjects_apart_and_test_every_face_once():
    table, rows = table_of(), np.arange(300)
    tested = []
    for fold in range(5):
        parts = division.divide(table, rows, fold)
        assert np.array_equal(np.sort(np.concatenate(list(parts.values()))), rows)
        people = [set(table.subject.iloc[part]) for part in parts.values()]
        assert not (people[0] & people[1] or people[0] & people[2] or people[1] & people[2])
        assert 0.03 < len(parts["validation"]) / (300 - len(parts["test"])) < 0.2
        tested += parts["test"].tolist()
    assert sorted(tested) == rows.tolist()


def test_a_tables_own_folds_are_used():
    fold = [(i // 3) % 4 for i in range(300)]
    fold[0:3] = [pd.NA] * 3
    parts = division.divide(table_of(fold=fold), np.arange(300), 2)
    assert parts["test"].tolist() == [
        i for i in range(300) if fold[i] is not pd.NA and fold[i] == 2
    ]
    assert all(0 not in part for part in parts.values())
    with pytest.raises(ValueError, match="folds 0, 1, 2, 3; got 4"):
        division.divide(table_of(fold=fold), np.arange(300), 4)


def test_batches_show_every_variant_once_in_another_order_each_epoch():
    rows = np.array([5, 7, 9])
    epochs = [list(tuning.batches(rows, 4, 5, seed=0, epoch=epoch)) for epoch in (0, 1)]
    for epoch in epochs:
        assert [len(batch[0]) for batch in epoch] == [5, 5, 2]
        assert sorted((r, k) for batch in epoch for r, k in zip(*batch, strict=True)) == [
            (r, k) for r in rows for k in range(4)
        ]
    assert any(not np.array_equal(a[0], b[0]) for a, b in zip(*epochs, strict=True))


# --- training --------------------------------------------------------------------------------------------------------


def test_a_network_that_was_trained_is_let_go(tmp_path, prepared, built):
    """Else a night of trainings would fill the memory: TensorFlow keeps some gradients, and what they hold, for ever."""

    def graphs():
        return sum(type(thing).__name__ == "FuncGraph" for thing in gc.get_objects())

    tune(prepared, work=tmp_path / "0", seed=0)
    built.clear()
    gc.collect()
    before = graphs()
    tune(prepared, work=tmp_path / "1", seed=1)
    built.clear()
    gc.collect()
    assert graphs() == before


def test_what_comes_out(tmp_path, prepared, built):
    found = tune(prepared, work=tmp_path, fold=1)
    classes = CLASSES["gender"]
    table = found.predictions
    expected = [
        "image",
        "row",
        "subject",
        "fold",
        "label",
        "answer",
        *(f"p_{name}" for name in classes),
        "race",
        "gender",
        "age_group",
    ]
    assert list(table.columns) == expected and evaluation.check(table) == classes
    by_image = prepared.table.set_index("image").loc[table.image]
    assert (table.label.to_numpy() == by_image.gender.astype(str).to_numpy()).all() and (
        table.fold == 1
    ).all()
    assert table.subject.tolist() == by_image.subject.tolist()
    assert found.metrics["accuracy"] == pytest.approx((table.label == table.answer).mean())
    assert found.metrics["mean_recall"] == pytest.approx(evaluation.mean_recall(table))
    assert list(found.history.columns) == [
        "epoch",
        "rate",
        "loss",
        "accuracy",
        "mean_recall",
        "seconds",
    ]
    assert found.metrics["epoch"] == 2 and found.metrics["trained_layers"] == ["fc6", "fc8"]
    assert found.metrics["frozen_at_random"] == ["conv1"] and found.metrics["imagenet_layers"] == []
    assert {"history.csv", "predictions.parquet", "head.safetensors", "metrics.json"} <= {
        path.name for path in tmp_path.iterdir()
    }
    assert not list(tmp_path.glob("*.h5"))

    (tmp_path / "mine.weights.h5").touch()
    training.open_trained(tmp_path)
    assert (tmp_path / "mine.weights.h5").exists(), (
        "opening deletes nothing, training only its own checkpoints"
    )

    count = len(built)
    again = tune(prepared, work=tmp_path, fold=1)
    assert len(built) == count, "a finished run does not train again"
    pd.testing.assert_frame_equal(again.predictions, table)

    assert (tmp_path / "mine.weights.h5").exists()

    model = training.load_trained(tmp_path)
    inputs = features.Images(prepared, VARIANTS, 0.3)
    answers = tuning.answers(model, inputs, np.flatnonzero(prepared.table.image.isin(table.image)))
    assert np.allclose(answers, table[[f"p_{name}" for name in classes]], atol=2e-3)


def test_a_subject_that_nobody_knows_stays_missing(tmp_path, prepared, built):
    unknown = Prepared(prepared.folder)
    unknown.table = unknown.table.drop(columns="subject")
    found = tune(unknown, work=tmp_path, recipe=replace(GENDER, epochs=1), fold=1)
    assert found.predictions.subject.isna().all() and evaluation.by_fold(
        found.predictions
    ).faces.sum() == len(found.predictions)


def test_training_learns(tmp_path, prepared, built):
    """Dropout off and enough epochs: the loss on 40 faces falls well below chance's."""
    found = tune(prepared, work=tmp_path, recipe=replace(GENDER, epochs=12, dropout=0.0, rate=0.03))
    assert found.history.loss.iloc[-1] < 0.85 * np.log(2)


def test_the_frozen_layers_stay_and_the_others_move(tmp_path, prepared, built):
    tune(prepared, work=tmp_path, recipe=replace(GENDER, epochs=1))
    keras.utils.set_random_seed(0)
    fresh = tiny(2, dropout=0.4)
    moved = {
        v.path
        for v, w in zip(built[0].weights, fresh.weights, strict=True)
        if not np.array_equal(v, w)
    }
    assert moved == {"fc6/kernel", "fc6/bias", "fc8/kernel", "fc8/bias"}


@pytest.mark.parametrize("task, recipe", [("gender", GENDER), ("expression", EXPRESSION)])
def test_the_cache_changes_the_weights_by_less_than_a_thousandth(
    tmp_path, prepared, built, task, recipe
):
    for cache in (True, False):
        tune(prepared, task, work=tmp_path / str(cache), recipe=recipe, cache=cache)
    cached, whole = map(values, built)
    assert max(np.abs(a - b).max() for a, b in zip(cached, whole, strict=True)) < 1e-3


@pytest.mark.slow
def test_alexnets_cached_epoch_is_its_uncached_one(tmp_path, prepared, monkeypatch):
    """The real network, on 24 faces: same to 1e-3 after an epoch of the paper's recipe."""
    built, build = [], classifiers.classifier
    monkeypatch.setattr(
        classifiers, "classifier", lambda *a, **k: built.append(build(*a, **k)) or built[-1]
    )
    recipe = replace(training.AGE_GENDER_RECIPE, epochs=1, batch=32, variants=VARIANTS[::2])
    for cache in (tmp_path / "cache", False):
        options = dict(recipe=recipe, limit=24, cache=cache, network="alexnet", imagenet=True)
        found = tune(prepared, work=tmp_path / str(bool(cache)), **options)
    cached, whole = map(values, built)
    assert max(np.abs(a - b).max() for a, b in zip(cached, whole, strict=True)) < 1e-3
    assert found.metrics["imagenet_layers"][:5] == ["conv1", "conv2", "conv3", "conv4", "conv5"]
    assert found.metrics["frozen_at_random"] == []


def test_ratios_differ_in_the_features_only(tmp_path, prepared, built, monkeypatch):
    starts, orders = [], []
    real = tuning.train

    def spy(model, inputs, codes, parts, *arguments):
        starts.append([*values(model), *parts.values()])
        return real(model, inputs, codes, parts, *arguments)

    def order(*arguments):
        orders.append([np.stack(batch).tolist() for batch in real_batches(*arguments)])
        return iter([(np.array(rows), np.array(numbers)) for rows, numbers in orders[-1]])

    real_batches = tuning.batches
    monkeypatch.setattr(tuning, "train", spy)
    monkeypatch.setattr(tuning, "batches", order)
    with_map, without = (
        tune(prepared, work=tmp_path / str(ratio), ratio=ratio) for ratio in (0.3, 0.0)
    )
    assert all(np.array_equal(a, b) for a, b in zip(*starts, strict=True))
    assert orders[:2] == orders[2:] and orders[0] != orders[1]
    assert with_map.predictions.image.tolist() == without.predictions.image.tolist()
    assert not np.allclose(with_map.predictions.p_male, without.predictions.p_male)
    assert {
        k
        for k in with_map.metrics["settings"]
        if with_map.metrics["settings"][k] != without.metrics["settings"][k]
    } == {"ratio"}


def test_tasks_and_folds_share_one_cache(tmp_path, prepared, built, monkeypatch):
    cache = tmp_path / "cache"
    tune(prepared, work=tmp_path / "a", cache=cache, fold=0)
    monkeypatch.setattr(preparation.images, "decode", None)  # reading a face again would fail
    tune(
        prepared, "age", work=tmp_path / "b", cache=cache, fold=1, recipe=replace(GENDER, epochs=1)
    )
    monkeypatch.undo()
    add_network(monkeypatch, "tiny", tiny)
    assert len(list(cache.iterdir())) == 1
    tune(prepared, work=tmp_path / "c", cache=cache, ratio=0.0)
    tune(prepared, work=tmp_path / "d", cache=cache, seed=1)  # other random frozen weights
    assert len(list(cache.iterdir())) == 3


def test_a_network_trained_whole_keeps_the_images(tmp_path, prepared, built):
    recipe = replace(GENDER, train_from="conv1", epochs=1)
    found = tune(prepared, work=tmp_path / "work", cache=tmp_path / "cache", recipe=recipe)
    array = np.load(next((tmp_path / "cache").glob("*/features.npy")))
    assert array.dtype == "uint8" and array.shape == (60, 4, 224, 224, 3)
    assert found.metrics["trained_layers"] == ["conv1", "fc6", "fc8"]


@pytest.mark.parametrize(
    "task, recipe",
    [
        ("gender", replace(GENDER, epochs=4)),
        ("expression", replace(EXPRESSION, epochs=4, drop_after=2)),
    ],
)
def test_a_killed_training_resumes_to_the_same_weights(
    tmp_path, monkeypatch, prepared, built, task, recipe
):
    def run(folder):
        found = tune(prepared, task, work=folder, recipe=recipe)
        return [
            *values(built[-1]),
            found.history.drop(columns="seconds").to_numpy(),
            found.predictions.filter(regex="^p_").to_numpy(),
        ]

    killed, whole = killed_and_whole(tmp_path, monkeypatch, tuning, "batches", run)
    assert all(np.array_equal(a, b) for a, b in zip(killed, whole, strict=True))


def test_a_run_killed_among_the_features_goes_on(tmp_path, monkeypatch, prepared, built):
    def run(folder):
        tune(prepared, work=folder / "work", cache=folder / "cache")
        return np.load(next((folder / "cache").glob("*/features.npy")))

    killed, whole = killed_and_whole(
        tmp_path, monkeypatch, features, "make_variant", run, call_number=100
    )
    assert np.array_equal(killed, whole) and whole.any(axis=2).all()


def test_the_rate_drops(tmp_path, prepared, built):
    found = tune(
        prepared, "expression", work=tmp_path, recipe=replace(EXPRESSION, epochs=3, drop_after=2)
    )
    assert found.history.rate.tolist() == [0.01, 0.01, 0.001]


def test_the_best_epoch_is_kept_where_asked(tmp_path, prepared, built, monkeypatch):
    recalls = iter([0.5, 0.9, 0.1, 0.2])
    monkeypatch.setattr(
        tuning, "scores", lambda *_: {"accuracy": 0.5, "mean_recall": next(recalls)}
    )
    found = tune(prepared, work=tmp_path / "best", recipe=replace(GENDER, epochs=3, keep="best"))
    assert found.metrics["epoch"] == 2
    monkeypatch.undo()
    add_network(monkeypatch, "tiny", tiny)
    stopped, on = (
        tune(prepared, work=tmp_path / str(n), recipe=replace(GENDER, epochs=n)).predictions
        for n in (2, 3)
    )
    pd.testing.assert_frame_equal(found.predictions, stopped)
    assert not np.allclose(found.predictions.p_male, on.p_male, atol=1e-6)


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_errors_are_told_before_anything_is_trained(tmp_path, prepared, built):
    def expect(error, match, **options):
        with pytest.raises(error, match=match):
            tune(prepared, **({"work": tmp_path} | options))

    expect(ValueError, "task is one of age, gender, expression; got 'race'", task="race")
    expect(ValueError, "no network 'lenet'; there are alexnet, ", network="lenet")
    expect(ValueError, "ratio lies between 0 and 1", ratio=30)
    expect(ValueError, "folds 0, 1, 2, 3, 4; got 5", fold=5)
    expect(DatasetError, "no face to train on is labelled", task="age", limit=12)
    expect(DatasetError, "none is for", limit=2)
    unlabelled = Prepared(prepared.folder)
    unlabelled.table = unlabelled.table.drop(columns="expression")
    with pytest.raises(DatasetError, match="no labels 'expression'"):
        tune(unlabelled, "expression", work=tmp_path)
    assert not built and not list(tmp_path.iterdir())


def test_whom_training_knows_is_not_tested(tmp_path, prepared, built):
    """A subject or a picture on both sides, by folds as by the table's split, is refused before anything is trained."""

    def refused(match, tested, **columns):
        known = Prepared(prepared.folder)
        known.table = known.table.assign(**columns)
        with pytest.raises(DatasetError, match=match):
            tune(known, work=tmp_path, fold=tested)

    count, alternating = len(prepared), np.arange(len(prepared)) % 3
    people = [f"person {i // 3}" for i in range(count)]
    refused(
        r"20 subjects are in more than one split: person 0 in \[test, train",
        0,
        subject=people,
        fold=alternating,
    )
    for other in ("test", "validation"):
        split = ["train"] * (count - 2) + ["validation", "test"]
        split[0] = other
        subject = [*people[:-2], "validates", "tests"]
        refused(
            rf"1 subjects .*person 0 in \[{', '.join(sorted((other, 'train')))}\]",
            None,
            subject=subject,
            split=split,
        )
    images = prepared.table.image.where(prepared.table.index != 1, prepared.table.image[0])
    refused(
        r"1 images are in more than one split",
        0,
        image=images,
        subject=[str(i) for i in range(count)],
        fold=alternating,
    )
    assert not built and not list(tmp_path.iterdir())


def test_the_second_of_two_trainings_waits_and_finds_all_made(tmp_path, prepared, built):
    """The process that holds the folder is named; what it has made is returned, not made again."""
    work, cache = tmp_path / "work", tmp_path / "cache"
    recipe = replace(GENDER, epochs=1)
    waited, first = waits(work, lambda: tune(prepared, work=work, recipe=recipe, cache=cache))
    assert waited and first.metrics["faces"] and len(built) == 1
    (kept,) = cache.iterdir()
    waited, _ = waits(
        kept, lambda: tune(prepared, work=tmp_path / "other", recipe=recipe, cache=cache)
    )
    assert waited


def test_preparing_and_painting_wait_too(tmp_path, prepared):
    pictures, out = tmp_path / "pictures", tmp_path / "out"
    waited, (faces, _) = waits(pictures, lambda: datasets.synthetic(pictures, 4, progress=False))
    assert waited and len(faces) == 4
    options = preparation.Preparation(detect="box", saliency="light")
    waited, done = waits(out, lambda: preparation.prepare(faces, out, options, progress=False))
    assert waited and len(done) == 4


def test_where_nothing_may_be_written_the_cache_can_be_moved(tmp_path, prepared, built):
    folder = shutil.copytree(
        prepared.folder, tmp_path / "prepared", ignore=shutil.ignore_patterns("features")
    )
    (folder / "features").touch()  # a file: to root, no folder is read-only
    recipe = replace(GENDER, epochs=1)
    with pytest.raises(WorkError, match=r"cache=FOLDER, --cache FOLDER"):
        tune(Prepared(folder), work=tmp_path / "work", recipe=recipe)
    found = tune(Prepared(folder), work=tmp_path / "work", recipe=recipe, cache=tmp_path / "cache")
    assert found.metrics["faces"] and list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("content", ["5", "[]", "{}", "", "{", '{"settings": 5}'])
def test_damaged_results_are_named(tmp_path, content):
    (tmp_path / "metrics.json").write_text(content)
    with pytest.raises(WorkError, match=r"metrics\.json is damaged"):
        training.open_trained(tmp_path)


@pytest.mark.parametrize("name", ["history.csv", "predictions.parquet"])
def test_damaged_tables_are_named(tmp_path, prepared, built, name):
    tune(prepared, work=tmp_path, recipe=replace(GENDER, epochs=1))
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(WorkError, match=rf"{name} is damaged"):
        training.open_trained(tmp_path)


def test_another_formula_is_another_run(tmp_path, prepared, built, monkeypatch):
    """Neither features nor results of the old formula pass for those of the new."""
    options = dict(recipe=replace(GENDER, epochs=1), cache=tmp_path / "cache")
    tune(prepared, work=tmp_path / "old", **options)
    for module in (features, tuning):
        monkeypatch.setattr(module, "VERSION", 2)
    with pytest.raises(WorkError, match="formula: 1 there, 2 now"):
        tune(prepared, work=tmp_path / "old", **options)
    tune(prepared, work=tmp_path / "new", **options)
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_another_run_needs_another_folder(tmp_path, prepared, built):
    tune(prepared, work=tmp_path, recipe=replace(GENDER, epochs=1))
    with pytest.raises(WorkError, match=r"ratio: 0\.3 there, 0\.0 now"):
        tune(prepared, work=tmp_path, recipe=replace(GENDER, epochs=1), ratio=0.0)


def test_other_starting_weights_need_another_folder(tmp_path, prepared, monkeypatch):
    """ImageNet weights that are fetched between two calls would else be half of a run, or pass for those of a finished one."""
    start = {"conv1/bias": np.zeros(6, "float32")}
    add_network(monkeypatch, "tiny", tiny, imagenet=lambda: start)
    options = dict(work=tmp_path, recipe=replace(GENDER, epochs=1), imagenet=True)
    found = tune(prepared, **options)
    assert found.metrics["imagenet_layers"] == ["conv1"] and found.metrics["frozen_at_random"] == []
    assert tune(prepared, **options).metrics == found.metrics
    start["conv1/bias"] = np.ones(6, "float32")
    with pytest.raises(
        WorkError, match=r"imagenet_weights: conv1 \(\w+\) there, conv1 \(\w+\) now"
    ):
        tune(prepared, **options)


def test_faces_prepared_anew_are_read_anew(tmp_path, prepared, built):
    """The same names, boxes and making, other pixels: other features, and no finished work folder passes for theirs."""
    folder = shutil.copytree(
        prepared.folder, tmp_path / "prepared", ignore=shutil.ignore_patterns("features")
    )
    options = dict(cache=tmp_path / "cache", recipe=replace(GENDER, epochs=1))
    before = tune(Prepared(folder), work=tmp_path / "before", **options)
    shard = next((folder / "shards").glob("*.parquet"))
    table = pq.read_table(shard)
    crops = table["crop"].take(np.arange(len(table))[::-1])
    pq.write_table(table.set_column(table.schema.get_field_index("crop"), "crop", crops), shard)
    with pytest.raises(WorkError, match="shards: "):
        tune(Prepared(folder), work=tmp_path / "before", **options)
    after = tune(Prepared(folder), work=tmp_path / "after", **options)
    assert len(list((tmp_path / "cache").iterdir())) == 2
    assert after.predictions.image.tolist() == before.predictions.image.tolist()
    assert not np.allclose(after.predictions.p_male, before.predictions.p_male, atol=1e-4)


def test_layers_without_weights_tell_features_apart():
    options = [
        features.layer_options(
            keras.Sequential(
                [keras.Input((8, 8, 3)), layers.Normalization(mean=mean, variance=[1.0] * 3)]
            )
        )
        for mean in ([0.0] * 3, [0.0] * 3, [0.0, 0.0, 1.0])
    ]
    assert options[0] == options[1] != options[2]


def test_a_loss_that_explodes_is_told(tmp_path, prepared, built):
    with pytest.raises(
        WorkError,
        match=r"the loss became (nan|inf) in epoch 1: try a smaller learning rate than 1e\+30",
    ):
        tune(prepared, work=tmp_path, recipe=replace(GENDER, rate=1e30))


def test_features_beyond_float16_are_told(tmp_path, prepared, built, monkeypatch):
    monkeypatch.setattr(
        features.Images,
        "__call__",
        lambda self, rows, _: np.full((len(rows), 224, 224, 3), 1e8, "float32"),
    )
    with pytest.raises(WorkError, match="beyond float16; train without the cache"):
        tune(prepared, work=tmp_path / "work", cache=tmp_path / "cache")


# --- backends and precision ------------------------------------------------------------------------------------------

SCRIPT = """
import sys
from pathlib import Path
import numpy as np
import keras
sys.path.insert(0, {tests!r})
import pytest
import test_training as station
from safbage import training
from safbage.datasets.shards import Prepared
from safbage.training import features, tuning

station.add_network(pytest.MonkeyPatch(), "tiny", station.tiny)
prepared, work = Prepared({prepared!r}), Path({work!r})
keras.config.set_dtype_policy({policy!r})
recipe = station.replace(station.EXPRESSION, epochs=3, drop_after=1)
run = lambda name: station.tune(prepared, "expression", work=work / name, cache=work / "cache", recipe=recipe)
real, calls = tuning.run_epoch, []
def killed(*arguments, **options):
    calls.append(1)
    if len(calls) == 3:
        raise KeyboardInterrupt
    return real(*arguments, **options)
tuning.run_epoch = killed
try:
    run("killed")
    raise SystemExit("not killed")
except KeyboardInterrupt:
    pass
a, b = run("killed"), run("whole")
assert len(calls) == 7, calls
assert np.isfinite(a.history.loss).all() and np.array_equal(*(found.predictions.filter(regex="^p_") for found in (a, b)))
rows = np.flatnonzero(prepared.table.image.isin(a.predictions.image))
answers = tuning.answers(training.load_trained(work / "whole"), features.Images(prepared, recipe.variants, 0.3), rows)
assert np.allclose(answers, a.predictions.filter(regex="^p_"), atol=2e-2 if "16" in {policy!r} else 2e-3)
print("done", keras.config.backend())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "backend, policy", [("jax", "float32"), ("torch", "float32"), ("tensorflow", "mixed_bfloat16")]
)
def test_other_backends_and_precisions(tmp_path, prepared, backend, policy):
    """Trained, killed, resumed to the same answers, and loaded again."""
    if not importlib.util.find_spec(backend):
        pytest.skip(f"needs {backend}")
    script = SCRIPT.format(
        tests=os.path.dirname(__file__),
        prepared=str(prepared.folder),
        work=str(tmp_path),
        policy=policy,
    )
    environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == ["done", backend]
