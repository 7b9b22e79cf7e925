"""``safbage evaluate-detection`` on small made photos."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import command as safbage

from safbage import faces, images


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Twelve photos in WIDER FACE's layout, and in place of MTCNN one that marks what is white."""
    (tmp_path / "photos" / "images").mkdir(parents=True)
    lines = []
    for i in range(12):
        photo = np.zeros((60, 80, 3), "uint8")
        photo[10:40, 10:40] = 255
        images.write(tmp_path / "photos" / "images" / f"{i}.png", photo)
        lines += [f"{i}.png", "1", "10 10 30 30 0 0 0 0 0 0"]
    lines += ["gone.png", "1", "10 10 30 30 0 0 0 0 0 0"]
    (tmp_path / "photos" / "wider_face_val_bbx_gt.txt").write_text("\n".join(lines))

    def detect_faces(photo, **options):
        return [SimpleNamespace(box=(10.0, 10.0, 30.0, 30.0), score=0.9)] if photo.any() else []

    monkeypatch.setattr(faces, "detect_faces", detect_faces)
    return tmp_path / "photos"


def test_a_table_json_and_a_figure(folder, tmp_path):
    (tmp_path / "other.csv").write_text("photo,left,top,width,height,score\n0.png,0,0,9,9,0.5\n")
    (tmp_path / "images" / "a").mkdir(parents=True)
    line = ["evaluate-detection", folder, "--work", tmp_path / "work", "--repetitions", 100]
    line += ["--beside", f"other={tmp_path / 'other.csv'}", "--figure", tmp_path / "a" / "b.png"]
    line += ["--output", tmp_path / "results" / "detection.json"]
    done = safbage(*line)
    assert done.returncode == 0, done.stderr
    assert "12 photos, 12 faces, of which 12 count" in done.stdout
    for word in ("mtcnn", "100.0 (100.0 to 100.0)", "other: finds faces worse", "occlusion: none"):
        assert word in done.stdout
    assert "left out: gone.png, line 37: its file is not there" in done.stderr
    assert (tmp_path / "a" / "b.png").stat().st_size > 10_000
    saved = json.loads((tmp_path / "results" / "detection.json").read_text())
    said = saved["provenance"]["command"]
    assert said.startswith("safbage evaluate-detection photos --work work") and "/" not in said
    assert "--beside other=other.csv" in said and saved["verdict"][0] in done.stdout
    again = safbage(*line, "--json")
    assert again.returncode == 0 and json.loads(again.stdout)["data"]["photos"] == 12


def test_only_so_many_photos(folder, tmp_path):
    line = ("evaluate-detection", folder, "--work", tmp_path / "work", "--repetitions", 100)
    assert "5 photos, 5 faces" in safbage(*line, "--limit", 5).stdout


def test_wrong_calls_are_explained(folder, tmp_path):
    (tmp_path / "notes.json").write_text("mine")
    other = tmp_path / "other.csv"
    other.write_text("photo,left\n0.png,1\n")
    for arguments, code, said in (
        (["--beside", "nothing"], 2, "--beside takes NAME=FILE"),
        (["--beside", f"mtcnn={other}"], 2, "none of mtcnn"),
        (["--beside", f"other={other}"], 2, "has no column top"),
        (["--boxes", tmp_path / "none.txt"], 1, "no such file of boxes"),
        (["--output", tmp_path / "notes.json"], 2, "was not written by this command"),
        (["--saliency", "nothing"], 1, "no such file: nothing"),
        (["--repetitions", 1], 2, "--repetitions"),
    ):
        done = safbage("evaluate-detection", folder, "--work", tmp_path / "work", *arguments)
        message = " ".join(done.stderr.split())
        assert (done.returncode, said in message, "Traceback" in message) == (code, True, False), (
            message
        )
    assert (tmp_path / "notes.json").read_text() == "mine"
    done = safbage("evaluate-detection", tmp_path / "nowhere", "--work", tmp_path / "work")
    assert done.returncode == 1 and "no such folder" in done.stderr


def test_other_settings_want_another_folder(folder, tmp_path):
    line = ["evaluate-detection", folder, "--work", tmp_path / "work", "--repetitions", 100]
    assert safbage(*line).returncode == 0
    done = safbage(*line, "--min-face", 40)
    assert done.returncode == 1 and "min_face_size: 20.0 there, 40.0 now" in done.stderr
