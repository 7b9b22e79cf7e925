"""``safbage explore``: the ratio explorer as a page of this machine's own, for those who want no
notebook."""

from pathlib import Path
from typing import Annotated

import typer

from safbage.cli.base import Engine, Network, Shipped, app, say, wrong_arguments
from safbage.cli.serving import serve
from safbage.tasks import RATIO

TITLE = "The ratio explorer"
ABOVE = f"""# {TITLE}

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
    named = dict(ratio=ratio, network=network.value, engine=engine)
    serve(
        code(photo, prepared=prepared, save_to=save_to, **named),
        called="the explorer",
        title=TITLE,
        above=ABOVE,
        below=CARE,
        steps=STEPS,
        largest_message=LARGEST_MESSAGE,
        browser=browser,
        port=port,
        ip=host,
    )


def code(
    photo: Path | None,
    *,
    prepared: Path | None,
    save_to: Path,
    ratio: float,
    network: str,
    engine: str,
) -> list[str]:
    """The cells behind the page. What they make is made once for all pages of a kernel.

    Paths in it are whole ones.
    """
    options = [] if photo is None else [repr(str(photo.resolve()))]
    lines = ["from safbage import SafBage; from safbage.show import widgets"]
    if prepared is not None:
        lines += ["from safbage.datasets.shards import Prepared"]
        options += [f"prepared=Prepared({str(prepared.resolve())!r})"]
    options += [f"save_to={str(save_to.resolve())!r}"]
    load = f"SafBage.load(ratio={ratio}, network={network!r}, engine={engine!r})"
    make = f"widgets.ratio_explorer(model, {', '.join(options)})"
    return [
        "\n".join(lines),
        f'if "model" not in globals():\n    model = {load}',
        f'if "explorer" not in globals():\n    explorer = {make}\nexplorer',
    ]
