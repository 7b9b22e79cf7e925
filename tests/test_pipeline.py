import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import data_folder
from PIL import Image

from safbage import SafBage, faces, images, saliency
from safbage.classifiers import years
from safbage.photos import list_photos
from safbage.pipeline import batching
from safbage.pipeline.batching import PHOTOS, THREADS
from safbage.pipeline.explanation import columns
from safbage.tasks import CLASSES, LANDMARK_COLUMNS, YEARS
from safbage.training.features import turn


@pytest.fixture
def folder(tmp_path, astronaut):
    """Some thirty files, every kind of trouble among them."""
    group = np.concatenate([astronaut[:300, 100:400]] * 5, axis=1)
    group = np.concatenate([group] * 4)
    face = astronaut[40:300, 100:360]
    for i in range(20):
        images.write(tmp_path / f"{i:03}.jpg", images.resize(face, (120 + 4 * i, 120 + 4 * i)))
    images.write(tmp_path / "100-group.jpg", group)
    images.write(tmp_path / "101-blank.jpg", np.full((200, 300, 3), 128, "uint8"))
    whole = (tmp_path / "000.jpg").read_bytes()
    (tmp_path / "102-corrupt.jpg").write_bytes(whole[:900])
    (tmp_path / "103-text.txt").write_text("not a photo")
    (tmp_path / "104-empty.jpg").touch()
    Image.fromarray(face).convert("CMYK").save(tmp_path / "105-cmyk.jpg")
    Image.fromarray(face).convert("L").save(tmp_path / "106-grey.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(face)).save(tmp_path / "107-turned.jpg", exif=exif, quality=95)
    return tmp_path


def test_a_folder_gives_a_row_for_each_photo_and_face(light, folder):
    table = light.predict(folder, progress=False)
    assert list(table.columns) == columns(light.tasks, years=True)
    photos = [Path(path).name for path in table.photo]
    assert sorted(set(photos)) == sorted(p.name for p in folder.iterdir())
    assert photos == sorted(photos)
    by_photo = table.assign(name=photos).groupby("name")
    rows = dict(list(by_photo))
    assert all((rows[f"{i:03}.jpg"].status == "ok").all() for i in range(20))
    assert len(rows["100-group.jpg"]) == 20
    assert rows["100-group.jpg"].face.tolist() == list(range(20))
    assert rows["101-blank.jpg"].status.tolist() == ["no face"]
    for name, word in {
        "102-corrupt.jpg": "damaged",
        "103-text.txt": "not an image",
        "104-empty.jpg": "empty",
    }.items():
        (status,) = rows[name].status
        assert status.startswith("failed: ") and word in status
        assert rows[name].age.isna().all() and rows[name].face.tolist() == [None]
    for name in ("105-cmyk.jpg", "106-grey.png", "107-turned.jpg"):
        assert rows[name].status.tolist() == ["ok"]
    strict = json.loads(
        table.to_json(orient="records"), parse_constant=lambda name: pytest.fail(name)
    )
    assert [row["status"] for row in strict] == table.status.tolist()
    assert all(
        isinstance(row["face"], int | None) and isinstance(row["score"], float | None)
        for row in strict
    )


def test_batch_mates_change_nothing(light, folder):
    paths = [folder / name for name in ("005.jpg", "100-group.jpg", "102-corrupt.jpg", "018.jpg")]
    together = light.predict(paths, probabilities=True, progress=False)
    alone = pd.concat(
        [light.predict(path, probabilities=True) for path in paths], ignore_index=True
    )
    pd.testing.assert_frame_equal(together, alone, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_memory_stays_bounded(tmp_path, astronaut):
    """Ten photos of 24 megapixels hold 720 MB. When a batch of faces and six such photos have been answered, ten more may not
    make the process grow by two thirds of that. (Beyond 6 megapixels a photo costs the detector no more, but holds more.)"""
    large = np.full((4900, 4900, 3), 200, "uint8")
    large[:512, :512] = astronaut
    for name, photo, count in (("large", large, 16), ("small", astronaut, 17)):
        first = images.write(tmp_path / f"{name}-0.jpg", photo)
        for i in range(1, count):
            os.link(first, tmp_path / f"{name}-{i}.jpg")
    code = f"""
import resource
from pathlib import Path
from safbage import SafBage
model, folder = SafBage.load(), Path({str(tmp_path)!r})
small, large = (sorted(folder.glob(f"{{name}}-*")) for name in ("small", "large"))
model.predict([*small, *large[:6]], progress=False)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
table = model.predict(large, progress=False)
assert (table.status == "ok").all() and len(table) == 16
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit < 500e6


def test_what_predict_takes(light, astronaut, tmp_path):
    path = images.write(tmp_path / "a.png", astronaut)
    one = light.predict(path)
    for same in (str(path), [path], tmp_path, [str(tmp_path)], (p for p in [path])):
        pd.testing.assert_frame_equal(light.predict(same, progress=False), one)
    assert light.predict(astronaut).photo.tolist() == ["photo 0"]
    mixed = light.predict(
        [astronaut, path, tmp_path / "nowhere.jpg", np.zeros(3), None], progress=False
    )
    assert mixed.photo.tolist() == [
        "photo 0",
        str(path),
        str(tmp_path / "nowhere.jpg"),
        "photo 3",
        "photo 4",
    ]
    assert mixed.status[:2].tolist() == ["ok", "ok"] and mixed.status[2].startswith(
        "failed: no such file"
    )
    assert mixed.status[3].startswith("failed: expected one photo")
    assert light.predict([]).empty


def test_an_empty_folder_and_hidden_files(light, tmp_path):
    (tmp_path / ".hidden").touch()
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "a.jpg").touch()
    (row,) = light.predict(tmp_path).to_dict("records")
    assert row["status"] == f"failed: the folder {tmp_path} holds no files"
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a.txt").touch()
    assert [photo.name for photo in list_photos(tmp_path)] == [str(tmp_path / "below" / "a.txt")]


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_loops_and_dangling_links_in_a_folder(light, tmp_path, astronaut):
    real = tmp_path / "real"
    real.mkdir()
    images.write(real / "a.jpg", astronaut)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "link").symlink_to(real)
    (inside / "loop").symlink_to(inside)
    (inside / "gone.jpg").symlink_to("nowhere.jpg")
    table = light.predict(inside, progress=False)
    assert table.photo.tolist() == [str(inside / "gone.jpg"), str(inside / "link" / "a.jpg")]
    assert table.status.tolist() == [f"failed: no such file: {inside / 'gone.jpg'}", "ok"]


def test_paths_that_cannot_even_be_looked_at_cost_one_row(light, astronaut):
    table = light.predict(["a" * 300, "", astronaut], progress=False)
    assert (
        table.status[0].startswith("failed: ")
        and table.status[1].startswith("failed: ")
        and table.status[2] == "ok"
    )


def test_the_table_names_a_photo_by_its_path_and_figures_find_it(light, astronaut, tmp_path):
    path = images.write(
        tmp_path / "Screenshot 10.00\u202fAM \U0001f469\u200d\U0001f467.png", astronaut
    )
    (name,) = light.predict(tmp_path, progress=False).photo
    assert Path(name) == path and images.read(name).shape == (512, 512, 3)


def test_a_pil_image_is_answered_as_its_pixels(light, astronaut):
    image = Image.fromarray(astronaut)
    expected = light.predict(astronaut)
    pd.testing.assert_frame_equal(light.predict(image), expected)
    pd.testing.assert_frame_equal(light.predict([image], progress=False), expected)
    assert np.array_equal(light.explain(image).image, astronaut)


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_in_a_ring_cost_their_rows(light, astronaut, tmp_path):
    images.write(tmp_path / "a.png", astronaut)
    (tmp_path / "x.jpg").symlink_to("y.jpg")
    (tmp_path / "y.jpg").symlink_to("x.jpg")
    statuses = light.predict(tmp_path, progress=False).status
    assert [status[:6] for status in statuses] == ["ok", "failed", "failed"]


@pytest.mark.parametrize("wrong", [None, 3, print])
def test_what_is_no_photo_at_all_is_refused(light, wrong):
    with pytest.raises(TypeError, match="expected a path"):
        light.predict(wrong)


def test_an_unforeseen_error_costs_one_photo_only(light, astronaut, monkeypatch):
    detect = faces.detect_enlarged

    def failing(image):
        if image.shape[0] == 100:
            raise RuntimeError("out of something")
        return detect(image)

    monkeypatch.setattr(faces, "detect_enlarged", failing)
    table = light.predict([astronaut, astronaut[:100], astronaut], progress=False)
    assert table.status.tolist() == ["ok", "failed: RuntimeError: out of something", "ok"]
    with pytest.raises(RuntimeError):
        light.explain(astronaut[:100])


def test_a_failing_network_costs_one_photo_only(model, astronaut, monkeypatch):
    run = model.answer

    def failing(crops, **options):
        if crops[-1].mean() < 60:
            raise MemoryError("too dark to see")
        return run(crops, **options)

    monkeypatch.setattr(model, "answer", failing)
    table = model.predict([astronaut, astronaut // 4], progress=False)
    assert table.status.tolist() == ["ok", "failed: MemoryError: too dark to see"]


@pytest.fixture
def drawn(model, monkeypatch):
    """`model` without networks: a photo has as many faces as its first pixel says, and a face's probabilities are its crop's
    first pixel; returns the sizes of the batches that were run."""
    sizes, outputs = [], model.answer(np.zeros((1, 224, 224, 3), "uint8"))

    def run(crops, **_):
        sizes.append(len(crops))
        value = crops[:, 0, 0, 0] / np.float32(255)
        return {name: value.reshape(-1, *[1] * (len(y.shape) - 1)) for name, y in outputs.items()}

    def detect(image):
        return [faces.Face((0.0, 0.0, 10.0, 10.0), 1.0, {})] * int(image[0, 0, 0])

    monkeypatch.setattr(model, "answer", run)
    monkeypatch.setattr(model, "batch_size", 4)
    monkeypatch.setattr(faces, "detect_enlarged", detect)
    return sizes


def test_faces_of_many_photos_fill_the_batches_and_photos_come_in_order(model, drawn):
    counts = [1, 0, 3, 2, 11, 0, 0, 1]
    batches = list(
        model.explain_batches([np.full((10, 10, 3), n, "uint8") for n in counts], progress=False)
    )
    assert [len(seen.faces) for batch in batches for seen in batch] == counts
    assert drawn == [4, 4, 4, 4, 2] and all(batches)
    assert [len(batch) for batch in batches] == [3, 1, 4]
    for seen in (seen for batch in batches for seen in batch):
        assert seen.status == ("ok" if seen.faces else "no face")
        value = np.float32(len(seen.faces)) / np.float32(255)
        for array in (seen.maps, *seen.probabilities.values(), *seen.cams.values()):
            assert (array == value).all()


def test_faces_do_not_wait_for_a_full_batch_behind_many_photos_without(model, drawn):
    photos = [np.full((10, 10, 3), n, "uint8") for n in [1] + [0] * 40]
    batches = list(model.explain_batches(photos, progress=False))
    assert drawn == [1] and len(batches[0]) == PHOTOS and sum(len(batch) for batch in batches) == 41


def test_a_photo_that_takes_too_long_costs_its_own_row(model, drawn, monkeypatch, tmp_path):
    for i in range(5):
        images.write(tmp_path / f"{i}.png", np.full((10, 10, 3), i % 2, "uint8"))
    never, read = threading.Event(), images.read

    def stuck(path):
        return never.wait() if path.name == "1.png" else read(path)

    monkeypatch.setattr(images, "read", stuck)
    monkeypatch.setattr(batching, "SECONDS", 3)
    table = model.predict(tmp_path, progress=False)
    assert table.status.tolist() == [
        "no face",
        "failed: took longer than 3 s",
        "no face",
        "ok",
        "no face",
    ]
    with pytest.raises(TimeoutError, match="took longer than 3 s"):
        model.explain(tmp_path / "1.png")
    never.set()


def test_photos_that_hold_many_pixels_are_read_and_wait_few_at_a_time(
    model, drawn, monkeypatch, tmp_path
):
    """With room for two of them, never are more being read or read ahead, nor does a third wait for the faces of others."""
    for i in range(9):
        images.write(tmp_path / f"{i}.png", np.full((10, 10, 3), 1, "uint8"))
    monkeypatch.setattr(batching, "PIXELS", 200)
    monkeypatch.setattr(batching, "THREADS", 4)
    read, begun = images.read, []

    def noted(path):
        begun.append(path)
        return read(path)

    monkeypatch.setattr(images, "read", noted)
    taken = 0
    for batch in model.explain_batches(tmp_path, progress=False):
        taken += len(batch)
        assert len(batch) <= 2 and len(begun) <= taken + 2
    assert taken == 9 and drawn == [2, 2, 2, 2, 1]


def test_a_run_keeps_the_ratio_that_it_began_with(model, drawn, monkeypatch):
    ratios, run = [], model.answer
    monkeypatch.setattr(
        model, "answer", lambda crops, ratio=None: (ratios.append(ratio), run(crops))[1]
    )
    monkeypatch.setattr(model, "ratio", 0.0)
    explained = []
    for seen in model.explain_each([np.full((10, 10, 3), 4, "uint8")] * 6, progress=False):
        model.ratio = 1.0
        explained.append(seen.ratio)
    assert explained == [0.0] * 6 and ratios == [0.0] * 6
    assert [seen.ratio for seen in model.explain_each([np.full((10, 10, 3), 1, "uint8")])] == [1.0]


def test_the_bar_counts_what_is_answered_with_faces_and_failures(model, drawn, capsys):
    photos = [
        np.full((10, 10, 3), 1, "uint8"),
        np.zeros(3),
        *[np.full((10, 10, 3), 1, "uint8")] * 9,
    ]
    answered = model.explain_batches(photos)
    first = next(answered)
    shown = capsys.readouterr().err
    assert "0/11" in shown and len(first) < 8  # not first at the end
    rest = list(answered)
    assert (
        "11/11" in (shown := capsys.readouterr().err)
        and "faces=10" in shown
        and "failed=1" in shown
    )
    assert len(first) + sum(map(len, rest)) == 11


def test_photos_are_asked_for_and_read_ahead_and_not_far(model, drawn, monkeypatch):
    asked, read = itertools.count(), []
    monkeypatch.setattr(faces, "detect_enlarged", lambda image: read.append(1) or [])
    answered = model.explain_batches(
        (np.full((10, 10, 3), next(asked) % 2, "uint8") for _ in iter(int, 1)), progress=False
    )
    next(answered)
    assert len(read) <= 1 + 2 * THREADS
    answered.close()
    assert len(read) <= 1 + 2 * THREADS and next(asked) <= 3 + 2 * THREADS


@pytest.mark.parametrize("wrong", [0, 3, -4, 2.0, "16"])
def test_a_batch_size_is_a_power_of_two(wrong):
    with pytest.raises(ValueError, match="power of two"):
        SafBage.load(batch_size=wrong)


def test_reduced_precision_answers_alike_in_float32(model, astronaut):
    """bfloat16 keeps eight bits of each number: answers move by some hundredths, and are what they were."""
    seen = model.explain(astronaut)
    reduced = SafBage.load(precision="mixed_bfloat16")
    assert (
        reduced.answering.network.get_layer("mlnet").get_layer("conv3_1").compute_dtype
        == "bfloat16"
    )
    rough = reduced.answer(seen.crops)
    assert all(array.dtype == np.float32 for array in rough.values())
    assert np.abs(rough["map"] - seen.maps).mean() < 0.02
    for task in CLASSES:
        assert np.allclose(rough[task], seen.probabilities[task], atol=0.05)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_answer_alike(backend, model, astronaut, tmp_path):
    pytest.importorskip(backend)
    seen = model.explain(astronaut)
    np.save(tmp_path / "crops.npy", seen.crops)
    code = """
import sys
import numpy as np
from safbage import SafBage
np.savez(sys.argv[2], **SafBage.load().answer(np.load(sys.argv[1])))
assert "tensorflow" not in sys.modules
"""
    command = [sys.executable, "-c", code, str(tmp_path / "crops.npy"), str(tmp_path / "found.npz")]
    subprocess.run(command, check=True, env=os.environ | {"KERAS_BACKEND": backend})
    found = np.load(tmp_path / "found.npz")
    assert np.allclose(found["map"], seen.maps, atol=1e-3)
    for task in CLASSES:
        assert np.allclose(found[task], seen.probabilities[task], atol=1e-3)
        assert np.allclose(found[f"cam_{task}"], seen.cams[task], atol=0.01)


def test_the_ratio_is_checked_when_it_is_set(model):
    with pytest.raises(ValueError, match="between 0 and 1"):
        model.ratio = 30
    assert model.ratio == 0.3


def test_answers_are_consistent(model, astronaut):
    (row,) = model.predict(astronaut, probabilities=True).to_dict("records")
    for task, names in CLASSES.items():
        values = {name: row[f"{task}[{name}]"] for name in names}
        assert sum(values.values()) == pytest.approx(1, abs=1e-5)
        assert row[task] == max(values, key=values.get) and row[f"{task}_p"] == max(values.values())


def test_explain_holds_every_stage(model, astronaut):
    seen = model.explain(astronaut)
    assert np.array_equal(seen.image, astronaut)
    assert np.array_equal(seen.crops[0], faces.crop_face(astronaut, seen.faces[0]))
    close = 1e-5 if model.engine == "keras" else 0.02  # engines may compute in bfloat16
    assert np.allclose(seen.maps, saliency.predict_faces(seen.crops), atol=close)
    assert seen.reweighted.shape == (1, 224, 224, 3) and seen.cams["age"].shape == (1, 7, 7, 8)
    assert seen.reweighted.mean() < seen.crops.mean()
    blank = model.explain(np.zeros((100, 100, 3), "uint8"))
    assert blank.status == "no face" and len(blank.crops) == len(blank.reweighted) == 0
    with pytest.raises(FileNotFoundError):
        model.explain("nowhere.jpg")
    with pytest.raises(ValueError, match="one photo"):
        model.explain([astronaut, astronaut])


def test_landmarks_and_pose_are_columns_on_request(light, astronaut):
    table = light.predict(astronaut, landmarks=True, progress=False)
    place = list(table.columns).index("quality") + 1
    assert tuple(table.columns[place : place + 13]) == LANDMARK_COLUMNS
    (row,) = table.to_dict("records")
    assert row["left_eye_x"] < row["nose_x"] < row["right_eye_x"]
    assert row["nose_y"] < row["mouth_left_y"] and abs(row["yaw"]) < 15
    nobody = light.predict(np.zeros((50, 50, 3), "uint8"), landmarks=True, progress=False)
    assert nobody[list(LANDMARK_COLUMNS)].isna().all(axis=None)
    assert "roll" not in light.predict(astronaut, progress=False)


def test_aligned_crops_have_level_eyes(light, astronaut):
    turned = turn(astronaut, 25)
    as_it_is, level = (light.explain(turned, align=align) for align in (False, True))
    assert as_it_is.faces == level.faces and abs(faces.head_pose(level.faces[0]).roll) > 20
    assert np.array_equal(level.crops[0], faces.crop_face(turned, level.faces[0], align=True))
    angles = [faces.eye_angle(faces.detect_faces(seen.crops[0])[0]) for seen in (as_it_is, level)]
    assert abs(angles[0]) > 20 and abs(angles[1]) < 5


def test_small_faces_and_all_but_the_largest_can_be_passed_over(light, astronaut):
    photo = np.zeros((512, 652, 3), "uint8")
    photo[:, :512], small = astronaut, images.resize(astronaut, (140, 140))
    photo[:140, 512:], photo[300:440, 512:] = small, small[:, ::-1]
    everything = light.predict(photo, probabilities=True)
    sides = everything[["box_width", "box_height"]].min(axis=1)
    assert (sides < 30).sum() == 2 and sides.max() > 60
    large = light.predict(photo, min_face=30, probabilities=True)
    expected = everything[sides >= 30].drop(columns="face").reset_index(drop=True)
    pd.testing.assert_frame_equal(large.drop(columns="face"), expected, atol=1e-4, rtol=1e-4)
    (one,) = light.predict(photo, max_faces=1).to_dict("records")
    area = everything.box_width * everything.box_height
    assert one["box_width"] * one["box_height"] == pytest.approx(area.max())
    assert len(light.explain(photo, min_face=30, max_faces=1).faces) == 1
    assert light.predict(photo, min_face=1000).status.tolist() == ["no face"]
    assert (everything.quality[sides < 30].str.startswith("small: ")).all()


@pytest.mark.parametrize(
    "wrong", [{"min_face": -1}, {"max_faces": 0}, {"max_faces": 1.5}, {"min_face": float("nan")}]
)
def test_limits_out_of_range_are_refused(light, astronaut, wrong):
    with pytest.raises(ValueError, match="expected min_face"):
        light.predict(astronaut, **wrong)


def test_quality_goes_with_its_face(model, drawn, astronaut):
    assert columns(())[-2:] == ["score", "quality"]
    photos = [np.full((10, 10, 3), 2, "uint8"), np.zeros((10, 10, 3), "uint8")]
    table = model.predict(photos, progress=False)
    assert table.quality.tolist() == ["small: 10 px, blurred"] * 2 + [None]
    seen = next(model.explain_each(photos, progress=False))
    seen.quality[1] = "another"
    assert seen.only(1).quality == ["another"] and seen.only(1).rows()[0]["quality"] == "another"


def test_classify_is_predict_without_detection(model, astronaut):
    seen = model.explain(astronaut)
    (expected,) = seen.rows(probabilities=True)
    for maps in (None, seen.maps):
        (row,) = model.classify(seen.crops, maps=maps, probabilities=True).to_dict("records")
        assert all(
            row[name] == pytest.approx(expected[name], abs=1e-4)
            for name in row
            if name not in CLASSES
        )
    assert (
        len(
            model.classify(np.repeat(seen.crops, 40, axis=0), maps=np.repeat(seen.maps, 40, axis=0))
        )
        == 40
    )
    assert model.classify(seen.crops[:0]).empty
    for wrong in (seen.crops[0], seen.crops / 255, seen.crops[:, :100]):
        with pytest.raises(ValueError, match="224"):
            model.classify(wrong)
    for wrong in (np.zeros((2, 28, 28)), seen.maps * 255, seen.maps * np.nan, seen.maps[:, :0]):
        with pytest.raises(ValueError, match="maps N×h×w"):
            model.classify(seen.crops, maps=wrong)


def test_turning_the_ratio_reruns_neither_detector_nor_mlnet(model, astronaut, monkeypatch):
    seen = model.explain(astronaut)
    monkeypatch.setattr(model.answering, "answer", None)
    monkeypatch.setattr(faces, "detect_faces", None)
    answers = []
    for ratio in (0, 0.5, 1):
        monkeypatch.setattr(model, "ratio", ratio)
        answers.append(
            model.classify(seen.crops, maps=seen.maps, probabilities=True)["age[25-32]"][0]
        )
    assert len(set(answers)) == 3


def test_reweighted_in_the_network_or_before_it_faces_get_the_same_answers(light, astronaut):
    seen = light.explain(astronaut)
    again = light.at_ratio(seen, seen.ratio)
    for task in light.tasks:
        assert np.allclose(again.probabilities[task], seen.probabilities[task], atol=1e-5)
        assert np.allclose(
            again.cams[task], seen.cams[task], atol=1e-5 * np.abs(seen.cams[task]).max()
        )
    with pytest.raises(ValueError, match="'clip' needs maps"):
        light.answer(seen.crops, mode="clip")


def test_some_tasks_only(astronaut):
    table = SafBage.load(tasks=("gender",)).predict(astronaut)
    assert list(table.columns) == columns(("gender",)) and table.gender.notna().all()
    assert SafBage.load(tasks=("gender", "gender")).predict(astronaut).equals(table)


def test_the_papers_network_goes_the_same_way(model, alexnet_gap, astronaut):
    other, seen = alexnet_gap, alexnet_gap.explain(astronaut)
    assert seen.cams["expression"].shape == (1, 13, 13, 7)
    assert seen.rows()[0]["expression"] == "happy"
    darker = other.at_ratio(seen, 0.9)
    assert np.array_equal(darker.maps, seen.maps)
    assert not np.allclose(darker.probabilities["age"], seen.probabilities["age"], atol=1e-3)
    answers = other.classify(seen.crops, maps=seen.maps, probabilities=True)
    assert not np.allclose(
        answers.age_p, model.classify(seen.crops, maps=seen.maps).age_p, atol=1e-3
    )
    assert np.allclose(answers.age_p, seen.probabilities["age"].max(), atol=1e-4)


def test_age_in_years_stands_behind_its_group_wherever_answers_do(light, astronaut):
    seen = light.explain(astronaut)
    (row,) = seen.rows()
    assert list(row)[-8:-3] == ["age_p", *YEARS, "gender"]
    assert [row[name] for name in YEARS] == seen.years[0].tolist()
    assert all(type(row[name]) is float and row[name].is_integer() for name in YEARS)
    json.loads(json.dumps(row))
    answers = light.answer(seen.crops)["years"]
    assert np.array_equal(seen.years, years.summary(answers, light.tail))
    assert np.array_equal(light.at_ratio(seen, 0.3).years, seen.years)
    assert not np.array_equal(light.at_ratio(seen, 1).years, seen.years)
    assert np.array_equal(seen.only(0).years, seen.years)
    classified = light.classify(seen.crops, maps=seen.maps)
    assert list(classified)[:7] == ["face", "age", "age_p", *YEARS, "gender"]
    assert classified[list(YEARS)].to_numpy().tolist() == seen.years.tolist()
    assert list(light.classify(seen.crops[:0])) == list(classified)


def test_a_table_of_years_has_a_row_for_what_has_none(light, astronaut):
    table = light.predict([astronaut, np.zeros((64, 64, 3), "uint8"), "none.jpg"], progress=False)
    assert list(table) == columns(light.tasks, years=True)
    assert all(table[name].dtype == "float64" for name in YEARS)
    assert table.age_years.notna().tolist() == [True, False, False]


def test_there_are_no_years_without_age_or_by_the_papers_network(alexnet_gap, astronaut):
    for other in (SafBage.load(tasks=("gender",), saliency="light"), alexnet_gap):
        seen = other.explain(astronaut)
        assert not other.in_years and seen.years is None and "age_years" not in seen.rows()[0]
        assert other.at_ratio(seen, 0.5).years is None
        for table in (other.predict(astronaut), other.classify(seen.crops, maps=seen.maps)):
            assert not set(YEARS) & set(table)


@pytest.mark.parametrize(
    "options",
    [
        {"tasks": ("mood",)},
        {"tasks": ()},
        {"tasks": "age"},
        {"tasks": None},
        {"ratio": 30},
        {"ratio": "0.3"},
        {"network": "vgg16"},
    ],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(ValueError, match=r"tasks is|ratio|network is"):
        SafBage.load(**options)


FORKED = """
import multiprocessing, sys
import numpy as np
from safbage import SafBage, cam, classifiers, saliency
from safbage.faces.networks import networks
face = np.zeros((1, 224, 224, 3), "uint8")
model, one = SafBage.load(tasks=("gender",), saliency="light"), classifiers.load("gender")
calls = [
    lambda: model.predict(face[0]), lambda: model.explain(face[0]), lambda: model.classify(face), SafBage.load, networks,
    lambda: saliency.predict(face[0]), lambda: saliency.load("light"), lambda: classifiers.classifier("gilnet", 2),
    lambda: classifiers.load("gender"), lambda: cam.grad_cam(one, face, target=0, layer="conv5"),
]

def work():
    for call in calls:
        try:
            call()
        except RuntimeError as error:
            assert "inside the worker" in str(error) and "spawn" in str(error)
        else:
            sys.exit(3)

child = multiprocessing.get_context("fork").Process(target=work)
child.start()
child.join(60)
code = child.exitcode
child.kill()
sys.exit(99 if code is None else code)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork there")
def test_a_forked_process_says_so_instead_of_waiting_for_ever():
    done = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


def test_real_photos_in_their_folders(light, tmp_path):
    real = sorted((data_folder("adience") / "faces").glob("*/*.jpg"))[:10]
    for i, path in enumerate(real):
        (tmp_path / str(i)).mkdir()
        shutil.copy(path, tmp_path / str(i) / path.name)
    table = light.predict(tmp_path, progress=False)
    assert table.photo.nunique() == 10 and (table.status == "ok").mean() > 0.5
