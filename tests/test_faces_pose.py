"""Head pose: of a face that is turned by known angles, of drawn faces, and where there is none."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from safbage import faces
from safbage.datasets.drawn import factors_of, render
from safbage.faces import Face, Pose, head_pose, pose
from safbage.tasks import LANDMARK_COLUMNS


def seen(roll=0.0, yaw=0.0, pitch=0.0, *, distance=150, pixels=10, place=(300, 200)):
    """The generic face turned by these angles, `distance` centimetres from the camera."""
    turn = Rotation.from_euler("ZYX", [roll, -yaw, pitch], degrees=True)
    x, y, z = turn.apply(pose.MODEL).T
    points = np.column_stack([x, y]) * (pixels * distance / (distance + z))[:, None] + place
    points = map(tuple, points.tolist())
    return Face((0, 0, 100, 100), 1.0, dict(zip(faces.LANDMARKS, points, strict=True)))


def test_a_face_that_looks_at_the_camera():
    assert np.allclose(head_pose(seen()), 0, atol=0.5)


@pytest.mark.parametrize(
    "angle, side", [("roll", (0, 1)), ("yaw", (1, 0)), ("pitch", (0, 1))], ids=lambda value: value
)
def test_signs_by_hand(angle, side):
    """Clockwise lowers the eye on the right; to the right moves the nose there; downward lowers it."""
    straight, turned = (seen(**given).landmarks for given in ({}, {angle: 20}))
    point = "right_eye" if angle == "roll" else "nose"
    moved = np.subtract(turned[point], straight[point])
    assert moved @ side > 5
    assert getattr(head_pose(seen(**{angle: 20})), angle) == pytest.approx(20, abs=2)


@pytest.mark.parametrize("distance", [60, 150, 400])
def test_known_angles_come_back_whatever_the_distance(distance):
    generator = np.random.default_rng(0)
    for _ in range(50):
        true = generator.uniform([-170, -50, -35], [170, 50, 35])
        assert np.allclose(head_pose(seen(*true, distance=distance)), true, atol=5)


def test_place_and_size_do_not_matter_and_turning_the_picture_changes_the_roll_alone():
    near = head_pose(seen(5, 20, -10))
    assert np.allclose(head_pose(seen(5, 20, -10, pixels=1, place=(9000, -40))), near, atol=0.01)
    assert np.allclose(np.subtract(head_pose(seen(65, 20, -10)), near), (60, 0, 0), atol=0.5)


def test_where_there_is_no_pose():
    nothing = Face((0, 0, 9, 9), 1.0, {})
    place = replace(nothing, landmarks=dict.fromkeys(faces.LANDMARKS, (3.0, 3.0)))
    line = replace(nothing, landmarks={n: (i, i) for i, n in enumerate(faces.LANDMARKS)})
    assert [head_pose(face) for face in (nothing, place, line)] == [None] * 3
    assert faces.eye_angle(nothing) == faces.eye_angle(place) == 0
    assert set(faces.landmark_values(nothing).values()) == {None}


def test_values_by_column():
    face = seen(10)
    values = faces.landmark_values(face)
    assert tuple(values) == LANDMARK_COLUMNS and len(values) == 13
    assert (values["nose_x"], values["nose_y"]) == face.landmarks["nose"]
    assert Pose(values["roll"], values["yaw"], values["pitch"]) == head_pose(face)
    assert faces.eye_angle(face) == pytest.approx(10, abs=0.5)


@pytest.mark.parametrize("roll", [-25, 0, 25])
def test_the_roll_of_drawn_faces_is_found_and_the_side_they_turn_to(roll):
    for i, yaw in enumerate((-25, 25)):
        factors = replace(factors_of(i), roll=float(roll), yaw=float(yaw), pitch=0.0)
        face = faces.detect_enlarged(render(factors, (320, 320)))[0]
        found = head_pose(face)
        assert abs(found.roll - roll) < 8 and abs(faces.eye_angle(face) - roll) < 8
        assert found.yaw * yaw > 0
