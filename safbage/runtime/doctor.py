"""Check that all that safbage needs is here: a line per requirement, and how to fix a fault."""

import importlib.metadata
import os
import shutil
import sys
from dataclasses import dataclass

from packaging.requirements import Requirement

from safbage.runtime import engines, weights

DISK_NEEDED = 300_000_000


@dataclass(frozen=True)
class Finding:
    """A requirement, whether it is met, what was found, and how to fix it."""

    what: str
    ok: bool
    found: str
    fix: str = ""


def examine() -> list[Finding]:
    """Check Python, packages, backend, GPU, weights and free disk; change and fetch nothing."""
    version = ".".join(map(str, sys.version_info[:3]))
    right = (3, 11) <= sys.version_info < (3, 14)
    python = Finding("Python", right, version, "use Python 3.11, 3.12 or 3.13")
    found = [python, *packages(), *_opencv(), *_backend(), _engine()]
    return [*found, *_weights(), *_disk()]


def _weights():
    for name, purpose in weights.TRUNKS.items():
        ok, place = weights.is_cached(name), weights.home()
        found = f"in {place}" if ok else f"not in {place}, or damaged"
        yield Finding(f"weights {name}", ok, f"{found} ({purpose})", "safbage weights --fetch")
    fix = "install safbage again, or restore safbage/trained with git"
    for name, ok in weights.check_shipped().items():
        yield Finding(f"weights {name}", ok, "shipped" if ok else "missing or damaged", fix)


def _disk():
    """Whether the weights' folder, or where it would be made, has room and can be written."""
    places = (weights.home(), *weights.home().parents)
    folder = next(path for path in places if os.path.exists(path))
    free = shutil.disk_usage(folder).free
    fix = f"free {DISK_NEEDED / 1e6:.0f} MB, or set SAFBAGE_HOME to another disk"
    yield Finding("disk", free >= DISK_NEEDED, f"{free / 1e9:.1f} GB free at {folder}", fix)
    writable = os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)
    found = "writable" if writable else f"{folder} is not a folder that can be written"
    yield Finding("weights folder", writable, found, "set SAFBAGE_HOME to a folder of yours")


def packages():
    """Each package that is missing or too old for safbage, and how many are right."""
    right = 0
    for text in importlib.metadata.requires("safbage"):
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        fix = f'pip install "{requirement.name}{requirement.specifier}"'
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(requirement.name, False, "not installed", fix)
        else:
            ok = requirement.specifier.contains(version, prereleases=True)
            right += ok
            if not ok:
                found = f"{version}, but {requirement.specifier} is needed"
                yield Finding(requirement.name, False, found, fix)
    yield Finding("packages", True, f"{right} are here in the versions needed")


def _opencv():
    """opencv-python beside opencv-python-headless: the two overwrite each other's files."""
    installed = importlib.metadata.distributions()
    names = {(one.metadata["Name"] or "").lower() for one in installed}
    rivals = names & {"opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless"}
    if rivals:
        install = "pip install --force-reinstall opencv-python-headless"
        fix = f"pip uninstall {' '.join(rivals)} && {install}"
        yield Finding("OpenCV", False, f"also installed: {', '.join(rivals)}", fix)


def _backend():
    try:
        from safbage.runtime.backend import keras, tensorflow

        backend = keras.config.backend()
        gpus = tensorflow().config.list_physical_devices("GPU")
    except Exception as error:  # whatever a broken installation raises is the finding
        fix = (
            "do what that says; else unset KERAS_BACKEND or install that backend, "
            "or install safbage in a fresh environment"
        )
        yield Finding("Keras backend", False, f"{type(error).__name__}: {error}", fix)
        return
    yield Finding("Keras backend", True, f"{backend}, Keras {keras.__version__}")
    none = "none seen by TensorFlow; the CPU is used, which is fine"
    yield Finding("GPU", True, ", ".join(gpu.name for gpu in gpus) or none)


def _engine():
    """Which engine answers on a CPU; none is needed, since Keras can."""
    names = engines.installed()
    if not names:
        found = "none; Keras answers, several times more slowly (pip install openvino)"
        return Finding("engine", True, found)
    others = f"; also here: {', '.join(names[1:])}" if names[1:] else ""
    return Finding("engine", True, f"{names[0]} {engines.version(names[0])}{others}")


def report(findings: list[Finding] | None = None) -> str:
    """The findings as lines of ``[OK]`` and ``[FAIL]``."""
    lines = []
    for finding in examine() if findings is None else findings:
        lines.append(f"{'[OK]  ' if finding.ok else '[FAIL]'} {finding.what}: {finding.found}")
        if not finding.ok:
            lines.append(f"       fix: {finding.fix}")
    return "\n".join(lines)
