import io
import itertools
import os
import sys
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import made_films
import numpy as np
import pytest
from PIL import Image

from safbage import images, photos
from safbage.errors import FilmError, ImageError
from safbage.photos import Photo, Stream, list_photos
from safbage.runtime import addresses
from safbage.runtime.files import printable

NAMES = {
    "narrow no-break space": "Screenshot 10.00\u202fAM.png",
    "no-break and ideographic space": "a\u00a0b\u3000c.png",
    "zero-width joiners, of an emoji and by itself": "\U0001f469\u200d\U0001f467 a\u200db.png",
    "combining marks": "Ame\u0301lie \u0939\u093f\u0928\u094d\u0926\u0940.png",
    "variation selector and skin tone": "\u2764\ufe0f \U0001f44b\U0001f3fd.png",
    "marks of direction": "a\u200e\u200f\u05d0.png",
    "an override of direction": "a\u202egnp.png",
    "line separator": "a\u2028b.png",
    "private use and not yet assigned": "\ue000 \U000e0fff.png",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_is_the_path_that_was_given(name, tmp_path):
    try:
        (tmp_path / name).touch()
    except OSError:
        pytest.skip("this file system takes no such name")
    (photo,) = list_photos(tmp_path)
    assert Path(photo.name).name == os.listdir(tmp_path)[0] and Path(photo.name).exists()


@pytest.mark.parametrize(
    "text, escaped",
    [
        ("a\nb\x1b]0;\x7f\x85", "a\\nb\\x1b]0;\\x7f\\x85"),
        ("caf\udce9", "caf\\xe9"),
        ("\ud800", "\\ud800"),
        ("a b", "a b"),
    ],
)
def test_control_characters_and_what_is_no_character_are_escaped(text, escaped):
    assert printable(text) == escaped
    escaped.encode("utf-8")


def test_a_lone_surrogate_costs_no_other_photo_its_name():
    assert [photo.name for photo in list_photos(["\ud800.jpg", "a.jpg"])] == [
        "\\ud800.jpg",
        "a.jpg",
    ]


def test_a_pil_image_is_a_photo_alone_and_in_a_list(generator):
    array = generator.integers(0, 256, (6, 4, 3), "uint8")
    image = Image.fromarray(array)
    (photo,) = list_photos(image)
    assert photo.name == "photo 0" and photo.content is image
    assert [photo.name for photo in list_photos([image, array])] == ["photo 0", "photo 1"]
    assert np.array_equal(photo.read(), array)
    assert photo.pixels() == 24 and Photo("array", array).pixels() == 0


def test_pixels_are_told_by_the_header_alone(tmp_path, generator):
    path = images.write(tmp_path / "a.png", generator.integers(0, 256, (60, 40, 3), "uint8"))
    photo = Photo("a", path)
    assert photo.pixels() == 2400
    path.write_bytes(path.read_bytes()[:200])
    assert photo.pixels() == 2400
    path.write_bytes(b"no photo")
    assert (
        photo.pixels()
        == Photo("b", tmp_path).pixels()
        == Photo("c", tmp_path / "nowhere.png").pixels()
        == 0
    )


def test_what_has_no_length_is_listed_as_it_is_asked_for(tmp_path):
    (tmp_path / "a.jpg").touch()
    given = iter([np.zeros((2, 2, 3)), tmp_path, "nowhere.jpg", Photo("camera", None), None])
    listed = list_photos(given)
    assert next(listed).name == "photo 0"
    assert next(listed).name == str(tmp_path / "a.jpg") and next(given) == "nowhere.jpg"
    assert [photo.name for photo in listed] == ["camera", "photo 3"]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_in_a_ring_are_photos_that_cannot_be_read(tmp_path):
    (tmp_path / "x.jpg").symlink_to("y.jpg")
    (tmp_path / "y.jpg").symlink_to("x.jpg")
    listed = list_photos(tmp_path)
    assert [Path(photo.name).name for photo in listed] == ["x.jpg", "y.jpg"]
    for photo in listed:
        assert photo.pixels() == 0
        with pytest.raises(OSError):
            photo.read()


# --- further sources --------------------------------------------------------------------------------------------------------


def test_a_glob_stands_for_what_it_matches(tmp_path):
    for name in ("a.jpg", "b.jpg", "c.png", "below/d.jpg", "[x].jpg", "x.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    def names(text):
        return [Path(photo.name).name for photo in list_photos(str(tmp_path / text))]

    assert names("?.jpg") == ["a.jpg", "b.jpg", "x.jpg"]
    assert names("**/*.jpg") == ["[x].jpg", "a.jpg", "b.jpg", "d.jpg", "x.jpg"]
    assert names("b*") == ["b.jpg", "d.jpg"]  # a folder's files, too
    assert names("[x].jpg") == ["[x].jpg"]  # a path that is there is that path
    (photo,) = list_photos([str(tmp_path / "*.gif")])
    with pytest.raises(FileNotFoundError, match="nothing matches"):
        photo.read()


def test_bytes_and_open_files_are_photos(tmp_path, generator):
    array = generator.integers(0, 256, (6, 4, 3), "uint8")
    path = images.write(tmp_path / "a.png", array)
    data = path.read_bytes()
    with open(path, "rb") as file:
        listed = list_photos([data, bytearray(data), file, io.BytesIO(data)])
        assert [photo.name for photo in listed] == ["photo 0", "photo 1", str(path), "photo 3"]
        assert all(np.array_equal(photo.read(), array) for photo in listed)
        assert listed[0].pixels() == 24 and listed[2].pixels() > 0
    (photo,) = list_photos(data)
    assert photo.name == "photo 0" and not photo.is_film()


@pytest.mark.parametrize(
    "given, word",
    [
        (b"", "is empty"),
        (b"no photo", "not an image"),
        (io.BytesIO(b""), "is empty"),
        (io.StringIO("text"), "binary mode"),
        (SimpleNamespace(read=lambda size: "text"), "binary mode"),
    ],
)
def test_bytes_and_files_that_hold_no_photo_are_told(given, word):
    (photo,) = list_photos([given])
    with pytest.raises(ImageError, match=word):
        photo.read()


def test_an_open_file_that_never_ends_is_given_up(monkeypatch):
    monkeypatch.setattr(photos, "PHOTO_BYTES", 3 * 2**20)
    (photo,) = list_photos([SimpleNamespace(read=lambda size: bytes(size))])
    with pytest.raises(ImageError, match="more than the 3,145,728 bytes"):
        photo.read()


def test_an_address_is_fetched_when_its_photo_is_read(monkeypatch, generator):
    array, asked = generator.integers(0, 256, (6, 4, 3), "uint8"), []

    def fetch(url, into, **options):
        asked.append((url, options["allow_private"]))
        into.write(images.encode(array, "png"))

    monkeypatch.setattr(addresses, "fetch", fetch)
    listed = list_photos(["https://a.example/b", "HTTP://c.example/d.mp4"], allow_private=True)
    assert [photo.name for photo in listed] == ["https://a.example/b", "HTTP://c.example/d.mp4"]
    assert [photo.is_film() for photo in listed] == [False, True] and asked == []
    assert np.array_equal(listed[0].read(), array) and asked == [("https://a.example/b", True)]
    (broken,) = listed[1].frames()  # a photo called a film
    with pytest.raises(FilmError, match="is not a film"):
        broken.read()


def test_a_stream_that_breaks_off_ends_with_a_photo_that_fails(generator):
    array = generator.integers(0, 256, (6, 4, 3), "uint8")

    def give():
        yield array
        yield array
        raise ZeroDivisionError("a fault of the camera")

    *good, last = list_photos(give())
    assert [photo.name for photo in good] == ["photo 0", "photo 1"] and last.name == "photo 2"
    with pytest.raises(ImageError, match=r"broke off \(ZeroDivisionError: a fault of the camera\)"):
        last.read()


def test_a_million_frames_cost_no_memory():
    listed = Stream(list_photos(np.zeros((1000, 1000, 3), "uint8") for _ in range(10**6)))
    tracemalloc.start()
    assert sum(1 for _ in itertools.islice(listed, 1000)) == 1000  # 3 GB if they were kept
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    assert listed.total() is None


# --- films ----------------------------------------------------------------------------------------------------------------------


def test_a_film_is_its_frames(tmp_path):
    path = made_films.write(tmp_path / "a.mp4", made_films.grey(50))
    array = np.zeros((2, 2, 3), "uint8")
    listed = list_photos([array, path, path.read_bytes()])
    assert [photo.is_film() for photo in listed] == [False, True, True]
    stream = Stream(listed, every=1)
    assert stream.total() == 1 + 2 + 1  # of bytes it is not known before
    found = [(p.name, p.moment and p.moment.frame, p.moment and p.moment.place) for p in stream]
    name = str(path)
    assert found == [
        ("photo 0", None, None),
        (name, 0, 0),
        (name, 25, 1),
        ("photo 2", 0, 0),
        ("photo 2", 25, 1),
    ]
    assert [p.moment.frame for p in Stream(listed, every=1, begin=3)] == [0, 25]
    assert next(iter(Stream(listed[1:]))).pixels() == 48 * 64
    with open(path, "rb") as file:
        (opened,) = list_photos(file)
        assert opened.is_film() and len(list(Stream([opened], every=1))) == 2


def test_a_film_that_breaks_off_costs_a_photo_that_fails_and_the_rest_goes_on(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (50, 48, 64, 3), "uint8")
    made_films.cut(made_films.write(tmp_path / "a.avi", noise), tmp_path / "b.avi", 0.5)
    (tmp_path / "c.mp4").write_bytes(b"no film")
    stream = Stream(
        list_photos([tmp_path / n for n in ("b.avi", "c.mp4", "no.mp4", "b.avi")]), every=0.2
    )
    found = [(Path(p.name).name, isinstance(p.content, Exception)) for p in stream]
    assert sum(broken for _, broken in found) == 4
    assert [name for name, broken in found if broken] == ["b.avi", "c.mp4", "no.mp4", "b.avi"]
    assert [name for name, broken in found if not broken] == ["b.avi"] * (len(found) - 4)


def test_a_film_that_is_called_a_photo_says_so(tmp_path):
    path = made_films.write(tmp_path / "a.mp4", made_films.grey(3)).rename(tmp_path / "a.jpg")
    (photo,) = list_photos(path)
    with pytest.raises(ImageError, match="is a film, but is not called one"):
        photo.read()
    assert not photo.is_film()


def test_a_folder_called_like_a_film_is_a_folder(tmp_path):
    (tmp_path / "a.mp4").mkdir()
    (tmp_path / "a.mp4" / "b.jpg").touch()
    (photo,) = list_photos(tmp_path)
    assert Path(photo.name).name == "b.jpg"
