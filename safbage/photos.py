"""Where photos come from: paths, folders, arrays, Pillow images, lists and streams of these, each
with a name for its rows."""

import os
from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from safbage import images
from safbage.runtime.files import printable

PIXELS = 100_000_000
"""Pixels of photos that are read ahead, at most, and of those that wait; a photo that has more goes
alone. Reading takes up to some twenty bytes a pixel, waiting three."""
SECONDS = 120
"""How long the others wait for a photo that is being read and searched for faces, before it counts
as failed."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo that has not been read yet.

    Attributes:
        name: of its rows in tables; `printable`.
        content: a path, or anything that `images.as_rgb` takes.
    """

    name: str
    content: object

    def read(self) -> np.ndarray:
        """The photo as RGB uint8, H×W×3.

        Raises:
            OSError, ImageError: as `images.read` and `images.as_rgb`; for a folder without files
                it is a FileNotFoundError.
        """
        if not isinstance(self.content, Path):
            return images.as_rgb(self.content)
        if os.path.isdir(self.content):
            os.listdir(self.content)  # where it may not be read, that is what went wrong
            raise FileNotFoundError(f"the folder {self.content} holds no files")
        return images.read(self.content)

    def pixels(self) -> int:
        """How many pixels `read` will decode, by the file's header; 0 for an array, and where it
        cannot be told."""
        if isinstance(self.content, Image.Image):
            return self.content.width * self.content.height
        return images.pixels(self.content) if isinstance(self.content, Path) else 0


def list_photos(photos) -> Iterable[Photo]:
    """Photos in their order.

    Hidden files are left out. A folder without files stands for itself, so that nothing vanishes
    without a row.

    Args:
        photos: a path, an array, a Pillow image, a folder (every file in it and below), or several
            of these.

    Returns:
        A list; or where `photos` has no length, as a generator, an iterator that takes no more of
        it than it is asked for.

    Raises:
        TypeError: it is none of these.
        ValueError: a path is empty.
    """
    if isinstance(photos, Photo):
        return [photos]
    if isinstance(photos, str | Path):
        if not str(photos):
            raise ValueError("a photo's path is empty")
        path = Path(photos)
        inside = _files_below(path) if os.path.isdir(path) else []
        return [Photo(printable(p), p) for p in inside or [path]]
    if isinstance(photos, np.ndarray | Image.Image):
        return [Photo("photo 0", photos)]
    if isinstance(photos, bytes) or not isinstance(photos, Iterable):
        raise TypeError(
            "expected a path, an array, a PIL image, a folder or a list of these; "
            f"got a {type(photos).__name__}"
        )
    return list(_each(photos)) if isinstance(photos, Sized) else _each(photos)


def _each(photos) -> Iterator[Photo]:
    for i, photo in enumerate(photos):
        named = isinstance(photo, str | Path | Photo) and photo != ""
        yield from list_photos(photo) if named else [Photo(f"photo {i}", photo)]


def _files_below(folder: Path) -> list[Path]:
    """All files in a folder and below but hidden ones, links followed; a folder that cannot be read
    stands for itself."""
    seen, files, closed = set(), [], []
    for here, folders, names in os.walk(folder, onerror=closed.append, followlinks=True):
        seen.add(os.path.realpath(here))
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(os.path.join(here, name)) not in seen
        ]
        files += [Path(here, name) for name in names if not name.startswith(".")]
    return sorted(files + [Path(error.filename) for error in closed])
