import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from safbage import images
from safbage.photos import Photo, list_photos
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
