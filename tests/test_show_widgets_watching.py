"""Frames one after another: faces followed between searches, and answers of the last second together."""

from types import SimpleNamespace

import numpy as np
import pytest

from safbage import faces
from safbage.faces import Face
from safbage.show.widgets import watching
from safbage.show.widgets.watching import Watcher

GREY = np.full((90, 320, 3), 128, "uint8")


def face(left=40.0, side=40.0):
    return Face((left, 20.0, side, side), 0.9, {})


class Model:
    """Answers each frame with the next of the chances that a face is male, and a map that is as bright."""

    def __init__(self, *chances):
        self.chances, self.ratios = list(chances), []

    def answer(self, crops, *, ratio):
        self.ratios.append(ratio)
        chance = self.chances.pop(0)
        return {
            "gender": np.tile(np.float32([chance, 1 - chance]), (len(crops), 1)),
            "map": np.full((len(crops), 28, 28), chance, "float32"),
            "cam_gender": np.full((len(crops), 7, 7, 2), 10 * chance, "float32"),
        }

    def parted(self, outputs):
        years = np.float32([[100 * outputs["gender"][0, 0], 1, 99]] * len(outputs["gender"]))
        return dict(
            probabilities={"gender": outputs["gender"]},
            cams={"gender": outputs["cam_gender"]},
            years=years,
        )


@pytest.fixture
def detector(monkeypatch):
    """Faces that the detector finds, and how often it was asked; `found` can be changed."""
    seen = SimpleNamespace(found=[face()], calls=0)

    def detect(frame, **options):
        seen.calls += 1
        return list(seen.found)

    monkeypatch.setattr(faces, "detect_faces", detect)
    return seen


@pytest.fixture
def followed(monkeypatch):
    """Stands for optical flow: what is followed is found again, unless `lost`."""
    seen = SimpleNamespace(lost=False)
    monkeypatch.setattr(watching, "follow", lambda a, b, found: [] if seen.lost else list(found))
    return seen


def test_answers_are_those_of_the_last_second_together(detector, followed):
    """Of 0.2 and 0.8 the geometric means are alike, so together they say one half; of maps and years, the mean."""
    watcher = Watcher(Model(0.2, 0.8, 0.9, 0.9), detect_every=1)
    first, second = (watcher.look(GREY, time_s, ratio=0.3) for time_s in (5.0, 5.5))
    assert np.allclose(first.probabilities["gender"], [[0.2, 0.8]])
    assert np.allclose(second.probabilities["gender"], [[0.5, 0.5]], atol=1e-6)
    assert np.allclose(second.maps, 0.5) and np.allclose(second.cams["gender"], 5)
    assert np.allclose(second.years, [[50, 1, 99]])
    assert second.tracks == [0] and second.quality == faces_quality(second)
    later = watcher.look(GREY, 6.1, ratio=0.3)  # the first is more than a second old
    odds = np.sqrt(0.8 * 0.9 / (0.2 * 0.1))
    assert np.allclose(later.probabilities["gender"], [[odds / (1 + odds), 1 / (1 + odds)]])
    alone = watcher.look(GREY, 7.2, ratio=0.3)
    assert np.allclose(alone.probabilities["gender"], [[0.9, 0.1]])


def faces_quality(seen):
    return [faces.describe_quality(seen.image, one) for one in seen.faces]


def test_answers_at_another_ratio_are_not_mixed(detector, followed):
    watcher = Watcher(model := Model(0.2, 0.9))
    watcher.look(GREY, 0.0, ratio=0.3)
    moved = watcher.look(GREY, 0.1, ratio=0.7)
    assert np.allclose(moved.probabilities["gender"], [[0.9, 0.1]]) and moved.ratio == 0.7
    assert model.ratios == [0.3, 0.7]


def test_people_are_smoothed_each_by_themselves(detector, followed):
    watcher = Watcher(Model(0.2, 0.8), max_faces=2, detect_every=1)
    watcher.look(GREY, 0.0, ratio=0.3)
    detector.found = [face(110.0), face()]  # another one, who is surer
    both = watcher.look(GREY, 0.1, ratio=0.3)
    assert both.tracks == [1, 0]
    assert np.allclose(both.probabilities["gender"], [[0.8, 0.2], [0.5, 0.5]], atol=1e-6)


