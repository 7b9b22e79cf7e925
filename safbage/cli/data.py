"""``safbage data list`` and ``safbage data fetch``: the data sets."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table

from safbage.cli.base import app, fail, say, stdout, wrong_arguments

commands = typer.Typer(
    no_args_is_help=True, help="List data sets, or fetch those that need no form."
)
app.add_typer(commands, name="data")

TOLD = ("title", "what", "pictures", "size", "licence", "citation", "where", "layout", "hub")
"""Fields of a set's record that are printed."""
DataDir = Annotated[
    Path | None,
    typer.Option(help="Folder of your data sets, each in its own folder. By default SAFBAGE_DATA."),
]


@commands.command("list")
def list_sets(
    data_dir: DataDir = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print JSON instead of a table: also citations and layouts."),
    ] = False,
):
    """List the data sets: what each is, and where it lies or comes from."""
    from safbage.datasets import catalogue

    rows = []
    for name, source in catalogue.SOURCES.items():
        if source.draw is not None:  # it is nowhere until it is drawn
            continue
        here = catalogue.find(name, data_dir)
        about = {told: getattr(source, told) for told in TOLD}
        rows.append({"name": name, "here": str(here) if here else None} | about)
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    shown = ("name", "what", "pictures", "size", "licence", "where", "here")
    table = Table(*(Column(name, overflow="fold") for name in shown), show_lines=True)
    for row in rows:
        table.add_row(*(row[name] or "" for name in shown))
    stdout().print(table)


@commands.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A data set's name, as in the list.")],
    to: Annotated[
        Path | None,
        typer.Option(
            help="Folder of your data sets; this one gets its own in it. By default SAFBAGE_DATA."
        ),
    ] = None,
    config: Annotated[
        str, typer.Option(help="FairFace's margin around the face: 0.25 (560 MB) or 1.25 (2.1 GB).")
    ] = "0.25",
):
    """Fetch a data set that needs no form.

    These are fairface, osie, eyecrowd and portraits. For the others it says where to ask and how to
    lay out their files (exit status 2). An interrupted download goes on with the same command.
    """
    from safbage.datasets import catalogue

    where = to or os.environ.get("SAFBAGE_DATA")
    if not where:
        raise fail("name the folder of your data sets with --to, or set SAFBAGE_DATA", 2)
    with wrong_arguments(ValueError):
        folder = catalogue.fetch(name, where, config=config)
    source = catalogue.look_up(name)
    say(f"fetched; {source.licence}. Please cite {source.citation}.")
    print(folder)
