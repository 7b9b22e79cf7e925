"""The paper's figures: typed in whole, held against each other, and against what the library does."""

import importlib
import re
import subprocess
import sys
from inspect import signature
from math import isnan
from statistics import stdev

import numpy as np
import pandas as pd
import pytest
from conftest import REPOSITORY, data_folder

from safbage import classifiers, datasets, evaluation, paper, tasks, training
from safbage.experiments import reproduction
from safbage.paper import consistency, tables
from safbage.tasks import AGE_GROUPS, EXPRESSIONS


def disagreement(*words):
    """The values of the one check whose place and figure hold these words, which does not agree."""
    (check,) = [c for c in paper.CHECKS if all(word in f"{c.where}, {c.what}" for word in words)]
    assert not check.agrees
    return tuple(round(value, check.digits) for value in check.values)


# --- Tables 2, 3 and 6 ----------------------------------------------------------------------------


def test_headline_results():
    found = paper.results("age").set_index("method")
    assert found.value.to_dict() == {"without saliency": 52.2, "with saliency": 62.11}
    assert found.error.to_dict() == {"without saliency": 3.9, "with saliency": 3.2}
    assert found.value["with saliency"] == paper.DIAGONAL_MEANS[4]
    both = paper.results()
    assert both.groupby("task").size().to_dict() == {"age": 2, "gender": 2, "expression": 2}
    places = both.drop_duplicates("task").set_index("task")["where"].to_dict()
    assert places == {"age": "Table 2", "gender": "Table 3", "expression": "Table 6"}
    assert {"MiVOLOv2", "POSTER V2"} <= set(paper.results(later=True).method) and set(
        both.method
    ) == {paper.WITH, paper.WITHOUT}
    with pytest.raises(ValueError, match="age, gender, expression; got 'mood'"):
        paper.results("mood")


@pytest.mark.parametrize(
    "task, references, best",
    [
        ("age", [28, 27, 27, 37, 33], 61.3),
        ("gender", [28, 32, 38, 27, 27, 33], 91.0),
        ("expression", [40, 39, 36], 64.53),
    ],
)
def test_the_tables_list_others_in_rising_order_and_end_with_saliency(task, references, best):
    table = paper.results(task, others=True)
    others = table[table.reference.notna()]
    assert others.reference.astype(int).tolist() == references and others.value.max() == best
    assert table.value.is_monotonic_increasing and table.method.is_unique
    assert table.method.iloc[-1] == paper.WITH
    for row in others.itertuples():
        assert row.source == paper.REFERENCES[row.reference][0] and row.source in row.method
    assert len(paper.results(others=True)) == 7 + 8 + 5


def test_methods_are_told_apart_and_noted():
    table = paper.results(others=True).set_index("method")
    assert {"Levi and Hassner 2015, single crop", "Levi and Hassner 2015, multi crop"} < set(
        table.index
    )
    assert "eight expressions" in table.note["Hewitt and Gunes 2018"]
    noted = table.note[table.reference.notna() & (table.note != "")]
    assert sorted(noted.index) == ["Hassner et al. 2015", "Hewitt and Gunes 2018"]


def test_every_reference_is_of_a_table():
    listed = {row.reference for table in paper.TABLES.values() for row in table} - {None}
    assert listed == set(paper.REFERENCES)


def test_the_ablations_are_of_networks_that_the_library_has():
    vgg16, gilnet = paper.ABLATIONS
    assert (gilnet.value, gilnet.error) == (89.8, 1.3)
    (alexnet,) = [row.value for row in paper.TABLES["gender"] if row.method == paper.WITH]
    assert vgg16.value == pytest.approx(alexnet + 1.6) and isnan(vgg16.error)
    assert f"{1.016 * alexnet:.1f} as a share" in vgg16.note
    beside = [paper.beside_alexnet(name) for name in ("vgg16", "gilnet", "resnet50")]
    assert beside == [1.6, -2.0, None]
    assert {vgg16.method, gilnet.method} <= set(tasks.NETWORKS)


# --- Tables 1, 4 and 5 ----------------------------------------------------------------------------


def test_table_1_adds_up():
    split = paper.split()
    assert tuple(split.sum()) == tables.TABLE_1_TOTALS and split.to_numpy().sum() == 287_400
    shares = split.validation / (split.train + split.validation)
    assert shares.round(3).eq(0.2).all()  # a fifth validates


