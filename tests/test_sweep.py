"""Sweeps: points, tables, failures, kills, a cluster; with a notebook that takes no time."""

import datetime
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from safbage import sweep as sweeps
from safbage.cli import sweep as command
from safbage.cli.base import app
from safbage.errors import WorkError
from safbage.runtime.work import locked

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
    defaults = (
        f'RATIO = 0.3\nFOLD = 0\nSECONDS = 0\nBAD = -1\nLOG = {str(tmp_path)!r}\nOUTPUT_DIR = "."'
    )
    cells = [nbformat.v4.new_code_cell(source) for source in (defaults, SOURCE, METRICS)]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(
        nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}),
        tmp_path / "tiny.ipynb",
    )
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


def test_values_that_are_no_json_become_such():
    day = datetime.date(2024, 1, 1)
    points = sweeps.plan(
        {
            "N": np.arange(2),
            "P": [Path("a/b")],
            "WHEN": [day, np.datetime64("2025-01-01")],
            "L": [(1, np.float64(2))],
        }
    )
    first = next(iter(points.values()))
    assert (
        first == {"N": 0, "P": str(Path("a/b")), "WHEN": "2024-01-01", "L": [1, 2.0]}
        and len(points) == 4
    )
    assert type(first["N"]) is int and json.loads(json.dumps(points)) == points


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, {1: 2}, float("nan"), 1e999, 2**64, "\ud800", b"bytes", 1j]
)
def test_values_that_json_cannot_hold_are_refused_before_anything_runs(notebook, tmp_path, value):
    for options in (
        {"grid": {"RATIO": [value]}},
        {"grid": {"FOLD": [0]}, "settings": {"RATIO": [value]}},
    ):
        with pytest.raises(ValueError, match="RATIO takes finite numbers, texts") as raised:
            sweeps.sweep(notebook, tmp_path / "sweep", **options, progress=False)
        assert "\n" not in str(raised.value)
    assert not (tmp_path / "sweep").exists()


def test_a_grid_that_is_a_slip_of_the_pen_is_refused_at_once():
    for grid in ({"X": range(10**30)}, {"X": range(1000), "Y": range(1000)}):
        with pytest.raises(ValueError, match="100,000 points at most; X"):
            sweeps.plan(grid)


def test_values_that_would_share_a_folder_are_refused():
    with pytest.raises(ValueError, match="X needs values that differ"):
        sweeps.plan({"X": [5, "5"]})


def test_names_are_fit_for_folders_and_differ():
    assert len(sweeps.name_of({"DATASET": "\u9854" * 300}).encode()) < 150
    names = {
        sweeps.name_of({"DATASET": value})
        for value in ("a/b", "a-b", "a\\b", "../b", "x" * 500, "x" * 501, "ä b")
    }
    assert len(names) == 7 and all(
        "/" not in name and "\\" not in name and len(name) < 150 for name in names
    )


@pytest.mark.slow
def test_every_point_runs_once_and_the_table_has_them_all(notebook, tmp_path):
    grid = {"RATIO": [0, 0.5], "FOLD": [0, 1]}
    table = sweeps.sweep(
        notebook,
        tmp_path / "sweep",
        grid=grid,
        settings={"SECONDS": 0.1},
        workers=2,
        progress=False,
    )
    assert list(table.point) == list(sweeps.plan(grid)) and set(table.status) == {"ok"}
    assert (
        list(table.twice) == [0, 0, 1, 1]
        and list(table["deep.fold"]) == [0, 1, 0, 1]
        and "list" not in table
    )
    assert (
        set(table.SECONDS) == {0.1}
        and set(table.shared) == {"shared"}
        and (table.seconds > 0).all()
    )
    assert sorted(runs(notebook)) == ["0 0", "0 1", "0.5 0", "0.5 1"]
    stored = pd.read_parquet(tmp_path / "sweep" / "results.parquet")
    assert (
        list(stored.twice)
        == list(pd.read_csv(tmp_path / "sweep" / "results.csv").twice)
        == list(table.twice)
    )
    executed = nbformat.read(tmp_path / "sweep" / "RATIO=0.5,FOLD=1" / "notebook.ipynb", 4)
    assert any("injected-parameters" in cell.metadata.get("tags", []) for cell in executed.cells)
    larger = {"RATIO": [0, 0.5, 1], "FOLD": [0, 1]}  # a grid may grow
    assert (
        len(
            sweeps.sweep(
                notebook, tmp_path / "sweep", grid=larger, settings={"SECONDS": 0.1}, progress=False
            )
        )
        == 6
    )
    assert len(runs(notebook)) == 6


