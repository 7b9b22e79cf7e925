"""Whole files only: written aside, then renamed; read with words for what is damaged in them."""

import hashlib
import json
import os
import threading
from pathlib import Path

from safbage.errors import WorkError

FULL = "Where the disk is full, free some of it: the same call goes on with what is whole. Or name another folder."


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


def fingerprint(*parts: bytes | str, digits: int = 8) -> str:
    """So many hexadecimal digits for some content: other ones for any other."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part if isinstance(part, bytes) else part.encode())
    return total.hexdigest()[:digits]
