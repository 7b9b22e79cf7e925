"""Every notebook: clean in git, in the house style, and run with papermill in a fresh kernel."""

import ast
import json

import nbformat
import papermill
import pytest
from conftest import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))


@pytest.fixture(autouse=True)
def inline_figures(monkeypatch):
    """A backend set for the tests' own figures would keep the kernels' from appearing."""
    monkeypatch.delenv("MPLBACKEND", raising=False)


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


def with_attempts(notebook):
    """The notebook with, after each exercise's check, the attempts of the stub's metadata, each checked in turn."""
    cells, attempts = [], None
    for cell in notebook.cells:
        cells.append(cell)
        if attempts is not None and cell.cell_type == "code":
            for attempt in attempts:
                cells += [nbformat.v4.new_code_cell(attempt), nbformat.v4.new_code_cell(cell.source)]
            attempts = None
        if "exercise" in cell.metadata.get("tags", []):
            attempts = cell.metadata["attempts"]
    return nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata)


def hidden_errors(notebook):
    """What went wrong in a widget, where papermill does not see it: exceptions in captured outputs, messages in words."""
    found = []
    for state in (
        notebook.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {}).get("state", {}).values()
    ):
        values = state["state"]
        found += [output for output in values.get("outputs", []) if output["output_type"] == "error"]
        words = [values.get(name) or "" for name in ("value", "error", "description")]
        found += [text for text in words if isinstance(text, str) and ('role="alert"' in text or "Error" in text)]
    return found


def test_errors_in_widgets_are_found(tmp_path):
    broken = {
        "message": "from safbage import SafBage, widgets\nwidgets.ratio_explorer(SafBage.load(), 'missing.jpg')",
        "captured": "import ipywidgets\nout = ipywidgets.Output()\nwith out:\n    1 / 0\nout",
    }
    for name, source in broken.items():
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")
        options = dict(kernel_name="python3", cwd=str(tmp_path), progress_bar=False)
        done = papermill.execute_notebook(tmp_path / f"{name}.ipynb", tmp_path / "done.ipynb", **options)
        assert len(hidden_errors(done)) == 1, name


def run(notebook, folder, parameters):
    """Execute with papermill in a fresh kernel: the notebook as run, and its metrics."""
    nbformat.write(notebook, folder / "notebook.ipynb")
    parameters = {"OUTPUT_DIR": str(folder / "out"), **parameters}
    options = dict(kernel_name="python3", cwd=str(folder), progress_bar=False)
    done = papermill.execute_notebook(folder / "notebook.ipynb", folder / "done.ipynb", parameters, **options)
    assert not hidden_errors(done)
    return done, json.loads((folder / "out" / "metrics.json").read_text(encoding="utf-8"))


def test_it_runs_and_its_checks_know_right_from_wrong(path, tmp_path):
    notebook = nbformat.read(path, 4)
    exercises = tagged(notebook, "exercise")
    assert len(exercises) == len(tagged(notebook, "solution"))
    done, _ = run(with_attempts(notebook), tmp_path, {})
    outputs = [o for cell in done.cells if cell.cell_type == "code" for o in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    printed = [output["text"] for output in outputs if output.output_type == "stream"]
    for word in [w for cell in exercises for w in ("not attempted", *cell.metadata["attempts"].values())]:
        found = next((text for text in printed if text.startswith(word) or word in text), None)
        assert found is not None, word
        printed.remove(found)


def test_start_here_takes_parameters(tmp_path, astronaut):
    from safbage import images

    photo = str(images.write(tmp_path / "mine.jpg", astronaut[:, ::-1]))
    _, metrics = run(nbformat.read(NOTEBOOKS[0], 4), tmp_path, {"PHOTO": photo, "RATIO": 0.9})
    assert metrics["status"] == "ok" and metrics["faces"] == 1 and metrics["ratio"] == 0.9
