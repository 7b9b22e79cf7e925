import ast
import contextlib
import io
import struct

import numpy as np
import pytest
from conftest import REPOSITORY
from PIL import Image, ImageCms

from safbage import fixations, images
from safbage.datasets import tables
from safbage.errors import ImageError


@pytest.fixture
def rgb(generator):
    return generator.integers(0, 256, (20, 30, 3), "uint8")


def test_png_comes_back_as_it_was(tmp_path, rgb):
    images.write(tmp_path / "a.png", rgb)
    assert np.array_equal(images.read(tmp_path / "a.png"), rgb)


@pytest.mark.parametrize("orientation, turn", [(3, 2), (6, 3), (8, 1)])
def test_exif_orientation_is_applied(tmp_path, rgb, orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(rgb).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(images.read(tmp_path / "a.png"), np.rot90(rgb, turn))


def exif(*tags, order="<", count=None):
    """An EXIF block of tags (number, type, how many, four bytes); `count` is how many it claims to have."""
    fields = b"".join(struct.pack(f"{order}HHI", *tag[:3]) + tag[3] for tag in tags)
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(
        f"{order}IH", 8, len(tags) if count is None else count
    )
    return b"Exif\0\0" + head + fields + bytes(4)


TURNED = (0x0112, 3, 1, struct.pack("<HH", 6, 0))


@pytest.mark.filterwarnings("ignore")  # Pillow warns of what is broken
@pytest.mark.parametrize("format", ["jpeg", "png", "webp"])
@pytest.mark.parametrize(
    "block",
    [
        exif((0x0100, 2, 4, b"abc\0"), TURNED),  # a width in letters
        exif((0x0100, 9, 1, struct.pack("<i", -5)), TURNED),
        exif(
            (0x010F, 2, 400, struct.pack("<I", 9999)), TURNED
        ),  # the maker's name lies behind the end
        exif(TURNED, (0x8769, 2, 4, b"abc\0")),
        exif(TURNED, count=60),
        exif(TURNED)[:-4],
        exif((0x0112, 4, 1, struct.pack(">I", 6)), order=">"),
    ],
    ids=["letters", "negative", "behind the end", "no directory", "too many", "cut", "long"],
)
def test_orientation_is_heeded_whatever_else_the_exif_block_holds(rgb, block, format):
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, format, exif=block)
    upright = images.from_bytes(buffer.getvalue())
    with Image.open(buffer) as image:
        assert np.array_equal(upright, np.rot90(np.asarray(image.convert("RGB")), 3))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp", "avif"])
