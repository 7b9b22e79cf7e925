"""``safbage train-saliency`` and ``evaluate-saliency`` on small drawn scenes written to disk."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from conftest import command as safbage
from test_cli import read_csv

from safbage import images
from safbage.datasets.drawn.scenes import synthetic_scenes
from safbage.runtime.weights import checkpoints

SMALL = [
    "--recipe",
    "shipped",
    "--train",
    "head",
    "--size",
    80,
    96,
    "--scale",
    1,
    "--batch",
    4,
    "--epochs",
    4,
    "--rate",
    0.001,
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Drawn scenes, laid out as OSIE."""
    folder = tmp_path_factory.mktemp("scenes") / "drawn"
    (folder / "stimuli").mkdir(parents=True)
    rows = []
    for scene in synthetic_scenes(30, size=(80, 96)):
        images.write(folder / "stimuli" / f"{scene.name}.png", scene.pixels())
        own = pd.DataFrame(scene.fixations, columns=["x", "y"])
        rows.append(own.assign(image=f"{scene.name}.png", subject=scene.subjects))
    pd.concat(rows).to_csv(folder / "fixations.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    done = safbage("train-saliency", folder, "--work", work, *SMALL)
    assert done.returncode == 0, done.stderr
    return done, work / "mlnet.safetensors"


def test_training_says_where_the_result_lies(trained):
    done, path = trained
    assert done.stdout.strip() == str(path) and path.stat().st_size > 1e6
    assert (
        "epoch 4 of 4: 100%" in done.stderr
        and "best_epoch=" in done.stderr
        and "evaluate-saliency" in done.stderr
        and "24 scenes" in done.stderr
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize(
    "after", [pytest.param("features-*.done", marks=pytest.mark.slow), "epoch-1.weights.h5"]
)
def test_a_run_killed_at_once_resumes_to_the_same_file(folder, trained, tmp_path, after):
    command = [
        sys.executable,
        "-m",
        "safbage.cli",
        "train-saliency",
        folder,
        "--work",
        tmp_path,
        *SMALL,
    ]
    process = subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and not any(tmp_path.glob(after)):
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "mlnet.safetensors").exists()
    done = safbage(*command[3:])
    assert done.returncode == 0, done.stderr
    resumed, whole = (
        checkpoints.read_safetensors(path)[0]
        for path in (tmp_path / "mlnet.safetensors", trained[1])
    )
    assert resumed.keys() == whole.keys() and all(
        np.array_equal(resumed[name], whole[name]) for name in whole
    )


def test_evaluation_prints_a_table_with_baselines(folder, trained, tmp_path):
    done = safbage(
        "evaluate-saliency", folder, "--model", trained[1], "--output", tmp_path / "scenes.csv"
    )
    assert done.returncode == 0, done.stderr
    for word in (
        "6 scenes it has not seen",
        "mlnet.safetensors",
        "centre prior",
        "uniform",
        "other viewers",
        "AUC-Borji",
        "±",
    ):
        assert word in done.stdout
    assert len(read_csv(tmp_path / "scenes.csv")) == 6 * 4


def test_evaluation_as_json_and_limited(folder, trained):
    done = safbage(
        "evaluate-saliency", folder, "--model", trained[1], "--json", "--limit", 2, "--no-viewers"
    )
    (figures,) = json.loads(done.stdout).values()
    assert figures["scenes"] == 2 and set(figures) == {
        "scenes",
        "mlnet.safetensors",
        "centre prior",
        "uniform",
    }
    assert (
        figures["uniform"]["AUC-Judd"]["mean"] == 0.5
        and figures["centre prior"]["CC"]["standard_error"] > 0
    )


def test_images_and_a_table_elsewhere(folder, trained):
    table = folder / "fixations.csv"
    done = safbage(
        "evaluate-saliency",
        folder / "stimuli",
        "--fixations",
        table,
        "--model",
        trained[1],
        "--limit",
        1,
        "--json",
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--recipe", "mine"], "no recipe 'mine'; there are paper, shipped"),
        (["--train", "fc6"], "train is one of head, conv5, conv4, all"),
        (["--size", 100, 96], "multiples of 8"),
        (["--hold-back", 1.5], "--hold-back lies between 0 and 1"),
        (["--hold-back", 0.001], "too few to hold back"),
        (["--limit", 3], "at least 10 and 1"),
    ],
)
def test_wrong_options_are_explained(folder, tmp_path, arguments, said):
    done = safbage("train-saliency", folder, "--work", tmp_path, *arguments)
    assert (
        done.returncode == 2
        and said in " ".join(done.stderr.split())
        and "Traceback" not in done.stderr
    )


def test_wrong_files_are_explained(folder, trained, tmp_path):
    (tmp_path / "stimuli").mkdir()
    (tmp_path / "fixations.csv").write_text("image,subject,x\na.png,0,3\n")
    (tmp_path / "model.pkl").write_bytes(b"no weights")
    for arguments, said in (
        ([tmp_path, "--model", trained[1]], "has no column y"),
        ([tmp_path / "nowhere", "--model", trained[1]], "no such folder"),
        ([folder, "--model", "lihgt"], "no such file: lihgt"),
        ([folder, "--model", tmp_path / "model.pkl"], "not a Keras 1 file of weights"),
    ):
        done = safbage("evaluate-saliency", *arguments)
        assert (
            done.returncode in (1, 2)
            and said in " ".join(done.stderr.split())
            and "Traceback" not in done.stderr
        )
