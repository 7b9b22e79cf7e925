import numpy as np
import pytest

from safbage.show import checks

MISTAKES = {"that is the lower half": 0.4, "divide by the sum": 60.0}


@pytest.mark.parametrize(
    "answer, said",
    [
        (None, "not attempted"),
        (0.6, "right: 0.6"),
        (np.float32(0.6002), "right: 0.6"),
        (np.array(0.6), "right"),
        (0.4, "not yet: that is the lower half"),
        (60, "not yet: divide by the sum"),
        (0.62, "not yet, but close: give three digits"),
        (0.9, "not yet: 0.9 is more"),
        (0.1, "not yet: 0.1 is less"),
        (float("nan"), "not yet: nan is not a number; was something divided by zero?"),
        (np.float64("inf"), "not yet: inf is not a number"),
        ("many", "not yet: a single number is expected, this is str"),
        (np.zeros(3), "not yet: a single number is expected, this is ndarray"),
    ],
)
def test_what_is_said(answer, said, capsys):
    checks.number(answer, 0.6, mistakes=MISTAKES)
    assert capsys.readouterr().out.startswith(said)


@pytest.mark.parametrize(
    "answer, said",
    [
        (8_194, "right: 8,194"),
        (8_192, "not yet: biases"),
        (8_193, "not yet, but close: every digit counts here"),
        (80_000, "not yet: 80,000 is more"),
        (1.5, "not yet: 1.5 is less"),
    ],
)
def test_counts_are_exact_where_asked_for(answer, said, capsys):
    checks.number(answer, 8_194, mistakes={"biases": 8_192}, tolerance=1e-6)
    assert capsys.readouterr().out.startswith(said)
