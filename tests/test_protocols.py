"""The paper's protocols by the commands alone: on Adience's real excerpt, and on drawn faces in both of AffectNet's layouts."""

import json
import shutil
import sys

import numpy as np
import pytest
from conftest import data_folder

from safbage import cli, datasets
from safbage.tasks import EXPRESSIONS

HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"


def safbage(monkeypatch, *arguments):
    """The command, in this process; what it exits with."""
    monkeypatch.setattr(sys, "argv", ["safbage", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


def test_adience_in_five_folds(tmp_path, monkeypatch, capsys):
    """All pictures at hand are of fold 0, so that five folds are drawn, subjects whole."""
    prepared, output = tmp_path / "adience", tmp_path / "gender.json"
    adience = data_folder("adience")
    options = ("--data-dir", adience.parent, "--saliency", "light", "--limit", 50)
    assert safbage(monkeypatch, "prepare", "adience", prepared, *options) == 0
    options = (
        "--network",
        "alexnet-gap",
        "--epochs",
        "1",
        "--work",
        tmp_path / "work",
        "--output",
        output,
    )
    assert safbage(monkeypatch, "evaluate", prepared, "--task", "gender", *options) == 0
    report = json.loads(output.read_text())
    assert set(report["arms"]) == {"alexnet-gap, without saliency", "alexnet-gap, ratio 30 %"}
    for arm in report["arms"].values():
        assert arm["faces"] > 40 and len(arm["folds"]) == 5
        assert (
            np.sum(arm["confusion"]) == arm["faces"] == sum(fold["faces"] for fold in arm["folds"])
        )
    (test,) = report["tests"]
    assert test["accuracy"]["subjects"] < test["accuracy"]["faces"] == arm["faces"]
    assert report["verdict"][0] in capsys.readouterr().out


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return datasets.synthetic(tmp_path_factory.mktemp("drawn"), 70, size=96, progress=False).faces


def older_layout(folder, drawn):
    """training.csv and validation.csv, with boxes, over pictures in numbered folders."""
    lines = {"training": [HEADER], "validation": [HEADER]}
    for i, face in enumerate(drawn.itertuples()):
        file = f"{i % 3}/{i}.jpg"
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(face.image, folder / file)
        box = [face.box_left, face.box_top, face.box_width, face.box_height]
        values = [
            file,
            *(round(side) for side in box),
            "1;2",
            EXPRESSIONS.index(face.expression),
            0,
            0,
        ]
        lines["validation" if i % 3 == 0 else "training"].append(",".join(map(str, values)))
    for name, rows in lines.items():
        (folder / f"{name}.csv").write_text("\n".join(rows))


def newer_layout(folder, drawn):
    """train_set and val_set, each with images and an annotation file per picture."""
    for i, face in enumerate(drawn.itertuples()):
        at = folder / ("val_set" if i % 3 == 0 else "train_set")
        for name in ("images", "annotations"):
            (at / name).mkdir(parents=True, exist_ok=True)
        shutil.copy(face.image, at / "images" / f"{i}.jpg")
        np.save(at / "annotations" / f"{i}_exp.npy", str(EXPRESSIONS.index(face.expression)))


@pytest.mark.parametrize("layout, detect", [(older_layout, "box"), (newer_layout, "none")])
def test_affectnet_by_its_split(tmp_path, monkeypatch, drawn, layout, detect):
    layout(tmp_path / "AffectNet", drawn)
    prepared, output = tmp_path / "affectnet", tmp_path / "expression.json"
    options = ("--data-dir", tmp_path, "--detect", detect, "--saliency", "light")
    assert safbage(monkeypatch, "prepare", "affectnet", prepared, *options) == 0
    options = (
        "--network",
        "alexnet-gap",
        "--folds",
        "0",
        "--epochs",
        "1",
        "--work",
        tmp_path / "work",
        "--output",
        output,
    )
    assert safbage(monkeypatch, "evaluate", prepared, "--task", "expression", *options) == 0
    report = json.loads(output.read_text())
    for arm in report["arms"].values():
        assert (
            arm["faces"] == 24 and len(arm["folds"]) == 1
        )  # the published validation set is what is tested
    assert report["provenance"]["folds"] == 0 and len(report["verdict"]) == 1
