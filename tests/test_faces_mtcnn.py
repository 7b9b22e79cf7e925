"""The way through MTCNN's networks gives the boxes of the mtcnn package."""

import os

import numpy as np
import pytest
from conftest import data_folder
from test_faces_detect import iou
from test_faces_networks import WAYS, run_by

from safbage import images
from safbage.faces import detect_faces, mtcnn
from safbage.faces.mtcnn import non_maximum_suppression
from safbage.faces.networks import Networks, networks


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


@pytest.mark.parametrize("way", WAYS)
def test_the_way_is_the_same_whoever_runs_the_networks(astronaut, way):
    options = dict(min_face_size=20, thresholds=(0.6, 0.7, 0.8), scale_factor=0.709)
    expected = mtcnn.detect(networks(), astronaut, **options)
    found = mtcnn.detect(run_by(way), astronaut, **options)
    for stage, arrays in expected.items():
        for mine, theirs in zip(arrays, found[stage], strict=True):
            assert np.allclose(mine, theirs, atol=0.01), stage


@pytest.mark.parametrize("size", [(40, 60), (61, 37)])
def test_levels_and_patches_are_tensorflows(generator, size):
    tf = pytest.importorskip("tensorflow")
    photo = generator.uniform(-1, 1, (*size, 3)).astype("float32")
    sizes = []

    def note(level):
        sizes.append(level.shape[2:])
        expected = tf.image.resize(photo[None], sizes[-1], tf.image.ResizeMethod.AREA)
        assert np.allclose(level[0].transpose(1, 2, 0), expected[0], atol=1e-3)
        return np.zeros((1, 4, 1, 1)), np.zeros((1, 2, 1, 1))

    for smallest in (4, 12, 20):
        mtcnn.detect(
            Networks(note, None, None),
            photo * 128 + 127.5,
            min_face_size=smallest,
            thresholds=(0.6, 0.7, 0.8),
            scale_factor=0.709,
        )
    assert (3 * size[0], 3 * size[1]) in sizes and size in sizes and min(min(sizes)) < 20

    corner = generator.uniform(-20, 50, (9, 2))
    boxes = np.hstack([corner, corner + generator.uniform(3, 50, (9, 1))])
    height, width = size
    relative = (boxes / [width, height, width, height])[:, [1, 0, 3, 2]]
    expected = tf.image.crop_and_resize(photo[None], relative, np.zeros(9, int), (24, 24))
    assert np.allclose(mtcnn.cut_patches(photo, boxes, 24), expected, atol=1e-3)


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
