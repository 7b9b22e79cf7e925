"""Films on their way through the batches: moments, tracks, boxes that are carried on, and what breaks off."""

import itertools
from pathlib import Path

import made_films
import numpy as np
import pytest

from safbage import faces, films
from safbage.films import Moment
from safbage.photos import Photo
from safbage.pipeline import batching
from safbage.pipeline.explanation import columns
from safbage.tracks import per_track


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Two seconds with three people."""
    return made_films.apart(tmp_path_factory.mktemp("films") / "people.mp4")


def frame(place):
    return Photo("a.mp4", None, Moment(3 * place, place / 2, place))


def places(groups):
    return [[photo.moment and photo.moment.place for photo in group] for group in groups]


def test_photos_go_alone_and_frames_in_groups():
    given = [
        Photo("a.jpg", None),
        *map(frame, range(5)),
        Photo("b.jpg", None),
        *map(frame, range(2)),
    ]
    assert places(batching.groups(given, 1)) == [[None], [0], [1], [2], [3], [4], [None], [0], [1]]
    assert places(batching.groups(given, 3)) == [[None], [0, 1, 2], [3, 4], [None], [0, 1]]


def test_no_photo_is_asked_for_before_the_group_that_it_begins():
    given = iter([Photo("a.jpg", None), *map(frame, range(3)), Photo("b.jpg", None)])
    groups = batching.groups(given, 2)
    assert places(itertools.islice(groups, 2)) == [[None], [0, 1]]
    assert next(given).moment.place == 2


def test_a_film_gives_a_row_per_face_and_frame(light, film):
    table = light.predict(film, every=0.5, probabilities=True, progress=False)
    assert list(table) == columns(light.tasks, years=True, probabilities=True, films=True)
    assert table.photo.unique().tolist() == [str(film)]
    assert table.frame.unique().tolist() == [0, 7, 13, 19]
    assert np.allclose(table.time_s.unique(), [0, 0.56, 1.04, 1.52])
    assert table.groupby("frame").track.apply(sorted).tolist() == [[0, 1, 2]] * 4
    tracks = per_track(table)
    assert tracks.frames.tolist() == [4, 4, 4] and tracks.last_s.tolist() == [1.52] * 3
    alone = light.predict(film, every=9, probabilities=True, progress=False)
    (first, *_) = alone.to_dict("records")
    assert table[:3].box_left.tolist() == alone.box_left.tolist() and first["frame"] == 0


def test_the_films_of_a_list_have_tracks_of_their_own_and_photos_none(light, film, astronaut):
    table = light.predict([film, astronaut, film], every=5, progress=False)
    assert table.photo.tolist() == [str(film)] * 3 + ["photo 1"] + [str(film)] * 3
    assert table.track.tolist() == [0, 1, 2, None, 0, 1, 2]
    assert table.frame[3] is None and np.isnan(table.time_s[3])


def test_between_detections_the_boxes_are_carried_on(light, film, monkeypatch):
    searched, detect = [], faces.detect_enlarged
    monkeypatch.setattr(faces, "detect_enlarged", lambda image: searched.append(1) or detect(image))
    each = light.predict(film, every=0.4, progress=False)
    count = len(searched)
    some = light.predict(film, every=0.4, detect_every=3, progress=False)
    assert (count, len(searched) - count) == (5, 2)
    assert some.frame.unique().tolist() == each.frame.unique().tolist()
    assert len(some) >= 0.9 * len(each) and some.track.nunique() == 3
    both = each.merge(some, on=["frame", "track"])
    assert len(both) >= 0.9 * len(each)
    assert (both.box_left_x - both.box_left_y).abs().max() < 8


def test_a_frame_that_fails_costs_itself_alone(light, film, monkeypatch):
    """The one after it is searched, since there is nothing to carry on."""
    detect, calls = faces.detect_enlarged, []

    def failing(image):
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("out of something")
        return detect(image)

    monkeypatch.setattr(faces, "detect_enlarged", failing)
    monkeypatch.setattr(batching, "THREADS", 1)
    table = light.predict(film, every=0.5, detect_every=4, progress=False)
    assert table.status.tolist() == ["failed: RuntimeError: out of something"] + ["ok"] * 9
    assert table.time_s[0] == 0 and len(calls) == 2


def test_a_film_that_breaks_off_says_where_and_the_rest_is_answered(
    light, film, tmp_path, astronaut
):
    frames = (image for _, image in films.frames(film, every=0))
    whole = made_films.write(tmp_path / "a.avi", frames, fps=12.5)
    short = made_films.cut(whole, tmp_path / "short.avi", 0.6)
    table = light.predict([short, astronaut], every=0.5, progress=False)
    broken = table[table.status.str.startswith("failed")]
    assert broken.photo.tolist() == [str(short)] and "broke off after" in broken.status.iloc[0]
    assert 0 < broken.time_s.iloc[0] < 2 and table.status.tolist()[-1] == "ok"
    assert (table.status == "ok").sum() > 3


def test_what_is_wrong_is_refused_before_any_work(light, film):
    with pytest.raises(ValueError, match="every is a number"):
        light.predict(film, every=-1)
    with pytest.raises(ValueError, match="detect_every"):
        light.predict(film, detect_every=0)
    with pytest.raises(ValueError, match="nor a film"):
        light.explain(film)


def test_an_explanation_of_a_frame_knows_its_moment_and_tracks(light, film):
    seen, *_ = light.explain_each(film, every=5, progress=False)
    assert seen.moment == Moment(0, 0.0, 0) and seen.tracks == [0, 1, 2]
    assert seen.only(2).tracks == [2] and Path(seen.photo) == film
    assert [row["track"] for row in seen.rows()] == [0, 1, 2]


def test_a_generator_that_raises_costs_its_row_after_those_before(light, astronaut):
    def give():
        yield astronaut
        raise OSError("the camera is gone")

    table = light.predict(give(), progress=False)
    assert table.status[0] == "ok" and len(table) == 2
    assert (
        table.status[1] == "failed: what gives the photos broke off (OSError: the camera is gone)"
    )


@pytest.mark.slow
def test_a_minute_of_film_is_answered(light, tmp_path):
    film = made_films.mixed(tmp_path / "minute.mp4", seconds=60)
    table = light.predict(film, every=0.5, progress=False)
    assert table.frame.nunique() == 120 and (table.status == "ok").all()
    assert table.track.value_counts().iloc[:3].sum() > 0.6 * len(table)
