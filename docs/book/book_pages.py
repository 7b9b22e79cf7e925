"""Lay out the book's pages for Sphinx, in the repository's own layout, so that the links between them hold.

    python docs/book/book_pages.py EXECUTED PAGES

EXECUTED holds the notebooks as run. What a page cannot show as it stands is brought to what it can: a widget becomes a note,
a figure gets a text for those who do not see it, checks and solutions are folded.
"""

import base64
import math
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from PIL import Image, ImageOps

import safbage
from safbage import images
from safbage.runtime import weights

REPOSITORY = Path(__file__).parents[2]
TAKEN = [
    "*.md",
    "LICENSE",
    "CITATION.cff",
    "data/*.md",
    "docs/*.md",
    "docs/*.png",
    "notebooks/*.md",
    "safbage/trained/*.md",
]
WIDGET = "application/vnd.jupyter.widget-view+json"
FOLDERS = re.compile(r"(?<![\w.:/<~])/(?:[\w.+-]+/)+")
"""An absolute path but for its last part, which pandas may have cut short."""
PROGRESS = re.compile(r"\d+%\|")
NOTE = (
    "*In JupyterLab a panel to play with stands here; the figure above it is one of its positions.*"
)
THUMBNAIL = 480, 300
ENOUGH = 80
"""Characters of a figure's text."""


def lay_out(executed: Path, pages: Path) -> None:
    """Write everything that Sphinx reads into the folder `pages`, which is emptied first."""
    shutil.rmtree(pages, ignore_errors=True)
    shutil.copytree(
        Path(__file__).parent, pages, ignore=shutil.ignore_patterns("*.py", "__pycache__")
    )
    shutil.copy(Path(__file__).parent / "conf.py", pages)
    for source in (path for pattern in TAKEN for path in REPOSITORY.glob(pattern)):
        target = pages / source.relative_to(REPOSITORY)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    cards = []
    for path in sorted((REPOSITORY / "notebooks").glob("*.ipynb")):
        notebook = as_page(nbformat.read(executed / path.name, 4))
        nbformat.write(notebook, pages / "notebooks" / path.name)
        cards.append(card(notebook, path.stem, pages))
    index = pages / "index.md"
    strip = "\n".join(["::::{grid} 1 2 2 3", ":gutter: 3", "", *cards, "::::"])
    index.write_text(index.read_text(encoding="utf-8").replace("STRIP", strip), encoding="utf-8")
    (pages / "api.md").write_text(api(), encoding="utf-8")
    (pages / "commands.md").write_text(commands(), encoding="utf-8")


def as_page(notebook):
    """An executed notebook as the book shows it.

    Raises:
        ValueError: a cell ended in an error.
    """
    notebook.metadata.pop("widgets", None)
    texts, section, figures = (
        [cell for cell in notebook.cells if cell.cell_type == "markdown"],
        "",
        0,
    )
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            section = heading(cell.source) or section
            texts.remove(cell)
            said = cell.source
            continue
        tags = cell.metadata.setdefault("tags", [])
        shown = cell.metadata.setdefault("mystnb", {})
        if "solution" in tags:
            tags.append("hide-cell")
            shown.update(code_prompt_show="Show the solution", code_prompt_hide="Hide the solution")
        elif cell.metadata.get("jupyter", {}).get("source_hidden"):
            tags.append("hide-input")
            shown.update(code_prompt_show="Show the check", code_prompt_hide="Hide the check")
            if "metrics" in tags:
                shown.update(code_prompt_show="Numbers kept", code_prompt_hide="Numbers kept")
        cell.outputs = [output for output in map(as_shown, cell.outputs) if output]
        if any(output.output_type == "error" for output in cell.outputs):
            raise ValueError(f"cell {cell.id!r} ended in an error; run the notebook again")
        if any("image/png" in output.get("data", {}) for output in cell.outputs):
            figures += 1
            reads = (
                texts
                and notebook.cells[notebook.cells.index(cell) + 1] is texts[0]
                and not heading(texts[0].source)
            )
            words = beginning(texts[0].source) if reads else last_sentence(said)
            where = section if section.endswith("?") else f"{section}."
            shown.setdefault("image", {}).setdefault(
                "alt", f"Figure {figures}, {where} {words}".strip()
            )
    return notebook


