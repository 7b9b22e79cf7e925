"""What a training keeps after every epoch, to go on from there."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from safbage.runtime.files import damaged, read_json, write_text, write_whole


class EpochLog:
    """One line per epoch, and the weights of the last and of the best one, by `score(line)`.

    Training goes on after the last.

    Raises:
        WorkError: ``log.json`` or weights that it promises are damaged, or nothing more can be
            written.
    """

    def __init__(self, folder: Path, score: Callable[[dict], float]):
        self.folder, self.score, self.path = folder, score, folder / "log.json"
        self.rows = read_json(self.path, list) if self.path.exists() else []
        try:
            np.array([score(row) for row in self.rows], "float64")
        except (KeyError, TypeError, ValueError) as error:
            raise damaged(self.path, f"no line per epoch: {error}") from error

    @property
    def best(self) -> int:
        """The epoch (from 1) of the largest score; 0 before the first."""
        return 1 + int(np.argmax([self.score(row) for row in self.rows])) if self.rows else 0

    def weights_path(self, epoch: int) -> Path:
        return self.folder / f"epoch-{epoch}.weights.h5"

    def resume(self, model) -> None:
        """Load the last whole epoch, with the optimizer's state."""
        if self.rows:
            self.load(model, len(self.rows))

    def load(self, model, epoch: int) -> None:
        """Load the weights of an epoch that was kept."""
        path = self.weights_path(epoch)
        try:
            model.load_weights(path)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise damaged(path, error) from error

    def add(self, model, row: dict) -> None:
        """Keep an epoch, and drop older ones; its weights first, so that each line has its own."""
        write_whole(
            self.weights_path(len(self.rows) + 1), lambda aside: _save_weights(model, aside)
        )
        self.rows.append(row)
        write_text(self.path, json.dumps(self.rows))
        for epoch in range(1, len(self.rows)):
            if epoch != self.best:
                self.weights_path(epoch).unlink(missing_ok=True)


def _save_weights(model, path):
    try:
        model.save_weights(path)
    except (OSError, RuntimeError) as error:
        # HDF5 tells of a full disk in many lines, or of a file that cannot be closed.
        code = getattr(error, "errno", None)
        reason = (code, os.strerror(code)) if code else str(error).splitlines()[:1]
        raise OSError(*reason) from error
