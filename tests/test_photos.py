import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from safbage import images
from safbage.photos import list_photos, pixels, printable, read

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
    ((listed, _),) = list_photos(tmp_path)
    assert Path(listed).name == os.listdir(tmp_path)[0] and Path(listed).exists()


@pytest.mark.parametrize(
    "text, escaped",
    [("a\nb\x1b]0;\x7f\x85", "a\\nb\\x1b]0;\\x7f\\x85"), ("caf\udce9", "caf\\xe9"), ("\ud800", "\\ud800"), ("a b", "a b")],
)
def test_control_characters_and_what_is_no_character_are_escaped(text, escaped):
    assert printable(text) == escaped
    escaped.encode("utf-8")


def test_a_lone_surrogate_costs_no_other_photo_its_name():
    assert [name for name, _ in list_photos(["\ud800.jpg", "a.jpg"])] == ["\\ud800.jpg", "a.jpg"]


def test_a_pil_image_is_a_photo_alone_and_in_a_list(generator):
    array = generator.integers(0, 256, (6, 4, 3), "uint8")
    image = Image.fromarray(array)
    assert list_photos(image) == [("photo 0", image)]
    assert [name for name, _ in list_photos([image, array])] == ["photo 0", "photo 1"]
    assert np.array_equal(read(image), array)
    assert pixels(image) == 24 and pixels(array) == 0


def test_pixels_are_told_by_the_header_alone(tmp_path, generator):
    path = images.write(tmp_path / "a.png", generator.integers(0, 256, (60, 40, 3), "uint8"))
    assert pixels(path) == 2400
    path.write_bytes(path.read_bytes()[:200])
    assert pixels(path) == 2400
    path.write_bytes(b"no photo")
    assert pixels(path) == pixels(tmp_path) == pixels(tmp_path / "nowhere.png") == 0


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_in_a_ring_are_photos_that_cannot_be_read(tmp_path):
    (tmp_path / "x.jpg").symlink_to("y.jpg")
    (tmp_path / "y.jpg").symlink_to("x.jpg")
    listed = list_photos(tmp_path)
    assert [Path(name).name for name, _ in listed] == ["x.jpg", "y.jpg"]
    for _, path in listed:
        assert pixels(path) == 0
        with pytest.raises(OSError):
            read(path)