def test_the_reader_of_affectnet_divides_as_table_1():
    split = paper.split()
    default = signature(datasets.affectnet).parameters["validation"].default
    assert default == pytest.approx(split.validation.sum() / 283_900, abs=1e-4)


def test_table_1_has_one_picture_less_than_affectnet_publishes():
    from safbage.datasets.readers.affectnet import PUBLISHED

    assert (paper.split()[["train", "validation"]].sum().sum(), 3500) == (
        PUBLISHED["train"] - 1,
        PUBLISHED["test"],
    )


def test_table_4_comes_to_its_mean_recall():
    recalls = np.diag(paper.confusion(4))
    assert list(recalls) == [92.1, 70.2, 52.8, 36.3, 88.4, 29.2, 47.8, 80.1]
    assert round(paper.diagonal_mean(paper.confusion(4)), 2) == paper.DIAGONAL_MEANS[4]
    assert (paper.confusion(4).sum(axis=1).round(6) == 100).tolist() == [
        name != "4-6" for name in AGE_GROUPS
    ]


def test_table_4_as_accuracy():
    """Weighed by Adience's own counts, it is another figure than the mean recall."""
    accuracy = np.average(np.diag(paper.confusion(4)), weights=tables.ADIENCE_FACES)
    assert round(accuracy, 1) == paper.AGE_ACCURACY != round(paper.DIAGONAL_MEANS[4], 1)


def test_adiences_counts_are_those_of_its_fold_files():
    folder = data_folder("adience")
    faces = datasets.adience(folder, require_files=False).faces
    assert tuple(faces.age_group.value_counts()[list(AGE_GROUPS)]) == tables.ADIENCE_FACES
    lines = [path.read_text().splitlines()[1:] for path in folder.glob("fold_*_data.txt")]
    lines = [line for file in lines for line in file]
    assert len(lines) == 19_487 and len(set(lines)) == 19_487 - 117  # section 3.3's images


def test_table_5s_counts_are_its_percentages():
    assert (evaluation.percent(paper.counts()).round(1) == paper.confusion(5)).all(axis=None)
    assert (paper.counts().sum(axis=1) == paper.split().test).all()
    scores = evaluation.matrix_scores(paper.counts())
    assert np.trace(paper.counts()) == 2368
    assert (
        round(100 * scores["accuracy"], 2)
        == round(100 * scores["mean_recall"], 2)
        == paper.DIAGONAL_MEANS[5]
    )
    assert round(paper.diagonal_mean(paper.confusion(5)), 2) == paper.DIAGONAL_MEANS[5]


@pytest.mark.parametrize("table, classes", [(4, AGE_GROUPS), (5, EXPRESSIONS)])
def test_confusions_have_labels_and_answers_in_order(table, classes):
    percent = paper.confusion(table)
    assert list(percent.index) == list(percent.columns) == list(classes)
    assert (percent.index.name, percent.columns.name) == ("label", "answer")
    assert percent.loc[classes[1], classes[0]] == {4: 22.2, 5: 3.8}[table]  # rows are labels


def test_there_are_two_confusion_matrices():
    with pytest.raises(ValueError, match="Table 4"):
        paper.confusion(3)


def test_a_printed_row_is_averaged_as_it_is():
    printed = pd.DataFrame([[80.0, 21.8], [40.0, 60.0]], ["a", "b"], ["a", "b"])
    assert paper.diagonal_mean(printed) == 70
    assert 100 * evaluation.matrix_scores(printed)["mean_recall"] == pytest.approx(
        (80 / 1.018 + 60) / 2
    )
    none = evaluation.percent(pd.DataFrame([[1, 0], [0, 0]], ["a", "b"], ["a", "b"]))
    with pytest.raises(ValueError, match="no recall is known of b"):
        paper.diagonal_mean(none)


# --- the recipes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("task", paper.RECIPES)
def test_the_librarys_recipes_are_as_stated(task):
    stated, ours = paper.RECIPES[task], training.RECIPES[task]
    for name in ("epochs", "rate", "drop_after", "dropout", "batch"):
        assert getattr(ours, name) == getattr(stated, name), name
    assert len(ours.variants) == stated.pictures and ours.class_weighted == stated.weighted
    assert classifiers.network("alexnet").trained_from[task] == stated.layers[0]


