"""What all commands share: the list of them, their streams, how they end."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from conftest import REPOSITORY
from typer.main import get_command
from typer.testing import CliRunner

from safbage import __version__, cli, images
from safbage.cli import base
from safbage.pipeline import deployed


class Stream(io.TextIOWrapper):
    """A standard stream of some encoding, of a file or of a terminal; `text()` is what arrived, read as UTF-8."""

    def __init__(self, encoding, terminal=False):
        super().__init__(io.BytesIO(), encoding)
        self.terminal = terminal

    def isatty(self):
        return self.terminal

    def text(self):
        self.flush()
        return self.buffer.getvalue().decode()


@pytest.fixture
def call(monkeypatch):
    """Call the command in this process with streams of an encoding; gives exit status, stdout, stderr."""

    def call(*arguments, encoding="utf-8"):
        streams = {name: Stream(encoding) for name in ("stdout", "stderr")}
        for name, stream in streams.items():
            monkeypatch.setattr(sys, name, stream)
        monkeypatch.setattr(sys, "argv", ["safbage", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, streams["stdout"].text(), streams["stderr"].text()

    return call


@pytest.mark.parametrize("columns", [80, 120])
def test_the_help_lists_every_command_once_under_a_heading_and_cuts_nothing(monkeypatch, columns):
    listed = [name for names in base.SECTIONS.values() for name in names]
    assert sorted(listed) == sorted(get_command(base.app).commands)
    monkeypatch.setenv("COLUMNS", str(columns))
    for arguments in (["--help"], ["data", "--help"]):
        lines = CliRunner().invoke(base.app, arguments).output.splitlines()[1:]
        assert not [line for line in lines if line.endswith("...") or len(line) > columns]
    text = CliRunner().invoke(base.app, ["--help"]).output
    headings = [line[:-1] for line in text.splitlines() if line.endswith(":") and line[0] != " "]
    assert headings == ["Options", *base.SECTIONS]


def test_the_precisions_offered_are_those_that_there_are():
    assert tuple(base.Computing) == ("auto", *deployed.PRECISIONS)


def test_the_version():
    done = CliRunner().invoke(base.app, ["--version"])
    assert (done.exit_code, done.output) == (0, f"safbage {__version__}\n")


@pytest.mark.parametrize("command", [["predict", "x.jpg"], ["export", "onnx", "x"]])
@pytest.mark.parametrize("tasks", ["mood", "", "age;gender"])
def test_tasks_are_explained_as_they_are_written(command, tasks):
    done = CliRunner().invoke(base.app, [*command, "--tasks", tasks])
    assert done.exit_code == 2 and "Traceback" not in done.output
    assert done.stderr.endswith(
        f"safbage: --tasks takes some of age, gender, expression, separated by commas; got {tasks!r}\n"
    )


@pytest.mark.parametrize(
    "raised, code, told",
    [
        (ValueError("no such fold"), 2, "safbage: no such fold\n"),
        (KeyboardInterrupt(), 130, "stopped; the same command goes on in out\n"),
    ],
)
def test_what_is_stopped_says_how_it_goes_on(capsys, raised, code, told):
    with pytest.raises(typer.Exit) as ended, base.stoppable("in out"):
        raise raised
    assert (ended.value.exit_code, capsys.readouterr().err) == (code, told)


def test_only_the_named_errors_are_those_of_wrong_arguments(capsys):
    with pytest.raises(typer.Exit) as ended, base.wrong_arguments(FileExistsError, KeyError):
        raise FileExistsError("it is there")
    assert ended.value.exit_code == 2 and capsys.readouterr().err == "safbage: it is there\n"
    with pytest.raises(ValueError, match="as it is"), base.wrong_arguments(KeyError):
        raise ValueError("as it is")


def test_explore_names_the_extra_that_it_lacks(monkeypatch):
    monkeypatch.setitem(sys.modules, "voila.app", None)
    monkeypatch.delitem(sys.modules, "safbage.cli.page", raising=False)
    monkeypatch.setenv("JUPYTER_PATH", "")  # the command adds to it
    done = CliRunner().invoke(base.app, ["explore", "--no-browser"])
    assert (
        done.exit_code == 1
        and 'explore and live need Voilà: install the extra "page" (in a clone: pip install -e ".[page]")'
        in done.stderr
    )


PRINTING = {
    "predict {photo}": 1,  # broken: its row and the message name it
    "predict {photo} --json": 1,
    "export saved-model {folder} --saliency light": 2,  # it exists
    "explore {photo}": 1,
    "demo --no-notebook --output {folder}/new": 0,
    "course --output {folder}/new": 0,
    "sweep {folder}/none.ipynb --output {folder}/sweep": 1,
    "data fetch utkface --to {folder}": 2,
    "data list": 0,
    "data list --data-dir {data} --json": 0,
    "prepare {folder}/none.csv {folder}/new": 1,
    "prepare synthetic {folder}/new --limit 1 --saliency light": 0,
    "train {folder} --task age --work {folder}/new": 1,
    "evaluate {folder} --task age --work {folder}/new": 1,
    "results {report}": 0,
    "results {report} --markdown": 0,
    "results results/gender.json --headline": 0,
    "results {folder}/none.json": 1,
    "reproduce --scale smoke --only {folder}": 2,
    "train-saliency {folder} --work {folder}/new": 2,
    "evaluate-saliency {folder} --model light": 2,
    "live --saliency {folder}/none.h5": 1,
    "evaluate-detection {folder}/none --work {folder}/new": 1,
    "evaluate-retrieval {folder}/data --output {folder}/new": 2,
    "weights --fetch é日": 2,
    "weights --json": 0,
    "weights": 0,
    "doctor": 0,
    "train-saliency --help": 0,
}


def test_every_command_prints_somewhere_above():
    assert {line.split()[0] for line in PRINTING} == set(get_command(base.app).commands)


@pytest.mark.parametrize(
    "line, encoding", [*((line, "cp1252") for line in PRINTING), ("results {report}", "ascii")]
)
def test_every_command_prints_any_text_into_files_of_any_encoding(
    call, tmp_path, line, encoding, monkeypatch
):
    """As on Windows, where a file gets the text in cp1252 by default."""
    folder = tmp_path / "é日"
    (folder / "data" / "UTKFace").mkdir(parents=True)
    (folder / "é日.jpg").write_bytes(b"broken")
    report = json.loads((REPOSITORY / "results" / "gender.json").read_text())
    next(iter(report["arms"].values()))["network"] = "é日"
    (folder / "report.json").write_text(json.dumps(report))
    places = dict(
        folder=folder, photo=folder / "é日.jpg", data=folder / "data", report=folder / "report.json"
    )
    monkeypatch.chdir(REPOSITORY)
    code, stdout, stderr = call(*line.format(**places).split(" "), encoding=encoding)
    assert code == PRINTING[line], stderr
    assert "Traceback" not in stderr
    if "{" in line or "é" in line:
        assert "é日" in "".join((stdout + stderr).split())


def test_a_terminal_keeps_its_encoding_and_shows_the_rest_as_escapes(monkeypatch):
    streams = {name: Stream("ascii", terminal=True) for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    base.set_streams()
    base.say("é [bold] :smile:")
    print("日")
    assert (streams["stderr"].text(), streams["stdout"].text()) == (
        "\\xe9 [bold] :smile:\n",
        "\\u65e5\n",
    )


def test_closed_streams_are_no_error(monkeypatch):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    base.set_streams()
    base.say("nobody reads this")
    base.stdout().print("nor this")


NUL, LONG = "a\0b", "x" * 5000
ABUSED = [
    "results {five}",
    "results {hollow}",
    "results {deep}",
    "results {hollow} --headline",
    "results {binary}",
    "results {folder}",
    f"results {LONG}",
    f"results {NUL}",
    "results {folder}/\udcff",
    "course --output {five}",
    "course --output {five}/below",
    f"course --output {LONG}",
    f"data list --data-dir {LONG}",
    "data fetch {folder}",
    "data fetch fairface --to {five} --config 7",
    f"weights --fetch {LONG}",
    "prepare {folder} {folder}/out",
    "prepare {binary} {folder}/out",
    "prepare {table} {folder}/out",
    "prepare {torn} {folder}/out",
    f"prepare synthetic {LONG} --limit 1",
    "prepare synthetic {five} --limit 1",
    "prepare synthetic {folder}/out --limit 0",
    "prepare synthetic {folder}/out --limit 99999999999999999999",
    "prepare synthetic {folder}/out --limit 1 --workers 0",
    "prepare synthetic {folder}/out --limit 1 --min-face nan",
    "train {folder} --task age --work {folder}/work",
    "train {folder} --task age --work {folder}/work --precision float7",
    f"train {LONG} --task age --work {{folder}}/work",
    "evaluate {folder} --task age --work {folder}/work --folds -1",
    "evaluate {folder} --task age",
    "evaluate {folder} --task age --shipped --output {five}",
    "evaluate {folder} --task age --shipped --output {folder}",
    "reproduce --scale huge",
    "reproduce --scale smoke --output {five}",
    f"reproduce --scale smoke --output {{folder}}/out --dataset {NUL}",
    "train-saliency {folder} --work {folder}/work --size 0 0",
    "train-saliency {folder} --work {folder}/work --fixations {binary}",
    "train-saliency {folder} --work {folder}/work --hold-back 2",
    "evaluate-saliency {folder} --model {folder}",
    "evaluate-saliency {folder} --model {binary}",
    "evaluate-saliency {folder} --model light --output {table}",
    "evaluate-retrieval {folder} --output {folder}/out",
    "evaluate-retrieval {five} --output {folder}/out",
    f"evaluate-retrieval {LONG} --output {{folder}}/out",
    f"evaluate-retrieval {{folder}} --output {NUL}",
    "evaluate-retrieval {folder} --output {folder}/out --ratio nan",
    f"predict {{five}} --output {LONG}",
    "predict {five} --output {five}/below --saliency light",
    "predict {five} --saliency {folder}",
    f"predict {{five}} --saliency {NUL}",
    "predict {five} --ratio nan",
    "predict {five} --min-face -1",
    "predict {five} --max-faces 0",
    "predict {five} --engine tensorrt",
    "predict {five} --precision int3",
    "predict {five} --engine keras --precision int8",
    "export saved-model {five}/below --saliency light",
    f"export saved-model {LONG} --saliency light",
    "export safetensors {folder}/out",
    "explore {folder}",
    "explore {folder}/\udcff.jpg",
    "explore --port many",
    "explore --prepared {folder}",
    "demo --output {five}",
    "demo --output {taken} --no-notebook",
    "reproduce --scale smoke --output {taken}",
    "sweep {folder} --output {folder}/out",
    f"sweep {NUL} --output {{folder}}/out",
]


@pytest.mark.parametrize("line", ABUSED)
def test_abuse_ends_in_a_clear_line(tmp_path, line):
    files = {
        "five": b"5",
        "hollow": b'{"task": "age", "arms": {"x": {}}, "verdict": [], "tests": [{}]}',
        "deep": b"[" * 100_000,
        "binary": bytes(range(256)) * 9,
        "table": b"a,b\n1,2\n",
        "torn": b"PAR1" + bytes(50),
    }
    places = {name: tmp_path / f"{name}.{'parquet' if name == 'torn' else 'csv'}" for name in files}
    for name, content in files.items():
        places[name].write_bytes(content)
    for name in ("folder", "taken"):
        (tmp_path / name).mkdir()
    places |= {name: tmp_path / "taken" / name for name in ("faces.csv", "report.html")}
    for name in ("faces.csv", "report.html"):
        places[name].write_text("mine")
    before = {path: path.read_bytes() for path in places.values()}
    folders = {name: tmp_path / name for name in ("folder", "taken")}
    done = CliRunner().invoke(base.app, line.format(**folders, **places).split(" "))
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code in (1, 2) and "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith(("safbage: ", "Error: Invalid value for ")), done.stderr
    assert {path: path.read_bytes() for path in places.values()} == before


PLANTED = """numpy pandas PIL cv2 keras tensorflow jax torch typer rich click tqdm matplotlib json csv random pip voila papermill
mtcnn nbformat nbconvert yaml dask filelock safbage sitecustomize usercustomize antigravity evil"""
ALL_COMMANDS = """
import sys
from safbage.cli import main
for line in sys.stdin.read().splitlines():
    sys.argv = ["safbage", *line.split()]
    try:
        main()
    except SystemExit:
        pass
    print("ended", line)
