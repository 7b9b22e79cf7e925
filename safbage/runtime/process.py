"""This process: whether it may run networks, and on how many cores."""

import os


def check_process() -> None:
    """Refuse to load or run networks in a process that was forked from one that did.

    The threads of TensorFlow, of JAX and of the engines stay behind when a process is forked, and
    the child would wait for them for ever.

    Raises:
        RuntimeError: this process was forked from one in which networks were loaded before.
    """
    global _process
    _process = _process or os.getpid()
    if _process != os.getpid():
        raise RuntimeError(
            f"networks cannot be used in this process: it was forked from process {_process}, "
            "in which networks were loaded before, and would wait for ever. Load them inside the "
            "worker alone, before any is loaded outside, or start workers by spawn: "
            'multiprocessing.get_context("spawn").'
        )


_process = None
"""The id of the process in which networks were first loaded."""


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def batch_size() -> int:
    """Faces that go through the networks together on a CPU where nobody says how many.

    Two for each core, from 4 to 16: ML-Net's first layers take 26 MB a face, and larger batches
    leave the caches.
    """
    return power_of_two(2 * cores(), 4, 16)


def power_of_two(most: int, low: int, high: int) -> int:
    """The largest power of two up to `most`, brought between two others."""
    return 1 << (min(max(most, low), high).bit_length() - 1)
