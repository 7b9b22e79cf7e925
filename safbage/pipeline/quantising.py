"""ML-Net in int8, for OpenVINO: quantised after training by NNCF, and checked against float32.

It takes a network's file, as `deployed` keeps it, to another. Only the convolutions between the
first and the last two are quantised: pixels, the map's few channels and its division by its maximum
need more steps than 256. NNCF is imported only to make a file, not to open it.
"""

import importlib.util
import shutil
from importlib.metadata import version as version_of
from pathlib import Path

import numpy as np

from safbage import faces, images
from safbage.errors import ExportError, install_extra
from safbage.runtime import engines
from safbage.tasks import FACE_SIZE

VERSION = 1
"""The version of how a network is quantised. Raise it when anything here changes."""
IN_FLOAT = ("Divide", "ReduceMax", "Multiply", "Subtract", "Add", "MatMul", "Concat")
"""OpenVINO's operations that are not quantised."""
CALIBRATING, COMPARING = 32, 8
"""How many views activations are measured on, and on how many others the maps are compared."""
LEAST = 0.99
"""The correlation with float32's that each of those maps must reach."""


def check_installed() -> None:
    """ImportError where NNCF is not installed; the message says how to install it."""
    if importlib.util.find_spec("nncf") is None:
        raise ImportError(f"precision int8 needs NNCF: {install_extra('int8')}")


def version() -> str:
    """All that a quantised file follows from, beside the network's own."""
    return f"int8 {VERSION} nncf {version_of('nncf')}"


def views(count: int) -> np.ndarray:
    """Views to calibrate with, N×224×224×3 uint8 RGB, the same ones each time.

    Crops of the embedded photo's face, moved, mirrored, and lit and coloured differently; every
    third is a part of another picture of scikit-image's, for surfaces that no face has.
    """
    from skimage import data

    generator = np.random.default_rng(0)
    portrait, others = images.astronaut(), (data.astronaut(), data.chelsea(), data.coffee())
    found = []
    for i in range(count):
        if i % 3 < 2:
            view = _moved_face(portrait, generator)
        else:
            view = _part(others[i // 3 % len(others)], generator)
        view = _lit(view, generator)
        found.append(view[:, ::-1] if generator.random() < 0.5 else view)
    return np.stack(found)


def _moved_face(portrait, generator):
    left, top, width, height = images.ASTRONAUT_FACE
    scale, (right, down) = generator.uniform(0.7, 1.4), generator.normal(0, 0.1, 2)
    left, top = left + width * (right + (1 - scale) / 2), top + height * (down + (1 - scale) / 2)
    return faces.crop_face(portrait, (left, top, width * scale, height * scale))


def _part(photo, generator):
    height, width = photo.shape[:2]
    side = int(min(height, width) * generator.uniform(0.3, 1))
    top, left = generator.integers((height - side + 1, width - side + 1))
    return images.resize(photo[top : top + side, left : left + side], (FACE_SIZE, FACE_SIZE))


def _lit(view, generator):
    """Another contrast and brightness; one in four grey."""
    values = view.astype("float32")
    if generator.random() < 0.25:
        values = np.repeat(values.mean(axis=2, keepdims=True), 3, axis=2)
    values = (values - 128) * generator.uniform(0.6, 1.2) + 128 + generator.uniform(-50, 30)
    return values.clip(0, 255).astype("uint8")


def quantise(source: Path, target: Path) -> None:
    """Write an ML-Net's OpenVINO file anew in int8, with its ``.bin``, if its maps stay the same.

    What a killed call leaves lies in a folder aside, which the next call empties.

    Raises:
        ImportError: NNCF is not installed.
        ExportError: the maps differ; then nothing is kept.
        OSError: it cannot be written.
    """
    check_installed()
    import openvino

    pictures = views(CALIBRATING + COMPARING)
    aside = target.with_name(f".{target.name}.writing")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        made = aside / target.name
        openvino.save_model(quantised(source, pictures[COMPARING:]), made, compress_to_fp16=False)
        check(source, made, pictures[:COMPARING])
        for path in (made.with_suffix(".bin"), made):
            path.replace(target.with_name(path.name))
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def quantised(source: Path, pictures: np.ndarray):
    """The network of an OpenVINO file in int8, calibrated on N×224×224×3 pictures."""
    import nncf
    import openvino

    network = openvino.Core().read_model(source)
    convolutions = [
        operation.get_friendly_name()
        for operation in network.get_ordered_ops()
        if operation.get_type_name() == "Convolution"
    ]
    kept = nncf.IgnoredScope(
        types=list(IN_FLOAT), names=[convolutions[0], *convolutions[-2:]], validate=False
    )
    return nncf.quantize(
        network,
        nncf.Dataset([{"face": picture[None]} for picture in pictures]),
        preset=nncf.QuantizationPreset.MIXED,  # weights symmetric, activations not
        subset_size=len(pictures),
        ignored_scope=kept,
    )


def check(source: Path, made: Path, pictures: np.ndarray) -> None:
    """Compare the maps of a network's two files; ExportError where they differ."""
    from safbage.saliency import metrics  # brings pandas, which opening a file does not need

    exact, reduced = (engines.open(path, "openvino") for path in (source, made))
    for picture in pictures:
        one, other = (run({"face": picture[None]})["map"][0] for run in (exact, reduced))
        found = metrics.cc(other, one)
        if not found >= LEAST:
            raise ExportError(
                f"{made.name} in int8 looks elsewhere than in float32: its maps correlate by "
                f"{found:.3f}, and {LEAST} is asked for. It is not kept; take another precision."
            )
