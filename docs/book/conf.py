"""Sphinx's settings for the book. `book_pages.py` lays out what it reads; `make book` runs both."""

from safbage import __version__

project = "safbage"
author = "The safbage contributors"
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

nb_execution_mode = "off"
nb_ipywidgets_js = {}  # from a CDN; book_pages puts a note where a widget was
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # a dataclass has its fields described once
default_role = "py:obj"  # `name` in a docstring links where safbage has the name, and is code where it has not

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
html_theme_options = {"top_of_page_buttons": []}


def markdown_to_rst(app, what, name, obj, options, lines):
    """Bring tables and indented code, which the docstrings hold as Markdown has them, to reStructuredText's."""
    if what == "module":
        lines[:] = obj.__doc__.splitlines()  # autodoc would dedent a docstring that ends in code
    found, before = [], ""
    for line in lines:
        row = [cell.strip() for cell in line.strip("| ").split("|")]
        if line.startswith("|---"):
            continue
        if line.startswith("|"):
            if not before.startswith("|"):
                found += [".. list-table::", "   :header-rows: 1", ""]
            found += [f"   {'  -' if number else '* -'} {cell}" for number, cell in enumerate(row)]
        else:
            begins = line.startswith("    ") and found and not found[-1] and not before.startswith("    ")
            found += ["::", "", line] if begins else [line]
        before = line or before
    lines[:] = found


def setup(app):
    app.connect("autodoc-process-docstring", markdown_to_rst, priority=400)  # before napoleon
