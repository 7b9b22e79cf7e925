"""``safbage demo``: the embedded photo, answered."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from safbage.cli.base import app, fail, refuse_to_overwrite, save_figure, say
from safbage.cli.course import folded, notebooks


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("outputs/demo"),
    notebook: Annotated[
        Path | None,
        typer.Option(help="Run this notebook and make HTML of it; by default the course's first."),
    ] = None,
    no_notebook: Annotated[
        bool, typer.Option("--no-notebook", help="Run no notebook: seconds instead of minutes.")
    ] = False,
):
    """Answer the embedded photo, and run a notebook.

    The photo is NASA's portrait of the astronaut Eileen Collins. The command leaves a figure, a
    table, and the notebook as a page to read.
    """
    chosen = None if no_notebook else notebook or notebooks()[0]
    if chosen and not chosen.is_file():
        raise fail(f"no such notebook: {chosen}", 2)
    if chosen and (output / chosen.name).exists() and chosen.samefile(output / chosen.name):
        raise fail(
            f"{output} holds the notebook itself, which its results would overwrite; "
            "name another --output",
            2,
        )
    refuse_to_overwrite(output / "faces.csv", "photo,face,status,")
    from safbage import images
    from safbage.pipeline import SafBage

    output.mkdir(parents=True, exist_ok=True)
    say(
        "Answering the embedded photo, "
        + ("then running the notebook; a minute or two …" if chosen else "some seconds …")
    )
    model = SafBage.load()
    seen = replace(model.explain(images.astronaut()), photo="astronaut")
    model.table(seen.rows()).to_csv(output / "faces.csv", index=False)
    save_figure(seen, output / "figure.png")
    made = [output / "figure.png", output / "faces.csv"]
    if chosen:
        made += _execute(chosen, output)
    say(
        "One face answered. Look at:"
        if len(seen.faces) == 1
        else f"{len(seen.faces)} faces answered. Look at:"
    )
    for path in made:
        print(path.resolve())


def _execute(notebook, output):
    """Run a notebook, results under `output`, and make a page of it, its solutions folded."""
    from papermill.exceptions import PapermillExecutionError

    from safbage.runtime.kernels import execute

    executed = output / notebook.name
    try:
        execute(
            notebook,
            executed,
            {"OUTPUT_DIR": str(output.resolve())},
            directory=Path.cwd(),
            progress=True,
        )
    except PapermillExecutionError as error:
        where = f"cell {error.exec_count} of {executed}, which shows it"
        raise fail(f"{notebook.name}: {error.ename}: {error.evalue} in {where}") from error
    page = executed.with_suffix(".html")
    page.write_text(folded(executed), encoding="utf-8")
    return [executed, page]
