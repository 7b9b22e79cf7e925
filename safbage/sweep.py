"""Reruns of one notebook with many settings: in parallel, restartable, gathered in one table.

    grid = {"RATIO": [0, 0.3, 0.9], "FOLD": range(5)}
    table = sweep("notebooks/04_fine_tune_alexnet.ipynb", "sweeps/ratios", grid=grid, workers=2)

A point of the grid is one run by papermill, with a folder of its own: the executed notebook, what
it wrote to its OUTPUT_DIR, and ``point.json``, which tells how it went. What points can share
(pictures, prepared faces, frozen features) lies in ``shared``. As with papermill, notebooks run in
the caller's working directory, and relative paths among the parameters start there.
"""

import itertools
import json
import math
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from datetime import time as clock
from importlib.metadata import version
from pathlib import Path
from types import NoneType

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from safbage.runtime import parallel
from safbage.runtime.files import fingerprint, write_text, write_whole
from safbage.runtime.kernels import as_literal, execute
from safbage.runtime.work import SHARED, keep_settings, locked

FINISHED, FAILED = "ok", "failed"
LONGEST = 120
"""Bytes of a point's folder name before its hash, at most."""
MOST = 100_000
"""Points of a grid, at most: more are a slip of the pen."""
TOLD = ("status", "seconds", "cell", "error")
MADE = ("started", "host", "notebook", "safbage")
COLUMNS = ("point", *TOLD, *MADE)
"""The table's own, beside parameters and metrics."""


def sweep(
    notebook: str | Path,
    output: str | Path,
    *,
    grid: Mapping[str, Sequence],
    settings: Mapping | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    retry_failed: bool = False,
    progress: bool = True,
) -> pd.DataFrame:
    """Run a notebook at every point of a grid, and gather what each wrote to its ``metrics.json``.

    Killed at any moment, the same call goes on: finished points are not run again, those in flight
    are. A grid may grow.

    Args:
        notebook: with a cell tagged "parameters"; it writes ``metrics.json`` into its OUTPUT_DIR.
        output: folder of the sweep; for a cluster, one that all machines see.
        grid: parameter to its values; every combination is a point. Values are numbers, texts,
            truth values, None, lists and dicts; NumPy's scalars, paths and dates become such.
        settings: parameters that are the same at all points.
        workers: processes on this machine; they share out its threads and its GPU's memory.
        scheduler: address of a Dask scheduler whose workers run the points instead.
        retry_failed: run the points again that failed before.
        progress: show a bar.

    Returns:
        A row per point, in the grid's order, see `gather`; also in ``results.parquet`` and
            ``results.csv`` in `output`.

    Raises:
        FileNotFoundError: no such notebook.
        ValueError: the notebook has no such parameter, or a parameter is given twice, has no value
            or one that JSON cannot hold, or there are more than 100,000 points.
        WorkError: another process runs a sweep in this folder, it holds one of another notebook or
            of other settings, or a worker process died.
    """
    options = dict(workers=workers, scheduler=scheduler, retry_failed=retry_failed)
    done = run(notebook, output, grid=grid, settings=settings, **options)
    points = plan(grid)
    with tqdm(total=len(points), desc="points", disable=not progress) as bar:
        for name, status, _ in done:
            bar.set_postfix_str(f"{name}: {status}")
            bar.update()
    return gather(output, grid)


def plan(grid: Mapping[str, Sequence]) -> dict[str, dict]:
    """The points of a grid, by their names: ``{"RATIO=0.3,FOLD=1": {"RATIO": 0.3, "FOLD": 1}, …}``.

    Raises:
        ValueError: a parameter has no value, one twice or one that JSON cannot hold, or there are
            more than `MOST` points.
    """
    grid = {name: list(itertools.islice(values, MOST + 1)) for name, values in grid.items()}
    if math.prod(map(len, grid.values())) > MOST:
        raise ValueError(f"a sweep has {MOST:,} points at most; {', '.join(grid)} make more")
    grid = {name: [plain(name, value) for value in values] for name, values in grid.items()}
    for name, values in grid.items():
        if not values or len({str(value) for value in values}) < len(values):
            raise ValueError(f"{name} needs values that differ, one at least; got {values}")
    combinations = itertools.product(*grid.values())
    points = [dict(zip(grid, values, strict=True)) for values in combinations]
    return {name_of(point): point for point in points}