def test_faces_are_searched_for_in_every_third_frame_and_where_none_is_known(detector, followed):
    watcher = Watcher(Model(*[0.5] * 9))
    counts = [(watcher.look(GREY, i / 10, ratio=0.3), detector.calls)[1] for i in range(5)]
    assert counts == [1, 1, 1, 2, 2]
    followed.lost = True
    watcher.look(GREY, 0.6, ratio=0.3)
    assert detector.calls == 3  # at once
    detector.found = []
    gone = [watcher.look(GREY, 0.7 + i / 10, ratio=0.3) for i in range(3)]
    assert detector.calls == 6 and not any(seen.faces for seen in gone)
    assert gone[0].status == "no face" and gone[0].image is GREY


def test_the_largest_faces_are_answered_and_the_others_passed_over(detector, followed):
    detector.found = [face(side=30), face(90.0, side=60), face(side=20)]
    assert Watcher(Model(0.5)).look(GREY, 0, ratio=0.3).faces == [face(90.0, side=60)]
    seen = Watcher(Model(0.5), max_faces=2).look(GREY, 0, ratio=0.3)
    assert seen.faces == detector.found[:2]


def test_tracks_begin_anew_where_all_is_forgotten(detector, followed):
    watcher = Watcher(Model(0.2, 0.2, 0.8), max_faces=1, detect_every=1)
    watcher.look(GREY, 0.0, ratio=0.3)
    detector.found = [face(250.0)]
    assert watcher.look(GREY, 0.1, ratio=0.3).tracks == [1]
    watcher.clear()
    again = watcher.look(GREY, 0.2, ratio=0.3)
    assert again.tracks == [0] and np.allclose(again.probabilities["gender"], [[0.8, 0.2]])


def test_it_goes_on_after_a_frame_that_failed(detector, followed):
    watcher = Watcher(Model(0.2))
    watcher.look(GREY, 0.0, ratio=0.3)
    with pytest.raises(IndexError):
        watcher.look(GREY, 0.1, ratio=0.3)
    watcher.model.chances = [0.8]
    seen = watcher.look(GREY, 0.2, ratio=0.3)
    assert np.allclose(seen.probabilities["gender"], [[0.5, 0.5]], atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 640), (8, 8), (480, 640)])
def test_a_frame_without_a_face_says_so_whatever_its_size(size):
    seen = Watcher(Model()).look(np.zeros((*size, 3), "uint8"), 0.0, ratio=0.3)
    assert (seen.status, seen.faces) == ("no face", [])


def test_frames_of_different_sizes_follow_one_another(detector):
    watcher = Watcher(Model(0.5, 0.5))
    watcher.look(GREY, 0.0, ratio=0.3)
    turned = np.ascontiguousarray(GREY.swapaxes(0, 1))  # as when a phone is turned
    assert watcher.look(turned, 0.1, ratio=0.3).faces and detector.calls == 2


@pytest.mark.parametrize(
    "options", [dict(max_faces=0), dict(detect_every=0), dict(smooth_s=-1)], ids=str
)
def test_options_out_of_range_are_told(options):
    with pytest.raises(ValueError, match="expected max_faces ≥ 1"):
        Watcher(Model(), **options)


def test_a_face_is_found_and_followed_in_a_picture_that_moves(astronaut):
    watcher = Watcher(Model(0.5, 0.5, 0.5), detect_every=2)
    moved = [np.roll(astronaut, shift, axis=1) for shift in (0, 4, 8)]
    seen = [watcher.look(frame, i / 10, ratio=0.3) for i, frame in enumerate(moved)]
    boxes = np.array([one.faces[0].box for one in seen])
    assert np.allclose(np.diff(boxes[:, 0]), 4, atol=1) and np.ptp(boxes[:, 1:], axis=0).max() < 6
    assert [one.tracks for one in seen] == [[0]] * 3
    assert np.array_equal(seen[1].crops[0], faces.crop_face(moved[1], seen[1].faces[0]))
