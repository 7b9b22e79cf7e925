import numpy as np
import pytest

from safbage.show import judging

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
    judging.number(answer, 0.6, mistakes=MISTAKES)
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
    judging.number(answer, 8_194, mistakes={"biases": 8_192}, tolerance=1e-6)
    assert capsys.readouterr().out.startswith(said)


TRUTH = np.array([[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    "answer, said",
    [
        (None, "not attempted"),
        (TRUTH.tolist(), "right: an array of 2 × 2"),
        (TRUTH + 1e-5, "right: an array of 2 × 2"),
        (TRUTH.T, "not yet: rows and columns are swapped"),
        (TRUTH.ravel(), "not yet: the result should be an array of 2 × 2, this is an array of 4"),
        (TRUTH > 2, "not yet: numbers of the kind float64 are expected, these are bool"),
        (TRUTH * 2, "not yet: the result should be [[1.0, 2.0], [3.0, 4.0]], this is [[2.0, 4.0]"),
        ("many", "not yet: numbers are expected, this is str"),
        ([[1], [2, 3]], "not yet: numbers are expected, this is list"),
    ],
)
def test_what_is_said_of_an_array(answer, said, capsys):
    judging.array(answer, TRUTH, mistakes={"rows and columns are swapped": TRUTH.T})
    assert capsys.readouterr().out.startswith(said)


def test_of_a_large_array_the_share_that_is_wrong_is_told(capsys):
    judging.array(np.r_[np.zeros(9), 1], np.zeros(10))
    assert capsys.readouterr().out == "not yet: 10% of the numbers are not as they should be\n"


def changing(values):
    values += 1
    return values.sum()


@pytest.mark.parametrize(
    "answer, said",
    [
        (lambda values: None, "not attempted"),
        (3.0, "not yet: a function is expected, this is float"),
        (np.sum, "right, in all of 2 cases"),
        (np.mean, "not yet: the sum, not the mean"),
        (lambda values: values[2], "not yet: it raises IndexError"),
        (lambda values: values.sum() if len(values) > 1 else None, "not yet: for some arguments"),
        (changing, "not yet: it changes the arrays that it is given"),
        (lambda values: 0, "not yet: in case 1 of 2, the result should be 3.0, this is 0.0"),
    ],
)
def test_what_is_said_of_a_function(answer, said, capsys):
    cases = [(np.array([1.0, 2.0]),), (np.array([5.0]),)]
    judging.function(answer, np.sum, cases, mistakes={"the sum, not the mean": np.mean})
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(said)
    assert cases[0][0].tolist() == [1, 2]


@pytest.mark.parametrize(
    "answer, said",
    [
        (lambda n: list(range(n)), "right, in all of 2 cases"),
        (lambda n: [0], "not yet: 1 for 3"),
        (lambda n: None, "not attempted"),
    ],
)
def test_where_several_results_are_right_a_fault_is_looked_for(answer, said, capsys):
    def fault(found, n):
        return None if len(found) == n else f"{len(found)} for {n}"

    judging.keeps(answer, [(1,), (3,)], fault)
    assert capsys.readouterr().out.startswith(said)
