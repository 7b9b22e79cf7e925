"""What readers share: folders, tables in text, files that are extracted once, published counts."""

import csv
import hashlib
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from safbage import images
from safbage.errors import DatasetError

logger = logging.getLogger(__name__)


NO_FILE = "the picture is not there"
"""Why rows are left out whose picture is missing."""


OTHER_FILE = "not a kind of picture that is read"
"""Why files are left out that lie among pictures and are none by their suffix."""


def check_folder(folder: str | Path, *needed: str) -> Path:
    """The folder as a path. FileNotFoundError where it is not there, DatasetError where none of the `needed` lies in it."""
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"no such folder: {folder}")
    if needed and not any((folder / name).exists() for name in needed):
        raise DatasetError(f"{folder} holds none of {', '.join(needed)}; {list_contents(folder)}")
    return folder.resolve()


def list_contents(folder: Path) -> str:
    """What a folder holds, for messages."""
    there = sorted(path.name for path in folder.iterdir())
    return f"it holds {', '.join(there[:8]) or 'nothing'}" + (" …" if len(there) > 8 else "")


def pictures_below(folder: Path) -> tuple[list[Path], list[dict]]:
    """Every picture in a folder and below, and left-out rows of all other files: which is which, the suffix tells.

    Both are sorted; hidden files and folders are passed over.
    """
    found = sorted(path for path in folder.rglob("*") if not path.is_dir() and not _is_hidden(path.relative_to(folder)))
    known = images.suffixes()
    pictures = [path for path in found if path.suffix.lower() in known]
    others = [{"image": str(path), "reason": OTHER_FILE} for path in found if path.suffix.lower() not in known]
    return pictures, others


def _is_hidden(inside):
    return any(name.startswith(".") for name in inside.parts)


def read_rows(
    path: Path, needed: Sequence[str], *, delimiter: str = ",", header: Sequence[str] | None = None
) -> Iterator[tuple[str, dict | None]]:
    """Of each line of a table in text its place ("name:line") and its fields, stripped; None for a malformed line.

    Args:
        path: the file, UTF-8.
        needed: columns that must be there.
        delimiter: between fields; tabs imply that quotes are letters like others.
        header: names of the columns, where the file begins without them.

    Raises:
        FileNotFoundError: there is no such file.
        DatasetError: a needed column is missing, or the file is no table.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
        reader = csv.reader(file, delimiter=delimiter, quoting=quoting)
        names = list(header) if header else [name.strip() for name in next(_records(path, reader), None) or []]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DatasetError(f"{path} has the column {', '.join(twice)} twice")
        missing = [name for name in needed if name not in names]
        if missing:
            there = ", ".join(names[:12])[:200] or "nothing"
            raise DatasetError(f"{path} has no column {', '.join(missing)}; its first line holds {there}")
        for fields in _records(path, reader):
            whole = fields is not None and len(fields) == len(names)
            place = f"{path.name}:{reader.line_num}"
            yield place, {k: v.strip() for k, v in zip(names, fields, strict=True)} if whole else None


def _records(path, reader):
    """The records of a csv that hold anything; None for one that the csv module refuses, as it does a field of over 128 kB.

    DatasetError where one goes over several lines: a quotation mark stands open, and all up to the next would be lost.
    """
    while True:
        before = reader.line_num
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            fields = None
        if reader.line_num > before + 1:
            raise DatasetError(f"{path}: a quotation mark is opened and not closed before line {reader.line_num}")
        if fields != []:
            yield fields


def fingerprint(path: Path) -> str:
    """Eight hexadecimal digits for a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:8]


def extract_once(target: Path, fill: Callable[[Path], None]) -> Path:
    """A folder that `fill(aside)` fills, unless it is there already; whole or not at all, so that a killed run leaves none.

    Raises:
        PermissionError: nothing may be written there.
    """
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = tempfile.TemporaryDirectory(dir=target.parent, prefix="writing-")
    except OSError as error:
        raise PermissionError(f"cannot write to {target.parent} ({error}); name another folder with cache=") from error
    with aside as name:
        filled = Path(name) / target.name
        filled.mkdir()
        fill(filled)
        try:
            filled.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was faster
                raise
    return target


def compare_with_published(name: str, counts: dict[str, tuple[int, int]]) -> None:
    """Warn where a count (what: found, published) differs from the one that papers report."""
    for what, (found, published) in counts.items():
        if found != published:
            why = "pictures or lines are missing" if found < published else "this is another edition"
            logger.warning(
                "%s: %s %s, published are %s; %s, so results do not compare with published ones",
                name, f"{found:,}", what, f"{published:,}", why,
            )  # fmt: skip
