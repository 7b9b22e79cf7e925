"""Photos in and out: any file, array or Pillow image becomes upright sRGB, uint8, H×W×3."""

import functools
import io
import logging
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from safbage.errors import ImageError

logger = logging.getLogger(__name__)

FORMATS = ("AVIF", "BMP", "GIF", "HEIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")
"""The kinds of files that are read, by Pillow's names; HEIF only where its plugin is registered.

Pillow goes by a file's content, whatever its name. Some of the other kinds that it opens, such as
EPS, start a program that runs what the file says.
"""


def suffixes() -> tuple[str, ...]:
    """The suffixes of files of `FORMATS`, in small letters: ``.jpg`` and so on."""
    return tuple(
        sorted(suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS)
    )


def read(path: str | Path) -> np.ndarray:
    """Read a photo as RGB uint8, H×W×3, in sRGB.

    The photo is turned upright by its EXIF orientation, and its ICC profile brings the colours to
    sRGB. Grey, palette, CMYK, LAB and 16-bit files are converted. Transparent pixels are laid over
    white. The first frame of an animation is taken.

    Raises:
        FileNotFoundError: there is no such file.
        PermissionError: it may not be read.
        ImageError: the file is empty, damaged, of none of `FORMATS`, or so large that decoding it
            is unsafe.
    """
    return _read(_checked(path), Path(path).name)


def from_bytes(data: bytes, name: str = "the photo") -> np.ndarray:
    """`read` for a file's bytes, such as an upload; messages call the photo `name`.

    Raises:
        ImageError: as `read`.
    """
    if not len(data):
        raise ImageError(f"{name} is empty (0 bytes)")
    return _read(io.BytesIO(data), name)


def size(photo: str | Path | bytes) -> tuple[int, int]:
    """Height and width of the photo that a file, or a file's bytes, would give, by its header.

    Raises:
        FileNotFoundError, PermissionError, ImageError: as `read`, but damage behind the header goes
            unseen.
    """
    file, name = _source(photo)
    with _opened(file, name) as image:
        # Pillow turns TIFF itself
        turned = image.format != "TIFF" and _orientation(image, name) in (5, 6, 7, 8)
        return image.size if turned else image.size[::-1]


def pixels(photo: str | Path | bytes) -> int:
    """How many pixels a file, or a file's bytes, will decode to, by its header.

    It is 0 where reading would fail at once.
    """
    try:
        with _opened(*_source(photo)) as image:
            return image.width * image.height
    except (ImageError, OSError):  # reading it tells why
        return 0


def _source(photo):
    """A path, or a file's bytes, as something that can be opened, and the name for messages."""
    return (
        (io.BytesIO(photo), "the photo")
        if isinstance(photo, bytes)
        else (_checked(photo), Path(photo).name)
    )


def _checked(path):
    """The path of a file that is there and has bytes."""
    path = Path(path)
    if path.is_dir():
        raise ImageError(f"{path.name or path} is a folder, not a photo")
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    if path.stat().st_size == 0:
        raise ImageError(f"{path.name} is empty (0 bytes)")
    return path


def _read(file, name):
    with _opened(file, name) as image:
        return _to_rgb(image, name)


@contextmanager
def _opened(file, name):
    """A file as a Pillow image. Any fault found in it inside the block becomes an ImageError."""
    Image.init()  # an older Pillow may lack a format
    with (
        _told(name),
        Image.open(file, formats=[format for format in FORMATS if format in Image.OPEN]) as image,
    ):
        yield image


@contextmanager
def _told(name):
    """What Pillow raises over an image, as an ImageError."""
    try:
        yield
    except (ImageError, PermissionError):
        raise
    except UnidentifiedImageError:
        raise ImageError(
            f"{name} is not an image, or of a kind that is not read; "
            f"kinds that are read: {', '.join(FORMATS)}"
        ) from None
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name} is too large to decode safely: {error}") from None
    except MemoryError as error:
        raise ImageError(f"{name} does not fit into memory") from error
    except Exception as error:  # a damaged image can raise nearly anything
        raise ImageError(f"{name} is damaged: {error}") from error


def astronaut() -> np.ndarray:
    """The embedded photo, 512×512×3: NASA's portrait of the astronaut Eileen Collins.

    It is in the public domain and comes with scikit-image.
    """
    from skimage import data

    return data.astronaut()


