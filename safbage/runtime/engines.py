"""Engines made for answering: OpenVINO and ONNX Runtime run networks that were written to files.

Nothing here imports TensorFlow or Keras, and an engine is imported only when a file is opened.
"""

import importlib.util
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version as version_of
from pathlib import Path

import numpy as np

from safbage.errors import EngineError
from safbage.runtime.process import check_process, cores

Run = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]
"""An opened network: from inputs by name to outputs by name. Any thread may call it."""
ENGINES = ("openvino", "onnxruntime")
"""The engines by the names of their packages, the fastest first (see docs/library.md)."""
PRECISIONS = {"float32": "f32", "bfloat16": "bf16"}
"""What convolutions and products may compute in, and OpenVINO's name for it."""


def installed() -> tuple[str, ...]:
    """The engines that are installed, the fastest first."""
    return tuple(name for name in ENGINES if importlib.util.find_spec(name) is not None)


def fastest() -> str | None:
    """The fastest engine that is installed; None where there is none."""
    return next(iter(installed()), None)


def check_engine(engine: str) -> str:
    """The name of an engine that is installed.

    Raises:
        ValueError: there is no such engine.
        ImportError: it is not installed; the message says how to install it.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine is one of {', '.join(ENGINES)}; got {engine!r}")
    if engine not in installed():
        raise ImportError(f"the engine {engine} is not installed: pip install {engine}")
    return engine


def version(engine: str) -> str:
    """The version of an installed engine, such as "2026.4.1"."""
    return version_of(check_engine(engine))


@contextmanager
def unreported() -> Iterator[None]:
    """Within, OpenVINO's converter and NNCF do not report to their makers that they were used.

    By default they send that over the network. Continuous integration is spared, so they are told
    that this is one.
    """
    before = os.environ.get("CI")
    os.environ["CI"] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ["CI"]
        else:
            os.environ["CI"] = before


def open(
    path: str | Path,
    engine: str,
    *,
    precision: str | None = "float32",
    threads: int | None = None,
) -> Run:
    """Open a network's file.

    Args:
        path: an ``.onnx`` file, which both engines take; or OpenVINO's ``.xml``, with its ``.bin``
            beside it.
        engine: one of `ENGINES`.
        precision: what convolutions and products are computed in: "float32"; "bfloat16", which
            OpenVINO alone has; None for the fastest that the engine has on this processor.
        threads: how many compute; by default one for each core that this process may use.

    Returns:
        A function that any thread may call, with inputs of any number of rows that the file allows.
        Its outputs are its caller's own.

    Raises:
        ValueError: an unknown engine or precision, or one that the engine lacks.
        ImportError: the engine is not installed.
        FileNotFoundError: there is no such file.
        EngineError: the engine cannot read the file.
        RuntimeError: in a forked process, see `process.check_process`.
    """
    check_process()
    check_engine(engine)
    known = ("float32",) if engine == "onnxruntime" else tuple(PRECISIONS)
    if precision not in (None, *known):
        raise ValueError(f"precision with {engine} is {' or '.join(known)}; got {precision!r}")
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    opening = _open_openvino if engine == "openvino" else _open_onnx
    try:
        return opening(str(path), precision, threads or cores())
    except Exception as error:  # ONNX Runtime's errors have no base of their own
        raise EngineError(
            f"{engine} cannot open {path}: it is damaged or no network ({_last_line(error)})"
        ) from error


def _last_line(error):
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]


def _open_openvino(path, precision, threads):
    import openvino

    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
    if precision:
        options["INFERENCE_PRECISION_HINT"] = PRECISIONS[precision]
    network = openvino.Core().compile_model(path, "CPU", options)
    names = [_plainest(port.get_names()) for port in network.outputs]
    own = threading.local()  # one request answers one thread at a time

    def run(inputs):
        check_process()
        if not hasattr(own, "request"):
            own.request = network.create_infer_request()
        found = own.request.infer(inputs)
        return {name: found[i] for i, name in enumerate(names)}

    return run


def _plainest(names):
    """An output's name, where the operation that computes it has lent its own, too."""
    return min(names, key=lambda name: ("/" in name or ":" in name, name))


def _open_onnx(path, precision, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(inputs):
        check_process()
        return dict(zip(names, session.run(names, inputs), strict=True))

    return run
