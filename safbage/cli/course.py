"""``safbage course``: the notebooks, copied into a folder of the student's own."""

import re
from pathlib import Path
from typing import Annotated

import typer

from safbage.cli.base import app, fail, say

PACKAGE = Path(__file__).parents[1]
FOLDING = """
{%- extends "lab/index.html.j2" -%}
{%- macro folded(words, part) -%}
<details style="margin: 0.5em 64px"><summary style="cursor: pointer">{{ words }}</summary>
{{- part -}}
</details>
{%- endmacro -%}
{%- block codecell -%}
{%- set tags = cell.metadata.get("tags", []) -%}
{%- set words = "Solution" if "solution" in tags else "Numbers kept" if "metrics" in tags -%}
{{ folded(words, super()) if words else super() }}
{%- endblock codecell -%}
{%- block input_group -%}
{%- set hidden = cell.metadata.get("jupyter", {}).get("source_hidden") -%}
{%- set tags = cell.metadata.get("tags", []) -%}
{%- set check = hidden and "solution" not in tags and "metrics" not in tags -%}
{{ folded("Check", super()) if check else super() }}
{%- endblock input_group -%}
"""
"""Folds what JupyterLab folds and nbconvert's own page shows.

These are solutions, with their outputs, the code of checks, and the cell that keeps the numbers.
"""


@app.command()
def course(
    output: Annotated[Path, typer.Option(help="Folder to copy the notebooks into.")] = Path(
        "course"
    ),
    without_solutions: Annotated[
        bool,
        typer.Option(
            "--without-solutions",
            help="For a class: leave the solutions and the tests' sample answers out.",
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also replace what differs from the course's own.")
    ] = False,
):
    """Copy the course's notebooks into a folder, to work in.

    A notebook that is there already and was run or changed is kept. Without solutions the checks
    stay, since they give the hints. What they expect is not in the notebooks, but in the library
    (safbage.show.checks): who looks for it there finds it.
    """
    output.mkdir(parents=True, exist_ok=True)
    kept = []
    for path in [*notebooks(), notebooks()[0].with_name("README.md")]:
        content, target = path.read_bytes(), output / path.name
        if without_solutions:
            strip = strip_solutions if path.suffix == ".ipynb" else strip_teachers_part
            content = strip(content.decode()).encode()
        if not force and target.exists() and target.read_bytes() != content:
            kept.append(path.name)
        else:
            target.write_bytes(content)
    say(f"The course is in {output}. Begin with: jupyter lab {output / notebooks()[0].name}")
    if kept:
        raise fail(
            "kept as they are, since they were run or changed, or come from another version: "
            f"{', '.join(kept)}. To replace them, and lose what is in them, add --force; "
            "or name another folder with --output"
        )


def notebooks() -> list[Path]:
    """The course's notebooks in order: in the installed package, or beside it in a clone."""
    folder = next(filter(Path.is_dir, (PACKAGE / "notebooks", PACKAGE.parent / "notebooks")))
    return sorted(folder.glob("[0-9][0-9]_*.ipynb"))


def folded(executed: Path) -> str:
    """The HTML page of an executed notebook, solutions and the code of checks folded away."""
    import jinja2
    import nbconvert

    loader = jinja2.DictLoader({"folding.html.j2": FOLDING})
    exporter = nbconvert.HTMLExporter(
        extra_loaders=[loader],
        template_file="folding.html.j2",
        # Else templates, which are code, are looked for in the working directory first.
        extra_template_basedirs=[],
    )
    return exporter.from_filename(str(executed))[0]


def strip_teachers_part(text: str) -> str:
    """The course's page without what stands between its comments "for teachers" and "end"."""
    return re.sub(r"<!-- for teachers -->.*?<!-- end -->\n+", "", text, flags=re.DOTALL)


def strip_solutions(text: str) -> str:
    """A notebook, as JSON, without its solutions and whatever may show them.

    That is outputs, and the answers that tests try.
    """
    import nbformat

    notebook = nbformat.reads(text, 4)
    notebook.cells = [c for c in notebook.cells if "solution" not in c.metadata.get("tags", [])]
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("attempts", None)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return nbformat.writes(notebook) + "\n"
