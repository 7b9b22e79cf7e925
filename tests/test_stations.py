"""The picture of the stations in CONTRIBUTING.md is true: all are in it, and each imports only those before it."""

import ast
import re

import pytest
from conftest import REPOSITORY

PACKAGE = REPOSITORY / "safbage"


def stations():
    """Names in the picture's order, in which one may import those before it."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    picture = re.search(r"<!-- stations -->\n```text\n(.*?)```", text, re.DOTALL)[1]
    lines = [re.split(r"\s{2,}", line, maxsplit=1)[1] for line in picture.splitlines()]
    return [name for line in lines for name in line.split(" · ")]


def imported(path):
    """Stations that a file imports, also within functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "safbage":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("safbage."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("safbage.")}
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}: relative imports hide what is imported"
    return {"pipeline" if name == "SafBage" else name for name in found}


def files_of(station):
    folder = PACKAGE / station
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{station}.py"]


def test_every_module_is_in_the_picture_once():
    modules = {path.stem for path in PACKAGE.glob("*.py")} | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert sorted(stations()) == sorted(modules - {"__init__"})


@pytest.mark.parametrize("station", stations())
def test_a_station_imports_only_those_before_it(station):
    order = stations()
    later = order[order.index(station) + 1 :]
    wrong = {str(path.relative_to(PACKAGE)): sorted(imported(path) & set(later)) for path in files_of(station)}
    assert not any(wrong.values()), wrong


def test_a_wrong_import_is_found(tmp_path):
    path = tmp_path / "wrong.py"
    lines = ["import os", "from safbage import images", "def f():", "    from safbage.cli.base import app"]
    lines += ["    import safbage.plots"]
    path.write_text("\n".join(lines))
    assert imported(path) == {"images", "cli", "plots"}


@pytest.mark.parametrize("place", ["docs/library.md", "CONTRIBUTING.md"])
def test_every_station_is_named(place):
    text = (REPOSITORY / place).read_text(encoding="utf-8")
    assert [name for name in stations() if not re.search(rf"\b{name}\b", text)] == []
