"""Every notebook: clean in git, in the house style, and run with papermill in a fresh kernel."""

import ast
import json

import nbformat
import papermill
import pytest
from conftest import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def test_there_are_notebooks():
    assert NOTEBOOKS


def test_it_is_clean(path):
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    assert "widgets" not in notebook.metadata
    for cell in notebook.cells:
        assert cell.id
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None


def test_its_parameters_are_literals(path):
    (cell,) = tagged(nbformat.read(path, 4), "parameters")
    for statement in ast.parse(cell.source).body:
        assert isinstance(statement, ast.Assign)
        ast.literal_eval(statement.value)
        assert all(target.id.isupper() for target in statement.targets)


def test_its_cells_are_short(path):
    code = [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    lengths = sorted(len(source.splitlines()) for source in code)
    assert lengths[-1] <= 25 and lengths[len(lengths) // 2] <= 5
    assert not any("sys.path" in source or "!pip" in source or "%pip" in source for source in code)


@pytest.mark.parametrize("own_photo", [False, True])
def test_it_runs(path, tmp_path, astronaut, own_photo):
    from safbage import images

    parameters = {"OUTPUT_DIR": str(tmp_path / "out")}
    if own_photo:
        if "PHOTO" not in tagged(nbformat.read(path, 4), "parameters")[0].source:
            return
        parameters |= {"PHOTO": str(images.write(tmp_path / "mine.jpg", astronaut[:, ::-1])), "RATIO": 0.9}
    done = papermill.execute_notebook(
        path, tmp_path / path.name, parameters, kernel_name="python3", cwd=str(tmp_path), progress_bar=False
    )
    assert "error" not in json.dumps(done.metadata.get("widgets", {})).lower()
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["status"] == "ok" and metrics["faces"] == 1
    assert metrics["ratio"] == parameters.get("RATIO", 0.3)
    pictures = [
        output
        for cell in done.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) >= 8


def test_solutions_pass_their_checks(path, tmp_path):
    """Each exercise's stub is replaced by its solution; the check that follows must then accept it, and reject a wrong one."""
    notebook = nbformat.read(path, 4)
    stubs, solutions = tagged(notebook, "exercise"), tagged(notebook, "solution")
    assert len(stubs) == len(solutions)
    for answer, word in ((None, "right"), ("share = 0.123", "not yet"), ("share = maps[0][14:].sum() / maps[0].sum()", "lower")):
        for stub, solution in zip(stubs, solutions, strict=True):
            name = stub.source.split(" = ")[0]
            stub.source = answer or f"{name} = " + solution.source.removeprefix("# Solution\n")
        nbformat.write(notebook, tmp_path / path.name)
        done = papermill.execute_notebook(
            tmp_path / path.name,
            tmp_path / "done.ipynb",
            {"OUTPUT_DIR": str(tmp_path / "out")},
            kernel_name="python3",
            progress_bar=False,
        )
        printed = "".join(o.get("text", "") for c in done.cells if c.cell_type == "code" for o in c.outputs)
        assert word in printed and "not attempted" not in printed