@pytest.fixture
def finished(notebook, tmp_path):
    """A sweep over two folds that is done, as `run_point` leaves it: its folder, its grid, and the first point's folder."""
    grid, folder = {"FOLD": [0, 1]}, tmp_path / "sweep"
    note = {
        "status": "ok",
        "started": "2026-01-01T00:00:00+00:00",
        "host": "here",
        "notebook": "tiny.ipynb",
        "safbage": "0.1.0",
    }
    for name, point in sweeps.plan(grid).items():
        (folder / name).mkdir(parents=True)
        (folder / name / "point.json").write_text(
            json.dumps(note | {"parameters": point, "seconds": 1.5})
        )
        (folder / name / "metrics.json").write_text('{"twice": 1}')
    return folder, grid, folder / "FOLD=0"


ODD = {
    "metrics.json holds a list": ("metrics.json", "[1, 2]"),
    "metrics.json holds a lone surrogate": ("metrics.json", '{"twice": "\\ud800"}'),
    "metrics.json is cut off": ("metrics.json", '{"twice": '),
    "metrics.json is no text": ("metrics.json", b"\xff\xfe"),
    "metrics.json is a folder": ("metrics.json", None),
    "metrics.json is too deep": ("metrics.json", "[" * 100_000),
    "metrics.json has an integer too large": ("metrics.json", '{"twice": 1' + "0" * 30 + "}"),
    "metrics.json has a value twice": ("metrics.json", '{"a": {"b": 1}, "a.b": 2}'),
    "point.json is cut off": ("point.json", '{"status": "ok"'),
    "point.json holds a list": ("point.json", "[]"),
    "point.json is a folder": ("point.json", None),
    "point.json lacks seconds": ("point.json", {"seconds": None}),
    "point.json has an unknown status": ("point.json", {"status": "perhaps"}),
    "point.json is another point's": ("point.json", {"parameters": {"FOLD": 1}}),
}


@pytest.mark.parametrize(("name", "content"), ODD.values(), ids=ODD)
def test_an_odd_file_fails_its_own_point_and_no_other(notebook, finished, name, content):
    folder, grid, point = finished
    path = point / name
    if isinstance(content, dict):
        content = json.dumps(json.loads(path.read_text()) | content)
    path.unlink()
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert [status for _, status, _ in sweeps.run(notebook, folder, grid=grid)] == ["failed", "ok"]
    table = sweeps.gather(folder, grid)
    assert (
        list(table.status) == ["failed", "ok"]
        and name in table.error[0]
        and "\n" not in table.error[0]
    )
    assert table.twice[1] == 1 and pd.read_parquet(folder / "results.parquet").status.tolist() == [
        "failed",
        "ok",
    ]
    done = CliRunner().invoke(
        app, ["sweep", str(notebook), "--output", str(folder), "--grid", "FOLD=0,1"]
    )
    assert done.exit_code == 1 and f"failed: FOLD=0: {name}" in done.output


def test_a_point_that_an_odd_file_failed_runs_again_when_asked(notebook, finished):
    folder, _, point = finished
    (point / "point.json").unlink()
    (point / "point.json").mkdir()
    table = sweeps.sweep(notebook, folder, grid={"FOLD": [0]}, retry_failed=True, progress=False)
    assert list(table.status) == ["ok"] and runs(notebook) == ["0.3 0"]


def test_metrics_and_parameters_do_not_take_the_tables_own_names(finished):
    folder, grid, point = finished
    metrics = {
        "status": "x",
        "error": "y",
        "seconds": "z",
        "FOLD": 7,
        "metrics": {"host": 1},
        "host": 2,
        "twice": 3,
    }
    (point / "metrics.json").write_text(json.dumps(metrics))
    note = json.loads((point / "point.json").read_text())
    (point / "point.json").write_text(
        json.dumps(note | {"parameters": {"FOLD": 0, "seconds": 9, "shape": [1, "a"]}})
    )
    row = sweeps.gather(folder, grid).iloc[0]
    assert (row.status, row.error, row.seconds, row.FOLD, row.host, row.twice) == (
        "ok",
        None,
        1.5,
        0,
        "here",
        3,
    )
    assert (row["metrics.status"], row["metrics.error"], row["metrics.FOLD"]) == ("x", "y", 7)
    assert (
        row["parameters.seconds"] == 9
        and row["metrics.seconds"] == "z"
        and row["shape"] == '[1, "a"]'
    )
    assert {row["metrics.host"], row["metrics.metrics.host"]} == {1, 2}


