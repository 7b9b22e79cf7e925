"""Every notebook: clean in git, in the house style, and run with papermill in a fresh kernel."""

import ast
import json
import os
import re
from pathlib import Path

import nbformat
import papermill
import pytest
from conftest import REPOSITORY

from safbage import images
from safbage.show import checks

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
PARAMETERS = {
    "PHOTO",
    "DATASET",
    "DATA_DIR",
    "TASK",
    "RATIO",
    "NETWORK",
    "FOLD",
    "EPOCHS",
    "LIMIT",
    "SEED",
    "OUTPUT_DIR",
}
OWN_PARAMETERS = {
    "06": {"SWEEP_DIR", "RATIOS", "SEEDS", "NETWORKS", "WORKERS"},
    "10": {"PHOTOS_DIR"},
}
SMALL = {  # as few pictures and rounds as every cell, and every check of an exercise, can do with
    "00": {"PHOTO": "photos/a.jpg", "RATIO": 0.9},
    "01": {"LIMIT": 12},
    "02": {"LIMIT": 12, "EPOCHS": 1},
    "03": {"LIMIT": 10},
    "04": {"LIMIT": 40, "EPOCHS": 1},
    "05": {"LIMIT": 60, "EPOCHS": 1},
    "06": {"LIMIT": 30, "EPOCHS": 1, "RATIOS": [0, 0.3], "SEEDS": [0], "NETWORKS": ["lenet"]},
    "07": {"LIMIT": 10},
    "08": {"LIMIT": 60, "EPOCHS": 1},
    "09": {"LIMIT": 60},
    "10": {"PHOTOS_DIR": "photos"},
}
WORDS = {  # defined once, in a box, before anything else speaks of them
    "Saliency map": r"saliency maps?",
    "Reweighting ratio": r"reweighting ratio",
    "Fine-tuning": r"fine-tun",
    "Class activation map (CAM)": r"class activation|\bCAMs?\b",
    "Fixation": r"fixation",
    "Frozen": r"\bfrozen\b",
    "Fold": r"\bfolds?\b",
    "Recall": r"\brecalls?\b",
    "Calibration": r"calibrat",
}


@pytest.fixture(autouse=True)
def inline_figures(monkeypatch):
    """A backend set for the tests' own figures would keep the kernels' from appearing."""
    monkeypatch.delenv("MPLBACKEND", raising=False)


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    """A notebook; with `--dist loadgroup`, a worker takes all tests of one."""
    return request.param


def tags(cell):
    return cell.metadata.get("tags", [])


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if tag in tags(cell)]


def sources(path, kind):
    return [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == kind]


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
    notebook = nbformat.read(path, 4)
    (cell,) = tagged(notebook, "parameters")
    assert cell is next(cell for cell in notebook.cells if cell.cell_type == "code")
    names = set()
    for statement in ast.parse(cell.source).body:
        assert isinstance(statement, ast.Assign)
        ast.literal_eval(statement.value)
        names |= {target.id for target in statement.targets}
    assert "OUTPUT_DIR" in names
    assert names <= PARAMETERS | OWN_PARAMETERS.get(path.stem[:2], set())


