"""The networks in files that an engine answers from: made once by Keras, checked against it, kept.

They lie beside the fetched weights, in ``deployed/`` of `weights.home()`. A file's name holds a
hash of all that it follows from: the weights, the versions of safbage and of the engine, and
`VERSION`. So an update makes new ones. They are made by a process of their own, so that this one
stays small and imports no TensorFlow. Damaged files are made again.

There is a file for each ML-Net and one for each network that answers. The reweighting between the
two is `reweighting.reweight`, with NumPy. An ML-Net's file is made anew in int8 where that is asked
for (see `quantising`).
"""

import json
import logging
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import safbage
from safbage.errors import ExportError, SafbageError
from safbage.pipeline import quantising
from safbage.runtime import engines, weights
from safbage.runtime.files import fingerprint, printable, read_json, sha256, write_text
from safbage.runtime.work import locked
from safbage.saliency.names import SHIPPED as MLNETS
from safbage.tasks import CLASSES
from safbage.tasks import SHIPPED as CLASSIFIERS

logger = logging.getLogger(__name__)

VERSION = 1
"""The version of what the files hold. Raise it when `networks.looking` or `answering` changes."""
FORMATS = {"openvino": ("openvino", (".xml", ".bin")), "onnxruntime": ("onnx", (".onnx",))}
"""By engine the format of `export.FORMATS` that it opens, and its files' suffixes."""
PRECISIONS = (*engines.PRECISIONS, "int8")
"""What a network may compute in; int8, which OpenVINO alone has, has a file of its own."""
USUAL = (*MLNETS, *CLASSIFIERS)
"""What the set-up makes; what one has trained oneself is made when it is first asked for."""


def folder() -> Path:
    """Where the files lie."""
    return weights.home() / "deployed"


def path_of(part: str, engine: str, precision: str | None = None) -> Path:
    """Where a network's file lies, or will.

    Args:
        part: a shipped ML-Net ("mlnet", "light"), a shipped classifier, or a file of ML-Net
            weights.
        engine: one of `engines.ENGINES`, installed.
        precision: one of `PRECISIONS`, or None; for all but "int8" it is the same file.

    Raises:
        FileNotFoundError: `part` is a file that is not there.
    """
    own = part not in (*MLNETS, *CLASSIFIERS)
    sources = [sha256(part)] if own else []
    sources += [f"{name} {digest}" for name, digest in weights.shipped_hashes().items()]
    sources += [f"{name} {weights.REGISTRY[name].digest}" for name in weights.TRUNKS]
    versions = [safbage.__version__, engine, engines.version(engine), str(VERSION)]
    name = "own-mlnet" if own else part
    if precision == "int8":
        name, versions = f"{name}-int8", [*versions, quantising.version()]
    key = fingerprint("\n".join([*sources, *versions]), digits=12)
    return folder() / f"{name}-{key}{FORMATS[engine][1][0]}"


def is_whole(path: Path) -> bool:
    """Whether a network's file is there, with what belongs to it, as it was made."""
    try:
        made = read_json(_sums(path), dict)
        return all(sha256(path.with_name(name)) == digest for name, digest in made.items())
    except (OSError, SafbageError):
        return False


def _sums(path):
    return path.with_name(f"{path.name}.json")


def missing(engine: str, *parts: str, precision: str | None = None) -> list[str]:
    """Those of some networks whose files are not there, or damaged; arguments and errors as for
    `path_of`."""
    return [part for part in parts if not is_whole(path_of(part, engine, precision))]


def ensure(engine: str, *parts: str, precision: str | None = None) -> None:
    """Make the files of these networks that are not there, or damaged.

    Args:
        engine: one of `engines.ENGINES`.
        parts: as for `path_of`.
        precision: as for `path_of`.

    Raises:
        ImportError: the engine is not installed.
        FileNotFoundError: a part is a file that is not there.
        ExportError: they could not be made; the message says why, as where the cache cannot be
            written.
    """
    absent = missing(engine, *parts, precision=precision)
    if not absent:
        return
    names, quantised = ", ".join(map(printable, absent)), precision == "int8"
    what, takes = ("in int8 ", "a minute or two") if quantised else ("", "half a minute or so")
    logger.warning("preparing %s %sfor %s, once; this takes %s …", names, what, engine, takes)
    # Keras's other backends cannot export all of it. Nothing in the working directory is run (-P).
    environment = os.environ | {"KERAS_BACKEND": "tensorflow"}
    asked = [engine, "int8" if quantised else "float32", *absent]
    command = [sys.executable, "-P", "-m", "safbage.pipeline.deployed", *asked]
    options = dict(capture_output=True, text=True, errors="replace")
    done = subprocess.run(command, env=environment, **options)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise ExportError(f"{names} could not be prepared {what}for {engine}: {said[-1]}")
    if missing(engine, *absent, precision=precision):
        raise ExportError(f"{names} were damaged again after they were made; check the disk")


def make(engine: str, *parts: str, precision: str | None = None) -> None:
    """Make these files in this process, which imports Keras; what is whole is left.

    Raises:
        WorkError: the cache cannot be written.
        Whatever `export.export`, `quantising.quantise` and loading the networks raise.
    """
    folder().mkdir(parents=True, exist_ok=True)
    with locked(folder(), wait=True):
        for part in parts:
            path = path_of(part, engine)
            _make(path, engine, partial(_export, part, engine))
            if precision == "int8":
                _make(path_of(part, engine, "int8"), engine, partial(quantising.quantise, path))


def _make(path, engine, write):
    """Let `write(path)` write a network's files, and note their hashes; what is whole is left."""
    if is_whole(path):
        return
    names = [path.with_suffix(suffix).name for suffix in FORMATS[engine][1]]
    for name in (_sums(path).name, *names):
        path.with_name(name).unlink(missing_ok=True)
    write(path)
    made = {name: sha256(path.with_name(name)) for name in names}
    write_text(_sums(path), json.dumps(made, indent=1))


def _export(part, engine, path):
    from safbage import classifiers, saliency
    from safbage.pipeline import networks
    from safbage.pipeline.export import export

    if part in CLASSIFIERS:
        network = networks.answering(classifiers.load_joint(tuple(CLASSES), part))
    else:
        network = networks.looking(saliency.load(part).network)
    export(network, FORMATS[engine][0], path)


def open(part: str, engine: str, precision: str | None) -> engines.Run:
    """A network as an engine runs it; made first where it is not there.

    Args:
        part: as for `path_of`.
        engine: as for `path_of`.
        precision: one of `PRECISIONS`, as the engine has them; None for the fastest that the engine
            has on this processor. So is computed what int8 leaves out.

    Raises:
        As `ensure` and `engines.open`.
    """
    ensure(engine, part, precision=precision)
    rest = None if precision == "int8" else precision
    return engines.open(path_of(part, engine, precision), engine, precision=rest)


def main() -> None:
    """Make files in a process of their own; the last line on stderr says what went wrong."""
    engine, precision, *parts = sys.argv[1:]
    try:
        with engines.unreported():
            make(engine, *parts, precision=precision)
    except (SafbageError, OSError, ImportError, ValueError) as error:
        sys.exit(" ".join(str(error).split()))


if __name__ == "__main__":
    main()
