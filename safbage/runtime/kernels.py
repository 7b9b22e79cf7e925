"""Notebooks run in kernels of this very Python."""

import os
from collections.abc import Mapping
from pathlib import Path

JUPYTER = Path(__file__).parents[1] / "jupyter"
"""Holds the kernel "python3" of `own_kernel`.

:meta hide-value:
"""
STARTS = 3
"""How often a kernel is started that dies before it has begun."""


def own_kernel() -> None:
    """Let this process and its children run notebooks in kernels of this very Python.

    It does not matter what else is called "python3". Such a kernel imports no module from its
    working directory.
    """
    paths = [
        path
        for path in os.environ.get("JUPYTER_PATH", "").split(os.pathsep)
        if path and path != str(JUPYTER)
    ]
    os.environ["JUPYTER_PATH"] = os.pathsep.join([str(JUPYTER), *paths])


def execute(
    notebook: str | Path,
    output: str | Path,
    parameters: Mapping,
    *,
    directory: str | Path,
    progress: bool = False,
) -> None:
    """Run a notebook by papermill in a fresh kernel (`own_kernel`), and keep it with its outputs.

    It is kept also where a cell fails. A kernel that dies before it has begun is started again:
    of two that start at once, one may find the port taken that it was told to use.

    Args:
        notebook: with a cell tagged "parameters".
        output: where to keep it.
        parameters: values for that cell.
        directory: the kernel's working directory.
        progress: show a bar.

    Raises:
        PapermillExecutionError: a cell failed.
        RuntimeError: no kernel could be started.
    """
    import papermill

    own_kernel()
    options = dict(
        kernel_name="python3",
        language="python",
        cwd=str(directory),
        progress_bar=progress,
        # A kernel's remarks would spoil the table; its errors are in the notebook.
        extra_arguments=["--log-level=CRITICAL"],
    )
    for start in range(1, STARTS + 1):
        try:
            papermill.execute_notebook(
                as_literal(notebook), as_literal(output), dict(parameters), **options
            )
            return
        except RuntimeError as error:
            if "before replying" not in str(error) or start == STARTS:
                raise


def as_literal(path):
    """A path for papermill, which fills in what stands in braces."""
    return str(path).replace("{", "{{").replace("}", "}}")
