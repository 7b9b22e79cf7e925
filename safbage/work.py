"""Work folders that can be resumed: whole files only, and never results of one setting under another's name."""

import json
import logging
import os
import platform
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from tqdm.auto import tqdm

logger = logging.getLogger(__name__)

SHARED = "SAFBAGE_SHARED"
"""Environment variable with the folder for what a sweep's points share."""


FULL = "Where the disk is full, free some of it: the same call goes on with what is whole. Or name another folder."


class WorkError(RuntimeError):
    """A work folder holds something begun with other settings; the message says which and what to do."""


def shared_folder(own: str | Path) -> Path:
    """Where a notebook keeps what reruns with other settings can use, too: its own folder, or in a sweep the sweep's."""
    return Path(os.environ.get(SHARED) or own)


def write_whole(path: Path, write) -> None:
    """Let `write(aside)` write beside `path`, then rename: a killed run leaves the old file or the new, never half of one.

    Each process and thread has an aside of its own, so that two that write the same file do not meet.

    Raises:
        WorkError: it cannot be written, as where the disk is full; the old file stays.
    """
    aside = path.with_name(f"writing-{os.getpid()}-{threading.get_native_id()}-{path.name}")
    try:
        write(aside)
        os.replace(aside, path)
    except OSError as error:
        raise WorkError(f"{path} cannot be written ({error}). {FULL}") from error
    finally:
        if aside.exists():
            aside.unlink()


def clear_asides(folder: Path) -> None:
    """Delete what killed processes of this machine left half written in a folder."""
    for path in folder.glob("writing-*"):
        process = path.name.split("-")[1]
        if process.isdecimal() and not _is_running(int(process)):
            path.unlink(missing_ok=True)


def _is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it runs, as another user's
        return True
    return True


