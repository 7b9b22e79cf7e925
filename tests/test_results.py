"""The project's own results: each is whole, tells how it was made, and stands on the pages as it was measured. And the README,
which sums them up: short, its call prints what it shows, its links and those of all pages lead somewhere."""

import json
import re
from dataclasses import replace
from urllib.parse import unquote

import pytest
import results_page
from conftest import REPOSITORY

from safbage import SafBage, experiments, paper
from safbage.experiments import reproduction
from safbage.experiments.claims import HOLDS, OPEN
from safbage.show import markdown

RESULTS = results_page.load()
MAIN = {name: RESULTS[name] for name in results_page.MAIN}
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
PAGE = (REPOSITORY / "docs" / "results.md").read_text(encoding="utf-8")
TEXTS = [
    path
    for pattern in ("*.md", "docs/*.md", "data/*.md", "notebooks/*.md", "safbage/trained/*.md")
    for path in sorted(REPOSITORY.glob(pattern))
]


def test_there_are_results():
    assert set(RESULTS) == set(reproduction.EXPERIMENTS)


@pytest.mark.parametrize("name", RESULTS)
def test_the_page_of_results_shows_what_was_measured(name):
    assert markdown.comparison(RESULTS[name]).strip() in PAGE


def test_the_page_of_results_has_a_row_for_every_claim():
    tables = results_page.claims(RESULTS)
    rows = [line for line in tables.splitlines() if re.match(r"\| (?!in )\w", line)]
    judged = sum(len(measured.claims) for measured in RESULTS.values())
    assert judged and len(rows) == judged + len(results_page.ON_PARTS)
    assert tables in PAGE


@pytest.mark.parametrize("text", [README, PAGE], ids=["README", "page"])
def test_the_headline_stands_beside_the_paper_and_what_it_comes_to_below(text):
    assert results_page.headline(RESULTS) in text
    assert results_page.summary(RESULTS) in text
    assert results_page.filled(text, RESULTS) == text, "run python docs/book/results_page.py"


@pytest.mark.parametrize("text", [README, PAGE], ids=["README", "page"])
def test_the_paper_claims_what_is_said(text):
    said = re.search(r"([\d.]+) points for gender, ([\d.]+) for age and ([\d.]+) for expr", text)
    for name, points in zip(MAIN, said.groups(), strict=True):
        assert float(points) == pytest.approx(paper.lift(name), abs=0.051)


def test_that_nothing_is_added_is_what_was_measured():
    """As README and the page of results say beside the tables."""
    assert "**it adds nothing that can be shown**" in README
    assert "No training with saliency is shown to be better than its twin without." in PAGE
    for name, measured in RESULTS.items():
        figure = experiments.FIGURES[measured.task]
        for found in (getattr(test, figure) for test in measured.tests if test.arm.loss != "plain"):
            assert found["p_holm"] >= experiments.LEVEL or found["difference"] < 0, name


