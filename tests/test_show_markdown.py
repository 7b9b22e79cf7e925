"""Comparisons as Markdown; README's are in `test_results`."""

from dataclasses import replace

from made_arms import age_comparison, first, two_arms
from test_experiments_comparison import compare

from safbage.show import markdown


def test_a_line_per_arm_and_verdict():
    lines = markdown.comparison(age_comparison()).splitlines()
    assert lines[:2] == [
        "| arm | accuracy, % | mean recall, % | the paper's, % |",
        "|---|---|---|---|",
    ]
    assert lines[3] == "| alexnet, ratio 30 % | 50.0 | 50.0 | 62.1 ± 3.2 |"
    assert len([line for line in lines if line.startswith("- ")]) == 2
    assert "The paper's 62.11 % is mean recall" in lines[7]


def test_a_line_per_claim_and_none_without():
    measured = compare(two_arms(first(0.6, 100), first(0.9, 100)))
    assert markdown.claims([measured]) == ""
    rows = [
        {"text": "It lifts", "value": 1.0, "low": 0.5, "high": 1.5, "unit": "points"}
        | {"claim": "lift", "p": 0.01, "verdict": "holds"}
    ]
    measured = replace(measured, claims=rows)
    lines = markdown.claims([measured, measured]).splitlines()
    said = "- **holds**: It lifts: +1.0 points (95 % interval +0.5 to +1.5; p = 0.01)."
    assert lines == [said, said]


def test_the_headline_has_a_row_per_comparison():
    measured = compare(two_arms(first(0.6, 100), first(0.9, 100)), repetitions=500)
    lines = markdown.headline([measured, measured]).splitlines()
    assert len(lines) == 4 and lines[2] == lines[3]
    assert lines[2].startswith("| gender, accuracy, % | 100 | 60.0 ± 0.0 | 90.0 ± 0.0 | +30.0 (+2")
    assert lines[2].endswith("| 83.4 ± 1.6 → 91.8 ± 1.2 |")
