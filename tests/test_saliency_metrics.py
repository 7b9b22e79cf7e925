"""By hand on small maps, against SciPy on many random ones, and the laws each metric obeys."""

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats

from safbage import fixations, images
from safbage.datasets.drawn.scenes import synthetic_scenes
from safbage.saliency import metrics

MAP = np.array([[0.0, 1.0], [2.0, 5.0]])
AT_5, AT_2, AT_0 = [1, 1], [0, 1], [0, 0]
"""Fixations (x, y) on MAP's values 5, 2 and 0."""


def test_nss_by_hand():
    spread = np.sqrt((4 + 1 + 0 + 9) / 4)  # the mean is 2
    assert metrics.nss(MAP, np.array([AT_5])) == pytest.approx(3 / spread)
    assert metrics.nss(MAP, np.array([AT_5, AT_0])) == pytest.approx((3 - 2) / 2 / spread)


def test_cc_by_hand():
    assert metrics.cc(MAP, np.array([[0, 0], [0, 1.0]])) == pytest.approx(
        np.corrcoef([0, 1, 2, 5], [0, 0, 0, 1])[0, 1]
    )
    assert metrics.cc(MAP, 3 * MAP + 7) == pytest.approx(1) and metrics.cc(
        MAP, -MAP
    ) == pytest.approx(-1)


def test_sim_by_hand():
    assert metrics.sim(MAP, np.ones((2, 2))) == pytest.approx(0 + 1 / 8 + 2 / 8 + 2 / 8)
    assert metrics.sim(MAP, MAP) == pytest.approx(1)
    assert metrics.sim(np.array([[1, 0]]), np.array([[0, 1]])) == 0


def test_kl_by_hand():
    truth = np.array([[0, 0], [1, 3.0]])
    expected = 1 / 4 * np.log((1 / 4) / (2 / 8)) + 3 / 4 * np.log((3 / 4) / (5 / 8))
    assert metrics.kl(MAP, truth) == pytest.approx(expected, abs=1e-9)
    assert metrics.kl(MAP, MAP) == pytest.approx(0, abs=1e-9)
    assert (
        metrics.kl(truth, MAP) > 3
    )  # the map has nothing where the truth has an eighth: dear, but finite


def test_auc_judd_by_hand():
    assert metrics.auc_judd(MAP, np.array([AT_5])) == 1
    assert metrics.auc_judd(MAP, np.array([AT_2])) == pytest.approx(2 / 3)
    assert metrics.auc_judd(MAP, np.array([AT_2, AT_2])) == pytest.approx(
        2 / 3
    )  # a pixel counts once
    assert metrics.auc_judd(MAP, np.array([AT_0])) == 0
    assert metrics.auc_judd(np.ones((3, 3)), np.array([AT_5])) == 0.5  # ties count half


def test_shuffled_auc_by_hand():
    assert metrics.shuffled_auc(MAP, np.array([AT_2]), np.array([AT_0, AT_5])) == 0.5
    assert metrics.shuffled_auc(MAP, np.array([AT_2]), np.array([AT_2])) == 0.5
    assert metrics.shuffled_auc(
        MAP, np.array([AT_5, AT_2]), np.array([AT_2, AT_0])
    ) == pytest.approx((1 + 1 + 0.5 + 1) / 4)


def test_information_gain_by_hand():
    uniform = np.ones((2, 2))
    assert metrics.information_gain(MAP, np.array([AT_5]), uniform, uniform=0) == pytest.approx(
        np.log2((5 / 8) / (1 / 4))
    )
    assert metrics.information_gain(MAP, np.array([AT_2]), uniform, uniform=0) == pytest.approx(0)
    mixed = 0.99 * 0 + 0.01 / 4
    assert metrics.information_gain(MAP, np.array([AT_0]), uniform) == pytest.approx(
        np.log2(mixed / (1 / 4))
    )
    assert metrics.information_gain(MAP, np.array([AT_0]), MAP) == 0


def random_case(seed):
    generator = np.random.default_rng(seed)
    field, truth = (
        generator.random((2, 24, 32)) ** 3 + 0.001
    )  # from 0 on, the ε of our KL would show
    points = generator.uniform((0, 0), (32, 24), (40, 2))
    return field, truth, points, np.floor(points).astype(int)


@pytest.mark.parametrize("seed", range(100))
def test_scipy_agrees(seed):
    field, truth, points, (columns, rows) = *random_case(seed)[:3], random_case(seed)[3].T
    p, q = field / field.sum(), truth / truth.sum()
    assert metrics.nss(field, points) == pytest.approx(
        scipy.stats.zscore(field, axis=None)[rows, columns].mean(), abs=1e-9
    )
    assert metrics.cc(field, truth) == pytest.approx(
        scipy.stats.pearsonr(field.ravel(), truth.ravel()).statistic, abs=1e-9
    )
    assert metrics.sim(field, truth) == pytest.approx(
        1 - scipy.spatial.distance.cityblock(p.ravel(), q.ravel()) / 2, abs=1e-9
    )
    assert metrics.kl(field, truth) == pytest.approx(
        scipy.stats.entropy(q.ravel(), p.ravel()), abs=1e-6
    )
    fixated = np.zeros(field.shape, bool)
    fixated[rows, columns] = True
    area = (
        scipy.stats.mannwhitneyu(field[fixated], field[~fixated]).statistic
        / fixated.sum()
        / (~fixated).sum()
    )
    assert metrics.auc_judd(field, points) == pytest.approx(area, abs=1e-9)
    elsewhere = np.random.default_rng(seed + 1000).uniform((0, 0), (32, 24), (90, 2))
    other = field[np.floor(elsewhere[:, 1]).astype(int), np.floor(elsewhere[:, 0]).astype(int)]
    area = (
        scipy.stats.mannwhitneyu(field[rows, columns], other).statistic / len(points) / len(other)
    )
    assert metrics.shuffled_auc(field, points, elsewhere) == pytest.approx(area, abs=1e-9)
    entropies = np.log2(p[rows, columns]) - np.log2(q[rows, columns])
    assert metrics.information_gain(field, points, truth, uniform=0) == pytest.approx(
        entropies.mean(), abs=1e-9
    )


