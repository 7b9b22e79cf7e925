"""docs/glossary.md, held to the notebooks."""

import re
from pathlib import Path

import glossary_page
import nbformat
import pytest

NOTEBOOKS = sorted((glossary_page.REPOSITORY / "notebooks").glob("*.ipynb"))
PROSE = glossary_page.texts(NOTEBOOKS)
PAGE = glossary_page.PAGE.read_text(encoding="utf-8")


def test_it_says_where_each_word_is_explained_and_used():
    assert glossary_page.filled(PAGE, PROSE) == PAGE, "run python docs/book/glossary_page.py"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name[:2])
def test_every_boxed_word_of_a_notebook_has_an_entry(path):
    missing = glossary_page.unexplained(PAGE, PROSE[path])
    assert not missing, f"docs/glossary.md lacks {sorted(missing)}"


def test_words_stand_in_alphabetical_order_with_one_sentence_each():
    words = glossary_page.entries(PAGE)
    assert len(words) == PAGE.count("\n### ") > 50
    assert list(words) == sorted(words, key=lambda w: w.lower().replace("-", "").replace("'", ""))
    letters = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    assert letters == sorted({word[0].upper() for word in words})
    for word, meaning in words.items():
        assert meaning.endswith(".") and ". " not in meaning, word


BOXED = """# One

> **Fixation map.** Gaussians, added. A **degree of visual angle** is a thumb.

> **This is a sentence in bold, and no word.** > **Σₖ *w*ₖ**

Prose with a **leak** in it: the ratio is 0.3.
"""


def test_boxed_words_are_found_and_sentences_are_not():
    assert glossary_page.boxed(BOXED) == {"Fixation map", "degree of visual angle"}
    known = "# G\n\n### Fixation map\n\nA sum.\n"
    assert glossary_page.unexplained(known, BOXED) == {"degree of visual angle"}
    assert not glossary_page.unexplained(
        known + "\n### Degree of visual angle\n\nA thumb.\n", BOXED
    )


@pytest.mark.parametrize(
    ("word", "text", "found"),
    [
        ("Fold", "five folds", True),
        ("Fold", "a folder", False),
        ("AUC", "the AUC", True),
        ("IG", "a big dig", False),
        ("SIM", "simulated, and SIMD", False),
        ("Arm", "at arm's length", False),
        ("Arm", "an arm's answers", True),
        ("AlexNet", "AlexNet-GAP", False),
        ("AlexNet", "AlexNet's layers", True),
        ("Class activation map (CAM)", "three CAMs", True),
        ("Class activation map (CAM)", "a camera", False),
    ],
)
def test_a_word_is_found_whole(word, text, found):
    assert bool(glossary_page.spellings(word).search(text)) == found


def test_a_word_is_explained_where_it_is_boxed():
    first, second = Path("00_a.ipynb"), Path("01_b.ipynb")
    prose = {first: "a leak, and a fold", second: "> **Leak.** Known.\n"}
    told = glossary_page.where("Leak", prose)
    assert told == (
        "Explained in [01](../notebooks/01_b.ipynb); also in [00](../notebooks/00_a.ipynb)."
    )
    assert glossary_page.where("Fold", prose) == "Explained in [00](../notebooks/00_a.ipynb)."
    with pytest.raises(ValueError, match="no notebook has the word 'Grid'"):
        glossary_page.where("Grid", prose)


def test_prose_is_read_without_code(tmp_path):
    path = tmp_path / "00_a.ipynb"
    cells = [nbformat.v4.new_markdown_cell("said"), nbformat.v4.new_code_cell("run()")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    assert glossary_page.texts([path]) == {path: "said"}
