"""docs/course-map.png, held to the notebooks' first cells."""

import importlib.util
import json
from dataclasses import asdict

import nbformat
import pytest
from glossary_page import REPOSITORY
from PIL import Image

SPEC = importlib.util.spec_from_file_location("course_map", REPOSITORY / "docs" / "course_map.py")
course_map = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(course_map)
COURSE = course_map.load()


def made(number, needs=(), helped_by=()):
    return course_map.Notebook(number, f"No. {number}", "2", needs, helped_by)


def test_the_picture_is_that_of_the_notebooks():
    with Image.open(course_map.PICTURE) as picture:
        kept = json.loads(picture.text["Course"])
    told = json.loads(json.dumps([asdict(notebook) for notebook in COURSE]))
    assert kept == told, "run python docs/course_map.py"


def test_nothing_comes_before_what_it_needs():
    numbers = [notebook.number for notebook in COURSE]
    assert numbers == sorted(numbers) and numbers[0] == "00"
    for notebook in COURSE:
        assert (
            set(notebook.needs) <= set(numbers)
            and max(notebook.needs, default="") < notebook.number
        )
        assert notebook.number == "00" or notebook.needs


def test_every_notebook_is_on_the_map():
    said = " ".join(text.get_text() for text in course_map.draw(COURSE).axes[0].texts)
    for notebook in COURSE:
        assert notebook.number in said and f"{notebook.minutes} min" in said


FIRST = """# 07 · Class activation maps: where

- **Before this:** `00_start.ipynb`; [03 Reweight](03_reweight.ipynb) for the ratio.
- **Time:** about one to two minutes on two CPU cores, or 90 with photos.
"""


def first_cell(tmp_path, text):
    path = tmp_path / "07_a.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)]), path)
    return path


def test_a_first_cell_is_read(tmp_path):
    found = course_map.read(first_cell(tmp_path, FIRST))
    expected = course_map.Notebook("07", "Class activation maps", "1–2", ("00",), ("03",))
    assert found == expected
    for wrong, said in (
        ("# 07 · A\n", "lacks title"),
        (FIRST.replace("two min", "12 min"), "words"),
    ):
        with pytest.raises(ValueError, match=said):
            course_map.read(first_cell(tmp_path, wrong))


def test_an_arrow_that_others_imply_is_not_drawn():
    course = [
        made("00"),
        made("01", ("00",)),
        made("02", ("00", "01")),
        made("03", ("01",), ("02",)),
    ]
    assert course_map.arrows(course) == {
        ("00", "01"): True,
        ("01", "02"): True,
        ("01", "03"): True,  # needed, and by way of 02 only a help
        ("02", "03"): False,
    }
    assert course_map.columns(course) == {"00": 0, "01": 1, "02": 2, "03": 3}