def test_size_and_pixels_are_known_before_decoding(tmp_path, rgb, format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(rgb).save(tmp_path / "a", format, exif=exif)
    assert (
        images.size(tmp_path / "a")
        == images.read(tmp_path / "a").shape[:2]
        == ((20, 30) if orientation < 5 else (30, 20))
    )
    assert images.pixels(tmp_path / "a") == images.pixels((tmp_path / "a").read_bytes()) == 600


def test_pixels_of_what_cannot_be_read_are_none(tmp_path, rgb):
    (tmp_path / "text.jpg").write_text("not a picture")
    assert [
        images.pixels(photo)
        for photo in (tmp_path / "text.jpg", tmp_path / "nowhere.jpg", tmp_path, b"")
    ] == [0] * 4
    head = images.encode(np.tile(rgb, (50, 50, 1)))[
        :1000
    ]  # of a file that is cut short, what decoding will begin with
    assert images.pixels(head) == 1000 * 1500
    with pytest.raises(ImageError, match="not an image"):
        images.size(tmp_path / "text.jpg")


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SWAPPED = SRGB.replace(b"rXYZ", b"-XYZ").replace(b"gXYZ", b"rXYZ").replace(b"-XYZ", b"gXYZ")
"""A profile in which what is stored as red means green, and the reverse."""


@pytest.mark.parametrize(
    "mode, format",
    [("RGB", "png"), ("RGBA", "png"), ("P", "png"), ("RGB", "jpeg"), ("RGB", "webp")],
)
def test_colours_are_brought_from_the_profile_to_srgb(mode, format, caplog):
    buffer, plain = io.BytesIO(), io.BytesIO()
    red = Image.new("RGB", (8, 8), (220, 40, 10)).convert(mode)
    red.save(buffer, format, icc_profile=SWAPPED)
    red.save(plain, format, icc_profile=SRGB)
    unchanged = images.from_bytes(plain.getvalue())
    assert (
        np.abs(images.from_bytes(buffer.getvalue())[..., [1, 0, 2]].astype(int) - unchanged).max()
        <= 2
    )
    assert np.array_equal(images.as_rgb(Image.open(buffer)), images.from_bytes(buffer.getvalue()))
    plain.seek(0)
    assert np.array_equal(unchanged, np.asarray(Image.open(plain).convert("RGB")))
    assert not caplog.records


def test_grey_keeps_its_tones_under_any_rgb_profile(caplog):
    buffer = io.BytesIO()
    Image.new("L", (8, 8), 90).save(buffer, "jpeg", icc_profile=SWAPPED)
    assert (
        np.abs(images.from_bytes(buffer.getvalue()).astype(int) - 90).max() <= 1
        and not caplog.records
    )


@pytest.mark.parametrize(
    "mode, profile", [("RGB", b"none"), ("RGB", SWAPPED[:200]), ("CMYK", SWAPPED)]
)
def test_a_broken_or_foreign_profile_leaves_the_pixels_and_says_so(mode, profile, caplog):
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (220, 40, 10)).convert(mode).save(buffer, "tiff", icc_profile=profile)
    assert np.array_equal(images.from_bytes(buffer.getvalue(), "a.tif")[0, 0], (220, 40, 10))
    assert [
        "a.tif has a colour profile that is broken" in record.getMessage()
        for record in caplog.records
    ] == [True]


MODES = (
    "1",
    "L",
    "LA",
    "La",
    "P",
    "PA",
    "RGB",
    "RGBA",
    "RGBa",
    "RGBX",
    "CMYK",
    "YCbCr",
    "HSV",
    "LAB",
    "I",
    "F",
    "I;16",
    "I;16B",
)


@pytest.mark.parametrize("mode", MODES)
def test_pillow_images_of_any_mode_are_converted(mode):
    grey, red = (120, 120, 120), (220, 40, 10)
    if mode == "LAB":
        to_lab = ImageCms.buildTransform(
            ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
        )
        image, expected = ImageCms.applyTransform(Image.new("RGB", (30, 20), red), to_lab), red
    elif mode.startswith("I;16"):
        image, expected = Image.new(mode, (30, 20), 120 * 257), grey
    elif mode in ("1", "L", "LA", "La", "I", "F"):
        through = Image.new("L", (30, 20), 255 if mode == "1" else 120).convert(
            "LA" if mode == "La" else "L"
        )
        image, expected = through.convert(mode), (255, 255, 255) if mode == "1" else grey
    elif mode in ("P", "PA"):
        image, expected = Image.new(mode, (30, 20)), red
        image.putpalette(red)
        image.putalpha(255) if mode == "PA" else None
    else:
        through = Image.new("RGB", (30, 20), red).convert("RGBA" if mode == "RGBa" else "RGB")
        image, expected = through.convert(mode), red
    assert image.mode == mode
    array = images.as_rgb(image)
    assert array.shape == (20, 30, 3) and array.dtype == np.uint8
    assert np.abs(array.astype(int) - expected).max() <= 3


def test_a_pillow_image_is_turned_upright_as_its_file_is(tmp_path, rgb):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(rgb).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(
        images.as_rgb(Image.open(tmp_path / "a.png")), images.read(tmp_path / "a.png")
    )
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:300])
    with pytest.raises(ImageError, match="damaged"):
        images.as_rgb(Image.open(tmp_path / "cut.png"))
    with pytest.raises(ImageError, match="pixel"):
        images.as_rgb(Image.new("RGB", (0, 5)))


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\nshowpage\n%%EOF\n"
"""Drawn by Ghostscript, a language of its own: with ``{} loop`` in it, drawing would never end."""


