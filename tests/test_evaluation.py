import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics
from statsmodels.stats import contingency_tables, multitest, proportion

from safbage import evaluation
from safbage.evaluation import paired
from safbage.tasks import AGE_GROUPS, EXPRESSIONS, GENDERS


def table(labels, answers, classes, *, confidence=0.9, subject=None, fold=0, **groups):
    """A predictions table with the given confidence in each answer, the rest spread evenly."""
    answers = np.asarray(answers)
    confidence = np.broadcast_to(confidence, len(answers))
    rest = (1 - confidence) / (len(classes) - 1)
    p = {f"p_{name}": np.where(answers == name, confidence, rest) for name in classes}
    images = [f"/faces/{i}.jpg" for i in range(len(answers))]
    return pd.DataFrame(
        {"image": images, "subject": subject, "fold": fold, "label": labels, "answer": answers}
        | p
        | groups
    )


def drawn(generator, classes=AGE_GROUPS, faces=400, skill=0.5, **groups):
    """Random labels, and random probabilities that lean towards them."""
    labels = generator.choice(classes, faces, p=generator.dirichlet(np.full(len(classes), 3.0)))
    p = generator.dirichlet(np.full(len(classes), 0.6), faces)
    p = (1 - skill) * p + skill * (labels[:, None] == np.array(classes)) * generator.random(
        (faces, 1)
    )
    p /= p.sum(axis=1, keepdims=True)
    found = pd.DataFrame(
        {
            "image": [f"{i}.jpg" for i in range(faces)],
            "subject": pd.NA,
            "fold": np.arange(faces) % 5,
        }
    )
    found = found.assign(label=labels, answer=np.array(classes)[p.argmax(axis=1)], **groups)
    return found.assign(**{f"p_{name}": p[:, i] for i, name in enumerate(classes)})


SMALL = ("a", "b", "c")


@pytest.fixture
def small():
    return table(list("aaaabbc"), list("aaabbca"), SMALL)


def test_figures_by_hand(small):
    counts = evaluation.confusion(small)
    assert counts.to_numpy().tolist() == [[3, 1, 0], [0, 1, 1], [1, 0, 0]]
    assert list(counts.index) == list(counts.columns) == list(SMALL)
    assert evaluation.percent(counts).loc["a"].tolist() == [75, 25, 0]
    assert evaluation.accuracy(small) == pytest.approx(4 / 7)
    assert evaluation.recalls(small).to_dict() == {"a": 0.75, "b": 0.5, "c": 0}
    assert evaluation.mean_recall(small) == pytest.approx(1.25 / 3)
    assert evaluation.one_off_accuracy(small) == pytest.approx(6 / 7)  # c answered a is two off


@pytest.mark.parametrize("classes", [AGE_GROUPS, GENDERS, EXPRESSIONS])
def test_figures_agree_with_scikit_learn(generator, classes):
    predictions = drawn(generator, classes)
    labels, answers = predictions.label, predictions.answer
    shuffled = predictions[
        sorted(predictions.columns)
    ]  # the order is the paper's, not that of the columns
    assert evaluation.classes_of(shuffled) == classes
    assert (
        evaluation.confusion(shuffled)
        == metrics.confusion_matrix(labels, answers, labels=list(classes))
    ).all(axis=None)
    assert evaluation.accuracy(predictions) == pytest.approx(
        metrics.accuracy_score(labels, answers)
    )
    expected = metrics.recall_score(labels, answers, labels=list(classes), average=None)
    np.testing.assert_allclose(evaluation.recalls(predictions), expected)
    assert evaluation.mean_recall(predictions) == pytest.approx(
        metrics.balanced_accuracy_score(labels, answers)
    )
    percent = 100 * metrics.confusion_matrix(
        labels, answers, labels=list(classes), normalize="true"
    )
    np.testing.assert_allclose(evaluation.percent(evaluation.confusion(predictions)), percent)


def test_one_off_counts_neighbouring_age_groups(generator):
    predictions = drawn(generator)
    order = list(AGE_GROUPS)
    near = [
        abs(order.index(a) - order.index(b)) <= 1
        for a, b in zip(predictions.label, predictions.answer, strict=True)
    ]
    assert evaluation.one_off_accuracy(predictions) == pytest.approx(np.mean(near))
    assert np.mean(near) > evaluation.accuracy(predictions)


