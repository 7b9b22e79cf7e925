"""``safbage predict`` in this process, with a stand-in for the networks: what it shows, what it writes, what it refuses."""

import csv
import io
import json
import os
import sys
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup
from test_cli_base import Stream
from tqdm import tqdm
from typer.testing import CliRunner

from safbage import SafBage
from safbage.cli import answered, base
from safbage.cli import predict as command
from safbage.errors import WorkError
from safbage.pipeline.explanation import columns
from safbage.show.album import Album
from safbage.tasks import LANDMARK_COLUMNS

MARK = "figures/.made-by-safbage"
OURS = ",".join(columns(("age",))) + "\nold row\n"


class Network:
    """Stands for `SafBage`: a photo named broken fails, one named crowd has a face of 40 px and three of 12, others one of 40."""

    def __init__(self):
        self.asked, self.between, self.tasks = None, lambda: None, ("age",)
        self.years = {"age_years": 30.0, "age_low": 24.0, "age_high": 37.0}

    def explain_batches(self, photos, **options):
        self.asked = options | {"photos": [photo.content.name for photo in photos]}
        for path in (photo.content for photo in photos):
            status = "failed: broken" if "broken" in path.name else "ok"
            sizes = [40, 12, 12, 12] if "crowd" in path.name else [40] * (status == "ok")
            faces = [
                {"photo": str(path), "face": i, "status": status}
                | {f"box_{side}": float(size) for side in ("left", "top", "width", "height")}
                | {
                    "score": 0.9,
                    "quality": "" if size == 40 else "small: 12 px",
                    "age": "25-32",
                    "age_p": 0.5,
                    **self.years,
                }
                for i, size in enumerate(sizes)
            ]
            rows = faces or [{"photo": str(path), "face": None, "status": status}]
            yield [
                SimpleNamespace(
                    photo=str(path),
                    status=status,
                    faces=faces,
                    image=None,
                    crops=(),
                    moment=None,
                    rows=lambda rows=rows, **options: rows,
                )
            ]
            self.between()


@pytest.fixture
def network(monkeypatch):
    network = Network()
    monkeypatch.setattr(SafBage, "load", lambda **options: network)
    monkeypatch.setattr(answered, "save_figure", lambda seen, path: path.write_bytes(b"figure"))
    return network


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg", "broken.jpg"):
        (folder / name).touch()
    return folder


def predict(*arguments):
    return CliRunner().invoke(base.app, ["predict", *map(str, arguments), "--tasks", "age"])


def test_a_precision_is_handed_on_and_no_folder_mixes_two(network, photos, tmp_path, monkeypatch):
    def stop():
        raise KeyboardInterrupt

    seen, network.between = [], stop
    monkeypatch.setattr(SafBage, "load", lambda **options: seen.append(options) or network)
    words = (photos, "--output", tmp_path / "out")
    for options, goes_on in (((), False), (("--precision", "int8"), False), ((), False)):
        done = predict(*words, *options)
        assert done.exit_code == 130 and ("going on after" in done.stderr) == goes_on
    assert "going on after" in predict(*words, "--precision", "auto").stderr
    assert [options.get("precision") for options in seen] == [None, "int8", None, None]
    assert predict(photos, "--precision", "int3").exit_code == 2


@pytest.mark.parametrize(
    "made",
    [
        {"faces.csv": "name,born\nmine,1990\n"},
        {"faces.csv": "name,born\nmine,1990\n", MARK: ""},
        {"faces.csv": OURS},  # ours by its header, but nothing of ours lies beside it
        {"faces.csv": "", MARK: ""},
        {"faces.csv/mine.txt": "a folder", MARK: ""},
        {"figures/a.png": "mine"},
        {"page/a.jpg": "mine"},
        {"index.html": "<!doctype html>\n<title>My holidays</title>"},
    ],
)
def test_what_is_not_its_own_is_refused_before_any_work(photos, tmp_path, monkeypatch, made):
    output = tmp_path / "out"
    for name, text in made.items():
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        (output / name).write_text(text)
    monkeypatch.setattr(SafBage, "load", lambda **options: pytest.fail("it went to work"))
    done = predict(photos, "--output", output)
    assert (
        done.exit_code in (1, 2) and "Traceback" not in done.output and str(output) in done.stderr
    )
    assert {
        str(p.relative_to(output)): p.read_text() for p in output.rglob("*") if p.is_file()
    } == made


def test_its_own_table_is_written_anew(network, photos, tmp_path):
    for _ in range(2):
        done = predict(photos, "--output", tmp_path / "out")
        assert done.exit_code == 0, done.output
        rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "faces.csv").read_text())))
        assert [row["status"] for row in rows] == ["ok", "ok", "failed: broken"]


