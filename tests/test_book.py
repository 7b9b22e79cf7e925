"""The book: what its pages make of a notebook, a whole build with figures in the place of real outputs, and its checks."""

import base64
import io
import subprocess
import sys

import book_checks
import book_pages
import nbformat
import pytest
from bs4 import BeautifulSoup
from conftest import REPOSITORY
from PIL import Image

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))


def png():
    buffer = io.BytesIO()
    Image.new("RGB", (16, 10), "teal").save(buffer, "PNG")
    return nbformat.v4.new_output(
        "display_data", {"image/png": base64.b64encode(buffer.getvalue()).decode()}
    )


def widget(words):
    return nbformat.v4.new_output(
        "display_data", {book_pages.WIDGET: {"model_id": "0"}, "text/plain": words}
    )


def notebook(*cells):
    """Text, or a code cell's outputs, or a code cell."""
    made = []
    for cell in cells:
        if isinstance(cell, str):
            made.append(nbformat.v4.new_markdown_cell(cell))
        else:
            made.append(
                nbformat.v4.new_code_cell("1", outputs=cell) if isinstance(cell, list) else cell
            )
    return nbformat.v4.new_notebook(cells=made)


def alt(cell):
    return cell.metadata["mystnb"]["image"]["alt"]


def test_a_figure_is_told_by_what_is_read_off_it():
    page = book_pages.as_page(
        notebook(
            "# 1 · Faces",
            "## Find",
            "Look. What *is* there?",
            [png()],
            "Two `faces`. " + "One is lost. " * 6 + "\n\nMore.",
        )
    )
    assert alt(page.cells[3]) == "Figure 1, Find. Two faces." + 6 * " One is lost."


def test_a_figure_that_nobody_reads_off_is_told_by_what_is_announced():
    page = book_pages.as_page(
        notebook(
            "# 1 · Faces", "A line. Here is the [crop](x.md):", [png()], [png()], "## Next", "Else."
        )
    )
    assert [alt(cell) for cell in page.cells[2:4]] == [
        f"Figure {n}, 1 · Faces. Here is the crop:" for n in (1, 2)
    ]


def test_a_text_that_the_author_gave_stays():
    cell = nbformat.v4.new_code_cell(
        "1", outputs=[png()], metadata={"mystnb": {"image": {"alt": "A face."}}}
    )
    assert alt(book_pages.as_page(notebook("# Faces", cell)).cells[1]) == "A face."


def test_widgets_become_notes_and_progress_nothing():
    page = book_pages.as_page(
        notebook("# Faces", [widget("faces:  50%|     | 1/2"), widget("VBox(children=())"), png()])
    )
    note, figure = page.cells[1].outputs
    assert note.data == {"text/markdown": book_pages.NOTE} and "image/png" in figure.data


def test_checks_solutions_and_numbers_are_folded():
    hidden = {"jupyter": {"source_hidden": True}}
    tagged = [hidden, *({**hidden, "tags": [tag]} for tag in ("solution", "metrics"))]
    cells = [nbformat.v4.new_code_cell("1", metadata=metadata) for metadata in tagged]
    check, solution, numbers = book_pages.as_page(notebook("# Faces", *cells)).cells[1:]
    assert "hide-input" in check.metadata.tags and "hide-cell" in solution.metadata.tags
    assert "hide-input" in numbers.metadata.tags
    prompts = [cell.metadata["mystnb"]["code_prompt_show"] for cell in (check, solution, numbers)]
    assert prompts == ["Show the check", "Show the solution", "Numbers kept"]


def test_an_error_stops_the_book():
    with pytest.raises(ValueError, match="ended in an error"):
        book_pages.as_page(
            notebook(
                "# Faces", [nbformat.v4.new_output("error", ename="E", evalue="", traceback=[])]
            )
        )


