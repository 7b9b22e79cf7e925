"""MTCNN's networks as OpenCV runs them: the mtcnn package's weights and answers, without TensorFlow."""

import io
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import cv2
import joblib
import lz4.frame
import numpy as np
import pytest

from safbage.errors import CheckpointError
from safbage.faces import networks
from safbage.faces.networks import Networks

WAYS = ["opencv", "onnxruntime", "package"]


def run_by(way) -> Networks:
    """The three networks, run by OpenCV, by ONNX Runtime, or by the mtcnn package's own Keras models."""
    if way == "opencv":
        return networks.networks()
    if way == "onnxruntime":
        engine = pytest.importorskip("onnxruntime")
        sessions = map(engine.InferenceSession, networks.onnx_files())
        return Networks(*(_of_session(session) for session in sessions))
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        pytest.skip("the package's models run on TensorFlow")
    from mtcnn import MTCNN

    stock = MTCNN()
    return Networks(*(_of_model(stock.get_stage(stage_id=stage).model) for stage in (1, 2, 3)))


def _of_session(session):
    return lambda pictures: session.run(None, {"pictures": np.ascontiguousarray(pictures)})


def _of_model(model):
    def network(pictures):
        outputs = model(pictures.transpose(0, 2, 3, 1))
        return [np.moveaxis(np.asarray(output), -1, 1) for output in outputs]

    return network


@pytest.mark.parametrize("way", WAYS[1:])
@pytest.mark.parametrize("size", [(12, 12), (13, 24), (24, 13), (31, 45)])
def test_the_proposal_networks_answers_at_odd_and_even_sizes(generator, way, size):
    """At the right and lower border a pooled pixel may have fewer neighbours."""
    pictures = generator.uniform(-1, 1, (1, 3, *size)).astype("float32")
    own, other = networks.networks().proposal(pictures), run_by(way).proposal(pictures)
    cells = tuple(-(-(side - 2) // 2) - 4 for side in size)  # pooled, then twice less 2
    assert [array.shape for array in own] == [(1, 4, *cells), (1, 2, *cells)]
    for mine, theirs in zip(own, other, strict=True):
        assert np.allclose(mine, theirs, atol=1e-5)


@pytest.mark.parametrize("way", WAYS[1:])
@pytest.mark.parametrize("count", [1, 7])
def test_the_other_networks_answers(generator, way, count):
    for name, side in [("refinement", 24), ("output", 48)]:
        pictures = generator.uniform(-1, 1, (count, 3, side, side)).astype("float32")
        own, other = (
            getattr(found, name)(pictures) for found in (networks.networks(), run_by(way))
        )
        for mine, theirs in zip(own, other, strict=True):
            assert mine.shape[0] == count and np.allclose(mine, theirs, atol=1e-5)


def test_threads_do_not_disturb_each_other(generator):
    pictures = generator.uniform(-1, 1, (40, 5, 3, 24, 24)).astype("float32")
    network = networks.networks().refinement
    alone = [network(some) for some in pictures]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(network, pictures))
    for mine, theirs in zip(alone, together, strict=True):
        assert all(np.array_equal(*pair) for pair in zip(mine, theirs, strict=True))


def test_a_failure_does_not_spoil_what_comes_after(generator):
    pictures = generator.uniform(-1, 1, (2, 3, 24, 24)).astype("float32")
    network = networks.networks().refinement
    before = network(pictures)
    with pytest.raises(cv2.error):
        network(pictures[:, :, :20])
    assert np.array_equal(network(pictures)[1], before[1])


def test_nothing_of_tensorflow_is_imported():
    code = """
import sys
from safbage import faces, images
print(len(faces.detect_faces(images.astronaut())), {"keras", "tensorflow", "mtcnn"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "1 set()", done.stderr


def write(path, content: bytes):
    path.write_bytes(lz4.frame.compress(content))
    return path


def dumped(arrays) -> bytes:
    file = io.BytesIO()
    joblib.dump(arrays, file)
    return file.getvalue()


def test_weights_are_those_that_joblib_wrote(tmp_path, generator):
    arrays = [generator.normal(size=shape).astype("float32") for shape in [(2, 3, 4), (5,), (0,)]]
    arrays.append(np.asfortranarray(arrays[0]))
    found = networks.read_weights(write(tmp_path / "net.lz4", dumped(arrays)))
    for mine, theirs in zip(found, arrays, strict=True):
        assert np.array_equal(mine, theirs)


class Harmful:
    def __reduce__(self):
        return print, ("run",)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not weights",
        dumped([np.ones(3, "float32")])[:-7],
        dumped([np.ones(3)]),
        dumped([np.array(["a"], object)]),
        pickle.dumps([Harmful()]),
        pickle.dumps([1.0]),
    ],
    ids=["empty", "text", "cut", "float64", "objects", "harmful", "numbers"],
)
def test_files_that_hold_no_weights_are_refused(tmp_path, capsys, content):
    with pytest.raises(CheckpointError, match=r"net\.lz4 is damaged.*reinstall mtcnn"):
        networks.read_weights(write(tmp_path / "net.lz4", content))
    assert not capsys.readouterr().out


def test_missing_weights_are_told(tmp_path):
    with pytest.raises(CheckpointError, match="reinstall mtcnn"):
        networks.read_weights(tmp_path / "net.lz4")
