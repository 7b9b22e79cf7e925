"""Sets by name: where they lie, what they hold, and their prepared faces by one call."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from safbage import datasets, images
from safbage.datasets import catalogue, preparation
from safbage.errors import DatasetError

SMALL = {"size": 96, "progress": False}


def test_sets_are_found_by_their_usual_names(tmp_path, monkeypatch):
    monkeypatch.delenv("SAFBAGE_DATA", raising=False)
    (tmp_path / "data" / "utkFACE").mkdir(parents=True)
    (tmp_path / "data" / "FER-2013").mkdir()
    (tmp_path / "data" / "osie").mkdir()
    assert datasets.find("utkface") is None
    assert datasets.find("UTKFace", tmp_path / "data") == tmp_path / "data" / "utkFACE"
    assert datasets.find("utkface", tmp_path / "data" / "utkFACE") == tmp_path / "data" / "utkFACE"
    assert datasets.find("fer2013", str(tmp_path / "data")) == tmp_path / "data" / "FER-2013"
    assert datasets.find("adience", tmp_path / "data") is None
    monkeypatch.setenv("SAFBAGE_DATA", str(tmp_path / "data"))
    assert datasets.find("osie", "") == tmp_path / "data" / "osie"
    monkeypatch.setenv("SAFBAGE_DATA", str(tmp_path / "gone"))
    with pytest.raises(FileNotFoundError, match=r"gone.*from SAFBAGE_DATA"):
        datasets.find("osie")
    with pytest.raises(DatasetError, match="no data set named 'imdb'; there are fairface, utkface"):
        datasets.find("imdb")


def test_sets_are_loaded_by_name(tmp_path, monkeypatch):
    (tmp_path / "UTKFace").mkdir()
    images.write(tmp_path / "UTKFace" / "25_0_2_1.jpg", np.zeros((6, 6, 3), "uint8"))
    monkeypatch.setenv("SAFBAGE_DATA", str(tmp_path))
    assert len(datasets.load("utkface", progress=False).faces) == 1
    assert len(datasets.load("UTKFace", tmp_path / "UTKFace", progress=False).faces) == 1
    with pytest.raises(
        DatasetError,
        match=r"Adience is not found on this machine: set SAFBAGE_DATA.*Open University of Israel",
    ):
        datasets.load("adience")
    with pytest.raises(DatasetError, match=r"safbage.fixations.read"):
        datasets.load("osie")


def test_a_record_stands_beside_each_reader():
    for name in catalogue.READERS:
        source = catalogue.look_up(name)
        assert (
            source.read.__module__ == f"safbage.datasets.readers.{name}"
            and source.read is getattr(datasets, name)
        )
        preparation.Preparation(**source.preparation)
    assert [name for name, source in catalogue.SOURCES.items() if source.read is None] == [
        "osie",
        "eyecrowd",
        "salicon",
        "mit1003",
        "scene",
        "portraits",
        "synthetic",
    ]


def test_the_catalogue_loads_no_keras():
    code = "import sys; from safbage import datasets; sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_sample_is_drawn_only_from_more():
    table = pd.DataFrame({"image": list("abcdef")})
    assert datasets.sample(table, None) is table and datasets.sample(table, 6) is table
    assert datasets.sample(table, 3, 1).equals(table.sample(3, random_state=1))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return datasets.open_prepared(
        "synthetic",
        tmp_path_factory.mktemp("drawn"),
        limit=4,
        seed=3,
        reading=SMALL,
        progress=False,
    )


def test_drawn_faces_are_prepared_by_their_own_options(drawn, tmp_path):
    assert (
        len(drawn) == 4
        and sorted(path.name for path in (drawn.folder / "pictures").glob("*.jpg"))[0]
        == "face-000000.jpg"
    )
    assert (drawn.provenance["options"]["detect"], drawn.provenance["options"]["saliency"]) == (
        "box",
        "light",
    )
    own = datasets.synthetic(tmp_path, 4, seed=3, progress=False, size=96).faces
    assert drawn.table.age.tolist() == own.age.tolist()


def test_a_prepared_folder_is_opened(drawn, tmp_path):
    opened = datasets.open_prepared(drawn.folder, tmp_path / "unused", limit=1)
    assert len(opened) == 4 and opened.folder == drawn.folder and not (tmp_path / "unused").exists()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_is_prepared_by_task_and_limit(drawn, tmp_path, suffix):
    table = (
        drawn.table[["image", "gender"]]
        .astype("object")
        .assign(gender=["male", None, "female", "male"])
    )
    path = tmp_path / f"faces{suffix}"
    table.to_csv(path, index=False) if suffix == ".csv" else table.to_parquet(path)
    options = preparation.Preparation(detect="none", saliency="light")
    prepared = datasets.open_prepared(
        path, tmp_path / "out", task="gender", limit=2, options=options, progress=False
    )
    expected = table.dropna(subset="gender").sample(2, random_state=0)
    assert prepared.table.image.tolist() == expected.image.tolist() and prepared.failed.empty
    with pytest.raises(DatasetError, match="has no labels for age"):
        datasets.open_prepared(path, tmp_path / "other", task="age", progress=False)


def test_sources_that_are_not_there_are_named(tmp_path, monkeypatch):
    monkeypatch.delenv("SAFBAGE_DATA", raising=False)
    with pytest.raises(DatasetError, match=rf"UTKFace is not found in {tmp_path}: .*susanqq"):
        datasets.open_prepared("utkface", tmp_path / "out", data_dir=tmp_path)
    with pytest.raises(DatasetError, match=r"no data set named 'imdb'; there are .*, synthetic"):
        datasets.open_prepared("imdb", tmp_path / "out")
    with pytest.raises(DatasetError, match=r"safbage\.fixations\.read"):
        datasets.open_prepared("osie", tmp_path / "out")
    assert not (tmp_path / "out").exists()
