"""Photos in and out: every file and array becomes RGB uint8, H×W×3, the right way up."""

import io
import logging
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

logger = logging.getLogger(__name__)


class ImageError(ValueError):
    """A file or array is not a readable photo; the message says why and what to do."""


def read(path: str | Path) -> np.ndarray:
    """Read a photo as RGB uint8, H×W×3, turned upright by its EXIF orientation.

    Grey, palette, CMYK and 16-bit files are converted; transparency is laid over white; of an animation the first frame
    is taken.

    Raises:
        FileNotFoundError: there is no such file.
        PermissionError: it may not be read.
        ImageError: the file is empty, damaged, not an image, or so large that decoding it is unsafe.
    """
    path = Path(path)
    if path.is_dir():
        raise ImageError(f"{path.name or path} is a folder, not a photo")
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    if path.stat().st_size == 0:
        raise ImageError(f"{path.name} is empty (0 bytes)")
    return _photo(path, path.name)


def from_bytes(data: bytes, name: str = "the photo") -> np.ndarray:
    """`read` of a file's bytes, such as an upload; `name` stands in messages.

    Raises:
        ImageError: as `read`.
    """
    if not len(data):
        raise ImageError(f"{name} is empty (0 bytes)")
    return _photo(io.BytesIO(data), name)


def _photo(file, name):
    try:
        with Image.open(file) as image:
            image.load()  # damaged pixels are no fault of the EXIF data, which is looked at next
            return _to_rgb(_upright(image, name))
    except (ImageError, PermissionError):
        raise
    except UnidentifiedImageError:
        raise ImageError(f"{name} is not an image, or of a kind that Pillow cannot read") from None
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name} is too large to decode safely: {error}") from None
    except (OSError, SyntaxError, ValueError, EOFError, RuntimeError) as error:  # RuntimeError: AVIF, DDS
        raise ImageError(f"{name} is damaged: {error}") from error


def pixels(path: str | Path) -> int:
    """How many pixels `read` will decode, by the file's header; 0 where it cannot be told (reading will say why)."""
    path = Path(path)
    try:
        if not path.is_file():  # opening a pipe would wait for its other end
            return 0
        with Image.open(path) as image:
            return image.width * image.height
    except (OSError, SyntaxError, ValueError, EOFError, RuntimeError, Image.DecompressionBombError):
        return 0


def astronaut() -> np.ndarray:
    """The embedded photo, 512×512×3: NASA's portrait of the astronaut Eileen Collins (public domain, from scikit-image)."""
    from skimage import data

    return data.astronaut()


def _upright(image: Image.Image, name: str) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception as error:  # the EXIF block is broken; the pixels need not be
        logger.warning("%s has broken EXIF data (%s); taken as upright", name, error)
        return image


def _to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I"):  # more than 8 bits of grey: I;16, or I with values up to whatever the file meant
        grey = np.clip(np.asarray(image), 0, 65535)
        return as_rgb(grey.astype("uint8" if image.mode == "I" and grey.max() <= 255 else "uint16"))
    if image.mode == "F":
        return as_rgb(np.asarray(image))
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


def as_rgb(array: np.ndarray) -> np.ndarray:
    """Bring an array to RGB uint8, H×W×3.

    Accepted: H×W, H×W×1 (grey), H×W×3 (RGB, never BGR), H×W×4 (RGBA, laid over white); uint8, uint16, bool, or floats
    that lie in 0–1 or, where any is above 1, in 0–255.

    Raises:
        ImageError: another shape or type, no pixels, NaN, or values outside the range.
    """
    array = np.asarray(array)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)) or array.size == 0:
        raise ImageError(
            f"expected one photo, H×W, H×W×3 or H×W×4 with at least one pixel; this array has shape {array.shape}. "
            "Give several photos as a list."
        )
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        array = (array // 257).astype("uint8")
    elif array.dtype == bool:
        array = array.astype("uint8") * 255
    elif array.dtype.kind == "f":
        low, high = array.min(), array.max()
        if not (low >= 0 and high <= 255):
            raise ImageError(f"float photos must lie in 0–1 or 0–255; this one spans {low} to {high}")
        array = np.round(array * (255 if high <= 1 else 1)).astype("uint8")
    elif array.dtype != np.uint8:
        raise ImageError(f"expected a photo of uint8, uint16, bool or float; this array holds {array.dtype}")
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

    Area means when a side shrinks, else bilinear (half-pixel centres, as Keras and PyTorch have it).
    """
    height, width = size
    shrinks = image.shape[0] > height or image.shape[1] > width
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def pad_to(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Fit an image or map (H×W or H×W×C) into (height, width), its aspect kept, centred, zeros around it (letterbox)."""
    (top, left), inner = _fitted(image.shape[:2], size)
    padded = np.zeros((*size, *image.shape[2:]), image.dtype)
    padded[top : top + inner[0], left : left + inner[1]] = resize(image, inner)
    return padded


def unpad(map: np.ndarray, size: tuple[int, int], frame: tuple[int, int]) -> np.ndarray:
    """Undo `pad_to` for a map (h×w, of any resolution) of an image of `size` that was padded to `frame`.

    The map is brought to the frame's pixels, the padding cut away, and the rest brought to the image's size.
    """
    (top, left), inner = _fitted(size, frame)
    return resize(resize(map, frame)[top : top + inner[0], left : left + inner[1]], size)


def _fitted(size, frame):
    """(top, left) and (height, width) of something of `size` when it is fitted into the middle of a frame."""
    scale = min(frame[0] / size[0], frame[1] / size[1])
    inner = tuple(max(1, min(f, round(s * scale))) for s, f in zip(size, frame, strict=True))
    return tuple((f - i) // 2 for f, i in zip(frame, inner, strict=True)), inner


def encode(image: np.ndarray, format: str = "jpeg") -> bytes:
    """An RGB image, H×W×3 uint8, as the bytes of a JPEG (quality 95, colours at full resolution) or a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format, quality=95, subsampling=0)
    return buffer.getvalue()


def decode(data: bytes) -> np.ndarray:
    """The RGB image, H×W×3 uint8, in such bytes. ImageError where they are damaged."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"a stored image is damaged: {error}") from error


def write(path: str | Path, image: np.ndarray) -> Path:
    """Write an RGB image, H×W×3 uint8; the suffix chooses the format (JPEG at quality 95). OSError where it cannot be written."""
    Image.fromarray(image).save(path, quality=95)
    return Path(path)
