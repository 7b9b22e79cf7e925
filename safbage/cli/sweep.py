"""``safbage sweep``: a notebook, rerun over a grid of settings."""

import json
import re
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table

from safbage.cli.base import Scheduler, Workers, app, messages, say, stoppable

SHOWN = 12
"""Points that finished last, in the live table."""
WORDS = {"True": True, "False": False, "None": None}
JSON = {"true": True, "false": False, "null": None, "~": None, "": None}
"""Further words, in a file."""


@app.command()
def sweep(
    notebook: Annotated[Path, typer.Argument(help="A notebook with a cell tagged parameters.")],
    output: Annotated[Path, typer.Option(help="Folder of the sweep; resumed if it exists.")],
    grid: Annotated[
        list[str] | None,
        typer.Option(help="RATIO=0,0.3,0.9 or FOLD=0..4; repeat it for more parameters."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="EPOCHS=5: the same at all points; repeat it for more."),
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option("--from", help="YAML file with `set` and `grid`; options add to it."),
    ] = None,
    workers: Workers = 1,
    scheduler: Scheduler = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run points that failed before again.")
    ] = False,
):
    """Run a notebook at every point of a grid of settings.

    Each runs in a process of its own; one table gathers them. Ctrl-C or a kill loses at most the
    points in flight: the same command goes on.
    """
    import pandas as pd

    from safbage import sweep as sweeps

    with stoppable(f"with the points that are missing in {output}"):
        settings, points = read_file(from_)
        settings |= dict(_assignment(text) for text in set_ or ())
        points |= {name: values_of(text) for name, text in map(_split, grid or ())}
        options = dict(
            grid=points,
            settings=settings,
            workers=workers,
            scheduler=scheduler,
            retry_failed=retry_failed,
        )
        _watch(sweeps.run(notebook, output, **options), sweeps.plan(points), output)
    table = sweeps.gather(output, points)
    failed = table[table.status == sweeps.FAILED]
    for row in failed.to_dict("records"):
        where = f" in cell {row['cell']:.0f}" if pd.notna(row["cell"]) else ""
        say(f"failed: {row['point']}{where}: {row['error']}")
    say(f"{(table.status == sweeps.FINISHED).sum()} of {len(table)} points are done")
    print(output / "results.csv")
    if len(failed):
        say("once the cause is fixed, run the same command with --retry-failed")
        raise typer.Exit(1)


def read_file(path):
    """`set` and `grid` of a YAML file."""
    if path is None:
        return {}, {}
    import yaml

    try:
        content = yaml.load(path.read_bytes(), _loader()) or {}
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or not set(content) <= {"set", "grid"}:
        raise ValueError(
            f"{path} holds `set` and `grid`, each a mapping of parameters; got {content!r:.200}"
        )
    settings, grid = (content.get(name) or {} for name in ("set", "grid"))
    if not isinstance(settings, dict) or not isinstance(grid, dict):
        raise ValueError(f"{path}: `set` and `grid` are mappings of parameters")
    return settings, {name: _listed(value) for name, value in grid.items()}


def _loader():
    """YAML whose plain words mean what they mean on the command line or in JSON.

    Quoted ones are texts.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {}  # noqa: RUF012  (YAML's own make 12:30 a number, `no` a truth value and 2024-01-01 a date)

    Loader.add_implicit_resolver("!plain", re.compile(""), None)
    Loader.add_constructor(
        "!plain", lambda _, node: JSON[node.value] if node.value in JSON else value_of(node.value)
    )
    return Loader


def _listed(value):
    if isinstance(value, str):
        return values_of(value)
    return value if isinstance(value, list) else [value]


def _split(text):
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ValueError(f"expected NAME=VALUE, such as RATIO=0.3; got {text!r}")
    return name, value


def _assignment(text):
    name, value = _split(text)
    return name, value_of(value)


def values_of(text):
    """The values of ``0,0.3,0.9``, of ``0..4`` (both ends included), or of JSON's ``[1,2],[3]``."""
    first, dots, last = text.partition("..")
    if dots and first.lstrip("-").isdecimal() and last.lstrip("-").isdecimal():
        return range(int(first), int(last) + 1)
    if text.startswith(("[", "{")):
        return _json(f"[{text}]")
    return [value_of(part) for part in text.split(",")]


def value_of(text):
    """As papermill's ``-p`` reads it: True, False, None, a number, or else a text.

    A list or mapping in JSON is read, too. Digits after a zero (007) or with underscores between
    them are a text: a name, or the number of a subject.
    """
    if text in WORDS:
        return WORDS[text]
    if text.startswith(("[", "{")):
        return _json(text)
    if "_" not in text and not re.match(r"[+-]?0\d", text):
        for kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                continue
    return text


def _json(text):
    try:
        return json.loads(text)
    except ValueError as error:
        quoted = "a text that begins so goes into a file for --from, in quotes"
        raise ValueError(
            f"{text} is not a list or mapping as JSON writes them ({error}); {quoted}"
        ) from error


def _watch(done, points, output):
    """Show points as they finish, and the time left."""
    start, statuses, ran = time.monotonic(), {}, 0
    with closing(done), Live(console=messages, refresh_per_second=4, transient=True) as live:
        for name, status, now in done:
            statuses[name] = status
            ran += now
            rate = (time.monotonic() - start) / ran if ran else None
            live.update(_table(statuses, points, rate, output))


def _table(statuses, points, rate, output):
    from safbage import sweep as sweeps

    failed = sum(status == sweeps.FAILED for status in statuses.values())
    left = f"; some {rate * (len(points) - len(statuses)) / 60:.1f} minutes left" if rate else ""
    table = Table(
        title=f"{len(statuses)} of {len(points)} points done, {failed} failed{left}",
        title_justify="left",
    )
    for column in ("point", "status", "seconds"):
        table.add_column(column, justify="right" if column == "seconds" else "left")
    for name in list(statuses)[-SHOWN:]:
        point = sweeps.read(output / name, points[name])
        seconds = point.get("seconds")  # None where point.json is damaged
        table.add_row(name, statuses[name], "" if seconds is None else f"{seconds:.1f}")
    return table