def test_no_reader_hands_a_file_to_another_program(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(EPS)
    readers = {
        "read": lambda: images.read(path),
        "size": lambda: images.size(path),
        "from_bytes": lambda: images.from_bytes(EPS, "photo.jpg"),
        "decode": lambda: images.decode(EPS),
        "as_rgb": lambda: images.as_rgb(Image.open(path)),
        "a scene": lambda: fixations.Scene(
            "a", path, (40, 40), np.zeros((1, 2)), np.zeros(1), 1.0
        ).pixels(),
    }
    for reader in readers.values():
        with pytest.raises(ImageError, match="not read"):
            reader()
    assert images.pixels(path) == images.pixels(EPS) == 0
    found = tables.listing([{"image": str(path), "gender": "male"}])
    left_out = tables.without_duplicates(found, ["gender"], progress=False).dropped.reason
    assert "not read" in left_out[0]


def test_no_module_opens_a_picture_as_whatever_it_is():
    """Pillow is told which kinds to open, everywhere; no other package opens one in the library."""
    calls = {}
    for folder in ("safbage", "shipping", "benchmarks", "docs"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    calls.setdefault(ast.unparse(node.func), []).append(
                        (path, [keyword.arg for keyword in node.keywords])
                    )
    assert [path.name for path, _ in calls["Image.open"]][:1] == ["images.py"]
    assert all("formats" in options for _, options in calls["Image.open"])
    others = [
        path
        for name, found in calls.items()
        if name.endswith((".imread", ".load_img"))
        for path, _ in found
    ]
    assert not [path for path in others if "safbage" in path.relative_to(REPOSITORY).parts]
    notebooks = [
        path.read_text(encoding="utf-8") for path in (REPOSITORY / "notebooks").glob("*.ipynb")
    ]
    assert notebooks and not any(
        word in text for text in notebooks for word in ("Image.open", "imread", "load_img")
    )


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "LA", "RGBA", "YCbCr"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    red = Image.new("RGB", (30, 20), (220, 40, 10))
    red.convert(mode).save(tmp_path / "a.tif")
    image = images.read(tmp_path / "a.tif")
    assert image.shape == (20, 30, 3) and image.dtype == np.uint8
    if mode in ("P", "CMYK", "RGBA", "YCbCr"):
        assert np.abs(image.mean(axis=(0, 1)) - (220, 40, 10)).max() < 25
    else:
        assert (image[:, :, 0] == image[:, :, 1]).all() and 40 < image.mean() < 140


def test_16_bit_grey_keeps_its_tones(tmp_path):
    ramp = np.linspace(0, 65535, 256).astype("uint16")[None].repeat(4, axis=0)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    assert np.abs(images.read(tmp_path / "a.png")[0, :, 0].astype(int) - np.arange(256)).max() <= 1


def test_grey_of_32_bits_that_holds_8_stays_visible(tmp_path):
    Image.fromarray(np.full((4, 4), 200, "int32"), "I").save(tmp_path / "a.tif")
    assert (images.read(tmp_path / "a.tif") == 200).all()


def test_a_float_file_out_of_range_says_so(tmp_path):
    Image.fromarray(np.full((4, 4), -3, "float32")).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match="float photos"):
        images.read(tmp_path / "a.tif")


def test_transparent_pixels_are_laid_over_white(tmp_path):
    Image.new("RGBA", (4, 4), (200, 0, 0, 0)).save(tmp_path / "a.png")
    assert (images.read(tmp_path / "a.png") == 255).all()


def test_broken_files_say_what_is_wrong(tmp_path, rgb, caplog):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.jpg"):
        images.read(tmp_path / "nowhere.jpg")
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(ImageError, match="empty"):
        images.read(tmp_path / "empty.jpg")
    (tmp_path / "text.jpg").write_text("not a picture")
    with pytest.raises(ImageError, match="not an image"):
        images.read(tmp_path / "text.jpg")
    whole = images.write(tmp_path / "whole.jpg", np.tile(rgb, (20, 20, 1))).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match=r"cut\.jpg is damaged"):
        images.read(tmp_path / "cut.jpg")
    assert not caplog.records  # nothing is said of its EXIF data