@contextmanager
def locked(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Let one process at a time write a folder, which is made where it is missing. The system frees it where its owner is killed.

    Args:
        folder: the folder; its files ``lock`` and ``lock.owner`` are the lock's.
        wait: where another process holds it, wait for that one instead of refusing.

    Raises:
        WorkError: another process holds it, which the message names; or it cannot be written.
    """
    folder = Path(folder)
    lock, owner = FileLock(folder / "lock"), folder / "lock.owner"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        held = f"{folder} is being written by {_owner(owner)}"
        if not wait:
            raise WorkError(f"{held}. Wait until it is done, or name another folder.") from None
        logger.warning("%s; waiting until it is done", held)
        lock.acquire()
    except OSError as error:
        raise WorkError(f"{folder} cannot be written ({error}). Name another folder.") from error
    try:
        command = " ".join(map(os.path.basename, sys.argv[:2])) or "python"
        write_whole(owner, lambda aside: aside.write_text(f"process {os.getpid()} on {platform.node()} ({command})"))
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


@contextmanager
def resuming(folder: Path, settings: dict) -> Iterator[None]:
    """Write a folder whose contents follow from some settings: the second of two calls waits, and finds all made.

    What killed runs left half written is cleared away.

    Raises:
        WorkError: the folder holds something made with other settings (told at once, not after waiting), or cannot be written.
    """
    check_settings(folder, settings)
    with locked(folder, wait=True):
        keep_settings(folder, settings)
        clear_asides(folder)
        yield


def _owner(path):
    try:
        return path.read_text()
    except OSError:  # it has only just begun
        return "another process"


def keep_settings(folder: Path, settings: dict) -> None:
    """Note what a folder's contents were made with; WorkError where it holds something made with other settings."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "settings.json"
    if not path.exists():
        write_whole(path, lambda aside: aside.write_text(json.dumps(settings, indent=2, default=str)))
    check_settings(folder, settings)


def check_settings(folder: Path, settings: dict) -> None:
    """WorkError where a folder holds something made with other settings, or its ``settings.json`` is damaged."""
    path = folder / "settings.json"
    if not path.exists():
        return
    settings = json.loads(json.dumps(settings, default=str))
    before = read_json(path, dict)
    if before != settings:
        changed = {name for name in {*before, *settings} if before.get(name) != settings.get(name)}
        what = ", ".join(f"{name}: {before.get(name)} there, {settings.get(name)} now" for name in sorted(changed))
        raise WorkError(f"{folder} was begun with other settings ({what}). Name another folder, or delete it.")


def read_json(path: Path, kind: type):
    """What a JSON file of this library's holds, a `kind` (dict, list).

    Raises:
        FileNotFoundError: it is not there.
        WorkError: it holds anything else; the message names it.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise damaged(path, error) from error
    if not isinstance(found, kind):
        raise damaged(path, f"{str(found)[:40]} where a {kind.__name__} was expected")
    return found


def damaged(path: Path, what) -> WorkError:
    """A file of a work folder holds what this library did not write there; to be raised."""
    return WorkError(f"{path} is damaged ({what}). Name another folder, or delete {path.parent} and begin anew.")


def check_space(path: Path, needed: int) -> None:
    """WorkError where a file of so many bytes is not there yet and does not fit on its disk."""
    free = shutil.disk_usage(path.parent).free
    if not path.exists() and needed > free:
        raise WorkError(f"{path} will have {needed / 1e9:.1f} GB; {free / 1e9:.1f} GB are free. Name a folder on another disk.")


def resumable(path: Path, shape, dtype, compute, batch, description, progress=True):
    """Fill an array on disk batch by batch; what a killed run wrote is not computed again.

    `compute(slice)` gives the rows of a slice. WorkError where the file holds an array of another shape or type or is damaged, or
    where the disk has no place for it.
    """
    shape = tuple(map(int, shape))  # NumPy writes its own integers into the header in a way that it cannot read
    done_path = path.with_suffix(".done")
    if done_path.exists() and path.exists():
        done, array = _begun(path, done_path, shape, dtype)
    else:
        done, array = 0, _allocated(path, shape, dtype)
    for start in tqdm(range(done, shape[0], batch), desc=description, disable=not progress):
        stop = min(start + batch, shape[0])
        array[start:stop] = compute(slice(start, stop))
        array.flush()
        write_whole(done_path, lambda aside, stop=stop: aside.write_text(str(stop)))
    return array


def _begun(path, done_path, shape, dtype):
    """How many rows of an array on disk are there, and the array."""
    text = done_path.read_text(errors="replace")
    if not text.isdecimal() or len(text) > 18 or int(text) > shape[0]:
        raise damaged(done_path, f"it holds {text[:20]!r}, not a number up to {shape[0]}")
    try:
        array = np.lib.format.open_memmap(path, "r")
    except (ValueError, OSError) as error:
        raise damaged(path, error) from error
    if array.shape != shape or array.dtype != np.dtype(dtype):
        raise WorkError(
            f"{path} holds {array.shape} of {array.dtype}, not {shape} of {dtype}. Delete it, or name another folder."
        )
    return int(text), np.lib.format.open_memmap(path, "r+")


def _allocated(path, shape, dtype):
    """A new array on disk that has its place there: writing a sparse file ends in SIGBUS, without a word, on a full disk."""
    try:
        array = np.lib.format.open_memmap(path, "w+", dtype, shape)
        with open(path, "r+b") as file:
            _allocate(file, array.offset, path.stat().st_size)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise WorkError(f"{path} cannot be written ({error}). {FULL}") from error
    return array


def _allocate(file, start, size, chunk=2**24):
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    file.seek(start)
    for at in range(start, size, chunk):
        file.write(bytes(min(chunk, size - at)))


class EpochLog:
    """One line per epoch, and the weights of the last and of the best one, by `score(line)`; training goes on behind the last.

    WorkError where ``log.json`` is damaged, or weights that it promises are, or where nothing more can be written.
    """

    def __init__(self, folder: Path, score: Callable[[dict], float]):
        self.folder, self.score, self.path = folder, score, folder / "log.json"
        self.rows = read_json(self.path, list) if self.path.exists() else []
        try:
            np.array([score(row) for row in self.rows], "float64")
        except (KeyError, TypeError, ValueError) as error:
            raise damaged(self.path, f"no line per epoch: {error}") from error

    @property
    def best(self) -> int:
        """The epoch (from 1) of the largest score; 0 before the first."""
        return 1 + int(np.argmax([self.score(row) for row in self.rows])) if self.rows else 0

    def weights_path(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch}.weights.h5"

    def resume(self, model) -> None:
        """Load the last whole epoch, with the optimizer's state."""
        if self.rows:
            self.load(model, len(self.rows))

    def load(self, model, epoch: int) -> None:
        """Load the weights of an epoch that was kept."""
        path = self.weights_path(epoch)
        try:
            model.load_weights(path)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise damaged(path, error) from error

    def add(self, model, row: dict) -> None:
        """Keep an epoch: its weights first, then its line, so that a line always has its weights; then drop older ones."""
        write_whole(self.weights_path(len(self.rows) + 1), lambda aside: _save_weights(model, aside))
        self.rows.append(row)
        write_whole(self.path, lambda aside: aside.write_text(json.dumps(self.rows)))
        for epoch in range(1, len(self.rows)):
            if epoch != self.best:
                self.weights_path(epoch).unlink(missing_ok=True)


def _save_weights(model, path):
    try:
        model.save_weights(path)
    except (OSError, RuntimeError) as error:  # HDF5 tells of a full disk in many lines, or of a file that cannot be closed
        code = getattr(error, "errno", None)
        raise OSError(code, os.strerror(code)) if code else OSError(str(error).splitlines()[0]) from error
