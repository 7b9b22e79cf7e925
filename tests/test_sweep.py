"""Sweeps: points, tables, failures, kills, a cluster; with a notebook that takes no time."""

import json
import os
import signal
import subprocess
import sys
import time

import nbformat
import pandas as pd
import pytest
from typer.testing import CliRunner

from safbage import sweep as sweeps
from safbage.cli.base import app
from safbage.work import WorkError

SOURCE = """
import json, os, time
from pathlib import Path

folder = Path(OUTPUT_DIR)
with open(Path(LOG) / "runs", "a") as runs:
    runs.write(f"{RATIO} {FOLD}\\n")
shared = Path(os.environ["SAFBAGE_SHARED"])
time.sleep(SECONDS)
if RATIO == BAD and FOLD == 0:
    raise RuntimeError("this ratio was to fail")
"""
METRICS = """
metrics = {"twice": 2 * RATIO, "list": [1, 2], "deep": {"fold": FOLD}, "shared": shared.name}
(folder / "metrics.json").write_text(json.dumps(metrics))
"""


@pytest.fixture
def notebook(tmp_path):
    """A notebook that notes its runs in the folder LOG, sleeps, fails where RATIO is BAD and FOLD 0, and writes its metrics."""
    defaults = f'RATIO = 0.3\nFOLD = 0\nSECONDS = 0\nBAD = -1\nLOG = {str(tmp_path)!r}\nOUTPUT_DIR = "."'
    cells = [nbformat.v4.new_code_cell(source) for source in (defaults, SOURCE, METRICS)]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), tmp_path / "tiny.ipynb")
    return tmp_path / "tiny.ipynb"


def runs(notebook):
    path = notebook.parent / "runs"
    return path.read_text().split("\n")[:-1] if path.exists() else []


def test_a_grid_becomes_named_points():
    points = sweeps.plan({"RATIO": [0, 0.3], "FOLD": range(2)})
    assert points["RATIO=0.3,FOLD=1"] == {"RATIO": 0.3, "FOLD": 1} and len(points) == 4
    assert list(sweeps.plan({})) == ["point"]
    for values in ([], [1, 1]):
        with pytest.raises(ValueError, match="FOLD"):
            sweeps.plan({"FOLD": values})


def test_names_are_fit_for_folders_and_differ():
    names = {sweeps.name_of({"DATASET": value}) for value in ("a/b", "a-b", "a\\b", "../b", "x" * 500, "x" * 501, "ä b")}
    assert len(names) == 7 and all("/" not in name and "\\" not in name and len(name) < 150 for name in names)


def test_every_point_runs_once_and_the_table_has_them_all(notebook, tmp_path):
    grid = {"RATIO": [0, 0.5], "FOLD": [0, 1]}
    table = sweeps.sweep(notebook, tmp_path / "sweep", grid=grid, settings={"SECONDS": 0.1}, workers=2, progress=False)
    assert list(table.point) == list(sweeps.plan(grid)) and set(table.status) == {"ok"}
    assert list(table.twice) == [0, 0, 1, 1] and list(table["deep.fold"]) == [0, 1, 0, 1] and "list" not in table
    assert set(table.SECONDS) == {0.1} and set(table.shared) == {"shared"} and (table.seconds > 0).all()
    assert sorted(runs(notebook)) == ["0 0", "0 1", "0.5 0", "0.5 1"]
    stored = pd.read_parquet(tmp_path / "sweep" / "results.parquet")
    assert list(stored.twice) == list(pd.read_csv(tmp_path / "sweep" / "results.csv").twice) == list(table.twice)
    executed = nbformat.read(tmp_path / "sweep" / "RATIO=0.5,FOLD=1" / "notebook.ipynb", 4)
    assert any("injected-parameters" in cell.metadata.get("tags", []) for cell in executed.cells)
    larger = {"RATIO": [0, 0.5, 1], "FOLD": [0, 1]}  # a grid may grow
    assert len(sweeps.sweep(notebook, tmp_path / "sweep", grid=larger, settings={"SECONDS": 0.1}, progress=False)) == 6
    assert len(runs(notebook)) == 6


def test_unknown_names_are_refused_before_anything_runs(notebook, tmp_path):
    for grid, settings, words in (
        ({"RATIOS": [1]}, {}, "no parameter RATIOS; it has RATIO, FOLD"),
        ({"RATIO": [1]}, {"EPOCH": 1}, "no parameter EPOCH"),
        ({"RATIO": [1]}, {"RATIO": 1}, "RATIO is set and in the grid"),
        ({"OUTPUT_DIR": ["a"]}, {}, "OUTPUT_DIR is not to be set"),
    ):
        with pytest.raises(ValueError, match=words):
            sweeps.sweep(notebook, tmp_path / "sweep", grid=grid, settings=settings, progress=False)
    with pytest.raises(FileNotFoundError, match=r"no such notebook: .*gone"):
        sweeps.sweep(tmp_path / "gone.ipynb", tmp_path / "sweep", grid={"RATIO": [1]}, progress=False)
    assert not runs(notebook) and not (tmp_path / "sweep").exists()


