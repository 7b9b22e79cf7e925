"""Comparisons by hand, and as JSON that is read again."""

import json

import pytest
from conftest import REPOSITORY
from made_arms import RECIPE, age_comparison, answers, first, two_arms
from test_experiments_arms import cross_validate

from safbage import experiments
from safbage.datasets.shards import Prepared
from safbage.errors import WorkError
from safbage.experiments import Arm, Comparison, Run, Training
from safbage.tasks import CLASSES


def compare(runs, task="gender", *, repetitions=50):
    return experiments.compare(runs, task, repetitions=repetitions)


def test_a_comparison_by_hand():
    """Right on 6 and on 9 of every 10 faces: 30 more of 100, none lost."""
    comparison = compare(two_arms(first(0.6, 100), first(0.9, 100)), repetitions=500)
    assert [result.arm for result in comparison.arms] == [Arm("alexnet", 0.0), Arm("alexnet", 0.3)]
    _, result = comparison.arms
    assert (result.faces, len(result.folds)) == (100, 5)
    assert result.summary["accuracy"] == {"mean": 0.9, "error": 0.0, "folds": 5}
    assert result.confusion == [[50, 0], [10, 40]] and result.groups == {}
    (test,) = comparison.tests
    assert (test.without, test.arm) == (Arm("alexnet", 0.0), Arm("alexnet", 0.3))
    counts = [test.mcnemar[name] for name in ("both", "only_a", "only_b", "neither")]
    assert counts == [60, 0, 30, 10]
    for found in (test.accuracy, test.mean_recall):
        assert found["difference"] == pytest.approx(0.3)
        assert (found["p_holm"], found["tests"]) == (found["p"], 1)
        assert (found["alike"], found["folds"]) == (5, 5)


def test_folds_that_agree_are_counted():
    """Of five folds of 20 faces, in 0–2 four more are right, in 3 two fewer, in 4 as many."""
    (test,) = compare(two_arms(*unequal_folds())).tests
    assert (test.accuracy["alike"], test.accuracy["folds"]) == (3, 5)


def unequal_folds():
    faces = range(100)
    base = first(0.5, 100)
    more = [i < 60 and i % 20 in (5, 6, 15, 16) for i in faces]
    fewer = [60 <= i < 80 and i % 20 < 2 for i in faces]
    return base, [(b or m) and not f for b, m, f in zip(base, more, fewer, strict=True)]


@pytest.mark.slow
def test_a_picture_listed_twice_is_compared(tmp_path, prepared, trainings):
    """As Adience lists some: twice in one fold, so two rows of answers."""
    repeating = Prepared(prepared.folder)
    repeating.table.loc[1, "image"] = repeating.table.image[0]
    runs = cross_validate(repeating, tmp_path)
    (test,) = compare(runs).tests
    assert test.accuracy["faces"] == 40
    assert all(sorted(run.predictions.row) == list(range(40)) for run in runs.values())


def test_only_the_same_networks_are_compared():
    runs = two_arms(first(0.5, 40), first(0.6, 40))
    comparison = compare(runs | {Arm("vgg16", 0.3): Run(answers(first(0.7, 40)))})
    assert len(comparison.arms) == 3
    assert [test.arm for test in comparison.tests] == [Arm("alexnet", 0.3)]


def test_other_faces_are_refused():
    runs = two_arms(first(0.5, 40), first(0.6, 40))
    runs[Arm("alexnet", 0.3)] = Run(runs[Arm("alexnet", 0.3)].predictions.iloc[1:])
    with pytest.raises(ValueError, match="1 are in one only"):
        compare(runs)


def groups(**more):
    table = answers(first(0.8, 40)).assign(gender=["male", "female"] * 20, **more)
    table["race"] = ["a", "a", "b", None] * 10
    return experiments.describe(Arm("alexnet", 0.3), Run(table), CLASSES["gender"]).groups


def test_groups_stand_alone_and_crossed():
    found = groups()
    races = [(row["race"], row["faces"]) for row in found["race"]]
    assert races == [("a", 20), ("b", 10), ("unknown", 10)]
    crossed = [(row["race"], row["gender"], row["faces"]) for row in found["race_and_gender"]]
    assert crossed[:2] == [("a", "male", 10), ("a", "female", 10)]
    assert set(found) == {"race", "gender", "race_and_gender"}


def test_three_groups_are_crossed_where_all_are_known():
    rows = groups(age_group="8-13")["race_and_gender_and_age_group"]
    assert [(row["race"], row["gender"], row["faces"], row["few"]) for row in rows] == [
        ("a", "male", 10, True),
        ("a", "female", 10, True),
        ("b", "male", 10, True),
    ]


# --- as JSON --------------------------------------------------------------------------------------


def test_what_is_saved_is_json_and_read_again(tmp_path):
    comparison, path = age_comparison(), tmp_path / "new" / "age.json"
    experiments.save(comparison, path, {"data": "made", "recipe": RECIPE}, verdict=["helps"])
    assert "NaN" not in path.read_text() and "Infinity" not in path.read_text()
    assert json.loads(path.read_text())["verdict"] == ["helps"]
    (tmp_path / "new" / "other.json").write_text("{}")
    again = experiments.load_saved(tmp_path / "new")
    assert list(again) == ["age"] and again["age"].provenance["data"] == "made"
    assert again["age"].arms == comparison.arms and again["age"].tests == comparison.tests
    assert experiments.load(path) == again["age"]
    assert experiments.load_saved(tmp_path / "nowhere") == {}


def test_a_training_and_networks_come_back_from_json():
    training = Training(("fc6", "fc7"), ("conv1",), (), ("30 train, 10 test",))
    runs = {
        arm: Run(run.predictions, training) for arm, run in two_arms([1, 0] * 10, [1] * 20).items()
    }
    networks = experiments.compare_networks(runs, repetitions=20)
    comparison = compare(runs)
    comparison = Comparison(comparison.task, comparison.arms, comparison.tests, networks)
    data = json.loads(json.dumps(comparison.as_dict() | {"verdict": []}))
    assert Comparison.from_dict(data) == comparison
    assert data["arms"]["alexnet, ratio 30 %"]["trained_layers"] == ["fc6", "fc7"]


SAVED = sorted(experiments.load_saved())
"""Results that compare trainings; those on detection and retrieval have another form."""


@pytest.mark.parametrize(
    "path", [REPOSITORY / "results" / f"{name}.json" for name in SAVED], ids=SAVED
)
def test_the_projects_results_are_read_and_would_be_written_as_they_are(path):
    data = json.loads(path.read_text())
    del data["verdict"]
    assert json.loads(json.dumps(experiments.load(path).as_dict())) == data


@pytest.mark.parametrize("content", ["5", "[]", "{", ""])
def test_damaged_results_are_named(tmp_path, content):
    (tmp_path / "gender.json").write_text(content)
    with pytest.raises(WorkError, match=r"gender\.json is damaged"):
        experiments.load_saved(tmp_path)
