"""Keras and each engine answer alike, and who answers is chosen as it is told."""

import subprocess
import sys

import numpy as np
import pytest

from safbage import SafBage, images
from safbage.errors import ExportError
from safbage.pipeline import answering, deployed, quantising
from safbage.runtime import engines
from safbage.tasks import CLASSES


@pytest.fixture(scope="module")
def crops(astronaut):
    face = images.resize(astronaut[40:300, 100:360], (224, 224))
    return np.stack([face, face[:, ::-1], 255 - face, face // 2, np.roll(face, 40, axis=0)])


@pytest.fixture(scope="module", params=engines.ENGINES)
def by_engine(request):
    pytest.importorskip(request.param)
    if request.param == "onnxruntime":
        pytest.importorskip("tf2onnx")
    return SafBage.load(engine=request.param, saliency="light", precision="float32", batch_size=2)


@pytest.fixture(scope="module")
def by_keras():
    return SafBage.load(engine="keras", saliency="light")


def test_an_engine_answers_as_keras(by_engine, by_keras, crops):
    for options in ({}, {"ratio": 0.8}, {"maps": np.ones((5, 28, 28), "float32")}):
        expected, found = (model.answer(crops, **options) for model in (by_keras, by_engine))
        assert set(found) == set(expected)
        for name, values in expected.items():
            assert found[name].dtype == np.float32 and found[name].shape == values.shape
            assert np.allclose(found[name], values, atol=1e-3 * max(1, np.abs(values).max())), name


def test_only_the_tasks_asked_for_are_answered(crops):
    pytest.importorskip("openvino")
    model = SafBage.load(tasks=("gender",), engine="openvino", saliency="light")
    assert set(model.answer(crops[:1])) == {"map", "gender", "cam_gender"}
    assert list(model.classify(crops[:1])) == ["face", "gender", "gender_p"]


def test_bfloat16_moves_maps_by_next_to_nothing(by_keras, crops):
    pytest.importorskip("openvino")
    model = SafBage.load(engine="openvino", saliency="light", precision="bfloat16")
    exact, rough = (each.answer(crops) for each in (by_keras, model))
    for one, other in zip(exact["map"], rough["map"], strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.99
    for task in CLASSES:
        assert np.allclose(exact[task], rough[task], atol=0.05)


def test_auto_is_keras_where_an_engine_does_not_serve(monkeypatch, tmp_path):
    given = ("mlnet", "face-mobilenet", ("age",), None)
    monkeypatch.setattr(answering.engines, "installed", lambda: ("openvino",))
    monkeypatch.setattr(answering.shutil, "which", lambda name: None)
    assert answering.fastest() == "openvino"
    assert answering.by_engine("keras", *given) is None
    assert answering.by_engine("auto", *given[:3], "mixed_bfloat16") is None
    assert answering.by_engine("auto", tmp_path / "own.safetensors", *given[1:]) is None
    with monkeypatch.context() as patch:
        patch.setattr(answering.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
        assert answering.fastest() == "keras"
    with monkeypatch.context() as patch:
        patch.setattr(answering, "keras_backend", lambda: "jax")
        assert answering.fastest() == "keras"
    monkeypatch.setattr(answering.engines, "installed", lambda: ())
    assert answering.fastest() == "keras"


def test_auto_falls_back_on_keras_and_says_so_while_a_named_engine_raises(monkeypatch, caplog):
    def fail(engine, *parts):
        raise ExportError("the cache cannot be written")

    monkeypatch.setattr(deployed, "ensure", fail)
    monkeypatch.setattr(answering, "fastest", lambda: "openvino")
    given = ("mlnet", "face-mobilenet", ("age",), None)
    assert answering.by_engine("auto", *given) is None
    assert "the cache cannot be written; Keras answers instead" in caplog.text
    with pytest.raises(ExportError, match="cannot be written"):
        answering.by_engine("openvino", *given)


def test_int8_is_openvinos_alone_and_says_what_it_lacks(monkeypatch):
    for engine in ("keras", "onnxruntime"):
        monkeypatch.setattr(answering.engines, "installed", lambda: engines.ENGINES)
        with pytest.raises(ValueError, match=f"int8 is OpenVINO's, not {engine}'s"):
            SafBage.load(engine=engine, precision="int8")
    with monkeypatch.context() as patch:
        patch.setattr(quantising.importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ImportError, match="int8 needs NNCF: install"):
            SafBage.load(precision="int8")
    monkeypatch.setattr(quantising, "check_installed", lambda: None)
    monkeypatch.setattr(answering.engines, "installed", lambda: ("onnxruntime",))
    with pytest.raises(ImportError, match="pip install openvino"):
        SafBage.load(precision="int8")


def test_int8_never_falls_back_on_float32(monkeypatch):
    def fail(*arguments):
        raise ExportError("the maps differ")

    monkeypatch.setattr(quantising, "check_installed", lambda: None)
    monkeypatch.setattr(answering.engines, "installed", lambda: ("openvino",))
    monkeypatch.setattr(answering, "fastest", lambda: "keras")  # as where there is a GPU
    monkeypatch.setattr(deployed, "open", fail)
    with pytest.raises(ExportError, match="the maps differ"):
        SafBage.load(precision="int8")


@pytest.mark.slow
def test_int8_answers_nearly_as_float32(by_keras, crops):
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    model = SafBage.load(saliency="light", precision="int8", batch_size=2)
    assert model.engine == "openvino"
    exact, rough = (each.answer(crops) for each in (by_keras, model))
    for one, other in zip(exact["map"], rough["map"], strict=True):
        assert np.corrcoef(one.ravel(), other.ravel())[0, 1] > 0.98
    for task in CLASSES:
        assert np.allclose(exact[task], rough[task], atol=0.1)


def test_the_backend_is_known_without_keras(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert answering.keras_backend() == "tensorflow"
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    assert answering.keras_backend() == "torch"
    (tmp_path / "keras.json").write_text("[")
    assert answering.keras_backend() == "tensorflow"
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert answering.keras_backend() == "jax"


def test_unknown_engines_are_refused():
    with pytest.raises(ValueError, match="engine is one of auto, keras, openvino"):
        SafBage.load(engine="tensorrt")


COLD = """
import sys
from safbage import SafBage
model = SafBage.load(engine="openvino", saliency="light")
import numpy as np
table = model.answer(np.zeros((1, 224, 224, 3), "uint8"))
import safbage.cli.predict, safbage.show.album
from safbage.show import plots, widgets
plots.explanation
print(*sys.modules)
"""


def test_an_answer_imports_no_tensorflow():
    pytest.importorskip("openvino")
    done = subprocess.run([sys.executable, "-c", COLD], capture_output=True, text=True, check=True)
    assert not {"tensorflow", "keras", "sklearn"} & set(done.stdout.split())
