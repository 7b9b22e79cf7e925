"""Networks in files for an engine: made once, known again by a hash, made anew where they are damaged."""

import json
import logging
from types import SimpleNamespace

import pytest

from safbage.errors import ExportError
from safbage.pipeline import deployed, quantising
from safbage.runtime import engines, weights
from safbage.runtime.files import sha256

ENGINE = "openvino"
pytest.importorskip(ENGINE)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(deployed, "folder", lambda: tmp_path / "deployed")
    return tmp_path / "deployed"


def place(path):
    """Files as `make` leaves them, of no network."""
    path.parent.mkdir(exist_ok=True)
    path.write_text("network")
    path.with_suffix(".bin").write_bytes(b"weights")
    made = {one.name: sha256(one) for one in (path, path.with_suffix(".bin"))}
    path.with_name(f"{path.name}.json").write_text(json.dumps(made))


def test_a_name_follows_from_weights_and_versions(tmp_path, monkeypatch):
    names = {deployed.path_of("mlnet", ENGINE).name, deployed.path_of("light", ENGINE).name}
    monkeypatch.setattr(engines, "version", lambda engine: "1.0")
    names.add(deployed.path_of("mlnet", ENGINE).name)
    monkeypatch.setattr(deployed, "VERSION", deployed.VERSION + 1)
    names.add(deployed.path_of("mlnet", ENGINE).name)
    monkeypatch.setattr(weights, "shipped_hashes", lambda: {"mlnet": "other"})
    names.add(deployed.path_of("mlnet", ENGINE).name)
    for text in ("one", "other"):
        (tmp_path / "own.safetensors").write_text(text)
        names.add(deployed.path_of(str(tmp_path / "own.safetensors"), ENGINE).name)
    assert len(names) == 7
    with pytest.raises(FileNotFoundError):
        deployed.path_of(str(tmp_path / "none.safetensors"), ENGINE)


def test_int8_has_a_file_of_its_own_that_follows_from_nncf_too(monkeypatch):
    paths = [deployed.path_of("mlnet", ENGINE, precision) for precision in ("bfloat16", None)]
    assert set(paths) == {deployed.path_of("mlnet", ENGINE)}
    names = set()
    for version in ("1", "2"):
        monkeypatch.setattr(quantising, "version", lambda version=version: version)
        names.add(deployed.path_of("mlnet", ENGINE, "int8").name)
    assert len(names) == 2 and all(name.startswith("mlnet-int8-") for name in names)


def test_int8_is_made_from_the_float32_file_and_only_where_it_is_not_whole(folder, monkeypatch):
    monkeypatch.setattr(quantising, "version", lambda: "1")
    source, made = deployed.path_of("mlnet", ENGINE), deployed.path_of("mlnet", ENGINE, "int8")
    place(source)
    calls = []

    def quantise(found, target):
        calls.append((found, target))
        target.write_text("int8")
        target.with_suffix(".bin").write_bytes(b"small")

    monkeypatch.setattr(quantising, "quantise", quantise)
    for _ in range(2):
        deployed.make(ENGINE, "mlnet", precision="int8")
    assert calls == [(source, made)]
    assert deployed.missing(ENGINE, "mlnet", precision="int8") == []
    made.with_suffix(".bin").write_bytes(b"smal")
    assert deployed.missing(ENGINE, "mlnet", precision="int8") == ["mlnet"]
    deployed.make(ENGINE, "mlnet", precision="int8")
    assert len(calls) == 2 and deployed.is_whole(made) and deployed.is_whole(source)


def test_the_process_that_makes_files_is_told_the_precision(folder, monkeypatch):
    monkeypatch.setattr(quantising, "version", lambda: "1")
    asked = []

    def run(command, **options):
        asked.append(command[-3:])
        return SimpleNamespace(returncode=1, stderr="it is full\n")

    monkeypatch.setattr(deployed.subprocess, "run", run)
    with pytest.raises(
        ExportError, match="mlnet could not be prepared in int8 for openvino: it is"
    ):
        deployed.ensure(ENGINE, "mlnet", precision="int8")
    with pytest.raises(ExportError, match="mlnet could not be prepared for openvino: it is full"):
        deployed.ensure(ENGINE, "mlnet")
    assert asked == [[ENGINE, "int8", "mlnet"], [ENGINE, "float32", "mlnet"]]


@pytest.mark.parametrize("suffix", [".xml", ".bin", ".xml.json"])
def test_what_is_damaged_or_gone_is_missing(folder, suffix):
    path = deployed.path_of("mlnet", ENGINE)
    assert deployed.missing(ENGINE, "mlnet") == ["mlnet"]
    place(path)
    assert deployed.missing(ENGINE, "mlnet", "light") == ["light"]
    part = path.with_name(path.stem + suffix)
    part.write_bytes(part.read_bytes()[:-1])
    assert deployed.missing(ENGINE, "mlnet") == ["mlnet"]
    part.unlink()
    assert deployed.missing(ENGINE, "mlnet") == ["mlnet"]


def test_what_is_whole_is_not_made_again(folder, monkeypatch):
    place(deployed.path_of("mlnet", ENGINE))
    monkeypatch.setattr(deployed.subprocess, "run", None)
    deployed.ensure(ENGINE, "mlnet")


def test_where_nothing_can_be_written_that_is_said(tmp_path, monkeypatch):
    """By the process that makes the files, before it loads anything."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("SAFBAGE_HOME", str(tmp_path / "file"))
    with pytest.raises(ExportError, match=r"light could not be prepared for openvino: .*file"):
        deployed.ensure(ENGINE, "light")


@pytest.mark.slow
def test_a_damaged_file_is_made_again_and_answers(tmp_path, caplog, monkeypatch):
    for trunk in weights.home().glob("*.safetensors"):
        (tmp_path / trunk.name).symlink_to(trunk)
    monkeypatch.setenv("SAFBAGE_HOME", str(tmp_path))
    folder, path = deployed.folder(), deployed.path_of("light", ENGINE)
    place(path)
    path.with_suffix(".bin").write_bytes(b"weight")
    with caplog.at_level(logging.WARNING):
        deployed.open("light", ENGINE, "float32")
    assert "preparing light for openvino, once" in caplog.text
    assert sorted(one.name for one in folder.iterdir() if one.name != "lock") == sorted(
        (path.name, path.with_suffix(".bin").name, f"{path.name}.json")
    )
