"""What all commands share: the application, messages, tables of rows. Results go to stdout, everything else to stderr."""

import unicodedata
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(
    no_args_is_help=True,
    context_settings={"max_content_width": 120},
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
messages = Console(stderr=True, highlight=False)


class Shipped(StrEnum):
    """`classifiers.SHIPPED`, known before Keras is imported."""

    ALEXNET_GAP = "alexnet-gap"
    EFFICIENTNET_LITE2 = "efficientnet-lite2"


Network = Annotated[Shipped, typer.Option(help="alexnet-gap is the paper's, efficientnet-lite2 is of today.")]


def say(text: str) -> None:
    """A message for the person, on stderr."""
    messages.print(visible(text), markup=False, soft_wrap=True)


def visible(text: str) -> str:
    """Text for a terminal: control characters are escaped, and those that turn the reading direction, with which a name can
    look like another. In files and tables names stay true."""
    return "".join(
        _escaped(c) if c in TURNING or (unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t") else c for c in text
    )


def _escaped(character):
    return character.encode("unicode_escape").decode()


TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Unicode's bidirectional controls."""


def fail(text: str, code: int = 1) -> typer.Exit:
    """Say what went wrong; raise the result."""
    say(f"safbage: {text}")
    return typer.Exit(code)


@app.callback()
def _options():
    """Saliency-aware face analysis: apparent age, gender and expression, after SAF-BAGE (Gurnani et al. 2019)."""


def save_figure(seen, path: Path) -> None:
    """Draw an explanation into a PNG file."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from safbage import plots

    figure = plots.explanation(seen)
    figure.savefig(path, dpi=110)
    plt.close(figure)
