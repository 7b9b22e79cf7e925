"""What comparisons come to in words."""

import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import REPOSITORY
from made_arms import age_comparison, answers, first, two_arms
from test_experiments_comparison import compare, unequal_folds

from safbage import experiments
from safbage.experiments import Arm, Run, Training
from safbage.show import words
from safbage.tasks import CLASSES


def verdicts(without, with_saliency, *, repetitions=500, task="gender", **options):
    runs = two_arms(without, with_saliency, **options)
    return words.verdicts(compare(runs, task, repetitions=repetitions))


def test_a_verdict_by_hand():
    (sentence,) = verdicts(first(0.6, 100), first(0.9, 100))
    said = "alexnet, ratio 30 %: on these trained networks saliency helps: "
    assert sentence.startswith(said + "+30.0 points of accuracy (95 % interval +2")
    assert "Holm" not in sentence
    assert sentence.endswith("on 100 faces, to the same side in 5 of 5 folds")


def test_a_verdict_counts_the_folds_that_agree():
    (sentence,) = verdicts(*unequal_folds(), repetitions=50)
    assert sentence.endswith("to the same side in 3 of 5 folds")


def test_many_arms_are_judged_together():
    """A gain that alone would be one is none among ten looked at."""
    base = first(0.5, 100)
    better = base | np.isin(np.arange(100), [5, 15, 25, 35, 45, 55, 65])
    better &= np.arange(100) != 0
    runs = {Arm("alexnet", 0.0): Run(answers(base))}
    runs |= {Arm("alexnet", r / 10): Run(answers(better)) for r in range(1, 10)}
    two = dict(list(runs.items())[:2])
    alone, among = (compare(some, repetitions=2000) for some in (two, runs))
    p = alone.tests[0].accuracy["p"]
    assert 0.05 / 9 < p < 0.05 and "saliency helps" in words.verdicts(alone)[0]
    assert among.tests[0].accuracy["p_holm"] == pytest.approx(9 * p)
    for line in words.verdicts(among):
        assert "no difference is shown" in line and "Holm's correction over 9 tests" in line


@pytest.mark.parametrize(
    "without, with_saliency, says",
    [(0.9, 0.6, "saliency costs: -30.0"), (0.8, 0.8, "no difference is shown")],
)
def test_the_other_verdicts(without, with_saliency, says):
    (sentence,) = verdicts(first(without, 100), first(with_saliency, 100))
    assert says in sentence
    assert ("to the same side" in sentence) == (without != with_saliency)


def test_pictures_of_few_persons_show_less():
    """The same answers: of 100 persons a clear gain, of 4 persons none that could not be chance."""
    without = first(0.6, 100)
    with_saliency = without | (np.arange(100) < 25)
    (many,) = verdicts(without, with_saliency, folds=1, people=range(100))
    (few,) = verdicts(without, with_saliency, folds=1, people=np.arange(100) // 25)
    assert "saliency helps: +8.0" in many and "no difference is shown: +8.0" in few


def test_age_is_judged_by_mean_recall():
    (sentence,) = verdicts(first(0.5, 80), first(0.7, 80), task="age", classes=CLASSES["age"])
    assert "points of mean recall" in sentence


def test_two_networks_beside_each_other():
    weak, strong = (Run(answers(first(share, 100))) for share in (0.5, 0.9))
    for pair, says in (
        ((weak, strong), "more often: +40.0"),
        ((strong, weak), "less often: -40.0"),
    ):
        runs = {Arm(name, 0.3): run for name, run in zip("ab", pair, strict=True)}
        (found,) = experiments.compare_networks(runs, repetitions=200)
        sentence = words.compare_networks(found)
        assert sentence.startswith(f"b beside a: is right {says} points of accuracy")
        assert sentence.endswith("on 100 faces")
        assert words.verdicts(replace(compare(runs), networks=[found])) == [sentence]


@pytest.mark.parametrize("name", experiments.load_saved(REPOSITORY / "results"))
def test_the_projects_verdicts_follow_from_its_numbers(name):
    path = REPOSITORY / "results" / f"{name}.json"
    assert words.verdicts(experiments.load(path)) == json.loads(path.read_text())["verdict"]


# --- in short -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "without, with_saliency, says",
    [
        (0.6, 0.9, "Saliency helps: +30.0 points (95 % interval +2"),
        (0.9, 0.6, "Saliency costs: -30.0 points"),
        (0.8, 0.8, "No difference is shown: +0.0 points"),
    ],
)
def test_one_test_in_short(without, with_saliency, says):
    sentence = words.in_short(compare(two_arms(first(without, 100), first(with_saliency, 100))))
    assert sentence.startswith(says) and sentence.endswith("of accuracy; the paper has +8.4.")


def test_several_tests_in_short():
    base, better = first(0.5, 100), first(0.9, 100)
    runs = {Arm("vgg16", 0.0): Run(answers(base)), Arm("vgg16", 0.1): Run(answers(base))}
    runs[Arm("vgg16", 0.3)] = Run(answers(better))
    sentence = words.in_short(compare(runs, repetitions=500))
    said = "Of 2 arms with saliency, 1 is shown to be better and none to be worse than without it; "
    said += "the largest difference is that of vgg16, ratio 30 %, +40.0 points (95 % interval +"
    assert sentence.startswith(said)
    assert (
        words.in_short(compare({Arm("vgg16", 0.0): Run(answers(base))})) == "Nothing was compared."
    )


