"""``safbage data list`` and ``safbage data fetch``."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from typer.testing import CliRunner

from safbage import datasets, images
from safbage.cli import app
from safbage.datasets import catalogue


def data(*arguments, **options):
    return CliRunner().invoke(app, ["data", *map(str, arguments)], **options)


def test_the_list_names_licences_and_what_is_here(tmp_path):
    (tmp_path / "osie").mkdir()
    done = data("list", "--data-dir", tmp_path, "--json")
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert set(rows) == set(catalogue.SOURCES) - {"synthetic"} and all(
        row["licence"] and row["citation"] for row in rows.values()
    )
    assert rows["osie"]["here"] == str(tmp_path / "osie") and rows["utkface"]["here"] is None
    assert "CC BY 4.0" in data("list", "--data-dir", tmp_path).stdout


def test_fetching_asks_the_hub_for_one_config_and_what_comes_can_be_read(tmp_path, monkeypatch):
    def download(repository, *, repo_type, allow_patterns, local_dir):
        assert (repository, repo_type, allow_patterns) == (
            "HuggingFaceM4/FairFace",
            "dataset",
            ["1.25/*.parquet"],
        )
        (local_dir / "1.25").mkdir(parents=True)
        face = {"bytes": images.encode(np.zeros((6, 6, 3), "uint8")), "path": None}
        rows = pa.table({"image": [face], "age": [3], "gender": [1], "race": [2]})
        pq.write_table(rows, local_dir / "1.25" / "train-00000-of-00001.parquet")

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    done = data("fetch", "FairFace", "--config", "1.25", env={"SAFBAGE_DATA": str(tmp_path)})
    assert done.exit_code == 0 and done.stdout.split() == [str(tmp_path / "FairFace")]
    assert datasets.find("fairface", tmp_path) == tmp_path / "FairFace"
    assert datasets.load("fairface", tmp_path / "FairFace", progress=False).faces.race.tolist() == [
        "Black"
    ]


def test_fetching_says_what_is_wrong(tmp_path, monkeypatch):
    monkeypatch.delenv("SAFBAGE_DATA", raising=False)

    def download(*arguments, **options):
        raise RuntimeError("no route to host\nmore")

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    done = data("fetch", "fairface", "--to", tmp_path)
    assert (
        done.exit_code == 1
        and "(no route to host)" in done.stderr
        and "give the command again" in done.stderr
    )
    for name, said in (
        ("adience", "form of the Open University"),
        ("utkface", "susanqq"),
        ("nix", "no data set named 'nix'"),
    ):
        done = data("fetch", name, "--to", tmp_path)
        assert done.exit_code == 2 and said in done.stderr
    assert (
        "faces/<user_id>/coarse_tilt_aligned_face"
        in data("fetch", "adience", "--to", tmp_path).stderr
    )
    assert data("fetch", "fairface", "--to", tmp_path, "--config", "9").exit_code == 2
    done = data("fetch", "fairface")
    assert done.exit_code == 2 and "--to" in done.stderr
    assert list(tmp_path.iterdir()) == []
