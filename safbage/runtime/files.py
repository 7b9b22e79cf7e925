"""Write whole files only (aside, then renamed), fingerprint files, and report damaged ones."""

import hashlib
import json
import os
import tempfile
import threading
import unicodedata
from collections.abc import Callable
from pathlib import Path

from safbage.errors import WorkError

TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Unicode's bidirectional controls, with which a name can look like another."""
LINES = "\u2028\u2029"
"""Unicode's separators of lines and paragraphs."""
FULL = (
    "If the disk is full, free some of it: the same call goes on with what is whole. "
    "Or name another folder."
)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write(aside)` write a file beside `path`, then rename it to `path`.

    A killed run leaves the old file or the new one, never half of one. Each process and thread has
    an aside of its own, so that two that write the same file do not meet.

    Raises:
        WorkError: it cannot be written, as where the disk is full. The old file stays.
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


def write_text(path: Path, text: str) -> None:
    """Write a text file, in UTF-8, by `write_whole`."""
    write_whole(path, lambda aside: aside.write_text(text, encoding="utf-8"))


def fill_whole(folder: Path, fill: Callable[[Path], object]) -> Path:
    """Let `fill(aside)` fill a folder, unless it is there already: whole or not at all.

    Raises:
        PermissionError: nothing may be written there.
    """
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = tempfile.TemporaryDirectory(dir=folder.parent, prefix="writing-")
    except OSError as error:
        raise PermissionError(
            f"cannot write to {folder.parent} ({error}); name another folder"
        ) from error
    with aside as name:
        filled = Path(name) / folder.name
        filled.mkdir()
        fill(filled)
        try:
            filled.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster
                raise
    return folder


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
    """The error of a file in a work folder that holds what this library did not write there."""
    return WorkError(
        f"{path} is damaged ({what}). Name another folder, or delete {path.parent} and start again."
    )


def sha256(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(*parts: str | bytes | memoryview, digits: int = 8) -> str:
    """The first hexadecimal digits of the parts' SHA-256, as if they were one; texts as UTF-8."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part.encode() if isinstance(part, str) else part)
    return total.hexdigest()[:digits]


def printable(text: str | Path, *, harmful: str = "", kept: str = "") -> str:
    """A path or message as text that files and tables can take, and still the path where possible.

    Control characters and what is not a character at all (odd bytes of a name) are escaped; every
    other name stays true. What a person is shown needs more care, see `visible`.

    Args:
        text: what is to be shown.
        harmful: further characters to escape.
        kept: control characters to leave as they are.
    """

    def is_odd(character):
        unshown = unicodedata.category(character) in ("Cc", "Cs") and character not in kept
        return unshown or character in harmful

    return "".join(_escape(c) if is_odd(c) else c for c in str(text))


def visible(text: str) -> str:
    """Text as a person may be shown it.

    What would move a terminal's cursor or turn its writing around is escaped. In files and tables
    names stay true.
    """
    return printable(text, harmful=TURNING + LINES, kept="\n\t")


def _escape(character):
    r"""`\x1b` of a control character, `\xff` of a byte that `os.fsdecode` kept, or `\ud800`."""
    byte = ord(character) - 0xDC00
    escaped = character.encode("unicode_escape").decode()
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else escaped
