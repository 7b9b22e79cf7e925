"""The experiment as a whole, on a small folder of drawn people, and its figures by hand."""

import json
import re
import runpy
import shutil

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY, command

from safbage import images, retrieval
from safbage.datasets import drawn
from safbage.errors import DatasetError, WorkError
from safbage.experiments import Arm
from safbage.retrieval import study
from safbage.retrieval.embeddings import Trunk
from safbage.runtime.backend import keras, layers
from safbage.show import retrieval as shown
from safbage.training import features

PEOPLE = {"Ann": 0, "Bob": 1, "Cleo": 2, "Dan": 3}
PAIRS = ["2\t1", "Ann\t1\t2", "Ann\t1\tBob\t1", "Cleo\t1\t2", "Cleo\t1\tDan\t1"]


def add_tiny(monkeypatch):
    """A trunk without weights: colours of nine cells."""

    def build():
        face = keras.Input((224, 224, 3), name="face")
        cells = layers.AveragePooling2D(74, name="cells")(face)
        return keras.Model(face, layers.Flatten(name="flat")(cells), name="tiny")

    monkeypatch.setitem(retrieval.TRUNKS, "tiny", Trunk("cells", "nothing", build))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four drawn people with two pictures each, with pairs in two folds; a note and a torn picture."""
    folder = tmp_path_factory.mktemp("people")
    for name, number in PEOPLE.items():
        (folder / name).mkdir()
        for i in (1, 2):
            factors = drawn.factors_of(2 * number + i - 1, pictures_per_subject=2)
            images.write(folder / name / f"{name}_000{i}.jpg", drawn.render(factors, (128, 128)))
    (folder / "pairs.txt").write_text("\n".join(PAIRS) + "\n")
    (folder / "notes.txt").write_text("not a picture")
    (folder / "Ann" / "Ann_0003.jpg").write_bytes(b"torn")
    return folder


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def evaluated(folder, output):
    with pytest.MonkeyPatch.context() as patch:
        add_tiny(patch)
        compared = study.arms(["tiny"], [0.3], [0.3])
        options = dict(compared=compared, fewest=2, progress=False)
        result = retrieval.evaluate(folder, output, **options)
        before = {path: path.stat().st_mtime_ns for path in output.rglob("*.npy")}
        again = retrieval.evaluate(folder, output, **options)
        after = {path: path.stat().st_mtime_ns for path in output.rglob("*.npy")}
    assert before == after and len(before) == 4, (
        "three arms, and what the apparent groups follow from"
    )
    assert json.dumps(result) == json.dumps(again), "what is there is not computed again"
    return result


def test_the_arms():
    assert [str(arm) for arm in study.arms(["alexnet"])] == [
        "alexnet, without saliency",
        *(f"alexnet, ratio {percent} %" for percent in (10, 30, 50, 70, 90)),
        "alexnet, clipped at 30 %",
    ]
    assert study.arms(["alexnet", "alexnet"], [0, 0.3], []) == [
        Arm("alexnet", 0.0),
        Arm("alexnet", 0.3),
    ]
    with pytest.raises(ValueError, match="ratio lies between 0 and 1"):
        study.arms(["alexnet"], [30])


def test_all_is_counted_and_one_torn_picture_spoils_nothing(evaluated):
    found = evaluated["faces"]
    assert (found["pictures"], found["people"], found["unreadable"]) == (8, 4, 1)
    assert (found["pairs"], found["pairs_asked"], found["folds"]) == (4, 4, 2)
    assert (found["people_looked_for"], found["pictures_looked_for"]) == (4, 8)
    assert set(evaluated["arms"]) == {
        "tiny, without saliency",
        "tiny, ratio 30 %",
        "tiny, clipped at 30 %",
    }
    assert len(evaluated["tests"]) == 2 * len(retrieval.FIGURES)
    for of in evaluated["arms"].values():
        assert 0 <= of["pairs"]["accuracy"] <= 1 and len(of["pairs"]["folds"]) == 2
        assert of["pairs"]["roc"][0][0] == 0 and of["pairs"]["roc"][-1] == [1, 1]
        assert {"gender", "age_group"} == set(of["apparent_groups"])


def test_it_is_saved_without_paths_and_read_again(evaluated, tmp_path):
    retrieval.save(evaluated, tmp_path / "new" / "result.json", verdict=["so"])
    found = retrieval.load(tmp_path / "new" / "result.json")
    assert found["verdict"] == ["so"] and found["arms"] == evaluated["arms"]
    assert "/" not in json.dumps(found["provenance"]["data"])
    (tmp_path / "torn.json").write_text('{"faces": ')
    with pytest.raises(WorkError, match=r"torn\.json is damaged"):
        retrieval.load(tmp_path / "torn.json")


def made(similar, subjects, pairs=None):
    """What `measure` gives for vectors in the plane at these angles."""
    angles = np.deg2rad(similar)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return retrieval.measure(
        vectors, np.array(subjects, object), pairs, np.ones(len(similar), bool)
    )


def test_arms_are_compared_figure_by_figure_with_holms_correction():
    subjects = ["a", "a", "b", "b", "c", "c"]
    pairs = pd.DataFrame({"a": [0, 0, 4, 2], "b": [1, 2, 5, 4], "same": [True, False] * 2, "fold": [0, 0, 1, 1]})  # fmt: skip
    good, bad = [0, 1, 60, 62, 120, 123], [0, 60, 2, 63, 120, 55]
    found = {
        Arm("tiny", 0.0): made(good, subjects, pairs),
        Arm("tiny", 0.3): made(bad, subjects, pairs),
        Arm("tiny", 0.9): made(good, subjects, pairs),
        Arm("other", 0.9): made(good, subjects, pairs),  # without a twin
    }
    table = pd.DataFrame({"subject": subjects})
    tests = retrieval.compare(found, table, pairs, np.ones(6, bool))
    assert len(tests) == 2 * 3
    by = {(test["figure"], test["arm"]): test for test in tests}
    assert by["rank_1", "tiny, ratio 30 %"]["difference"] == -1
    assert by["accuracy", "tiny, ratio 90 %"]["difference"] == 0
    assert by["accuracy", "tiny, ratio 90 %"]["p_holm"] == 1
    assert by["accuracy", "tiny, ratio 30 %"]["items"] == 4
    assert by["mean_average_precision", "tiny, ratio 30 %"]["without"] == 1
    for test in tests:
        assert test["tests"] == 2 and test["p_holm"] >= test["p"]


def test_groups_hold_pairs_of_which_both_pictures_are_of_the_group():
    pairs = pd.DataFrame({"a": [0, 0, 2, 2], "b": [1, 2, 3, 0], "same": [True, False] * 2, "fold": [0, 0, 1, 1]})  # fmt: skip
    groups = pd.DataFrame({"gender": ["f", "f", "m", "m"]})
    angles = np.deg2rad([0, 1, 90, 93])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    found = retrieval.measure(vectors, np.array(list("aabb")), pairs, np.zeros(4, bool), groups)
    assert found["groups"]["gender"][["group", "error", "pairs"]].values.tolist() == [
        ["f", "false non-match", 1],
        ["m", "false non-match", 1],
    ]
    assert "identified" not in found


def test_people_without_pairs_and_nobody_at_all(folder, tmp_path, monkeypatch):
    add_tiny(monkeypatch)
    options = dict(compared=study.arms(["tiny"], [], []), progress=False)
    with pytest.raises(DatasetError, match="of 1 pairs none has both"):
        (tmp_path / "pairs.csv").write_text("Ann,1,Zoe,1\n")
        pairs = tmp_path / "pairs.csv"
        retrieval.evaluate(folder, tmp_path / "one", pairs=pairs, fewest=2, **options)
    with pytest.raises(FileNotFoundError, match="no such file of pairs"):
        retrieval.evaluate(folder, tmp_path / "two", pairs=tmp_path / "none.txt", **options)
    (tmp_path / "Ann").mkdir()
    (tmp_path / "Ann" / "a.jpg").write_bytes((folder / "Ann" / "Ann_0001.jpg").read_bytes())
    pairs.unlink()
    with pytest.raises(DatasetError, match="nobody has 5 pictures or more, and there is no pair"):
        retrieval.evaluate(tmp_path, tmp_path / "out", **options)


# the command, and what is shown


def test_the_command(folder, tmp_path, monkeypatch):
    add_tiny(monkeypatch)
    words = ["--output", tmp_path / "out", "--trunk", "tiny", "--ratio", "0.3", "--fewest", "2"]
    words += ["--clip", "0.3"]
    done = command("evaluate-retrieval", folder, *words)
    assert done.returncode == 0, done.stderr
    assert "| tiny, clipped at 30 % |" in done.stdout
    assert done.stdout.splitlines()[-1] == str(tmp_path / "out" / "retrieval.json")
    assert "4 pairs in 2 folds, 8 pictures of 4 people with 2 or more" in done.stderr
    assert retrieval.load(tmp_path / "out" / "retrieval.json")["verdict"]


def test_what_was_stopped_goes_on_with_what_is_left(
    folder, output, evaluated, tmp_path, monkeypatch
):
    """Prepared faces and apparent groups are there; Ctrl-C comes in the third of eight batches."""
    shutil.copytree(output / "faces", tmp_path / "out" / "faces")
    for settings in (output / "embeddings").glob("*/settings.json"):
        if "face-mobilenet" in settings.read_text():
            name = settings.parent.name
            shutil.copytree(settings.parent, tmp_path / "out" / "embeddings" / name)
    add_tiny(monkeypatch)
    monkeypatch.setattr(features, "TOGETHER", 2)
    build, batches = retrieval.TRUNKS["tiny"].build, []

    def counted():
        model = build()
        answer = model.predict_on_batch

        def predict_on_batch(faces):
            batches.append(len(faces))
            if len(batches) == 3:
                raise KeyboardInterrupt
            return answer(faces)

        model.predict_on_batch = predict_on_batch
        return model

    monkeypatch.setitem(retrieval.TRUNKS, "tiny", Trunk("cells", "nothing", counted))
    words = ["--output", tmp_path / "out", "--trunk", "tiny", "--ratio", "0.3", "--fewest", "2"]
    stopped = command("evaluate-retrieval", folder, *words)
    assert stopped.returncode == 130
    assert "stopped; the same command goes on where it was" in stopped.stderr
    assert not (tmp_path / "out" / "retrieval.json").exists()
    done = command("evaluate-retrieval", folder, *words)
    assert done.returncode == 0, done.stderr
    assert batches == [2] * (2 + 1 + 6), "two, the one that was stopped, and six that were left"
    found = retrieval.load(tmp_path / "out" / "retrieval.json")["arms"]
    assert found == {name: evaluated["arms"][name] for name in found}


@pytest.mark.parametrize(
    "words, told",
    [
        (["nowhere", "--output", "out"], "no such folder: nowhere"),
        ([".", "--output", "out"], "has no folder per person with pictures in it"),
        ([".", "--output", "out", "--trunk", "vgg16"], "a trunk is one of face-mobilenet"),
        ([".", "--output", "out", "--ratio", "30"], "the ratio lies between 0 and 1"),
        ([".", "--output", "taken"], "was not written by this command and would be overwritten"),
    ],
)
def test_what_is_wrong_is_said_before_any_work(tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "retrieval.json").write_text("mine")
    done = command("evaluate-retrieval", *words)
    assert done.returncode in (1, 2) and told in done.stderr


def result(*tests):
    """A result with one arm and these tests."""
    people = {"rank_1": 0.5, "mean_average_precision": 0.25}
    pairs = {"accuracy": 0.875, "error": 0.0125, "auc": 0.9, "true_match_at_0.01": 0.3}
    return {"arms": {"tiny, ratio 30 %": {"pairs": pairs, "people": people}}, "tests": list(tests)}


def a_test(difference, p, figure="rank_1"):
    found = {"figure": figure, "arm": "tiny, ratio 30 %", "difference": difference, "p_holm": p}
    return found | {"low": difference - 0.02, "high": difference + 0.02, "tests": 2}


def test_the_verdict_says_no_more_than_the_tests():
    (line,) = shown.verdicts(result(a_test(-0.01, 0.2), a_test(0.01, 0.2)))
    assert line == (
        "First neighbour of the same person: of 2 arms with saliency, no difference to the arm "
        "without is shown."
    )
    first, second = shown.verdicts(result(a_test(-0.05, 0.001), a_test(0.01, 0.2)))
    assert first.endswith("of 2 arms with saliency, none shown to be better than without, 1 to be worse.")  # fmt: skip
    assert second == (
        "tiny, ratio 30 %: -5.0 points (95 % interval -7.0 to -3.0; p = 0.001 after Holm's "
        "correction over 2 tests)."
    )
    assert "1 shown to be better than without, none" in shown.verdicts(result(a_test(0.05, 0.001)))[0]  # fmt: skip
    mixed = shown.verdicts(result(a_test(0.05, 0.001), a_test(-0.05, 0.001)))[0]
    assert "1 shown to be better than without, 1 to be worse" in mixed


def test_the_table_has_what_was_measured():
    lines = shown.table(result(a_test(-0.05, 0.001))).splitlines()
    assert lines[0].count("|") == 7
    assert lines[2] == "| tiny, ratio 30 % | 87.5 ± 1.2 | 0.900 | 30.0 | 50.0 * | 25.0 |"
    alone = result()
    del alone["arms"]["tiny, ratio 30 %"]["pairs"]
    assert shown.table(alone).splitlines()[0] == "| arm | rank 1, % | mean average precision, % |"


def test_differences_have_intervals_and_a_star_where_one_is_shown():
    found = result(a_test(-0.05, 0.001), a_test(-0.0001, 0.2, "mean_average_precision"))
    lines = shown.differences_table(found).splitlines()
    assert lines == [
        "| arm | first neighbour of the same person | mean average precision |",
        "|---|---|---|",
        "| tiny, ratio 30 % | -5.0 (-7.0 to -3.0) * | +0.0 (-2.0 to +2.0) |",
    ]
    assert shown.in_short(found) == [line for line in shown.verdicts(found) if ": -" not in line]


def test_rates_of_few_pairs_are_not_told():
    def row(group, error, pairs):
        rates = {"rate": 0.1, "low": 0.05, "high": 0.2}
        return {"group": group, "error": error, "pairs": pairs, "wrong": pairs // 10, **rates}

    rows = [
        row("0-2", "false non-match", 29),
        row("8-13", "false match", 3),
        row("8-13", "false non-match", 8),
        row("25-32", "false match", 29),
        row("25-32", "false non-match", 30),
        row("60+", "false match", 1234),
    ]
    found = result()
    found["arms"]["tiny, ratio 30 %"]["apparent_groups"] = {"age_group": rows}
    told = shown.groups_table(found, ["tiny, ratio 30 %"], "age_group").splitlines()
    assert told[2:] == [
        "| tiny, ratio 30 % | 25-32 | too few pairs (29) | 10.0 (5.0 to 20.0) of 30 |",
        "| tiny, ratio 30 % | 60+ | 10.0 (5.0 to 20.0) of 1,234 | too few pairs (0) |",
        "",
        "Left out, with fewer than 30 pairs of each kind: 0-2 and 8-13.",
    ]


def test_the_page_says_what_the_stored_result_says():
    page = runpy.run_path(str(REPOSITORY / "docs" / "book" / "retrieval_page.py"))
    text = page["PAGE"].read_text(encoding="utf-8")
    assert page["filled"](text, retrieval.load(page["RESULT"])) == text, (
        "run python docs/book/retrieval_page.py"
    )
    for figure in set(re.findall(r"\((retrieval[\w-]*\.png)\)", text)):
        assert (page["PAGE"].parent / figure).is_file()
    assert set(page["BLOCK"].findall(text)) == set(page["BLOCKS"])


def test_the_stored_result_is_of_lfw_as_published():
    result = retrieval.load(REPOSITORY / "results" / "lfw.json")
    found = result["faces"]
    assert (found["pairs"], found["folds"]) == (6000, 10)
    assert (found["people_looked_for"], found["pictures_looked_for"]) == (423, 5985)
    for of in result["arms"].values():
        assert of["pairs"]["accuracy"] == pytest.approx(np.mean(of["pairs"]["folds"]))
        rates = {(row["group"], row["error"]): row for row in of["apparent_groups"]["gender"]}
        assert set(rates) == {(group, error) for group in ("female", "male") for error in ("false match", "false non-match")}  # fmt: skip
    assert result["verdict"] == shown.verdicts(result)
    assert "/work" not in json.dumps(result)
