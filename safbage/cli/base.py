"""What all commands share: the application, how they end, what they print.

Results go to stdout, everything else to stderr.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from tqdm import tqdm
from typer.core import TyperGroup

from safbage.errors import SafbageError
from safbage.runtime.files import visible
from safbage.tasks import CLASSES, SHIPPED

SECTIONS = {
    "Answer photos": ("demo", "predict", "explore", "live", "export"),
    "Learn": ("course", "sweep"),
    "Data sets": ("data", "prepare"),
    "Train and measure": (
        "train",
        "evaluate",
        "results",
        "reproduce",
        "train-saliency",
        "evaluate-saliency",
        "evaluate-detection",
        "evaluate-retrieval",
    ),
    "Upkeep": ("weights", "doctor"),
}
"""The commands as ``--help`` lists them, under headings."""


class _Commands(TyperGroup):
    """The commands under headings; an expected error ends in one line instead of a traceback."""

    def list_commands(self, ctx):
        return [name for names in SECTIONS.values() for name in names]

    def format_commands(self, ctx, formatter):
        wide = max(map(len, self.list_commands(ctx)))
        room = formatter.width - 6 - wide
        for heading, names in SECTIONS.items():
            commands = [(name.ljust(wide), self.get_command(ctx, name)) for name in names]
            with formatter.section(heading):
                formatter.write_dl([(name, c.get_short_help_str(room)) for name, c in commands])

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except (SafbageError, OSError) as error:
            raise fail(str(error)) from error
        except (ValueError, OverflowError) as error:  # of an argument, as the library raises it
            raise fail(str(error), 2) from error
        except ImportError as error:
            raise fail(f"{error}. `safbage doctor` says what is missing.") from error


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    context_settings={"max_content_width": 120},
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain text: it needs no frame, and reads the same in a pipe
)
messages = Console(stderr=True, highlight=False, markup=False, emoji=False)


Shipped = StrEnum("Shipped", {name.upper().replace("-", "_"): name for name in SHIPPED})
"""The networks that ship, as an option's choices."""
Network = Annotated[
    Shipped,
    typer.Option(
        help="face-mobilenet answers best, and age in years, too; alexnet-gap is the paper's."
    ),
]
MlNet = Annotated[
    str, typer.Option(help="mlnet, light (many times faster), or a file of ML-Net weights.")
]
"""The saliency network, as `safbage.saliency.load` takes it."""
Engine = Annotated[
    str,
    typer.Option(
        help="Who answers: keras, openvino, onnxruntime; auto is the fastest that is installed."
    ),
]
Computing = StrEnum(
    "Computing", {name.upper(): name for name in ("auto", "float32", "bfloat16", "int8")}
)
"""What ML-Net computes in while it answers, as an option's choices."""
MlNetPrecision = Annotated[
    Computing,
    typer.Option(
        help="What ML-Net computes in; auto is float32 or bfloat16, whichever is faster here, and "
        "int8 needs OpenVINO and NNCF."
    ),
]
Precision = Annotated[str, typer.Option(help="mixed_bfloat16 is faster where the hardware has it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes on this machine.")]
Scheduler = Annotated[
    str | None, typer.Option(help="Address of a Dask scheduler whose workers do it instead.")
]


def set_streams() -> None:
    """Let stdout and stderr take any text.

    Into a file or pipe it goes as UTF-8; on a terminal in its own encoding, with escapes for the
    rest. Otherwise a path with an é would end a command whose output goes into a file on Windows
    (cp1252), after all its work.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  (as long as the process lives)
        else:
            stream.reconfigure(
                encoding=None if stream.isatty() else "utf-8", errors="backslashreplace"
            )


def say(text: str) -> None:
    """A message for the person, on stderr; above the progress bar where one is shown."""
    with tqdm.external_write_mode(file=sys.stderr):
        messages.print(visible(text), soft_wrap=True)


def fail(text: str, code: int = 1) -> typer.Exit:
    """Say what went wrong; raise the result."""
    say(f"safbage: {text.rstrip()}")  # some libraries end their messages with a line break
    return typer.Exit(code)


@contextmanager
def wrong_arguments(*kinds: type[Exception]) -> Iterator[None]:
    """End the command with status 2 where the block raises one of these errors."""
    try:
        yield
    except kinds as error:
        raise fail(str(error), 2) from error


@contextmanager
def stoppable(how: str) -> Iterator[None]:
    """End the command with status 130 at Ctrl-C, with 2 at a `ValueError`.

    `how` completes the message "stopped; the same command goes on …".
    """
    try:
        with wrong_arguments(ValueError):
            yield
    except KeyboardInterrupt:
        say(f"stopped; the same command goes on {how}")
        raise typer.Exit(130) from None


def stdout() -> Console:
    """Rich on stdout, as wide as the terminal, or 160 columns wide into a file or pipe.

    Frames are of characters that stdout's encoding has.
    """
    width = None if sys.stdout.isatty() else 160
    return Console(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False)


def chosen_tasks(text: str) -> tuple[str, ...]:
    """The tasks that ``--tasks`` names."""
    names = tuple(filter(None, (name.strip() for name in text.split(","))))
    if not names or not set(names) <= set(CLASSES):
        known = ", ".join(CLASSES)
        raise fail(f"--tasks takes some of {known}, separated by commas; got {text!r}", 2)
    return names


def _show_version(wanted: bool):
    if wanted:
        print(f"safbage {version('safbage')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
):
    """Saliency-aware face analysis: apparent age, gender and expression, after SAF-BAGE
    (Gurnani et al. 2019).
    """


def refuse_to_overwrite(path: Path, beginning: str, *, marked: bool = True) -> None:
    """End the command, before its work, where it would overwrite a file that it did not write.

    Args:
        path: what the command will write.
        beginning: how each file that it writes there begins.
        marked: whether something beside the file says that this command wrote there.
    """
    if not (path.is_file() or path.is_dir()):  # a device or a pipe takes what it is given
        return
    with open(path, encoding="utf-8", errors="replace") as file:
        own = marked and file.read(len(beginning)) == beginning
    if not own:
        raise fail(
            f"{path} was not written by this command and would be overwritten; "
            "choose another --output",
            2,
        )


def draw_into_files() -> None:
    """Let Matplotlib draw without windows.

    The `matplotlibrc` of the working directory is not heeded: it could have LaTeX called.
    """
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
