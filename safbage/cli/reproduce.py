"""``safbage reproduce``: all of the paper's experiments, and one page that shows them."""

from pathlib import Path
from typing import Annotated

import typer

from safbage.cli.base import (
    Precision,
    Scheduler,
    Workers,
    app,
    draw_into_files,
    refuse_to_overwrite,
    say,
    stoppable,
)
from safbage.errors import SafbageError

BEGINNING = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>SAF-BAGE, reproduced</title>"""
"""How every report begins."""


@app.command()
def reproduce(
    scale: Annotated[
        str,
        typer.Option(
            help="smoke (drawn faces, minutes), laptop (hours), workstation (the faces of free "
            "sets, three seeds, for a GPU), or full (the paper's)."
        ),
    ] = "laptop",
    output: Annotated[
        Path, typer.Option(help="Folder for all results; resumed if it exists.")
    ] = Path("outputs/reproduction"),
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="An experiment: gender, age, expression, ratios or networks; repeat it (else all)."
        ),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            help="In place of the scale's data: a name or a prepared folder; repeat it for more."
        ),
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option(
            help="Of the experiment on networks, in place of the scale's; repeat it for more."
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1, help="How many, in place of the scale's: each training once with each."
        ),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="The folder of the data sets (else SAFBAGE_DATA).")
    ] = None,
    precision: Precision = "float32",
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the frozen layers' features (else features/ in the prepared ones).",
            show_default=False,
        ),
    ] = None,
    workers: Workers = 1,
    scheduler: Scheduler = None,
):
    """Run the paper's experiments, and write one report.

    The data sets are prepared, every arm is trained and tested, the report is one HTML page. Ctrl-C
    or a kill loses at most the epoch in flight: the same command goes on.
    """
    refuse_to_overwrite(output / "report.html", BEGINNING)
    draw_into_files()
    from safbage import experiments
    from safbage.experiments import examples, reproduction
    from safbage.show import html, words

    options = dict(
        only=only or (),
        sets=dataset or (),
        networks=network or (),
        seeds=seeds,
        data_dir=data_dir,
        precision=precision,
        cache=cache or True,
        workers=workers,
        scheduler=scheduler,
        verdicts=words.verdicts,
    )
    with stoppable(f"where it was, in {output}"):
        comparisons = reproduction.reproduce(output, scale, **options)
    page = output / "report.html"
    histories = experiments.histories(output / "work" / "ratios")
    folders = {Path(name).name: Path(name) for name in dataset or ()}
    try:
        faces = examples.of_reproduction(output, comparisons, folders)
    except SafbageError as error:
        say(f"The report does without example faces: {error}")
        faces = {}
    html.write(page, comparisons, reproduction.timings(output), histories, faces)
    for comparison in comparisons.values():
        for line in words.verdicts(comparison):
            say(f"{comparison.experiment['title']}: {line}")
    print(page)