ASTRONAUT_FACE = (182.0, 64.0, 83.0, 107.0)
"""The box of her face: left, top, width and height in pixels. It spares a detector."""


TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a photo upright, by its EXIF orientation."""


def _orientation(image, name):
    """EXIF's orientation; no other tag is looked at, since any may be broken."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception as error:  # the EXIF block is broken; the pixels need not be
        logger.warning("%s has broken EXIF data (%s); taken as upright", name, error)
        return 1


COLOUR_MODES = {"1": "L", "L": "L", "LA": "L", "CMYK": "CMYK", "LAB": "LAB"}
"""The mode in which an ICC profile takes an image's colours, by Pillow's mode.

All other modes become RGB.
"""


def _to_rgb(image, name):
    """A Pillow image of any mode as an array."""
    image.load()  # damaged pixels are no fault of the EXIF data, which is looked at next
    turn = TURNS.get(_orientation(image, name))
    profile = image.info.get("icc_profile")
    if image.mode[0] in "IF":
        image = Image.fromarray(_grey(image))
    elif image.mode in ("La", "RGBa"):  # colours multiplied by the opacity
        image = image.convert(image.mode.upper())
    mode, opacity = COLOUR_MODES.get(image.mode, "RGB"), None
    if image.has_transparency_data:
        whole = image.convert("RGBA")
        image, opacity = whole if mode == "RGB" else image, whole.getchannel("A")
    image = _in_srgb(_in_mode(image, mode), profile, name)
    if opacity is not None:
        image = Image.composite(image, Image.new("RGB", image.size, "white"), opacity)
    return as_rgb(np.asarray(image if turn is None else image.transpose(turn)))


def _grey(image):
    """Grey of more than 8 bits, H×W, as uint8.

    Modes are I;16, I (values up to whatever the file meant) and F (floats).
    """
    grey = np.asarray(image)
    if image.mode != "F":
        grey = np.clip(grey, 0, 65535)
        grey = grey.astype("uint8" if image.mode == "I" and grey.max() <= 255 else "uint16")
    return as_rgb(grey)[:, :, 0]


def _in_srgb(image, profile, name):
    """An image of mode L, RGB, CMYK or LAB as RGB, by its ICC profile.

    Where there is no profile, or a broken one, Pillow's formulas are used.
    """
    if profile or image.mode == "LAB":
        try:
            mode, transform = _to_srgb(profile, image.mode)
            if transform is not None:
                return ImageCms.applyTransform(_in_mode(image, mode), transform)
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
            logger.warning(
                "%s has a colour profile that is broken or not its own (%s); it was passed over",
                name,
                error,
            )
    return _in_mode(image, "RGB")


def _in_mode(image, mode):
    """The image in that mode; the image itself where it has it already.

    Pillow's `convert` would copy a huge photo for nothing.
    """
    return image if image.mode == mode else image.convert(mode)


@functools.lru_cache(maxsize=32)
def _to_srgb(profile, mode):
    """The mode to bring an image to first, and the transform from there to sRGB.

    `profile` is the image's own, as bytes (None: LAB's), and `mode` is the image's mode. The
    transform is None where the profile is sRGB's, whatever its name: no colour of a fine cube
    changes by more than one level.
    """
    source = ImageCms.ImageCmsProfile(
        io.BytesIO(profile) if profile else ImageCms.createProfile("LAB")
    )
    if mode == "L" and source.profile.xcolor_space == "RGB ":
        mode = "RGB"
    transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    if mode == "RGB":
        cube = np.indices((18, 18, 18), "uint8").reshape(3, -1, 1).T * 15
        changed = np.asarray(ImageCms.applyTransform(Image.fromarray(cube), transform))
        if np.abs(changed.astype(int) - cube).max() <= 1:
            return mode, None
    return mode, transform


