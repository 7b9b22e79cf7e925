"""The picture of the house in CONTRIBUTING.md is true: all rooms are in it, and each imports only those before it.

What is private stays so, for other modules and for tests.
"""

import ast
import graphlib
import re
from pathlib import Path

import pytest
from conftest import REPOSITORY

PACKAGE = REPOSITORY / "safbage"
FILES = sorted(PACKAGE.rglob("*.py"))


def stations():
    """Names in the picture's order, in which one may import those before it."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    picture = re.search(r"<!-- stations -->\n```text\n(.*?)```", text, re.DOTALL)[1]
    lines = [re.split(r"\s{2,}", line, maxsplit=1)[1] for line in picture.splitlines()]
    return [name for line in lines for name in line.split(" · ")]


def imports(path):
    """Each import of this package in a file, also within functions, as (module, name); of a module alone the name is ""."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not (isinstance(node, ast.ImportFrom) and node.level), (
            f"{path}: relative imports hide what is imported"
        )
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "safbage":
            found += [(node.module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [
                (alias.name, "") for alias in node.names if alias.name.split(".")[0] == "safbage"
            ]
    return found


def imported(path):
    """Stations that a file imports."""
    found = set()
    for module, name in imports(path):
        parts = [*module.split(".")[1:], name]
        found |= {"pipeline" if parts[0] == "SafBage" else parts[0]} - {""}
    return found


def files_of(station):
    folder = PACKAGE / station
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{station}.py"]


def test_every_module_is_in_the_picture_once():
    modules = {path.stem for path in PACKAGE.glob("*.py")} | {
        path.parent.name for path in PACKAGE.glob("*/__init__.py")
    }
    assert sorted(stations()) == sorted(modules - {"__init__"})


@pytest.mark.parametrize("station", stations())
def test_a_station_imports_only_those_before_it(station):
    order = stations()
    later = order[order.index(station) + 1 :]
    wrong = {
        str(path.relative_to(PACKAGE)): sorted(imported(path) & set(later))
        for path in files_of(station)
    }
    assert not any(wrong.values()), wrong


def module_of(path):
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_no_two_modules_import_each_other():
    modules = {module_of(path) for path in FILES}
    graph = {}
    for path in FILES:
        named = {
            f"{module}.{name}" if f"{module}.{name}" in modules else module
            for module, name in imports(path)
        }
        graph[module_of(path)] = named - {module_of(path), "safbage"}
    for package in [
        module for module in modules if any(other.startswith(f"{module}.") for other in modules)
    ]:
        graph[package] = graph[package] - {
            other for other in graph[package] if other.startswith(f"{package}.")
        }  # what it passes on
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError, which names them


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_no_private_name_is_imported(path):
    private = [
        f"{module}.{name}"
        for module, name in imports(path)
        if re.search(r"(^|\.)_[a-z]", f"{module}.{name}")
    ]
    assert private == []


def private_names(tree):
    """What code reaches into: private attributes of what it imports from this package, and any that it patches."""
    ours = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "safbage"
        for alias in node.names
    }
    found = {name for name in ours if name.startswith("_") and not name.endswith("__")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr):
            whole = ast.unparse(node)
            found |= {whole} if whole.split(".")[0] in {*ours, "safbage"} else set()
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("setattr", "delattr")):
            named = [arg.value for arg in node.args[:2] if isinstance(arg, ast.Constant)]
            found |= {name for name in named if re.search(r"(^|\.)_[a-z]", str(name))}
    return found


def test_no_test_reaches_into_a_private_name():
    files = Path(__file__).parent.glob("*.py")
    found = {
        path.name: private_names(ast.parse(path.read_text(encoding="utf-8"))) for path in files
    }
    assert {name: names for name, names in found.items() if names} == {}


def test_a_private_name_is_found():
    lines = ["from safbage import cam, images", "from safbage.cli.base import _size", "cam._run(1)"]
    lines += ["monkeypatch.setattr(images, '_read', None)", "patch.setattr('safbage.cam._run', 1)"]
    lines += ["self._own, other._theirs, images.__name__"]
    found = private_names(ast.parse("\n".join(lines)))
    assert found == {"_size", "cam._run", "_read", "safbage.cam._run"}


JOURNEYS = ["book", "browser", "fuzz", "isolation", "notebooks", "protocols", "results"]
JOURNEYS += ["shipping", "shipping_mobilenet", "stations", "wheel"]
JOURNEYS += ["course_map", "glossary", "saliency_on_faces", "start_anywhere"]
"""What is tested from end to end, or is no part of the library."""


def test_the_files_of_tests_are_named_after_what_they_test():
    """So that who changes a module knows which of them to run: its own, and its room's."""
    modules = {"_".join(module_of(path).split(".")[1:]) for path in FILES}
    files = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert files - modules == set(JOURNEYS)
    rooms = {name.split("_")[0] for name in files}
    assert set(stations()) - rooms == {"errors", "tasks", "trunks"}  # words, and layers of networks


def test_a_wrong_import_is_found(tmp_path):
    path = tmp_path / "wrong.py"
    lines = [
        "import os",
        "from safbage import images",
        "def f():",
        "    from safbage.cli.base import app",
    ]
    lines += ["    import safbage.show.plots"]
    path.write_text("\n".join(lines))
    assert imported(path) == {"images", "cli", "show"}


@pytest.mark.parametrize("place", ["docs/library.md", "CONTRIBUTING.md"])
def test_every_station_is_named(place):
    text = (REPOSITORY / place).read_text(encoding="utf-8")
    assert [name for name in stations() if not re.search(rf"\b{name}\b", text)] == []
