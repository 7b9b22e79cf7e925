"""The crop and its borders, by hand; a map's cells near landmarks."""

import numpy as np
import pytest

from safbage import faces
from safbage.faces import crop_face, detect_faces, square


def test_the_square_is_the_longer_side_times_1_3_about_the_centre():
    assert square((100, 200, 80, 100), 0.3) == (75, 185, 130)  # centre (140, 250), side 130
    assert square((10, 10, 40, 20), 0) == (10, 0, 40)


def gradient(height, width):
    """Each pixel knows where it is: red its column, green its row."""
    rows, columns = np.mgrid[:height, :width]
    return np.dstack([columns, rows, np.zeros_like(rows)]).astype("uint8")


@pytest.mark.parametrize("left", [-20, 30, 80])
@pytest.mark.parametrize("top", [-20, 30, 80])
def test_beyond_each_border_and_corner_the_last_pixels_repeat(left, top):
    crop = crop_face(gradient(100, 100), (left, top, 40, 40), margin=0, size=40)
    expected = np.clip(np.arange(left, left + 40), 0, 99), np.clip(np.arange(top, top + 40), 0, 99)
    assert np.array_equal(crop[:, :, 0], np.tile(expected[0], (40, 1)))
    assert np.array_equal(crop[:, :, 1], np.tile(expected[1][:, None], (1, 40)))


def test_an_image_that_is_wholly_face():
    crop = crop_face(gradient(100, 100), (0, 0, 100, 100), margin=0.3, size=130)
    assert crop.shape == (130, 130, 3)
    assert (crop[:, :15, 0] == 0).all() and (crop[:, 115:, 0] == 99).all()
    assert np.array_equal(crop[15:115, 15:115], gradient(100, 100))


def test_the_crop_is_224_by_default_and_takes_a_face(astronaut):
    (face,) = detect_faces(astronaut)
    crop = crop_face(astronaut, face)
    assert crop.shape == (224, 224, 3) and crop.dtype == np.uint8
    assert np.array_equal(crop, crop_face(astronaut, face.box, margin=0.3, size=224))


def dotted(angle):
    """A dark picture with two bright eyes 60 px apart, the one on the right lower by `angle`; and its face."""
    picture, middle = np.zeros((300, 300, 3), "uint8"), np.array((150, 130))
    half = 30 * np.array((np.cos(np.radians(angle)), np.sin(np.radians(angle))))
    eyes = [tuple(map(float, middle - half)), tuple(map(float, middle + half))]
    for x, y in eyes:
        picture[round(y) - 3 : round(y) + 4, round(x) - 3 : round(x) + 4] = 255
    points = [*eyes, (150, 150), (140, 180), (160, 180)]
    landmarks = dict(zip(faces.LANDMARKS, points, strict=True))
    return picture, faces.Face((100, 80, 100, 120), 1.0, landmarks)


def dots(crop):
    """(row, column) of the bright dot in the left half and in the right."""
    rows, columns = np.nonzero(crop[:, :, 0] > 128)
    sides = [columns < crop.shape[1] / 2, columns >= crop.shape[1] / 2]
    return np.array([(rows[side].mean(), columns[side].mean()) for side in sides])


@pytest.mark.parametrize("angle", [-40, -10, 25])
def test_aligned_eyes_are_level_and_as_far_apart_as_before(angle):
    picture, face = dotted(angle)
    left, right = dots(crop_face(picture, face, align=True))
    apart = 60 * 224 / square(face.box)[2]
    assert abs(left[0] - right[0]) < 2 and right[1] - left[1] == pytest.approx(apart, abs=2)
    tilted = dots(crop_face(picture, face))
    assert np.sign(tilted[1][0] - tilted[0][0]) == np.sign(angle)


@pytest.mark.parametrize("size", [32, 224, 500])
def test_aligning_level_eyes_or_a_box_changes_nothing(astronaut, size):
    picture, face = dotted(0)
    plain = crop_face(picture, face, size=size)
    assert np.array_equal(crop_face(picture, face, size=size, align=True), plain)
    assert np.array_equal(crop_face(picture, face.box, size=size, align=True), plain)
    turned = dotted(20)
    assert crop_face(*turned, size=size, align=True).shape == (size, size, 3)


def test_an_aligned_crop_at_the_border_repeats_its_last_pixels():
    _, face = dotted(30)
    crop = crop_face(np.full((190, 190, 3), 90, "uint8"), face, align=True)
    assert (crop == 90).all()


@pytest.mark.parametrize("box", [(0, 0, 0, 10), (500, 0, 20, 20), (-50, -50, 20, 20)])
def test_boxes_without_pixels_are_refused(box):
    with pytest.raises(ValueError, match=r"area|outside"):
        crop_face(gradient(100, 100), box)


def test_cells_near_landmarks_by_hand():
    """A box of 100, so a crop of 130 from 85 on: with 13×13 cells of 10 pixels, landmarks on the middles of two cells."""
    nose, elsewhere = (150, 150), (120, 180)
    face = faces.Face(
        (100, 100, 100, 100), 1.0, dict(zip(faces.LANDMARKS, [nose, *[elsewhere] * 4], strict=True))
    )
    near = faces.near_landmarks(face, (13, 13), radius=0.06)
    assert near[6, 6] and near[9, 3] and near.sum() == 2
    assert (
        faces.near_landmarks(face, (13, 13), radius=0.11).sum() == 2 * 5
    )  # and the four cells about each


def test_more_radius_more_cells(astronaut):
    (face,) = faces.detect_faces(astronaut)
    counts = [faces.near_landmarks(face, radius=radius).sum() for radius in (0, 0.1, 0.2, 3)]
    assert counts[0] == 0 and counts == sorted(counts) and counts[-1] == 28 * 28
