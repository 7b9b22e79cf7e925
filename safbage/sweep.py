"""Reruns of one notebook with many settings: in parallel, restartable, gathered in one table.

    grid = {"RATIO": [0, 0.3, 0.9], "FOLD": range(5)}
    table = sweep("notebooks/04_fine_tune_alexnet.ipynb", "sweeps/ratios", grid=grid, workers=2)

A point of the grid is one run by papermill, in a folder of its own: the executed notebook, what it wrote to its OUTPUT_DIR, and
``point.json``, which tells how it went. What points can share (pictures, prepared faces, frozen features) lies in ``shared``.
"""

import hashlib
import itertools
import json
import os
import platform
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from safbage import parallel
from safbage.work import SHARED, keep_settings, write_whole

FINISHED, FAILED = "ok", "failed"
LONGEST = 120
"""Characters of a point's folder name, at most."""


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

    Killed at any moment, the same call goes on: finished points are not run again, those in flight are. A grid may grow.

    Args:
        notebook: with a cell tagged "parameters"; it writes ``metrics.json`` into its OUTPUT_DIR.
        output: folder of the sweep; for a cluster, one that all machines see.
        grid: parameter to its values; every combination is a point.
        settings: parameters that are the same at all points.
        workers: processes on this machine; they share out its threads and its GPU's memory.
        scheduler: address of a Dask scheduler whose workers run the points instead.
        retry_failed: run the points again that failed before.
        progress: show a bar.

    Returns:
        A row per point, in the grid's order; see `gather`. It is also in ``results.parquet`` and ``results.csv`` in `output`.

    Raises:
        FileNotFoundError: no such notebook.
        ValueError: the notebook has no such parameter, or a parameter is given twice or has no value.
        WorkError: the folder holds a sweep of another notebook or of other settings, or a worker process died.
    """
    done = run(notebook, output, grid=grid, settings=settings, workers=workers, scheduler=scheduler, retry_failed=retry_failed)
    points = plan(grid)
    with tqdm(total=len(points), desc="points", disable=not progress) as bar:
        for name, status, _ in done:
            bar.set_postfix_str(f"{name}: {status}")
            bar.update()
    return gather(output, grid)


def plan(grid: Mapping[str, Sequence]) -> dict[str, dict]:
    """The points of a grid, by their names: ``{"RATIO=0.3,FOLD=1": {"RATIO": 0.3, "FOLD": 1}, …}``.

    Raises:
        ValueError: a parameter has no value, or one twice.
    """
    grid = {name: list(values) for name, values in grid.items()}
    for name, values in grid.items():
        if not values or len({json.dumps(value) for value in values}) < len(values):
            raise ValueError(f"{name} needs values that differ, one at least; got {values}")
    combinations = itertools.product(*grid.values())
    points = [dict(zip(grid, values, strict=True)) for values in combinations]
    return {name_of(point): point for point in points}


def name_of(point: Mapping) -> str:
    """A point's folder: ``RATIO=0.3,FOLD=1``; odd characters become "-", and a hash tells long or odd names apart."""
    plain = ",".join(f"{name}={value}" for name, value in point.items()) or "point"
    name = re.sub(r"[^\w=,.+-]", "-", plain)
    if name == plain and len(name) <= LONGEST:
        return name
    return f"{name[:LONGEST]}-{hashlib.sha256(plain.encode()).hexdigest()[:8]}"


def check(notebook: str | Path, names) -> None:
    """Refuse parameters that a notebook does not have, before anything runs.

    Raises:
        FileNotFoundError: no such notebook.
        ValueError: it has no parameters, lacks one of these names, or is not told where to write (OUTPUT_DIR is the sweep's).
    """
    import papermill

    if not Path(notebook).is_file():
        raise FileNotFoundError(f"no such notebook: {notebook}")
    known = papermill.inspect_notebook(str(notebook))
    unknown = [name for name in names if name not in known]
    if unknown or "OUTPUT_DIR" not in known:
        lacks = ", ".join(dict.fromkeys([*unknown, *({"OUTPUT_DIR"} - set(known))]))
        raise ValueError(f"{Path(notebook).name} has no parameter {lacks}; it has {', '.join(known) or 'none'}")
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
    """As `sweep`, a point at a time: its name, its status ("ok" or "failed"), and whether it ran now, not in an earlier call."""
    settings, output, points = dict(settings or {}), Path(output).resolve(), plan(grid)
    both = sorted(set(settings) & set(grid))
    if both or workers < 1:
        raise ValueError(f"{', '.join(both)} is set and in the grid" if both else f"workers is at least 1; got {workers}")
    check(notebook, [*settings, *grid])
    content = Path(notebook).read_bytes()
    keep_settings(output, {"notebook": hashlib.sha256(content).hexdigest(), "settings": settings})
    copy = output / Path(notebook).name
    write_whole(copy, lambda aside: aside.write_bytes(content))
    jobs = []
    for name, point in points.items():
        status = (read(output / name) or {}).get("status")
        if status == FINISHED or (status == FAILED and not retry_failed):
            yield name, status, False
        else:
            (output / name / "point.json").unlink(missing_ok=True)
            jobs.append((str(copy), str(output / name), settings | point, str(output / "shared")))
    if scheduler:
        yield from parallel.on_cluster(run_point, jobs, scheduler)
    else:
        yield from parallel.in_processes(run_point, jobs, workers)


