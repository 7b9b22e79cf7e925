"""Training ML-Net: losses by hand, every way to train, and that a killed run ends where an unbroken one does."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from conftest import killed_and_whole
from test_runtime_work import waits

from safbage import saliency
from safbage.datasets.drawn.scenes import synthetic_scenes
from safbage.errors import WorkError
from safbage.runtime.epochs import EpochLog
from safbage.runtime.weights import checkpoints
from safbage.saliency import mlnet, training
from safbage.saliency.metrics import cc, kl
from safbage.saliency.training import RECIPES

SMALL = replace(
    RECIPES["shipped"], train="head", size=(80, 96), scales=(1.0,), batch=4, epochs=4, rate=1e-3
)


@pytest.fixture(scope="module")
def scenes():
    return synthetic_scenes(16, size=(80, 96))


def test_the_papers_recipe():
    """Section 3 and the authors' code."""
    paper = RECIPES["paper"]
    assert (paper.train, paper.size, paper.loss, paper.mirror) == (
        "all",
        (480, 640),
        "mlnet",
        False,
    )
    assert (paper.batch, paper.epochs, paper.patience, paper.dropout) == (10, 20, 5, 0.5)
    rate = training.DECAYS[paper.decay](paper.rate, 100)
    assert float(rate(0)) == pytest.approx(1e-3) and float(rate(2000)) == pytest.approx(1e-3 / 2)
    optimizer = training.OPTIMIZERS[paper.optimizer](rate)
    assert optimizer.momentum == 0.9 and optimizer.nesterov


def test_kl_cc_is_both_metrics(generator):
    truth, predicted = generator.random((2, 3, 6, 8, 1)).astype("float32") + 0.01
    expected = [kl(p, q) + 1 - cc(p, q) for p, q in zip(predicted, truth, strict=True)]
    assert np.allclose(training.kl_cc_loss(truth, predicted), expected, atol=1e-4)
    assert np.allclose(training.kl_cc_loss(truth, 9 * predicted), expected, atol=1e-4)
    assert np.allclose(training.kl_cc_loss(truth, truth), 0, atol=1e-4)


def test_a_dead_map_has_a_finite_loss():
    truth = np.ones((1, 4, 4, 1), "float32")
    for loss in training.LOSSES.values():
        assert np.isfinite(keras.ops.convert_to_numpy(loss(truth, np.zeros_like(truth)))).all()


@pytest.mark.parametrize(
    "wrong",
    [
        *(
            {"train": "fc6"},
            {"loss": "mse"},
            {"optimizer": "lion"},
            {"decay": "step"},
            {"size": (100, 96)},
            {"size": (16, 16)},
            {"scales": ()},
            {"scales": (1.0, 9.0)},
        ),
        *({"batch": 0}, {"epochs": 0}, {"rate": 0.0}, {"dropout": 1.0}),
    ],
)
def test_wrong_settings_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(SMALL, **wrong)


def test_too_few_scenes(tmp_path, scenes):
    with pytest.raises(ValueError, match="2 scenes to train on and 1 to choose by"):
        training.train(scenes[:2], tmp_path, SMALL, choosing=scenes[:1], progress=False)


@pytest.mark.parametrize(
    "part, blocks",
    [
        ("head", ""),
        ("conv5", "5"),
        pytest.param("conv4", "45", marks=pytest.mark.slow),
        pytest.param("all", "12345", marks=pytest.mark.slow),
    ],
)
def test_what_is_trained_changes_and_nothing_else_is_kept(tmp_path, scenes, part, blocks):
    recipe = replace(SMALL, train=part, epochs=1, batch=8)
    path = training.train(scenes[:9], tmp_path, recipe, choosing=scenes[9:11], progress=False)
    tensors, _ = checkpoints.read_safetensors(path)
    head = {
        "int_conv/kernel",
        "int_conv/bias",
        "pre_final_conv/kernel",
        "pre_final_conv/bias",
        "prior/prior",
    }
    convs = [
        f"conv{b}_{i}"
        for b, n in zip("12345", (2, 2, 3, 3, 3), strict=True)
        for i in range(1, n + 1)
        if b in blocks
    ]
    assert set(tensors) == head | {
        f"{name}/{kind}" for name in convs for kind in ("kernel", "bias")
    }
    imagenet = mlnet.weights.load("vgg16-conv")
    assert all(
        not np.array_equal(tensors[f"{name}/kernel"], imagenet[f"{name}/kernel"]) for name in convs
    )
    assert saliency.load(path).network.get_layer("prior").prior.shape == (1, 1)


def test_the_second_of_two_trainings_waits(tmp_path, scenes):
    recipe = replace(SMALL, epochs=1)
    waited, path = waits(tmp_path, lambda: training.train(scenes, tmp_path, recipe, progress=False))
    assert waited and path.exists()


