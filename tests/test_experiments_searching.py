"""MTCNN and ML-Net over folders of photos: what is kept, what a kill costs, windows around peaks."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from safbage import faces, images, saliency
from safbage.datasets import boxes
from safbage.errors import DatasetError, WorkError
from safbage.experiments import searching
from safbage.experiments.searching import Search

HEAD = "image,left,top,width,height\n"


@pytest.fixture
def annotated(tmp_path, astronaut):
    """The astronaut twice, and a black photo."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, pixels in {"a": astronaut, "b": astronaut[:, ::-1], "c": astronaut * 0}.items():
        images.write(folder / f"{name}.png", np.ascontiguousarray(pixels))
    (folder / "boxes.csv").write_text(
        HEAD + "a.png,170,60,110,140\nb.png,230,60,110,140\nc.png,,,,\n"
    )
    return boxes.read(folder)


@pytest.fixture
def detector(monkeypatch):
    """In place of MTCNN one that finds a face in the brightest pixel's place; the sizes it was given."""
    looked = []

    def detect_faces(photo, **options):
        looked.append((photo.shape[:2], options))
        if not photo.any():
            return []
        y, x = np.unravel_index(photo[:, :, 0].argmax(), photo.shape[:2])
        return [SimpleNamespace(box=(x - 10.0, y - 10.0, 20.0, 20.0), score=0.9)]

    monkeypatch.setattr(faces, "detect_faces", detect_faces)
    return looked


def test_the_real_detector(annotated, tmp_path):
    found, failed = searching.search(annotated, Search(), tmp_path / "work", progress=False)
    assert not failed and set(found.photo) == {"a.png", "b.png"}
    surest = found.sort_values("score").groupby("photo").last()
    assert (surest.score > 0.99).all()
    box = surest.loc["a.png"]
    assert 170 < box.left < 200 and 60 < box.top < 90 and 60 < box.width < 110
    again, _ = searching.search(annotated, Search(), tmp_path / "work", progress=False)
    pd.testing.assert_frame_equal(again, found)


def test_a_killed_run_goes_on_after_its_last_whole_photo(
    annotated, tmp_path, detector, monkeypatch
):
    stub, calls = faces.detect_faces, []

    def killed(photo, **options):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return stub(photo, **options)

    monkeypatch.setattr(faces, "detect_faces", killed)
    with pytest.raises(KeyboardInterrupt):
        searching.search(annotated, Search(), tmp_path / "work", progress=False)
    log = tmp_path / "work" / "photos.jsonl"
    log.write_bytes(log.read_bytes()[:-9])  # and the last line was only half on the disk
    found, _ = searching.search(annotated, Search(), tmp_path / "work", progress=False)
    assert len(calls) == 5  # b and c were searched again, a was not
    whole, _ = searching.search(annotated, Search(), tmp_path / "whole", progress=False)
    pd.testing.assert_frame_equal(found, whole)
    assert log.read_bytes() == (tmp_path / "whole" / "photos.jsonl").read_bytes()


def test_one_bad_photo_is_told_and_tried_again(annotated, tmp_path, detector, astronaut):
    annotated.photos["b.png"].write_bytes(b"no picture")
    found, failed = searching.search(annotated, Search(), tmp_path / "work", progress=False)
    assert set(found.photo) == {"a.png"} and "b.png" in failed and len(failed) == 1
    images.write(annotated.photos["b.png"], astronaut)
    found, failed = searching.search(annotated, Search(), tmp_path / "work", progress=False)
    assert set(found.photo) == {"a.png", "b.png"} and not failed


def test_other_settings_want_another_folder(annotated, tmp_path, detector):
    searching.search(annotated, Search(), tmp_path / "work", progress=False)
    with pytest.raises(WorkError, match=r"begun with other settings .min_face_size: 20 there, 40"):
        searching.search(annotated, Search(min_face_size=40), tmp_path / "work", progress=False)
    with pytest.raises(ValueError, match="windows are none, random"):
        searching.search(annotated, Search(windows="salient"), tmp_path / "work", progress=False)