def test_a_class_without_faces_is_left_out_of_the_mean():
    predictions = table(list("aabb"), list("aabc"), SMALL)
    assert evaluation.recalls(predictions).isna().to_dict() == {"a": False, "b": False, "c": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of c, which is answered but never true
        expected = metrics.balanced_accuracy_score(predictions.label, predictions.answer)
    assert evaluation.mean_recall(predictions) == expected == 0.75
    assert evaluation.percent(evaluation.confusion(predictions)).loc["c"].isna().all()


def test_scores_of_a_matrix_that_is_none():
    for cells in (
        [[1, np.nan], [0, 1]],
        [[1, -1], [0, 1]],
        [[0, 0], [0, 0]],
        [[1, 2, 3], [4, 5, 6]],
    ):
        with pytest.raises(ValueError, match="square"):
            evaluation.matrix_scores(pd.DataFrame(cells))


# --- the contract --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.iloc[:0], "no row"),
        (lambda t: t.drop(columns="answer"), "no answer"),
        (lambda t: t.drop(columns=["p_a", "p_b", "p_c"]), "p_<class>"),
        (
            lambda t: t.assign(label=["x", "y", *t.label[2:]]),
            "unknown label 'x', 'y'; the classes are a, b, c",
        ),
        (lambda t: t.assign(label=[None, *t.label[1:]]), "unknown label"),
        (lambda t: t.assign(answer="z"), "unknown answer 'z'"),
        (lambda t: t.assign(p_a=t.p_a + 0.01), "sum to 1; 7 rows"),
        (lambda t: t.assign(p_a=np.nan), "sum to 1"),
        (lambda t: t.assign(p_a=t.p_a - 2, p_b=t.p_b + 2), "≥ 0"),
        (lambda t: t.assign(answer="c"), "largest probability"),
    ],
)
def test_tables_that_break_the_contract_are_named(small, change, message):
    with pytest.raises(ValueError, match=message):
        evaluation.accuracy(change(small))


def test_a_tie_may_be_answered_with_either_class():
    for answer in "ab":
        predictions = pd.DataFrame(
            {
                "image": ["1"],
                "label": ["a"],
                "answer": [answer],
                "p_a": [0.4],
                "p_b": [0.4],
                "p_c": [0.2],
            }
        )
        assert evaluation.accuracy(predictions) == (answer == "a")


def test_the_table_survives_a_csv(generator, tmp_path):
    predictions = drawn(generator)
    predictions.round(4).to_csv(tmp_path / "p.csv", index=False)
    read = pd.read_csv(tmp_path / "p.csv")
    assert (
        evaluation.by_fold(read).accuracy.tolist()
        == evaluation.by_fold(predictions).accuracy.tolist()
    )
    assert evaluation.paired_bootstrap(read, read, repetitions=10)["subjects"] == len(read)