def test_a_run_that_was_stopped_goes_on_with_the_others(network, photos, tmp_path):
    stops = iter([False, True])

    def stop():
        if next(stops):
            raise KeyboardInterrupt

    network.between = stop
    done = predict(photos, "--output", tmp_path / "out")
    assert done.exit_code == 130 and "the same command goes on with the others" in done.stderr
    network.between = lambda: None
    done = predict(photos, "--output", tmp_path / "out", "--json")
    assert done.exit_code == 0 and network.asked["photos"] == ["broken.jpg"]
    rows = json.loads(done.stdout)
    assert [row["status"] for row in rows] == ["ok", "ok", "failed: broken"]
    assert (rows[0]["face"], rows[0]["score"], rows[0]["quality"]) == (0, 0.9, "")
    (photos / "a.jpg").write_bytes(b"changed")
    assert predict(photos, "--output", tmp_path / "out").exit_code == 0
    assert network.asked["photos"] == ["a.jpg", "b.jpg", "broken.jpg"]


def test_of_two_that_write_one_folder_the_second_is_refused(network, photos, tmp_path):
    output = tmp_path / "out"
    seconds = []
    network.between = lambda: (
        seconds.append(predict(photos, "--output", output)) if not seconds else None
    )
    first = predict(photos, "--output", output)
    (second,) = seconds
    assert (first.exit_code, second.exit_code) == (0, 1)
    assert f"is being written by process {os.getpid()}" in second.stderr
    assert len((output / "faces.csv").read_text().splitlines()) == 4
    assert predict(photos, "--output", output).exit_code == 0


def test_a_page_to_browse_lies_beside_the_table(network, photos, tmp_path):
    output = tmp_path / "out"
    for _ in range(2):
        assert predict(photos, "--output", output).exit_code == 0
        page = BeautifulSoup((output / "index.html").read_text(encoding="utf-8"), "html.parser")
        shown = [(card.h2.bdi.text, card.a["href"]) for card in page.find_all("article")]
        assert shown == [(f"{name}.jpg", f"figures/{name}.png") for name in "ab"]
        assert page.find(id="failed").b.text == "broken.jpg" and "30 %" in page.header.text


def test_the_page_is_there_after_ctrl_c_and_a_photo_that_spoils_it_does_not_cost_the_others(
    network, photos, tmp_path, monkeypatch
):
    real, added = Album.add, []

    def add(self, seen, rows, **options):
        added.append(seen.photo)
        if len(added) == 1:
            raise OSError("no space left")
        real(self, seen, rows, **options)

    def stop():
        if len(added) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Album, "add", add)
    network.between = stop
    done = predict(photos, "--output", tmp_path / "out")
    assert done.exit_code == 130 and "a.jpg: not on the page (no space left)" in done.stderr
    page = BeautifulSoup((tmp_path / "out" / "index.html").read_text(), "html.parser")
    assert [card.h2.bdi.text for card in page.find_all("article")] == ["b.jpg"]
    assert len((tmp_path / "out" / "faces.csv").read_text().splitlines()) == 3


def test_a_run_that_goes_on_leaves_the_page_of_all(network, photos, tmp_path):
    calls = []

    def stop():
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt

    network.between = stop
    for code in (130, 0):
        done = predict(photos, "--output", tmp_path / "out", "--jsonl")
        assert done.exit_code == code, done.output
    page = BeautifulSoup((tmp_path / "out" / "index.html").read_text(), "html.parser")
    assert [card.h2.bdi.text for card in page.find_all("article")] == ["a.jpg", "b.jpg"]
    assert page.find(id="failed").b.text == "broken.jpg"
    assert len((tmp_path / "out" / "faces.jsonl").read_text().splitlines()) == 3


def test_a_page_that_cannot_be_written_costs_no_answers(network, photos, tmp_path, monkeypatch):
    def write(*arguments):
        raise WorkError("index.html cannot be written")

    monkeypatch.setattr(Album, "write", write)
    done = predict(photos, "--output", tmp_path / "out")
    assert done.exit_code == 0 and "no page (index.html cannot" in done.stderr
    assert len(list(csv.DictReader(io.StringIO(done.stdout)))) == 3


