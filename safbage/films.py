"""Films as frames: which moments are looked at, when they are, and where a damaged film breaks.

FFmpeg reads them, by OpenCV. It turns each frame upright and tells its time, also where the frame
rate varies. It is given files only whose first bytes are a film's: left to guess, it also takes
playlists, and opens what they name.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import floor, isfinite
from pathlib import Path

import cv2
import numpy as np

from safbage.errors import FilmError

SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm")
EVERY = 0.5
"""Seconds from one frame that is looked at to the next, where nothing else is asked for."""
PIXELS = 100_000_000
"""Pixels of a frame, at most; 8K has a third of that."""
BEGINNING = 16
"""How many of a file's bytes `is_film` needs."""
PARTS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
"""What a QuickTime or MPEG-4 file may begin with."""
STILLS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
"""Brands of MPEG-4's container that hold photos."""
FEW_MISSING = 2, 0.25
"""Frames and seconds by which a film may be shorter than it declares without being called broken:
containers round. Beyond them, 2 % are allowed."""

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # what is damaged, errors say


@dataclass(frozen=True)
class Moment:
    """Where in its film a frame is.

    Attributes:
        frame: its number in the film, from 0.
        time_s: seconds from the film's beginning.
        place: how many frames were looked at before it.
    """

    frame: int
    time_s: float
    place: int


def is_film(beginning: bytes) -> bool:
    """Whether a file that begins with these bytes (`BEGINNING` are enough) is a film of a kind that
    is read: QuickTime, MPEG-4, AVI, Matroska, WebM."""
    if beginning[4:8] in PARTS:
        return beginning[8:12] not in STILLS
    avi = beginning[:4] == b"RIFF" and beginning[8:12] == b"AVI "
    return avi or beginning[:4] == b"\x1aE\xdf\xa3"


def has_film_name(name: str | Path) -> bool:
    """Whether a file is called like a film (`SUFFIXES`)."""
    return str(name).lower().endswith(SUFFIXES)


def frames(
    path: str | Path, *, every: float = EVERY, name: str | None = None
) -> Iterator[tuple[Moment, np.ndarray]]:
    """A film's frames with their moments, one after the other; RGB uint8, H×W×3.

    Args:
        path: the file.
        every: seconds from one frame to the next; 0 for all frames.
        name: what messages call the film, by default the file's name.

    Raises:
        FileNotFoundError, PermissionError: it is not there, or may not be read.
        FilmError: it is no film or cannot be read; or, after what could be read, it broke off, at
            the error's `moment`.
        ValueError: `every` is negative or no number.
    """
    check_every(every)
    name = name or Path(path).name
    with _opened(path, name) as film:
        number, time, due, place = -1, 0.0, 0.0, 0
        while film.grab():
            number += 1
            time = _time(film, number, time)
            if time < due - 1e-6:
                continue
            read, picture = film.retrieve()
            if read:
                due = every * (floor((time + 1e-6) / every) + 1) if every else 0.0
                yield Moment(number, time, place), cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
                place += 1
        if number < 0:
            raise FilmError(f"{name} holds no frame that can be read")
        _check_whole(film, name, Moment(number + 1, time, place))


def check_every(every: float) -> None:
    """ValueError unless `every` is a number of seconds, 0 or more."""
    if not (isinstance(every, int | float) and isfinite(every) and every >= 0):
        raise ValueError(f"every is a number of seconds, 0 for all frames; got {every!r}")


def rate(path: str | Path) -> float:
    """A film's frames a second, as it declares them.

    Raises:
        FileNotFoundError, PermissionError, FilmError: as `frames`.
    """
    with _opened(path, Path(path).name) as film:
        return _rate(film)


def count(path: str | Path, *, every: float = EVERY) -> int:
    """How many frames `frames` will give, as far as the film's header tells; 1 where it does not.

    It is an estimate, for a progress bar.
    """
    try:
        with _opened(path, Path(path).name) as film:
            total, fps = film.get(cv2.CAP_PROP_FRAME_COUNT), _rate(film)
    except (OSError, FilmError):  # reading it tells why
        return 1
    shown = total if not every else min(total, total / fps / every)
    return round(shown) if 1 <= shown < 1e9 else 1


@contextmanager
def _opened(path, name):
    """A film, open, of a size that is safe to decode."""
    path = Path(path).resolve()
    with open(path, "rb") as file:
        beginning = file.read(BEGINNING)
    if not beginning:
        raise FilmError(f"{name} is empty (0 bytes)")
    if not is_film(beginning):
        raise FilmError(
            f"{name} is not a film, or of a kind that is not read; "
            f"kinds that are read: {', '.join(SUFFIXES)}"
        )
    with _silent():
        film = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    try:
        if not film.isOpened():
            raise FilmError(
                f"{name} is damaged, or cut short before its index: nothing can be read"
            )
        width, height = (
            film.get(side) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        if width * height > PIXELS:
            raise FilmError(
                f"{name} has frames of {width:.0f}×{height:.0f} pixels; at most {PIXELS:,} are read"
            )
        yield film
    finally:
        film.release()


@contextmanager
def _silent():
    """OpenCV says nothing on stderr: what went wrong is raised."""
    logging = cv2.utils.logging
    before = logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(before)


def _rate(film):
    fps = film.get(cv2.CAP_PROP_FPS)
    return fps if isfinite(fps) and 0 < fps < 1e4 else 25.0


def _time(film, number, before):
    """Seconds of the frame that was grabbed; by the frame rate where it has no time of its own, or
    one that runs backwards."""
    time = film.get(cv2.CAP_PROP_POS_MSEC) / 1000
    if number and not (isfinite(time) and time > before):
        return before + 1 / _rate(film)
    return time if isfinite(time) and time >= 0 else 0.0


def _check_whole(film, name, end):
    """Raise where a film ended well before the frames and seconds that it declares."""
    declared, fps = film.get(cv2.CAP_PROP_FRAME_COUNT), _rate(film)
    lacking = declared - end.frame, declared / fps - (end.time_s + 1 / fps)
    whole = declared, declared / fps
    if all(
        lack > max(few, 0.02 * all_)
        for lack, few, all_ in zip(lacking, FEW_MISSING, whole, strict=True)
    ):
        raise FilmError(
            f"{name} broke off after {end.time_s:.1f} s, at frame {end.frame:,} of the "
            f"{declared:,.0f} that it declares",
            end,
        )