def test_the_full_scale_has_the_ratios_of_figure_3():
    assert reproduction.SCALES["full"].ratios == (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)


# --- where it says two things ---------------------------------------------------------------------


def test_contradictions_by_hand():
    assert disagreement("Table 4, row 4-6") == (101.8, 100)
    assert disagreement("38-43", "in the text") == (27.3, 29.2)
    assert disagreement("gender", "standard error") == (1.2, 1.7)
    assert disagreement("anger", "in the text") == (62.4, 62.8)
    assert disagreement("expression with saliency", "Table 5") == (67.65, 67.66)
    assert disagreement("over the age groups") == (
        3.2,
        round(stdev(np.diag(tables.TABLE_4)) / 8**0.5, 1),
    )
    assert disagreement("neutral", "wrong answer") == (3.8, 8.8)
    assert len(paper.CONTRADICTIONS) == sum(not check.agrees for check in paper.CHECKS) == 7


def test_all_else_that_it_gives_twice_agrees():
    agreeing = [check for check in paper.CHECKS if check.agrees]
    assert len(agreeing) == len(paper.CHECKS) - 7
    places = [check.where for check in agreeing]
    assert sum(" answered " in place for place in places) == 7 * 7
    assert sum(place.startswith("Table 4, row") for place in places) == 7
    assert {"section 3.1", "age with saliency", "expression happy"} <= set(places)
    called = [f"{check.where}, {check.what}" for check in agreeing if "called" in check.what]
    assert called == [
        "age 38-43, recall, called the lowest, and the lowest in Table 4",
        "expression happy, recall, called the highest, and the highest in Table 5",
        "expression neutral, recall, called the lowest, and the lowest in Table 5",
    ]
    assert [check.values for check in agreeing if check.where == "expression neutral"] == [
        (62.4, 62.4),
        (62.4, 62.4),
    ]
    leads = [check for check in agreeing if check.what.startswith("points before")]
    assert [(check.values[0], round(check.values[1], 2)) for check in leads] == [
        (0.8, 0.81),
        (0.8, 0.8),
        (3, 3.12),
        (3.12, 3.12),
    ]


@pytest.mark.parametrize(
    "values, digits, agrees",
    [
        ((0.8, 0.81), 1, True),
        ((0.8, 0.851), 1, False),
        ((62.11, 62.1125), 2, True),
        ((5, 6), 0, False),
    ],
)
def test_figures_agree_to_the_digits_printed(values, digits, agrees):
    assert paper.Check("", "", values, digits).agrees == agrees


@pytest.mark.parametrize(
    "entry", (*paper.CONTRADICTIONS, *paper.IN_WORDS), ids=lambda e: e["where"]
)
def test_contradictions_are_contradictions(entry):
    assert set(entry) == {"where", "what", "values"}
    assert len(set(entry["values"])) == len(entry["values"]) >= 2


def test_the_text_cites_other_methods_than_table_2_lists():
    (entry,) = [entry for entry in paper.IN_WORDS if entry["where"].startswith("Table")]
    assert entry["where"] == "Table 2"
    assert entry["values"] == ("[28], [29], [33], [37]", "[27], [28], [33], [37]")


def test_words_that_follow_from_figures():
    said = {entry["what"]: entry["values"] for entry in paper.IN_WORDS}
    (leads,) = [values for what, values in said.items() if what.startswith("points before")]
    assert leads == ("nearly 3", "more than 3.12", "3.12")
    (lowest,) = [values for what, values in said.items() if what.startswith("lowest")]
    assert lowest == ("neutral", "neutral and anger")  # 62.4 both, in the text


def section_of_fidelity(title):
    page = (REPOSITORY / "docs" / "fidelity.md").read_text(encoding="utf-8")
    return page.split(f"## {title}")[1].split("\n## ")[0]


