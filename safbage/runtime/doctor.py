"""Is everything here that safbage needs? One line per requirement, with the mend where it fails."""

import importlib.metadata
import os
import shutil
import sys
from dataclasses import dataclass

from packaging.requirements import Requirement

from safbage.runtime import weights

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
    findings = [Finding("Python", (3, 11) <= sys.version_info < (3, 14), python, "use Python 3.11, 3.12 or 3.13")]
    findings += [*packages(), *_opencv()]
    findings += _backend()
    for name, purpose in weights.TRUNKS.items():
        ok = weights.is_cached(name)
        found = f"in {weights.home()}" if ok else f"not in {weights.home()}, or damaged"
        findings.append(Finding(f"weights {name}", ok, f"{found} ({purpose})", "safbage weights --fetch"))
    for name, ok in weights.check_shipped().items():
        found = "shipped" if ok else "missing or damaged"
        findings.append(Finding(f"weights {name}", ok, found, "install safbage again, or restore safbage/trained with git"))
    folder = next(path for path in (weights.home(), *weights.home().parents) if os.path.exists(path))
    free = shutil.disk_usage(folder).free
    mend = f"free {DISK_NEEDED / 1e6:.0f} MB, or set SAFBAGE_HOME to another disk"
    findings.append(Finding("disk", free >= DISK_NEEDED, f"{free / 1e9:.1f} GB free at {folder}", mend))
    writable = os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)
    mend = "set SAFBAGE_HOME to a folder of yours"
    found = "writable" if writable else f"{folder} is no folder that can be written"
    findings.append(Finding("weights folder", writable, found, mend))
    return findings


def packages():
    """The packages that safbage requires, against the versions it asks for: each that is not right, and how many are."""
    right = 0
    for text in importlib.metadata.requires("safbage"):
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        mend = f'pip install "{requirement.name}{requirement.specifier}"'
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(requirement.name, False, "not installed", mend)
        else:
            ok = requirement.specifier.contains(version, prereleases=True)
            right += ok
            if not ok:
                yield Finding(requirement.name, False, f"{version}, but {requirement.specifier} is needed", mend)
    yield Finding("packages", True, f"{right} are here in the versions needed")


def _opencv():
    """opencv-python beside opencv-python-headless: the two overwrite each other's files."""
    names = {(distribution.metadata["Name"] or "").lower() for distribution in importlib.metadata.distributions()}
    rivals = names & {"opencv-python", "opencv-contrib-python", "opencv-contrib-python-headless"}
    if rivals:
        mend = f"pip uninstall {' '.join(rivals)} && pip install --force-reinstall opencv-python-headless"
        yield Finding("OpenCV", False, f"also installed: {', '.join(rivals)}", mend)


def _backend():
    try:
        from safbage.runtime.backend import keras, tensorflow

        backend = keras.config.backend()
        gpus = tensorflow().config.list_physical_devices("GPU")
    except Exception as error:  # whatever a broken installation raises is the finding
        mend = "what that says; else unset KERAS_BACKEND or install that backend, or install safbage in a fresh environment"
        return [Finding("Keras backend", False, f"{type(error).__name__}: {error}", mend)]
    gpu = ", ".join(gpu.name for gpu in gpus) if gpus else "none seen by TensorFlow; the CPU is used, which is fine"
    return [Finding("Keras backend", True, f"{backend}, Keras {keras.__version__}"), Finding("GPU", True, gpu)]


def report(findings: list[Finding] | None = None) -> str:
    """The findings as lines of ``[OK]`` and ``[FAIL]``."""
    lines = []
    for finding in examine() if findings is None else findings:
        lines.append(f"{'[OK]  ' if finding.ok else '[FAIL]'} {finding.what}: {finding.found}")
        if not finding.ok:
            lines.append(f"       mend: {finding.mend}")
    return "\n".join(lines)
