"""The command ``safbage``; a module per group of commands, in the order that ``--help`` lists them."""

import os
import sys

from safbage.cli import (  # noqa: F401  (each adds its commands to the application)
    course,
    data,
    demo,
    explore,
    export,
    predict,
    prepare,
    reproduce,
    saliency,
    sweep,
    training,
    upkeep,
)
from safbage.cli.base import app, say


def main() -> None:
    """Entry point: expected failures end in one clear message instead of a traceback."""
    os.environ["PYTHONSAFEPATH"] = "1"  # no Python that a command starts imports what lies in the working directory
    from safbage.checkpoints import CheckpointError
    from safbage.datasets import DatasetError
    from safbage.fixations import SceneError
    from safbage.images import ImageError
    from safbage.weights import WeightsError
    from safbage.work import WorkError

    try:
        app()
    except (WeightsError, CheckpointError, DatasetError, SceneError, ImageError, WorkError, OSError) as error:
        say(f"safbage: {error}")
        sys.exit(1)
    except ImportError as error:
        say(f"safbage: {error}. `safbage doctor` says what is missing.")
        sys.exit(1)
