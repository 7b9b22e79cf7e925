"""What speaks against a face's answers, by hand and on real faces."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from conftest import data_folder

from safbage import faces, images
from safbage.faces import Face, detect_faces


def stripes(height=100, width=100):
    """Columns of one pixel, black beside white: as sharp as pixels can be."""
    return np.repeat(
        np.tile(np.array([0, 255], "uint8"), width // 2)[None, :, None], height, axis=0
    ).repeat(3, axis=2)


def straight(left=30, top=30, side=40, *, nose=0.5):
    """A face whose eyes are as far from each other as from the mouth, half of the box's side; the nose between them."""
    x, y, d = left + side / 4, top + side / 4, side / 2
    points = [(x, y), (x + d, y), (x + nose * d, y + d / 2), (x, y + d), (x + d, y + d)]
    return Face((left, top, side, side), 1.0, dict(zip(faces.LANDMARKS, points, strict=True)))


def leaning(degrees):
    """The same face, turned about its nose."""
    face = straight()
    middle, angle = np.array(face.landmarks["nose"]), np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = {n: tuple(middle + turn @ (p - middle)) for n, p in face.landmarks.items()}
    return replace(face, landmarks=turned)


def test_sharpness_by_hand():
    """Of stripes the Laplacian is 2·255 or −2·255, the variance of grey 127.5²; of stripes three wide it is 255, 0 and 255."""
    assert faces.sharpness(stripes(), straight()) == pytest.approx(16)
    wide = np.tile(np.repeat(np.array([0, 255], "uint8"), 3)[None, :, None], (36, 6, 3))
    assert faces.sharpness(wide, Face((0, 0, 36, 36), 1.0, {})) == pytest.approx(
        255**2 * 22 / 36 / 127.5**2
    )
    assert faces.sharpness(np.zeros((100, 100, 3), "uint8"), straight()) == 0


@pytest.mark.parametrize(
    "face, expected",
    [
        (straight(), ""),
        (straight(side=31), "small: 31 px"),
        (straight(side=32), ""),
        (straight(nose=-0.1), ""),  # a yaw of 32°
        (straight(nose=-0.2), "turned away"),  # of 36°
        (straight(nose=1.2), "turned away"),
        (
            replace(straight(), landmarks=dict.fromkeys(faces.LANDMARKS, (50, 50))),
            "turned away",
        ),  # no face seen from the front has such
        (leaning(34), ""),
        (leaning(-36), "leaning: 36°"),
        (leaning(180), "leaning: 180°"),
        (straight(nose=-3, side=14), "small: 14 px, turned away"),
        (
            straight(left=1),
            "",
        ),  # the left eye is 11 pixels from the border, the eyes 20 from each other
        (straight(left=-1), "cut by the border"),
        (straight(top=61), "cut by the border"),  # and so is the mouth 9 from the lower one
        (straight(left=90, side=14), "small: 14 px, cut by the border"),
        (Face((30, 30, 40, 40), 1.0, {}), ""),
    ],
)
def test_quality_by_hand(face, expected):
    assert faces.describe_quality(stripes(), face) == expected


def test_a_real_face_is_fine_until_it_is_blurred_reduced_or_cut(astronaut):
    (face,) = detect_faces(astronaut)
    assert faces.describe_quality(astronaut, face) == ""
    width = face.box[2]
    assert (
        faces.describe_quality(cv2.GaussianBlur(astronaut, (0, 0), width / 20), face) == "blurred"
    )
    (small,) = detect_faces(images.resize(astronaut, (130, 130)))
    assert faces.describe_quality(images.resize(astronaut, (130, 130)), small).startswith("small: ")
    left = round(face.landmarks["left_eye"][0]) - 5
    (cut,) = detect_faces(astronaut[:, left:])
    assert "cut by the border" in faces.describe_quality(astronaut[:, left:], cut)


def test_few_faces_of_utkface_are_called_bad():
    portraits = sorted(data_folder("UTKFace").iterdir())[7::160]
    found = [
        (image, face) for image in map(images.read, portraits) for face in detect_faces(image)[:1]
    ]
    assert len(found) > 80
    assert sum(faces.describe_quality(*one) != "" for one in found) / len(found) < 0.05