@pytest.mark.parametrize(
    "line",
    ["{}", "[]", '{"photo": "a.png", "boxes": [[1, 2]]}', "\xff", '{"photo": 1, "boxes": 2}'],
)
def test_a_damaged_log_is_named(annotated, tmp_path, detector, line):
    searching.search(annotated, Search(), tmp_path / "work", progress=False)
    (tmp_path / "work" / "photos.jsonl").write_bytes(line.encode("latin-1") + b"\n")
    with pytest.raises(WorkError, match=r"photos\.jsonl is damaged"):
        searching.search(annotated, Search(), tmp_path / "work", progress=False)


# --- saliency --------------------------------------------------------------------------------------


@pytest.fixture
def mlnet(monkeypatch):
    """In place of ML-Net one whose map is the red channel; the number of photos it saw."""
    seen = []

    def predict(photo, model):
        seen.append(1)
        return photo[:, :, 0].astype("float32") / 255

    monkeypatch.setattr(saliency, "load", lambda source: SimpleNamespace(seen=frozenset({"a.png"})))
    monkeypatch.setattr(saliency, "predict", predict)
    return seen


def test_maps_are_kept_and_small(annotated, tmp_path, mlnet):
    annotated.photos["c.png"].write_bytes(b"no picture")
    maps, failed = searching.look_where_salient(
        annotated, "mlnet", tmp_path / "maps", progress=False
    )
    assert [*failed] == ["c.png"] and len(mlnet) == 2 and maps.seen == {"a.png"}
    assert maps.of("a.png").shape == (160, 160) and maps.of("a.png").dtype == np.float32
    maps.path("b.png").unlink()
    searching.look_where_salient(annotated, "mlnet", tmp_path / "maps", progress=False)
    assert len(mlnet) == 3
    with pytest.raises(WorkError, match="other settings"):
        searching.look_where_salient(annotated, "light", tmp_path / "maps", progress=False)
    maps.path("b.png").write_bytes(b"no array")
    with pytest.raises(WorkError, match="is damaged"):
        maps.of("b.png")


def test_peaks_by_hand():
    map = np.zeros((10, 20), "float32")
    map[2, 3], map[2, 4], map[8, 15] = 1, 0.9, 0.5
    found = searching.peaks(map, (100, 200), apart=25)
    assert found.tolist() == [[35, 25], [155, 85]]  # the second lies too near to the first
    assert searching.peaks(map, (100, 200), apart=5).tolist()[1] == [45, 25]
    assert len(searching.peaks(map, (100, 200), apart=5, count=1)) == 1
    assert searching.peaks(map * 0, (100, 200), apart=5).shape == (0, 2)


def test_saliency_inside_boxes_by_hand(tmp_path):
    map = np.zeros((10, 20), "float16")
    map[:5, :10] = 1  # a quarter of the map, so that the mean is 1/4
    maps = searching.Maps(tmp_path, "mlnet", frozenset())
    np.save(maps.path("a"), map)
    rows = [(0, 0, 40, 40), (100, 50, 40, 40), (90, 0, 20, 20), (-50, -50, 10, 10), (0, 0, 1, 1)]
    found = pd.DataFrame(rows, columns=boxes.BOX).assign(photo="a", score=1.0)
    within = searching.saliency_within(found, maps, {"a": (100, 200)})
    assert within == pytest.approx([4, 0, 2, 4, 4])