def test_a_broken_exif_block_does_not_cost_the_pixels(tmp_path, rgb):
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Raw profile type exif", "\nexif\n 8\nzzzz")
    Image.fromarray(rgb).save(tmp_path / "a.png", pnginfo=info)
    assert np.array_equal(images.read(tmp_path / "a.png"), rgb)


@pytest.mark.filterwarnings("ignore")  # Pillow warns of what is broken
@pytest.mark.parametrize(
    "format", ["png", "jpeg", "gif", "bmp", "tiff", "webp", "avif", "jpeg2000", "ppm"]
)
def test_damaged_files_end_in_a_photo_or_in_the_librarys_own_error(rgb, generator, format):
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, format)
    whole = np.frombuffer(buffer.getvalue(), "uint8")
    for number in range(40):
        data = whole.copy()
        if number % 2:
            data = data[: generator.integers(1, len(data))]
        places = generator.integers(0, len(data), number // 8)
        data[places] ^= generator.integers(1, 256, len(places), "uint8")
        with contextlib.suppress(ImageError):
            assert images.from_bytes(data.tobytes()).shape[2] == 3


def test_a_decompression_bomb_is_refused(tmp_path, rgb, monkeypatch):
    images.write(tmp_path / "a.png", rgb)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ImageError, match="too large"):
        images.read(tmp_path / "a.png")


def test_arrays_of_other_types_are_converted(rgb):
    assert np.array_equal(images.as_rgb(rgb / 255), rgb)
    assert np.array_equal(images.as_rgb(rgb.astype("float32")), rgb)
    assert np.array_equal(images.as_rgb(rgb.astype("uint16") * 257), rgb)
    assert np.array_equal(images.as_rgb((rgb.astype("uint16") * 257).astype(">u2")), rgb)
    assert images.as_rgb(rgb[:, :, 0]).shape == (20, 30, 3)
    assert np.array_equal(images.as_rgb(np.dstack([rgb, np.full((20, 30), 255, "uint8")])), rgb)
    assert (images.as_rgb(np.ones((3, 3), bool)) == 255).all()


@pytest.mark.parametrize(
    "array, word",
    [
        (np.zeros((2, 20, 30, 3), "uint8"), "shape"),
        (np.zeros((20, 30, 2), "uint8"), "shape"),
        (np.zeros((0, 30, 3), "uint8"), "shape"),
        (np.full((4, 4, 3), np.nan), "float"),
        (np.full((4, 4, 3), -1.0), "float"),
        (np.full((4, 4, 3), 300.0), "float"),
        (np.zeros((4, 4, 3), "int64"), "int64"),
        (np.array("photo.jpg"), "shape"),
        ([[1, 2], [3]], "expected a photo as an array"),
        (np.zeros((4, 4), "complex64"), "complex64"),
        (np.zeros((4, 4), "datetime64[s]"), "datetime64"),
        (np.zeros((4, 4), object), "object"),
        (None, "shape"),
    ],
)
def test_arrays_that_are_no_photo_are_refused(array, word):
    with pytest.raises(ImageError, match=word):
        images.as_rgb(array)


def test_resize_takes_means_when_shrinking():
    checkers = np.indices((4, 4)).sum(axis=0) % 2 * 200
    assert (images.resize(checkers.astype("uint8"), (2, 2)) == 100).all()


@pytest.mark.parametrize("size", [(480, 640), (667, 1000), (900, 600), (100, 333), (50, 50)])
def test_padding_is_undone_to_the_pixel(size):
    """A spot at a known place of a photo comes back there from a map as coarse as ML-Net's."""
    rows, columns = np.indices(size)
    row, column = round(size[0] * 0.3), round(size[1] * 0.7)
    width = max(size) / 12
    spot = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * width**2)).astype("float32")
    frame = (240, 320)
    padded = images.pad_to(spot, frame)
    assert padded.shape == frame and padded.max() > 0.9
    back = images.unpad(images.resize(padded, (30, 40)), size, frame)
    assert back.shape == size and np.corrcoef(back.ravel(), spot.ravel())[0, 1] > 0.995
    centre = [(index * back).sum() / back.sum() for index in (rows, columns)]
    truth = [(index * spot).sum() / spot.sum() for index in (rows, columns)]
    assert centre == pytest.approx(truth, abs=max(size) / 200)
