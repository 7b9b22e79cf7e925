"""Experiments: arms over folds that nothing trains twice, reports that JSON holds, verdicts by hand; the commands, in process."""

import html
import json
import re
import shutil
import sys
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from keras import layers
from test_runtime_work import waits
from typer.testing import CliRunner

from safbage import classifiers, cli, datasets, evaluation, experiments, training
from safbage.classifiers import SHIPPED
from safbage.cli.train import show
from safbage.datasets import preparation
from safbage.datasets.shards import Prepared
from safbage.errors import DatasetError, WorkError
from safbage.experiments import Arm, reproduction
from safbage.runtime import weights
from safbage.tasks import BOX, CLASSES, LABELS
from safbage.training import tuning

RECIPE = replace(training.AGE_GENDER_RECIPE, train_from={"tiny": "fc"}, epochs=1, batch=16, variants=((False, 0),))


def tiny(classes, *, dropout):
    inputs = keras.Input((224, 224, 3), name="face")
    x = layers.AveragePooling2D(56, name="pool")(layers.Rescaling(1 / 255, name="scale")(inputs))
    x = layers.Conv2D(4, 1, activation="relu", name="conv")(x)
    x = layers.Dropout(dropout, name="dropout")(layers.Flatten(name="flatten")(x))
    return keras.Model(inputs, layers.Dense(classes, activation="softmax", name="fc")(x), name="tiny")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """40 drawn faces of 20 persons."""
    folder = tmp_path_factory.mktemp("faces")
    faces, _ = datasets.synthetic(folder / "pictures", 40, size=96, pictures_per_subject=2, progress=False)
    options = preparation.Preparation(detect="box", saliency="light")
    preparation.prepare(faces.assign(race="drawn"), folder / "prepared", options, progress=False)
    return Prepared(folder / "prepared")


@pytest.fixture
def trainings(monkeypatch):
    """The tiny network among the others and in the recipes; a list that grows by one with every network trained."""
    monkeypatch.setitem(classifiers.NETWORKS, "tiny", tiny)
    for task in training.RECIPES:
        monkeypatch.setitem(training.RECIPES, task, RECIPE)
    calls, real = [], tuning.train
    monkeypatch.setattr(tuning, "train", lambda *arguments: calls.append(1) or real(*arguments))
    return calls


def answers(right, *, sure=0.9, people=None, folds=5, classes=("male", "female")):
    """Predictions of as many faces as `right` has, right where that says so; labels and folds take turns."""
    count = len(right)
    label = np.arange(count) % len(classes)
    answer = np.where(right, label, (label + 1) % len(classes))
    p = np.full((count, len(classes)), (1 - sure) / (len(classes) - 1))
    p[np.arange(count), answer] = sure
    names = np.array(classes)
    return pd.DataFrame(
        {
            "image": [f"{i}.jpg" for i in range(count)],
            "subject": [f"person {i if people is None else people[i]}" for i in range(count)],
            "fold": np.arange(count) // -(-count // folds),
            "label": names[label],
            "answer": names[answer],
            **{f"p_{name}": p[:, i] for i, name in enumerate(classes)},
        }
    )


def two_arms(without, with_saliency, **options):
    return {Arm("alexnet", 0.0): answers(without, **options), Arm("alexnet", 0.3): answers(with_saliency, **options)}


def first(share, count):
    """Right for the first of every ten, so that all folds and classes have their share."""
    return np.arange(count) % 10 < 10 * share


# --- cross-validation ------------------------------------------------------------------------------------------------


def test_every_face_is_answered_once_by_a_network_that_knows_nobody_on_it(tmp_path, prepared, trainings):
    arms = cross_validate(prepared, tmp_path)
    assert [str(arm) for arm in arms] == ["tiny, without saliency", "tiny, ratio 30 %"] and len(trainings) == 10
    own = prepared.table.set_index("image")
    for table in arms.values():
        assert sorted(table.image) == sorted(own.index) and sorted(set(table.fold)) == [0, 1, 2, 3, 4]
        assert (table.label.to_numpy() == own.gender.astype(str)[table.image].to_numpy()).all()
        evaluation.check_folds(table)
    without, with_saliency = arms.values()
    assert not np.allclose(without.p_male, with_saliency.p_male)
    assert {path.name for path in tmp_path.iterdir()} == {f"gender-tiny-{r}-fold{f}" for r in (0, 30) for f in range(5)}


