"""Write into docs/glossary.md where the course explains and uses each of its words.

    python docs/book/glossary_page.py

The definitions stand in docs/glossary.md itself. A word is explained where a notebook first has it in a
box; else, where one first has it in bold.
"""

import re
from pathlib import Path

import nbformat

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "glossary.md"
ENTRY = re.compile(
    r"^### (?P<word>.+)\n\n(?P<meaning>.+)\n(?:\n\*(?P<where>.+)\*\n)?", re.MULTILINE
)
BOX = re.compile(r"^>.*(?:\n>.*)*", re.MULTILINE)
BOLD = re.compile(r"\*\*([^*\n]+)\*\*")
LONGEST = 4
"""Words of a term. What is longer, and bold, is a sentence."""
SPELT = {
    "Apparent label": r"apparent",
    "Arm": r"arms?(?!\w|'s length)",
    "Calibration": r"calibrat",
    "Degree of visual angle": r"visual angle",
    "Discordant faces": r"discordant",
    "Fine-tuning": r"fine-tun",
    "Fully connected layer": r"fully connected",
    "Image pyramid": r"pyramid",
    "Occlusion map": r"occlusion",
    "Reweighting ratio": r"ratios?(?!\w)",
    "Test faces": r"test(?:(?:\*\*)? (?:face|fold)|$)",
    "Validation faces": r"validat",
}
"""What a word is found by where its own name, or its plural, does not do."""
EXACT = {"CC", "SIM", "KL", "IG", "NSS", "AUC"}
"""Abbreviations, which are words in small letters or within other words."""


def entries(page: str) -> dict[str, str]:
    """The page's words and their definitions, in its order."""
    return {found["word"]: found["meaning"] for found in ENTRY.finditer(page)}


def spellings(word: str) -> re.Pattern:
    """What a word is found by: its name, or the abbreviation in brackets behind it."""
    names = [re.sub(r" \(.*\)", "", word), *re.findall(r"\((.*)\)", word)]
    ways = {True: [], False: []}
    for name in names:
        ways[name in EXACT or name.isupper()].append(rf"{re.escape(name)}(?:s|es)?(?![\w-])")
    ways[False] = [SPELT.get(word), *ways[False][1:]] if word in SPELT else ways[False]
    either = [*ways[True], *(f"(?i:{way})" for way in ways[False])]
    return re.compile(rf"(?<![\w-])(?:{'|'.join(either)})")


def texts(notebooks: list[Path]) -> dict[Path, str]:
    """The prose of each notebook."""
    cells = {path: nbformat.read(path, 4).cells for path in notebooks}
    return {
        path: "\n\n".join(cell.source for cell in found if cell.cell_type == "markdown")
        for path, found in cells.items()
    }


def boxed(text: str) -> set[str]:
    """The bold words of a notebook's boxes, without what is a sentence or a formula."""
    found = {bold.strip(" .,:") for box in BOX.findall(text) for bold in BOLD.findall(box)}
    return {
        word
        for word in found
        if len(word.split()) <= LONGEST and not re.search(r"[?!Σ=·]", word) and word[0].isalpha()
    }


def unexplained(page: str, text: str) -> set[str]:
    """The boxed words of a notebook that the page does not have."""
    known = [spellings(word) for word in entries(page)]
    return {word for word in boxed(text) if not any(found.search(word) for found in known)}


def where(word: str, prose: dict[Path, str]) -> str:
    """In which notebooks a word is explained and used.

    Raises:
        ValueError: in none.
    """
    found = spellings(word)
    used = [path for path, text in prose.items() if found.search(text)]
    if not used:
        raise ValueError(f"no notebook has the word {word!r}, which docs/glossary.md defines")
    box = [path for path in used if any(map(found.search, boxed(prose[path])))]
    bold = [path for path in used if any(map(found.search, BOLD.findall(prose[path])))]
    first = (box or bold or used)[0]
    links = {path: f"[{path.name[:2]}](../notebooks/{path.name})" for path in used}
    others = [link for path, link in links.items() if path != first]
    told = f"Explained in {links[first]}"
    return f"{told}; also in {', '.join(others)}." if others else f"{told}."


def filled(page: str, prose: dict[Path, str]) -> str:
    """The page with every word's notebooks.

    Raises:
        ValueError: a word is in no notebook.
    """

    def line(found):
        return f"### {found['word']}\n\n{found['meaning']}\n\n*{where(found['word'], prose)}*\n"

    return ENTRY.sub(line, page)


def main():
    prose = texts(sorted((REPOSITORY / "notebooks").glob("*.ipynb")))
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(filled(page, prose), encoding="utf-8")
    for path, text in prose.items():
        for word in sorted(unexplained(page, text)):
            print(f"{path.name}: {word!r} has no entry")


if __name__ == "__main__":
    main()
