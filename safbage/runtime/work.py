"""Work folders that can be resumed: by one process at a time, and with the same settings only."""

import json
import logging
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from safbage.errors import WorkError
from safbage.runtime.files import clear_asides, read_json, write_text

logger = logging.getLogger(__name__)

SHARED = "SAFBAGE_SHARED"
"""Environment variable with the folder for what a sweep's points share."""


def shared_folder(own: str | Path) -> Path:
    """Where a notebook keeps what reruns with other settings can use, too.

    It is the notebook's own folder, or in a sweep the sweep's.
    """
    return Path(os.environ.get(SHARED) or own)


@contextmanager
def locked(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Let one process at a time write a folder, which is made where it is missing.

    The system frees it where its owner is killed.

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
        write_text(owner, f"process {os.getpid()} on {platform.node()} ({command})")
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()


@contextmanager
def resuming(folder: Path, settings: dict) -> Iterator[None]:
    """Write a folder whose contents follow from some settings.

    The second of two calls waits, and finds everything made. What killed runs left half written is
    cleared away.

    Raises:
        WorkError: the folder holds something made with other settings (told at once, not after
            waiting), or cannot be written.
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
    """Note what a folder's contents are made with.

    Raises:
        WorkError: as `check_settings`, or it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "settings.json"
    if not path.exists():
        write_text(path, json.dumps(settings, indent=2, default=str))
    check_settings(folder, settings)


def check_settings(folder: Path, settings: dict) -> None:
    """Refuse a folder whose contents were made with other settings.

    Raises:
        WorkError: they were, or its ``settings.json`` is damaged.
    """
    path = folder / "settings.json"
    if not path.exists():
        return
    settings = json.loads(json.dumps(settings, default=str))
    before = read_json(path, dict)
    if before != settings:
        changed = {name for name in {*before, *settings} if before.get(name) != settings.get(name)}
        pairs = {name: (before.get(name), settings.get(name)) for name in sorted(changed)}
        what = ", ".join(
            f"{name}: {there} there, {now} now" for name, (there, now) in pairs.items()
        )
        raise WorkError(
            f"{folder} was begun with other settings ({what}). Name another folder, or delete it."
        )
