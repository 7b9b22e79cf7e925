"""Faces of any photo, and bounded memory."""

import json
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from safbage import faces, images
from safbage.errors import ImageError
from safbage.faces import Face, detect, detect_faces, square
from safbage.faces.networks import networks


def iou(a, b):
    """Intersection over union of two boxes (left, top, width, height)."""
    overlap = [max(0, min(a[i] + a[i + 2], b[i] + b[i + 2]) - max(a[i], b[i])) for i in (0, 1)]
    intersection = overlap[0] * overlap[1]
    return intersection / (a[2] * a[3] + b[2] * b[3] - intersection)


def test_the_astronaut_has_one_face(astronaut):
    (face,) = detect_faces(astronaut)
    left, top, width, height = face.box
    assert 160 < left < 190 and 55 < top < 85 and 75 < width < 110 and 100 < height < 130
    assert face.score > 0.99
    eyes = face.landmarks["left_eye"], face.landmarks["right_eye"]
    assert left < eyes[0][0] < eyes[1][0] < left + width
    assert eyes[0][1] < face.landmarks["nose"][1] < face.landmarks["mouth_left"][1] < top + height
    assert json.loads(json.dumps(face.__dict__))["score"] == face.score


def test_a_face_of_16_pixels_is_found_in_its_own_pixels(astronaut):
    (large,) = detect_faces(astronaut)
    left, top, side = square(large.box, margin=0)
    small = images.resize(astronaut[top : top + side, left : left + side], (16, 16))
    assert detect_faces(small) == []
    (face,) = faces.detect_enlarged(small, min_face=0.4)
    assert iou(face.box, (0, 0, 16, 16)) > 0.5
    assert all(0 <= x <= 16 and 0 <= y <= 16 for x, y in face.landmarks.values())
    assert faces.detect_enlarged(astronaut) == detect_faces(astronaut)


@pytest.mark.parametrize("size", [4, 12, 20, 28, 40, 90])
def test_any_smallest_face_works(astronaut, size):
    """The package crashes from 28 on. The surest face stays the astronaut's; its box moves a little with the pyramid."""
    assert (
        iou(detect_faces(astronaut, min_face_size=size)[0].box, detect_faces(astronaut)[0].box)
        > 0.7
    )


def test_a_smallest_face_larger_than_the_photo_finds_nothing(astronaut):
    assert detect_faces(astronaut, min_face_size=1000) == []


def test_every_kind_of_array_gives_the_same_face(astronaut):
    (face,) = detect_faces(astronaut)
    alpha = np.dstack([astronaut, np.full(astronaut.shape[:2], 255, "uint8")])
    for same in (
        astronaut / 255,
        astronaut.astype("float32"),
        alpha,
        astronaut.astype("uint16") * 257,
    ):
        assert iou(detect_faces(same)[0].box, face.box) > 0.99
    grey = astronaut.mean(axis=2).astype("uint8")
    assert iou(detect_faces(grey)[0].box, face.box) > 0.85
    with pytest.raises(ImageError, match="list"):
        detect_faces(astronaut[None])


@pytest.mark.parametrize("shape", [(1, 1), (5, 900), (11, 11), (12, 12), (20, 20), (300, 7)])
def test_photos_too_small_or_narrow_have_no_face(shape):
    assert detect_faces(np.full((*shape, 3), 127, "uint8")) == []


def test_a_flat_photo_has_no_face():
    assert detect_faces(np.zeros((300, 300, 3), "uint8")) == []


def test_a_face_in_a_large_photo_is_found_in_its_own_pixels(astronaut):
    large = images.resize(astronaut, (5120, 5120))
    (face, *_) = detect_faces(large)
    (small,) = detect_faces(astronaut)
    assert iou(np.array(face.box) / 10, small.box) > 0.8


@pytest.mark.parametrize(
    "shape, options", [((6000, 9000), {}), ((1500, 1500), {"min_face_size": 1})]
)
def test_no_level_of_the_pyramid_is_larger_than_max_side(monkeypatch, shape, options):
    sizes, three = [], networks()

    def noted(level):
        sizes.append(level.shape[2:])
        return three.proposal(level)

    monkeypatch.setattr(detect, "networks", lambda: three._replace(proposal=noted))
    detect_faces(np.zeros((*shape, 3), "uint8"), max_side=400, **options)
    assert 390 <= np.max(sizes) <= 400


def test_memory_stays_bounded_on_noise(generator):
    noise = generator.integers(0, 256, (1000, 1000, 3), "uint8")
    detect_faces(noise[:100, :100])
    tracemalloc.start()
    detect_faces(noise)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300e6


MANY_SIZES = """
import numpy as np, psutil
from safbage import images
from safbage.faces import detect_faces

generator, photo = np.random.default_rng(0), images.astronaut()
for count in (30, 100):
    for size in generator.integers(200, 600, (count, 2)).tolist():
        detect_faces(images.resize(photo, tuple(size)))
    print(psutil.Process().memory_info().rss)
"""


@pytest.mark.slow
def test_memory_stays_flat_over_photos_of_many_sizes():
    """An engine that prepares itself for each size, and keeps that, took 5 MB a photo. (In a process of its own: beside
    TensorFlow's gigabytes the figure swings by 50 MB.)"""
    command = [sys.executable, "-c", MANY_SIZES]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    before, after = map(int, said.split())
    assert after - before < 25e6


@pytest.mark.parametrize(
    "options", [{"min_face_size": 0}, {"scale_factor": 1}, {"thresholds": (0.5,)}, {"max_side": 3}]
)
def test_options_out_of_range_are_refused(astronaut, options):
    with pytest.raises(ValueError, match="expected min_face_size"):
        detect_faces(astronaut, **options)


def test_faces_are_plain_values():
    assert Face((0.0, 0.0, 1.0, 1.0), 0.9, {}).__dict__ == {
        "box": (0.0, 0.0, 1.0, 1.0),
        "score": 0.9,
        "landmarks": {},
    }
    assert faces.LANDMARKS[0] == "left_eye"


def test_the_largest_faces_keep_their_order():
    found = [Face((0, 0, side, side + 1), 1.0, {}) for side in (10, 40, 20, 30)]

    def sides(**options):
        return [face.box[2] for face in faces.largest(found, **options)]

    assert sides() == [10, 40, 20, 30]
    assert sides(min_face=20) == [40, 20, 30]
    assert sides(max_faces=2) == [40, 30]
    assert sides(min_face=35, max_faces=2) == [40] and sides(min_face=100) == []


def test_each_stage_passes_fewer_and_the_last_is_the_answer(astronaut):
    stages = faces.detection_stages(astronaut)
    counts = [len(stages[name]) for name in ("proposal", "refinement", "output")]
    assert counts[0] > counts[1] >= counts[2] == 1
    assert stages["output"] == faces.detect_faces(astronaut)
    assert all(not face.landmarks for name in ("proposal", "refinement") for face in stages[name])
    strict = faces.detection_stages(astronaut, thresholds=(0.9, 0.7, 0.8))
    assert len(strict["proposal"]) < counts[0]