@pytest.mark.slow
def test_training_learns_where_the_bright_shapes_are(tmp_path):
    """120 drawn scenes, three epochs of the head: far better on unseen scenes than their mean map."""
    scenes = synthetic_scenes(120, size=(80, 96), seed=1)
    recipe = replace(SMALL, batch=10, epochs=3)
    model = saliency.load(training.train(scenes, tmp_path, recipe, progress=False))
    unseen = synthetic_scenes(20, size=(80, 96), seed=2)
    mean_map = np.mean([scene.fixation_map() for scene in scenes], axis=0)
    learnt = np.mean(
        [cc(saliency.predict(scene.pixels(), model), scene.fixation_map()) for scene in unseen]
    )
    prior = np.mean([cc(mean_map, scene.fixation_map()) for scene in unseen])
    assert learnt > 0.55 and learnt > prior + 0.2


def test_scenes_of_another_shape_are_padded(tmp_path):
    tall = synthetic_scenes(12, size=(128, 64))
    (target,) = training.target_maps(tall[0], [(80, 96)])
    assert target.shape == (10, 12, 1) and target.max() == 1
    assert not target[:, :3].any() and not target[:, -3:].any() and target[:, 5:7].any()
    training.train(tall, tmp_path, replace(SMALL, epochs=1), progress=False)


def test_batches_come_at_all_scales(tmp_path, scenes, monkeypatch):
    recipe = replace(SMALL, scales=(1.0, 1.3), epochs=1, batch=2)
    assert recipe.sizes() == [(80, 96), (104, 128)]
    drawn, real = [], training.batches

    def noted(*arguments):
        drawn.extend(found := list(real(*arguments)))
        return found

    monkeypatch.setattr(training, "batches", noted)
    path = training.train(scenes, tmp_path, recipe, progress=False)
    shapes = [(x.shape[1:3], y.shape[1:3]) for x, y in drawn]
    assert {(10, 12), (13, 16)} == {x for x, _ in shapes} and all(x == y for x, y in shapes)
    assert saliency.load(path).scene_size == recipe.size


def run_to_weights(scenes, recipe):
    def run(folder):
        return checkpoints.read_safetensors(training.train(scenes, folder, recipe, progress=False))[
            0
        ]

    return run


OTHERS = [
    replace(SMALL, train="conv5", batch=8),
    replace(SMALL, optimizer="sgd", decay="time"),
    replace(SMALL, scales=(1.0, 1.3)),
]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [SMALL, *OTHERS])
def test_a_killed_training_resumes_to_the_same_weights(tmp_path, monkeypatch, scenes, recipe):
    recipe = replace(recipe, epochs=3)  # it is killed in the third
    killed, whole = killed_and_whole(
        tmp_path, monkeypatch, training, "batches", run_to_weights(scenes, recipe)
    )
    rounding = 1e-7 if len(recipe.scales) > 1 else 0
    assert killed.keys() == whole.keys() and all(
        np.allclose(killed[name], whole[name], rtol=0, atol=rounding) for name in whole
    )


@pytest.mark.slow
def test_a_run_killed_among_the_features_resumes_to_the_same_weights(tmp_path, monkeypatch, scenes):
    run = run_to_weights(scenes, replace(SMALL, epochs=2))
    killed, whole = killed_and_whole(
        tmp_path, monkeypatch, training.images, "pad_to", run, call_number=20
    )
    assert all(np.array_equal(killed[name], whole[name]) for name in whole)


def test_other_scenes_or_settings_need_another_folder(tmp_path, scenes):
    recipe = replace(SMALL, epochs=1)
    training.train(scenes, tmp_path, recipe, progress=False)
    with pytest.raises(WorkError, match=r"rate: 0\.001 there, 0\.1 now"):
        training.train(scenes, tmp_path, replace(recipe, rate=0.1), progress=False)
    with pytest.raises(WorkError, match="scenes: 15 scenes"):
        training.train(scenes[1:], tmp_path, recipe, progress=False)


def test_a_rate_that_explodes_is_told(tmp_path, scenes):
    with pytest.raises(WorkError, match=r"learning rate|another seed"):
        training.train(scenes, tmp_path, replace(SMALL, rate=1e8, optimizer="sgd"), progress=False)


def test_training_stops_when_the_choosing_scenes_gain_no_more(tmp_path, scenes, monkeypatch):
    values = iter([0.3, 0.5, 0.4, 0.4, 0.6])
    monkeypatch.setattr(training, "mean_correlation", lambda *_: next(values))
    recipe = replace(SMALL, patience=2, epochs=9)
    path = training.train(scenes, tmp_path, recipe, choosing=scenes[:1], progress=False)
    log = EpochLog(tmp_path, lambda row: row["cc"])
    assert len(log.rows) == 4 and log.best == 2
    with checkpoints.safetensors.safe_open(path, "numpy") as file:
        assert file.metadata()["epoch"] == "2"