def read(folder: Path) -> dict | None:
    """A point's ``point.json``; None where it was not run to its end."""
    path = folder / "point.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def run_point(notebook: str, folder: str, parameters: dict, shared: str) -> tuple[str, str, bool]:
    """Run a notebook with these parameters into a folder, and note there how it went; what `run` yields.

    What it writes lies below `folder`; the kernel sees `shared` as the environment's SAFBAGE_SHARED.
    """
    import papermill
    from papermill.exceptions import PapermillExecutionError

    folder = Path(folder)
    done = read(folder)  # a cluster asks again for what a lost worker had finished
    if done:
        return folder.name, done["status"], False
    folder.mkdir(parents=True, exist_ok=True)
    os.environ[SHARED] = shared
    note = {"parameters": parameters, "status": FINISHED, "started": datetime.now(UTC).isoformat(timespec="seconds")}
    note |= {"host": platform.node(), "notebook": Path(notebook).name, "safbage": version("safbage")}
    (folder / "metrics.json").unlink(missing_ok=True)  # of a run that was killed or failed
    start = time.perf_counter()
    try:
        papermill.execute_notebook(
            notebook,
            folder / "notebook.ipynb",
            parameters | {"OUTPUT_DIR": str(folder)},
            kernel_name="python3",
            cwd=str(folder),
            progress_bar=False,
            extra_arguments=["--log-level=CRITICAL"],  # a kernel's remarks would spoil the table; its errors are in the notebook
        )
        if not (folder / "metrics.json").exists():
            raise FileNotFoundError("the notebook ran, but wrote no metrics.json into its OUTPUT_DIR")
    except Exception as error:  # one bad point must not cost the others theirs
        cell = error.exec_count if isinstance(error, PapermillExecutionError) else None
        words = (
            f"{error.ename}: {error.evalue}" if isinstance(error, PapermillExecutionError) else f"{type(error).__name__}: {error}"
        )
        note |= {"status": FAILED, "cell": cell, "error": words}
    note["seconds"] = round(time.perf_counter() - start, 2)
    write_whole(folder / "point.json", lambda aside: aside.write_text(json.dumps(note, indent=1), encoding="utf-8"))
    return folder.name, note["status"], True


def gather(output: str | Path, grid: Mapping[str, Sequence]) -> pd.DataFrame:
    """The table of a sweep, whole or not, also written to ``results.parquet`` and ``results.csv`` in its folder.

    A row per point: `point`, `status` ("ok", "failed", or "missing": not run yet), `seconds`, the point's parameters, `cell` and
    `error` of a failed one, all single values of its metrics (nested ones as ``outer.inner``), and `started`, `host`, `notebook`,
    `safbage`.
    """
    output, rows = Path(output), []
    for name, point in plan(grid).items():
        note = read(output / name) or {"status": "missing"}
        metrics = output / name / "metrics.json"
        known = note["status"] == FINISHED and metrics.exists()
        values = dict(_single(json.loads(metrics.read_text(encoding="utf-8")))) if known else {}
        told = {key: note.get(key) for key in ("status", "seconds", "cell", "error")}
        made = {key: note.get(key) for key in ("started", "host", "notebook", "safbage")}
        rows.append({"point": name, **told, **note.get("parameters", point), **values, **made})
    table = pd.DataFrame(rows)
    output.mkdir(parents=True, exist_ok=True)
    stored = table.astype({name: str for name in table if table[name].map(type).nunique() > 1 and table[name].dtype == object})
    write_whole(output / "results.parquet", lambda aside: stored.to_parquet(aside, index=False))
    write_whole(output / "results.csv", lambda aside: table.to_csv(aside, index=False))
    return table


def _single(values, before=""):
    """Name and value of all that is no list, nested dicts as ``outer.inner``."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _single(value, f"{before}{name}.")
        elif not isinstance(value, list):
            yield before + name, value
