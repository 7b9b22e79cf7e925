"""Comparisons as tables on a terminal."""

import io

import pytest
from made_arms import age_comparison, answers, first
from rich.console import Console
from test_experiments_comparison import compare

from safbage.experiments import Arm, Run
from safbage.show import console
from safbage.tasks import CLASSES


@pytest.fixture
def shown():
    """What is printed of a comparison."""

    def show(comparison):
        text = io.StringIO()
        console.show(comparison, Console(file=text, width=160, markup=False, highlight=False))
        return text.getvalue()

    return show


def test_crossed_groups_are_shown_and_few_faces_marked(shown):
    table = answers(first(0.8, 80)).assign(race=["a", "a", "a", "b"] * 20)
    table["gender"] = ["male", "female"] * 40
    lines = shown(compare({Arm("alexnet", 0.3): Run(table)})).splitlines()
    assert any(
        "accuracy by race and gender, % [95 % interval]; * few faces" in line for line in lines
    )
    rows = (line.split("│") for line in lines)
    faces = {row[1].strip(): row[2].strip() for row in rows if len(row) > 3}
    assert (faces["a, male"], faces["a, female"], faces["b, female"]) == ("40", "20*", "20*")


def test_the_papers_matrices_stand_beside_that_of_its_network(shown):
    text = shown(age_comparison())
    assert text.count("in brackets the paper's Table 4") == 1
    assert " (29.2)" in text and " (101.8)" not in text
    assert "The paper's 62.11 % is mean recall" in text
    table = answers(first(0.5, 70), classes=CLASSES["expression"])
    text = shown(compare({Arm("alexnet", 0.3): Run(table)}, "expression"))
    assert text.count("in brackets the paper's Table 5") == 1 and "50.0 (62.4)" in text
    genders = answers(first(0.5, 70))
    assert "in brackets" not in shown(compare({Arm("alexnet", 0.3): Run(genders)}))
