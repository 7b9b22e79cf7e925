"""The network after detection in other formats; those whose packages (`safbage[export]`) are missing are skipped by name."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import command

from safbage.errors import ExportError, WorkError
from safbage.pipeline import export, networks
from safbage.pipeline.export import FORMATS
from safbage.runtime.backend import keras
from safbage.runtime.work import locked
from safbage.tasks import CLASSES


@pytest.fixture(
    scope="module",
    params=["face-mobilenet", pytest.param("alexnet-gap", marks=pytest.mark.slow)],
)
def network(request):
    """Of the light ML-Net, for the sake of time."""
    return networks.load(tuple(CLASSES), request.param, "light", "float32").network


@pytest.fixture(scope="module")
def small():
    """One with the inputs and an output of the others, and hardly anything between, where no answer matters."""
    inputs = {
        "face": keras.Input((224, 224, 3), dtype="uint8", name="face"),
        "ratio": keras.Input((1,), name="ratio"),
    }
    colour = keras.layers.GlobalAveragePooling2D()(keras.ops.cast(inputs["face"], "float32") / 255)
    answer = keras.layers.Dense(2, "softmax")(keras.layers.Concatenate()([colour, inputs["ratio"]]))
    return keras.Model(inputs, {"gender": answer})


@pytest.fixture
def inputs(network, generator):
    crops = generator.integers(0, 256, (3, 224, 224, 3)).astype("uint8")
    return {"face": crops, "ratio": np.float32([[0], [0.3], [1]])}


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_answers_as_the_network(network, inputs, tmp_path, format):
    for package in FORMATS[format].needs:
        pytest.importorskip(package)
    path = export.export(network, format, tmp_path / "below" / "net")
    assert path.exists() and path.suffix == FORMATS[format].suffix
    expected, run = network.predict_on_batch(inputs), FORMATS[format].open(str(path))
    parts = [slice(0, 3)] if FORMATS[format].count is None else [slice(i, i + 1) for i in range(3)]
    for part in parts:
        found = run({name: value[part] for name, value in inputs.items()})
        assert set(found) == set(expected)
        for name, values in expected.items():
            assert np.allclose(
                found[name], values[part], atol=1e-4 * max(1, np.abs(values).max())
            ), name
    with pytest.raises(FileExistsError, match="exists"):
        export.export(network, format, path)


def test_what_answers_otherwise_or_lacks_an_output_is_refused(small, tmp_path):
    def shifted(inputs):
        return {
            name: values + 0.01 * (name == "gender")
            for name, values in small.predict_on_batch(inputs).items()
        }

    with pytest.raises(ExportError, match=r"its gender differs by 0\.01"):
        export.check(small, shifted, tmp_path)
    with pytest.raises(ExportError, match="no output"):
        export.check(small, lambda inputs: {}, tmp_path)

    def broken(inputs):
        answers = small.predict_on_batch(inputs)
        return {name: values * np.nan for name, values in answers.items()}

    with pytest.raises(ExportError, match="differs by nan"):
        export.check(small, broken, tmp_path)


class Breaking:
    """Stands for a network whose export is cut off by an error when half is written."""

    def __init__(self, network, error):
        self.input, self.error = network.input, error

    def export(self, path, **options):
        Path(path).mkdir()
        (Path(path) / "half").touch()
        raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_what_is_cut_off_leaves_nothing_under_its_name_and_the_same_call_writes_it(
    small, tmp_path, error
):
    path = tmp_path / "net"
    with pytest.raises(type(error)):
        export.export(Breaking(small, error), "saved-model", path)
    assert not path.exists()
    left = tmp_path / ".net.writing" / "network" / "net"  # as a kill leaves it
    left.mkdir(parents=True)
    (left / "half").touch()
    assert export.export(small, "saved-model", path) == path
    assert [p.name for p in tmp_path.iterdir()] == ["net"] and not (path / "half").exists()


def test_what_answers_otherwise_is_not_kept_and_nothing_foreign_is_overwritten(
    small, tmp_path, monkeypatch
):
    wrong = lambda path: lambda inputs: {}  # noqa: E731
    monkeypatch.setitem(
        FORMATS, "saved-model", replace(FORMATS["saved-model"], open=wrong, beside=(".bin",))
    )
    with pytest.raises(ExportError, match="no output"):
        export.export(small, "saved-model", tmp_path / "net")
    assert not (tmp_path / "net").exists()
    (tmp_path / "net.bin").write_text("mine")
    with pytest.raises(FileExistsError, match=r"net\.bin exists"):
        export.export(small, "saved-model", tmp_path / "net")
    assert (tmp_path / "net.bin").read_text() == "mine"


def test_of_two_that_write_one_file_the_second_is_refused(small, tmp_path):
    with (
        locked(tmp_path / ".net.writing"),
        pytest.raises(WorkError, match="is being written by process"),
    ):
        export.export(small, "saved-model", tmp_path / "net")


def test_a_missing_package_and_an_unknown_format_are_named(small, tmp_path, monkeypatch):
    monkeypatch.setitem(FORMATS, "onnx", replace(FORMATS["onnx"], needs=("os", "no_such_package")))
    with pytest.raises(ImportError, match='onnx needs no_such_package: install the extra "export"'):
        export.export(small, "onnx", tmp_path / "net")
    with pytest.raises(ValueError, match="saved-model, onnx"):
        export.export(small, "gguf", tmp_path / "net")
    assert not list(tmp_path.iterdir())


def test_the_command(tmp_path):
    words = ["export", "saved-model", tmp_path / "net", "--saliency", "light"]
    done = command(*words, "--tasks", "gender")
    assert done.returncode == 0, done.stderr
    assert (
        "answers the embedded photo's face as safbage does" in " ".join(done.stderr.split())
        and done.stdout == ""
    )
    assert (tmp_path / "net" / "saved_model.pb").is_file()
    done = command(*words)
    assert done.returncode == 2 and "exists" in done.stderr and "Traceback" not in done.stderr
