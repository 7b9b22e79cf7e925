"""Find every data set by its name: its folder here, its pictures and its prepared faces."""

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from safbage.datasets import drawn
from safbage.datasets.readers import scenes
from safbage.datasets.readers.csv import csv
from safbage.datasets.shards import Prepared
from safbage.datasets.source import Source
from safbage.datasets.tables import Listing
from safbage.errors import DatasetError, FetchError, install_extra
from safbage.tasks import LABELS

if TYPE_CHECKING:
    from safbage.datasets.preparation import Preparation

READERS = (
    "fairface",
    "utkface",
    "fer2013",
    "ferplus",
    "rafdb",
    "appareal",
    "adience",
    "affectnet",
    "lfw",
)
"""Data sets of labelled faces; each is a module of `readers`, which ends with its `SOURCE`."""
SOURCES: dict[str, Source] = {
    name: import_module(f"safbage.datasets.readers.{name}").SOURCE for name in READERS
}
SOURCES |= {**scenes.SOURCES, "synthetic": drawn.SOURCE}
HUB_CONFIGS = ("0.25", "1.25")


def look_up(name: str) -> Source:
    """A data set's record by its name, upper or lower case.

    Raises:
        DatasetError: there is none of this name; the message lists those that there are.
    """
    if name.lower() not in SOURCES:
        raise DatasetError(f"no data set named {name!r}; there are {', '.join(SOURCES)}")
    return SOURCES[name.lower()]


def find(name: str, data_dir: str | Path | None = None) -> Path | None:
    """The folder of a data set, or None where it is not on this machine.

    Its usual names are looked for, upper or lower case, in `data_dir`. Where that is empty, the
    environment variable ``SAFBAGE_DATA`` names the folder to look in. That folder itself is taken
    where it has one of the names.

    Raises:
        DatasetError: there is no set of this name.
        FileNotFoundError: the folder to look in does not exist.
    """
    names = {folder.lower() for folder in look_up(name).folders}
    where = data_dir or os.environ.get("SAFBAGE_DATA")
    if not where:
        return None
    where = Path(where).expanduser().resolve()
    if not where.is_dir():
        origin = "" if data_dir else " (from SAFBAGE_DATA)"
        raise FileNotFoundError(f"no such folder of data sets: {where}{origin}")
    inside = sorted(
        path for path in where.iterdir() if path.name.lower() in names and path.is_dir()
    )
    if inside:
        return inside[0]
    return where if where.name.lower() in names else None


def locate(name: str, data_dir: str | Path | None = None) -> Path:
    """The folder of a data set, as `find` finds it.

    Raises:
        DatasetError: there is no set of this name, or it is not found (and where to get it).
        FileNotFoundError: the folder to look in does not exist.
    """
    folder = find(name, data_dir)
    if folder is None:
        source, where = look_up(name), f"in {data_dir}" if data_dir else "on this machine"
        raise DatasetError(
            f"{source.title} is not found {where}: set SAFBAGE_DATA to the folder that holds "
            f"{source.folders[0]}/, or name it (--data-dir). Where to get it: {source.where}"
        )
    return folder


def load(
    name: str,
    folder: str | Path | None = None,
    *,
    data_dir: str | Path | None = None,
    **options,
) -> Listing:
    """The pictures of a data set by its name: ``datasets.load("utkface", seed=1)``.

    Args:
        name: as in `SOURCES`.
        folder: where it lies; by default where `find` finds it.
        data_dir: where `find` looks.
        options: for the set's reader.

    Raises:
        DatasetError: there is no such set, it is not found, or its folder holds something else.
        FileNotFoundError: the folder does not exist.
    """
    chosen = look_up(name)
    read = chosen.read or chosen.draw
    if read is None:
        raise DatasetError(
            f"{chosen.title} holds no labelled faces; "
            "scenes are read with safbage.fixations.read, and SafBage.predict takes any photo"
        )
    return read(folder or locate(name, data_dir), **options)


def list_source(
    source: str | Path,
    folder: str | Path,
    *,
    limit: int | None = None,
    seed: int = 0,
    data_dir: str | Path | None = None,
    reading: Mapping[str, object] | None = None,
) -> Listing:
    """The pictures of a data set by its name, or of a table.

    Args:
        source: a name in `SOURCES`, or a table: ``.csv`` (see `datasets.csv`) or ``.parquet``.
        folder: faces that must be drawn first are drawn into ``folder/pictures``.
        limit: how many faces are drawn; a set or a table is given as a whole.
        seed: of drawn faces.
        data_dir: where `find` looks for a set.
        reading: further options of the reader.

    Raises:
        DatasetError: there is no such set, it is not found, or it holds something else.
        FileNotFoundError: the table, or the folder of data sets, does not exist.
    """
    reading = dict(reading or {})
    if _is_table(source):
        if Path(source).suffix == ".csv":
            return csv(source, **reading)
        return Listing(pd.read_parquet(source), pd.DataFrame(columns=["image", "reason"]))
    draw = look_up(str(source)).draw
    if draw is not None:
        asked = {"seed": seed} | ({} if limit is None else {"count": limit})
        return draw(Path(folder) / "pictures", **asked | reading)
    return load(str(source), data_dir=data_dir, **reading)