def test_the_folders_of_this_machine_are_not_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("SAFBAGE_HOME", str(tmp_path))
    said = [
        nbformat.v4.new_output(
            "stream", text=f"in {tmp_path}/vgg16, /srv/x-1/fa..., https://a.org/b/c, 1/2/3"
        ),
        nbformat.v4.new_output("display_data", {"text/html": f"<td>{tmp_path}</td>"}),
    ]
    first, second = book_pages.as_page(notebook("# Faces", said)).cells[1].outputs
    assert (
        first.text == "in ~/.cache/safbage/vgg16, …/fa..., https://a.org/b/c, 1/2/3"
        and second.data["text/html"] == "<td>~/.cache/safbage</td>"
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The book as `make book` makes it, each notebook with one figure in the place of its outputs."""
    folder = tmp_path_factory.mktemp("book")
    for path in NOTEBOOKS:
        made = nbformat.read(path, 4)
        next(cell for cell in made.cells if cell.cell_type == "code").outputs = [png()]
        for cell in made.cells:
            if "solution" in cell.metadata.get("tags", []):
                cell.outputs = [nbformat.v4.new_output("stream", text="the solution's value")]
        nbformat.write(made, folder / path.name)
    book_pages.lay_out(folder, folder / "pages")
    line = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-d",
        str(folder / "trees"),
        str(folder / "pages"),
    ]
    done = subprocess.run([*line, str(folder / "html")], capture_output=True, text=True)
    assert not done.returncode, done.stderr
    return folder / "html"


@pytest.mark.slow
def test_the_book_is_in_order(built):
    assert book_checks.faults(built) == []


@pytest.mark.slow
def test_the_book_is_whole(built):
    index = (built / "index.html").read_text(encoding="utf-8")
    for path in NOTEBOOKS:
        assert (
            f"notebooks/{path.stem}.html" in index
            and (built / "notebooks" / f"{path.stem}.html").is_file()
        )
    for name in (
        "README",
        "care",
        "docs/results",
        "docs/networks",
        "commands",
        "data/README",
        "CONTRIBUTING",
        "CHANGELOG",
        "api/safbage.pipeline",
    ):
        assert (built / f"{name}.html").is_file(), name
    for path in (REPOSITORY / "safbage" / "trained").glob("*.md"):
        assert (built / "safbage" / "trained" / f"{path.stem}.html").is_file()


@pytest.mark.slow
def test_the_book_sets_formulas_without_a_script(built):
    text = (built / "notebooks" / "05_evaluate.html").read_text(encoding="utf-8")
    assert "<msqrt>" in text and "\\frac" not in text


@pytest.mark.slow
def test_the_book_folds_solutions_away(built):
    for path in NOTEBOOKS:
        page = BeautifulSoup(
            (built / "notebooks" / f"{path.stem}.html").read_text(encoding="utf-8"), "html.parser"
        )
        solutions = [
            cell.source
            for cell in nbformat.read(path, 4).cells
            if "solution" in cell.metadata.get("tags", [])
        ]
        assert page.get_text().count("the solution's value") == len(solutions)
        for fold in page.find_all("details"):
            assert not fold.has_attr("open")
            fold.decompose()
        assert "the solution's value" not in page.get_text()
        assert not any(max(source.splitlines(), key=len) in page.get_text() for source in solutions)


@pytest.mark.slow
def test_docstrings_are_read_as_they_are_meant(built):
    pages = (built / "api" / f"safbage.evaluation{part}.html" for part in ("", ".figures"))
    room, figures = (page.read_text(encoding="utf-8") for page in pages)
    assert "p_&lt;class&gt;" in room and "<table" in room  # the table of columns
    said = "How far probabilities may be from summing to 1: float16"
    assert said in figures  # not a type and its description


FAULTS = {
    "<a href='gone.html'>there</a>": "leads nowhere: gone.html",
    "<a href='#gone'>there</a>": "no such anchor: #gone",
    "<a href='other.html#gone'>there</a>": "no such anchor: other.html#gone",
    "<img src='other.html'>": "picture without a text: other.html",
    "<img src='gone.png' alt='A face'>": "leads nowhere: gone.png",
    "<script src='https://cdn.example/x.js'></script>": "loaded from elsewhere: https://cdn.example/x.js",
    "<pre>Traceback (most recent call last):</pre>": "an error of a notebook",
    "<pre>saved in /root/faces</pre>": "a path of a machine: /root/faces",
    "<script type='application/vnd.jupyter.widget-view+json'></script>": "a widget without its kernel",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found(tmp_path, fault):
    (tmp_path / "other.html").write_text("<p id='here'>", encoding="utf-8")
    good = "<a href='other.html#here'>a</a> <a href='https://a.org'>b</a> <img src='other.html' alt='A face'> /home/me/a.jpg"
    (tmp_path / "page.html").write_text(good, encoding="utf-8")
    assert book_checks.faults(tmp_path) == []
    (tmp_path / "page.html").write_text(good + fault, encoding="utf-8")
    assert book_checks.faults(tmp_path) == [f"page.html: {FAULTS[fault]}"]


def test_no_page_is_a_fault(tmp_path):
    assert book_checks.faults(tmp_path)
