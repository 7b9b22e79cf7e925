"""The project's own results: each is whole, tells how it was made, and stands in the README as it was measured."""

import pytest
from conftest import REPOSITORY

from safbage import experiments
from safbage.experiments import reproduction
from safbage.show import markdown

RESULTS = experiments.load_saved(REPOSITORY / "results")


def test_there_are_results():
    assert set(RESULTS) == set(reproduction.EXPERIMENTS)


@pytest.mark.parametrize("name", RESULTS)
def test_the_readme_shows_what_was_measured(name):
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert markdown.comparison(RESULTS[name]).strip() in readme


def test_the_readme_sets_the_headline_beside_the_paper():
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert markdown.headline(RESULTS[name] for name in ("gender", "age", "expression")) in readme


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_tells_how_it_was_made(name):
    made = RESULTS[name].provenance
    assert made["command"].startswith("safbage reproduce") and made["data"] in (
        "utkface",
        "fer2013",
    )
    assert (
        made["versions"]["safbage"] and made["prepared"]["weights"] and "/" not in made["command"]
    )