def test_nothing_is_trained_twice(tmp_path, prepared, trainings, monkeypatch):
    """Killed before the fourth of ten trainings and resumed: ten in all, then none, and the same answers."""
    real = experiments.fine_tune

    def killed(*arguments, **options):
        if len(trainings) == 3:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(experiments, "fine_tune", killed)
    with pytest.raises(KeyboardInterrupt):
        cross_validate(prepared, tmp_path)
    monkeypatch.setattr(experiments, "fine_tune", real)
    arms = cross_validate(prepared, tmp_path)
    assert len(trainings) == 10
    again = cross_validate(prepared, tmp_path)
    assert len(trainings) == 10
    for arm, table in arms.items():
        pd.testing.assert_frame_equal(table, again[arm])


def cross_validate(prepared, work, task="gender", **options):
    options = {"networks": ["tiny"], "imagenet": False, "progress": False} | options
    return experiments.cross_validate(prepared, task, work=work, **options)


def test_a_picture_listed_twice_is_compared(tmp_path, prepared, trainings):
    """As Adience lists some: twice in one fold, so two rows of answers."""
    repeating = Prepared(prepared.folder)
    repeating.table.loc[1, "image"] = repeating.table.image[0]
    arms = cross_validate(repeating, tmp_path)
    report = experiments.compare(arms, "gender", repetitions=50)
    assert report["tests"][0]["accuracy"]["faces"] == 40 and all(sorted(table.row) == list(range(40)) for table in arms.values())


def test_nothing_is_trained_where_the_last_training_would_be_refused(tmp_path, prepared, trainings):
    """A fold that is not there, a subject in two folds, an unknown network or a wrong ratio: told first, by every entry."""
    mixed = Prepared(prepared.folder)
    mixed.table = mixed.table.assign(subject=[f"person {i // 4}" for i in range(40)], fold=np.arange(40) % 4)
    for faces, wrong, says in (
        (prepared, {"folds": range(200)}, "folds 0, 1, 2, 3, 4; got 5"),
        (mixed, {"folds": range(3)}, "10 subjects are in more than one split"),
        (prepared, {"networks": ["tiny", "lenet"]}, "lenet"),
        (prepared, {"ratios": [0.3, 30]}, "ratio lies between"),
    ):
        with pytest.raises(ValueError, match=says):
            cross_validate(faces, tmp_path, **wrong)
    with pytest.raises(ValueError, match="folds 0, 1, 2, 3, 4; got 5"):
        scale = replace(TINY, folds=9)
        reproduction.reproduce(tmp_path / "all", scale, sets=[str(prepared.folder)], only=["gender"], progress=False)
    assert not trainings