def test_its_cells_are_short_and_explained(path):
    code = sources(path, "code")
    lengths = sorted(
        sum(not re.match(r"(import|from) |$", line) for line in source.splitlines())
        for source in code
    )
    assert lengths[-1] <= 25 and lengths[len(lengths) // 2] <= 5
    assert sum(len(text.split()) for text in sources(path, "markdown")) >= 5 * sum(lengths)
    assert len(nbformat.read(path, 4).cells) <= 60
    assert not any("sys.path" in source or "!pip" in source or "%pip" in source for source in code)


def test_it_opens_and_closes_like_all(path):
    first, *_, last = sources(path, "markdown")
    assert first.startswith(f"# {path.stem[:2]} · ")
    for part in ("**Goal:**", "- **Before this:**", "- **Time:**", "- **Downloads:**"):
        assert part in first
    assert minutes_told(path) <= 4
    assert last.startswith("## What we saw\n")
    assert 3 <= len(re.findall(r"^- ", last, re.M)) <= 4
    assert "**Next:**" in last


def minutes_told(path):
    """The longest time that a notebook says it takes on two cores."""
    first = sources(path, "markdown")[0]
    (said,) = re.findall(r"\*\*Time:\*\* (?:about )?([\w ]+) minutes? on two CPU cores", first)
    words = {"a": 1, "one": 1, "two": 2, "three": 3, "four": 4}
    return words[said.split(" to ")[-1]]


def test_it_leads_to_its_neighbours(path):
    """By links in its first cell, in the table's order; the last one ends the course."""
    first = sources(path, "markdown")[0]
    table = (path.parent / "README.md").read_text(encoding="utf-8")
    order = re.findall(r"^\| \[\d\d\]\(([\w.]+)\)", table, re.M)
    place = order.index(path.name)
    around = order[max(place - 1, 0) : place] + order[place + 1 : place + 2]
    assert all(f"]({other})" in first for other in around)
    assert "](README.md)" in first and "](../docs/glossary.md)" in first


def test_its_numbers_are_kept_by_a_folded_cell(path):
    *_, last = nbformat.read(path, 4).cells
    assert "metrics" in tags(last) and last.metadata["jupyter"] == {"source_hidden": True}
    assert '"metrics.json"' in last.source
    assert last.source.splitlines()[0].startswith("# This notebook's numbers")


def test_the_table_lists_it(path):
    (row,) = [
        line
        for line in (path.parent / "README.md").read_text(encoding="utf-8").splitlines()
        if f"({path.name})" in line
    ]
    count = sum(text.count("### Exercise ") for text in sources(path, "markdown"))
    assert row.endswith(f"| {count} |")


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_defined_once_where_it_is_first_used(word):
    texts = [text for path in NOTEBOOKS for text in sources(path, "markdown")]
    boxes = [
        i for i, text in enumerate(texts) if re.search(rf"^> \*\*{re.escape(word)}[.*]", text, re.M)
    ]
    assert len(boxes) == 1
    first = next(i for i, text in enumerate(texts) if re.search(WORDS[word], text, re.I))
    assert first == boxes[0]


def test_alexnets_last_layers_have_as_many_weights_as_the_notebooks_say():
    """fc6 to fc8, with two classes: a weight for each pair of input and output, and a bias for each output."""
    counted = sum(
        (inputs + 1) * outputs for inputs, outputs in [(6 * 6 * 256, 4096), (4096, 4096), (4096, 2)]
    )
    texts = [text for path in NOTEBOOKS for text in sources(path, "markdown")]
    said = [
        words
        for text in texts
        for words in re.findall(r"([\d.]+) million (?:\w+ )?(?:weights|parameters)", text)
    ]
    assert len(said) == 4 and set(said) == {f"{counted / 1e6:.1f}"}


def test_simulated_viewers_are_not_called_people():
    code = [source for path in NOTEBOOKS for source in sources(path, "code")]
    titles = [title for source in code for title in re.findall(r'title=f?"([^"]*)"', source)]
    assert titles and not any(
        re.search(r"people would$|viewers\}? viewers", title) for title in titles
    )


def asked_for(stub):
    """What a student fills in: `answer`, or the function that the stub begins."""
    begun = re.search(r"^def (\w+)\(.*\n    return None  # ", stub.source, re.M)
    return begun[1] if begun else "answer"


def test_one_of_its_exercises_asks_for_code(path):
    """For a function, or for an array."""
    stubs = tagged(nbformat.read(path, 4), "exercise")
    assert any(asked_for(stub) != "answer" or "array" in stub.source for stub in stubs)


def test_its_exercises_are_whole(path):
    """A stub, a check and a folded solution; in the stub's metadata a right attempt and three mistakes, each with its hint."""
    cells = nbformat.read(path, 4).cells
    places = [i for i, cell in enumerate(cells) if "exercise" in tags(cell)]
    assert 2 <= len(places) <= 4
    for i in places:
        stub, check, solution = cells[i : i + 3]
        name = asked_for(stub)
        assert name != "answer" or "\nanswer = None  #" in f"\n{stub.source}"
        assert re.search(rf"^checks\.(?!number\b)\w+\({name}\b", check.source, re.M)
        assert "solution" in tags(solution)
        assert all(
            cell.metadata["jupyter"] == {"source_hidden": True} for cell in (check, solution)
        )
        said = list(stub.metadata["attempts"].values())
        wrong = [words for words in said if not words.startswith("right")]
        assert len(wrong) < len(said) and len(wrong) >= 3
        assert len(set(wrong)) == len(wrong) and not any(
            words.startswith("not yet") for words in wrong
        )


def test_its_exercises_keep_their_answers(path):
    """JupyterLab shows the first line of a folded cell, and "Run all" runs solutions: neither tells, no attempt can use it."""
    for cell in nbformat.read(path, 4).cells:
        if cell.metadata.get("jupyter", {}).get("source_hidden") and "metrics" not in tags(cell):
            solution = "solution" in tags(cell)
            assert cell.source.splitlines()[0] == (
                "# Solution" if solution else "# Check: run this cell"
            )
            (statement,) = ast.parse(cell.source).body
            if isinstance(statement, ast.FunctionDef):
                assert solution and statement.name == "solution"
                continue
            assert isinstance(statement, ast.Expr)  # it leaves no variable
            assert cell.source.endswith(";") == solution  # it shows nothing


def test_every_check_belongs_to_one_exercise():
    used = [
        name
        for path in NOTEBOOKS
        for source in sources(path, "code")
        for name in re.findall(r"\bchecks\.(\w+)", source)
    ]
    there = [
        name
        for name, value in vars(checks).items()
        if getattr(value, "__module__", "") == checks.__name__
    ]
    assert sorted(used) == sorted(name for name in there if not name.startswith("_"))


def as_tried(notebook, times=1):
    """The notebook as a student runs it, each cell so many times in a row; after each check the attempts, checked too, and
    after the solution of an exercise that asks for a function, that."""

    def added(source):
        return nbformat.v4.new_code_cell(source, metadata={"tags": ["added"]})

    cells, attempts, check, name = [], (), "", ""
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type == "code" and "parameters" not in tags(cell):
            cells += [added(cell.source) for _ in range(1, times)]
            for attempt in attempts:
                cells += [added(attempt), added(cell.source)]
            if "exercise" in tags(cell):
                name = asked_for(cell)
            elif attempts:
                check = cell.source
            elif "solution" in tags(cell) and name != "answer":
                cells.append(added(check.replace(f"({name}", "(solution")))
            attempts = cell.metadata.get("attempts", ())
    return nbformat.v4.new_notebook(cells=cells, metadata=notebook.metadata)


def hidden_errors(notebook):
    """What went wrong in a widget, where papermill does not see it: exceptions in captured outputs, messages in words."""
    found = []
    for state in (
        notebook.metadata.get("widgets", {})
        .get("application/vnd.jupyter.widget-state+json", {})
        .get("state", {})
        .values()
    ):
        values = state["state"]
        found += [
            output for output in values.get("outputs", []) if output["output_type"] == "error"
        ]
        words = [values.get(name) or "" for name in ("value", "error", "description")]
        found += [
            text
            for text in words
            if isinstance(text, str) and ('role="alert"' in text or "Error" in text)
        ]
    return found


def test_errors_in_widgets_are_found(tmp_path):
    """A message in words, and an exception that a widget has caught. Each has a kernel of its own: where they shared one, an answer
    once never came, and papermill waits for ever unless it is told how long."""
    broken = {
        "message": "from safbage import SafBage\nfrom safbage.show import widgets\n"
        "widgets.ratio_explorer(SafBage.load(saliency='light'), 'missing.jpg')",
        "caught": "import ipywidgets\nout = ipywidgets.Output()\nwith out:\n    1 / 0\nout",
    }
    found = {}
    for name, source in broken.items():
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")
        options = dict(kernel_name="python3", cwd=str(tmp_path), progress_bar=False)
        done = papermill.execute_notebook(
            tmp_path / f"{name}.ipynb", tmp_path / "done.ipynb", execution_timeout=120, **options
        )
        (found[name],) = hidden_errors(done)
    assert "missing.jpg" in found["message"]
    assert found["caught"]["ename"] == "ZeroDivisionError"


def run(notebook, folder, parameters):
    """Execute with papermill in a fresh kernel: the notebook as run, and its metrics."""
    nbformat.write(notebook, folder / "notebook.ipynb")
    parameters = {"OUTPUT_DIR": "out", **parameters}
    options = dict(kernel_name="python3", cwd=str(folder), progress_bar=False)
    done = papermill.execute_notebook(
        folder / "notebook.ipynb", folder / "done.ipynb", parameters, **options
    )
    assert not hidden_errors(done)
    return done, json.loads((folder / "out" / "metrics.json").read_text(encoding="utf-8"))


def tried(path, folder, parameters, times=1):
    """A notebook's run as a student's, in which figures appeared and every attempt at an exercise was told what it should be."""
    notebook = nbformat.read(path, 4)
    done, metrics = run(as_tried(notebook, times), folder, parameters)
    outputs = [o for cell in done.cells if cell.cell_type == "code" for o in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    printed = [output["text"] for output in outputs if output.output_type == "stream"]
    stubs = tagged(notebook, "exercise")
    solved = ["right"] * sum(asked_for(stub) != "answer" for stub in stubs)
    said = [w for stub in stubs for w in ("not attempted", *stub.metadata["attempts"].values())]
    for words in said + solved:
        begins = words if words.startswith(("right", "not attempted")) else "not yet: "
        found = next((text for text in printed if text.startswith(begins) and words in text), None)
        assert found is not None, words
        printed.remove(found)
    return done, metrics


def test_it_runs_and_its_checks_know_right_from_wrong(path, tmp_path, astronaut):
    (tmp_path / "photos").mkdir()
    images.write(tmp_path / "photos" / "a.jpg", astronaut)
    (tmp_path / "photos" / "b.jpg").write_text("no photo")
    parameters = SMALL[path.stem[:2]]
    _, metrics = tried(path, tmp_path, parameters)
    told = {
        name: metrics[name.lower()]
        for name in ("RATIO", "EPOCHS", "SEED")
        if name in parameters and name.lower() in metrics
    }
    assert told == {name: parameters[name] for name in told}


@pytest.mark.slow
def test_it_runs_at_its_own_size_and_its_cells_can_be_run_twice(path, tmp_path):
    """In one run: what takes long in a notebook is kept, and found done by the second run of its cell.

    It takes no more than twice the time that it says it takes on two cores. Where several workers share the machine, each has
    its share of the cores."""
    done, _ = tried(path, tmp_path, {}, times=2)
    own = [cell for cell in done.cells if cell.cell_type == "code" and "added" not in tags(cell)]
    minutes = sum(cell.metadata["papermill"]["duration"] or 0 for cell in own) / 60
    print(f"{path.stem}: {minutes:.1f} minutes")
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
    share = max(1, 2 * workers / os.cpu_count())
    assert minutes < 2 * share * minutes_told(path)
    if kept := os.environ.get("SAFBAGE_EXECUTED"):  # a folder, for the book
        done.cells = [
            cell for cell in done.cells if not {"added", "injected-parameters"} & set(tags(cell))
        ]
        nbformat.write(done, Path(kept) / path.name)
