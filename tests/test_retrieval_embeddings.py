"""Embeddings: from which layers, of which length, kept on disk."""

import numpy as np
import pytest

from safbage import classifiers, retrieval
from safbage.experiments import Arm
from safbage.retrieval.embeddings import Trunk
from safbage.reweighting import reweight
from safbage.runtime.backend import keras, layers
from safbage.tasks import CLASSES


@pytest.fixture
def tiny(monkeypatch):
    """A trunk that answers the mean of each colour, and the list of its builds."""
    built = []

    def build():
        built.append(1)
        face = keras.Input((224, 224, 3), name="face")
        return keras.Model(face, layers.GlobalAveragePooling2D(name="gap")(face), name="tiny")

    monkeypatch.setitem(retrieval.TRUNKS, "tiny", Trunk("face", "nothing", build))
    return built


def test_the_shipped_trunk_embeds_by_what_its_answers_are_made_of(prepared, tmp_path):
    """So the apparent groups that follow from embeddings are the shipped network's own answers."""
    crops, maps = prepared.faces(range(len(prepared)))
    faces = reweight(crops, maps, 0.3, rounded=False)
    found = retrieval.apparent(prepared, tmp_path, progress=False)
    vectors = retrieval.embed(prepared, Arm("face-mobilenet", 0.3), tmp_path, progress=False)
    assert vectors.shape == (len(crops), 1024)
    for task, column in (("gender", "gender"), ("age", "age_group")):
        answers = np.asarray(classifiers.load(task).predict_on_batch(faces)).argmax(axis=1)
        theirs = np.array(CLASSES[task])[answers]
        assert (found[column] == theirs).mean() >= 0.95, "pixels are rounded before an embedding"
    assert len(list(tmp_path.iterdir())) == 1, "one set of features serves for all"


def test_faces_are_reweighted_as_the_arm_says(prepared, tmp_path, tiny):
    crops, maps = prepared.faces(range(len(prepared)))
    for arm in (Arm("tiny", 0.0), Arm("tiny", 0.9), Arm("tiny", 0.3, "clip")):
        means = reweight(crops, maps, arm.ratio, mode=arm.mode).mean(axis=(1, 2))
        found = retrieval.embed(prepared, arm, tmp_path, progress=False)
        assert found == pytest.approx(retrieval.normalize(means), abs=1e-3)
        assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-6)
    assert len({path.name for path in tmp_path.iterdir()}) == 3


def test_embeddings_are_computed_once(prepared, tmp_path, tiny):
    arm = Arm("tiny", 0.3)
    before = retrieval.embed(prepared, arm, tmp_path, progress=False)
    (file,) = tmp_path.glob("*/features.npy")
    written = file.stat().st_mtime_ns
    again = retrieval.embed(prepared, arm, tmp_path, progress=False)
    assert (before == again).all() and file.stat().st_mtime_ns == written


def test_an_unknown_trunk_is_refused(prepared, tmp_path):
    with pytest.raises(ValueError, match="no trunk 'vgg16'; there are face-mobilenet, alexnet"):
        retrieval.embed(prepared, Arm("vgg16", 0.3), tmp_path)
    with pytest.raises(ValueError, match=r"a trunk is one of face-mobilenet.*; got vgg16"):
        retrieval.arms(["alexnet", "vgg16"])


@pytest.mark.slow
@pytest.mark.parametrize("name, size", [("alexnet", 256), ("efficientnet-lite2", 1280)])
def test_imagenets_trunks(name, size, generator):
    faces = generator.uniform(0, 255, (2, 224, 224, 3)).astype("float32")
    model = retrieval.embedder(name)
    assert np.asarray(model.predict_on_batch(faces)).shape == (2, size)
    other = retrieval.embedder(name)
    assert (np.asarray(other.predict_on_batch(faces)) == model.predict_on_batch(faces)).all(), (
        "nothing in it is random"
    )
