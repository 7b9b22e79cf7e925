"""Sphinx's settings for the book. `book_pages.py` lays out what it reads; `make book` runs both."""

import re

from docutils.nodes import SkipNode
from latex2mathml.converter import convert

from safbage import __version__

project = "safbage"
author = "The safbage authors"
release = __version__
language = "en"

extensions = [
    "myst_nb",  # Markdown, and notebooks with the outputs they have
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",  # cards
]
templates_path = ["templates"]
root_doc = "index"

nb_render_markdown_format = "myst"  # tables, too
nb_execution_mode = "off"
nb_ipywidgets_js = {}  # from a CDN; book_pages puts a note where a widget was
myst_enable_extensions = ["colon_fence", "dollarmath"]
html_math_renderer = "mathml"  # browsers set it themselves; MathJax would come from a CDN
myst_heading_anchors = 4

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # a dataclass has its fields described once
default_role = (
    "py:obj"  # `name` in a docstring links where safbage has the name, and is code where it has not
)

nitpicky = True
nitpick_ignore_regex = [
    ("py:obj", ".*"),
    ("py:.*", r"(?!safbage\.).*"),  # other libraries' pages are not at hand
]

html_theme = "furo"
html_title = "safbage"
html_static_path = ["static"]
html_css_files = ["book.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {"top_of_page_buttons": []}


COLON = "\ue000"
"""Stands for a colon of prose where napoleon would take what precedes it for a type."""


def markdown_to_rst(app, what, name, obj, options, lines):
    """Bring tables, indented code and `<…>`, which the docstrings hold as Markdown has them, to reStructuredText's."""
    if what == "module":
        lines[:] = obj.__doc__.splitlines()  # autodoc would dedent a docstring that ends in code
    found, before, section = [], "", ""
    for line in lines:
        line = re.sub(r"(?<!`)`([^`]*<[^`]*)`(?!`)", r"``\1``", line)
        if line and not line.startswith(" "):
            section = line
        if what in ("attribute", "data", "property") or (section == "Returns:" != line):
            line = line.replace(":", COLON)
        row = [cell.strip() for cell in line.strip("| ").split("|")]
        if line.startswith("|---"):
            continue
        if line.startswith("|"):
            if not before.startswith("|"):
                found += [".. list-table::", "   :header-rows: 1", ""]
            found += [f"   {'  -' if number else '* -'} {cell}" for number, cell in enumerate(row)]
        else:
            begins = (
                line.startswith("    ")
                and found
                and not found[-1]
                and not before.startswith("    ")
            )
            found += ["::", "", line] if begins else [line]
        before = line or before
    lines[:] = found


def colons_back(app, what, name, obj, options, lines):
    lines[:] = [line.replace(COLON, ":") for line in lines]


def inline_formula(writer, node):
    writer.body.append(convert(node.astext()))
    raise SkipNode


def formula(writer, node):
    writer.body.append(f'<div class="formula">{convert(node.astext(), display="block")}</div>\n')
    raise SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (inline_formula, None), (formula, None))
    app.connect("autodoc-process-docstring", markdown_to_rst, priority=400)  # napoleon has 500
    app.connect("autodoc-process-docstring", colons_back, priority=600)