def test_two_sweeps_do_not_share_a_folder(notebook, finished):
    folder, grid, point = finished
    with locked(folder):
        with pytest.raises(WorkError, match=f"being written by process {os.getpid()}"):
            next(sweeps.run(notebook, folder, grid=grid))
        (point / "point.json").unlink()  # of one that runs
        (point / "metrics.json").write_text('{"tw')
        assert list(sweeps.gather(folder, grid).status) == ["missing", "ok"]
    first = sweeps.run(notebook, folder, grid={"FOLD": [1]})
    next(first)
    with pytest.raises(WorkError, match="being written"):
        next(sweeps.run(notebook, folder, grid={"FOLD": [1]}))
    first.close()
    assert len(list(sweeps.run(notebook, folder, grid={"FOLD": [1]}))) == 1


def foreign_kernel(folder):
    """A Jupyter path whose kernel "python3" is another program."""
    (folder / "kernels" / "python3").mkdir(parents=True)
    spec = {
        "argv": ["false", "{connection_file}"],
        "display_name": "Python 3",
        "language": "python",
    }
    (folder / "kernels" / "python3" / "kernel.json").write_text(json.dumps(spec))
    return str(folder)


def test_points_find_what_the_caller_finds_and_run_in_this_python(notebook, tmp_path, monkeypatch):
    (tmp_path / "here" / "data").mkdir(parents=True)
    (tmp_path / "here" / "portrait.jpg").write_bytes(b"a photo")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("SAFBAGE_DATA", "data")
    monkeypatch.setenv("JUPYTER_PATH", foreign_kernel(tmp_path / "jupyter"))
    content = nbformat.read(notebook, 4)
    content.cells[0].source += '\nPHOTO = ""'
    found = {
        "photo": "Path(PHOTO).read_text()",
        "data": 'Path(os.environ["SAFBAGE_DATA"]).is_dir()',
        "python": "sys.executable",
    }
    seen = ", ".join(f'"{name}": {code}' for name, code in found.items())
    content.cells[
        2
    ].source = f'import sys\n(folder / "metrics.json").write_text(json.dumps({{{seen}}}))'
    nbformat.write(content, notebook)
    table = sweeps.sweep(
        "../tiny.ipynb", "swept {x}", grid={"PHOTO": [Path("portrait.jpg")]}, progress=False
    )
    assert (
        table.error[0] is None
        and table.photo[0] == "a photo"
        and table.data[0]
        and table.python[0] == sys.executable
    )
    assert sorted(path.name for path in Path().iterdir()) == ["data", "portrait.jpg", "swept {x}"]


MODULES = "multiprocessing IPython ipykernel ipykernel_launcher papermill safbage numpy json random ipython_config jupyter_config"
MODULES += " jupyter_nbconvert_config jupyter_server_config sitecustomize usercustomize pip"


@pytest.fixture
def traps(tmp_path):
    """A working directory full of files that leave a mark when they are executed; the marks."""
    folder, marks = tmp_path / "traps", tmp_path / "marks"
    (folder / "lab").mkdir(parents=True)
    marks.mkdir()
    for name in MODULES.split():
        trap = f"open({str(marks / name)!r}, 'w').close()\n"
        (folder / f"{name}.py").write_text(trap)
        if name in ("multiprocessing", "IPython", "safbage"):
            (folder / name).mkdir()
            (folder / name / "__init__.py").write_text(trap)
            (folder / f"{name}.py").unlink()
    template = "{% set _ = namespace.__init__.__globals__.__builtins__.open(MARK, 'w') %}".replace(
        "MARK", repr(str(marks / "lab"))
    )
    for name in ("index.html.j2", "base.html.j2"):
        (folder / "lab" / name).write_text(template)
    (folder / "lab" / "conf.json").write_text(
        '{"base_template": "base", "preprocessors": {"1": {"type": "numpy.Trap", "enabled": true}}}'
    )
    return folder, marks


def slow(words):
    return pytest.param(words, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    "words",
    [
        slow(
            "prepare synthetic OUT --limit 2 --shard-size 1 --detect none --saliency light --workers 2"
        ),
        "sweep NOTEBOOK --output OUT --grid FOLD=0,1 --workers 2",
        slow("demo --output OUT --notebook NOTEBOOK"),
    ],
    ids=lambda words: words.split()[0],
)
def test_nothing_in_the_working_directory_is_executed(traps, notebook, tmp_path, words):
    folder, marks = traps
    words = [
        {"OUT": str(tmp_path / "out"), "NOTEBOOK": str(notebook)}.get(word, word)
        for word in words.split()
    ]
    line = [Path(sys.executable).with_name("safbage"), *words]
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"
    } | {"SAFBAGE_SHARED": "shared"}
    done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True)
    assert sorted(path.name for path in marks.iterdir()) == []
    assert done.returncode == 0, done.stderr


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
        sweeps.sweep(
            tmp_path / "gone.ipynb", tmp_path / "sweep", grid={"RATIO": [1]}, progress=False
        )
    assert not runs(notebook) and not (tmp_path / "sweep").exists()