def as_shown(output):
    """An output without what only a running kernel can show; None where nothing is left."""
    data = output.get("data", {})
    if "text" in output:
        output.text = anywhere(output.text)
    for kind in ("text/plain", "text/html"):
        if kind in data:
            data[kind] = anywhere(data[kind])
    if WIDGET not in data:
        return output
    if PROGRESS.search(data.get("text/plain", "")):
        return None
    return nbformat.v4.new_output("display_data", {"text/markdown": NOTE})


def anywhere(text: str) -> str:
    """The text without the folders of the machine that ran it."""
    return FOLDERS.sub("…/", text.replace(str(weights.home()), "~/.cache/safbage"))


def heading(markdown: str) -> str:
    """The first heading's words, or none."""
    found = re.search(r"^#+ (.*)$", markdown, re.MULTILINE)
    return plain(found[1]) if found else ""


def plain(markdown: str) -> str:
    """Words without Markdown's marks, on one line."""
    return " ".join(re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", re.sub(r"[*`>_]", "", markdown)).split())


def sentences(markdown: str) -> list[str]:
    """The sentences of the paragraphs that are prose."""
    paragraphs = [part for part in markdown.split("\n\n") if not re.match(r"[#|>\-]", part)]
    return [
        sentence
        for part in paragraphs
        for sentence in re.split(r"(?<=[.!?:]) (?=[A-Z*`])", plain(part))
    ]


def beginning(markdown: str) -> str:
    """The first sentences, enough of them to say something."""
    found = ""
    for sentence in sentences(markdown):
        if len(found) < ENOUGH:
            found = f"{found} {sentence}".strip()
    return found


def last_sentence(markdown: str) -> str:
    return next(reversed(sentences(markdown)), "")


def card(notebook, name: str, pages: Path) -> str:
    """A card of the landing page's strip: title, goal, and the figure whose shape fits best, which is left in `strip/`."""
    title = notebook.cells[0].source
    outputs = [
        output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
    ]
    figures = [
        output.data["image/png"] for output in outputs if "image/png" in output.get("data", {})
    ]
    pictures = [Image.fromarray(images.decode(base64.b64decode(figure))) for figure in figures]
    wanted = THUMBNAIL[0] / THUMBNAIL[1]
    picture = min(
        pictures, key=lambda picture: abs(math.log(picture.width / picture.height / wanted))
    )
    (pages / "strip").mkdir(exist_ok=True)
    ImageOps.pad(picture, THUMBNAIL, color="white").save(pages / "strip" / f"{name}.png")
    goal = re.search(r"\*\*Goal:\*\* (.*)", title)[1]
    return "\n".join(
        [
            f":::{{grid-item-card}} {heading(title)}",
            f":link: notebooks/{name}",
            ":link-type: doc",
            f":img-top: strip/{name}.png",
            f":img-alt: A figure of the notebook {heading(title)}",
            "",
            goal[0].upper() + goal[1:],
            ":::",
        ]
    )


def api() -> str:
    """The index of the API's pages. A module whose name its package gives to a function is told of on the package's page."""
    names = [module.name for module in pkgutil.walk_packages(safbage.__path__, "safbage.")]
    hidden = ("._", "safbage.cli", "safbage.datasets.")
    shown = (
        "safbage.datasets.boxes",
        "safbage.datasets.course",
    )  # not told of on the package's page
    chosen = [name for name in names if name in shown or not any(part in name for part in hidden)]
    rows = [f"   {name}" for name in chosen]
    head = [
        "# API",
        "One page for each module. Pictures are RGB `uint8` H×W×3, maps `float32` H×W in [0, 1]; a batch adds one axis in front.",
    ]
    return "\n\n".join(
        [
            *head,
            "\n".join(
                [
                    "```{eval-rst}",
                    ".. autosummary::",
                    "   :toctree: api",
                    "   :template: module.rst",
                    "",
                    *rows,
                    "```",
                ]
            ),
        ]
    )


def commands() -> str:
    """Every command's help, as Typer writes it, but for its list, whose sentences Typer cuts short."""
    line = [
        sys.executable,
        "-m",
        "typer",
        "safbage.cli",
        "utils",
        "docs",
        "--name",
        "safbage",
        "--title",
        "Commands",
    ]
    text = subprocess.run(line, check=True, capture_output=True, text=True).stdout
    whole = dict(re.findall(r"^#+ `safbage ([\w-]+)`\n\n(.*)$", text, re.MULTILINE))
    return re.sub(
        r"^\* `([\w-]+)`: .*\.\.\.$",
        lambda cut: f"* `{cut[1]}`: {whole.get(cut[1], cut[0])}",
        text,
        flags=re.MULTILINE,
    )


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]), Path(sys.argv[2]))
