"""``safbage train`` and ``safbage evaluate``, in this process, on drawn faces and a tiny network."""

import json
import shutil

import pyarrow.parquet as pq
import pytest
from conftest import command

from safbage.runtime import weights
from safbage.training import tuning


def safbage(*words):
    """``safbage …``: exit status, stdout and stderr."""
    done = command(*words)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("folds, says", [(200, "got 5"), (3, "10 subjects")])
def test_evaluate_trains_nothing_that_it_refuses(tmp_path, prepared, trainings, folds, says):
    folder = prepared.folder
    if folds == 3:
        folder = shutil.copytree(prepared.folder, tmp_path / "mixed")
        for shard in (folder / "shards").iterdir():
            part = pq.read_table(shard)
            part = part.set_column(
                part.schema.get_field_index("subject"),
                "subject",
                [[f"{i // 4}" for i in range(len(part))]],
            )
            part = part.set_column(
                part.schema.get_field_index("fold"), "fold", [[i % 4 for i in range(len(part))]]
            )
            pq.write_table(part, shard)
    options = (
        "--task",
        "gender",
        "--network",
        "tiny",
        "--from-scratch",
        "--work",
        tmp_path / "work",
    )
    evaluate = ("evaluate", folder, *options, "--folds", folds)
    for line in (evaluate, ("train", folder, *options, "--fold", folds // 3)):
        code, _, err = safbage(*line)
        assert code == 2 and (says in err or "got 66" in err), err
    assert not trainings


def test_evaluate_prints_saves_and_resumes(tmp_path, prepared, trainings):
    line = (
        "evaluate",
        prepared.folder,
        "--task",
        "gender",
        "--work",
        tmp_path / "work",
        "--network",
        "tiny",
        "--folds",
        2,
    )
    line += ("--from-scratch", "--output", tmp_path / "results" / "drawn.json", "--rate", 0.01)
    code, out, err = safbage(*line)
    assert code == 0, err
    for words in (
        "tiny, without saliency",
        "tiny, ratio 30 %",
        "paper",
        "[95 % interval]",
        "points of accuracy",
        "drawn.json",
    ):
        assert words in out
    saved = json.loads((tmp_path / "results" / "drawn.json").read_text())
    assert saved["provenance"]["data"] == "prepared" and saved["provenance"]["folds"] == 2
    assert "rate=0.01" in saved["provenance"]["recipe"] and len(trainings) == 4
    assert (
        str(tmp_path) not in saved["provenance"]["command"]
    )  # whose folders they were is nobody's business
    assert (
        "evaluate" in saved["provenance"]["command"]
        and saved["provenance"]["backend"] in saved["provenance"]["versions"]
    )
    assert saved["provenance"]["limit"] is None and saved["provenance"]["shipped"] is False
    for name, arm in saved["arms"].items():
        assert (
            arm["trained_layers"] == ["fc"]
            and arm["frozen_at_random"] == ["conv"]
            and arm["imagenet_layers"] == []
        )
        assert [words.split(" (")[0].count(",") for words in arm["used"]] == [
            2,
            2,
        ]  # train, validation, test of either fold
        assert saved["provenance"]["faces_answered"][name] == arm["faces"]
    said = (
        "tiny: trained fc; from ImageNet none; from random weights fc; left at random weights conv."
    )
    assert out.count(said) == 1
    assert safbage(*line)[0] == 0 and len(trainings) == 4
    code, out, _ = safbage("results", tmp_path / "results" / "drawn.json", "--markdown")
    assert code == 0 and out.startswith("| arm |")


def test_evaluate_measures_what_ships(tmp_path, prepared, shipped):
    output, arms = tmp_path / "shipped.json", ("shipped face-mobilenet", "shipped alexnet-gap")
    code, out, err = safbage(
        "evaluate",
        prepared.folder,
        "--task",
        "gender",
        "--shipped",
        "--limit",
        3,
        "--output",
        output,
    )
    assert code == 0 and all(f"{arm}, ratio 30 %" in out for arm in arms) and shipped == [3, 3], err
    made = json.loads(output.read_text())["provenance"]
    assert (
        made["limit"] == 3
        and made["shipped"]
        and made["faces_answered"] == {f"{arm}, ratio 30 %": 3 for arm in arms}
    )
    assert made["weights"] == weights.shipped_hashes()
    same = "shipped alexnet-gap beside shipped face-mobilenet: no difference is shown: +0.0 points of accuracy"
    assert same in out and json.loads(output.read_text())["verdict"][0].startswith(same)


def test_train_says_what_it_reached(tmp_path, prepared, trainings):
    line = (
        "train",
        prepared.folder,
        "--task",
        "gender",
        "--work",
        tmp_path / "w",
        "--network",
        "tiny",
        "--from-scratch",
    )
    code, out, err = safbage(*line, "--fold", 1, "--epochs", 2)
    assert code == 0 and out.strip() == str(tmp_path / "w"), err
    metrics = json.loads((tmp_path / "w" / "metrics.json").read_text())
    assert (
        f"accuracy {metrics['accuracy']:.1%}" in err
        and metrics["settings"]["fold"] == 1
        and metrics["epoch"] == 2
    )
    code, _, err = safbage(*line, "--fold", 2, "--epochs", 2)
    assert code == 1 and "fold: 1 there, 2 now" in err


def test_a_stopped_training_says_how_to_go_on(tmp_path, prepared, trainings, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning, "train", stop)
    for name in ("train", "evaluate"):
        options = (
            "--task",
            "gender",
            "--work",
            tmp_path / name,
            "--network",
            "tiny",
            "--from-scratch",
        )
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
def test_what_is_wrong_is_told(tmp_path, prepared, trainings, name, wrong, says):
    options = {"--task": "gender", "--network": "tiny", "--work": tmp_path / "work"} | {
        wrong[0]: wrong[1]
    }
    code, _, err = safbage(
        name, prepared.folder, *(part for pair in options.items() for part in pair)
    )
    assert code == 2 and says in err and "Traceback" not in err and not trainings


@pytest.mark.parametrize("name", ["train", "evaluate"])
def test_the_cache_of_read_only_faces_is_moved(tmp_path, prepared, trainings, name):
    folder = shutil.copytree(
        prepared.folder, tmp_path / "prepared", ignore=shutil.ignore_patterns("features")
    )
    (folder / "features").touch()  # a file: to root, no folder is read-only
    options = [
        "--task",
        "gender",
        "--network",
        "tiny",
        "--from-scratch",
        "--work",
        tmp_path / "work",
    ]
    options += ["--folds", 2] if name == "evaluate" else ["--fold", 0]
    code, _, err = safbage(name, folder, *options, "--cache", tmp_path / "cache")
    assert code == 0 and list((tmp_path / "cache").iterdir()), err


def test_what_is_missing_is_told(tmp_path, prepared):
    folder = prepared.folder
    code, _, err = safbage("evaluate", folder, "--task", "gender")
    assert code == 2 and "--work" in err
    code, _, err = safbage("train", folder, "--task", "gender")
    assert code == 2 and "--work" in err
    code, _, err = safbage("evaluate", folder, "--task", "race", "--shipped")
    assert code == 2 and "got 'race'" in err
    for name in ("train", "evaluate"):
        options = ("--task", "gender", "--network", "face-mobilenet", "--work", tmp_path / "work")
        code, _, err = safbage(name, folder, *options)
        assert code == 2 and "face-mobilenet is not trained here: it has learnt from" in err
        assert not (tmp_path / "work").exists()
    for name in ("train", "evaluate"):
        code, _, err = safbage(name, tmp_path, "--task", "gender", "--work", tmp_path / "work")
        assert code == 1 and "holds no prepared faces" in err
        assert not (tmp_path / "work").exists()
