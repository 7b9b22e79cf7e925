"""The paper at the push of a button: with a tiny network, and with the networks of its smallest scale, twice."""

import html
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from conftest import command
from test_runtime_work import waits

from safbage import datasets, experiments, paper
from safbage.classifiers import gilnet
from safbage.datasets import preparation
from safbage.errors import DatasetError, WeightsError, WorkError
from safbage.experiments import Arm, reproduction
from safbage.show import words
from safbage.tasks import BOX, LABELS

SMOKE = replace(  # its networks and all its arms, on fewer faces and for one epoch
    reproduction.SCALES["smoke"],
    pictures=dict.fromkeys(LABELS, 96),
    epochs=dict.fromkeys(LABELS, 1),
)
TINY = reproduction.Scale(
    sets=dict.fromkeys(LABELS, "synthetic"),
    pictures=dict.fromkeys(LABELS, 96),
    epochs=dict.fromkeys(LABELS, 1),
    network="tiny",
    networks=("tiny",),
    ratios=(0.0, 0.3, 0.9),
    folds=2,
    saliency="light",
    imagenet=False,
)


def test_all_experiments_are_reproduced_on_one_page(tmp_path, trainings, monkeypatch):
    monkeypatch.setitem(reproduction.SCALES, "tiny", TINY)
    comparisons = reproduction.reproduce(tmp_path, "tiny", progress=False)
    assert list(comparisons) == list(reproduction.EXPERIMENTS)
    count = len(trainings)
    assert count == 2 * (2 + 2 + 2 + 3 + 2)
    assert {result.arm.ratio for result in comparisons["ratios"].arms} == {0.0, 0.3, 0.9}
    seconds = reproduction.timings(tmp_path)
    assert (
        set(seconds) == {"prepare synthetic", *reproduction.EXPERIMENTS}
        and min(seconds.values()) > 0
    )

    again = command("reproduce", "--scale", "tiny", "--output", tmp_path)
    assert again.returncode == 0, again.stderr
    assert len(trainings) == count  # nothing is trained twice
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for comparison in comparisons.values():
        for line in words.verdicts(comparison):
            assert html.escape(line, quote=False) in html.unescape(page)
    curves = experiments.histories(tmp_path / "work" / "ratios")
    assert len(curves) == 6 and set(curves.ratio) == {0.0, 0.3, 0.9}
    assert page.count("<img alt=") == page.count("<img") > 10
    assert "http" not in re.sub(r"base64,[^\"]*", "", page)


def test_the_second_of_two_reproductions_waits(tmp_path, trainings, prepared):
    options = dict(
        sets=[str(prepared.folder)], only=["gender"], cache=tmp_path / "cache", progress=False
    )
    waited, made = waits(
        tmp_path / "all", lambda: reproduction.reproduce(tmp_path / "all", TINY, **options)
    )
    assert waited and list(made) == ["gender"] and list((tmp_path / "cache").iterdir())


def test_networks_and_seeds_take_the_place_of_the_scales(tmp_path, trainings, prepared):
    scale = replace(TINY, networks=("vgg16", "gilnet"), seeds=(3,))
    chosen = dict(sets=[str(prepared.folder)], only=["networks"], networks=["tiny"], seeds=2)
    made = reproduction.reproduce(tmp_path, scale, **chosen, progress=False)["networks"]
    assert {result.arm.network for result in made.arms} == {"tiny"}
    assert {row["seed"] for result in made.arms for row in result.folds} == {0, 1}
    told = {name: made.provenance[name] for name in ("networks", "seeds", "folds")}
    assert told == {"networks": ["tiny"], "seeds": [0, 1], "folds": [0, 1]}
    assert made.provenance["recipe"]["epochs"] == 1
    assert len(trainings) == 2 * 2 * 2


@pytest.mark.parametrize("content", ["5", "[]", "{", "", '{"gender": "a"}'])
def test_damaged_times_are_named(tmp_path, content):
    (tmp_path / "timings.json").write_text(content)
    with pytest.raises(WorkError, match=r"timings\.json is damaged"):
        reproduction.timings(tmp_path)


def test_a_set_without_labels_for_a_task_leaves_it_out(tmp_path, trainings, prepared):
    keep = ["image", "gender", *BOX]
    faces, _ = datasets.synthetic(
        prepared.folder.parent / "pictures", 40, size=96, pictures_per_subject=2, progress=False
    )
    own = tmp_path / "own"
    preparation.prepare(
        faces[keep], own, preparation.Preparation(detect="box", saliency="light"), progress=False
    )
    comparisons = reproduction.reproduce(tmp_path / "out", TINY, sets=[str(own)], progress=False)
    assert list(comparisons) == ["gender", "ratios", "networks"]


def test_what_cannot_be_reproduced_is_refused(tmp_path):
    with pytest.raises(ValueError, match="smoke, laptop, workstation, full"):
        reproduction.reproduce(tmp_path, "huge")
    with pytest.raises(ValueError, match="seeds is at least 1; got 0"):
        reproduction.reproduce(tmp_path, "smoke", seeds=0)
    with pytest.raises(ValueError, match="no network 'huge'; there are alexnet"):
        reproduction.reproduce(tmp_path, "smoke", only=["networks"], networks=["huge"])
    with pytest.raises(DatasetError, match="UTKFace is not found in"):
        reproduction.reproduce(tmp_path, "laptop", data_dir=tmp_path, progress=False)


