"""Int8: which views calibrate, what is refused, and that only whole files are left."""

import numpy as np
import pytest

from safbage.errors import ExportError
from safbage.pipeline import quantising
from safbage.runtime import engines

openvino = pytest.importorskip("openvino")


def write_network(path, *, turned=False):
    """A network like ML-Net in its ends: "face" N×224×224×3 uint8 to "map" N×28×28, by four convolutions. `turned` maps lie on
    their side."""
    from openvino import opset13 as ops

    generator = np.random.default_rng(0)
    face = ops.parameter([-1, 224, 224, 3], np.uint8, name="face")
    x = ops.divide(ops.convert(face, "f32"), np.float32(255))
    x = ops.transpose(x, [0, 3, 1, 2])
    for into, out, stride in ((3, 8, 4), (8, 16, 2), (16, 8, 1), (8, 1, 1)):
        kernel = generator.normal(0.05, 0.1, (out, into, 3, 3)).astype("float32")
        x = ops.relu(ops.convolution(x, kernel, [stride] * 2, [1, 1], [1, 1], [1, 1]))
    found = ops.squeeze(x, [1])
    found = ops.transpose(found, [0, 2, 1]) if turned else found
    found.output(0).set_names({"map"})
    openvino.save_model(openvino.Model([found], [face], "small"), path, compress_to_fp16=False)
    return path


def test_views_are_the_same_each_time_and_differ_from_each_other():
    views = quantising.views(12)
    assert views.shape == (12, 224, 224, 3) and views.dtype == np.uint8
    assert (views == quantising.views(12)).all()
    assert len({view.tobytes() for view in views}) == 12
    assert views.std(axis=(1, 2, 3)).min() > 10  # none is blank


def test_a_network_in_int8_is_smaller_and_maps_alike(tmp_path, monkeypatch):
    pytest.importorskip("nncf")
    monkeypatch.setattr(quantising, "CALIBRATING", 4)
    source, target = write_network(tmp_path / "small.xml"), tmp_path / "int8.xml"
    (tmp_path / ".int8.xml.writing").mkdir()
    (tmp_path / ".int8.xml.writing" / "half").touch()  # of a killed run
    quantising.quantise(source, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "int8.bin",
        "int8.xml",
        "small.bin",
        "small.xml",
    ]
    network = openvino.Core().read_model(target)
    kinds = [operation.get_type_name() for operation in network.get_ordered_ops()]
    assert (
        kinds.count("FakeQuantize") == 1
    )  # before the one convolution between the first and the last two
    views = quantising.views(3)
    exact, reduced = (engines.open(path, "openvino")({"face": views}) for path in (source, target))
    assert not np.array_equal(exact["map"], reduced["map"])
    assert np.corrcoef(exact["map"].ravel(), reduced["map"].ravel())[0, 1] > 0.99


def test_maps_that_differ_are_refused_and_leave_nothing(tmp_path, monkeypatch):
    source = write_network(tmp_path / "small.xml")
    other = write_network(tmp_path / "other.xml", turned=True)
    quantising.check(source, source, quantising.views(2))
    monkeypatch.setattr(quantising, "check_installed", lambda: None)
    monkeypatch.setattr(
        quantising, "quantised", lambda source, views: openvino.Core().read_model(other)
    )
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ExportError, match=r"looks elsewhere .*correlate by .*0\.99 is asked for"):
        quantising.quantise(source, tmp_path / "int8.xml")
    assert sorted(tmp_path.iterdir()) == before


def test_without_nncf_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setattr(quantising.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'int8 needs NNCF: install the extra "int8"'):
        quantising.check_installed()
