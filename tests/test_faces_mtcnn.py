"""The way through MTCNN's networks gives the boxes of the mtcnn package."""

import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import data_folder
from test_faces_detect import iou

from safbage import images
from safbage.faces import detect_faces, mtcnn
from safbage.faces.mtcnn import non_maximum_suppression


def test_a_file_named_like_the_weights_is_not_loaded(tmp_path):
    """The package would unpickle pnet.lz4 from the working directory."""
    for name in ("pnet.lz4", "rnet.lz4", "onet.lz4"):
        (tmp_path / name).write_bytes(b"not weights")
    code = "from safbage import faces, images; print(len(faces.detect_faces(images.astronaut())))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.strip() == "1", done.stderr


@pytest.mark.parametrize("share", [10, pytest.param(5, marks=pytest.mark.slow)])
def test_boxes_are_those_of_the_mtcnn_package(share):
    """One photo at a time and at the default settings, every face and box is the package's own.

    Left out of the comparison is nothing; where it is repaired on purpose, boxes cannot be compared: the package crashes
    (min_face_size ≥ 28), moves boxes with the photos beside (lists), or finds nothing (floats in 0–1). The one repair that could
    add a face here, a last pyramid level the package's rounding sometimes skips, does not on these photos.
    """
    from mtcnn import MTCNN

    scenes = sorted((data_folder("eyecrowd") / "stimuli").iterdir())[:100:share]
    portraits = sorted(data_folder("UTKFace").iterdir())[::45][:300:share]
    stock, compared = MTCNN(), 0
    for path in [*scenes, *portraits]:
        image = images.read(path)
        ours, theirs = detect_faces(image), stock.detect_faces(image, output_type="numpy")
        assert len(ours) == len(theirs), path.name
        for face, row in zip(ours, theirs, strict=True):
            assert iou(face.box, row[1:5]) >= 0.99, path.name
            assert face.score == pytest.approx(row[5], abs=1e-3)
            landmarks = np.array(list(face.landmarks.values())).T.ravel()
            assert np.abs(landmarks - row[6:16]).max() < 0.5
            compared += 1
    assert compared > 1000 / share


@pytest.mark.skipif(
    os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow",
    reason="compares with the package's models",
)
def test_the_astronauts_box_is_that_of_the_mtcnn_package(astronaut):
    from mtcnn import MTCNN

    (row,) = MTCNN().detect_faces(astronaut, output_type="numpy")
    (face,) = detect_faces(astronaut)
    assert iou(face.box, row[1:5]) >= 0.999


@pytest.mark.skipif(
    os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow",
    reason="compares with the package's models",
)
@pytest.mark.parametrize("size", [(12, 12), (13, 24), (24, 13), (31, 45)])
def test_the_proposal_network_is_the_packages_at_odd_and_even_sizes(generator, size):
    """Its first layers are merged, so cells at the right and lower border, where a pooled pixel has fewer neighbours, tell."""
    from mtcnn import MTCNN

    photo = generator.uniform(-1, 1, (*size, 3)).astype("float32")
    offsets, scores = MTCNN().get_stage(stage_id=1).model(photo[None])
    odd = tuple(side % 2 for side in size)
    cells, own_offsets, own_scores = mtcnn.networks().cells[odd](
        photo, np.array(size, "int32"), 0.0
    )
    assert np.array_equal(cells, np.argwhere(np.ones(scores.shape[1:3])))
    assert np.allclose(own_offsets, np.reshape(offsets, (-1, 4)), atol=1e-5)
    assert np.allclose(own_scores, np.reshape(scores, (-1, 2))[:, 1], atol=1e-5)


def test_suppression_in_chunks_is_the_packages_matrix(generator):
    from mtcnn.utils.bboxes import smart_nms_from_bboxes

    corner = generator.uniform(0, 60, (300, 2))
    boxes = np.hstack([corner, corner + generator.uniform(5, 40, (300, 2))])
    scores = generator.permutation(300) / 300
    rows = np.hstack([np.zeros((300, 1)), boxes, scores[:, None]])
    for of_smaller, method in ((False, "union"), (True, "min")):
        kept = non_maximum_suppression(boxes, scores, 0.5, of_smaller=of_smaller, chunk=64)
        assert np.array_equal(rows[kept], smart_nms_from_bboxes(rows, 0.5, method=method))


def test_suppression_of_nothing():
    assert len(non_maximum_suppression(np.empty((0, 4)), np.empty(0), 0.5)) == 0