def test_sizes_are_those_of_the_results():
    gender, age, expression = MAIN.values()
    faces = [f"{measured.arms[0].faces:,}" for measured in (gender, age, expression)]
    said = f"{faces[0]} with a gender and {faces[1]} with one of the eight age groups"
    assert said in PAGE and f"{faces[2]} faces of FER2013" in PAGE
    made = [measured.provenance for measured in MAIN.values()]
    assert [of["recipe"]["epochs"] for of in made] == [8, 8, 15]
    assert [(len(of["folds"]), len(of["seeds"])) for of in made] == 3 * [(5, 2)]
    assert {of["data"] for of in made[:2]} == {"utkface"} and made[2]["data"] == "fer2013"
    assert {of["prepared"]["options"]["saliency"] for of in made} == {"mlnet"}
    for text in (README, PAGE):
        assert "five folds with two seeds" in " ".join(text.split())
    assert "8 epochs (expression 15) instead of its 30 and 40" in " ".join(README.split())
    assert "8 epochs instead of 30 (gender, age) and 15 instead of 40 (expression)" in PAGE
    for measured in MAIN.values():
        training = measured.arms[0].training
        drawn = set(training.trained_layers) - set(training.imagenet_layers)
        assert drawn == {"fc6", "fc7", "fc8"} and not training.frozen_at_random
    ratios, networks = (RESULTS[name].arms[0].faces for name in ("ratios", "networks"))
    parts = json.loads((REPOSITORY / "benchmarks" / "facial_parts.json").read_text("utf-8"))[
        "parts"
    ]
    said = f"ratios and clipping ({ratios:,} faces, 8 epochs, two seeds), other networks ({networks:,} faces, 8 epochs, two seeds)"
    assert said in PAGE and f"parts ({parts[0]['faces']} faces" in " ".join(PAGE.split())
    for name, seeds in (("ratios", [0, 1]), ("networks", [0, 1])):
        made = RESULTS[name].provenance
        assert made["seeds"] == seeds and made["recipe"]["epochs"] == 8
    trained = {len(result.folds) for result in expression.arms if result.arm.loss == "plain"}
    assert trained == {9} and "one training of the ten is missing" in PAGE


def judged(name, claim, verdict):
    """The results with another verdict on a claim of one experiment."""
    rows = [
        row | {"verdict": verdict} if row["claim"] == claim else row for row in RESULTS[name].claims
    ]
    return RESULTS | {name: replace(RESULTS[name], claims=rows)}


@pytest.mark.parametrize("name", results_page.MAIN)
def test_a_sentence_that_results_do_not_bear_is_not_written(name):
    with pytest.raises(ValueError, match=r"The sentence on lift .* says 'does not hold'"):
        results_page.summary(judged(name, "lift", HOLDS))
    with pytest.raises(ValueError, match="The sentence on epochs"):
        results_page.summary(judged(name, "epochs", HOLDS))
    with pytest.raises(ValueError, match="The sentence on area"):
        results_page.summary(judged(name, "area", HOLDS if name == "age" else OPEN))


@pytest.mark.parametrize(
    ("name", "claim"),
    [("expression", "rarest class"), ("ratios", "clipping"), ("expression", "weighted loss")],
)
def test_nor_is_any_other(name, claim):
    with pytest.raises(ValueError, match=f"The sentence on {claim}"):
        results_page.summary(judged(name, claim, OPEN))


@pytest.mark.parametrize("pair", ["saliency - area", "ratio 30 % - area"])
def test_nor_that_on_facial_parts(monkeypatch, pair):
    parts = results_page.facial_parts()
    parts[pair] |= {"difference": -parts[pair]["difference"]}
    monkeypatch.setattr(results_page, "facial_parts", lambda: parts)
    with pytest.raises(ValueError, match="The sentence on facial parts"):
        results_page.summary(RESULTS)


def of_ratios(*shown, better=()):
    """What is said of ratios where these differ from none."""
    tests = [
        replace(
            test,
            accuracy=test.accuracy
            | {"p_holm": 0.01 if test.arm.ratio in shown else 0.2}
            | {"difference": 0.02 if test.arm.ratio in better else -0.02},
        )
        for test in RESULTS["ratios"].tests
        if test.arm.ratio in (0.1, 0.3, 0.9) and test.arm.mode == "blend"
    ]
    return results_page.of_ratios(replace(RESULTS["ratios"], tests=tests))


def test_ratios_are_told_that_cost_something():
    assert of_ratios().endswith("faces, none is shown to change accuracy.")
    assert of_ratios().startswith("Of the ratios 10, 30 and 90 %, on ")
    end = "accuracy, and no other is shown to change it."
    assert re.search(
        rf"faces, too much is worse: 90 % \([-+][\d.]+ points, [^)]+\) costs {end}$", of_ratios(0.9)
    )
    both = of_ratios(0.3, 0.9)
    assert re.search(
        rf"faces, too much is worse: 30 % \([^)]+\) and 90 % \([^)]+\) cost {end}$", both
    )
    assert of_ratios(0.9, better=[0.1]) == of_ratios(0.9)
    with pytest.raises(ValueError, match="The sentence on ratios says worse"):
        of_ratios(0.1, 0.9, better=[0.1])


