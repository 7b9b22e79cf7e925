import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from safbage import evaluation, paper
from safbage.tasks import EXPRESSIONS


def parts(generator, total, most, count):
    """Whole numbers from 0 to `most` with the given sum."""
    drawn = np.zeros(count, int)
    for _ in range(total):
        drawn[generator.choice(np.flatnonzero(drawn < most))] += 1
    return drawn


def matrix(generator, right, faces, classes):
    """Counts with a given diagonal and faces per class; errors fall anywhere."""
    cells = np.zeros((len(classes), len(classes)), int)
    for i, n in enumerate(right):
        others = [j for j in range(len(classes)) if j != i]
        cells[i, others] = generator.multinomial(faces - n, np.full(len(others), 1 / len(others)))
        cells[i, i] = n
    return pd.DataFrame(cells, classes, classes)


def test_2368_of_7_times_500_faces_are_one_accuracy_and_mean_recall(generator):
    """Arithmetic of the reported sum, over a drawn diagonal: Table 5's own cells are not known."""
    counts = matrix(generator, parts(generator, 2368, 500, 7), 500, EXPRESSIONS)
    scores = evaluation.matrix_scores(counts)
    assert (
        round(100 * scores["accuracy"], 2)
        == round(100 * scores["mean_recall"], 2)
        == paper.DIAGONAL_MEANS[5]
    )
    assert round(paper.diagonal_mean(evaluation.percent(counts)), 2) == paper.DIAGONAL_MEANS[5]


@pytest.mark.parametrize("table", [4, 5])
def test_the_cells_known_leave_room_for_the_printed_mean(table):
    percent = paper.confusion(table)
    diagonal = np.diag(percent)
    known, unknown = np.nansum(diagonal), np.isnan(diagonal).sum()
    mean = paper.DIAGONAL_MEANS[table]
    slack = 0.006 * len(diagonal)
    assert (
        known - slack <= mean * len(diagonal) <= known + 100 * unknown + slack
    )  # both sides meet once all cells are in
    assert (percent.isna() | percent.ge(0) & percent.le(100)).all(axis=None)


def test_unknown_cells_are_not_averaged_over():
    assert paper.confusion(4).loc["38-43", "38-43"] == 29.2
    with pytest.raises(ValueError, match="not known at 0-2, 4-6"):
        paper.diagonal_mean(paper.confusion(4))
    with pytest.raises(ValueError, match="cells known"):
        evaluation.matrix_scores(paper.confusion(5))
    with pytest.raises(ValueError, match="Table 4"):
        paper.confusion(3)


def test_a_printed_row_is_averaged_as_it_is():
    printed = pd.DataFrame([[80.0, 21.8], [40.0, 60.0]], ["a", "b"], ["a", "b"])
    assert paper.diagonal_mean(printed) == 70
    assert 100 * evaluation.matrix_scores(printed)["mean_recall"] == pytest.approx(
        (80 / 1.018 + 60) / 2
    )


def test_headline_results():
    found = paper.results("age").set_index("method")
    assert found.value.to_dict() == {"without saliency": 52.2, "with saliency": 62.11}
    assert found.error.to_dict() == {"without saliency": 3.9, "with saliency": 3.2}
    assert found.value["with saliency"] == paper.DIAGONAL_MEANS[4]
    both = paper.results()
    assert both.groupby("task").size().to_dict() == {"age": 2, "gender": 2, "expression": 2}
    assert {"MiVOLOv2", "POSTER V2"} <= set(paper.results(later=True).method) and set(
        both.method
    ) == {paper.WITH, paper.WITHOUT}
    with pytest.raises(ValueError, match="age, gender, expression; got 'mood'"):
        paper.results("mood")


def test_contradictions_are_contradictions():
    for entry in paper.CONTRADICTIONS:
        first, second = entry["values"]
        assert first != second
    anger = next(entry["values"] for entry in paper.CONTRADICTIONS if entry["where"] == "anger")
    assert all(
        (value / 100 * 500) == pytest.approx(round(value / 100 * 500)) for value in anger
    )  # whole faces of 500
    assert paper.CELLS[4]["38-43", "38-43"] in next(
        e["values"] for e in paper.CONTRADICTIONS if e["where"] == "age 38-43"
    )


def test_importing_it_is_light():
    code = "import sys, safbage.paper; sys.exit(any(name in sys.modules for name in ('pandas', 'keras', 'tensorflow')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
