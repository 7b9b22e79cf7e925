"""A notebook of a few cells as a page of this machine's own, until Ctrl-C."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path


def write_page(
    path: Path,
    cells: Sequence[str],
    *,
    title: str,
    above: str,
    below: str,
    steps: Sequence[str],
    largest_message: int,
) -> None:
    """Write the page as a notebook.

    Args:
        path: the notebook's file.
        cells: its code. Every page runs it in the same kernel, so that what is made should be made
            once; the last cell's value is what the page shows.
        title: the page's title.
        above: Markdown above what is shown.
        below: Markdown below it.
        steps: what the page says that is done next: before the kernel runs, and after each of the
            first cells.
        largest_message: bytes that the page may send at once.
    """
    import nbformat

    made = [nbformat.v4.new_code_cell(cell) for cell in cells]
    made = [
        nbformat.v4.new_markdown_cell(above),
        *made,
        nbformat.v4.new_markdown_cell(below),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "title": title, "steps": list(steps)}
    metadata["largest_message"] = largest_message
    nbformat.write(nbformat.v4.new_notebook(cells=made, metadata=metadata), path)


def serve(
    cells: Sequence[str],
    *,
    called: str,
    title: str,
    largest_message: int,
    browser: bool,
    port: int,
    ip: str = "localhost",
    **page,
) -> None:
    """Serve code as a page by Voilà until Ctrl-C.

    Args:
        cells: as of `write_page`; the kernel runs them while the browser opens.
        called: how the page is called when its address is said: "the explorer".
        title: the page's title.
        largest_message: bytes that the page may send at once.
        browser: whether to open it.
        port: where to listen; the next free one where it is taken.
        ip: the address to listen on.
        page: the other options of `write_page`.

    Raises:
        ImportError: Voilà is not installed.
    """
    from safbage.runtime.kernels import own_kernel

    here = str(Path(__file__).parent)  # holds voila/templates/safbage
    os.environ["JUPYTER_PATH"] = os.pathsep.join(
        filter(None, [here, os.environ.get("JUPYTER_PATH")])
    )
    own_kernel()
    from safbage.cli.page import Page

    named = dict(title=title, largest_message=largest_message)
    with tempfile.TemporaryDirectory(prefix="safbage-page-") as folder:
        notebook = Path(folder) / "page.ipynb"
        write_page(notebook, cells, **named, **page)
        reach = dict(browser=browser, port=port, ip=ip)
        server = Page(notebook.parent, called=called, ahead=cells, **named, **reach)
        server.initialize([str(notebook), "--template=safbage", "--show_tracebacks=True"])
        server.start()
