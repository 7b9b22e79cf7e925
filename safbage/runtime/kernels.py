"""Notebooks run in kernels of this very Python."""

import os
from collections.abc import Mapping
from pathlib import Path

JUPYTER = Path(__file__).parents[1] / "jupyter"
"""Holds the kernel "python3" of `own_kernel`.

:meta hide-value:
"""


def own_kernel() -> None:
    """Let this process and those that it starts run notebooks in kernels of this very Python, whatever else is called "python3".

    Such a kernel imports no module from its working directory.
    """
    paths = [path for path in os.environ.get("JUPYTER_PATH", "").split(os.pathsep) if path and path != str(JUPYTER)]
    os.environ["JUPYTER_PATH"] = os.pathsep.join([str(JUPYTER), *paths])


def execute(
    notebook: str | Path, output: str | Path, parameters: Mapping, *, directory: str | Path, progress: bool = False
) -> None:
    """Run a notebook by papermill in a fresh kernel (`own_kernel`), and keep it with its outputs, also where a cell fails.

    Args:
        notebook: with a cell tagged "parameters".
        output: where to keep it.
        parameters: values for that cell.
        directory: the kernel's working directory.
        progress: show a bar.

    Raises:
        PapermillExecutionError: a cell failed.
    """
    import papermill

    own_kernel()
    papermill.execute_notebook(
        as_literal(notebook),
        as_literal(output),
        dict(parameters),
        kernel_name="python3",
        language="python",
        cwd=str(directory),
        progress_bar=progress,
        extra_arguments=["--log-level=CRITICAL"],  # a kernel's remarks would spoil the table; its errors are in the notebook
    )


def as_literal(path):
    """A path for papermill, which fills in what stands in braces."""
    return str(path).replace("{", "{{").replace("}", "}}")
