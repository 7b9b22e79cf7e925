"""Age in years: what the groups are of a distribution over years, its median and interval, and where the evidence lies."""

import numpy as np
import pytest

from safbage import cam, classifiers
from safbage.classifiers import years
from safbage.runtime.backend import keras, ops
from safbage.tasks import AGE_GROUPS, AGE_RANGES, CLASSES

HEAD = "softmax_age"


def distribution(**shares):
    """From ``y30=0.5``: half at 30 years."""
    values = np.zeros((1, years.COUNT))
    for name, share in shares.items():
        values[0, int(name[1:])] = share
    return values


def grouped(shares):
    groups, within = years.group(np.log(np.maximum(shares, 1e-30)).astype("float32"))
    return np.asarray(ops.softmax(groups)), np.asarray(within)


def test_groups_are_sums_over_their_years_and_the_gaps_belong_to_none():
    shares = distribution(y0=0.05, y2=0.05, y3=0.2, y25=0.1, y32=0.2, y40=0.3, y60=0.05, y100=0.05)
    groups, within = grouped(shares)
    # 0.8 lie in groups: 3 is a gap's
    expected = np.array([0.1, 0, 0, 0, 0.3, 0.3, 0, 0.1]) / 0.8
    assert np.allclose(groups[0], expected, atol=1e-6)
    assert within.shape == (1, len(AGE_GROUPS), years.COUNT)
    assert np.allclose(within.sum(axis=-1), 1, atol=1e-5)
    assert within[0, 4, 25] == pytest.approx(1 / 3) and within[0, 4, 32] == pytest.approx(2 / 3)
    assert within[0, 4, 40] == 0 == within[0, 0, 3]


def test_each_year_is_in_the_group_of_its_range():
    for age in range(years.COUNT):
        groups, _ = grouped(distribution(**{f"y{age}": 1.0}))
        group = [low <= age <= high for low, high in AGE_RANGES]
        if any(group):
            assert groups[0].argmax() == group.index(True) and groups[0].max() > 0.999


def test_a_group_of_next_to_no_probability_has_shares_all_the_same():
    scores = np.zeros((1, years.COUNT), "float32")
    scores[0, 30] = 500  # to all others float32 gives a probability of 0
    groups, within = map(np.asarray, years.group(scores))
    assert np.isfinite(groups).all() and np.allclose(within[0, 0, :3], 1 / 3)


def test_median_and_interval_by_hand():
    even = distribution(**{f"y{age}": 0.1 for age in range(20, 30)})  # spread over 19.5 to 29.5
    assert years.summary(even, 0.1).tolist() == [[24, 20, 28]]  # 24.5, rounded to even; 20.5; 28.5
    assert years.summary(even, 0.25).tolist() == [[24, 22, 27]]
    sure = [distribution(**{f"y{age}": 1.0}) for age in (0, 1, 41, 100)]
    found = years.summary(np.concatenate(sure), 0.136)
    assert found.tolist() == [[0, 0, 0], [1, 1, 1], [41, 41, 41], [100, 100, 100]]
    assert not np.signbit(found).any()
    two = distribution(y10=0.6, y80=0.4)
    assert years.summary(two, 0.1).tolist() == [[10, 10, 80]]


def test_the_interval_holds_the_median_and_widens_as_its_tail_shrinks(generator):
    made = generator.dirichlet(np.full(years.COUNT, 0.05), 200).astype("float32")
    before = None
    for tail in (0.5, 0.3, 0.136, 0.01):
        median, low, high = years.summary(made, tail).T
        assert (low >= 0).all() and (low <= median).all() and (median <= high).all()
        assert (high <= 100).all() and (high == np.round(high)).all()
        assert before is None or ((high - low) >= before).all()
        before = high - low
    assert not before.min() == before.max() == 0


@pytest.fixture(scope="module")
def joint():
    return classifiers.load_joint(tuple(CLASSES), "face-mobilenet")


@pytest.fixture(scope="module")
def face(model, astronaut):
    return model.explain(astronaut).reweighted.astype("float32")


def test_the_network_gives_years_where_age_is_asked_and_it_knows_them(joint, face):
    found = joint.predict_on_batch(face)
    assert set(found) == {*CLASSES, *(f"cam_{task}" for task in CLASSES), "years"}
    assert found["years"].shape == (1, 101) and found["years"].sum() == pytest.approx(1, abs=1e-5)
    sums = np.array([found["years"][0, low : high + 1].sum() for low, high in AGE_RANGES])
    assert np.allclose(found["age"][0], sums / sums.sum(), atol=1e-5)
    for tasks, network in ((("gender",), "face-mobilenet"), (("age",), "alexnet-gap")):
        assert "years" not in classifiers.load_joint(tasks, network).output
    assert classifiers.tail_of("alexnet-gap") is None
    assert 0.1 < classifiers.tail_of("face-mobilenet") < 0.2


def test_a_groups_map_is_the_numerical_gradient_of_its_log_probability(joint, face):
    """Evidence is told up to what all groups share, so differences of groups are compared."""
    features = keras.Model(joint.inputs, joint.get_layer("gap_age").input)
    features = np.asarray(features.predict_on_batch(face), "float64")[0]
    kernel, bias = (np.asarray(v, "float64") for v in joint.get_layer(HEAD).weights)

    def log_sums(pooled):
        scores = np.exp(pooled @ kernel + bias)
        return np.log([scores[low : high + 1].sum() for low, high in AGE_RANGES])

    pooled, step = features.mean(axis=(0, 1)), 1e-5
    gradient = [
        (log_sums(pooled + step * unit) - log_sums(pooled - step * unit)) / (2 * step)
        for unit in np.eye(len(pooled))
    ]
    expected = cam.contrast(features @ np.array(gradient))
    found = cam.contrast(joint.predict_on_batch(face)["cam_age"][0])
    assert found.shape == (7, 7, 8)
    assert np.allclose(found, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("task", CLASSES)
def test_grad_cam_of_the_network_of_one_task_is_its_cam(joint, face, task):
    alone = classifiers.load(task, "face-mobilenet")
    together = joint.predict_on_batch(face)
    assert np.allclose(alone.predict_on_batch(face), together[task], atol=1e-5)
    target = int(together[task][0].argmax())
    positive = np.maximum(together[f"cam_{task}"][0, :, :, target], 0)
    found = cam.grad_cam(alone, face, target=target)[0]
    assert np.allclose(found * 49, positive, atol=1e-3 * positive.max())
