"""``safbage sweep``: a notebook, rerun over a grid of settings."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table

from safbage.cli.base import app, fail, messages, say

SHOWN = 12
"""Points that finished last, in the live table."""


@app.command()
def sweep(
    notebook: Annotated[Path, typer.Argument(help="A notebook with a cell tagged parameters.")],
    output: Annotated[Path, typer.Option(help="Folder of the sweep; resumed if it exists.")],
    grid: Annotated[list[str] | None, typer.Option(help="RATIO=0,0.3,0.9 or FOLD=0..4; repeat it for more parameters.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="EPOCHS=5: the same at all points; repeat it.")] = None,
    from_: Annotated[Path | None, typer.Option("--from", help="YAML file with `set` and `grid`; options add to it.")] = None,
    workers: Annotated[int, typer.Option(help="Processes on this machine.")] = 1,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler whose workers do it instead.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run the points again that failed before.")] = False,
):
    """Run a notebook at every point of a grid of settings.

    Each runs in a process of its own; one table gathers them. Ctrl-C or a kill loses at most the points in flight: the same
    command goes on.
    """
    from safbage import sweep as sweeps

    try:
        settings, points = _read(from_)
        settings |= dict(_assignment(text) for text in set_ or ())
        points |= {name: _values(text) for name, text in map(_split, grid or ())}
        options = dict(grid=points, settings=settings, workers=workers, scheduler=scheduler, retry_failed=retry_failed)
        _watch(sweeps.run(notebook, output, **options), sweeps.plan(points), output)
    except ValueError as error:
        raise fail(str(error), 2) from error
    except KeyboardInterrupt:
        say(f"stopped; the same command goes on with the points that are missing in {output}")
        raise typer.Exit(130) from None
    table = sweeps.gather(output, points)
    failed = table[table.status == sweeps.FAILED]
    for row in failed.to_dict("records"):
        where = f" in cell {row['cell']:.0f}" if row["cell"] == row["cell"] and row["cell"] is not None else ""
        say(f"failed: {row['point']}{where}: {row['error']}")
    say(f"{(table.status == sweeps.FINISHED).sum()} of {len(table)} points are done")
    print(output / "results.csv")
    if len(failed):
        say("after mending what failed, run the same command with --retry-failed")
        raise typer.Exit(1)


def _read(path):
    """`set` and `grid` of a YAML file."""
    if path is None:
        return {}, {}
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML: {error}") from error
    if not isinstance(content, dict) or not set(content) <= {"set", "grid"}:
        raise ValueError(f"{path} holds `set` and `grid`, each a mapping of parameters; got {content!r:.200}")
    settings, grid = (content.get(name) or {} for name in ("set", "grid"))
    if not isinstance(settings, dict) or not isinstance(grid, dict):
        raise ValueError(f"{path}: `set` and `grid` are mappings of parameters")
    return settings, {name: value if isinstance(value, list) else _values(str(value)) for name, value in grid.items()}


def _split(text):
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ValueError(f"expected NAME=VALUE, such as RATIO=0.3; got {text!r}")
    return name, value


def _assignment(text):
    name, value = _split(text)
    return name, _value(value)


def _values(text):
    """The values of ``0,0.3,0.9``, or of ``0..4`` (both ends included)."""
    first, dots, last = text.partition("..")
    if dots and first.lstrip("-").isdecimal() and last.lstrip("-").isdecimal():
        return list(range(int(first), int(last) + 1))
    return [_value(part) for part in text.split(",")]


def _value(text):
    """As YAML reads it: 5 is a number, true a truth value, utkface a text."""
    import yaml

    return yaml.safe_load(text)


def _watch(done, points, output):
    """Show points as they finish, and the time left."""
    start, statuses, ran = time.monotonic(), {}, 0
    with Live(console=messages, refresh_per_second=4, transient=True) as live:
        for name, status, now in done:
            statuses[name] = status
            ran += now
            rate = (time.monotonic() - start) / ran if ran else None
            live.update(_table(statuses, len(points), rate, output))


def _table(statuses, count, rate, output):
    from safbage import sweep as sweeps

    failed = sum(status == sweeps.FAILED for status in statuses.values())
    left = f"; some {rate * (count - len(statuses)) / 60:.1f} minutes left" if rate else ""
    table = Table(title=f"{len(statuses)} of {count} points done, {failed} failed{left}", title_justify="left")
    for column in ("point", "status", "seconds"):
        table.add_column(column, justify="right" if column == "seconds" else "left")
    for name in list(statuses)[-SHOWN:]:
        table.add_row(name, statuses[name], f"{sweeps.read(output / name)['seconds']:.1f}")
    return table
