"""Where photos come from: paths, folders, globs, addresses, open files, bytes, arrays, Pillow
images, films, lists and streams of these, each with a name for its rows."""

import glob
import io
import os
import tempfile
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from operator import length_hint
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from safbage import films, images
from safbage.errors import ImageError
from safbage.films import Moment
from safbage.runtime import addresses
from safbage.runtime.files import printable

PIXELS = 100_000_000
"""Pixels of photos that are read ahead, at most, and of those that wait; a photo that has more goes
alone. Reading takes up to some twenty bytes a pixel, waiting three."""
SECONDS = 120
"""How long the others wait for a photo that is being read and searched for faces, before it counts
as failed."""
UNKNOWN_PIXELS = 25_000_000
"""Pixels that a photo counts with among those read ahead, where they cannot be told before."""
PHOTO_BYTES, PHOTO_SECONDS = 100_000_000, 60
"""How large a photo from an address or an open file may be, and how long an address may take."""
FILM_BYTES, FILM_SECONDS = 4_000_000_000, 1800
"""The same of a film."""


@dataclass(frozen=True)
class Address:
    """An http(s) address; `allow_private` as for `list_photos`."""

    url: str
    allow_private: bool = False


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo that has not been read yet, or a film, whose frames are photos.

    Attributes:
        name: of its rows in tables; `printable`. A film's frames have the film's.
        content: a path, an `Address`, a file's bytes, an open binary file, or anything that
            `images.as_rgb` takes. An exception stands for a photo that could not be got.
        moment: of a film's frame, where in the film it is.
    """

    name: str
    content: object
    moment: Moment | None = None

    def read(self) -> np.ndarray:
        """The photo as RGB uint8, H×W×3.

        Raises:
            OSError, ImageError: as `images.read` and `images.as_rgb`; for a folder without files
                it is a FileNotFoundError.
            AddressError: the address does not give it, see `addresses.fetch`.
        """
        content = self.content
        if isinstance(content, Exception):
            raise content
        if isinstance(content, Path):
            return self._read_path()
        if isinstance(content, Address) or _is_open_file(content):
            into = io.BytesIO()
            _copy(content, into, PHOTO_BYTES, PHOTO_SECONDS)
            return self._decoded(into.getvalue())
        return self._decoded(content) if _are_bytes(content) else images.as_rgb(content)

    def _read_path(self):
        if os.path.isdir(self.content):
            os.listdir(self.content)  # where it may not be read, that is what went wrong
            raise FileNotFoundError(f"the folder {self.content} holds no files")
        try:
            return images.read(self.content)
        except ImageError:
            self._refuse_film(_beginning(self.content))
            raise

    def _decoded(self, data):
        self._refuse_film(data)
        return images.from_bytes(bytes(data), self.name)

    def _refuse_film(self, data):
        if films.is_film(data[: films.BEGINNING]):
            raise ImageError(
                f"{self.name} is a film, but is not called one; "
                f"films end in {', '.join(films.SUFFIXES)}"
            )

    def pixels(self) -> int:
        """How many pixels `read` will decode, by the file's header; 0 for an array that is no
        film's, and where reading would fail at once."""
        content = self.content
        if isinstance(content, Image.Image):
            return content.width * content.height
        if isinstance(content, Path) or _are_bytes(content):
            return images.pixels(content)
        if isinstance(content, Address) or _is_open_file(content):
            return UNKNOWN_PIXELS
        framed = self.moment is not None and isinstance(content, np.ndarray)
        return content.shape[0] * content.shape[1] if framed else 0

    def is_film(self) -> bool:
        """Whether this is a film: by its name, or, of bytes and open files, by its content."""
        content = self.content
        if isinstance(content, Path):
            return films.has_film_name(content) and not os.path.isdir(content)
        if isinstance(content, Address):
            return films.has_film_name(urlsplit(content.url).path)
        if _is_open_file(content):
            return films.is_film(_peeked(content)) or films.has_film_name(self.name)
        return _are_bytes(content) and films.is_film(content[: films.BEGINNING])

    def frames(self, every: float = films.EVERY) -> Iterator["Photo"]:
        """A film's frames, read one after the other; where it breaks off, a last photo that
        fails.

        Args:
            every: seconds from one frame to the next; 0 for all frames.
        """
        try:
            with self.as_file() as path:
                for moment, image in films.frames(path, every=every, name=Path(self.name).name):
                    yield Photo(self.name, image, moment)
        except Exception as error:  # one bad film must not cost the others their rows
            yield Photo(self.name, error, getattr(error, "moment", None))

    @contextmanager
    def as_file(self) -> Iterator[Path]:
        """A film as a file on disk, which is fetched, or written, where it is not one."""
        if isinstance(self.content, Path):
            yield self.content
            return
        with tempfile.TemporaryDirectory(prefix="safbage-") as folder:
            path = Path(folder, "film")
            with open(path, "wb") as file:
                if _are_bytes(self.content):
                    file.write(self.content)
                else:
                    _copy(self.content, file, FILM_BYTES, FILM_SECONDS)
            yield path