def plain(name: str, value):
    """A parameter's value as JSON has it.

    NumPy's scalars become Python's, tuples and arrays lists, paths and dates texts.

    Raises:
        ValueError: it is something else, not finite, an integer beyond 64 bits, or text that is no
            Unicode.
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, date | clock):
        return value.isoformat()
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, list | tuple):
        return [plain(name, item) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: plain(name, item) for key, item in value.items()}
    fits = {bool: True, NoneType: True, int: _is_int64, float: math.isfinite, str: _is_unicode}
    for kind, test in fits.items():
        if isinstance(value, kind) and (test is True or test(value)):
            return value
    allowed = "finite numbers, texts, True, False, None, and lists or dicts of these"
    raise ValueError(f"{name} takes {allowed}; got {value!r:.80} ({type(value).__name__})")


def _is_int64(number):
    return -(2**63) <= number < 2**63


def _is_unicode(text):
    """Whether it can be written, which a lone surrogate cannot."""
    return not re.search("[\ud800-\udfff]", text)


def name_of(point: Mapping) -> str:
    """A point's folder, such as ``RATIO=0.3,FOLD=1``.

    Odd characters become "-"; a fingerprint tells long or odd names apart.
    """
    full = ",".join(f"{name}={value}" for name, value in point.items()) or "point"
    name = re.sub(r"[^\w=,.+-]", "-", full)
    if name == full and len(name.encode()) <= LONGEST:
        return name
    return f"{name.encode()[:LONGEST].decode(errors='ignore')}-{fingerprint(full)}"


def check(notebook: str | Path, names) -> None:
    """Refuse parameters that a notebook does not have, before anything runs.

    Raises:
        FileNotFoundError: no such notebook.
        ValueError: it has no parameters, lacks one of these or OUTPUT_DIR, or OUTPUT_DIR is among
            these, which is the sweep's to set.
    """
    import papermill

    if not Path(notebook).is_file():
        raise FileNotFoundError(f"no such notebook: {notebook}")
    known = papermill.inspect_notebook(as_literal(notebook))
    unknown = [str(name) for name in names if name not in known]
    if unknown or "OUTPUT_DIR" not in known:
        lacks = ", ".join(dict.fromkeys([*unknown, *({"OUTPUT_DIR"} - set(known))]))
        raise ValueError(
            f"{Path(notebook).name} has no parameter {lacks}; it has {', '.join(known) or 'none'}"
        )
    if "OUTPUT_DIR" in names:
        raise ValueError("OUTPUT_DIR is not to be set: every point gets a folder of its own")


def run(
    notebook: str | Path,
    output: str | Path,
    *,
    grid: Mapping[str, Sequence],
    settings: Mapping | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    retry_failed: bool = False,
) -> Iterator[tuple[str, str, bool]]:
    """As `sweep`, a point at a time.

    The folder is this call's alone from the first point asked for until all are done, or the
    iterator is closed.

    Yields:
        A point's name, its status ("ok" or "failed"), and whether it ran now, not in an earlier
        call.
    """
    settings = {name: plain(name, value) for name, value in (settings or {}).items()}
    output, points = Path(output).resolve(), plan(grid)
    both = sorted(set(settings) & set(grid))
    if both:
        raise ValueError(f"{', '.join(both)} is set and in the grid")
    if workers < 1:
        raise ValueError(f"workers is at least 1; got {workers}")
    check(notebook, [*settings, *grid])
    content = Path(notebook).read_bytes()
    with locked(output):
        keep_settings(output, {"notebook": fingerprint(content, digits=64), "settings": settings})
        copy = output / Path(notebook).name
        write_whole(copy, lambda aside: aside.write_bytes(content))
        jobs = []
        for name, point in points.items():
            status = (read(output / name, point) or {}).get("status")
            if status == FINISHED or (status == FAILED and not retry_failed):
                yield name, status, False
            else:
                _remove(output / name / "point.json")
                places = str(output / "shared"), os.getcwd()
                jobs.append((str(copy), str(output / name), settings | point, *places))
        if scheduler is not None:
            yield from parallel.on_cluster(run_point, jobs, scheduler)
        else:
            yield from parallel.in_processes(run_point, jobs, workers)


def read(folder: Path, point: Mapping) -> dict | None:
    """How a point went: what its ``point.json`` says, and its `metrics`.

    None where it was not run to its end. Where a file is not one that `run_point` or a notebook
    writes, the point counts as failed, with the reason as its `error`.
    """
    path = folder / "point.json"
    if not path.exists():
        return None
    try:
        note = _check_note(_read_object(path), point)
    except ValueError as error:
        return {"status": FAILED, "error": str(error)}
    try:
        return note | {"metrics": read_metrics(folder) if note["status"] == FINISHED else {}}
    except ValueError as error:
        return note | {"status": FAILED, "error": str(error), "metrics": {}}


def _check_note(note, point):
    kinds = dict.fromkeys(("status", *MADE), str) | {"parameters": dict, "seconds": int | float}
    kinds |= {"cell": int | NoneType, "error": str | NoneType}
    odd = [name for name, kind in kinds.items() if not isinstance(note.get(name), kind)]
    if note.get("status") not in (FINISHED, FAILED):
        odd.append("status")
    if "parameters" not in odd and not point.items() <= note["parameters"].items():
        odd.append("parameters")
    if odd:
        raise ValueError(
            f"point.json is damaged or another point's: see {', '.join(dict.fromkeys(odd))} in it"
        )
    return note


def read_metrics(folder: Path) -> dict:
    """All single values of a point's ``metrics.json``, nested ones as ``outer.inner``.

    Raises:
        ValueError: there is none, or it holds no object, one name twice, or a value that a table
            cannot hold.
    """
    if not (folder / "metrics.json").exists():
        raise ValueError("the notebook ran, but wrote no metrics.json into its OUTPUT_DIR")
    metrics = {}
    for name, value in _single_values(_read_object(folder / "metrics.json")):
        if name in metrics:
            raise ValueError(f"metrics.json has two values {name}")
        if isinstance(value, int) and not _is_int64(value):
            raise ValueError(f"metrics.json: {name} is an integer beyond 64 bits")
        metrics[name] = value
    return metrics


def _read_object(path):
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        json.dumps(content, ensure_ascii=False).encode()  # no lone surrogate in it
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} cannot be read: {type(error).__name__}: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(
            f"{path.name} is to hold an object, {{…}}; it holds {json.dumps(content):.40}"
        )
    return content


def _remove(path):
    """Delete a file, or what lies in its place."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def run_point(
    notebook: str, folder: str, parameters: dict, shared: str, directory: str
) -> tuple[str, str, bool]:
    """Run a notebook with these parameters into a folder, and note there how it went.

    The kernel runs in `directory`, or in `folder` on a machine that has no such directory; it sees
    `shared` as the environment's SAFBAGE_SHARED.

    Returns:
        What `run` yields.
    """
    from papermill.exceptions import PapermillExecutionError

    folder = Path(folder)
    done = read(folder, parameters)  # a cluster asks again for what a lost worker had finished
    if done:
        return folder.name, done["status"], False
    folder.mkdir(parents=True, exist_ok=True)
    os.environ[SHARED] = shared
    note = {
        "parameters": parameters,
        "status": FINISHED,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": platform.node(),
        "notebook": Path(notebook).name,
        "safbage": version("safbage"),
    }
    start = time.perf_counter()
    try:
        _remove(folder / "metrics.json")  # of a run that was killed or failed
        where = directory if Path(directory).is_dir() else folder
        given = parameters | {"OUTPUT_DIR": str(folder)}
        execute(notebook, folder / "notebook.ipynb", given, directory=where)
    except Exception as error:  # one bad point must not cost the others theirs
        in_cell = isinstance(error, PapermillExecutionError)
        kind, words = (error.ename, error.evalue) if in_cell else (type(error).__name__, error)
        text = f"{kind}: {words}".encode(errors="backslashreplace").decode()
        note |= {"status": FAILED, "cell": error.exec_count if in_cell else None, "error": text}
    note["seconds"] = round(time.perf_counter() - start, 2)
    write_text(folder / "point.json", json.dumps(note, indent=1))
    return folder.name, read(folder, parameters)["status"], True


