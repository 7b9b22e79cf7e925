"""Films as frames: their times, the way up, what a damaged one still gives, and what is refused."""

import itertools

import made_films
import numpy as np
import pytest

from safbage import films, images
from safbage.errors import FilmError
from safbage.films import Moment


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Two seconds of 25 frames a second, which tell their numbers."""
    return made_films.write(tmp_path_factory.mktemp("films") / "grey.mp4", made_films.grey(50))


def moments(path, **options):
    """The moments of a film's frames, each of which shows its own number."""
    found = list(films.frames(path, **options))
    for moment, image in found:
        assert image.dtype == np.uint8 and abs(made_films.shown(image) - moment.frame) <= 1
    return [moment for moment, _ in found]


@pytest.mark.parametrize("suffix", ["mp4", "mov", "m4v", "avi", "mkv", "webm"])
def test_a_frame_is_looked_at_every_so_many_seconds(tmp_path, suffix):
    path = made_films.write(tmp_path / f"a.{suffix}", made_films.grey(50))
    at = [(m.frame, round(m.time_s, 3), m.place) for m in moments(path, every=0.5)]
    assert at == [(0, 0.0, 0), (13, 0.52, 1), (25, 1.0, 2), (38, 1.52, 3)]
    assert films.count(path) == len(at) and films.count(path, every=0) == 50
    assert films.rate(path) == 25


def test_all_frames_and_fewer_than_one_per_frame(film):
    assert [m.frame for m in moments(film, every=0)] == list(range(50))
    assert [m.frame for m in moments(film, every=0.001)] == list(range(50))
    assert [m.frame for m in moments(film, every=60)] == [0]


def test_times_are_the_frames_own_where_the_rate_varies(film, tmp_path):
    """After one second each frame lasts four times as long, so fewer of them fill half a second."""
    slow = made_films.slowed(film, tmp_path / "slow.mp4", first=25, factor=4)
    at = [(m.frame, round(m.time_s, 2)) for m in moments(slow, every=0.5)]
    assert at[:5] == [(0, 0.0), (13, 0.52), (25, 1.0), (29, 1.64), (32, 2.12)]


def test_a_turned_film_is_shown_upright(tmp_path):
    frame = np.zeros((48, 64, 3), "uint8")
    frame[:24] = 255  # white above
    flat = made_films.write(tmp_path / "a.mp4", [frame] * 3)
    ((_, image),) = films.frames(made_films.turned(flat, tmp_path / "b.mp4"), every=9)
    assert image.shape == (64, 48, 3)
    assert image[:, -12:].mean() > 200 and image[:, :12].mean() < 50  # to the right, white is right


def test_colours_are_rgb(tmp_path):
    red = np.zeros((48, 64, 3), "uint8")
    red[:, :, 0] = 200
    path = made_films.write(tmp_path / "red.mp4", [red] * 3)
    (_, image), *_ = films.frames(path)
    assert image[..., 0].mean() > 150 and image[..., 2].mean() < 60


@pytest.mark.parametrize("suffix", ["avi", "mkv", "webm"])
def test_a_film_cut_short_gives_what_is_there_and_says_where_it_broke(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (50, 48, 64, 3), "uint8")
    whole = made_films.write(tmp_path / f"a.{suffix}", noise)
    short = made_films.cut(whole, tmp_path / f"short.{suffix}", 0.5)
    found = []
    with pytest.raises(FilmError, match=r"short.* broke off after .* of the 50") as told:
        for moment, _ in films.frames(short, every=0):
            found.append(moment)
    assert 5 <= len(found) < 50 and [m.frame for m in found] == list(range(len(found)))
    broke = told.value.moment
    assert isinstance(broke, Moment) and broke.frame == broke.place == len(found)


HOSTILE = {
    "empty": (b"", "is empty"),
    "text": (b"not a film" * 100, "is not a film"),
    "a photo": (images.encode(np.zeros((9, 9, 3), "uint8")), "is not a film"),
    "a playlist": (b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", "is not a film"),
    "a list of files": (b"ffconcat version 1.0\nfile /etc/passwd\n", "is not a film"),
    "a beginning alone": (b"\0\0\0\x18ftypisom" + bytes(300), "cut short before its index"),
    "a header of WebM alone": (b"\x1aE\xdf\xa3" + bytes(300), "cut short|no frame"),
    "a header of AVI alone": (b"RIFF\xff\xff\xff\xffAVI LIST" + bytes(300), "cut short|no frame"),
}


@pytest.mark.parametrize("data, word", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_film_is_refused_with_its_name(tmp_path, data, word, capfd):
    path = tmp_path / "wrong.mp4"
    path.write_bytes(data)
    with pytest.raises(FilmError, match=word) as told:
        list(films.frames(path))
    assert "wrong.mp4" in str(told.value) and films.count(path) == 1
    assert capfd.readouterr().err == ""  # FFmpeg is silent


def test_a_film_without_a_frame_is_refused(film, tmp_path, monkeypatch):
    """Its index lists frames, but none is in the file."""
    data = bytearray(film.read_bytes())
    start, end = made_films.boxes(data, ("mdat",))[0]
    data[start + 8 : end] = bytes(end - start - 8)
    (tmp_path / "none.mp4").write_bytes(data)
    with pytest.raises(FilmError, match=r"no frame that can be read|cut short"):
        list(films.frames(tmp_path / "none.mp4"))


def test_a_missing_film_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        next(films.frames(tmp_path / "nowhere.mp4"))


@pytest.mark.slow
def test_frames_of_8k_are_read(tmp_path):
    frames = [np.zeros((4320, 7680, 3), "uint8")] * 2
    ((_, image),) = films.frames(made_films.write(tmp_path / "8k.avi", frames, codec="MJPG"))
    assert image.shape == (4320, 7680, 3)


def test_frames_that_are_too_large_are_refused(film, monkeypatch):
    monkeypatch.setattr(films, "PIXELS", 3000)
    with pytest.raises(FilmError, match="64×48 pixels; at most 3,000"):
        next(films.frames(film))


@pytest.mark.parametrize("every", [-1, float("nan"), float("inf"), "0.5", None])
def test_every_is_a_number_of_seconds(film, every):
    with pytest.raises(ValueError, match="number of seconds"):
        next(films.frames(film, every=every))


def test_frames_are_decoded_as_they_are_asked_for(film):
    assert len(list(itertools.islice(films.frames(film, every=0), 3))) == 3


@pytest.mark.parametrize(
    "brand, film", [(b"isom", True), (b"qt  ", True), (b"avif", False), (b"heic", False)]
)
def test_photos_in_the_container_of_films_are_none(brand, film):
    assert films.is_film(b"\0\0\0\x18ftyp" + brand + bytes(4)) == film
