"""Preparing faces: what comes out, what fails, and that kills, workers and clusters change nothing."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from importlib import metadata

import keras
import numpy as np
import pandas as pd
import pytest
from dask import distributed
from typer.testing import CliRunner

from safbage import cli, faces, images, saliency
from safbage.datasets import preparation
from safbage.datasets.preparation import Preparation, prepare
from safbage.datasets.shards import Prepared
from safbage.errors import DatasetError, WorkError
from safbage.faces import Face
from safbage.tasks import BOX

FAST = Preparation(saliency="light", shard_size=3)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Nine pictures of one woman, brighter and brighter, and three that fail."""
    folder = tmp_path_factory.mktemp("pictures")
    head = images.astronaut()[:260, 90:350]
    rows = []
    for i in range(9):
        path = images.write(
            folder / f"{i}.png", np.clip(head * (0.6 + i / 20.0), 0, 255).astype("uint8")
        )
        rows.append({"image": path, "gender": "female", "age": 34.0, "age_group": None})
    images.write(folder / "blank.png", np.full((90, 90, 3), 80, "uint8"))
    (folder / "torn.jpg").write_bytes(images.encode(head)[:2000])
    for place, name in ((2, "blank.png"), (5, "torn.jpg"), (5, "nowhere.jpg")):
        rows.insert(
            place, {"image": folder / name, "gender": "male", "age": 20.0, "age_group": None}
        )
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def prepared(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    return folder, prepare(table, folder, FAST, progress=False)


def contents(folder):
    """Every file's bytes by its name."""
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def assert_alike(folder, other):
    """The same rows, labels and crops; boxes and maps up to rounding, which depends on the number of threads."""
    one, other = (
        pd.read_parquet(part / "shards").sort_values("row").reset_index(drop=True)
        for part in (folder, other)
    )
    numbers = [*BOX, "score"]
    assert one.drop(columns=[*numbers, "map"]).equals(other.drop(columns=[*numbers, "map"]))
    assert np.allclose(one[numbers], other[numbers], atol=1e-3, equal_nan=True)
    maps = [
        np.stack([np.frombuffer(map, "float16") for map in part["map"]]).astype(float)
        for part in (one, other)
    ]
    assert np.abs(maps[0] - maps[1]).max() < 2e-3


def test_a_picture_that_takes_too_long_costs_its_own_row(table, tmp_path, monkeypatch):
    never, read = threading.Event(), images.read
    monkeypatch.setattr(
        images, "read", lambda path: never.wait() if str(path).endswith("1.png") else read(path)
    )
    monkeypatch.setattr(preparation, "SECONDS", 5)
    done = prepare(table[:3], tmp_path, replace(FAST, detect="none"), progress=False)
    assert len(done) == 2 and done.failed.reason.tolist() == ["took longer than 5 s"]
    never.set()


def test_every_picture_is_prepared_or_says_why_not(table, prepared):
    folder, done = prepared
    assert len(done) == 9 and len(Prepared(folder)) == 9
    failed = done.failed.set_index(done.failed.image.str.split("/").str[-1])
    assert failed.reason["blank.png"] == "no face found"
    assert (
        "torn.jpg is damaged" in failed.reason["torn.jpg"]
        and "no such file" in failed.reason["nowhere.jpg"]
    )
    assert failed.row.tolist() == [2, 5, 6]
    assert len(list((folder / "shards").iterdir())) == 4


def test_crops_maps_and_labels_are_the_pipelines(table, prepared):
    folder, _ = prepared
    opened = Prepared(folder)
    assert opened.table.image.tolist() == [str(path) for path in table.image if path.stem.isdigit()]
    assert (
        opened.table.gender.eq("female").all()
        and opened.table.age.eq(34).all()
        and (opened.table.score > 0.9).all()
    )
    crops, maps = opened.faces([4, 0])
    picture = images.read(opened.table.image[4])
    (face,) = faces.detect_faces(picture, min_face_size=52)
    assert opened.table.loc[4, list(BOX)].tolist() == pytest.approx(face.box)
    crop = faces.crop_face(picture, face)
    assert np.abs(crops[0].astype(int) - crop).mean() < 2  # JPEG
    own = saliency.predict_faces(crop[None], saliency.load("light"))[0]
    assert np.abs(maps[0] - own).max() < 2e-3  # float16
    assert maps.dtype == np.float32 and maps.shape == (2, 28, 28)


def test_png_keeps_every_pixel(table, tmp_path):
    prepare(table[:1], tmp_path, replace(FAST, image_format="png"), progress=False)
    picture = images.read(table.image[0])
    crop = faces.crop_face(picture, faces.detect_faces(picture, min_face_size=52)[0])
    assert np.array_equal(Prepared(tmp_path).faces([0])[0][0], crop)


def test_provenance_tells_versions_weights_and_options(prepared):
    provenance = Prepared(prepared[0]).provenance
    assert (
        provenance["versions"]["keras"] == keras.__version__
        and provenance["options"]["margin"] == 0.3
    )
    assert len(provenance["weights"]["mlnet-light"]) == 64


def test_the_sets_own_box_and_none(table, tmp_path):
    boxed = table[:1].assign(**dict(zip(BOX, (60.0, 50.0, 120.0, 140.0), strict=True)))
    prepare(boxed, tmp_path / "box", replace(FAST, detect="box"), progress=False)
    assert Prepared(tmp_path / "box").table.loc[0, list(BOX)].tolist() == [60, 50, 120, 140]
    done = prepare(
        boxed.assign(box_width=np.nan),
        tmp_path / "bad",
        replace(FAST, detect="box"),
        progress=False,
    )
    assert len(done) == 0 and "box is" in done.failed.reason[0]
    prepare(table[:1], tmp_path / "none", replace(FAST, detect="none"), progress=False)
    assert Prepared(tmp_path / "none").table.loc[0, list(BOX)].tolist() == [0, 0, 260, 260]
    with pytest.raises(DatasetError, match="lacks box_left, box_top, box_width, box_height"):
        prepare(table[:1], tmp_path / "lacking", replace(FAST, detect="box"), progress=False)


def test_without_a_face_the_whole_picture_may_stand_in(table, tmp_path):
    done = prepare(table[2:3], tmp_path, replace(FAST, without_face="whole"), progress=False)
    assert len(done) == 1 and np.isnan(Prepared(tmp_path).table.score[0])


def test_small_pictures_are_enlarged_for_the_detector(table, tmp_path):
    small = images.resize(images.read(table.image[0]), (48, 48))
    images.write(tmp_path / "small.png", small)
    done = prepare(
        pd.DataFrame({"image": [tmp_path / "small.png"]}), tmp_path / "out", FAST, progress=False
    )
    assert len(done) == 1 and Prepared(tmp_path / "out").table.box_width[0] < 48


def test_of_several_faces_the_portraits_own_is_taken():
    def face(left, top, side):
        return Face((left, top, side, side), 0.9, {})

    surest, central, larger = face(0, 0, 10), face(40, 40, 20), face(30, 30, 40)
    assert preparation.most_central([surest, central, larger], (100, 100)) is larger
    assert preparation.most_central([surest, face(80, 80, 15)], (100, 100)) is surest


@pytest.mark.parametrize("at", ["finish", "write_whole", "close"])
def test_a_killed_run_goes_on_to_the_same_bytes(table, prepared, tmp_path, monkeypatch, at):
    """Killed in every third call of a step, again and again, until it comes through."""
    real, calls = getattr(preparation, at), []

    def dying(*arguments):
        calls.append(1)
        if len(calls) in (1, 3, 6):
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(preparation, at, dying)
    for _ in range(9):
        try:
            prepare(table, tmp_path, FAST, progress=False)
            break
        except KeyboardInterrupt:
            assert not (tmp_path / "failed.parquet").exists() or at == "close"
            if (tmp_path / "shards").exists() and len(
                list((tmp_path / "shards").glob("part-*"))
            ) < 4:
                with pytest.raises((DatasetError, FileNotFoundError), match="shards"):
                    Prepared(tmp_path)
    assert len(calls) > 1 and contents(tmp_path) == contents(prepared[0])


def test_two_processes_make_the_same_and_resumed_the_same_bytes(table, prepared, tmp_path):
    first, again = tmp_path / "first", tmp_path / "again"
    prepare(table, first, FAST, workers=2, progress=False)
    assert_alike(first, prepared[0])
    shutil.copytree(first, again)
    (again / "shards" / "part-00002.parquet").unlink()
    prepare(table, again, FAST, workers=2, progress=False)  # one job is left, for one process
    assert contents(again) == contents(first)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.slow
def test_a_dask_cluster_makes_the_same_though_a_worker_is_killed(table, prepared, tmp_path):
    """A real scheduler and two worker processes, one of them killed (SIGKILL) while it works."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        victim = next(iter(cluster.workers.values()))
        first_process = victim.pid

        def kill():
            deadline = time.monotonic() + 120
            while time.monotonic() < deadline and not list(tmp_path.glob("shards/part-*.parquet")):
                time.sleep(0.05)
            os.kill(first_process, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        done = prepare(
            table,
            tmp_path,
            replace(FAST, shard_size=1),
            scheduler=cluster.scheduler_address,
            progress=False,
        )
        killer.join()
        assert victim.pid != first_process  # it was killed, and its nanny started another
    assert len(done) == 9
    assert_alike(tmp_path, prepared[0])


def test_damaged_and_missing_shards_are_made_anew(table, prepared, tmp_path):
    shutil.copytree(prepared[0], tmp_path, dirs_exist_ok=True)
    shards = sorted((tmp_path / "shards").iterdir())
    shards[0].write_bytes(shards[0].read_bytes()[:-200])
    shutil.copy(shards[2], shards[1])
    (tmp_path / "failed.parquet").unlink()
    with pytest.raises(DatasetError, match=r"part-00000\.parquet is damaged"):
        Prepared(tmp_path)
    whole = shards[2:]
    before = [shard.stat().st_mtime_ns for shard in whole]
    prepare(table, tmp_path, FAST, progress=False)
    assert contents(tmp_path) == contents(prepared[0])
    assert whole and [shard.stat().st_mtime_ns for shard in whole] == before  # kept, not repeated
    shutil.copy(shards[1], shards[0])
    with pytest.raises(DatasetError, match="twice"):
        Prepared(tmp_path)


def test_failures_can_be_retried_after_they_were_mended(table, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    own = pd.DataFrame({"image": [pictures / f"{i}.png" for i in range(4)]})
    for i in (0, 1, 3):
        shutil.copy(table.image[0], pictures / f"{i}.png")
    out = tmp_path / "out"
    assert len(prepare(own, out, FAST, progress=False).failed) == 1
    shutil.copy(table.image[0], pictures / "2.png")
    assert len(prepare(own, out, FAST, progress=False).failed) == 1
    done = prepare(own, out, FAST, retry_failed=True, progress=False)
    assert len(done) == 4 and done.failed.empty and Prepared(out).table.row.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "box",
    [
        (0.0, 0.0, 1e9, 50.0),
        (0.0, 0.0, 1e300, 1e300),
        (9e4, 9e4, 50.0, 50.0),
        (5.0, 5.0, None, pd.NA),
    ],
)
def test_a_mad_box_costs_one_row(table, tmp_path, box):
    boxed = pd.DataFrame(
        [
            {"image": table.image[0], **dict(zip(BOX, b, strict=True))}
            for b in ((60, 50, 120, 140), box)
        ]
    )
    done = prepare(boxed, tmp_path, replace(FAST, detect="box"), progress=False)
    assert len(done) == 1 and done.failed.row.tolist() == [1]


def test_a_missing_path_costs_one_row(table, tmp_path):
    done = prepare(
        pd.DataFrame({"image": [table.image[0], None, np.nan]}), tmp_path, FAST, progress=False
    )
    assert len(done) == 1 and done.failed.row.tolist() == [1, 2]


def test_columns_that_the_result_needs_are_refused(table, tmp_path):
    for column in ("crop", "row", "place"):
        with pytest.raises(DatasetError, match=column):
            prepare(table.assign(**{column: 1}), tmp_path, FAST, progress=False)
    with pytest.raises(DatasetError, match="cannot be stored"):
        prepare(table.assign(mixed=[1, "a", {}] * 4), tmp_path, FAST, progress=False)


@pytest.mark.parametrize(
    "column, values, says",
    [
        ("gender", ["Male", "Female"], "gender is one of male, female; got 'Male', 'Female'"),
        ("gender", [0, 1], "got 0, 1"),
        ("expression", ["happiness", None], "expression is one of .*happy.*; got 'happiness'"),
        ("age_group", ["25-32", "(25, 32)"], r"age_group is one of .*25-32.*; got '\(25, 32\)'"),
        ("split", ["train", "val"], "split is one of train, validation, test; got 'val'"),
        ("fold", [0.5, 1], "fold is a whole number from 0 to 127; got 0.5"),
        ("fold", ["a", 300], "got 'a', 300"),
        ("age", [-1.0, 31.0], "age is a number from 0 to 200; got -1.0"),
        ("votes_fear", [10, 0.5], "votes_fear is a whole number from 0 to 127; got 0.5"),
        ("apparent_age", [None, 201], "apparent_age is a number from 0 to 200; got 201"),
    ],
)
def test_labels_that_nobody_knows_are_refused_before_any_work(
    table, tmp_path, column, values, says
):
    with pytest.raises(DatasetError, match=says):
        prepare(table.assign(**{column: values * 6}), tmp_path / "out", FAST, progress=False)
    assert not (tmp_path / "out").exists()


def test_the_command_refuses_unknown_labels_too(table, tmp_path):
    table.astype({"image": str}).assign(gender=["Male", "Female"] * 6).to_parquet(
        tmp_path / "t.parquet"
    )
    done = CliRunner().invoke(
        cli.app, ["prepare", str(tmp_path / "t.parquet"), str(tmp_path / "out")]
    )
    assert (
        done.exit_code == 2
        and "gender is one of male, female" in done.output
        and not (tmp_path / "out").exists()
    )


def test_types_survive_a_shard_in_which_all_fails(table, tmp_path):
    labelled = table.iloc[[0, 1, 3, 2, 2, 2]].assign(
        age_group="25-32", fold=pd.array([1] * 6, "Int8")
    )
    labelled = labelled.assign(votes_happy=[7, None, None, 3, 3, 3], apparent_age=33.5)
    prepare(labelled, tmp_path, FAST, progress=False)
    found = Prepared(tmp_path).table
    assert found.votes_happy.dtype == "Int8" and found.votes_happy.fillna(0).tolist() == [7, 0, 0]
    assert found.apparent_age.tolist() == [33.5] * 3
    kinds = found.dtypes
    assert (
        kinds.age_group.ordered
        and kinds.score == "float64"
        and kinds.box_left == "float64"
        and kinds.fold == "Int8"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.slow
def test_workers_end_with_their_parent(table, tmp_path):
    code = f"""
import pandas as pd
from safbage.datasets import preparation
if __name__ == "__main__":
    table = pd.DataFrame({{"image": [{str(table.image[0])!r}] * 4000}})
    preparation.prepare(table, {str(tmp_path / "out")!r}, preparation.Preparation(saliency="light", shard_size=8), workers=2)
"""
    (tmp_path / "run.py").write_text(code)
    process = subprocess.Popen([sys.executable, tmp_path / "run.py"], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not list(tmp_path.glob("out/shards/part-*")):
        assert process.poll() is None
        time.sleep(0.1)
    process.kill()
    process.wait()
    counts = []
    for _ in range(2):
        time.sleep(4)
        counts.append(len(list(tmp_path.glob("out/shards/part-*"))))
    assert counts[0] == counts[1] < 500


def test_other_options_or_another_table_are_refused(table, prepared):
    with pytest.raises(WorkError, match=r"margin: 0\.3 there, 0\.4 now"):
        prepare(table, prepared[0], replace(FAST, margin=0.4), progress=False)
    with pytest.raises(WorkError, match="table: 12 rows"):
        prepare(table[:5], prepared[0], FAST, progress=False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"detect": "dlib"},
        {"image_format": "gif"},
        {"margin": -1},
        {"min_face": 0},
        {"shard_size": 0},
        {"precision": "int4"},
    ],
)
def test_wrong_options_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(FAST, **wrong)


def test_empty_tables_and_no_workers(table, tmp_path):
    with pytest.raises(DatasetError, match="0 rows"):
        prepare(table[:0], tmp_path, progress=False)
    with pytest.raises(DatasetError, match="lacks image"):
        prepare(table[["age"]], tmp_path, progress=False)
    with pytest.raises(ValueError, match="workers"):
        prepare(table, tmp_path, workers=0, progress=False)


def test_versions_are_those_of_all_that_changes_pixels():
    told = preparation.versions()
    assert told["safbage"] == metadata.version("safbage") and told["keras"] == keras.__version__
    assert {"tensorflow", "mtcnn", "opencv-python-headless", "pillow", "numpy"} <= set(told)
