"""The network after detection for other programs, checked against ours: as a TensorFlow SavedModel,
ONNX, OpenVINO or LiteRT.

Whatever the format, the network takes two named inputs and gives these named outputs, for any
number N of faces (LiteRT: one):

    face          N×224×224×3 uint8     RGB, cropped as by `faces.crop_face`
    ratio         N×1 float32           how strongly saliency reweights, 0–1; 0.3 as in the paper
    map           N×28×28 float32       ML-Net's saliency, 0–1
    age, …        N×C float32           probabilities for every task, as in `tasks.CLASSES`
    cam_age, …    N×h×w×C float32       raw class activation maps for every task
    years         N×101 float32         with age, by a network that answers it in years: the
                                        probability of each year from 0 to 100
"""

import importlib.util
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from safbage import faces, images, reweighting
from safbage.errors import ExportError, install_extra
from safbage.runtime import engines
from safbage.runtime.backend import keras, tensorflow
from safbage.runtime.work import locked


@dataclass(frozen=True)
class Format:
    """A format: Keras's name for it, the file's suffix, the packages that write and run it, and how
    to run it.

    `open` takes the file's path and gives a function from inputs by name to outputs by name.
    `count` is how many faces the network takes, None for any number; `beside` has the suffixes of
    further files.
    """

    name: str
    suffix: str
    needs: tuple[str, ...]
    open: Callable[[str], Callable[[dict], dict]]
    count: int | None = None
    beside: tuple[str, ...] = ()


def _saved_model(path):
    loaded = tensorflow().saved_model.load(path)
    return lambda inputs: loaded.serve(
        {name: tensorflow().constant(value) for name, value in inputs.items()}
    )


def _onnx(path):
    return engines.open(path, "onnxruntime")


def _openvino(path):
    return engines.open(path, "openvino")


def _litert(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path)
    return lambda inputs: interpreter.get_signature_runner()(**inputs)


FORMATS = {
    "saved-model": Format("tf_saved_model", "", ("tensorflow",), _saved_model),
    "onnx": Format("onnx", ".onnx", ("tf2onnx", "onnxruntime"), _onnx),
    "openvino": Format("openvino", ".xml", ("openvino",), _openvino, beside=(".bin",)),
    "litert": Format("litert", ".tflite", ("ai_edge_litert",), _litert, 1),
}
TOLERANCE = 1e-3
"""How far an exported network's maps and probabilities may lie from ours; CAMs, as a share of their
largest value."""


def export(network: keras.Model, format: str, path: str | Path) -> Path:
    """Write a network of `networks.network`, or a part of it, and check that what was written
    answers the embedded photo's face as it does.

    Args:
        network: in float32.
        format: a key of `FORMATS`.
        path: a file, or for "saved-model" a folder; its suffix is added where it lacks. OpenVINO
            writes a ``.bin`` beside. Nothing stands there before all is written and checked; what a
            killed run left aside, the next call deletes.

    Returns:
        The path.

    Raises:
        ValueError: no such format.
        ImportError: a package that the format needs is missing; the message says how to get it.
        FileExistsError: there is something at that path.
        ExportError: the answers differ, or it could not be written.
        WorkError: another process is writing it.
    """
    if format not in FORMATS:
        raise ValueError(f"format is one of {', '.join(FORMATS)}; got {format!r}")
    kind, path = FORMATS[format], Path(path)
    lacking = [name for name in kind.needs if importlib.util.find_spec(name) is None]
    if lacking:
        raise ImportError(f"{format} needs {' and '.join(lacking)}: {install_extra('export')}")
    path = path if path.suffix == kind.suffix else path.with_name(path.name + kind.suffix)
    for target in (path, *map(path.with_suffix, kind.beside)):
        if os.path.lexists(target):
            raise FileExistsError(f"{target} exists; name another file, or delete it")
    aside = path.with_name(f".{path.name}.writing")
    with locked(aside):
        try:
            _write_whole(network, kind, path, aside / "network")
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return path


def _write_whole(network, kind, path, aside):
    """Write into the folder `aside`, check it there, and move it: nothing stands at the path, or
    all that belongs to it."""
    shutil.rmtree(aside, ignore_errors=True)  # of a killed run
    aside.mkdir()
    inputs = {
        name: keras.InputSpec(shape=(kind.count, *x.shape[1:]), dtype=x.dtype, name=name)
        for name, x in network.input.items()
    }
    try:
        with engines.unreported():
            network.export(
                str(aside / path.name), format=kind.name, verbose=False, input_signature=[inputs]
            )
        check(network, kind.open(str(aside / path.name)), path)
        last = path.name  # the others must be there when it appears
        for part in sorted(aside.iterdir(), key=lambda part: part.name == last):
            part.rename(path.with_name(part.name))
    except tensorflow().errors.OpError as error:
        raise ExportError(f"{path} could not be written: {error.message}") from error


def check(network: keras.Model, exported: Callable[[dict], dict], path: Path) -> None:
    """Compare both networks' answers to the embedded photo's face; ExportError where they
    differ."""
    crops = faces.crop_face(images.astronaut(), images.ASTRONAUT_FACE)[None]
    known = {"face": crops, "ratio": np.full((1, 1), reweighting.RATIO)}
    inputs = {name: known[name].astype(x.dtype) for name, x in network.input.items()}
    expected, found = network.predict_on_batch(inputs), exported(inputs)
    for name, values in expected.items():
        if name not in found:
            raise ExportError(f"{path} has no output {name}; it has {', '.join(found)}")
        difference = np.abs(np.asarray(found[name]) - values).max() / max(1, np.abs(values).max())
        if not difference <= TOLERANCE:
            raise ExportError(
                f"{path} answers otherwise: its {name} differs by {difference:.2g}. It is not kept."
            )