def gather(output: str | Path, grid: Mapping[str, Sequence]) -> pd.DataFrame:
    """The table of a sweep, whole or not.

    It is also written to ``results.parquet`` and ``results.csv`` in the sweep's folder.

    Returns:
        A row per point: `point`, `status` ("ok", "failed", or "missing": not run yet), `seconds`,
        `cell` and `error` of a failed one, the point's parameters, all single values of its metrics
        (nested ones as ``outer.inner``), and `started`, `host`, `notebook`, `safbage`. A parameter
        of one of these names becomes ``parameters.name``; a metric of one of them, or of a
        parameter's name, becomes ``metrics.name``. Lists and dicts are there as JSON.
    """
    output = Path(output)
    points = plan(grid)
    notes = {
        name: read(output / name, point) or {"status": "missing"} for name, point in points.items()
    }
    parameters = {name: note.get("parameters", points[name]) for name, note in notes.items()}
    taken = {*COLUMNS, *(name for values in parameters.values() for name in values)}
    rows = []
    for name, note in notes.items():
        told, made = ({key: note.get(key) for key in keys} for keys in (TOLD, MADE))
        settings = _without_clashes(parameters[name], COLUMNS, "parameters")
        metrics = _without_clashes(note.get("metrics", {}), taken, "metrics")
        rows.append({"point": name, **told, **settings, **metrics, **made})
    table = pd.DataFrame(rows)
    output.mkdir(parents=True, exist_ok=True)
    objects = [name for name in table if table[name].dtype == object]
    mixed = [name for name in objects if table[name].dropna().map(type).nunique() > 1]
    stored = table.assign(**{name: table[name].map(str, na_action="ignore") for name in mixed})
    write_whole(output / "results.parquet", lambda aside: stored.to_parquet(aside, index=False))
    write_whole(output / "results.csv", lambda aside: table.to_csv(aside, index=False))
    return table


def _without_clashes(values, taken, prefix):
    """The values under names that are not taken: ``prefix.name`` in place of one that is."""
    placed = {}
    for name, value in values.items():
        column = name
        while column in taken or (column != name and column in values):
            column = f"{prefix}.{column}"
        placed[column] = json.dumps(value) if isinstance(value, list | dict) else value
    return placed


def _single_values(values, before=""):
    """Name and value of all that is not a list, nested dicts as ``outer.inner``."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _single_values(value, f"{before}{name}.")
        elif not isinstance(value, list):
            yield before + name, value