def test_the_table_as_json_lines(network, photos, tmp_path):
    assert predict(photos, "--jsonl").exit_code == 2
    for _ in range(2):
        done = predict(photos, "--output", tmp_path / "out", "--jsonl", "--json")
        lines = (tmp_path / "out" / "faces.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line) for line in lines] == json.loads(done.stdout)


def test_landmarks_and_alignment_are_passed_on(network, photos):
    done = predict(photos, "--landmarks", "--align")
    (header, *_) = done.stdout.splitlines()
    assert network.asked["align"] and header.split(",")[9:22] == list(LANDMARK_COLUMNS)
    assert "nose_x" not in predict(photos).stdout and not network.asked["align"]


def test_an_output_among_the_photos_is_not_answered(network, photos):
    for _ in range(2):
        assert predict(photos, "--output", photos, "--crops", "--jsonl").exit_code == 0
        assert network.asked["photos"] == ["a.jpg", "b.jpg", "broken.jpg"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_a_loop_of_links_costs_only_its_own_answers(network, photos, tmp_path):
    (photos / "x.jpg").symlink_to("y.jpg")
    (photos / "y.jpg").symlink_to("x.jpg")
    (tmp_path / "loop").symlink_to("loop")
    done = predict(photos, "--output", tmp_path / "out")
    assert done.exit_code == 0, done.exception
    assert network.asked["photos"] == ["a.jpg", "b.jpg", "broken.jpg", "x.jpg", "y.jpg"]
    done = predict(photos, "--output", tmp_path / "loop")
    assert done.exit_code == 1 and done.stderr.count("\n") == 2, done.output


def test_answers_are_on_disk_as_soon_as_they_are_known(network, photos, tmp_path):
    lines = []
    network.between = lambda: lines.append(
        len((tmp_path / "out" / "faces.csv").read_text().splitlines())
    )
    predict(photos, "--output", tmp_path / "out")
    assert lines == [2, 3, 4]


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_a_bar_on_a_terminal_and_lines_elsewhere(
    network, photos, monkeypatch, terminal
):
    monkeypatch.setattr(command, "SECONDS_BETWEEN_LINES", -1)
    monkeypatch.setattr(sys, "stderr", Stream("utf-8", terminal=terminal))
    monkeypatch.setattr(sys, "stdout", Stream("utf-8"))
    with pytest.raises(SystemExit):
        base.app(["predict", str(photos)])
    lines = sys.stderr.text().splitlines()
    assert lines[0] == "Starting …" and lines[-1] == f"{photos / 'broken.jpg'}: failed: broken"
    told = [line for line in lines if " of 3 photos" in line]
    if terminal:
        assert network.asked["progress"] is None and not told
    else:
        assert network.asked["progress"] is False
        assert told == ["1 of 3 photos, 1 faces, 0 failed", "2 of 3 photos, 2 faces, 0 failed"]


def test_a_message_stands_above_a_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Stream("utf-8", terminal=True))
    with tqdm(total=2, ncols=40, desc="photos") as bar:
        base.say("b.jpg: failed")
        bar.update()
    shown = sys.stderr.text().split("\r")
    assert "b.jpg: failed\n" in shown  # at the start of a line, and the bar begins another
    assert shown[shown.index("b.jpg: failed\n") + 1].startswith("photos:")


def test_small_faces_are_told_and_can_be_left_out(network, tmp_path):
    (tmp_path / "crowd.jpg").touch()
    done = predict(tmp_path, "--json")
    assert [row["quality"] for row in json.loads(done.stdout)] == ["", *["small: 12 px"] * 3]
    assert "3 of 4 faces are smaller than 20 px" in done.stderr and "--min-face 20" in done.stderr
    assert (network.asked["min_face"], network.asked["max_faces"]) == (0, None)
    predict(tmp_path, "--min-face", 20, "--max-faces", 2)
    assert (network.asked["min_face"], network.asked["max_faces"]) == (20, 2)
    (tmp_path / "crowd.jpg").rename(tmp_path / "a.jpg")
    assert "smaller" not in predict(tmp_path).stderr


def test_the_table_on_a_terminal_shows_quality_where_there_is_any(network, tmp_path, monkeypatch):
    for name, shown in (("crowd.jpg", True), ("a.jpg", False)):
        (tmp_path / name).touch()
        monkeypatch.setattr(sys, "stdout", Stream("utf-8", terminal=True))
        with pytest.raises(SystemExit):
            base.app(["predict", str(tmp_path / name), "--tasks", "age"])
        assert ("quality" in sys.stdout.text()) == ("small: 12 px" in sys.stdout.text()) == shown


def test_an_age_in_years_is_one_cell_on_a_terminal_and_three_columns_elsewhere(
    network, photos, monkeypatch
):
    (row, *_) = json.loads(predict(photos, "--json").stdout)
    assert list(row)[-5:] == ["age", "age_p", "age_years", "age_low", "age_high"]
    assert (row["age_years"], row["age_low"], row["age_high"]) == (30, 24, 37)
    (row, *_) = csv.DictReader(io.StringIO(predict(photos).stdout))
    assert (row["age_years"], row["age_low"], row["age_high"]) == ("30.0", "24.0", "37.0")
    monkeypatch.setattr(sys, "stdout", Stream("utf-8", terminal=True))
    with pytest.raises(SystemExit):
        base.app(["predict", str(photos / "a.jpg"), "--tasks", "age"])
    assert "30 (24–37)" in sys.stdout.text() and "age_low" not in sys.stdout.text()


@pytest.mark.parametrize("options", [("--network", "alexnet-gap"), ("--tasks", "gender")])
def test_there_are_no_columns_of_years_where_age_has_groups_alone_or_is_not_asked(
    network, photos, options
):
    network.years = {}
    tasks = () if "--tasks" in options else ("--tasks", "age")
    done = CliRunner().invoke(base.app, ["predict", str(photos / "broken.jpg"), *tasks, *options])
    assert done.exit_code == 1 and "status" in done.stdout and "age_years" not in done.stdout


def test_a_locked_folder_holds_no_file_under_a_name_of_the_users(photos, network):
    (photos / "lock").write_text("mine")
    assert predict(photos, "--output", photos).exit_code == 0
    assert (photos / "lock").read_text() == "mine"
    assert not [path.name for path in photos.iterdir() if path.name.startswith("lock.")]
