"""What readers share: folders, tables in text, files that are extracted once, published counts."""

import csv
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from safbage import images
from safbage.errors import DatasetError
from safbage.runtime.files import fill_whole, sha256

logger = logging.getLogger(__name__)

NO_FILE = "the picture is not there"
"""The reason of rows that are left out because their picture is missing."""
OTHER_FILE = "not a kind of picture that is read"
"""The reason of files that are left out because their suffix is not a picture's."""


def check_folder(folder: str | Path, *needed: str) -> Path:
    """The folder as an absolute path.

    Raises:
        FileNotFoundError: it is not there.
        DatasetError: none of the files `needed` lies in it.
    """
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
    """Every picture in a folder and below, and for every other file a row that leaves it out.

    The suffix tells which is which. Both lists are sorted; hidden files and folders are left out.
    """
    pictures, others, known = [], [], images.suffixes()
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or _is_hidden(path.relative_to(folder)):
            continue
        if path.suffix.lower() in known:
            pictures.append(path)
        else:
            others.append({"image": str(path), "reason": OTHER_FILE})
    return pictures, others


def _is_hidden(inside):
    return any(name.startswith(".") for name in inside.parts)


def read_rows(
    path: Path, needed: Sequence[str], *, delimiter: str = ",", header: Sequence[str] | None = None
) -> Iterator[tuple[str, dict | None]]:
    """Each line of a table in text: its place ("name:line"), and its fields by column.

    Fields are stripped of white space; a malformed line has None in their place.

    Args:
        path: the file, UTF-8.
        needed: columns that must be there.
        delimiter: between fields; tabs imply that quotes are letters like others.
        header: names of the columns, where the file begins without them.

    Raises:
        FileNotFoundError: there is no such file.
        DatasetError: a needed column is missing, or the file is not a table.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    with open(path, newline="", encoding="utf-8-sig", errors="replace") as file:
        reader = csv.reader(file, delimiter=delimiter, quoting=quoting)
        names = list(header or map(str.strip, next(_records(path, reader), None) or []))
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DatasetError(f"{path} has the column {', '.join(twice)} twice")
        missing = [name for name in needed if name not in names]
        if missing:
            there = ", ".join(names[:12])[:200] or "nothing"
            raise DatasetError(
                f"{path} has no column {', '.join(missing)}; its first line holds {there}"
            )
        for fields in _records(path, reader):
            whole = fields is not None and len(fields) == len(names)
            place = f"{path.name}:{reader.line_num}"
            yield place, dict(zip(names, map(str.strip, fields), strict=True)) if whole else None


def _records(path, reader):
    """The records of a csv that hold anything; None for one that the csv module refuses.

    It refuses fields of over 128 kB. A record over several lines is a DatasetError: a quotation
    mark was left open, and all up to the next one would be lost.
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
            raise DatasetError(
                f"{path}: a quotation mark is opened and not closed before line {reader.line_num}"
            )
        if fields != []:
            yield fields


def extract_once(file: Path, cache: str | Path | None, extract: Callable[[Path], None]) -> Path:
    """The folder of the pictures that are inside a file; `extract(folder)` writes them, once.

    The folder is there as a whole or not at all, so a killed extraction leaves nothing. The
    content of the file is in its name, so pictures and labels never come from different files.

    Args:
        file: holds the pictures.
        cache: where the folder goes; by default ``pictures/`` beside the file.
        extract: writes the pictures into a folder.

    Raises:
        PermissionError: nothing may be written there.
    """
    pictures = Path(cache).resolve() if cache else file.parent / "pictures"
    return fill_whole(pictures / f"{file.stem}-{sha256(file)[:8]}", extract)


def compare_with_published(name: str, counts: dict[str, tuple[int, int]]) -> None:
    """Warn where a count (what: found, published) differs from the one that papers report."""
    for what, (found, published) in counts.items():
        if found != published:
            why = (
                "pictures or lines are missing" if found < published else "this is another edition"
            )
            logger.warning(
                "%s: %s %s, published are %s; %s, so results do not compare with published ones",
                name, f"{found:,}", what, f"{published:,}", why,
            )  # fmt: skip
