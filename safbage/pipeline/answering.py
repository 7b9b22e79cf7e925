"""Who answers faces: Keras, or an engine made for answering."""

import json
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import Protocol

import numpy as np

from safbage import reweighting
from safbage.errors import EngineError, ExportError
from safbage.pipeline import deployed, quantising
from safbage.runtime import engines
from safbage.saliency.names import SHIPPED as MLNETS

logger = logging.getLogger(__name__)

ENGINES = ("auto", "keras", *engines.ENGINES)
"""What `SafBage.load` takes as its engine."""


class Answering(Protocol):
    """What answers faces; `engine` is its name."""

    engine: str

    def answer(self, crops: np.ndarray, ratio: float, size: int) -> dict[str, np.ndarray]:
        """Crops (N×224×224×3 uint8), at least one, to the outputs of `networks.network`; `size` of
        them at a time."""

    def classify(self, darkened: np.ndarray, size: int) -> dict[str, np.ndarray]:
        """Reweighted crops (N×224×224×3 float32, 0–255) to the outputs of the classifiers alone."""


class ByEngine:
    """Answers faces by an engine, from `deployed` files.

    ML-Net computes in `precision`, one of `deployed.PRECISIONS`. The classifiers, a fiftieth of the
    work, compute in float32, so that answers move only as far as a map's last digits move them.
    """

    def __init__(
        self,
        engine: str,
        saliency: str,
        network: str,
        tasks: tuple[str, ...],
        precision: str | None = None,
    ):
        self.engine = engine
        if precision != "int8":
            deployed.ensure(engine, saliency, network)  # both by one process
        self._look = deployed.open(saliency, engine, precision)
        self._classify = deployed.open(network, engine, "float32")
        names = {name for task in tasks for name in (task, f"cam_{task}")}
        self._names = names | ({"years"} if "age" in tasks else set())

    def answer(self, crops: np.ndarray, ratio: float, size: int) -> dict[str, np.ndarray]:
        def one(part):
            maps = self._look({"face": part})["map"]
            darkened = reweighting.reweight(part, maps, ratio, rounded=False)
            return {"map": maps, **self._answers(darkened)}

        return _in_batches(one, crops, size)

    def classify(self, darkened: np.ndarray, size: int) -> dict[str, np.ndarray]:
        return _in_batches(self._answers, darkened, size)

    def _answers(self, darkened):
        found = self._classify({"face": darkened})
        return {name: values for name, values in found.items() if name in self._names}


def _in_batches(function, rows, size):
    parts = [function(rows[i : i + size]) for i in range(0, len(rows), size)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def check_engine(engine: str) -> str:
    """The name itself of what may answer.

    Raises:
        ValueError: there is no such engine.
        ImportError: it is not installed; the message says how to install it.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine is one of {', '.join(ENGINES)}; got {engine!r}")
    return engines.check_engine(engine) if engine in engines.ENGINES else engine


def by_engine(
    engine: str,
    saliency: str | Path,
    network: str,
    tasks: tuple[str, ...],
    precision: str | None,
) -> ByEngine | None:
    """What answers by an engine; None where Keras is to answer.

    Args:
        engine: one of `ENGINES`. "auto" is the fastest engine that is installed. It is Keras where
            none is; where the machine has a GPU; where Keras was told to run on JAX or PyTorch;
            with a precision that only Keras has; with a file of ML-Net weights; and where the files
            cannot be made, which is then said. With the precision "int8" it is OpenVINO.
        saliency: as for `SafBage.load`.
        network: as for `SafBage.load`.
        tasks: as for `SafBage.load`.
        precision: as for `SafBage.load`.

    Raises:
        ValueError: there is no such engine, or it has no such precision.
        ImportError: it is not installed, or NNCF is not, which int8 needs.
        ExportError, EngineError, FileNotFoundError: its files cannot be made or opened; not of
            "auto".
    """
    check_engine(engine)
    if precision == "int8":
        engine = _engine_of_int8(engine)
    own = saliency not in MLNETS or precision not in (None, *engines.PRECISIONS)
    chosen = ("keras" if own else fastest()) if engine == "auto" else engine
    if chosen == "keras":
        return None
    try:
        return ByEngine(chosen, str(saliency), network, tasks, precision)
    except (ExportError, EngineError) as error:
        if engine != "auto":
            raise
        logger.warning("%s; Keras answers instead, more slowly", error)
        return None


def _engine_of_int8(engine):
    """The engine that computes in int8; errors as `by_engine`'s."""
    if engine not in ("auto", "openvino"):
        raise ValueError(f"precision int8 is OpenVINO's, not {engine}'s: leave out the engine")
    quantising.check_installed()
    return engines.check_engine("openvino")


def fastest() -> str:
    """Who answers where nobody says who."""
    if shutil.which("nvidia-smi") or keras_backend() != "tensorflow":
        return "keras"
    return engines.fastest() or "keras"


def keras_backend() -> str:
    """On what Keras runs, or would if it were imported."""
    if "keras" in sys.modules:
        return sys.modules["keras"].config.backend()
    if named := os.environ.get("KERAS_BACKEND"):
        return named
    home = os.environ.get("KERAS_HOME") or os.path.expanduser(os.path.join("~", ".keras"))
    try:
        told = json.loads(Path(home, "keras.json").read_text(encoding="utf-8"))
        return str(told.get("backend", "tensorflow"))
    except (OSError, ValueError, AttributeError):  # Keras writes the file anew then
        return "tensorflow"
