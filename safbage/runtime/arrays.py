"""Arrays on disk that are filled batch by batch and go on where a killed run stopped."""

import os
import shutil
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from safbage.errors import WorkError
from safbage.runtime.files import FULL, damaged, write_text


def check_space(path: Path, needed: int) -> None:
    """WorkError where a file of so many bytes is not there yet and does not fit on its disk."""
    free = shutil.disk_usage(path.parent).free
    if not path.exists() and needed > free:
        raise WorkError(
            f"{path} will have {needed / 1e9:.1f} GB; {free / 1e9:.1f} GB are free. "
            "Name a folder on another disk."
        )


def fill_array(path: Path, shape, dtype, compute, batch, description, progress=True):
    """Fill an array on disk batch by batch; what a killed run wrote is not computed again.

    Args:
        path: the file, ``.npy``; how far it is filled stands beside it in ``.done``.
        shape: of the whole array, rows first.
        dtype: its type.
        compute: ``compute(slice)`` gives the rows of a slice.
        batch: rows of a slice.
        description: what the progress bar says.
        progress: show a bar.

    Returns:
        The array, mapped from the disk.

    Raises:
        WorkError: the file is damaged or holds an array of another shape or type, or the disk has
            no place for it.
    """
    shape = tuple(map(int, shape))  # NumPy cannot read its own integers in a header
    done_path = path.with_suffix(".done")
    if done_path.exists() and path.exists():
        done, array = _begun(path, done_path, shape, dtype)
    else:
        done, array = 0, _allocated(path, shape, dtype)
    left = range(done, shape[0], batch)
    for start in tqdm(left, desc=description, disable=not (progress and left)):
        stop = min(start + batch, shape[0])
        array[start:stop] = compute(slice(start, stop))
        array.flush()
        write_text(done_path, str(stop))
    return array


def _begun(path, done_path, shape, dtype):
    """How many rows of an array on disk are there, and the array."""
    text = done_path.read_text(errors="replace")
    if not text.isdecimal() or len(text) > 18 or int(text) > shape[0]:
        raise damaged(done_path, f"it holds {text[:20]!r}, not a number up to {shape[0]}")
    try:
        array = np.lib.format.open_memmap(path, "r")
    except (ValueError, OSError) as error:
        raise damaged(path, error) from error
    if array.shape != shape or array.dtype != np.dtype(dtype):
        raise WorkError(
            f"{path} holds {array.shape} of {array.dtype}, not {shape} of {dtype}. "
            "Delete it, or name another folder."
        )
    return int(text), np.lib.format.open_memmap(path, "r+")


def _allocated(path, shape, dtype):
    """A new array on disk, which has its place there.

    Writing into a sparse file would end in SIGBUS, without a message, where the disk is full.
    """
    try:
        array = np.lib.format.open_memmap(path, "w+", dtype, shape)
        with open(path, "r+b") as file:
            _allocate(file, array.offset, path.stat().st_size)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise WorkError(f"{path} cannot be written ({error}). {FULL}") from error
    return array


def _allocate(file, start, size, chunk=2**24):
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    file.seek(start)
    for at in range(start, size, chunk):
        file.write(bytes(min(chunk, size - at)))
