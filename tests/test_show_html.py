"""The report's page, of the project's own results."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from conftest import REPOSITORY

from safbage import experiments, paper
from safbage.cli.reproduce import BEGINNING
from safbage.experiments.examples import Example
from safbage.show import html, words
from safbage.tasks import CLASSES

CLAIM = {"claim": "lift", "text": "Saliency lifts gender", "verdict": "opposite", "unit": "points"}
CLAIM |= {"value": -0.9, "low": -1.6, "high": -0.2, "p": 0.0074}


def some_examples():
    """One right and one wrong answer of each task, on grey squares."""
    crop, look = np.full((224, 224, 3), 120, "uint8"), np.full((28, 28), 0.5, "float32")
    return {
        task: [Example(task, crop, look, names[0], answer, 0.6) for answer in names[:2]]
        for task, names in CLASSES.items()
    }


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    saved = experiments.load_saved(REPOSITORY / "results")
    comparisons = {name: replace(one, claims=()) for name, one in saved.items()}
    comparisons["gender"] = replace(comparisons["gender"], claims=[CLAIM])
    trained = dict(network="alexnet", ratio=0.3, fold=0, seed=0, loss=0.5, accuracy=0.8)
    histories = pd.DataFrame([trained | {"epoch": epoch} for epoch in (1, 2)])
    html.write(path, comparisons, {"age": 60.0}, histories, some_examples())
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text):
    return BeautifulSoup(text, "html.parser")


def captions(page, *words):
    found = [figure.figcaption.text for figure in page.find_all("figure")]
    return [caption for caption in found if all(word in caption for word in words)]


def table_below(page, text):
    """Cells of the table that follows an element of this text."""
    heading = page.find(lambda tag: tag.name in ("h2", "h3", "summary") and tag.text == text)
    rows = heading.find_next("table").find_all("tr")
    return [[cell.text for cell in row.find_all("td")] for row in rows[1:]]


def test_it_begins_as_reports_do_and_calls_nobody(text, page):
    assert text.startswith(BEGINNING)
    links = [tag.get("href") or tag.get("src") for tag in page.find_all(["a", "img"])]
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    anchors = [link for link in links if link.startswith("#")]
    assert anchors and all(page.find(id=anchor[1:]) for anchor in anchors)
    assert "prefers-color-scheme: dark" in text


def test_the_order_is_verdicts_forest_tables_figures_rerun(page):
    headings = [tag.text for tag in page.find_all("h2")]
    assert headings[:4] == [
        "Verdicts",
        "Tables, beside the paper's",
        "The paper's figures, remade",
        "Run it again",
    ]
    forest = page.find("h2").find_next("figure")
    assert "every" not in forest.figcaption.text and "95 % intervals" in forest.figcaption.text
    assert forest.find_previous("h2").text == "Verdicts"


def test_every_verdict_is_a_sentence_with_an_interval(page):
    """Of an experiment the claims that it judges; of one without any, what it comes to in short."""
    found = [" ".join(item.text.split()) for item in page.find(class_="verdicts").find_all("li")]
    assert len(found) == len(experiments.load_saved(REPOSITORY / "results"))
    assert all(re.search(r"95 % interval \S+ to [^)]+\).*\.$", line) for line in found)
    (claim,) = [line for line in found if line.startswith("opposite")]
    assert claim.endswith(
        "Saliency lifts gender: -0.9 points (95 % interval -1.6 to -0.2; p = 0.0074)."
    )
    (age,) = [line for line in found if line.startswith("Age, with and without saliency.")]
    assert age.endswith("the paper has +9.91.")


def test_the_headline_stands_beside_the_paper(page):
    saved = experiments.load_saved(REPOSITORY / "results")
    rows = [
        [cell.text for cell in row.find_all("td")] for row in page.find(class_="headline")("tr")
    ]
    assert rows[1:] == [words.headline(saved[name]) for name in ("age", "expression", "gender")]


def test_all_four_figures_are_remade(page):
    for number in range(1, 5):
        assert len(captions(page, f"Figure {number} remade")) == 1


def test_commands_and_data_sets_tell_how_to_run_it_again(page):
    commands = page.find(id="again").find_next("pre").text.splitlines()
    assert commands and all(line.startswith("safbage reproduce") for line in commands)
    rows = table_below(page, "Run it again")
    assert sorted(row[0] for row in rows) == ["FER2013", "UTKFace"]


@pytest.mark.parametrize("task, table", paper.CONFUSIONS.items())
def test_our_matrix_stands_beside_the_papers(page, task, table):
    (caption,) = captions(page, task, "cell by cell")
    assert f"the paper's Table {table}" in caption and "alexnet, ratio 30 %" in caption
    assert page.find("img", alt=caption.rstrip(".")).parent["class"] == ["wide"]


def test_gender_has_no_matrix_of_the_papers(page):
    assert not captions(page, "gender", "cell by cell") and captions(page, "Confusion of gender")


def test_the_papers_tables_stand_whole(page):
    tables = page.find_all("summary", string="What the paper sets itself beside")
    assert len(tables) == len(paper.TABLES)  # not again below the ratios and the networks
    found = {
        tuple(cell.text for cell in row.find_all("td"))
        for s in tables
        for row in s.find_next("table").find_all("tr")[1:]
    }
    assert {
        ("Dehghan et al. 2017", "61.3 ± 3.7"),
        ("the paper, with saliency", "91.8 ± 1.2"),
    } <= found
    assert len(found) == sum(map(len, paper.TABLES.values()))


def test_every_contradiction_is_told(page):
    rows = table_below(page, "Where the paper says two things")
    assert len(rows) == len(paper.CONTRADICTIONS) + len(paper.IN_WORDS)
    assert ["Table 4, row 4-6", "sum of the row, and what it should be", "101.8 % / 100 %"] in rows
    assert any(row[2] == "Figure 4 / Figure 3, right" for row in rows)
    assert f"({len(paper.CHECKS)} figures)" in page.text


def test_the_ablations_stand_beside_ours(page):
    rows = {row[0]: row[3] for row in table_below(page, "Other networks")}
    assert rows["vgg16, ratio 30 %"] == "93.4"
    assert rows["vgg16, without saliency"] == rows["efficientnet-lite2, ratio 30 %"] == "–"
    assert "about 1.6 %" in page.text
