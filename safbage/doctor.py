"""Is everything here that safbage needs? One line per requirement, with the mend where it fails."""

import importlib.metadata
import os
import shutil
import sys
from dataclasses import dataclass

from safbage import weights

PACKAGES = ("keras", "tensorflow", "mtcnn", "opencv-python-headless", "matplotlib", "ipywidgets", "papermill", "jupyterlab")
DISK_NEEDED = 300_000_000


@dataclass(frozen=True)
class Finding:
    """A requirement, whether it is met, what was found, and how to mend it."""

    what: str
    ok: bool
    found: str
    mend: str = ""


def examine() -> list[Finding]:
    """Check Python, packages, backend, GPU, weights and free disk. Nothing is changed or fetched."""
    python = ".".join(map(str, sys.version_info[:3]))
    findings = [Finding("Python", sys.version_info >= (3, 11), python, "install Python 3.11 or newer")]
    findings += [_package(name) for name in PACKAGES]
    findings += _backend()
    for name in weights.TRUNKS:
        ok = weights.is_cached(name)
        found = f"in {weights.home()}" if ok else f"not in {weights.home()}, or damaged"
        findings.append(Finding(f"weights {name}", ok, found, "safbage weights --fetch"))
    for name, ok in weights.check_shipped().items():
        found = "shipped" if ok else "missing or damaged"
        findings.append(Finding(f"weights {name}", ok, found, "install safbage again, or restore safbage/trained with git"))
    folder = next(path for path in (weights.home(), *weights.home().parents) if path.exists())
    free = shutil.disk_usage(folder).free
    mend = f"free {DISK_NEEDED / 1e6:.0f} MB, or set SAFBAGE_HOME to another disk"
    findings.append(Finding("disk", free >= DISK_NEEDED, f"{free / 1e9:.1f} GB free at {folder}", mend))
    writable = os.access(folder, os.W_OK)
    mend = "set SAFBAGE_HOME to a folder of yours"
    findings.append(Finding("weights folder", writable, "writable" if writable else f"{folder} is read-only", mend))
    return findings


def _package(name):
    try:
        return Finding(name, True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, False, "not installed", f"pip install {name}")


def _backend():
    try:
        from safbage.backend import keras, tensorflow
    except ImportError as error:
        return [Finding("Keras backend", False, str(error), "pip install safbage again, in a fresh environment")]
    gpus = tensorflow().config.list_physical_devices("GPU")
    gpu = ", ".join(gpu.name for gpu in gpus) if gpus else "none seen by TensorFlow; the CPU is used, which is fine"
    return [Finding("Keras backend", True, keras.config.backend()), Finding("GPU", True, gpu)]


def report(findings: list[Finding] | None = None) -> str:
    """The findings as lines of ``[OK]`` and ``[FAIL]``."""
    lines = []
    for finding in examine() if findings is None else findings:
        lines.append(f"{'[OK]  ' if finding.ok else '[FAIL]'} {finding.what}: {finding.found}")
        if not finding.ok:
            lines.append(f"       mend: {finding.mend}")
    return "\n".join(lines)
