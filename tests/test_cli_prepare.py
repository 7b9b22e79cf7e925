"""``safbage prepare``, and what is left of it when it is killed."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from conftest import command

from safbage import images
from safbage.datasets.shards import Prepared

FAST = ["--saliency", "light", "--shard-size", 4]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    head = images.astronaut()[:260, 90:350]
    for i in range(20):
        images.write(folder / f"{i:02}.png", np.clip(head * (0.6 + i / 40), 0, 255).astype("uint8"))
    images.write(folder / "20.png", np.full((90, 90, 3), 80, "uint8"))
    path = folder / "labels.csv"
    pd.DataFrame({"image": [f"{i:02}.png" for i in range(21)], "gender": "female"}).to_csv(
        path, index=False
    )
    return path


@pytest.fixture(scope="module", params=[1])
def whole(request, table, tmp_path_factory):
    """(the finished process, its folder, its workers)"""
    output = tmp_path_factory.mktemp("whole")
    done = command("prepare", table, output, *FAST, "--workers", request.param)
    assert done.returncode == 0, done.stderr
    return done, output, request.param


def test_it_says_what_was_prepared_and_what_failed(whole):
    done, output, _ = whole
    assert done.stdout.strip() == str(output)
    for words in ("21 pictures", "1 without a face: no face found", "20 faces in"):
        assert words in done.stderr
    assert len(Prepared(output)) == 20 and Prepared(output).codes("gender").tolist() == [1] * 20


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize(
    "whole, kills",
    [
        (1, 1),
        pytest.param(1, 5, marks=pytest.mark.slow),
        pytest.param(2, 3, marks=pytest.mark.slow),
    ],
    indirect=["whole"],
)
def test_killed_it_makes_the_same_bytes(table, whole, kills, tmp_path):
    """SIGKILL to the whole process group after each further shard; then to the end."""
    _, unbroken, workers = whole
    arguments = [table, tmp_path, *FAST, "--workers", workers]
    words = [str(part) for part in (sys.executable, "-m", "safbage.cli", "prepare", *arguments)]
    for kill in range(1, kills + 1):
        process = subprocess.Popen(
            words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        deadline = time.monotonic() + 120
        while (
            time.monotonic() < deadline
            and len(list(tmp_path.glob("shards/part-*"))) < kill
            and process.poll() is None
        ):
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert command("prepare", *arguments).returncode == 0
    one, other = (
        {p.name: p.read_bytes() for p in folder.rglob("*.parquet")}
        for folder in (tmp_path, unbroken)
    )
    assert one == other


def test_a_part_of_the_table(table, tmp_path):
    done = command("prepare", table, tmp_path, *FAST, "--limit", 3)
    assert done.returncode == 0, done.stderr
    assert len(Prepared(tmp_path)) + len(pd.read_parquet(tmp_path / "failed.parquet")) == 3


def test_drawn_faces_need_nothing_on_disk(tmp_path):
    done = command("prepare", "synthetic", tmp_path, "--saliency", "light", "--limit", 6)
    assert done.returncode == 0, done.stderr
    assert 4 <= len(Prepared(tmp_path)) <= 6 and (Prepared(tmp_path).codes("expression") >= 0).all()


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["nosuchset", "{out}"], "no data set named 'nosuchset'"),
        (["utkface", "{out}", "--data-dir", "{out}"], "UTKFace is not found in {out}"),
        (["{table}", "{out}", "--detect", "dlib"], "detect is one of mtcnn, box, none"),
        (["{table}", "{out}", "--workers", "0"], "Invalid value for '--workers'"),
        (["{table}", "{out}", "--detect", "box"], "lacks box_left"),
        (["{table}", "{out}", "--saliency", "lihgt"], "no such file: lihgt"),
    ],
)
def test_wrong_options_are_explained(table, tmp_path, arguments, said):
    done = command("prepare", *(a.format(out=tmp_path, table=table) for a in arguments))
    assert (
        done.returncode in (1, 2)
        and said.format(out=tmp_path) in " ".join(done.stderr.split())
        and "Traceback" not in done.stderr
    )
