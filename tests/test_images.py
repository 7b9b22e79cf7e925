import numpy as np
import pytest
from PIL import Image

from safbage import images


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
    with pytest.raises(images.ImageError, match="float photos"):
        images.read(tmp_path / "a.tif")


def test_transparent_pixels_are_laid_over_white(tmp_path):
    Image.new("RGBA", (4, 4), (200, 0, 0, 0)).save(tmp_path / "a.png")
    assert (images.read(tmp_path / "a.png") == 255).all()


def test_broken_files_say_what_is_wrong(tmp_path, rgb, caplog):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.jpg"):
        images.read(tmp_path / "nowhere.jpg")
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(images.ImageError, match="empty"):
        images.read(tmp_path / "empty.jpg")
    (tmp_path / "text.jpg").write_text("not a picture")
    with pytest.raises(images.ImageError, match="not an image"):
        images.read(tmp_path / "text.jpg")
    whole = images.write(tmp_path / "whole.jpg", np.tile(rgb, (20, 20, 1))).read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(images.ImageError, match=r"cut\.jpg is damaged"):
        images.read(tmp_path / "cut.jpg")
    assert not caplog.records  # nothing is said of its EXIF data


def test_a_broken_exif_block_does_not_cost_the_pixels(tmp_path, rgb):
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Raw profile type exif", "\nexif\n 8\nzzzz")
    Image.fromarray(rgb).save(tmp_path / "a.png", pnginfo=info)
    assert np.array_equal(images.read(tmp_path / "a.png"), rgb)


def test_a_decompression_bomb_is_refused(tmp_path, rgb, monkeypatch):
    images.write(tmp_path / "a.png", rgb)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(images.ImageError, match="too large"):
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
    ],
)
def test_arrays_that_are_no_photo_are_refused(array, word):
    with pytest.raises(images.ImageError, match=word):
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