"""


@pytest.mark.slow
def test_no_command_executes_what_lies_in_the_working_directory(tmp_path):
    """One process that, as the installed command, has its own folder in front of Python's path, in a folder full of traps."""
    script, traps, marks = tmp_path / "bin" / "safbage", tmp_path / "traps", tmp_path / "marks"
    for folder in (script.parent, traps, marks):
        folder.mkdir()
    for name in PLANTED.split():
        (traps / f"{name}.py").write_text(f"open({str(marks / name)!r}, 'w').close()")
    (traps / "matplotlibrc").write_text("backend: module://evil\ntext.usetex: True\n")
    (traps / "keras.json").write_text('{"backend": "evil"}')
    images.write(traps / "a.jpg", images.astronaut())
    script.write_text(ALL_COMMANDS)
    lines = [
        line.format(folder=traps, photo="a.jpg", data=".", report="five.json")
        for line in PRINTING
        if "é" not in line
    ]
    lines += ["predict a.jpg --output out --crops"]
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "PYTHONSAFEPATH")
    }
    environment["PYTHONPATH"] = str(Path(cli.__file__).parents[2])
    lines = [line for line in lines if not line.startswith("explore")]  # would serve until Ctrl-C
    done = subprocess.run(
        [sys.executable, script],
        cwd=traps,
        env=environment,
        input="\n".join(lines),
        capture_output=True,
        text=True,
    )
    assert [line for line in done.stdout.splitlines() if line.startswith("ended")] == [
        f"ended {line}" for line in lines
    ], done.stderr
    assert [path.name for path in marks.iterdir()] == []
    assert (traps / "new" / "figure.png").is_file(), done.stderr  # the demo's, drawn without LaTeX