def test_a_failed_point_tells_cell_and_error_and_the_rest_go_on(notebook, tmp_path):
    options = dict(grid={"RATIO": [0, 0.5, 1]}, settings={"BAD": 0.5}, progress=False)
    table = sweeps.sweep(notebook, tmp_path / "sweep", **options)
    assert list(table.status) == ["ok", "failed", "ok"]
    assert (
        table.error[1] == "RuntimeError: this ratio was to fail" and table.cell[1] == 3
    )  # the injected cell is the second
    sweeps.sweep(notebook, tmp_path / "sweep", **options)
    assert len(runs(notebook)) == 3  # not again unless asked
    sweeps.sweep(notebook, tmp_path / "sweep", **options, retry_failed=True)
    assert runs(notebook).count("0.5 0") == 2 and len(runs(notebook)) == 4


def test_another_notebook_or_other_settings_need_another_folder(notebook, tmp_path):
    sweeps.sweep(notebook, tmp_path / "sweep", grid={"RATIO": [1]}, progress=False)
    with pytest.raises(WorkError, match="settings"):
        sweeps.sweep(
            notebook, tmp_path / "sweep", grid={"RATIO": [1]}, settings={"FOLD": 1}, progress=False
        )
    text = notebook.read_text()
    notebook.write_text(text.replace("twice", "thrice"))
    with pytest.raises(WorkError, match="notebook"):
        sweeps.sweep(notebook, tmp_path / "sweep", grid={"RATIO": [1]}, progress=False)


GRID = ["--grid", "RATIO=0,0.3,0.5,0.9", "--grid", "FOLD=0..1", "--set", "SECONDS=0.5"]