def _is_table(source):
    return Path(source).suffix in (".csv", ".parquet")


def sample(table: pd.DataFrame, limit: int | None, seed: int = 0) -> pd.DataFrame:
    """So many rows, drawn at random; where there are no more than that, the table as it is."""
    if limit is None or limit >= len(table):
        return table
    return table.sample(limit, random_state=seed)


def open_prepared(
    source: str | Path,
    folder: str | Path,
    *,
    task: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    data_dir: str | Path | None = None,
    options: "Preparation | None" = None,
    reading: Mapping[str, object] | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    retry_failed: bool = False,
    progress: bool = True,
) -> Prepared:
    """Prepared faces of any source: ``datasets.open_prepared("synthetic", "faces", limit=40)``.

    A folder that is prepared already is opened. The pictures of any other source are listed,
    drawn at random, and prepared into `folder`. After a kill the same call goes on.

    Args:
        source: a name in `SOURCES`, a table (``.csv``, ``.parquet``), or a prepared folder.
        folder: for the prepared faces, and where faces are drawn, for their pictures.
        task: "age", "gender" or "expression": only pictures with a label for it.
        limit: how many pictures, at most; all by default.
        seed: of the choice, and of drawn faces.
        data_dir: where `find` looks for a set.
        options: of the preparation; by default those that the source's pictures need.
        reading: further options of the source's reader.
        workers: processes on this machine.
        scheduler: as `preparation.prepare` takes it.
        retry_failed: try pictures again that failed before.
        progress: show a bar.

    Raises:
        DatasetError: there is no such source, it is not found, or has no labels for the task.
        As `preparation.prepare`.
    """
    if (Path(source) / "shards").is_dir():
        return Prepared(source)
    from safbage.datasets import preparation  # it loads Keras

    found = list_source(source, folder, limit=limit, seed=seed, data_dir=data_dir, reading=reading)
    table = found.faces if task is None else _labelled(found.faces, task, source)
    if options is None:
        needed = {} if _is_table(source) else look_up(str(source)).preparation
        options = preparation.Preparation(**needed)
    return preparation.prepare(
        sample(table, limit, seed),
        folder,
        options,
        workers=workers,
        scheduler=scheduler,
        retry_failed=retry_failed,
        progress=progress,
    )


def _labelled(table, task, source):
    """The rows with a label for a task. DatasetError where there is none."""
    column = LABELS.get(task)
    labelled = table.dropna(subset=column) if column in table else table[:0]
    if labelled.empty:
        raise DatasetError(f"{source} has no labels for {task}")
    return labelled


def fetch(name: str, to: str | Path, *, config: str = "0.25", progress: bool = True) -> Path:
    """Fetch a data set that is free to fetch into its own folder in `to`, and return that folder.

    What is there already and whole is not fetched again, and an interrupted download goes on.

    Args:
        name: as in `SOURCES`.
        to: the folder of data sets.
        config: of FairFace, its margin.
        progress: show a bar.

    Raises:
        DatasetError: there is no such set, or it must be asked for; the message says where, and how
            to lay out its files.
        ValueError: there is no such `config`.
        FetchError: the download failed.
        WorkError: nothing can be written to the folder.
        ImportError: huggingface_hub is not installed.
    """
    chosen = look_up(name)
    folder = Path(to).expanduser().resolve() / chosen.folders[0]
    if chosen.published is not None:
        chosen.published.fetch(chosen.title, folder, progress=progress)
    elif chosen.hub is not None:
        _fetch_from_hub(chosen, folder, config)
    else:
        raise DatasetError(
            f"{chosen.title} cannot be fetched by a command. Where to get it: {chosen.where}. "
            f"Licence: {chosen.licence}. Lay it out in {folder} as {chosen.layout}"
        )
    return folder


def _fetch_from_hub(chosen, folder, config):
    """By huggingface_hub, which goes on where it was."""
    if config not in HUB_CONFIGS:
        raise ValueError(f"config is one of {', '.join(HUB_CONFIGS)}; got {config!r}")
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(f"fetching needs huggingface_hub: {install_extra('hub')}") from error
    files = f"{config}/*.parquet"
    try:
        huggingface_hub.snapshot_download(
            chosen.hub, repo_type="dataset", allow_patterns=[files], local_dir=folder
        )
    except Exception as error:  # of its transport, whose kinds change with the library's version
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise FetchError(
            f"{chosen.title} could not be fetched from huggingface.co ({why}). Check the "
            "connection and the disk and give the command again: it goes on where it was. Or fetch "
            f"{files} of the data set {chosen.hub} elsewhere and put it into {folder}/{config}"
        ) from error
