"""``safbage explore``: the ratio explorer as a page of this machine's own, for those who want no
notebook."""

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from safbage.cli.base import Engine, Network, Shipped, app, say, wrong_arguments
from safbage.tasks import RATIO

TITLE = """# The ratio explorer

Turn the dial: the face is darkened where nobody looks, and the answers follow. At 0 % the network \
sees the face as it is, at 100 % only what draws the eye. The networks learnt at 30 %; what they \
answer elsewhere shows what they lean on.
"""
CARE = """All stays on this machine. Age, gender and expression are apparent ones, as annotators \
judged pictures, and often wrong: use them to decide nothing about anyone."""
STEPS = [
    "Starting Python …",
    "Loading the library, at the first page only …",
    "Loading the networks …",
    "Finding the face, where people look at it, and what the networks answer …",
]
"""What the page says that is done next: before the kernel runs, and after each of the first
cells."""
LARGEST_MESSAGE = 200 * 2**20
"""Bytes from the page, of an upload above all; at Tornado's own 10 MiB a large photo would cut the
connection."""
NEARBY = ("localhost", "127.0.0.1", "::1")


@app.command()
def explore(
    photo: Annotated[
        Path | None, typer.Argument(help="A photo to begin with; otherwise the embedded one.")
    ] = None,
    prepared: Annotated[
        Path | None,
        typer.Option(help="Offer the faces of a folder that `safbage prepare` filled, too."),
    ] = None,
    ratio: Annotated[float, typer.Option(min=0, max=1, help="Ratio to begin with.")] = RATIO,
    network: Network = Shipped.FACE_MOBILENET,
    engine: Engine = "auto",
    save_to: Annotated[Path, typer.Option(help="Folder for saved views.")] = Path("views"),
    port: Annotated[
        int, typer.Option(help="Port of the page; the next free one where it is taken.")
    ] = 8866,
    host: Annotated[
        str,
        typer.Option(help="Address to listen on. By default only this machine can open the page."),
    ] = "localhost",
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open it in the browser.")
    ] = True,
):
    """Open the ratio explorer in the browser. Ctrl-C ends it.

    The page's address holds a token, another one each time: without it, nobody else on this machine
    can open it either. All tabs show the same explorer: one that is loaded again goes on where it
    was. Half a minute after the last was closed, its memory is free.
    """
    from safbage import images
    from safbage.pipeline.answering import check_engine

    with wrong_arguments(ImportError):
        check_engine(engine)
    if photo is not None:
        images.read(photo)  # a wrong path is told here, not on the page
    if prepared is not None:
        from safbage.datasets.shards import Prepared

        Prepared(prepared)
    if host not in NEARBY:
        say(
            f"At {host}, others in the network can reach the page, unencrypted; "
            "who learns its address sees the photos, too."
        )
    say("Starting …")
    with tempfile.TemporaryDirectory(prefix="safbage-explore-") as folder:
        page = Path(folder) / "explore.ipynb"
        named = dict(network=network.value, engine=engine)
        write_page(page, photo, prepared=prepared, ratio=ratio, save_to=save_to, **named)
        _serve(page, port, host, browser)


def write_page(
    path: Path,
    photo: Path | None,
    *,
    prepared: Path | None,
    ratio: float,
    network: str,
    save_to: Path,
    engine: str = "auto",
) -> None:
    """The page as a notebook: a title, the explorer, a word of care. Paths in it are whole ones.

    Every page runs it in the same kernel, so that model and explorer are made once.
    """
    import nbformat

    whole = {
        name: str(value.resolve())
        for name, value in dict(prepared=prepared, save_to=save_to).items()
        if value is not None
    }
    options = [repr(str(photo.resolve()))] if photo is not None else []
    options += [f"prepared=Prepared({whole['prepared']!r})"] if prepared is not None else []
    options += [f"save_to={whole['save_to']!r}"]
    lines = ["from safbage import SafBage; from safbage.show import widgets"]
    lines += ["from safbage.datasets.shards import Prepared"] * (prepared is not None)
    load = f"model = SafBage.load(ratio={ratio}, network={network!r}, engine={engine!r})"
    make = f"explorer = widgets.ratio_explorer(model, {', '.join(options)})"
    cells = [
        nbformat.v4.new_markdown_cell(TITLE),
        nbformat.v4.new_code_cell("\n".join(lines)),
        nbformat.v4.new_code_cell(f'if "model" not in globals():\n    {load}'),
        nbformat.v4.new_code_cell(f'if "explorer" not in globals():\n    {make}\nexplorer'),
        nbformat.v4.new_markdown_cell(CARE),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {
        "kernelspec": kernel,
        "title": "The ratio explorer",
        "steps": STEPS,
        "largest_message": LARGEST_MESSAGE,
    }
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)


def _serve(notebook, port, host, browser):
    """Run Voilà until Ctrl-C."""
    from safbage.runtime.kernels import own_kernel

    here = str(Path(__file__).parent)  # holds voila/templates/safbage
    os.environ["JUPYTER_PATH"] = os.pathsep.join(
        filter(None, [here, os.environ.get("JUPYTER_PATH")])
    )
    own_kernel()
    from safbage.cli.page import Page

    server = Page(
        notebook.parent, browser=browser, largest_message=LARGEST_MESSAGE, port=port, ip=host
    )
    server.initialize([str(notebook), "--template=safbage", "--show_tracebacks=True"])
    server.start()
