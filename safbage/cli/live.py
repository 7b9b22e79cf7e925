"""``safbage live``: one's own face by the webcam, as a page of this machine's own."""

from pathlib import Path
from typing import Annotated

import typer

from safbage.cli.base import MlNet, Network, Shipped, app, say
from safbage.cli.serving import serve
from safbage.tasks import RATIO

SHIPPED = ("mlnet", "light")
"""The saliency networks that ship, by name."""
TITLE = "Your face, live"
ABOVE = f"""# {TITLE}

Start the camera. Your face is boxed and answered as it moves; the answers are those of the last \
second. Lay over it where people would look, what the network then sees, or what speaks for a \
class, and turn the dial.
"""
CARE = """For looking at your own face. Small pictures go from the browser to the Python on the \
machine that runs this command, and nowhere else; none is kept. Others who come into view are \
passed over; with `--max-faces` they are answered, too, so tell them. Age, gender and expression \
are apparent ones, as annotators judged pictures, and often wrong: use them to decide nothing \
about anyone."""
STEPS = [
    "Starting Python …",
    "Loading the library, at the first page only …",
    "Loading the networks …",
    "Setting up the page …",
]
"""What the page says that is done next: before the kernel runs, and after each of the first
cells."""
LARGEST_MESSAGE = 4 * 2**20
"""Bytes from the page; its frames have some 60,000."""


@app.command()
def live(
    ratio: Annotated[float, typer.Option(min=0, max=1, help="Ratio to begin with.")] = RATIO,
    network: Network = Shipped.FACE_MOBILENET,
    saliency: MlNet = "light",
    max_faces: Annotated[
        int, typer.Option(min=1, help="Answer so many faces, the largest; pass over the others.")
    ] = 1,
    port: Annotated[
        int, typer.Option(help="Port of the page; the next free one where it is taken.")
    ] = 8867,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open it in the browser.")
    ] = True,
):
    """Look at your own face by the webcam, in the browser. Ctrl-C ends it.

    Nothing is recorded, and nothing leaves this machine. Only this machine can open the page, by an
    address that holds a token, another one each time: browsers give no camera to pages from
    elsewhere without https. Half a minute after the last tab was closed, its memory is free.
    """
    if saliency not in SHIPPED and not Path(saliency).is_file():
        raise FileNotFoundError(f"no such file: {saliency}")  # told here, not on the page
    say("Starting …")
    serve(
        code(ratio=ratio, network=network.value, saliency=saliency, max_faces=max_faces),
        called="the camera's page",
        title=TITLE,
        above=ABOVE,
        below=CARE,
        steps=STEPS,
        largest_message=LARGEST_MESSAGE,
        browser=browser,
        port=port,
    )


def code(*, ratio: float, network: str, saliency: str, max_faces: int) -> list[str]:
    """The cells behind the page. What they make is made once for all pages of a kernel."""
    if saliency not in SHIPPED:
        saliency = str(Path(saliency).resolve())
    load = f"SafBage.load(ratio={ratio}, network={network!r}, saliency={saliency!r})"
    make = f"widgets.live(model, max_faces={max_faces})"
    return [
        "from safbage import SafBage; from safbage.show import widgets",
        f'if "model" not in globals():\n    model = {load}',
        f'if "camera" not in globals():\n    camera = {make}\ncamera',
    ]
