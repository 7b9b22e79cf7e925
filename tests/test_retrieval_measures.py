"""Figures of retrieval, by hand and beside scikit-learn's."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from safbage import retrieval


def test_a_similarity_is_the_cosine():
    vectors = retrieval.normalize(np.array([[3, 4], [0, 2], [0, 0], [-3, -4]]))
    assert vectors == pytest.approx(np.array([[0.6, 0.8], [0, 1], [0, 0], [-0.6, -0.8]]))
    found = retrieval.similarities(vectors, np.array([0, 0, 1, 0]), np.array([0, 1, 2, 3]))
    assert found == pytest.approx([1, 0.8, 0, -1])


@pytest.mark.parametrize(
    "similarity, same, threshold",
    [
        ([0.1, 0.4, 0.6, 0.9], [0, 0, 1, 1], 0.5),
        ([0.9, 0.6, 0.4, 0.1], [1, 1, 0, 0], 0.5),
        ([0.1, 0.4, 0.6, 0.9], [0, 1, 0, 1], 0.25),  # 0.75 is as good; of two the lower is taken
        ([0.2, 0.2, 0.8], [0, 1, 1], -0.8),  # equal similarities are never told apart
        ([0.2, 0.3], [1, 1], -0.8),
        ([0.2, 0.3], [0, 0], 1.3),
    ],
)
def test_the_threshold_with_most_right_answers(similarity, same, threshold):
    similarity, same = np.array(similarity), np.array(same, bool)
    found = retrieval.best_threshold(similarity, same)
    assert found == pytest.approx(threshold)
    tried = [((similarity >= one) == same).sum() for one in np.linspace(-1, 2, 301)]
    assert ((similarity >= found) == same).sum() == max(tried)


def test_each_fold_is_answered_with_the_others_threshold():
    similarity = np.array([0.1, 0.9, 0.2, 0.3, 0.4, 0.8])
    same = np.array([0, 1, 0, 1, 0, 1], bool)
    found = retrieval.verify(similarity, same, np.array([0, 0, 1, 1, 2, 2]))
    assert found.thresholds == pytest.approx([0.25, 0.6, 0.25])
    assert found.called_same.tolist() == [False, True, False, False, True, True]
    assert found.accuracies.tolist() == [1, 0.5, 0.5]
    assert found.accuracy == pytest.approx(2 / 3)
    assert found.error == pytest.approx(np.std([1, 0.5, 0.5], ddof=1) / np.sqrt(3))
    with pytest.raises(ValueError, match="only one fold"):
        retrieval.verify(similarity, same, np.zeros(6))


def test_a_folds_own_pairs_do_not_move_its_threshold(generator):
    similarity, same = generator.uniform(size=60), generator.uniform(size=60) < 0.5
    fold = np.repeat([3, 5, 8], 20)
    before = retrieval.verify(similarity, same, fold)
    moved = np.where(fold == 5, 1 - similarity, similarity)
    after = retrieval.verify(moved, same, fold)
    assert before.thresholds[1] == after.thresholds[1]
    assert before.thresholds[0] != after.thresholds[0]


def test_the_roc_by_hand_and_its_area_beside_scikit_learns(generator):
    curve = retrieval.roc(np.array([0.9, 0.8, 0.7, 0.1]), np.array([1, 0, 1, 0], bool))
    corners = {*zip(curve.false_match, curve.true_match, strict=True)}
    assert {(0, 0), (0, 0.5), (0.5, 0.5), (0.5, 1), (1, 1)} == corners
    assert retrieval.separation(np.array([0.9, 0.8, 0.7, 0.1]), np.array([1, 0, 1, 0], bool)) == {
        "auc": 0.75,
        "true_match_at_0.001": 0.5,
        "true_match_at_0.01": 0.5,
        "true_match_at_0.1": 0.5,
    }
    same = generator.uniform(size=500) < 0.5
    similarity = generator.normal(same, 1)
    curve = retrieval.roc(similarity, same)
    assert metrics.auc(curve.false_match, curve.true_match) == pytest.approx(
        metrics.roc_auc_score(same, similarity)
    )


def test_errors_by_group_by_hand():
    called = np.array([1, 1, 0, 0, 1, 1], bool)
    same = np.array([1, 0, 1, 0, 1, 0], bool)
    groups = np.array(["x", "x", "x", "y", "y", None], object)
    found = retrieval.error_rates(called, same, groups).set_index(["group", "error"])
    assert found.loc[("x", "false match"), ["pairs", "wrong", "rate"]].tolist() == [1, 1, 1]
    assert found.loc[("x", "false non-match"), ["pairs", "wrong", "rate"]].tolist() == [2, 1, 0.5]
    assert found.loc[("y", "false match"), "wrong"] == 0
    assert found.pairs.sum() == 5, "a pair of two groups is of none"
    low, high = stats.binomtest(1, 2).proportion_ci(method="wilson")
    assert found.loc[("x", "false non-match"), ["low", "high"]].tolist() == [low, high]


def test_age_groups_stand_in_the_order_of_ages():
    groups = np.array(["8-13", "60+", "0-2", "15-20"], object)
    found = retrieval.error_rates(np.ones(4, bool), np.ones(4, bool), groups)
    assert found.group.tolist() == ["0-2", "8-13", "15-20", "60+"]
    found = retrieval.error_rates(np.ones(2, bool), np.ones(2, bool), np.array(["b", "8-13"]))
    assert found.group.tolist() == ["8-13", "b"], "of other groups, in the alphabet's"


def test_neighbours_are_the_most_similar_others():
    vectors = retrieval.normalize(np.array([[1, 0], [1, 0.1], [0, 1], [-1, 0.2]]))
    places, cosines = retrieval.neighbours(vectors, 2)
    assert places.tolist() == [[1, 2], [0, 2], [3, 1], [2, 1]]
    assert cosines[0] == pytest.approx([1 / np.sqrt(1.01), 0], abs=1e-6)
    places, cosines = retrieval.neighbours(vectors, 1, of=np.array([[0, 3.0]]))
    assert (places.tolist(), cosines.tolist()) == ([[2]], [[1]])
    for count in (0, 4):
        with pytest.raises(ValueError, match="count lies between 1 and 3"):
            retrieval.neighbours(vectors, count)


def test_a_ranking_by_hand():
    """The queries' orders: 0: 1 2 3; 1: 0 2 3; 2: 3 1 0; 3: 2 1 0; the people a b a b."""
    angles = np.deg2rad([0, 10, 60, 75])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    found = retrieval.identify(vectors, np.array(["a", "b", "a", "b"]))
    assert found["first"].tolist() == [False] * 4
    assert found.precision.tolist() == pytest.approx([1 / 2, 1 / 3, 1 / 3, 1 / 2])
    with pytest.raises(ValueError, match="c has one picture"):
        retrieval.identify(vectors, np.array(["a", "a", "a", "c"]))