def test_a_failed_point_tells_cell_and_error_and_the_rest_go_on(notebook, tmp_path):
    options = dict(grid={"RATIO": [0, 0.5, 1]}, settings={"BAD": 0.5}, progress=False)
    table = sweeps.sweep(notebook, tmp_path / "sweep", **options)
    assert list(table.status) == ["ok", "failed", "ok"]
    assert table.error[1] == "RuntimeError: this ratio was to fail" and table.cell[1] == 3  # the injected cell is the second
    sweeps.sweep(notebook, tmp_path / "sweep", **options)
    assert len(runs(notebook)) == 3  # not again unless asked
    sweeps.sweep(notebook, tmp_path / "sweep", **options, retry_failed=True)
    assert runs(notebook).count("0.5 0") == 2 and len(runs(notebook)) == 4


def test_another_notebook_or_other_settings_need_another_folder(notebook, tmp_path):
    sweeps.sweep(notebook, tmp_path / "sweep", grid={"RATIO": [1]}, progress=False)
    with pytest.raises(WorkError, match="settings"):
        sweeps.sweep(notebook, tmp_path / "sweep", grid={"RATIO": [1]}, settings={"FOLD": 1}, progress=False)
    text = notebook.read_text()
    notebook.write_text(text.replace("twice", "thrice"))
    with pytest.raises(WorkError, match="notebook"):
        sweeps.sweep(notebook, tmp_path / "sweep", grid={"RATIO": [1]}, progress=False)


GRID = ["--grid", "RATIO=0,0.1,0.3,0.5,0.7,0.9", "--grid", "FOLD=0..1", "--set", "SECONDS=0.5"]


def test_killed_and_resumed_a_sweep_of_twelve_has_twelve_rows_and_none_run_twice(notebook, tmp_path):
    command = [sys.executable, "-m", "safbage.cli", "sweep", str(notebook), "--output", str(tmp_path / "sweep"), *GRID]
    command += ["--set", "BAD=0.5", "--workers", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while len(list((tmp_path / "sweep").glob("*/point.json"))) < 4 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    time.sleep(3)  # kernels end with their parents
    before = {path.parent.name: path.stat().st_mtime_ns for path in (tmp_path / "sweep").glob("*/point.json")}
    assert 4 <= len(before) < 12
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "failed: RATIO=0.5,FOLD=0 in cell 3: RuntimeError" in done.stderr, done.stderr
    table = pd.read_csv(tmp_path / "sweep" / "results.csv")
    assert len(table) == 12 and (table.status == "failed").sum() == 1 and (table.status == "ok").sum() == 11
    for name, written in before.items():  # what was finished was not run again
        assert (tmp_path / "sweep" / name / "point.json").stat().st_mtime_ns == written
    in_flight = len(runs(notebook)) - 12
    assert 0 <= in_flight <= 2


def test_a_dask_cluster_runs_the_points_though_a_worker_is_killed(notebook, tmp_path):
    distributed = pytest.importorskip("dask.distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
        done = sweeps.run(
            notebook,
            tmp_path / "sweep",
            grid={"RATIO": [0, 0.1, 0.3, 0.5, 0.7, 0.9], "FOLD": [0, 1]},
            settings={"SECONDS": 0.3, "BAD": 0.5},
            scheduler=cluster.scheduler_address,
        )
        for count, _ in enumerate(done):
            if count == 2:
                os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
    table = sweeps.gather(tmp_path / "sweep", {"RATIO": [0, 0.1, 0.3, 0.5, 0.7, 0.9], "FOLD": [0, 1]})
    assert len(table) == 12 and (table.status == "ok").sum() == 11 and (table.status == "failed").sum() == 1
    assert len(runs(notebook)) <= 13  # the killed worker's point ran again


@pytest.fixture
def safbage():
    return lambda *words: CliRunner().invoke(app, ["sweep", *map(str, words)])


def test_the_command_reads_lists_ranges_and_a_file(notebook, tmp_path, safbage):
    (tmp_path / "grid.yaml").write_text("set: {SECONDS: 0}\ngrid: {RATIO: [0, 0.5], FOLD: 0..1}")
    done = safbage(notebook, "--output", tmp_path / "sweep", "--from", tmp_path / "grid.yaml", "--grid", "BAD=-1,-2")
    assert done.exit_code == 0, done.output
    table = pd.read_csv(tmp_path / "sweep" / "results.csv")
    assert len(table) == 8 and set(table.FOLD) == {0, 1} and set(table.BAD) == {-1, -2}
    note = json.loads((tmp_path / "sweep" / "RATIO=0,FOLD=0,BAD=-1" / "point.json").read_text())
    assert note["parameters"] == {"SECONDS": 0, "RATIO": 0, "FOLD": 0, "BAD": -1}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--grid", "RATIO"], "expected NAME=VALUE"),
        (["--grid", "RATI=1"], "no parameter RATI"),
        (["--set", "1=2"], "expected NAME=VALUE"),
        (["--grid", "RATIO=1", "--workers", "0"], "workers is at least 1"),
    ],
)
def test_the_command_says_what_is_wrong(notebook, tmp_path, safbage, words, told):
    done = safbage(notebook, "--output", tmp_path / "sweep", *words)
    assert done.exit_code == 2 and told in done.output


def test_a_file_that_is_no_settings_is_named(notebook, tmp_path, safbage):
    for content in ("[1, 2]", "a: 1", "set: 3", "{"):
        (tmp_path / "grid.yaml").write_text(content)
        done = safbage(notebook, "--output", tmp_path / "sweep", "--from", tmp_path / "grid.yaml")
        assert done.exit_code == 2 and "grid.yaml" in done.output
