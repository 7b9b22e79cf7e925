"""Faces linked over frames, carried between detections, and answered once for each track."""

import json

import made_films
import numpy as np
import pandas as pd
import pytest

from safbage import faces, films, images
from safbage.faces import LANDMARKS, Face
from safbage.tasks import CLASSES
from safbage.tracks import Tracker, follow, per_track, pooled


def face(x, y, side=10.0):
    """A face whose box has its middle there."""
    places = zip(LANDMARKS, ((-2, -2), (2, -2), (0, 0), (-2, 3), (2, 3)), strict=True)
    points = {name: (x + dx * side / 10, y + dy * side / 10) for name, (dx, dy) in places}
    return Face((x - side / 2, y - side / 2, side, side), 1.0, points)


def link(frames, **options):
    """The tracks of frames that are a second apart."""
    tracker = Tracker(**options)
    return [tracker.link(found, float(time)) for time, found in enumerate(frames)]


def test_a_face_keeps_its_number_and_a_new_one_gets_the_next():
    assert link([[face(0, 0)], [face(3, 0), face(50, 50)], [face(51, 50), face(6, 0)]]) == [
        [0],
        [0, 1],
        [1, 0],
    ]


def test_two_that_pass_each_other_keep_their_numbers():
    """At second 3 both are at one place but for a pixel; each goes on as it went."""
    frames = [[face(6 * t, 0), face(37 - 6 * t, 0)] for t in range(7)]
    assert link(frames) == [[0, 1]] * 7


def test_a_face_that_is_hidden_for_a_while_is_known_again_where_it_was_going():
    frames = [[face(4 * t, 0)] for t in range(3)] + [[], []] + [[face(20, 0)]]
    assert link(frames, gap_s=3)[-1] == [0]
    assert link(frames, gap_s=0)[-1] == [1]  # 2.5 intervals, so not after three


@pytest.mark.parametrize("other", [face(40, 0), face(0, 0, side=30)])
def test_one_that_is_too_far_away_or_of_another_size_is_another(other):
    assert link([[face(0, 0)], [other]]) == [[0], [1]]


def test_without_landmarks_the_boxes_count():
    bare = [Face(each.box, 1.0, {}) for each in (face(0, 0), face(50, 0), face(2, 0), face(52, 0))]
    assert link([bare[:2], bare[:1:-1]]) == [[0, 1], [1, 0]]


def test_a_cleared_tracker_counts_from_0():
    tracker = Tracker()
    tracker.link([face(0, 0), face(50, 0)], 5.0)
    tracker.clear()
    assert tracker.link([face(50, 0)], 0.0) == [0]


def test_a_tracker_goes_on_from_its_state_as_the_same():
    frames = [[face(6 * t, 0), face(37 - 6 * t, 0)] for t in range(7)]
    whole = link(frames)
    tracker = Tracker()
    for time in range(3):
        tracker.link(frames[time], float(time))
    other = Tracker.from_state(json.loads(json.dumps(tracker.state())))
    assert [other.link(frames[time], float(time)) for time in range(3, 7)] == whole[3:]
    assert other.state() != tracker.state()


@pytest.mark.parametrize("every, seconds", [(0.5, 6), pytest.param(0, 6, marks=pytest.mark.slow)])
def test_three_people_who_cross_keep_their_numbers(tmp_path, every, seconds):
    path, places = made_films.crossing(tmp_path / "crossing.mp4", seconds=seconds)
    tracker, numbers = Tracker(), {}
    for moment, image in films.frames(path, every=every):
        found = faces.detect_enlarged(image)
        for each, track in zip(found, tracker.link(found, moment.time_s), strict=True):
            middle = np.array(each.box[:2]) + np.array(each.box[2:]) / 2
            away = [np.linalg.norm(middle - np.array(at) - 56) for at in places[moment.frame]]
            numbers.setdefault(int(np.argmin(away)), set()).add(track)
    assert (
        sorted(map(len, numbers.values())) == [1, 1, 1] and len(set.union(*numbers.values())) == 3
    )


# --- following -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two(astronaut):
    """A photo with room around it, and its face."""
    (found, *_) = faces.detect_faces(astronaut)
    return astronaut, found


def moved(image, movement):
    import cv2

    return cv2.warpAffine(
        image, np.float32(movement), image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE
    )


