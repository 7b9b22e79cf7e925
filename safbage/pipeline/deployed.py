"""The networks in files that an engine answers from: made once by Keras, checked against it, kept.

They lie beside the fetched weights, in ``deployed/`` of `weights.home()`. A file's name holds a
hash of all that it follows from: the weights, the versions of safbage and of the engine, and
`VERSION`. So an update makes new ones. They are made by a process of their own, so that this one
stays small and imports no TensorFlow. Damaged files are made again.

There is a file for each ML-Net and one for each network that answers. The reweighting between the
two is `reweighting.reweight`, with NumPy.
"""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import safbage
from safbage.errors import ExportError, SafbageError
from safbage.runtime import engines, weights
from safbage.runtime.files import fingerprint, printable, read_json, sha256, write_text
from safbage.runtime.work import locked
from safbage.saliency.names import SHIPPED as MLNETS
from safbage.tasks import CLASSES
from safbage.tasks import SHIPPED as CLASSIFIERS

logger = logging.getLogger(__name__)

VERSION = 1
"""The version of what the files hold. Raise it when `networks.looking` or `answering` changes."""
FORMATS = {"openvino": ("openvino", ".xml"), "onnxruntime": ("onnx", ".onnx")}
"""By engine the format of `export.FORMATS` that it opens, and its suffix."""
USUAL = (*MLNETS, *CLASSIFIERS)
"""What the set-up makes; what one has trained oneself is made when it is first asked for."""


def folder() -> Path:
    """Where the files lie."""
    return weights.home() / "deployed"


def path_of(part: str, engine: str) -> Path:
    """Where a network's file lies, or will.

    Args:
        part: a shipped ML-Net ("mlnet", "light"), a shipped classifier, or a file of ML-Net
            weights.
        engine: one of `engines.ENGINES`, installed.

    Raises:
        FileNotFoundError: `part` is a file that is not there.
    """
    own = part not in (*MLNETS, *CLASSIFIERS)
    sources = [sha256(part)] if own else []
    sources += [f"{name} {digest}" for name, digest in weights.shipped_hashes().items()]
    sources += [f"{name} {weights.REGISTRY[name].digest}" for name in weights.TRUNKS]
    versions = [safbage.__version__, engine, engines.version(engine), str(VERSION)]
    key = fingerprint("\n".join([*sources, *versions]), digits=12)
    return folder() / f"{'own-mlnet' if own else part}-{key}{FORMATS[engine][1]}"


def is_whole(path: Path) -> bool:
    """Whether a network's file is there, with what belongs to it, as it was made."""
    try:
        made = read_json(_sums(path), dict)
        return all(sha256(path.with_name(name)) == digest for name, digest in made.items())
    except (OSError, SafbageError):
        return False


def _sums(path):
    return path.with_name(f"{path.name}.json")


def missing(engine: str, *parts: str) -> list[str]:
    """Those of some networks whose files are not there, or damaged; arguments and errors as for
    `path_of`."""
    return [part for part in parts if not is_whole(path_of(part, engine))]


def ensure(engine: str, *parts: str) -> None:
    """Make the files of these networks that are not there, or damaged.

    Args:
        engine: one of `engines.ENGINES`.
        parts: as for `path_of`.

    Raises:
        ImportError: the engine is not installed.
        FileNotFoundError: a part is a file that is not there.
        ExportError: they could not be made; the message says why, as where the cache cannot be
            written.
    """
    absent = missing(engine, *parts)
    if not absent:
        return
    names = ", ".join(map(printable, absent))
    logger.warning("preparing %s for %s, once; this takes half a minute or so …", names, engine)
    # Keras's other backends cannot export all of it. Nothing in the working directory is run (-P).
    environment = os.environ | {"KERAS_BACKEND": "tensorflow"}
    command = [sys.executable, "-P", "-m", "safbage.pipeline.deployed", engine, *absent]
    options = dict(capture_output=True, text=True, errors="replace")
    done = subprocess.run(command, env=environment, **options)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise ExportError(f"{names} could not be prepared for {engine}: {said[-1]}")
    if missing(engine, *absent):
        raise ExportError(f"{names} were damaged again after they were made; check the disk")


def make(engine: str, *parts: str) -> None:
    """Make these files in this process, which imports Keras; what is whole is left.

    Raises:
        WorkError: the cache cannot be written.
        Whatever `export.export` and loading the networks raise.
    """
    folder().mkdir(parents=True, exist_ok=True)
    with locked(folder(), wait=True):
        for part in parts:
            path = path_of(part, engine)
            if not is_whole(path):
                _make(part, engine, path)


def _make(part, engine, path):
    from safbage import classifiers, saliency
    from safbage.pipeline import networks
    from safbage.pipeline.export import FORMATS as EXPORTED
    from safbage.pipeline.export import export

    format, _ = FORMATS[engine]
    names = [path.name, *(path.with_suffix(suffix).name for suffix in EXPORTED[format].beside)]
    for name in (_sums(path).name, *names):
        path.with_name(name).unlink(missing_ok=True)
    if part in CLASSIFIERS:
        network = networks.answering(classifiers.load_joint(tuple(CLASSES), part))
    else:
        network = networks.looking(saliency.load(part).network)
    export(network, format, path)
    made = {name: sha256(path.with_name(name)) for name in names}
    write_text(_sums(path), json.dumps(made, indent=1))


def open(part: str, engine: str, precision: str | None) -> engines.Run:
    """A network as an engine runs it; made first where it is not there.

    Args:
        part: as for `path_of`.
        engine: as for `path_of`.
        precision: as for `engines.open`.

    Raises:
        As `ensure` and `engines.open`.
    """
    ensure(engine, part)
    return engines.open(path_of(part, engine), engine, precision=precision)


def main() -> None:
    """Make files in a process of their own; the last line on stderr says what went wrong."""
    engine, *parts = sys.argv[1:]
    try:
        make(engine, *parts)
    except (SafbageError, OSError, ImportError, ValueError) as error:
        sys.exit(" ".join(str(error).split()))


if __name__ == "__main__":
    main()
