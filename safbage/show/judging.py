"""What an answer to an exercise is: right, untouched, or not yet, with the mistake it looks like.

An answer is a number, an array, or a function, which is tried on cases that the notebook does not
show. Each judge prints one line and returns nothing.
"""

import copy
from collections.abc import Callable, Mapping, Sequence

import numpy as np

UNTOUCHED = "not attempted"
RIGHT = "right"
SHOWN_NUMBERS = 6
"""Arrays up to this size are shown in a message."""


def number(
    answer, expected: float, *, mistakes: Mapping[str, float] | None = None, tolerance: float = 1e-3
) -> None:
    """Judge a numeric answer.

    Args:
        answer: the student's answer, None where the stub is untouched.
        expected: the right answer.
        mistakes: from a hint to the wrong answer that it explains.
        tolerance: relative to the value, and absolute near zero.
    """
    if answer is None:
        print(UNTOUCHED)
        return
    try:
        value = float(answer)
    except (TypeError, ValueError):
        print(f"not yet: a single number is expected, this is {type(answer).__name__}")
        return
    if not np.isfinite(value):
        print(f"not yet: {value} is not a number; was something divided by zero?")
        return
    if np.isclose(value, expected, rtol=tolerance, atol=tolerance):
        print(f"{RIGHT}: {_shown(value)}")
        return
    for hint, wrong in (mistakes or {}).items():
        if np.isclose(value, wrong, rtol=tolerance, atol=tolerance):
            print(f"not yet: {hint}")
            return
    if np.isclose(value, expected, rtol=0.06):
        hint = "give three digits" if tolerance >= 1e-3 else "every digit counts here"
        print(f"not yet, but close: {hint}")
        return
    print(f"not yet: {_shown(value)} is {'more' if value > expected else 'less'} than it should be")


def _shown(value):
    """A number with three digits, a large count with all of its digits."""
    return f"{value:,.0f}" if value >= 1000 and value == round(value) else f"{value:.3g}"


def array(
    answer, expected, *, mistakes: Mapping[str, object] | None = None, tolerance: float = 1e-3
) -> None:
    """Judge an array.

    Args:
        answer: the student's array, or what becomes one; None where the stub is untouched.
        expected: the right array.
        mistakes: from a hint to the wrong array that it explains; its shape may be wrong, too.
        tolerance: of each number, relative to it, and absolute near zero.
    """
    if answer is None:
        print(UNTOUCHED)
        return
    if _alike(answer, expected, tolerance):
        print(f"{RIGHT}: {_described(expected)}")
        return
    hints = (hint for hint, wrong in (mistakes or {}).items() if _alike(answer, wrong, tolerance))
    print(f"not yet: {next(hints, None) or _apart(answer, expected, tolerance)}")


def function(
    answer: Callable,
    expected: Callable,
    cases: Sequence[tuple],
    *,
    mistakes: Mapping[str, Callable] | None = None,
    tolerance: float = 1e-3,
) -> None:
    """Judge a function by what it returns, an array or a number, for several cases.

    Args:
        answer: the student's function; one that returns nothing is untouched.
        expected: a right function.
        cases: the arguments of each call.
        mistakes: from a hint to a function that makes the mistake it explains.
        tolerance: as for arrays.
    """
    found = _results(answer, cases)
    if found is None:
        return
    wanted = [expected(*copy.deepcopy(case)) for case in cases]
    if _all_alike(found, wanted, tolerance):
        print(f"{RIGHT}, in all of {len(cases)} cases")
        return
    for hint, wrong in (mistakes or {}).items():
        if _all_alike(found, [wrong(*copy.deepcopy(case)) for case in cases], tolerance):
            print(f"not yet: {hint}")
            return
    for number_of, (value, right) in enumerate(zip(found, wanted, strict=True), start=1):
        if not _alike(value, right, tolerance):
            where = f"case {number_of} of {len(cases)}"
            print(f"not yet: in {where}, {_apart(value, right, tolerance)}")
            return


def keeps(answer: Callable, cases: Sequence[tuple], fault: Callable[..., str | None]) -> None:
    """Judge a function of which more than one result is right.

    Args:
        answer: the student's function; one that returns nothing is untouched.
        cases: the arguments of each call.
        fault: takes a result and the arguments; gives the hint, or None where the result will do.
    """
    found = _results(answer, cases)
    if found is None:
        return
    faults = (fault(value, *case) for value, case in zip(found, cases, strict=True))
    hint = next((words for words in faults if words), None)
    print(f"not yet: {hint}" if hint else f"{RIGHT}, in all of {len(cases)} cases")


def _results(answer, cases):
    """What a function returns for each case; None where that is told already."""
    if not callable(answer):
        print(f"not yet: a function is expected, this is {type(answer).__name__}")
        return None
    found = []
    for case in cases:
        given = copy.deepcopy(case)
        try:
            found.append(answer(*given))
        except Exception as error:
            print(f"not yet: it raises {type(error).__name__}: {error}")
            return None
        changed = not all(_alike(a, b, 0) for a, b in zip(given, case, strict=True))
        if changed and found[-1] is not None:
            print("not yet: it changes the arrays that it is given; work on a copy")
            return None
    missing = [value is None for value in found]
    if any(missing):
        some = "not yet: for some arguments it returns nothing; is a return missing?"
        print(UNTOUCHED if all(missing) else some)
        return None
    return found


def _all_alike(found, wanted, tolerance):
    return all(_alike(a, b, tolerance) for a, b in zip(found, wanted, strict=True))


def _as_array(value):
    """A plain array of numbers; None where it cannot be one."""
    try:
        made = np.asarray(value)
    except ValueError:  # rows of different lengths
        return None
    return made if made.dtype.kind in "biuf" else None


def _alike(value, expected, tolerance):
    """Whether two are the same: numbers within the tolerance, all else as it stands."""
    a, b = _as_array(value), _as_array(expected)
    if a is None or b is None:
        return a is b is None and bool(np.all(value == expected))
    if a.shape != b.shape or (a.dtype.kind == "b") != (b.dtype.kind == "b"):
        return False
    near = dict(rtol=tolerance, atol=tolerance, equal_nan=True)
    return bool(np.allclose(a.astype(float), b.astype(float), **near))


def _apart(value, expected, tolerance):
    """In words, how a wrong array differs from the right one."""
    a, b = _as_array(value), np.asarray(expected)
    if a is None:
        return f"numbers are expected, this is {type(value).__name__}"
    if a.shape != b.shape:
        return f"the result should be {_described(b)}, this is {_described(a)}"
    if (a.dtype.kind == "b") != (b.dtype.kind == "b"):
        return f"numbers of the kind {b.dtype} are expected, these are {a.dtype}"
    if a.size <= SHOWN_NUMBERS:
        return f"the result should be {_listed(b)}, this is {_listed(a)}"
    near = np.isclose(a.astype(float), b.astype(float), rtol=tolerance, atol=tolerance)
    return f"{np.mean(~near):.0%} of the numbers are not as they should be"


def _described(values):
    """A shape in words: "a number", "an array of 28 × 28"."""
    shape = np.shape(values)
    return f"an array of {' × '.join(map(str, shape))}" if shape else "a number"


def _listed(values):
    rounded = np.round(np.asarray(values, float), 4)
    return str(rounded.tolist())