def test_a_face_is_carried_by_what_its_pixels_did(two):
    image, found = two
    (other,) = follow(image, moved(image, [[1, 0, 12], [0, 1, -7]]), [found])
    expected = np.add(found.box, (12, -7, 0, 0))
    assert np.allclose(other.box, expected, atol=1.0) and other.score == found.score
    for name, (x, y) in found.landmarks.items():
        assert np.allclose(other.landmarks[name], (x + 12, y - 7), atol=1.0)


def test_a_face_that_comes_nearer_grows(two):
    image, found = two
    (other,) = follow(image, moved(image, [[1.1, 0, -20], [0, 1.1, -10]]), [found])
    assert np.allclose(np.array(other.box[2:]) / found.box[2:], 1.1, atol=0.02)


def test_what_is_hidden_has_left_or_was_cut_is_lost(two):
    image, found = two
    assert follow(image, np.full_like(image, 128), [found]) == []
    assert follow(image, image[:-2], [found]) == []
    assert follow(image, image, []) == []


def test_a_box_ends_at_the_border(two):
    image, found = two
    (other,) = follow(image, moved(image, [[1, 0, 0], [0, 1, -found.box[1] - 20]]), [found])
    assert other.box[1] == 0 and np.isclose(other.box[3], found.box[3] - 20, atol=1.5)


# --- one answer for each track -------------------------------------------------------------------------------------------


def test_frames_are_pooled_by_the_mean_of_their_log_probabilities():
    """√(0.9·0.4) : √(0.1·0.6) = 0.6 : 0.245; the second frame alone would say the other."""
    together, agreed = pooled(np.array([[0.9, 0.1], [0.4, 0.6]]))
    assert np.allclose(together, np.array([0.6, np.sqrt(0.06)]) / (0.6 + np.sqrt(0.06)))
    assert agreed == 0.5
    alone, agreed = pooled(np.array([[0.25, 0.75]]))
    assert np.allclose(alone, [0.25, 0.75]) and agreed == 1


def test_no_frame_alone_rules_a_class_out():
    together, _ = pooled(np.array([[0.9, 0.1]] * 9 + [[0.0, 1.0]]))
    assert together.argmax() == 0


def table(rows):
    males = [
        {f"gender[{name}]": p for name, p in zip(CLASSES["gender"], row.pop("p"), strict=True)}
        for row in rows
    ]
    return pd.DataFrame([row | male for row, male in zip(rows, males, strict=True)])


def test_each_track_of_each_film_has_one_row():
    rows = [
        {"photo": "a.mp4", "time_s": 0.0, "track": 0, "p": (0.9, 0.1)},
        {"photo": "a.mp4", "time_s": 0.0, "track": 1, "p": (0.2, 0.8)},
        {"photo": "a.mp4", "time_s": 0.5, "track": 0, "p": (0.4, 0.6)},
        {"photo": "b.mp4", "time_s": 2.0, "track": 0, "p": (0.3, 0.7)},
        {"photo": "b.mp4", "time_s": 9.0, "track": None, "p": (None, None)},
    ]
    found = per_track(table(rows), ["gender"])
    assert ",".join(found) == ("photo,track,frames,first_s,last_s,gender,gender_p,gender_agreed")
    assert found[["photo", "track", "frames", "first_s", "last_s"]].to_numpy().tolist() == [
        ["a.mp4", 0, 2, 0.0, 0.5],
        ["a.mp4", 1, 1, 0.0, 0.0],
        ["b.mp4", 0, 1, 2.0, 2.0],
    ]
    assert found.gender.tolist() == ["male", "female", "female"]
    assert found.gender_agreed.tolist() == [0.5, 1, 1]
    assert np.allclose(found.gender_p, [0.71, 0.8, 0.7], atol=0.001)


def test_a_table_without_tracks_or_probabilities_is_refused():
    with pytest.raises(ValueError, match=r"lacks .*track.* probabilities=True"):
        per_track(pd.DataFrame({"photo": ["a"]}), ["gender"])


def test_a_picture_of_a_test_has_faces():
    """The films are no use to tests unless the detector takes their drawings for faces."""
    scene = made_films.scene(made_films.people(3), [(0, 0), (150, 60), (310, 120)])
    assert len(faces.detect_enlarged(images.as_rgb(scene))) == 3