def test_columns_may_be_categorical(generator):
    predictions = drawn(generator, EXPRESSIONS)
    listed = evaluation.with_folds(
        predictions.assign(subject=np.arange(400) // 4).drop(columns="fold")
    )
    ordered = {
        name: pd.Categorical(listed[name], categories=sorted(EXPRESSIONS))
        for name in ("label", "answer")
    }
    pd.testing.assert_frame_equal(
        evaluation.by_fold(listed.assign(**ordered)), evaluation.by_fold(listed)
    )
    assert evaluation.mcnemar(listed.assign(**ordered), listed)["p"] == 1


# --- calibration ---------------------------------------------------------------------------------------------------------


def test_calibration_by_hand():
    predictions = table(
        list("aaab"), list("aaba"), ("a", "b"), confidence=np.array([0.95, 0.95, 0.6, 0.55])
    )
    bins = evaluation.reliability(predictions, bins=10)
    assert bins.faces.tolist() == [0, 0, 0, 0, 0, 2, 0, 0, 0, 2]
    assert bins.confidence[9] == pytest.approx(0.95) and bins.accuracy[9] == 1
    assert bins.accuracy[5] == 0 and np.isnan(bins.accuracy[0])
    assert evaluation.calibration_error(predictions, bins=10) == pytest.approx(
        0.5 * 0.575 + 0.5 * 0.05
    )


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_calibration_error_agrees_with_a_plain_loop(generator, bins):
    predictions = drawn(generator, EXPRESSIONS, 1000)
    p = predictions[[f"p_{name}" for name in EXPRESSIONS]].max(axis=1).tolist()
    right = (predictions.label == predictions.answer).tolist()
    expected = 0.0
    for i in range(bins):
        inside = [(c, r) for c, r in zip(p, right, strict=True) if i / bins < c <= (i + 1) / bins]
        if inside:
            gap = abs(sum(c for c, _ in inside) - sum(r for _, r in inside)) / len(inside)
            expected += gap * len(inside) / len(p)
    assert evaluation.calibration_error(predictions, bins=bins) == pytest.approx(expected)
    assert evaluation.reliability(predictions, bins=bins).faces.sum() == 1000


def test_a_bin_holds_its_upper_edge():
    predictions = table(list("aaa"), list("aaa"), ("a", "b"), confidence=np.array([0.5, 0.75, 1.0]))
    assert evaluation.reliability(predictions, bins=4).faces.tolist() == [0, 1, 1, 1]


def test_certain_and_right_is_calibrated():
    predictions = table(list("aabb"), list("aabb"), ("a", "b"), confidence=1.0)
    assert evaluation.calibration_error(predictions) == 0
    assert evaluation.calibration_error(predictions.assign(label=["b", "b", "a", "a"])) == 1
    with pytest.raises(ValueError, match="bins"):
        evaluation.reliability(predictions, bins=0)


# --- folds and groups ----------------------------------------------------------------------------------------------------


def test_by_fold_and_its_summary(generator):
    predictions = drawn(generator)
    folds = evaluation.by_fold(predictions)
    assert folds.index.tolist() == [0, 1, 2, 3, 4] and (folds.faces == 80).all()
    second = predictions[predictions.fold == 1]
    assert folds.mean_recall[1] == pytest.approx(
        metrics.balanced_accuracy_score(second.label, second.answer)
    )
    assert folds.calibration_error[1] == evaluation.calibration_error(second)
    assert folds["recall 4-6"][1] == evaluation.recalls(second)["4-6"]
    summary = evaluation.summarise(folds)
    assert summary["mean"].accuracy == pytest.approx(folds.accuracy.mean())
    assert (
        summary.error.accuracy == pytest.approx(stats.sem(folds.accuracy))
        and summary.error.accuracy > 0
    )
    assert {"one_off_accuracy", "calibration_error"} <= set(
        summary.index
    ) and "faces" not in summary.index
    assert "one_off_accuracy" not in evaluation.by_fold(drawn(generator, GENDERS))


def test_one_fold_has_no_standard_error(small):
    summary = evaluation.summarise(evaluation.by_fold(small))
    assert summary["mean"].accuracy == pytest.approx(4 / 7) and summary.error.isna().all()


def test_a_class_absent_from_a_fold_counts_in_the_others():
    predictions = table(list("abcab"), list("abcaa"), SMALL, fold=[0, 0, 0, 1, 1])
    folds = evaluation.by_fold(predictions)
    assert np.isnan(folds["recall c"][1]) and folds.mean_recall[1] == 0.5
    assert (
        evaluation.summarise(folds).folds["recall c"] == 1
        and evaluation.summarise(folds).folds["recall a"] == 2
    )


def test_no_subject_is_in_two_folds(small):
    evaluation.check_folds(small.assign(subject=list("1122334"), fold=[0, 0, 1, 1, 2, 2, 0]))
    leaking = small.assign(subject=list("1122334"), fold=[0, 0, 1, 2, 2, 2, 0])
    with pytest.raises(ValueError, match=r"1 subjects .* 2 in \[1, 2\]"):
        evaluation.by_fold(leaking)
    with pytest.raises(ValueError, match="2 of 7 rows have no fold"):
        evaluation.check_folds(small.assign(fold=[0, 1, 0, 1, 0, None, None]))
    with pytest.raises(ValueError, match="column fold"):
        evaluation.by_fold(small.drop(columns="fold"))


def test_no_picture_is_in_two_folds(small):
    named = small.assign(subject=list("1122334"), fold=[0, 0, 1, 1, 2, 2, 0])
    with pytest.raises(ValueError, match=r"1 images .* same\.jpg in \[0, 1\]"):
        evaluation.check_folds(
            named.assign(image=["same.jpg", *"abcde", "same.jpg"]).assign(
                fold=[0, 0, 1, 1, 2, 2, 1]
            )
        )


def test_folds_are_drawn_by_subject_or_kept():
    listed = pd.DataFrame(
        {"image": [f"{i}.jpg" for i in range(300)], "subject": [str(i // 3) for i in range(300)]}
    )
    folded = evaluation.with_folds(listed.assign(fold=pd.NA))
    assert sorted(folded.fold.unique()) == [0, 1, 2, 3, 4]
    assert (folded.groupby("subject").fold.nunique() == 1).all()
    assert folded.fold.value_counts().min() > 30
    pd.testing.assert_frame_equal(folded, evaluation.with_folds(listed))
    assert (folded.fold != evaluation.with_folds(listed, seed=1).fold).any()
    kept = listed.assign(fold=[i // 150 for i in range(300)])
    assert evaluation.with_folds(kept).fold.tolist() == kept.fold.tolist()
    with pytest.raises(ValueError, match="more than one fold"):
        evaluation.with_folds(listed.assign(fold=[i % 2 for i in range(300)]))
    with pytest.raises(ValueError, match="2 subjects leave"):
        evaluation.with_folds(listed.iloc[:6])


def test_groups_have_wilson_intervals(generator):
    faces = 300
    race = pd.Categorical(
        generator.choice(["Asian", "Black", None], faces, p=[0.6, 0.35, 0.05]),
        categories=["Asian", "Black", "White"],
    )
    predictions = drawn(
        generator, GENDERS, faces, race=race, side=generator.choice(["left", "right"], faces)
    )
    groups = evaluation.by_group(predictions, ["race", "side"], fewest=40).set_index(
        ["race", "side"]
    )
    assert groups.faces.sum() == faces and len(groups) == 6  # White does not occur
    some = predictions[(predictions.race == "Black") & (predictions.side == "left")]
    right = (some.label == some.answer).sum()
    row = groups.loc[("Black", "left")]
    assert (row.faces, row.accuracy) == (len(some), right / len(some))
    np.testing.assert_allclose(
        (row.low, row.high), proportion.proportion_confint(right, len(some), method="wilson")
    )
    assert row.mean_recall == pytest.approx(
        metrics.balanced_accuracy_score(some.label, some.answer)
    )
    assert groups.few["unknown", "left"] and not groups.few["Asian", "left"]
    assert evaluation.by_group(predictions, "side").side.tolist() == ["left", "right"]
    with pytest.raises(ValueError, match="no column planet; there are"):
        evaluation.by_group(predictions, "planet")


def test_age_groups_stand_by_age():
    """Also where a file told them as text; groups that are not Adience's stay as they are."""
    ages = ["8-13", "60+", None, "0-2", "15-20"] * 2
    predictions = table(["a", "b"] * 5, ["a"] * 10, ("a", "b")).assign(
        age_group=ages, gender="male"
    )
    in_order = ["0-2", "8-13", "15-20", "60+", "unknown"]
    assert evaluation.by_group(predictions, "age_group").age_group.tolist() == in_order
    assert evaluation.by_group(predictions, ["gender", "age_group"]).age_group.tolist() == in_order
    others = predictions.assign(age_group=["9-18", "0-2"] * 5)
    assert evaluation.by_group(others, "age_group").age_group.tolist() == ["0-2", "9-18"]


# --- paired tests --------------------------------------------------------------------------------------------------------


def arms(both, only_a, only_b, neither):
    """Two tables whose right answers coincide as counted."""
    right_a = np.repeat([1, 1, 0, 0], [both, only_a, only_b, neither])
    right_b = np.repeat([1, 0, 1, 0], [both, only_a, only_b, neither])
    return [
        table(["a"] * len(right), np.where(right, "a", "b"), ("a", "b"))
        for right in (right_a, right_b)
    ]


@pytest.mark.parametrize(
    "counts", [(50, 7, 3, 9), (5, 0, 24, 0), (50, 13, 12, 4), (90, 60, 31, 20), (0, 25, 0, 1)]
)
def test_mcnemar_agrees_with_statsmodels(counts):
    found = evaluation.mcnemar(*arms(*counts))
    both, only_a, only_b, neither = counts
    exact = only_a + only_b < 25
    expected = contingency_tables.mcnemar(
        [[both, only_a], [only_b, neither]], exact=exact, correction=True
    )
    assert (found["both"], found["only_a"], found["only_b"], found["neither"]) == counts
    assert found["test"] == ("exact" if exact else "chi-square")
    assert found["p"] == pytest.approx(expected.pvalue) and found["statistic"] == pytest.approx(
        expected.statistic
    )


def test_mcnemar_of_equals():
    same, _ = arms(10, 0, 0, 5)
    assert evaluation.mcnemar(same, same)["p"] == 1
    assert evaluation.mcnemar(*arms(10, 30, 30, 5))["p"] == 1


@pytest.mark.parametrize(
    "p", [[0.01, 0.04, 0.03, 0.005], [0.5, 0.6], [0.02], [0.01, 0.01, 0.9], []]
)
def test_holm_agrees_with_statsmodels(p):
    expected = multitest.multipletests(p, method="holm")[1] if p else []
    assert evaluation.holm(p) == pytest.approx(list(expected))


def test_bootstrap_of_the_same_arm(generator):
    predictions = drawn(generator)
    found = evaluation.paired_bootstrap(
        predictions, predictions.sample(frac=1, random_state=1), repetitions=200
    )
    assert (found["difference"], found["low"], found["high"], found["p"]) == (0, 0, 0, 1)


@pytest.mark.parametrize("statistic", ["accuracy", "mean_recall"])
def test_bootstrap_agrees_with_a_plain_loop(generator, statistic):
    a = drawn(generator, GENDERS, 120, skill=0.3).assign(subject=np.arange(120) // 3)
    b = a.assign(answer=np.where(generator.random(120) < 0.3, a.label, a.answer))
    b = b.assign(p_male=(b.answer == "male") * 0.8 + 0.1).assign(p_female=lambda t: 1 - t.p_male)
    found = evaluation.paired_bootstrap(a, b, statistic=statistic, repetitions=4000)
    score = {"accuracy": metrics.accuracy_score, "mean_recall": metrics.balanced_accuracy_score}[
        statistic
    ]
    assert found["difference"] == pytest.approx(score(b.label, b.answer) - score(a.label, a.answer))
    assert (found["subjects"], found["faces"]) == (40, 120)
    differences = []
    for _ in range(250):
        rows = (generator.integers(40, size=40)[:, None] * 3 + np.arange(3)).ravel()
        differences.append(
            score(b.label[rows], b.answer[rows]) - score(a.label[rows], a.answer[rows])
        )
    np.testing.assert_allclose(
        (found["low"], found["high"]), np.percentile(differences, [2.5, 97.5]), atol=0.03
    )
    assert found["low"] < found["difference"] < found["high"]


def test_bootstrap_sees_a_clear_difference_and_no_other():
    better = evaluation.paired_bootstrap(*arms(60, 5, 40, 10), repetitions=2000)
    assert (
        better["difference"] == pytest.approx(35 / 115)
        and better["low"] > 0.15
        and better["p"] < 0.01
    )
    worse = evaluation.paired_bootstrap(*arms(60, 40, 5, 10), repetitions=2000)
    assert worse["high"] < -0.15 and worse["p"] < 0.01
    unclear = evaluation.paired_bootstrap(*arms(60, 20, 22, 10), repetitions=2000)
    assert unclear["low"] < 0 < unclear["high"] and unclear["p"] > 0.5


def test_bootstrap_by_subjects_is_wider_where_their_pictures_are_alike():
    a, b = arms(60, 20, 30, 10)  # ten pictures in a row are one subject, answered alike
    together = evaluation.paired_bootstrap(
        *(t.assign(subject=np.arange(120) // 10) for t in (a, b)), repetitions=1000
    )
    apart = evaluation.paired_bootstrap(a, b, repetitions=1000)
    assert (together["subjects"], apart["subjects"]) == (12, 120)
    assert together["high"] - together["low"] > 2 * (apart["high"] - apart["low"])


def test_pictures_of_one_name_in_two_folders_are_two_subjects():
    a, b = (
        t.assign(image=[f"/{i // 60}/{i % 60}.jpg" for i in range(120)])
        for t in arms(60, 20, 30, 10)
    )
    assert evaluation.paired_bootstrap(a, b, repetitions=10)["subjects"] == 120
    evaluation.check_folds(a.assign(fold=np.arange(120) // 60))


def test_bootstrap_repeats_itself_in_chunks_of_any_size(monkeypatch):
    first = evaluation.paired_bootstrap(*arms(60, 20, 30, 10), repetitions=300)
    monkeypatch.setattr(paired, "CHUNK", 1000)
    assert evaluation.paired_bootstrap(*arms(60, 20, 30, 10), repetitions=300) == first
    assert evaluation.paired_bootstrap(*arms(60, 20, 30, 10), repetitions=300, seed=1) != first


def with_seeds(tables):
    """The answers of several trainings to the same faces, seed by seed."""
    return pd.concat([one.assign(seed=seed) for seed, one in enumerate(tables)], ignore_index=True)


def test_bootstrap_of_several_seeds_averages_them():
    """Two seeds, of which the second arm is better in one: half the difference, of as many faces as there are."""
    a, b = arms(60, 5, 40, 10)
    two = evaluation.paired_bootstrap(with_seeds([a, a]), with_seeds([b, a]), repetitions=500)
    assert two["difference"] == pytest.approx(35 / 115 / 2)
    assert (two["faces"], two["trainings"], two["subjects"]) == (115, 2, 115)


def test_bootstrap_counts_the_chance_in_trainings():
    """Seeds that agree add nothing to the interval; seeds that differ widen it as their variance over their number says."""
    a, b = arms(600, 60, 110, 100)
    alone = evaluation.paired_bootstrap(a, b, repetitions=2000)
    alike = evaluation.paired_bootstrap(with_seeds([a, a]), with_seeds([b, b]), repetitions=2000)
    assert (alike["low"], alike["high"]) == pytest.approx((alone["low"], alone["high"]), abs=0.004)
    differ = evaluation.paired_bootstrap(with_seeds([a, a]), with_seeds([b, a]), repetitions=2000)
    effect = 50 / 870  # of the first seed; the second has none
    faces = (alone["high"] - alone["low"]) / (2 * 1.96) / 2
    trainings = np.sqrt(np.var([effect, 0], ddof=1) / 2)
    by_hand = 1.96 * np.hypot(faces, trainings)
    assert (differ["high"] - differ["low"]) / 2 == pytest.approx(by_hand, rel=0.15)


def test_seeds_are_paired_with_seeds():
    a, b = arms(60, 5, 40, 10)
    with pytest.raises(ValueError, match="more than once"):
        evaluation.paired_bootstrap(pd.concat([a, a]), pd.concat([b, b]), repetitions=10)
    with pytest.raises(ValueError, match=r"different images.*seed 1"):
        evaluation.paired_bootstrap(with_seeds([a, a]), with_seeds([b]), repetitions=10)
    first, second = evaluation.align(
        with_seeds([a, b]), with_seeds([b, a]).sample(frac=1, random_state=0)
    )
    assert (first.image == second.image).all() and (first.seed == second.seed).all()
    assert not (first.answer == second.answer).all()


@pytest.mark.parametrize("test", [evaluation.mcnemar, evaluation.paired_bootstrap])
def test_arms_of_different_faces_are_refused(small, test):
    with pytest.raises(ValueError, match="different images: 1 are"):
        test(small, small.iloc[1:])
    relabelled = small.assign(label=["b", *small.label[1:]])
    with pytest.raises(ValueError, match=r"1 labels differ, first /faces/0\.jpg: a and b"):
        test(small, relabelled)
    with pytest.raises(ValueError, match="more than once"):
        test(pd.concat([small, small]), small)


@pytest.mark.parametrize("test", [evaluation.mcnemar, evaluation.paired_bootstrap])
def test_a_picture_listed_twice_is_paired_by_its_row(small, test):
    """As Adience lists 117 pictures; one of the two is answered otherwise by the second arm, whatever the order."""
    a = small.assign(row=range(10, 17), image=["/faces/0.jpg", "/faces/0.jpg", *small.image[2:]])
    b = a.assign(
        answer=["a", "b", *a.answer[2:]], p_a=[0.9, 0.05, *a.p_a[2:]], p_b=[0.05, 0.9, *a.p_b[2:]]
    )
    found = test(a, b.iloc[::-1])
    right = (found["both"] + found["only_b"]) if test is evaluation.mcnemar else 7 * found["b"]
    assert right == pytest.approx((b.label == b.answer).sum()) and right == 3
    with pytest.raises(ValueError, match="row 10 more than once"):
        test(a.assign(row=10), b)
    with pytest.raises(
        ValueError, match=r"2 images differ, first /faces/0\.jpg: /faces/0\.jpg and /faces/2\.jpg"
    ):
        test(a, b.assign(row=[10, 12, 11, *range(13, 17)]))


def test_bootstrap_knows_its_statistics(small):
    with pytest.raises(ValueError, match="accuracy, mean_recall"):
        evaluation.paired_bootstrap(small, small, statistic="f1")