class Stream:
    """Photos one after the other, each film as its frames. Nothing is read before its turn.

    Its `operator.length_hint` is about how many there are, for progress bars.

    Args:
        photos: of `list_photos`.
        every: seconds from one frame of a film to the next; 0 for all frames.
        begin: how many photos and frames are passed over.

    Raises:
        ValueError: `every` is negative or no number.
    """

    def __init__(
        self, photos: Iterable[Photo], *, every: float = films.EVERY, begin: int = 0
    ) -> None:
        films.check_every(every)
        self.photos, self.every, self.begin = photos, every, begin

    def __iter__(self) -> Iterator[Photo]:
        for number, photo in enumerate(self._each()):
            if number >= self.begin:
                yield photo

    def _each(self):
        for photo in self.photos:
            if photo.is_film():
                yield from photo.frames(self.every)
            else:
                yield photo

    def __length_hint__(self) -> int:
        if not isinstance(self.photos, Sized):
            return NotImplemented
        total = sum(self._length(photo) for photo in self.photos)
        return max(0, total - self.begin)

    def _length(self, photo):
        on_disk = isinstance(photo.content, Path) and photo.is_film()
        return films.count(photo.content, every=self.every) if on_disk else 1

    def total(self) -> int | None:
        """About how many there are; None where it cannot be told."""
        hint = length_hint(self, -1)
        return None if hint < 0 else hint


def list_photos(photos, *, allow_private: bool = False) -> Iterable[Photo]:
    """Photos and films in their order.

    Hidden files are left out. A folder without files stands for itself, and a glob that nothing
    matches, too, so that nothing vanishes without a row.

    Args:
        photos: a path, a folder (every file in it and below), a glob such as ``"*.jpg"`` (a text
            that is not itself a path; ``**`` is any folders), an ``http://`` or ``https://``
            address, the bytes of a file, an open binary file, an array, a Pillow image, or several
            of these.
        allow_private: fetch also from addresses of this machine and of private networks.

    Returns:
        A list; or where `photos` has no length, as a generator, an iterator that takes no more of
        it than it is asked for. Where that breaks off with an error, a last photo fails with it.

    Raises:
        TypeError: it is none of these.
        ValueError: a path is empty.
    """
    if isinstance(photos, Photo):
        return [photos]
    if isinstance(photos, str) and addresses.is_address(photos):
        return [Photo(printable(photos), Address(photos, allow_private))]
    if isinstance(photos, str | Path):
        return _at_path(photos)
    if isinstance(photos, np.ndarray | Image.Image) or _are_bytes(photos):
        return [Photo("photo 0", photos)]
    if _is_open_file(photos):
        return [Photo(_name_of(photos, "photo 0"), photos)]
    if not isinstance(photos, Iterable):
        raise TypeError(
            "expected a path, an address, an array, a PIL image, a file's bytes, an open binary "
            f"file, a folder or a list of these; got a {type(photos).__name__}"
        )
    each = _each(photos, allow_private)
    return list(each) if isinstance(photos, Sized) else each


def _at_path(text):
    """A file, the files of a folder, or what a glob matches."""
    if not str(text):
        raise ValueError("a photo's path is empty")
    path = Path(text)
    if isinstance(text, str) and glob.has_magic(text) and not os.path.lexists(text):
        found = sorted(glob.glob(text, recursive=True))
        if not found:
            return [Photo(printable(text), FileNotFoundError(f"nothing matches {text}"))]
        return [photo for each in found for photo in _at_path(Path(each))]
    inside = _files_below(path) if os.path.isdir(path) else []
    return [Photo(printable(p), p) for p in inside or [path]]


def _each(photos, allow_private) -> Iterator[Photo]:
    given, i = iter(photos), 0
    while True:
        try:
            photo = next(given)
        except StopIteration:
            return
        except Exception as error:
            kind = type(error).__name__
            broken = ImageError(f"what gives the photos broke off ({kind}: {error})")
            broken.__cause__ = error
            yield Photo(f"photo {i}", broken)
            return
        named = isinstance(photo, str | Path | Photo) and photo != ""
        if named:
            yield from list_photos(photo, allow_private=allow_private)
        elif _is_open_file(photo):
            yield Photo(_name_of(photo, f"photo {i}"), photo)
        else:
            yield Photo(f"photo {i}", photo)
        i += 1


def _are_bytes(content):
    return isinstance(content, bytes | bytearray | memoryview)


def _is_open_file(content):
    return callable(getattr(content, "read", None))


def _name_of(file, otherwise):
    """An open file's name; a number, as of a pipe, is none."""
    name = getattr(file, "name", None)
    return printable(name) if isinstance(name, str) and name else otherwise


def _beginning(path):
    with open(path, "rb") as file:
        return file.read(films.BEGINNING)


def _peeked(file):
    """The first bytes of an open file, which is left where it was; none of one that cannot go
    back."""
    try:
        place = file.tell()
        beginning = file.read(films.BEGINNING)
        file.seek(place)
    except (OSError, AttributeError, ValueError):  # a pipe; closed
        return b""
    return beginning if isinstance(beginning, bytes) else b""


def _copy(content, into, limit, seconds):
    """Write what an address or an open file gives into another file, at most `limit` bytes."""
    if isinstance(content, Address):
        addresses.fetch(
            content.url, into, limit=limit, seconds=seconds, allow_private=content.allow_private
        )
        return
    copied = 0
    while part := content.read(2**20):
        if not isinstance(part, bytes):
            raise ImageError("the open file gives text; open it in binary mode ('rb')")
        copied += len(part)
        if copied > limit:
            raise ImageError(f"the open file has more than the {limit:,} bytes that are read")
        into.write(part)


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