@pytest.mark.parametrize("folds, says", [(200, "got 5"), (3, "10 subjects")])
def test_evaluate_trains_nothing_that_it_refuses(tmp_path, prepared, trainings, safbage, folds, says):
    folder = prepared.folder
    if folds == 3:
        folder = shutil.copytree(prepared.folder, tmp_path / "mixed")
        for shard in (folder / "shards").iterdir():
            part = pq.read_table(shard)
            part = part.set_column(part.schema.get_field_index("subject"), "subject", [[f"{i // 4}" for i in range(len(part))]])
            part = part.set_column(part.schema.get_field_index("fold"), "fold", [[i % 4 for i in range(len(part))]])
            pq.write_table(part, shard)
    options = ("--task", "gender", "--network", "tiny", "--from-scratch", "--work", tmp_path / "work")
    for command in (("evaluate", folder, *options, "--folds", folds), ("train", folder, *options, "--fold", folds // 3)):
        code, _, err = safbage(*command)
        assert code == 2 and (says in err or "got 66" in err), err
    assert not trainings


def test_an_arm_named_twice_is_one(tmp_path, prepared, trainings):
    arms = cross_validate(prepared, tmp_path, ratios=(0.3, 0.3), folds=[2])
    assert list(arms) == [Arm("tiny", 0.3)] and len(trainings) == 1 and arms[Arm("tiny", 0.3)].image.is_unique


def test_without_folds_the_split_is_tested(tmp_path, prepared, trainings):
    (table,) = cross_validate(prepared, tmp_path, ratios=[0.0], folds=None).values()
    own = prepared.table
    assert sorted(table.image) == sorted(own.image[own.split == "test"]) and set(table.fold) == {0}
    assert evaluation.summarise(evaluation.by_fold(table)).error.isna().all()


def test_a_sweeps_trainings_are_gathered_each_once(tmp_path, prepared, trainings):
    """Two points that share the arm without saliency, and one with another seed; a training that is not done is left out."""
    arms = cross_validate(prepared, tmp_path / "RATIO=0.3", folds=[0, 1])
    cross_validate(prepared, tmp_path / "RATIO=0.9", ratios=(0.0, 0.9), folds=[0, 1])
    cross_validate(prepared, tmp_path / "SEED=1", ratios=(0.3,), folds=[0], seed=1)
    (tmp_path / "RATIO=0.9" / "gender-tiny-90-fold1" / "metrics.json").unlink()
    found, curves = experiments.predictions(tmp_path), experiments.histories(tmp_path)
    chosen = {(0.0, 0, 0), (0.0, 1, 0), (0.3, 0, 0), (0.3, 1, 0), (0.3, 0, 1), (0.9, 0, 0)}
    for table in (found, curves):
        assert set(zip(table.ratio, table.fold, table.seed, strict=True)) == chosen
        assert set(table.task) == {"gender"} and set(table.network) == {"tiny"}
    assert len(curves) == len(chosen)
    for (network, ratio), table in arms.items():
        rows = found[(found.network == network) & (found.ratio == ratio) & (found.seed == 0)].sort_values("row")
        pd.testing.assert_frame_equal(rows[table.columns].reset_index(drop=True), table.sort_values("row").reset_index(drop=True))
    assert experiments.predictions(tmp_path / "nothing").empty and experiments.histories(tmp_path / "nothing").empty


def test_answers_to_a_split_are_fold_0(tmp_path, prepared, trainings):
    (table,) = cross_validate(prepared, tmp_path, ratios=[0.3], folds=None).values()
    pd.testing.assert_frame_equal(experiments.predictions(tmp_path)[table.columns], table)


# --- comparison ------------------------------------------------------------------------------------------------------


def test_a_comparison_by_hand():
    """Right on 6 and on 9 of every 10 faces: 30 more of 100, none lost."""
    report = experiments.compare(two_arms(first(0.6, 100), first(0.9, 100)), "gender", repetitions=500)
    assert list(report["arms"]) == ["alexnet, without saliency", "alexnet, ratio 30 %"]
    arm = report["arms"]["alexnet, ratio 30 %"]
    assert (arm["network"], arm["ratio"], arm["faces"], len(arm["folds"])) == ("alexnet", 0.3, 100, 5)
    assert arm["summary"]["accuracy"] == {"mean": 0.9, "error": 0.0, "folds": 5}
    assert arm["confusion"] == [[50, 0], [10, 40]] and "by_race" not in arm
    (test,) = report["tests"]
    assert [test["mcnemar"][name] for name in ("both", "only_a", "only_b", "neither")] == [60, 0, 30, 10]
    assert test["accuracy"]["difference"] == pytest.approx(0.3) and test["mean_recall"]["difference"] == pytest.approx(0.3)
    (sentence,) = report["verdict"]
    said = "alexnet, ratio 30 %: on these trained networks saliency helps: +30.0 points of accuracy (95 % interval +2"
    assert sentence.startswith(said) and "Holm" not in sentence
    assert sentence.endswith("on 100 faces, to the same side in 5 of 5 folds")


def test_a_verdict_counts_the_folds_that_agree():
    """Of five folds of 20 faces, in 0–2 four more are right, in 3 two fewer, in 4 as many."""
    fold = np.arange(100) // 20
    base, place = first(0.5, 100), np.arange(100) % 20
    better = base | ((fold < 3) & (np.isin(place, [5, 6, 15, 16])))
    better &= ~((fold == 3) & (place < 2))
    report = experiments.compare(two_arms(base, better), "gender", repetitions=50)
    found = report["tests"][0]["accuracy"]
    assert (found["alike"], found["folds"]) == (3, 5) and report["verdict"][0].endswith("to the same side in 3 of 5 folds")


def test_many_arms_are_judged_together():
    """A gain that alone would be one is none among ten looked at."""
    base = first(0.5, 100)
    better = base | np.isin(np.arange(100), [5, 15, 25, 35, 45, 55, 65])
    better &= np.arange(100) != 0
    arms = {Arm("alexnet", 0.0): answers(base)} | {Arm("alexnet", r / 10): answers(better) for r in range(1, 10)}
    two = dict(list(arms.items())[:2])
    alone, among = (experiments.compare(some, "gender", repetitions=2000) for some in (two, arms))
    p = alone["tests"][0]["accuracy"]["p"]
    assert 0.05 / 9 < p < 0.05 and "saliency helps" in alone["verdict"][0]
    assert among["tests"][0]["accuracy"]["p_holm"] == pytest.approx(9 * p)
    assert all("no difference is shown" in line and "Holm's correction over 9 tests" in line for line in among["verdict"])


@pytest.mark.parametrize(
    "without, with_saliency, says", [(0.9, 0.6, "saliency costs: -30.0"), (0.8, 0.8, "no difference is shown")]
)
def test_the_other_verdicts(without, with_saliency, says):
    report = experiments.compare(two_arms(first(without, 100), first(with_saliency, 100)), "gender", repetitions=500)
    assert says in report["verdict"][0]
    assert ("to the same side" in report["verdict"][0]) == (without != with_saliency)


def test_pictures_of_few_persons_show_less():
    """The same answers: of 100 persons a clear gain, of 4 persons none that could not be chance."""
    without = first(0.6, 100)
    with_saliency = without | (np.arange(100) < 25)
    says = [
        experiments.compare(two_arms(without, with_saliency, folds=1, people=people), "gender", repetitions=500)["verdict"][0]
        for people in (range(100), np.arange(100) // 25)
    ]
    assert "saliency helps: +8.0" in says[0] and "no difference is shown: +8.0" in says[1]


def test_age_is_judged_by_mean_recall():
    ages = CLASSES["age"]
    report = experiments.compare(two_arms(first(0.5, 80), first(0.7, 80), classes=ages), "age", repetitions=100)
    assert "points of mean recall" in report["verdict"][0]


def test_only_the_same_networks_are_compared():
    arms = two_arms(first(0.5, 40), first(0.6, 40)) | {Arm("vgg16", 0.3): answers(first(0.7, 40))}
    report = experiments.compare(arms, "gender", repetitions=50)
    assert len(report["arms"]) == 3 and [test["with"] for test in report["tests"]] == ["alexnet, ratio 30 %"]


def test_other_faces_are_refused():
    arms = two_arms(first(0.5, 40), first(0.6, 40))
    arms[Arm("alexnet", 0.3)] = arms[Arm("alexnet", 0.3)].iloc[1:]
    with pytest.raises(ValueError, match="1 are in one only"):
        experiments.compare(arms, "gender", repetitions=50)


def test_groups_are_told_alone_and_crossed():
    table = answers(first(0.8, 40)).assign(race=["a", "a", "b", None] * 10, gender=["male", "female"] * 20)
    told = experiments.describe(table, CLASSES["gender"])
    assert [(row["race"], row["faces"]) for row in told["by_race"]] == [("a", 20), ("b", 10), ("unknown", 10)]
    assert [(row["race"], row["gender"], row["faces"]) for row in told["by_race_and_gender"]][:2] == [
        ("a", "male", 10),
        ("a", "female", 10),
    ]
    assert "by_race_and_gender_and_age_group" not in told


def test_three_groups_are_crossed_where_all_are_known():
    table = answers(first(0.8, 40)).assign(race=["a", "a", "b", None] * 10, gender=["male", "female"] * 20, age_group="8-13")
    rows = experiments.describe(table, CLASSES["gender"])["by_race_and_gender_and_age_group"]
    assert [(row["race"], row["gender"], row["age_group"], row["faces"], row["few"]) for row in rows] == [
        ("a", "male", "8-13", 10, True),
        ("a", "female", "8-13", 10, True),
        ("b", "male", "8-13", 10, True),
    ]


def test_crossed_groups_are_shown_and_few_faces_marked(capsys):
    table = answers(first(0.8, 80)).assign(race=["a", "a", "a", "b"] * 20, gender=["male", "female"] * 40)
    show(experiments.compare({Arm("alexnet", 0.3): table}, "gender", repetitions=10))
    lines = capsys.readouterr().out.splitlines()
    assert any("accuracy by race and gender, % [95 % interval]; * few faces" in line for line in lines)
    faces = {words[1].strip(): words[2].strip() for words in (line.split("│") for line in lines) if len(words) > 3}
    assert (faces["a, male"], faces["a, female"], faces["b, female"]) == ("40", "20*", "20*")


def test_cells_of_the_paper_are_announced_where_some_are_known(report, capsys):
    show(report)
    assert "in brackets Table 4's cells" in capsys.readouterr().out
    classes = CLASSES["expression"]
    show(experiments.compare({Arm("alexnet", 0.3): answers(first(0.5, 70), classes=classes)}, "expression", repetitions=10))
    assert "in brackets" not in capsys.readouterr().out


# --- beside the paper, and on disk -----------------------------------------------------------------------------------


@pytest.fixture
def report():
    """One fold and a class that nobody has, so that errors and recalls are unknown; a network that the paper lacks."""
    classes = CLASSES["age"]
    arms = {
        Arm(network, ratio): answers(first(0.5, 70), folds=1, classes=classes[:7]).assign(**{f"p_{classes[7]}": 0.0})
        for network, ratio in (("alexnet", 0.0), ("alexnet", 0.3), ("alexnet", 0.9), ("alexnet-gap", 0.3))
    }
    return experiments.compare(arms, "age", repetitions=50)


def test_the_papers_figures_stand_beside_their_arms(report):
    table = experiments.with_paper(report).set_index("arm")
    assert list(table) == ["accuracy", "± accuracy", "mean_recall", "± mean_recall", "paper", "± paper"]
    assert table.loc["alexnet, without saliency", ["paper", "± paper"]].tolist() == [52.2, 3.9]
    assert table.loc["alexnet, ratio 30 %", ["paper", "± paper"]].tolist() == [62.11, 3.2]
    assert table.loc[["alexnet, ratio 90 %", "alexnet-gap, ratio 30 %"], ["paper", "± paper"]].isna().all(axis=None)
    assert table.accuracy.tolist() == [50.0] * 4 and table["± accuracy"].isna().all()


def test_where_the_paper_has_nothing_the_columns_are_there():
    report = experiments.compare({Arm("shipped", 0.3): answers(first(0.5, 40))}, "gender", repetitions=50)
    assert report["tests"] == report["verdict"] == [] and experiments.with_paper(report)["paper"].isna().all()


def test_what_is_saved_is_json_and_read_again(report, tmp_path):
    path = tmp_path / "new" / "age.json"
    experiments.save(report, path, {"data": "made", "recipe": RECIPE})
    assert "NaN" not in path.read_text() and "Infinity" not in path.read_text()
    (tmp_path / "new" / "other.json").write_text("{}")
    again = experiments.saved(tmp_path / "new")
    assert list(again) == ["age"] and again["age"].pop("provenance")["data"] == "made"
    assert again["age"] == json.loads(json.dumps(report))
    pd.testing.assert_frame_equal(experiments.with_paper(again["age"]), experiments.with_paper(report))
    assert experiments.saved(tmp_path / "nowhere") == {}


def test_markdown_holds_a_line_per_arm_and_verdict(report):
    lines = experiments.markdown(report).splitlines()
    assert lines[3] == "| alexnet, ratio 30 % | 50.0 | 50.0 | 62.1 ± 3.2 |"
    assert len([line for line in lines if line.startswith("- ")]) == len(report["verdict"]) == 2
    assert "The paper's 62.11 % is mean recall" in lines[7]


def test_only_age_needs_the_note_on_mean_recall(report, capsys):
    show(report)
    assert "The paper's 62.11 % is mean recall" in capsys.readouterr().out
    assert experiments.notes(experiments.compare(two_arms(first(0.5, 20), first(0.6, 20)), "gender", repetitions=10)) == []


# --- the shipped classifiers -----------------------------------------------------------------------------------------


@pytest.fixture
def shipped(monkeypatch):
    """In place of the shipped classifiers one that takes the first class for whatever it sees; it notes the faces it saw."""
    seen = []

    class Same:
        def load(self, *, tasks, network):
            assert network in SHIPPED
            self.tasks = tasks
            return self

        def classify(self, crops, *, maps, probabilities):
            seen.append(len(crops))
            names = {task: CLASSES[task] for task in self.tasks}
            columns = {f"{task}[{name}]": float(i == 0) for task in names for i, name in enumerate(names[task])}
            return pd.DataFrame({task: names[task][0] for task in names} | columns, index=range(len(crops)))

    monkeypatch.setattr("safbage.pipeline.SafBage", Same())
    return seen


def test_the_shipped_classifiers_answer_the_test_split(prepared, shipped):
    table = prepared.table[prepared.table.split == "test"]
    found = experiments.answer_as_shipped(prepared, ("age", "gender"), progress=False)
    assert list(found) == ["age", "gender"] and sum(shipped) == len(table)
    assert found["gender"].image.tolist() == table.image.tolist() and set(found["gender"].answer) == {"male"}
    assert evaluation.accuracy(found["gender"]) == (table.gender == "male").mean()
    assert len(experiments.answer_as_shipped(prepared, ("age",), limit=2, progress=False)["age"]) == 2


def test_without_a_split_all_labelled_faces_are_answered(prepared, shipped):
    bare = Prepared(prepared.folder)
    bare.table = bare.table.drop(columns=["split", "subject", "expression"])
    bare.table.loc[:9, "gender"] = None
    found = experiments.answer_as_shipped(bare, ("age", "gender"), progress=False)
    assert len(found["age"]) == 40 and found["gender"].image.tolist() == bare.table.image[10:].tolist()
    assert found["gender"].label.tolist() == bare.table.gender[10:].tolist()
    with pytest.raises(DatasetError, match="no face to test that is labelled for expression"):
        experiments.answer_as_shipped(bare, ("expression",), progress=False)


def test_layers_are_told_in_a_line_per_network():
    layers = {
        "trained_layers": ["fc6", "fc7", "fc8"],
        "imagenet_layers": ["conv1", "conv2", "fc6", "fc7"],
        "frozen_at_random": [],
    }
    arms = two_arms(first(0.5, 20), first(0.6, 20))
    for table in arms.values():
        table.attrs["made_of"] = layers
    report = experiments.compare(arms, "gender", repetitions=10)
    told = "alexnet: trained fc6–fc8; from ImageNet conv1–fc7; from random weights fc8."
    assert experiments.notes(report) == [told] and told in experiments.markdown(report)


def test_an_unknown_task_is_named(prepared):
    with pytest.raises(ValueError, match="task is one of age, gender, expression; got 'race'"):
        experiments.answer_as_shipped(prepared, ("race",))


# --- the commands ----------------------------------------------------------------------------------------------------


@pytest.fixture
def safbage(monkeypatch, capsys):
    """``safbage …`` in this process: exit status, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["safbage", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        return left.value.code or 0, *capsys.readouterr()

    return run


def test_evaluate_prints_saves_and_resumes(tmp_path, prepared, trainings, safbage):
    command = ("evaluate", prepared.folder, "--task", "gender", "--work", tmp_path / "work", "--network", "tiny", "--folds", 2)
    command += ("--from-scratch", "--output", tmp_path / "results" / "drawn.json", "--rate", 0.01)
    code, out, err = safbage(*command)
    assert code == 0, err
    for words in ("tiny, without saliency", "tiny, ratio 30 %", "paper", "[95 % interval]", "points of accuracy", "drawn.json"):
        assert words in out
    saved = json.loads((tmp_path / "results" / "drawn.json").read_text())
    assert saved["provenance"]["data"] == "prepared" and saved["provenance"]["folds"] == 2
    assert "rate=0.01" in saved["provenance"]["recipe"] and len(trainings) == 4
    assert str(tmp_path) not in saved["provenance"]["command"]  # whose folders they were is nobody's business
    assert "evaluate" in saved["provenance"]["command"] and saved["provenance"]["backend"] in saved["provenance"]["versions"]
    assert saved["provenance"]["limit"] is None and saved["provenance"]["shipped"] is False
    for name, arm in saved["arms"].items():
        assert arm["trained_layers"] == ["fc"] and arm["frozen_at_random"] == ["conv"] and arm["imagenet_layers"] == []
        assert [words.split(" (")[0].count(",") for words in arm["used"]] == [2, 2]  # train, validation, test of either fold
        assert saved["provenance"]["faces_answered"][name] == arm["faces"]
    said = "tiny: trained fc; from ImageNet none; from random weights fc; left at random weights conv."
    assert out.count(said) == 1
    assert safbage(*command)[0] == 0 and len(trainings) == 4
    code, out, _ = safbage("results", tmp_path / "results" / "drawn.json", "--markdown")
    assert code == 0 and out.startswith("| arm |")


def test_evaluate_measures_what_ships(tmp_path, prepared, shipped, safbage):
    output, arms = tmp_path / "shipped.json", ("shipped alexnet-gap", "shipped efficientnet-lite2")
    code, out, err = safbage("evaluate", prepared.folder, "--task", "gender", "--shipped", "--limit", 3, "--output", output)
    assert code == 0 and all(f"{arm}, ratio 30 %" in out for arm in arms) and shipped == [3, 3], err
    made = json.loads(output.read_text())["provenance"]
    assert made["limit"] == 3 and made["shipped"] and made["faces_answered"] == {f"{arm}, ratio 30 %": 3 for arm in arms}
    assert made["weights"] == weights.shipped_hashes()
    same = "shipped efficientnet-lite2 beside shipped alexnet-gap: no difference is shown: +0.0 points of accuracy"
    assert same in out and json.loads(output.read_text())["verdict"][0].startswith(same)


def test_two_networks_beside_each_other():
    weak, strong = answers(first(0.5, 100)), answers(first(0.9, 100))
    told = experiments.beside(weak, strong, names=("a", "b"), repetitions=200)
    assert told.startswith("b beside a: is right more often: +40.0 points of accuracy") and "on 100 faces" in told
    assert "b beside a: is right less often: -40.0" in experiments.beside(strong, weak, names=("a", "b"), repetitions=200)


def test_train_says_what_it_reached(tmp_path, prepared, trainings, safbage):
    command = ("train", prepared.folder, "--task", "gender", "--work", tmp_path / "w", "--network", "tiny", "--from-scratch")
    code, out, err = safbage(*command, "--fold", 1, "--epochs", 2)
    assert code == 0 and out.strip() == str(tmp_path / "w"), err
    metrics = json.loads((tmp_path / "w" / "metrics.json").read_text())
    assert f"accuracy {metrics['accuracy']:.1%}" in err and metrics["settings"]["fold"] == 1 and metrics["epoch"] == 2
    code, _, err = safbage(*command, "--fold", 2, "--epochs", 2)
    assert code == 1 and "fold: 1 there, 2 now" in err


def test_a_stopped_training_says_how_to_go_on(tmp_path, prepared, trainings, safbage, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning, "train", stop)
    for name in ("train", "evaluate"):
        options = ("--task", "gender", "--work", tmp_path / name, "--network", "tiny", "--from-scratch")
        code, _, err = safbage(name, prepared.folder, *options)
        assert code == 130 and "the same command goes on" in err


@pytest.mark.parametrize("name", ["train", "evaluate"])
@pytest.mark.parametrize(
    "wrong, says",
    [
        (("--task", "race"), "task is one of age, gender, expression; got 'race'"),
        (("--network", "lenet"), "lenet"),
        (("--ratio", 30), "ratio lies between 0 and 1"),
        (("--epochs", 0), "epochs 0"),
        (("--limit", 2), "none is for"),
    ],
)
def test_what_is_wrong_is_told(tmp_path, prepared, trainings, safbage, name, wrong, says):
    options = {"--task": "gender", "--network": "tiny", "--work": tmp_path / "work"} | {wrong[0]: wrong[1]}
    code, _, err = safbage(name, prepared.folder, *(part for pair in options.items() for part in pair))
    assert code == 2 and says in err and "Traceback" not in err and not trainings


@pytest.mark.parametrize("name", ["train", "evaluate"])
def test_the_cache_of_read_only_faces_is_moved(tmp_path, prepared, trainings, safbage, name):
    folder = shutil.copytree(prepared.folder, tmp_path / "prepared", ignore=shutil.ignore_patterns("features"))
    (folder / "features").touch()  # a file: to root, no folder is read-only
    options = ["--task", "gender", "--network", "tiny", "--from-scratch", "--work", tmp_path / "work"]
    options += ["--folds", 2] if name == "evaluate" else ["--fold", 0]
    code, _, err = safbage(name, folder, *options, "--cache", tmp_path / "cache")
    assert code == 0 and list((tmp_path / "cache").iterdir()), err


def test_what_is_missing_is_told(tmp_path, prepared, safbage):
    folder = prepared.folder
    code, _, err = safbage("evaluate", folder, "--task", "gender")
    assert code == 2 and "--work" in err
    code, _, err = safbage("train", folder, "--task", "gender")
    assert code == 2 and "--work" in err
    code, _, err = safbage("evaluate", folder, "--task", "race", "--shipped")
    assert code == 2 and "got 'race'" in err
    for name in ("train", "evaluate"):
        code, _, err = safbage(name, tmp_path, "--task", "gender", "--work", tmp_path / "work")
        assert code == 1 and "holds no prepared faces" in err
        assert not (tmp_path / "work").exists()


# --- the paper at the push of a button -------------------------------------------------------------------------------

TINY = reproduction.Scale(
    sets=dict.fromkeys(LABELS, "synthetic"),
    pictures=dict.fromkeys(LABELS, 96),
    epochs=dict.fromkeys(LABELS, 1),
    network="tiny",
    networks=("tiny",),
    ratios=(0.0, 0.3, 0.9),
    folds=2,
    saliency="light",
    imagenet=False,
)


def test_all_experiments_are_reproduced_on_one_page(tmp_path, trainings, monkeypatch):
    monkeypatch.setitem(reproduction.SCALES, "tiny", TINY)
    monkeypatch.setattr(sys, "argv", ["safbage", "reproduce"])
    reports = reproduction.reproduce(tmp_path, "tiny", progress=False)
    assert list(reports) == list(reproduction.EXPERIMENTS)
    count = len(trainings)
    assert count == 2 * (2 + 2 + 2 + 3 + 2)
    assert {arm["ratio"] for arm in reports["ratios"]["arms"].values()} == {0.0, 0.3, 0.9}
    seconds = reproduction.timings(tmp_path)
    assert set(seconds) == {"prepare synthetic", *reproduction.EXPERIMENTS} and min(seconds.values()) > 0

    again = CliRunner().invoke(cli.app, ["reproduce", "--scale", "tiny", "--output", str(tmp_path)])
    assert again.exit_code == 0, again.output
    assert len(trainings) == count  # nothing is trained twice
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for report in reports.values():
        assert all(html.escape(line, quote=False) in html.unescape(page) for line in report["verdict"])
    curves = experiments.histories(tmp_path / "work" / "ratios")
    assert len(curves) == 6 and set(curves.ratio) == {0.0, 0.3, 0.9}
    assert page.count("<img alt=") == page.count("<img") > 10
    assert "http" not in re.sub(r"base64,[^\"]*", "", page)


def test_the_second_of_two_reproductions_waits(tmp_path, trainings, prepared):
    options = dict(sets=[str(prepared.folder)], only=["gender"], cache=tmp_path / "cache", progress=False)
    waited, reports = waits(tmp_path / "all", lambda: reproduction.reproduce(tmp_path / "all", TINY, **options))
    assert waited and list(reports) == ["gender"] and list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("content", ["5", "[]", "{", "", '{"gender": "a"}'])
def test_damaged_times_are_named(tmp_path, content):
    (tmp_path / "timings.json").write_text(content)
    with pytest.raises(WorkError, match=r"timings\.json is damaged"):
        reproduction.timings(tmp_path)


@pytest.mark.parametrize("content", ["5", "[]", "{", ""])
def test_a_damaged_report_is_named(tmp_path, content):
    (tmp_path / "gender.json").write_text(content)
    with pytest.raises(WorkError, match=r"gender\.json is damaged"):
        experiments.saved(tmp_path)


def test_a_set_without_labels_for_a_task_leaves_it_out(tmp_path, trainings, prepared):
    keep = ["image", "gender", *BOX]
    faces, _ = datasets.synthetic(prepared.folder.parent / "pictures", 40, size=96, pictures_per_subject=2, progress=False)
    own = tmp_path / "own"
    preparation.prepare(faces[keep], own, preparation.Preparation(detect="box", saliency="light"), progress=False)
    reports = reproduction.reproduce(tmp_path / "out", TINY, sets=[str(own)], progress=False)
    assert list(reports) == ["gender", "ratios", "networks"]


def test_what_cannot_be_reproduced_is_told(tmp_path):
    with pytest.raises(ValueError, match="smoke, laptop, full"):
        reproduction.reproduce(tmp_path, "huge")
    with pytest.raises(DatasetError, match="no utkface in"):
        reproduction.reproduce(tmp_path, "laptop", data_dir=tmp_path, progress=False)


def test_trainings_run_in_processes_too(tmp_path, prepared):
    recipe = replace(training.AGE_GENDER_RECIPE, epochs=1, variants=((False, 0),))
    options = dict(networks=("alexnet-gap",), ratios=(0.0,), folds=range(2), recipe=recipe, limit=32, progress=False)
    apart = experiments.cross_validate(prepared, "gender", work=tmp_path / "two", workers=2, **options)
    alone = experiments.cross_validate(prepared, "gender", work=tmp_path / "one", **options)
    (a,), (b,) = apart.values(), alone.values()
    assert a.label.tolist() == b.label.tolist() and np.allclose(a.p_male, b.p_male, atol=1e-4)
