"""What ``safbage predict --output`` writes of films, and that a run that was stopped goes on as if it had not been."""

import json
import shutil

import made_films
import pandas as pd
import pytest
from typer.testing import CliRunner

from safbage import SafBage, films
from safbage.cli import answered, base


@pytest.fixture
def model(light, monkeypatch):
    """The light networks, in batches of four faces."""
    monkeypatch.setattr(SafBage, "load", lambda **options: light)
    monkeypatch.setattr(light, "batch_size", 4)
    return light


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return made_films.apart(tmp_path_factory.mktemp("films") / "people.mp4")


def predict(*arguments):
    return CliRunner().invoke(base.app, ["predict", *map(str, arguments)])


def test_a_film_gives_tables_a_chart_and_a_film(model, film, tmp_path):
    output = tmp_path / "out"
    done = predict(film, "--output", output, "--per-track", "--draw", "webm", "--parquet")
    assert done.exit_code == 0, done.output
    table = pd.read_csv(output / "faces.csv")
    assert len(table) == 12 and sorted(table.track.unique()) == [0, 1, 2]
    assert table.time_s.unique().tolist() == [0, 0.56, 1.04, 1.52]
    tracks = pd.read_csv(output / "tracks.csv")
    assert tracks.frames.tolist() == [4, 4, 4] and "age_agreed" in tracks
    pd.testing.assert_frame_equal(
        pd.read_parquet(output / "tracks.parquet"), tracks, check_dtype=False
    )
    parquet = pd.read_parquet(output / "faces.parquet")
    assert (
        parquet.track.tolist() == table.track.tolist()
        and parquet.age.tolist() == table.age.tolist()
    )
    assert (output / "figures" / "people-tracks.png").stat().st_size > 10_000
    drawn = list(films.frames(output / "figures" / "people.webm", every=0))
    assert len(drawn) == 25 and drawn[0][1].shape == (*made_films.SIZE, 3)
    assert [path.name for path in (output / ".safbage").iterdir()] == ["lock"]
    assert done.stdout.splitlines()[0].startswith("photo,track,frames,first_s,last_s,age")
    assert len(done.stdout.splitlines()) == 4
    assert "faces.csv, tracks.csv, faces.parquet" in done.stderr


@pytest.mark.slow
def test_a_film_that_was_killed_goes_on_to_the_same_table(model, film, tmp_path, monkeypatch):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert predict(film, "--every", "0.2", "--output", whole).exit_code == 0
    real, calls = answered.ResultFolder.take_note, []

    def kill(folder):
        """The third batch is in the table, but not in the note; half of another row follows."""
        calls.append(1)
        if len(calls) == 3:
            with open(folder.folder / "faces.csv", "a") as file:
                file.write("peop")
            raise SystemExit(137)
        real(folder)

    with monkeypatch.context() as patch:
        patch.setattr(answered.ResultFolder, "take_note", kill)
        assert predict(film, "--every", "0.2", "--output", killed).exit_code == 137
    noted = json.loads((killed / ".safbage" / "unfinished.json").read_text())
    done = predict(film, "--every", "0.2", "--output", killed)
    assert done.exit_code == 0 and f"going on after {noted['photos']} photos" in done.stderr
    assert 0 < noted["photos"] < 10
    tables = [pd.read_csv(folder / "faces.csv") for folder in (whole, killed)]
    pd.testing.assert_frame_equal(*tables, atol=2e-4)
    assert not (killed / ".safbage" / "unfinished.json").exists()
    assert len(done.stdout.splitlines()) == 1 + len(tables[0])  # with those of the first run


@pytest.mark.slow
def test_other_settings_begin_anew(model, film, tmp_path, monkeypatch):
    output = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(
            answered.ResultFolder, "finish", lambda *_: (_ for _ in ()).throw(SystemExit(9))
        )
        assert predict(film, "--every", "5", "--output", output).exit_code == 9
    done = predict(film, "--every", "1.5", "--output", output)
    assert done.exit_code == 0 and "going on" not in done.stderr
    assert pd.read_csv(output / "faces.csv").frame.unique().tolist() == [0, 19]


def test_a_damaged_note_begins_anew(model, film, tmp_path):
    (tmp_path / ".safbage").mkdir()
    (tmp_path / ".safbage" / "unfinished.json").write_text("{")
    done = predict(film, "--every", "5", "--output", tmp_path)
    assert done.exit_code == 0 and len(pd.read_csv(tmp_path / "faces.csv")) == 3


@pytest.mark.slow
def test_a_film_among_its_own_results_is_not_answered_again(model, film, tmp_path):
    folder = shutil.copy(film, tmp_path / "a.mp4").parent
    for _ in range(2):
        done = predict(folder, "--every", "5", "--output", folder, "--draw", "mp4", "--per-track")
        assert done.exit_code == 0, done.output
        assert set(pd.read_csv(folder / "faces.csv").photo) == {str(folder / "a.mp4")}


def test_a_film_that_cannot_be_read_fails_with_its_reason(model, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no film")
    done = predict(
        tmp_path / "a.mp4", "--output", tmp_path / "out", "--draw", "webm", "--per-track"
    )
    assert done.exit_code == 1 and "a.mp4 is not a film" in done.stderr
    assert "not one of the photos could be read" in done.stderr


@pytest.mark.parametrize(
    "options, word",
    [
        (["--every", "often"], "0.5s"),
        (["--every", "-1s"], "0.5s"),
        (["--every", "nan"], "0.5s"),
        (["--draw", "webm"], "--draw needs --output"),
        (["--parquet"], "--parquet needs --output"),
        (["--per-track"], "needs a film"),
        (["--detect-every", "0"], "detect-every"),
    ],
)
def test_wrong_options_are_told_before_any_work(tmp_path, monkeypatch, options, word):
    monkeypatch.setattr(SafBage, "load", lambda **_: pytest.fail("it went to work"))
    (tmp_path / "a.jpg").touch()
    done = predict(tmp_path / "a.jpg", *options)
    assert done.exit_code == 2 and word in done.stderr


@pytest.mark.parametrize(
    "text, seconds", [("0.5s", 0.5), ("200ms", 0.2), ("2", 2.0), (" 1 S", 1.0), ("0", 0.0)]
)
def test_a_time_has_a_unit_or_is_inseconds_of(text, seconds):
    from safbage.cli import predict as command

    assert command.seconds_of(text) == pytest.approx(seconds)
