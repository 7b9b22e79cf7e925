"""``safbage reproduce``: what it hands to the report. Whole runs are in `test_experiments_reproduction`."""

from pathlib import Path

import pytest
from conftest import command

from safbage.errors import DatasetError
from safbage.experiments import examples, reproduction
from safbage.show import html


@pytest.fixture
def reported(monkeypatch):
    """What the report was asked to show, in place of a run and of its page."""
    asked = []
    monkeypatch.setattr(reproduction, "reproduce", lambda *given, **options: {})
    monkeypatch.setattr(html, "write", lambda *given: asked.append(given))
    return asked


def test_the_report_gets_faces_from_the_folders_that_were_named(tmp_path, monkeypatch, reported):
    monkeypatch.setattr(examples, "of_reproduction", lambda *given: given)
    done = command("reproduce", "--output", tmp_path, "--dataset", "/data/mine", "--dataset", "x")
    assert done.returncode == 0, done.stderr
    ((page, comparisons, timings, histories, faces),) = reported
    assert (page, comparisons, timings) == (tmp_path / "report.html", {}, {})
    assert len(histories) == 0
    assert faces == (tmp_path, {}, {"mine": Path("/data/mine"), "x": Path("x")})


def test_faces_that_cannot_be_read_do_not_cost_the_report(tmp_path, monkeypatch, reported):
    def damaged(*given):
        raise DatasetError("a shard is damaged")

    monkeypatch.setattr(examples, "of_reproduction", damaged)
    done = command("reproduce", "--output", tmp_path)
    assert done.returncode == 0
    assert "The report does without example faces: a shard is damaged" in done.stderr
    assert reported[0][-1] == {} and done.stdout.split()[-1] == str(tmp_path / "report.html")


def test_networks_and_seeds_are_handed_on(tmp_path, monkeypatch, reported):
    asked = {}
    monkeypatch.setattr(reproduction, "reproduce", lambda *given, **of: asked.update(of) or {})
    chosen = ["--network", "alexnet", "--network", "vgg16", "--seeds", "2"]
    done = command("reproduce", "--output", tmp_path, *chosen)
    assert done.returncode == 0, done.stderr
    assert asked["networks"] == ["alexnet", "vgg16"] and asked["seeds"] == 2
    assert command("reproduce", "--output", tmp_path, "--seeds", "0").returncode == 2
