"""The engines open files as functions, without TensorFlow, and say clearly what they cannot do."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from safbage.errors import EngineError
from safbage.runtime import engines

onnx = pytest.importorskip("onnx")


@pytest.fixture(params=engines.ENGINES)
def engine(request):
    pytest.importorskip(request.param)
    return request.param


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A network that takes any number of rows, "x" N×3, and gives "twice" and "square"."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    tensors = {
        name: helper.make_tensor_value_info(name, kind, ["n", 3])
        for name in ("x", "twice", "square")
    }
    nodes = [
        helper.make_node("Add", ["x", "x"], ["twice"]),
        helper.make_node("Mul", ["x", "x"], ["square"]),
    ]
    graph = helper.make_graph(nodes, "small", [tensors["x"]], [tensors["twice"], tensors["square"]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = tmp_path_factory.mktemp("engines") / "small.onnx"
    onnx.save(model, path)
    return path


def test_a_file_answers_any_number_of_rows_by_name(path, engine, generator):
    run = engines.open(path, engine)
    for count in (1, 5, 2):
        x = generator.random((count, 3)).astype("float32")
        found = run({"x": x})
        assert set(found) == {"twice", "square"}
        assert np.allclose(found["twice"], 2 * x) and np.allclose(found["square"], x * x)


def test_threads_share_a_network_and_outputs_are_their_callers(path, engine):
    run = engines.open(path, engine)
    first = run({"x": np.float32([[1, 2, 3]])})["twice"]
    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda i: run({"x": np.full((50, 3), i, "float32")})["twice"], range(200))
        )
    assert all((values == 2 * i).all() for i, values in enumerate(found))
    assert first.tolist() == [[2, 4, 6]]


def test_a_damaged_or_missing_file_is_named(path, engine, tmp_path):
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(path.read_bytes()[:60])
    with pytest.raises(EngineError, match=rf"{engine} cannot open .*cut\.onnx"):
        engines.open(cut, engine)
    with pytest.raises(FileNotFoundError, match="no such file"):
        engines.open(tmp_path / "none.onnx", engine)


def test_unknown_names_are_refused(path, engine):
    with pytest.raises(ValueError, match="engine is one of openvino, onnxruntime; got 'tensorrt'"):
        engines.open(path, "tensorrt")
    with pytest.raises(ValueError, match=f"precision with {engine} is float32"):
        engines.open(path, engine, precision="int3")


def test_one_that_is_not_installed_says_how_to_install_it(path, monkeypatch):
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda name: None)
    assert engines.installed() == () and engines.fastest() is None
    with pytest.raises(ImportError, match="pip install openvino"):
        engines.open(path, "openvino")


@pytest.mark.parametrize("before", ["false", None])
def test_nobody_is_told_that_a_converter_was_used(monkeypatch, before):
    checker = pytest.importorskip("openvino_telemetry.utils.opt_in_checker")
    for name in ("CI", "TF_BUILD", "JENKINS_URL"):
        monkeypatch.delenv(name, raising=False)
    if before:
        monkeypatch.setenv("CI", before)
    refused = checker.ConsentCheckResult.DECLINED
    asked = dict(enable_opt_in_dialog=False, disable_in_ci=True)  # as OpenVINO and NNCF ask
    with engines.unreported():
        assert checker.OptInChecker().check(**asked) == refused
    assert os.environ.get("CI") == before


def test_no_engine_and_no_tensorflow_is_imported_before_a_file_is_opened():
    code = (
        "import sys; from safbage.runtime import engines; engines.installed(); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"tensorflow", "keras", *engines.ENGINES} & set(done.stdout.split())