def test_killed_and_resumed_a_sweep_of_eight_has_eight_rows_and_none_run_twice(notebook, tmp_path):
    command = [
        sys.executable,
        "-m",
        "safbage.cli",
        "sweep",
        str(notebook),
        "--output",
        str(tmp_path / "sweep"),
        *GRID,
    ]
    command += ["--set", "BAD=0.5", "--workers", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while len(list((tmp_path / "sweep").glob("*/point.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    time.sleep(3)  # kernels end with their parents
    before = {
        path.parent.name: path.stat().st_mtime_ns
        for path in (tmp_path / "sweep").glob("*/point.json")
    }
    assert 3 <= len(before) < 8
    done = subprocess.run(command, capture_output=True, text=True)
    assert (
        done.returncode == 1 and "failed: RATIO=0.5,FOLD=0 in cell 3: RuntimeError" in done.stderr
    ), done.stderr
    table = pd.read_csv(tmp_path / "sweep" / "results.csv")
    assert (
        len(table) == 8
        and (table.status == "failed").sum() == 1
        and (table.status == "ok").sum() == 7
    )
    for name, written in before.items():  # what was finished was not run again
        assert (tmp_path / "sweep" / name / "point.json").stat().st_mtime_ns == written
    in_flight = len(runs(notebook)) - 8
    assert 0 <= in_flight <= 2


@pytest.mark.slow
def test_a_dask_cluster_runs_the_points_though_a_worker_is_killed(notebook, tmp_path):
    distributed = pytest.importorskip("dask.distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
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
    table = sweeps.gather(
        tmp_path / "sweep", {"RATIO": [0, 0.1, 0.3, 0.5, 0.7, 0.9], "FOLD": [0, 1]}
    )
    assert (
        len(table) == 12
        and (table.status == "ok").sum() == 11
        and (table.status == "failed").sum() == 1
    )
    assert len(runs(notebook)) <= 13  # the killed worker's point ran again


@pytest.fixture
def safbage():
    return lambda *words: CliRunner().invoke(app, ["sweep", *map(str, words)])


def test_the_command_reads_lists_ranges_and_a_file(notebook, tmp_path, safbage):
    (tmp_path / "grid.yaml").write_text("set: {SECONDS: 0}\ngrid: {RATIO: [0, 0.5], FOLD: 0..1}")
    done = safbage(
        notebook,
        "--output",
        tmp_path / "sweep",
        "--from",
        tmp_path / "grid.yaml",
        "--grid",
        "BAD=-1",
    )
    assert done.exit_code == 0, done.output
    table = pd.read_csv(tmp_path / "sweep" / "results.csv")
    assert len(table) == 4 and set(table.FOLD) == {0, 1} and set(table.BAD) == {-1}
    note = json.loads((tmp_path / "sweep" / "RATIO=0,FOLD=0,BAD=-1" / "point.json").read_text())
    assert note["parameters"] == {"SECONDS": 0, "RATIO": 0, "FOLD": 0, "BAD": -1}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1e-3,1e-4", [0.001, 0.0001]),
        ("5,-3,.5,+2,1.", [5, -3, 0.5, 2, 1.0]),
        ("0..3", [0, 1, 2, 3]),
        ("True,False,None", [True, False, None]),
        ("true,no,yes,on,null,~", ["true", "no", "yes", "on", "null", "~"]),
        ("007,0x10,1_000,00.5", ["007", "0x10", "1_000", "00.5"]),
        ("2024-01-01,12:30,1:2:3", ["2024-01-01", "12:30", "1:2:3"]),
        ("*.jpg", ["*.jpg"]),
        ("@x,&a,!b,%c,#d", ["@x", "&a", "!b", "%c", "#d"]),
        ("a: b: c", ["a: b: c"]),
        ("[1,2],[3,4]", [[1, 2], [3, 4]]),
        ("", [""]),
    ],
)
def test_values_are_read_as_papermill_reads_them(text, values):
    found = list(command.values_of(text))
    assert found == values and [type(value) for value in found] == [type(value) for value in values]


@pytest.mark.parametrize("text", ["[1,2", "[a,b]", "{x: 1}", "[1].jpg"])
def test_what_looks_like_a_list_and_is_none_is_told_in_one_line(text):
    for read in (command.value_of, command.values_of):
        with pytest.raises(ValueError, match="not a list or mapping") as raised:
            read(text)
        assert "\n" not in str(raised.value)


def test_a_file_means_what_the_command_line_means(tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_text(
        "set: {A: 2024-01-01, B: 12:30, C: 007, D: no, E: 1e-3, F: '5', G: true, H: True, I: null, J: [1, a], K: 0o17, L: .inf}\n"
        "grid: {M: '0..2', N: 1..2, O: a, P: [yes, 1e-4], Q: false}"
    )
    settings, grid = command.read_file(path)
    assert list(settings.values()) == [
        "2024-01-01",
        "12:30",
        "007",
        "no",
        0.001,
        "5",
        True,
        True,
        None,
        [1, "a"],
        "0o17",
        ".inf",
    ]
    assert {name: list(values) for name, values in grid.items()} == {
        "M": [0, 1, 2],
        "N": [1, 2],
        "O": ["a"],
        "P": ["yes", 0.0001],
        "Q": [False],
    }


def test_what_a_point_is_told_arrives(notebook, tmp_path, safbage):
    told = {
        "RATE": "1e-3",
        "WHEN": "2024-01-01",
        "PHOTO": "*.jpg",
        "NUMBER": "007",
        "NO": "no",
        "FLAG": "True",
        "LIST": "[1,2]",
    }
    content = nbformat.read(notebook, 4)
    content.cells[0].source += "\n" + "\n".join(f"{name} = None" for name in told)
    seen = ", ".join(f"{name}={name}" for name in told)
    content.cells[
        2
    ].source = f'(folder / "metrics.json").write_text(json.dumps({{"seen": repr(dict({seen}))}}))'
    nbformat.write(content, notebook)
    words = [word for name, value in told.items() for word in ("--set", f"{name}={value}")]
    done = safbage(notebook, "--output", tmp_path / "sweep", *words, "--grid", "RATIO=1e-1")
    assert done.exit_code == 0, done.output
    (row,) = pd.read_csv(tmp_path / "sweep" / "results.csv").to_dict("records")
    expected = {
        "RATE": 0.001,
        "WHEN": "2024-01-01",
        "PHOTO": "*.jpg",
        "NUMBER": "007",
        "NO": "no",
        "FLAG": True,
        "LIST": [1, 2],
    }
    assert row["seen"] == repr(expected) and row["RATIO"] == 0.1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--grid", "RATIO"], "expected NAME=VALUE"),
        (["--grid", "FOLD=0..99999999"], "100,000 points at most"),
        (["--grid", "RATIO=nan"], "RATIO takes finite numbers"),
        (["--grid", "RATIO=1", "--scheduler", ""], "not a scheduler's address"),
        (["--grid", "RATI=1"], "no parameter RATI"),
        (["--set", "1=2"], "expected NAME=VALUE"),
        (["--grid", "RATIO=1", "--workers", "0"], "greater than or equal to 1"),
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
