"""Annotated films: which faces are shown when, what is written, and what a damaged film still gives."""

import made_films
import numpy as np
import pandas as pd
import pytest

from safbage import films
from safbage.errors import FilmError
from safbage.show.films import Overlay, Shown, annotate, label
from safbage.tasks import BOX


def table(*rows):
    """Rows of (time_s, track, left), each box 20 wide and high."""
    return pd.DataFrame(
        [
            dict(zip(BOX, (left, 10, 20, 20), strict=True))
            | {"time_s": time, "track": track, "gender": "female", "age_years": 30.2}
            for time, track, left in rows
        ]
    )


def lefts(shown, time):
    return {track: box[0] for track, box, *_ in shown.at(time)}


def test_boxes_move_evenly_between_frames_that_were_looked_at():
    shown = Shown(table((0, 0, 10), (0.5, 0, 20), (1, 0, 20), (0, 1, 40)))
    assert lefts(shown, 0) == {0: 10, 1: 40}
    assert lefts(shown, 0.1) == pytest.approx({0: 12, 1: 40})
    assert lefts(shown, 0.45) == pytest.approx({0: 19})  # track 1 was not seen again
    assert lefts(shown, 1.2) == {0: 20} and lefts(shown, 1.3) == {} == lefts(shown, -0.1)


def test_a_face_that_was_hidden_for_long_has_no_box_meanwhile():
    shown = Shown(table((0, 0, 0), (0.5, 1, 0), (1, 1, 0), (1.5, 1, 0), (2, 0, 40)))
    assert 0 not in lefts(shown, 1) and lefts(shown, 2)[0] == 40


def test_a_table_without_faces_shows_none():
    assert Shown(pd.DataFrame({"time_s": [0.0], "track": [None]})).at(0) == []


@pytest.mark.parametrize(
    "row, text",
    [
        ({"track": 3, "age": "25-32", "age_years": 30.2, "gender": "male"}, "#3  30 years, male"),
        ({"track": 0.0, "age": "25-32", "age_years": np.nan}, "#0  25-32"),
        ({"track": 0, "expression": "happy", "gender": None}, "#0  happy"),
    ],
)
def test_a_label_tells_track_and_answers(row, text):
    assert label(row) == text


@pytest.mark.parametrize("suffix", ["webm", "mp4"])
def test_a_film_is_written_anew_with_its_boxes(tmp_path, suffix, capfd):
    film = made_films.write(tmp_path / "a.mp4", made_films.grey(20, size=(101, 140)))
    target = annotate(
        film, table((0, 0, 40), (0.5, 0, 60)), tmp_path / f"b.{suffix}", progress=False
    )
    ((_, before), *_), ((_, after), *_) = (films.frames(path) for path in (film, target))
    assert after.shape == (100, 140, 3)  # sides are even
    assert before.std() < 3 and after.std() > 10
    assert films.count(target, every=0) == 20 and films.rate(target) == 25
    assert capfd.readouterr().err == ""


def test_a_film_of_varying_rate_keeps_its_times(tmp_path):
    flat = made_films.write(tmp_path / "a.mp4", made_films.grey(50))
    slow = made_films.slowed(flat, tmp_path / "slow.mp4", first=25, factor=4)
    target = annotate(slow, table((0, 0, 1)), tmp_path / "b.mp4", progress=False)
    *_, (last, image) = films.frames(target, every=0)
    assert last.time_s == pytest.approx(1 + 24 * 0.16, abs=0.1)
    assert abs(made_films.shown(image) - 49) <= 3


def test_of_a_damaged_film_what_can_be_read_is_written(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (50, 48, 64, 3), "uint8")
    short = made_films.cut(made_films.write(tmp_path / "a.avi", noise), tmp_path / "s.avi", 0.5)
    target = annotate(short, table((0, 0, 1)), tmp_path / "b.mp4", progress=False)
    assert 5 < films.count(target, every=0) < 50
    (tmp_path / "c.mp4").write_bytes(b"no film")
    with pytest.raises(FilmError, match="is not a film"):
        annotate(tmp_path / "c.mp4", table((0, 0, 1)), tmp_path / "d.mp4", progress=False)


class Answers:
    """Stands for a model: one map, of the left half, for every face; counts how often it is asked."""

    tasks = ("gender",)

    def __init__(self):
        self.asked = 0

    def answer(self, crops):
        self.asked += 1
        half = np.zeros((1, 28, 28), "float32")
        half[:, :, :14] = 1
        cams = np.stack([half, -half], axis=-1) * 20
        return {"map": half, "gender": np.array([[0.9, 0.1]]), "cam_gender": cams}


@pytest.mark.parametrize("kind", ["saliency", "gender"])
def test_a_map_is_laid_over_the_face_alone(kind):
    model, frame = Answers(), np.full((100, 100, 3), 128, "uint8")
    overlay = Overlay(model, kind)
    for place in (30.0, 31.0):
        overlay.lay(frame, (place, 20.0, 40.0, 50.0), (0, 0))
    assert model.asked == 1  # the same row of the table
    left, right = (frame[25:65, side].mean(axis=(0, 1)) for side in (slice(32, 48), slice(55, 68)))
    assert np.abs(left - right).max() > 30
    outside = np.ones((100, 100), bool)
    outside[20:70, 30:71] = False
    assert (frame[outside] == 128).all()
    overlay.lay(frame, (-500.0, 0.0, 40.0, 50.0), (0, 0))  # beyond the border


def test_an_overlay_of_what_is_not_answered_is_refused():
    with pytest.raises(ValueError, match="saliency or a task"):
        Overlay(Answers(), "age")
