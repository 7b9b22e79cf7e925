"""Sets fetched as plain files: whole or not at all, resumed, and laid out for the readers."""

import hashlib
import io
import re
import tarfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.io
from typer.testing import CliRunner

from safbage import fixations, images
from safbage.cli import app
from safbage.datasets import catalogue
from safbage.datasets.published import portraits, repository
from safbage.errors import FetchError, WeightsError

NAMES = ("1.jpg", "2.jpg", "3.jpg")


class Server(SimpleHTTPRequestHandler):
    """Serves a folder; writes down what it was asked for, and refuses what it is told to."""

    def do_GET(self):
        self.server.asked.append(Path(self.path).name)
        if Path(self.path).name in self.server.refused:
            self.send_error(self.server.status)
        else:
            super().do_GET()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    root = tmp_path / "served"
    root.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=str(root))) as served:
        served.asked, served.refused, served.status, served.root = [], set(), 404, root
        threading.Thread(target=served.serve_forever, daemon=True).start()
        monkeypatch.setattr(repository, "HOST", f"http://127.0.0.1:{served.server_port}")
        yield served
        served.shutdown()


@pytest.fixture
def made(server, monkeypatch):
    """A set of three scenes with two viewers, published on the server at commit c."""
    data = server.root / "o" / "r" / "c" / "data"
    (data / "stimuli").mkdir(parents=True)
    gaze = [{"fix_x": [4.0, 6.5], "fix_y": [5.0, 7.0], "fix_duration": [100, 200]}]
    gaze.append({"fix_x": 9.0, "fix_y": 3.0, "fix_duration": 300})
    face = dict.fromkeys(("isFrontalFace", "isProfileFace", "isBackFace", "isOccluded"), 0)
    face |= {"left": 1.26, "top": 2, "width": 3, "height": 4, "isFrontalFace": 1}
    scenes = [{"img": name, "subjects": gaze} for name in NAMES]
    heads = [{"img": name, "faces": [face]} for name in NAMES]
    scipy.io.savemat(data / "fixations.mat", {"fixations": scenes})
    scipy.io.savemat(data / "labels.mat", {"labels": heads})
    for place, name in enumerate(NAMES):
        images.write(data / "stimuli" / name, np.full((12, 16, 3), 80 * place, "uint8"))
    found = []
    for path in sorted(data.rglob("*.*")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        inside = path.relative_to(data.parent).as_posix()
        found.append(repository.File(digest, path.stat().st_size, inside))
    monkeypatch.setattr(repository.Repository, "files", lambda self: found)
    return repository.Repository("o/r", "c", "made.txt")


def test_a_set_is_fetched_and_its_scenes_can_be_read(made, server, tmp_path):
    folder = tmp_path / "Made"
    made.fetch("Made", folder, progress=False)
    scenes = fixations.read(folder)
    assert [scene.name for scene in scenes] == list(NAMES)
    assert scenes[0].fixations.tolist() == [[4, 5], [6.5, 7], [9, 3]]
    assert scenes[0].subjects.tolist() == ["0", "0", "1"]
    faces = pd.read_csv(folder / "face_boxes.csv")
    assert faces.loc[0, ["left", "frontal", "back"]].tolist() == [1.3, 1, 0] and len(faces) == 3
    assert len(server.asked) == 5
    made.fetch("Made", folder, progress=False)
    assert len(server.asked) == 5  # nothing again


def test_a_break_leaves_whole_files_and_the_next_call_goes_on(made, server, tmp_path):
    folder = tmp_path / "Made"
    server.refused = {"2.jpg"}
    with pytest.raises(
        FetchError, match=r"Made could not be fetched from github.com/o/r"
    ) as failed:
        made.fetch("Made", folder, progress=False)
    assert "it goes on where it was" in str(failed.value) and "commit c" in str(failed.value)
    assert not (folder / "stimuli" / "2.jpg").exists() and not list(folder.rglob("writing-*"))
    there = {path.name for path in folder.rglob("*.*")}
    server.refused, server.asked[:] = set(), []
    made.fetch("Made", folder, progress=False)
    assert set(server.asked) == {"1.jpg", "2.jpg", "3.jpg", "fixations.mat", "labels.mat"} - there


def test_a_damaged_file_is_fetched_again(made, server, tmp_path):
    made.fetch("Made", tmp_path, progress=False)
    server.asked.clear()
    (tmp_path / "stimuli" / "1.jpg").write_bytes(b"cut")
    made.fetch("Made", tmp_path, progress=False)
    assert server.asked == ["1.jpg"] and images.read(tmp_path / "stimuli" / "1.jpg").shape[0] == 12


@pytest.mark.parametrize("content", [b"another", b"", b"x" * 100_000])
def test_another_file_is_refused(made, server, tmp_path, content):
    (server.root / "o" / "r" / "c" / "data" / "stimuli" / "3.jpg").write_bytes(content)
    with pytest.raises(FetchError, match=r"3\.jpg is not the file that was checked"):
        made.fetch("Made", tmp_path / "Made", progress=False)
    assert not (tmp_path / "Made" / "stimuli" / "3.jpg").exists()


def test_a_server_that_fails_for_a_moment_is_asked_again(made, monkeypatch, tmp_path):
    broken, true = [], repository.receive

    def once_broken(address, file):
        if file.path.endswith("1.jpg") and not broken:
            broken.append(address)
            raise ConnectionResetError("reset")
        return true(address, file)

    monkeypatch.setattr(repository, "receive", once_broken)
    monkeypatch.setattr(repository.time, "sleep", lambda seconds: None)
    made.fetch("Made", tmp_path, progress=False)
    assert broken and (tmp_path / "stimuli" / "1.jpg").is_file()


def test_without_a_network_the_command_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(repository, "HOST", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setattr(repository.time, "sleep", lambda seconds: None)
    done = CliRunner().invoke(app, ["data", "fetch", "osie", "--to", str(tmp_path)])
    said = " ".join(done.stderr.split())
    assert done.exit_code == 1 and "OSIE could not be fetched" in said and "refused" in said
    assert "702 of its files are lacking" in said and "Traceback" not in said


@pytest.mark.parametrize(
    ("name", "count", "bytes"), [("osie", 702, 50_143_909), ("eyecrowd", 503, 179_518_474)]
)
def test_the_lists_name_what_was_checked(name, count, bytes):
    source = catalogue.look_up(name)
    files = source.published.files()
    assert len(files) == count and sum(file.bytes for file in files) == bytes
    assert all(re.fullmatch(r"[0-9a-f]{64}", file.sha256) for file in files)
    assert {file.path for file in files} >= {"LICENSE", "data/eye/fixations.mat"}
    pictures = [file for file in files if file.path.startswith("data/stimuli/")]
    assert len(pictures) == int(source.pictures) == len({str(file.place) for file in pictures})
    assert re.fullmatch(r"[0-9a-f]{40}", source.published.commit)


@pytest.fixture
def package(monkeypatch):
    """A made source package in place of pip's."""
    contents = {portrait.file: portrait.file.encode() for portrait in portraits.PICTURES}
    made = [
        portraits.Portrait(p.file, hashlib.sha256(contents[p.file]).hexdigest(), p.shows, p.taken)
        for p in portraits.PICTURES
    ]
    monkeypatch.setattr(portraits, "PICTURES", made)

    def download(source, folder):
        with tarfile.open(folder / source.file, "w:gz") as archive:
            for name, content in contents.items():
                entry = tarfile.TarInfo(f"{portraits.WITHIN}/{name}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        return folder / source.file

    monkeypatch.setattr(portraits, "download_with_pip", download)
    return contents


def test_portraits_come_with_who_is_shown(package, monkeypatch, tmp_path):
    done = CliRunner().invoke(app, ["data", "fetch", "portraits", "--to", str(tmp_path)])
    folder = tmp_path / "portraits"
    assert done.exit_code == 0 and done.stdout.split() == [str(folder)]
    assert {path.name for path in folder.iterdir()} == {*package, "README.md"}
    told = (folder / "README.md").read_text(encoding="utf-8")
    assert all(f"| {name} | " in told for name in package)
    assert "Pete Souza" in told and "may not be manipulated" in told
    monkeypatch.setattr(portraits, "download_with_pip", None)  # what is there is kept
    catalogue.fetch("portraits", tmp_path)


def test_a_package_with_another_picture_is_refused(package, tmp_path):
    package["biden.jpg"] = b"another"
    with pytest.raises(FetchError, match=r"biden\.jpg in face_recognition.* is another picture"):
        catalogue.fetch("portraits", tmp_path)
    del package["obama.jpg"]
    with pytest.raises(FetchError, match=r"lacks obama\.jpg"):
        catalogue.fetch("portraits", tmp_path)
    assert not list((tmp_path / "portraits").glob("writing-*"))


def test_pip_without_a_network_is_told_in_a_line(monkeypatch, tmp_path):
    def download(source, folder):
        raise WeightsError("pip could not fetch it:\nWARNING: retry\nERROR: No matching\nCheck")

    monkeypatch.setattr(portraits, "download_with_pip", download)
    with pytest.raises(
        FetchError,
        match=r"pip could not fetch face_recognition==1.3.0 \(its last words: No matching\)",
    ):
        catalogue.fetch("portraits", tmp_path)