def test_borjis_area_is_near_the_one_against_all_pixels():
    field, _, points, (columns, rows) = *random_case(0)[:3], random_case(0)[3].T
    all_pixels = (
        scipy.stats.mannwhitneyu(field[rows, columns], field.ravel()).statistic
        / len(points)
        / field.size
    )
    assert metrics.auc_borji(field, points) == pytest.approx(all_pixels, abs=0.03)
    assert metrics.auc_borji(field, points) == metrics.auc_borji(field, points)
    assert metrics.auc_borji(field, points, seed=1) != metrics.auc_borji(field, points)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_no_metric_sees_a_maps_scale(scale):
    field, truth, points, _ = random_case(1)
    for metric in (metrics.cc, metrics.sim, metrics.kl):
        assert metric(scale * field, truth) == pytest.approx(metric(field, truth), abs=1e-9)
    for metric in (metrics.nss, metrics.auc_judd, metrics.auc_borji):
        assert metric(scale * field, points) == pytest.approx(metric(field, points), abs=1e-9)


def test_empty_and_constant_maps_are_chance():
    truth, points, none = MAP, np.array([AT_5]), np.zeros((0, 2))
    for field in (np.zeros((2, 2)), np.full((2, 2), 0.1)):
        assert (
            metrics.cc(field, truth) == 0
            and metrics.nss(field, points) == 0
            and metrics.auc_judd(field, points) == 0.5
        )
        assert metrics.sim(field, truth) == pytest.approx(metrics.sim(np.ones((2, 2)), truth))
    assert np.isnan(
        [
            metrics.nss(truth, none),
            metrics.auc_judd(truth, none),
            metrics.shuffled_auc(truth, none, points),
        ]
    ).all()


@pytest.fixture(scope="module")
def scenes():
    return fixations.hold_back(synthetic_scenes(20, size=(96, 128)))


def test_the_table_ranks_the_truth_above_its_baselines(scenes):
    rest, held_back = scenes
    truth = {id(scene.image): scene.fixation_map() for scene in held_back}
    table = metrics.evaluate(
        held_back, {"truth": lambda picture: truth[id(picture)]}, rest, progress=False
    )
    assert len(table) == 4 * len(held_back) and list(table.columns) == [
        "scene",
        "model",
        *metrics.METRICS,
    ]
    summary = metrics.summarise(table)
    mean, error = (summary.xs(name, axis=1, level=1) for name in ("mean", "error"))
    assert list(mean.index) == ["truth", "centre prior", "uniform", "other viewers"]
    assert (
        mean.loc["truth", ["CC", "SIM"]].tolist() == pytest.approx([1, 1])
        and mean.loc["truth", "KL"] < 1e-9
    )
    for metric in ("CC", "SIM", "NSS", "AUC-Judd", "AUC-Borji", "sAUC", "IG"):
        assert (
            mean.loc["truth", metric]
            > mean.loc["other viewers", metric]
            > mean.loc["centre prior", metric]
        )
    assert mean.loc["uniform", ["CC", "NSS", "AUC-Judd", "AUC-Borji", "sAUC"]].tolist() == [
        0,
        0,
        0.5,
        0.5,
        0.5,
    ]
    assert mean.loc["centre prior", "IG"] == pytest.approx(0, abs=1e-9)
    assert (error.loc["other viewers"] > 0).all()


def test_means_and_standard_errors_are_over_scenes():
    import pandas as pd

    rows = [
        {"scene": i, "model": "a", **dict.fromkeys(metrics.METRICS, value)}
        for i, value in enumerate([1.0, 2.0, 6.0])
    ]
    summary = metrics.summarise(pd.DataFrame(rows))
    assert summary.loc["a", ("CC", "mean")] == 3
    assert summary.loc["a", ("NSS", "error")] == pytest.approx(
        np.std([1, 2, 6], ddof=1) / np.sqrt(3)
    )


def test_the_centre_prior_is_the_mean_of_maps(scenes):
    rest, _ = scenes
    prior = metrics.centre_prior(rest[:2], (96, 128))
    assert np.allclose(prior, (rest[0].fixation_map() + rest[1].fixation_map()) / 2, atol=1e-6)
    small = metrics.centre_prior(rest[:2], (24, 32))
    assert np.corrcoef(small.ravel(), images.resize(prior, (24, 32)).ravel())[0, 1] > 0.999


def test_one_viewer_cannot_be_compared_with_others(scenes):
    scene = scenes[1][0]
    alone = fixations.Scene(
        "alone", scene.image, scene.size, scene.fixations[:5], np.zeros(5), scene.sigma
    )
    values = metrics.score_viewers(
        alone, prior=np.ones((9, 9), "float32"), elsewhere=np.zeros((0, 2))
    )
    assert np.isnan(list(values.values())).all()


def test_large_pictures_are_measured_smaller():
    (scene, other) = synthetic_scenes(2, size=(1400, 2100), seed=1)
    shown = []

    def flat(picture):
        shown.append(picture.shape)
        return np.ones(picture.shape[:2], "float32")

    table = metrics.evaluate([scene], {"flat": flat}, [other], viewers=False, progress=False)
    assert shown == [(683, 1024, 3)] and len(table) == 3
