"""The report's page, of the project's own results."""

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from conftest import REPOSITORY

from safbage import experiments, paper
from safbage.show import html


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    html.write(
        path,
        experiments.load_saved(REPOSITORY / "results"),
        {"age": 60.0},
        pd.DataFrame(columns=["ratio"]),
    )
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def captions(page, *words):
    found = [figure.figcaption.text for figure in page.find_all("figure")]
    return [caption for caption in found if all(word in caption for word in words)]


def table_below(page, text):
    """Cells of the table that follows an element of this text."""
    heading = page.find(lambda tag: tag.name in ("h2", "summary") and tag.text == text)
    rows = heading.find_next("table").find_all("tr")
    return [[cell.text for cell in row.find_all("td")] for row in rows[1:]]


@pytest.mark.parametrize("task, table", paper.CONFUSIONS.items())
def test_our_matrix_stands_beside_the_papers(page, task, table):
    (caption,) = captions(page, task, "cell by cell")
    assert f"the paper's Table {table}" in caption and "alexnet, ratio 30 %" in caption
    assert page.find("img", alt=caption).parent["class"] == ["wide"]


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
    assert rows["gilnet, ratio 30 %"] == "89.8 ± 1.3" and rows["vgg16, ratio 30 %"] == "93.4"
    assert rows["gilnet, without saliency"] == rows["efficientnet-lite2, ratio 30 %"] == "–"
    assert "about 1.6 %" in page.text