def test_a_page_is_filled_between_its_marks_only():
    text = "a\n<!-- results: headline -->\nold\n<!-- end -->\nb\n"
    made = results_page.filled(text, RESULTS)
    assert made.startswith("a\n<!-- results: headline -->\n| | faces |")
    assert made.endswith("|\n<!-- end -->\nb\n") and "old" not in made
    with pytest.raises(KeyError):
        results_page.filled(text.replace("headline", "nothing"), RESULTS)


CALLS = "safbage reproduce ", "safbage.experiments.cross_validate"
"""What makes a result: the command, or for a machine without the data the call that it makes."""


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_tells_how_it_was_made(name):
    made = RESULTS[name].provenance
    assert made["command"].startswith(CALLS) and "/" not in made["command"]
    assert made["data"] in ("utkface", "fer2013")
    assert (
        made["versions"]["safbage"] and made["prepared"]["weights"] and made["prepared"]["options"]
    )
    assert made["scale"] in reproduction.SCALES and made["folds"] and made["seconds"] > 0
    if not made["command"].startswith("safbage reproduce "):
        task = RESULTS[name].task
        scale = reproduction.SCALES[made["scale"]]
        assert made["recipe"]["epochs"] == scale.epochs[task] and made["data"] == scale.sets[task]
        assert set(made["seeds"]) <= set(scale.seeds) and made["backend"]


# --- the README -----------------------------------------------------------------------------------


def blocks(text, language=r"\w+"):
    """The code blocks of a text."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_readme_is_short():
    """Words, not the bars of its tables."""
    assert len(re.findall(r"\S*\w\S*", README)) <= 1200


NARROW = ["README.md", *(f"docs/{name}.md" for name in ("results", "networks", "use"))]


@pytest.mark.parametrize("name", NARROW)
def test_code_fits_the_width_of_a_page(name):
    text = (REPOSITORY / name).read_text(encoding="utf-8")
    lines = [line for block in blocks(text) for line in block.splitlines()]
    assert lines and [line for line in lines if len(line) > 88] == []


def test_the_readmes_two_commands_set_up_and_test():
    rules = re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text("utf-8"), re.MULTILINE)
    for command in ("demo", "test", "lab", "book"):
        assert f"make {command}" in README and command in rules


def test_the_readmes_call_prints_what_it_shows(model, monkeypatch, capsys):
    monkeypatch.setattr(SafBage, "load", lambda: model)
    (call,), (shown,) = blocks(README, "python"), blocks(README, "text")
    exec(call, {})
    assert capsys.readouterr().out == shown


def anchors(path):
    """What links into a page may point at, as GitHub names its headings."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title) for title in titles)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in plain}


def broken(path, text):
    """The links of a page that lead nowhere."""
    text = re.sub(r"^```.*?^```$|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)
    found = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        place, _, anchor = unquote(link).partition("#")
        target = (path.parent / place).resolve() if place else path
        if link.startswith(("http://", "https://")):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_links_lead_somewhere(path):
    assert broken(path, path.read_text(encoding="utf-8")) == []


def test_a_broken_link_is_found():
    text = "[a](gone.md) [b](LICENSE) [c](#two-commands) [d](docs/use.md#gone) `[e](gone)`\n"
    text += "```text\n[f](gone)\n```\n![g](docs/gone.png) [h](https://a.org/#x) [i](#gone)"
    found = broken(REPOSITORY / "README.md", text)
    assert found == ["gone.md", "docs/use.md#gone", "docs/gone.png", "#gone"]
