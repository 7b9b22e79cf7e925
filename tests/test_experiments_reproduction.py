"""The command that reproduces the paper, end to end: without any data set, at its smallest scale, twice."""

import json
from html.parser import HTMLParser

import pytest
from conftest import command

from safbage import experiments
from safbage.classifiers import imagenet
from safbage.errors import WeightsError
from safbage.experiments import reproduction

SMOKE = reproduction.SCALES["smoke"]


def reproduce(output):
    done = command("reproduce", "--scale", "smoke", "--output", output)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """The output folder of a first run, and what the command printed."""
    output = tmp_path_factory.mktemp("reproduction") / "smoke"
    return output, reproduce(output)


class Page(HTMLParser):
    """Pictures, tables and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.pictures, self.tables, self.links, self.text = [], 0, [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tables += tag == "table"
        self.links += [attrs[name] for name in ("href", "src") if name in attrs]
        if tag == "img":
            self.pictures.append(attrs)

    def handle_data(self, data):
        self.text += data


@pytest.mark.slow
def test_every_experiment_has_its_arms_tests_and_verdicts(first):
    output, done = first
    reports = experiments.saved(output / "results")
    assert set(reports) == set(reproduction.EXPERIMENTS)
    arms = {name: {(arm["network"], arm["ratio"]) for arm in report["arms"].values()} for name, report in reports.items()}
    both = {(SMOKE.network, 0.0), (SMOKE.network, 0.3)}
    assert arms["gender"] == arms["age"] == arms["expression"] == both
    assert arms["ratios"] == {(SMOKE.network, ratio) for ratio in SMOKE.ratios}
    assert arms["networks"] == {(network, ratio) for network in SMOKE.networks for ratio in (0.0, 0.3)}
    for name, report in reports.items():
        assert len(report["verdict"]) == len(report["tests"]) == len(report["arms"]) - len({n for n, _ in arms[name]})
        assert all(len(arm["folds"]) == SMOKE.folds for arm in report["arms"].values())
        assert report["provenance"]["data"] == "synthetic" and report["provenance"]["seconds"] > 0
        assert all(line in done.stderr for line in report["verdict"])


@pytest.mark.slow
def test_the_page_has_all_of_it(first):
    output, done = first
    assert done.stdout.split()[-1] == str(output / "report.html")
    page = Page((output / "report.html").read_text(encoding="utf-8"))
    for report in experiments.saved(output / "results").values():
        assert report["experiment"]["title"] in page.text
        assert all(line in page.text and name in page.text for line in report["verdict"] for name in report["arms"])
    captions = [picture["alt"] for picture in page.pictures]
    assert len(set(captions)) == len(captions) > 12 and all(len(caption) > 10 for caption in captions)
    assert sum(caption.startswith("Figure 3 remade") for caption in captions) == 2
    assert page.tables == len(reproduction.EXPERIMENTS) + 2  # contradictions and times
    assert all(link.startswith("data:image/png;base64,") for link in page.links)  # the page calls nobody


def times(output):
    """When pictures, shards, features and trainings were written."""
    names = ("face-*.jpg", "part-*.parquet", "features.npy", "metrics.json")
    return {path: path.stat().st_mtime_ns for name in names for path in output.rglob(name)}


@pytest.mark.slow
def test_a_second_run_finds_all_done(first):
    output, _ = first
    kept = times(output)
    assert len(kept) > 20
    results = {path.name: json.loads(path.read_text()) for path in (output / "results").glob("*.json")}
    before = reproduction.timings(output)
    reproduce(output)
    assert times(output) == kept
    for name, report in results.items():
        again = json.loads((output / "results" / name).read_text())
        assert again["arms"] == report["arms"] and again["verdict"] == report["verdict"]
    more = {stage: seconds - before[stage] for stage, seconds in reproduction.timings(output).items()}
    assert sum(more.values()) < 0.5 * sum(before.values())


@pytest.mark.slow
def test_one_experiment_can_be_run_alone(first):
    output, _ = first
    kept = times(output)
    reports = reproduction.reproduce(output, "smoke", only=["ratios"], progress=False)
    assert list(reports) == ["ratios"] and times(output) == kept


def test_an_unknown_experiment_is_refused_with_those_there_are(tmp_path):
    with pytest.raises(ValueError, match=r"no experiment 'ratio'; there are gender, age, expression, ratios, networks"):
        reproduction.reproduce(tmp_path, "smoke", only=["ratio"])


def test_weights_that_cannot_be_had_are_told_before_anything_runs(tmp_path, monkeypatch):
    def missing():
        raise WeightsError("no internet")

    monkeypatch.setitem(imagenet.SOURCES, "gilnet", missing)  # of the last experiment
    with pytest.raises(WeightsError, match="no internet"):
        reproduction.reproduce(tmp_path, "smoke", progress=False)
    assert not list(tmp_path.iterdir())
