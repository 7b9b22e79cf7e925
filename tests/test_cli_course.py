"""``safbage course``: the notebooks for a class."""

import tomllib

import nbformat
from bs4 import BeautifulSoup
from conftest import REPOSITORY, command

from safbage.cli.course import folded, notebooks, strip_solutions


def course(*arguments):
    return command("course", *arguments)


def test_the_notebooks_are_copied_as_they_are(tmp_path):
    done = course("--output", tmp_path / "mine")
    assert done.returncode == 0 and "jupyter lab" in done.stderr, done.stderr
    copied = {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()}
    assert copied == {
        path.name: path.read_bytes()
        for path in [*notebooks(), REPOSITORY / "notebooks" / "README.md"]
    }


def test_a_changed_notebook_is_kept(tmp_path):
    assert course("--output", tmp_path).returncode == 0
    original = notebooks()[1]
    mine, deleted = tmp_path / original.name, tmp_path / notebooks()[2].name
    mine.write_text("my work")
    deleted.unlink()
    done = course("--output", tmp_path)
    assert done.returncode == 1 and mine.name in done.stderr and "--force" in done.stderr
    assert notebooks()[0].name not in done.stderr.split("kept")[1]
    assert mine.read_text() == "my work" and deleted.is_file()
    assert course("--output", tmp_path, "--force").returncode == 0
    assert mine.read_bytes() == original.read_bytes()


def test_without_solutions_no_answer_is_left(tmp_path):
    assert course("--output", tmp_path, "--without-solutions").returncode == 0
    for original in notebooks():
        whole, stripped = (nbformat.read(path, 4) for path in (original, tmp_path / original.name))
        nbformat.validate(stripped)
        hidden = [cell for cell in whole.cells if "solution" in cell.metadata.get("tags", [])]
        assert hidden and [cell.id for cell in stripped.cells] == [
            cell.id for cell in whole.cells if cell not in hidden
        ]
        text = (tmp_path / original.name).read_text(encoding="utf-8")
        assert "attempts" not in text and not any(cell.source in text for cell in hidden)
        assert "checks.number(" not in text  # which would be handed the right answer
    page, whole = (folder / "README.md" for folder in (tmp_path, REPOSITORY / "notebooks"))
    assert "safbage course" in whole.read_text() and "safbage course" not in page.read_text()
    assert "\n## Settings" in page.read_text() and "<!--" not in page.read_text()


def test_what_is_no_solution_stays_without_what_a_run_left():
    code, output = nbformat.v4.new_code_cell, nbformat.v4.new_output("stream", text="right: 1")
    stub = code(
        "answer = None", metadata={"tags": ["exercise"], "attempts": {"answer = 1": "right"}}
    )
    cells = [
        stub,
        code("check", outputs=[output], execution_count=2),
        code("1", metadata={"tags": ["solution"]}),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"widgets": {}})
    left = nbformat.reads(strip_solutions(nbformat.writes(notebook)), 4)
    assert [cell.source for cell in left.cells] == [
        "answer = None",
        "check",
    ] and left.metadata == {}
    assert left.cells[0].metadata == {"tags": ["exercise"]}
    assert left.cells[1].outputs == [] and left.cells[1].execution_count is None


def test_a_page_folds_solutions_away_with_what_they_came_to(tmp_path):
    cells = [cell for path in notebooks() for cell in nbformat.read(path, 4).cells]
    exercises = [
        cell
        for cell in cells
        if "exercise" in cell.metadata.get("tags", [])
        or ("jupyter" in cell.metadata and "metrics" not in cell.metadata.get("tags", []))
    ]
    for cell in exercises:
        value = "the value" if "solution" in cell.metadata.get("tags", []) else "not attempted"
        cell.outputs = [
            nbformat.v4.new_output("execute_result", {"text/plain": value}, execution_count=1)
        ]
    for number, cell in enumerate(exercises):
        cell.id = f"cell-{number}"
    nbformat.write(nbformat.v4.new_notebook(cells=exercises), tmp_path / "course.ipynb")
    page = BeautifulSoup(folded(tmp_path / "course.ipynb"), "html.parser")
    hidden = [fold.get_text() for fold in page.find_all("details")]
    for fold in page.find_all("details"):
        assert not fold.has_attr("open") and fold.summary.get_text() in ("Check", "Solution")
        fold.decompose()
    shown = page.get_text()
    solutions = [cell.source for cell in exercises if "solution" in cell.metadata.get("tags", [])]
    assert len(solutions) > 20 and len(hidden) == 2 * len(solutions)
    assert (
        "the value" not in shown
        and shown.count("not attempted") == 2 * len(solutions)
        and "answer = None" in shown
    )
    for source in solutions:
        assert max(source.splitlines(), key=len) not in shown
        assert any(source in words and "the value" in words for words in hidden)


def test_a_page_folds_away_the_cell_that_keeps_the_numbers(tmp_path):
    cell = nbformat.read(notebooks()[0], 4).cells[-1]
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "course.ipynb")
    page = BeautifulSoup(folded(tmp_path / "course.ipynb"), "html.parser")
    (fold,) = page.find_all("details")
    assert fold.summary.get_text() == "Numbers kept" and "metrics.json" in fold.get_text()


def test_a_wheel_holds_the_whole_course():
    """Its notebooks are named one by one; a new one must not be forgotten."""
    build = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "hatch"
    ]["build"]
    named = build["targets"]["wheel"]["force-include"]
    names = [path.name for path in [*notebooks(), REPOSITORY / "notebooks" / "README.md"]]
    assert named == {"results": "safbage/results"} | {
        f"notebooks/{name}": f"safbage/notebooks/{name}" for name in names
    }


def test_an_output_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "course").write_text("a file")
    done = course("--output", tmp_path / "course")
    assert (
        done.returncode == 1
        and done.stderr.startswith("safbage: ")
        and "Traceback" not in done.stderr
    )