def test_a_claim_in_one_sentence():
    row = {"claim": "x", "text": "It has less variance.", "value": 0.6123, "low": 0.6, "high": 0.62}
    row |= {"unit": "of the whole", "p": None, "verdict": "holds"}
    assert words.claim(row) == (
        "It has less variance: 0.612 of the whole (95 % interval 0.6 to 0.62)."
    )
    points = row | {"value": 8.04, "low": -0.26, "high": 16.0, "unit": "points", "p": 0.0612}
    assert words.claim(points) == (
        "It has less variance: +8.0 points (95 % interval -0.3 to +16.0; p = 0.061)."
    )
    loss = row | {"value": -0.0041, "low": -0.0062, "high": 0.002, "unit": "", "p": 0.02}
    assert words.claim(loss) == (
        "It has less variance: -0.004 (95 % interval -0.006 to +0.002; p = 0.02)."
    )
    assert words.claim({"text": "Eyes lead", "value": None, "unit": ""}) == "Eyes lead."
    alone = {"text": "Eyes lead", "value": 3, "unit": "to 1", "low": None}
    assert words.claim(alone) == "Eyes lead: 3 to 1."


def test_only_the_papers_arm_has_a_lift():
    assert words.claimed_lift("gender", Arm("alexnet-caffe", 0.3)) == pytest.approx(8.4)
    for arm in (Arm("alexnet", 0.5), Arm("alexnet", 0.0), Arm("vgg16", 0.3)):
        assert words.claimed_lift("gender", arm) is None


def test_trainings_and_data_are_named():
    comparison = compare(two_arms(first(0.6, 100), first(0.9, 100)))
    assert (words.trainings(comparison), words.title(comparison)) == ("5 folds", "gender")
    named = {"utkface": "UTKFace", "synthetic": "drawn faces", "mine": "mine"}
    for data, title in named.items():
        assert words.data(replace(comparison, provenance={"data": data})) == title
    arm = comparison.arms[0]
    rows = [{"fold": fold, "seed": seed} for fold in (0,) for seed in (0, 1, 2)]
    seeded = replace(comparison, arms=[replace(arm, folds=rows)])
    assert words.trainings(seeded) == "1 fold × 3 seeds"


# --- beside the paper -----------------------------------------------------------------------------


def test_the_papers_figures_stand_beside_their_arms():
    table = words.beside_paper(age_comparison()).set_index("arm")
    columns = ["accuracy", "± accuracy", "mean_recall", "± mean_recall", "paper", "± paper"]
    assert list(table) == columns
    papers = table[["paper", "± paper"]]
    assert papers.loc["alexnet, without saliency"].tolist() == [52.2, 3.9]
    assert papers.loc["alexnet, ratio 30 %"].tolist() == [62.11, 3.2]
    assert papers.loc[["alexnet, ratio 90 %", "alexnet-gap, ratio 30 %"]].isna().all(axis=None)
    assert table.accuracy.tolist() == [50.0] * 4 and table["± accuracy"].isna().all()


def test_the_papers_other_networks_stand_beside_theirs_with_saliency_alone():
    run = Run(answers(first(0.5, 40)))
    arms = [Arm(network, ratio) for network in ("vgg16", "gilnet") for ratio in (0.0, 0.3, 0.5)]
    comparison = compare(dict.fromkeys(arms, run))
    table = words.beside_paper(comparison).set_index("arm")[["paper", "± paper"]]
    assert table.loc["gilnet, ratio 30 %"].tolist() == [89.8, 1.3]
    assert table.loc["vgg16, ratio 30 %", "paper"] == 93.4
    assert table.paper.notna().sum() == 2
    (note,) = words.notes(comparison)
    assert note.startswith('vgg16: the paper says "about 1.6 %" better than AlexNet')


def test_where_the_paper_has_nothing_the_columns_are_there():
    comparison = compare({Arm("shipped", 0.3): Run(answers(first(0.5, 40)))})
    assert comparison.tests == words.verdicts(comparison) == []
    assert words.beside_paper(comparison)["paper"].isna().all()


def test_layers_are_named_in_a_line_per_network():
    training = Training(("fc6", "fc7", "fc8"), ("conv1", "conv2", "fc6", "fc7"), (), ())
    runs = two_arms(first(0.5, 20), first(0.6, 20))
    comparison = compare({arm: Run(run.predictions, training) for arm, run in runs.items()})
    line = "alexnet: trained fc6–fc8; from ImageNet conv1–fc7; from random weights fc8."
    assert words.notes(comparison) == [line]


def test_only_age_needs_the_note_on_mean_recall():
    (line,) = words.notes(age_comparison())
    assert line.startswith("The paper's 62.11 % is mean recall")
    assert words.notes(compare(two_arms(first(0.5, 20), first(0.6, 20)))) == []


def test_what_is_not_known_is_left_out():
    found = [
        words.plus_minus(*pair)
        for pair in ((62.11, 3.2), (62.11, np.nan), (np.nan, 1), (None, None))
    ]
    assert found == ["62.1 ± 3.2", "62.1", "–", "–"]
