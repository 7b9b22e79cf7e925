"""What all commands share: the application, messages, tables of rows. Results go to stdout, everything else to stderr."""

import os
import sys
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated
from unicodedata import category

import typer
from rich.console import Console
from tqdm import tqdm
from typer.core import TyperGroup

SECTIONS = {
    "Answer photos": ("demo", "predict", "explore", "export"),
    "Learn": ("course", "sweep"),
    "Data sets": ("data", "prepare"),
    "Train and measure": ("train", "evaluate", "results", "reproduce", "train-saliency", "evaluate-saliency"),
    "Upkeep": ("weights", "doctor"),
}
"""The commands as ``--help`` lists them, under headings."""


class _Commands(TyperGroup):
    """The commands under headings; an error that can be expected ends in one line instead of a traceback."""

    def list_commands(self, ctx):
        return [name for names in SECTIONS.values() for name in names]

    def format_commands(self, ctx, formatter):
        wide = max(map(len, self.list_commands(ctx)))
        room = formatter.width - 6 - wide
        for heading, names in SECTIONS.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(wide), self.get_command(ctx, name).get_short_help_str(room)) for name in names])

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except _expected_errors() as error:
            raise fail(str(error)) from error
        except (ValueError, OverflowError) as error:  # of an argument, as the library raises it
            raise fail(str(error), 2) from error
        except ImportError as error:
            raise fail(f"{error}. `safbage doctor` says what is missing.") from error


def _expected_errors():
    """Imported where something has gone wrong, so that ``--help`` stays quick."""
    from safbage.errors import CheckpointError, DatasetError, ImageError, SceneError, WeightsError, WorkError

    return (WeightsError, CheckpointError, DatasetError, SceneError, ImageError, WorkError, OSError)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    context_settings={"max_content_width": 120},
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain text: it needs no frame, and reads the same in a pipe
)
messages = Console(stderr=True, highlight=False, markup=False, emoji=False)


class Shipped(StrEnum):
    """`classifiers.SHIPPED`, known before Keras is imported."""

    ALEXNET_GAP = "alexnet-gap"
    EFFICIENTNET_LITE2 = "efficientnet-lite2"


Network = Annotated[Shipped, typer.Option(help="alexnet-gap is the paper's, efficientnet-lite2 is of today.")]


def set_streams() -> None:
    """Let stdout and stderr take any text: UTF-8 into a file or pipe; on a terminal its own encoding, with escapes for the rest.

    Else a path with an é would end a command whose output goes into a file on Windows (cp1252), after all its work.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  (as long as the process lives)
        else:
            stream.reconfigure(encoding=None if stream.isatty() else "utf-8", errors="backslashreplace")


TURNING = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Unicode's bidirectional controls, with which a name can look like another."""


def visible(text: str) -> str:
    """Text as a person may be shown it: what would move a terminal's cursor or turn its writing around is escaped.

    In files and tables names stay true.
    """
    harmful = (*TURNING, "\u2028", "\u2029")
    return "".join(_escaped(c) if c in harmful or (category(c) in ("Cc", "Cs") and c not in "\n\t") else c for c in text)


def _escaped(character):
    return character.encode("unicode_escape").decode()


def say(text: str) -> None:
    """A message for the person, on stderr; above the progress bar where one is shown."""
    with tqdm.external_write_mode(file=sys.stderr):
        messages.print(visible(text), soft_wrap=True)


def fail(text: str, code: int = 1) -> typer.Exit:
    """Say what went wrong; raise the result."""
    say(f"safbage: {text.rstrip()}")  # some libraries end their messages with a line break
    return typer.Exit(code)


def stdout() -> Console:
    """Rich on stdout: as wide as the terminal, 160 columns into a file or pipe; frames in characters that stdout has."""
    width = None if sys.stdout.isatty() else 160
    return Console(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False)


def chosen_tasks(text: str) -> tuple[str, ...]:
    """The tasks that ``--tasks`` names."""
    from safbage.tasks import CLASSES

    names = tuple(filter(None, (name.strip() for name in text.split(","))))
    if not names or not set(names) <= set(CLASSES):
        raise fail(f"--tasks takes some of {', '.join(CLASSES)}, separated by commas; got {text!r}", 2)
    return names


def _show_version(wanted: bool):
    if wanted:
        print(f"safbage {version('safbage')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
):
    """Saliency-aware face analysis: apparent age, gender and expression, after SAF-BAGE (Gurnani et al. 2019)."""


def refuse_to_overwrite(path: Path, beginning: str, *, marked: bool = True) -> None:
    """End the command, before its work, where there is a file that is not its own.

    Args:
        path: what the command will write.
        beginning: of all files that it writes there.
        marked: whether what lies beside the file says that this command wrote there.
    """
    if not (path.is_file() or path.is_dir()):  # a device or a pipe takes what it is given
        return
    with open(path, encoding="utf-8", errors="replace") as file:
        own = marked and file.read(len(beginning)) == beginning
    if not own:
        raise fail(f"{path} is not of this command, and would be overwritten; choose another --output", 2)


def draw_into_files() -> None:
    """Matplotlib without windows, and without the `matplotlibrc` of the working directory, which could have it call LaTeX."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcdefaults()


def save_figure(seen, path: Path) -> None:
    """Draw an explanation into a PNG file."""
    draw_into_files()
    import matplotlib.pyplot as plt

    from safbage.show import plots

    figure = plots.explanation(seen)
    figure.savefig(path, dpi=110)
    plt.close(figure)
