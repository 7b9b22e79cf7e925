"""Self-checks for the notebooks' exercises: what is right, and which mistake an answer looks like."""

from collections.abc import Mapping

import numpy as np


def number(answer, expected: float, *, mistakes: Mapping[str, float] | None = None, tolerance: float = 1e-3) -> None:
    """Print what a numeric answer is: "not attempted" (None), "right", or "not yet" with a hint.

    Args:
        answer: the student's, None where the stub is untouched.
        expected: the right answer.
        mistakes: hint to the value that the mistake it describes leads to.
        tolerance: relative to the value, and absolute near zero.
    """
    if answer is None:
        print("not attempted")
        return
    try:
        value = float(answer)
    except (TypeError, ValueError):
        print(f"not yet: a single number is expected, this is {type(answer).__name__}")
        return
    if not np.isfinite(value):
        print(f"not yet: {value} is no number; was something divided by zero?")
        return
    if np.isclose(value, expected, rtol=tolerance, atol=tolerance):
        print(f"right: {_shown(value)}")
        return
    for hint, wrong in (mistakes or {}).items():
        if np.isclose(value, wrong, rtol=tolerance, atol=tolerance):
            print(f"not yet: {hint}")
            return
    if np.isclose(value, expected, rtol=0.06):
        print(f"not yet, but close: {'give three digits' if tolerance >= 1e-3 else 'every digit counts here'}")
        return
    print(f"not yet: {_shown(value)} is {'more' if value > expected else 'less'} than it should be")


def _shown(value):
    """Three digits, and of large counts all."""
    return f"{value:,.0f}" if value >= 1000 and value == round(value) else f"{value:.3g}"