def test_nothing_is_trained_where_the_last_training_would_be_refused(tmp_path, prepared, trainings):
    scale, sets = replace(TINY, folds=9), [str(prepared.folder)]
    with pytest.raises(ValueError, match="folds 0, 1, 2, 3, 4; got 5"):
        reproduction.reproduce(tmp_path, scale, sets=sets, only=["gender"], progress=False)
    assert not trainings


# --- the smallest scale ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def smoke():
    """The smallest scale on fewer faces."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(reproduction.SCALES, "smoke", SMOKE)
        yield


def reproduce(output):
    done = command("reproduce", "--scale", "smoke", "--output", output)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def first(smoke, tmp_path_factory):
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
    found = experiments.load_saved(output / "results")
    assert set(found) == set(reproduction.EXPERIMENTS)
    arms = {name: {result.arm for result in of.arms} for name, of in found.items()}
    both = {Arm(SMOKE.network, 0.0), Arm(SMOKE.network, 0.3)}
    assert arms["gender"] == arms["age"] == both
    assert arms["expression"] == both | {Arm(SMOKE.network, 0.3, loss="plain")}
    clipped = Arm(SMOKE.network, 0.3, "clip")
    assert arms["ratios"] == {clipped, *(Arm(SMOKE.network, ratio) for ratio in SMOKE.ratios)}
    assert arms["networks"] == {
        Arm(network, ratio) for network in SMOKE.networks for ratio in (0.0, 0.3)
    }
    for name, comparison in found.items():
        verdicts = words.verdicts(comparison)
        tested = [arm for arm in arms[name] if arm.ratio]
        assert len(verdicts) == len(comparison.tests) == len(tested)
        assert all(len(result.folds) == SMOKE.folds for result in comparison.arms)
        made = comparison.provenance
        assert made["data"] == "synthetic" and made["seconds"] > 0
        assert all(line in done.stderr for line in verdicts)
        saved = json.loads((output / "results" / f"{name}.json").read_text())
        assert saved["verdict"] == verdicts


@pytest.mark.slow
def test_the_page_has_all_of_it(first):
    output, done = first
    assert done.stdout.split()[-1] == str(output / "report.html")
    page = Page((output / "report.html").read_text(encoding="utf-8"))
    for comparison in experiments.load_saved(output / "results").values():
        assert comparison.experiment["title"] in page.text
        assert all(line in page.text for line in words.verdicts(comparison))
        assert all(str(result.arm) in page.text for result in comparison.arms)
    captions = [picture["alt"] for picture in page.pictures]
    assert len(set(captions)) == len(captions) > 12 and all(
        len(caption) > 10 for caption in captions
    )
    for number in range(1, 5):
        remade = [caption for caption in captions if caption.startswith(f"Figure {number} remade")]
        assert len(remade) == 1
    assert page.tables == len(reproduction.EXPERIMENTS) + len(paper.TABLES) + 4
    # one each, the paper's three, the headline, data sets, contradictions and times
    assert all(
        link.startswith(("#", "data:image/png;base64,")) for link in page.links
    )  # the page calls nobody


def times(output):
    """When pictures, shards, features and trainings were written."""
    names = ("face-*.jpg", "part-*.parquet", "features.npy", "metrics.json")
    return {path: path.stat().st_mtime_ns for name in names for path in output.rglob(name)}


@pytest.mark.slow
def test_a_second_run_finds_all_done(first):
    output, _ = first
    kept = times(output)
    assert len(kept) > 20
    results = {
        path.name: json.loads(path.read_text()) for path in (output / "results").glob("*.json")
    }
    before = reproduction.timings(output)
    reproduce(output)
    assert times(output) == kept
    for name, report in results.items():
        again = json.loads((output / "results" / name).read_text())
        assert again["arms"] == report["arms"] and again["verdict"] == report["verdict"]
    more = {
        stage: seconds - before[stage] for stage, seconds in reproduction.timings(output).items()
    }
    assert sum(more.values()) < 0.5 * sum(before.values())


@pytest.mark.slow
def test_one_experiment_can_be_run_alone(first):
    output, _ = first
    kept = times(output)
    comparisons = reproduction.reproduce(output, "smoke", only=["ratios"], progress=False)
    assert list(comparisons) == ["ratios"] and times(output) == kept


def test_an_unknown_experiment_is_refused_with_those_there_are(tmp_path):
    with pytest.raises(
        ValueError,
        match=r"no experiment 'ratio'; there are gender, age, expression, ratios, networks",
    ):
        reproduction.reproduce(tmp_path, "smoke", only=["ratio"])


def test_weights_that_cannot_be_had_are_told_before_anything_runs(tmp_path, monkeypatch):
    def missing():
        raise WeightsError("no internet")

    monkeypatch.setattr(
        gilnet, "NETWORK", replace(gilnet.NETWORK, imagenet=missing)
    )  # of the last experiment
    with pytest.raises(WeightsError, match="no internet"):
        reproduction.reproduce(tmp_path, "smoke", progress=False)
    assert not list(tmp_path.iterdir())
