"""The command ``safbage``, a module per group of commands; `base.SECTIONS` lists them."""

import os

from safbage.cli import (  # noqa: F401  (each adds its commands to the application)
    course,
    data,
    demo,
    detection,
    explore,
    export,
    live,
    predict,
    prepare,
    reproduce,
    retrieval,
    saliency,
    sweep,
    train,
    upkeep,
)
from safbage.cli.base import app, set_streams


def main() -> None:
    """Entry point of the command ``safbage``."""
    # No Python that a command starts imports what lies in the working directory.
    os.environ["PYTHONSAFEPATH"] = "1"
    set_streams()
    app(prog_name="safbage")