def test_average_precision_is_scikit_learns(generator, monkeypatch):
    monkeypatch.setattr(retrieval.measures, "ROWS", 7)
    vectors = retrieval.normalize(generator.normal(size=(40, 5)))
    subjects = np.repeat(np.arange(10), 4)[generator.permutation(40)]
    found = retrieval.identify(vectors, subjects)
    for query in range(40):
        others = np.arange(40) != query
        theirs = metrics.average_precision_score(
            subjects[others] == subjects[query], vectors[others] @ vectors[query]
        )
        assert found.precision[query] == pytest.approx(theirs)
    places, _ = retrieval.neighbours(vectors, 1)
    assert (found["first"] == (subjects[places[:, 0]] == subjects)).all()


def test_a_paired_difference_by_hand():
    before, after = np.array([1, 0, 0, 0]), np.array([1, 1, 1, 0])
    people = np.array(["a", "a", "a", "b"])
    found = retrieval.paired_difference(before, after, people, repetitions=999)
    assert (found["without"], found["with"], found["difference"]) == (0.25, 0.75, 0.5)
    assert (found["people"], found["items"]) == (2, 4)
    # drawn: twice a (2/3), a and b (1/2), twice b (0)
    assert (found["low"], found["high"]) == pytest.approx((0, 2 / 3))
    once = retrieval.paired_difference(before, after, people, once=True, repetitions=999)
    assert once["without"] == pytest.approx((1 / 3 + 0) / 2)
    assert once["difference"] == pytest.approx(1 / 3)


def test_equal_arms_do_not_differ_and_the_interval_is_that_of_the_theory(generator):
    right = generator.uniform(size=50) < 0.7
    assert retrieval.paired_difference(right, right, np.arange(50))["p"] == 1
    differences = generator.choice([-1, 0, 1], 400, p=[0.1, 0.6, 0.3])
    found = retrieval.paired_difference(np.zeros(400), differences, np.arange(400), seed=1)
    error = 1.96 * differences.std() / 20
    assert found["high"] - found["difference"] == pytest.approx(error, rel=0.1)
    assert found["p"] < 0.001
    kept_together = retrieval.paired_difference(
        np.zeros(800), np.repeat(differences, 2), np.repeat(np.arange(400), 2), seed=1
    )
    assert kept_together["high"] == pytest.approx(found["high"]), "copies promise nothing more"
