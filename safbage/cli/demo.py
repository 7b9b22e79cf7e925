"""``safbage demo``: the embedded photo, answered."""

from pathlib import Path
from typing import Annotated

import typer

from safbage.cli.base import app, fail, save_figure, say


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("outputs/demo"),
    notebook: Annotated[Path | None, typer.Option(help="Also execute this notebook, and make HTML of it.")] = None,
):
    """Answer the embedded photo; leave a figure and a table.

    It is NASA's picture of the astronaut Eileen Collins. With a notebook, that is run, too.
    """
    from safbage import images
    from safbage.pipeline import SafBage

    output.mkdir(parents=True, exist_ok=True)
    say("Answering the embedded photo, " + ("then running the notebook; a minute or two …" if notebook else "some seconds …"))
    model = SafBage.load()
    seen = model.explain(images.astronaut())
    seen.photo = "astronaut"
    model.table(seen.rows()).to_csv(output / "faces.csv", index=False)
    save_figure(seen, output / "figure.png")
    made = [output / "figure.png", output / "faces.csv"]
    if notebook:
        made += _execute(notebook, output)
    say("One face answered. Look at:" if len(seen.faces) == 1 else f"{len(seen.faces)} faces answered. Look at:")
    for path in made:
        print(path.resolve())


def _execute(notebook, output):
    """Run a notebook with papermill, results under `output`, and export it as HTML."""
    import nbconvert
    import papermill

    if not notebook.is_file():
        raise fail(f"no such notebook: {notebook}", 2)
    executed = output / notebook.name
    parameters = {"OUTPUT_DIR": str(output.resolve())}
    papermill.execute_notebook(notebook, executed, parameters=parameters, kernel_name="python3", cwd=str(output))
    page = executed.with_suffix(".html")
    page.write_text(nbconvert.HTMLExporter().from_filename(str(executed))[0], encoding="utf-8")
    return [executed, page]
