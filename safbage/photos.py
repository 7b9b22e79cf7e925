"""Which photos someone means: paths, folders, arrays and images as one list, each with a name for its rows."""

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from safbage import images

PIXELS = 100_000_000
"""Pixels of photos that are read ahead, at most, and of those that wait; a photo that has more goes alone. Reading takes up to
some twenty bytes a pixel, waiting three."""
SECONDS = 120
"""How long the others wait for a photo that is being read and searched for faces, before it counts as failed."""


def printable(text: str | Path) -> str:
    """A path or message as text that files and tables can take, and that is still the path wherever that is possible.

    Control characters and what is no character at all (odd bytes of a name) are escaped; every other name stays true. A
    terminal may need more care, see `base.say`.
    """
    return "".join(_escaped(c) if unicodedata.category(c) in ("Cc", "Cs") else c for c in str(text))


def _escaped(character):
    """`\\x1b` of a control character, `\\xff` of a byte that is no UTF-8 (as `os.fsdecode` gives it), else `\\ud800`."""
    byte = ord(character) - 0xDC00
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else character.encode("unicode_escape").decode()


def list_photos(photos) -> list[tuple[str, object]]:
    """(name, path or array or image) of every photo in a path, an array, a PIL image, a folder (every file in it and below), or
    a list of these.

    Hidden files are left out; a folder without files stands for itself, so that nothing vanishes without a row.

    Raises:
        TypeError: it is none of these.
        ValueError: a path is empty.
    """
    if isinstance(photos, str | Path):
        if not str(photos):
            raise ValueError("a photo's path is empty")
        path = Path(photos)
        inside = _files_below(path) if os.path.isdir(path) else []
        return [(printable(p), p) for p in inside or [path]]
    if isinstance(photos, np.ndarray | Image.Image):
        return [("photo 0", photos)]
    if isinstance(photos, bytes) or not isinstance(photos, Iterable):
        raise TypeError(f"expected a path, an array, a PIL image, a folder or a list of these; got a {type(photos).__name__}")
    listed = []
    for i, photo in enumerate(photos):
        named = isinstance(photo, str | Path) and str(photo) != ""
        listed += list_photos(photo) if named else [(f"photo {i}", photo)]
    return listed


def _files_below(folder: Path) -> list[Path]:
    """All files in a folder and below but hidden ones, links followed; a folder that cannot be read stands for itself."""
    seen, files, closed = set(), [], []
    for here, folders, names in os.walk(folder, onerror=closed.append, followlinks=True):
        seen.add(os.path.realpath(here))
        folders[:] = [f for f in folders if not f.startswith(".") and os.path.realpath(os.path.join(here, f)) not in seen]
        files += [Path(here, name) for name in names if not name.startswith(".")]
    return sorted(files + [Path(error.filename) for error in closed])


def read(photo) -> np.ndarray:
    """A photo of `list_photos` as RGB uint8, H×W×3.

    Raises:
        OSError, ImageError: as `images.read` and `images.as_rgb`; a folder without files is a FileNotFoundError.
    """
    if not isinstance(photo, Path):
        return images.as_rgb(photo)
    if os.path.isdir(photo):
        os.listdir(photo)  # where it may not be read, that is what went wrong
        raise FileNotFoundError(f"the folder {photo} holds no files")
    return images.read(photo)


def pixels(photo) -> int:
    """How many pixels `read` will decode, by the file's header; 0 of an array, and where it cannot be told."""
    if isinstance(photo, Image.Image):
        return photo.width * photo.height
    return images.pixels(photo) if isinstance(photo, Path) else 0