def as_rgb(image: np.ndarray | Image.Image) -> np.ndarray:
    """Bring an array or a Pillow image to RGB uint8, H×W×3.

    Arrays are H×W or H×W×1 (grey), H×W×3 (RGB, never BGR) or H×W×4 (RGBA, laid over white). They
    hold uint8, uint16, bool, or floats that lie in 0–1 or, where any is above 1, in 0–255. Pillow
    images may have any mode. They are treated as `read` treats files: turned upright, converted by
    their profile, and so on.

    Raises:
        ImageError: an array has another shape or type, no pixels, NaN, or values outside the range;
            or a Pillow image comes from a file that is damaged or of none of `FORMATS`.
    """
    if isinstance(image, Image.Image):
        if image.format not in (None, *FORMATS):
            raise ImageError(
                f"{image.format} is a kind of image that is not read; "
                f"kinds that are read: {', '.join(FORMATS)}"
            )
        with _told("the photo"):
            return _to_rgb(image, "the photo")
    try:
        array = np.asarray(image)
    except Exception as error:  # ragged lists, tensors of other packages
        raise ImageError(
            "expected a photo as an array or a Pillow image; "
            f"this {type(image).__name__} is neither ({error})"
        ) from error
    if (
        array.ndim not in (2, 3)
        or (array.ndim == 3 and array.shape[2] not in (1, 3, 4))
        or array.size == 0
    ):
        raise ImageError(
            "expected one photo, H×W, H×W×3 or H×W×4 with at least one pixel; "
            f"this array has shape {array.shape}. Give several photos as a list."
        )
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        array = (array // 257).astype("uint8")
    elif array.dtype == bool:
        array = array.astype("uint8") * 255
    elif array.dtype.kind == "f":
        low, high = array.min(), array.max()
        if not (low >= 0 and high <= 255):
            raise ImageError(
                f"float photos must lie in 0–1 or 0–255; this one spans {low} to {high}"
            )
        array = np.round(array * (255 if high <= 1 else 1)).astype("uint8")
    elif array.dtype != np.uint8:
        raise ImageError(
            f"expected a photo of uint8, uint16, bool or float; this array holds {array.dtype}"
        )
    if array.ndim == 2:
        array = array[:, :, None]
    if array.shape[2] == 4:
        alpha = array[:, :, 3:].astype("float32") / 255
        array = np.round(array[:, :, :3] * alpha + 255 * (1 - alpha)).astype("uint8")
    if array.shape[2] == 1:
        array = np.repeat(array, 3, axis=2)
    return np.ascontiguousarray(array)


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an image or map (H×W or H×W×C, uint8 or float32) to (height, width), of the same type.

    Each pixel is the mean of an area when a side shrinks; otherwise the resizing is bilinear, with
    half-pixel centres as in Keras and PyTorch.
    """
    height, width = size
    shrinks = image.shape[0] > height or image.shape[1] > width
    return cv2.resize(
        image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )


def pad_to(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Fit an image or map (H×W or H×W×C) into (height, width), as a letterbox.

    It keeps its aspect and is centred, with zeros around it.
    """
    (top, left), inner = _fitted(image.shape[:2], size)
    padded = np.zeros((*size, *image.shape[2:]), image.dtype)
    padded[top : top + inner[0], left : left + inner[1]] = resize(image, inner)
    return padded


def unpad(map: np.ndarray, size: tuple[int, int], frame: tuple[int, int]) -> np.ndarray:
    """Undo `pad_to` for a map (h×w, any resolution) of an image of `size`, padded to `frame`.

    The map is brought to the frame's pixels, the padding is cut away, and the rest is brought to
    the image's size.
    """
    (top, left), inner = _fitted(size, frame)
    return resize(resize(map, frame)[top : top + inner[0], left : left + inner[1]], size)


def _fitted(size, frame):
    """(top, left) and (height, width) of something of `size`, fitted into the middle of a frame."""
    scale = min(frame[0] / size[0], frame[1] / size[1])
    inner = tuple(max(1, min(f, round(s * scale))) for s, f in zip(size, frame, strict=True))
    return tuple((f - i) // 2 for f, i in zip(frame, inner, strict=True)), inner


def encode(image: np.ndarray, format: str = "jpeg") -> bytes:
    """An RGB image, H×W×3 uint8, as the bytes of a JPEG or a PNG.

    A JPEG has quality 95, and its colours full resolution.
    """
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format, quality=95, subsampling=0)
    return buffer.getvalue()


def decode(data: bytes) -> np.ndarray:
    """The RGB image, H×W×3 uint8, in the bytes of a file; ImageError where they are damaged."""
    return from_bytes(data, "a stored image")


def write(path: str | Path, image: np.ndarray) -> Path:
    """Write an RGB image, H×W×3 uint8; the suffix chooses the format.

    A JPEG has quality 95. OSError where the file cannot be written.
    """
    Image.fromarray(image).save(path, quality=95)
    return Path(path)