def test_salient_windows_find_what_the_photo_alone_does_not(tmp_path, monkeypatch):
    """Faces of 10 pixels, each found only where a window shows it with 20."""
    folder = tmp_path / "photos"
    folder.mkdir()
    photo = np.zeros((240, 320, 3), "uint8")
    photo[60:70, 200:210] = 255  # a face at a salient place
    images.write(folder / "a.png", photo)
    (folder / "boxes.csv").write_text(HEAD + "a.png,200,60,10,10\n")
    annotated = boxes.read(folder)

    def detect_faces(photo, **options):
        rows, columns = np.nonzero(photo[:, :, 0] > 128)
        if len(rows) == 0 or np.ptp(rows) < 15:
            return []
        box = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
        return [SimpleNamespace(box=tuple(map(float, box)), score=0.9)]

    monkeypatch.setattr(faces, "detect_faces", detect_faces)
    maps = searching.Maps(tmp_path, "mlnet", frozenset())
    salient = np.zeros((120, 160), "float16")
    salient[32, 102] = 1
    np.save(maps.path("a.png"), salient)
    plain, _ = searching.search(annotated, Search(), tmp_path / "plain", progress=False)
    assert plain.empty
    how = Search(windows="salient")
    options = dict(before=plain, maps=maps, progress=False)
    found, _ = searching.search(annotated, how, tmp_path / "windows", **options)
    (box,) = found[boxes.BOX].to_numpy()
    assert box == pytest.approx([200, 60, 10, 10], abs=1)


def test_a_face_seen_twice_is_told_once_and_one_cut_by_a_window_not_at_all(
    annotated, tmp_path, detector
):
    """The stub marks the brightest pixel of whatever it is shown."""
    how = Search(windows="random")
    before, _ = searching.search(annotated, Search(), tmp_path / "plain", progress=False)
    options = dict(before=before, progress=False)
    found, _ = searching.search(annotated, how, tmp_path / "work", **options)
    assert len(detector) == 3 * (1 + searching.WINDOWS)
    sides = {size for size, _ in detector}
    assert sides == {(512, 512), (256, 256)}  # windows of 128 pixels, enlarged twice
    again, _ = searching.search(annotated, how, tmp_path / "again", **options)
    pd.testing.assert_frame_equal(found, again)
    assert set(found.photo) == {"a.png", "b.png"}
    for _, own in found.groupby("photo"):
        corners = own[["left", "top"]].to_numpy()
        apart = np.abs(corners[:, None] - corners[None]).max(axis=2)
        assert (apart[~np.eye(len(own), dtype=bool)] > 3).all()


# --- other detectors -------------------------------------------------------------------------------


def test_what_others_found(annotated, tmp_path):
    path = tmp_path / "found.csv"
    path.write_text("photo,left,top,width,height,score\na.png,1,2,3,4,0.5\nz.png,1,2,3,4,0.5\n")
    found = searching.read_found(path, annotated)
    assert found.to_numpy().tolist() == [["a.png", 1, 2, 3, 4, 0.5]]
    for text, said in (
        ("photo,left\na.png,1\n", "no column top, width, height, score; it has photo, left"),
        ("photo,left,top,width,height,score\nz.png,1,2,3,4,0.5\n", "names none of the photos"),
        ("photo,left,top,width,height,score\na.png,1,2,3,4,\n", "line 2: left, top"),
        (
            "photo,left,top,width,height,score\na.png,1,2,3,4,1\na.png,1,2,-3,4,1\n",
            "line 3: .* .1 su",
        ),
    ):
        path.write_text(text)
        with pytest.raises(DatasetError, match=said):
            searching.read_found(path, annotated)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DatasetError, match="not a CSV of text"):
        searching.read_found(path, annotated)
    with pytest.raises(FileNotFoundError, match="no such file of boxes"):
        searching.read_found(tmp_path / "none.csv", annotated)


def test_the_log_is_plain_json(annotated, tmp_path, detector):
    searching.search(annotated, Search(), tmp_path / "work", progress=False)
    lines = (tmp_path / "work" / "photos.jsonl").read_text().splitlines()
    assert [json.loads(line)["photo"] for line in lines] == ["a.png", "b.png", "c.png"]
    assert json.loads(lines[2])["boxes"] == []