def test_the_page_on_fidelity_tells_them_all():
    page = (REPOSITORY / "docs" / "fidelity.md").read_text(encoding="utf-8")
    section, in_words = section_of_fidelity("Where the paper contradicts itself").split(
        "Nine more are in words"
    )
    told = [line.strip("| ").split(" | ") for line in in_words.splitlines() if "|" in line][2:]
    assert told == [
        [entry["where"], entry["what"], " / ".join(entry["values"])] for entry in paper.IN_WORDS
    ]
    assert len(told) == 9
    rows = [line for line in section.splitlines() if line.startswith("|")][2:]
    assert f"{len(paper.CHECKS)} figures" in section and len(rows) == len(paper.CONTRADICTIONS)
    for entry in paper.CONTRADICTIONS:
        numbers = [
            rf"(?<![\d.]){re.escape(format(value, 'g'))}(?![\d%]|\.\d)" for value in entry["values"]
        ]
        assert [row for row in rows if all(re.search(number, row) for number in numbers)], entry
    assert f"{paper.AGE_ACCURACY} %" in page and f"{paper.DIAGONAL_MEANS[4]} %" in page


def together(*errors):
    """The standard error of a difference."""
    return sum(error**2 for error in errors) ** 0.5


def test_the_page_on_fidelity_computes_how_much_the_figures_can_tell():
    text = " ".join(section_of_fidelity("How much its own figures can tell").split())
    found = paper.results(others=True).set_index(["task", "method"])
    values, errors = found.value, found.error
    age = together(errors["age", paper.WITHOUT], errors["age", paper.WITH])
    assert f"Age: {paper.lift('age'):.1f} ± {age:.1f} points, two standard errors" in text
    assert round(paper.lift("age") / age) == 2
    gender = [together(errors["gender", paper.WITHOUT], error) for error in (1.2, 1.7)]
    assert f"Gender: {paper.lift('gender')} ± {gender[0]:.1f}, or ± {gender[1]:.1f}" in text
    binomial = {
        method: (value * (100 - value) / 3500) ** 0.5
        for method, value in values["expression"].items()
    }
    both = together(binomial[paper.WITHOUT], binomial[paper.WITH])
    assert (
        f"{values['expression', paper.WITH] - values['expression', paper.WITHOUT]:.3f}" == "8.450"
    )
    assert f"8.5 ± {both:.1f}" in text
    dehghan = errors["age", "Dehghan et al. 2017"]
    lead = consistency.lead_over("age", 33)
    assert f"{lead:.1f} ± {together(dehghan, errors['age', paper.WITH]):.1f} points before" in text
    both = together(binomial["Mollahosseini, Hasani and Mahoor 2017"], binomial[paper.WITH])
    assert f"{consistency.lead_over('expression', 36):.1f} ± {both:.1f} before" in text
    levi = [value for method, value in values["gender"].items() if method.startswith("Levi")]
    (gilnet,) = [row.value for row in paper.ABLATIONS if row.method == "gilnet"]
    assert f"({levi[0]} and {levi[1]} in Table 3)" in text
    assert min(levi) > values["gender", paper.WITHOUT] and f"GilNet has {gilnet}" in text
    assert f"{gilnet - max(levi):.1f} points more" in text
    levi = [value for method, value in values["age"].items() if method.startswith("Levi")]
    without = f"{values['age', paper.WITHOUT]:.1f}"
    assert f"{without}, against GilNet's {levi[0]} and {levi[1]} in Table 2" in text


def test_the_page_on_fidelity_names_what_there_is():
    """Every name in it that begins with a module of this library leads somewhere."""
    page = (REPOSITORY / "docs" / "fidelity.md").read_text(encoding="utf-8")
    names = re.findall(
        r"`((?:faces|paper|plots|training|tasks|saliency|evaluation|datasets)\.[\w.]+)", page
    )
    assert len(set(names)) > 10
    for name in names:
        module, attributes = name.split(".")[0], name.split(".")[1:]
        found = importlib.import_module(
            "safbage.show.plots" if module == "plots" else f"safbage.{module}"
        )
        for attribute in attributes:
            found = getattr(found, attribute)


def test_saliency_lifts_by_the_points_that_the_tables_give():
    lifts = {task: paper.lift(task) for task in paper.TABLES}
    assert lifts == pytest.approx({"gender": 8.4, "age": 9.91, "expression": 8.45})
    with pytest.raises(KeyError):
        paper.lift("race")


def test_importing_it_is_light():
    code = "import sys, safbage.paper; sys.exit(any(name in sys.modules for name in ('numpy', 'pandas', 'keras')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
