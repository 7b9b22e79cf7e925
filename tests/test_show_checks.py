"""The checks of exercises that ask for a function know its right answer and its mistakes. (Those that need what a notebook has
computed are tried where the notebook runs.)"""

import nbformat
import numpy as np
import pytest
from conftest import REPOSITORY
from scipy import stats

from safbage.show import checks


def exercises():
    """Each exercise that asks for a function: a name, its stub, its check, and its solution."""
    for path in sorted((REPOSITORY / "notebooks").glob("*.ipynb")):
        cells = nbformat.read(path, 4).cells
        for i, cell in enumerate(cells):
            if (
                "exercise" in cell.metadata.get("tags", [])
                and "\n    return None  #" in cell.source
            ):
                yield pytest.param(*cells[i : i + 3], id=f"{path.stem[:2]}-{cell.id}")


@pytest.mark.parametrize("stub, check, solution", list(exercises()))
def test_right_wrong_and_untouched_functions_are_told_apart(stub, check, solution, capsys):
    attempts = {stub.source: "not attempted", **stub.metadata["attempts"]}
    asked = stub.source.split("def ", 1)[1].split("(")[0]
    attempts[f"{solution.source}\n{asked} = solution"] = "right"
    names = {"np": np, "stats": stats, "checks": checks}
    for attempt, words in attempts.items():
        exec(attempt, names)
        exec(check.source, names)
        (said,) = capsys.readouterr().out.splitlines()
        told = words.startswith(("right", "not attempted"))
        assert said.startswith(words if told else "not yet: ") and words in said
