"""The measurement as a whole, with a stub of a detector whose mistakes are known; and what is kept of it."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from safbage import faces, images, saliency
from safbage.datasets import boxes
from safbage.errors import DatasetError, WorkError
from safbage.evaluation import detection as figures
from safbage.experiments import detection
from safbage.experiments.searching import Search

HEAD = "image,left,top,width,height,ignore,pose\n"
COUNT = 24


def drawn(folder):
    """Photos with a white square, which is the face, and a grey one, which is none. The square is larger every other time."""
    folder.mkdir()
    rows = ""
    for i in range(COUNT):
        photo = np.full((120, 160, 3), 10, "uint8")
        side = 20 + 20 * (i % 2)
        photo[20 : 20 + side, 20 : 20 + side] = 255
        photo[80:110, 100:130] = 128
        images.write(folder / f"{i:02}.png", photo)
        rows += f"{i:02}.png,20,20,{side},{side},0,{'frontal' if i % 2 else 'profile'}\n"
    (folder / "boxes.csv").write_text(HEAD + rows)
    return boxes.read(folder)


@pytest.fixture
def annotated(tmp_path):
    return drawn(tmp_path / "photos")


@pytest.fixture(scope="module")
def stubs():
    """A detector that takes both squares for faces, the grey one with the better score; and an ML-Net that sees white."""

    def detect_faces(photo, *, min_face_size, scale_factor, **options):
        if not 0 < scale_factor < 1:
            raise ValueError("expected a scale factor below 1")
        found = []
        for low, high, score in ((200, 256, 0.85), (100, 160, 0.9)):
            rows, columns = np.nonzero((photo[:, :, 0] >= low) & (photo[:, :, 0] < high))
            if len(rows) and np.ptp(rows) + 1 >= min_face_size:
                box = (columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1)
                found.append(SimpleNamespace(box=tuple(map(float, box)), score=score))
        return found

    def predict(photo, model):
        return (photo[:, :, 0] > 200).astype("float32")

    seen = frozenset(f"{i:02}.png" for i in range(12))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(faces, "detect_faces", detect_faces)
        patch.setattr(saliency, "load", lambda source: SimpleNamespace(seen=seen))
        patch.setattr(saliency, "predict", predict)
        yield


@pytest.fixture(scope="module")
def result(stubs, tmp_path_factory):
    """Everything measured."""
    folder = tmp_path_factory.mktemp("detection")
    columns = ["photo", *boxes.BOX, "score"]
    return detection.measure(
        drawn(folder / "photos"),
        folder / "work",
        arms=[*detection.ARMS],
        saliency="mlnet",
        windows=10,
        others={"blind": pd.DataFrame(columns=columns).astype({"score": float})},
        repetitions=400,
        progress=False,
    )


def test_the_first_arm_by_hand(result):
    """Grey boxes, all wrong, come first; then the white ones, all right: precision ends at a half."""
    base = result["arms"][0]
    assert base["name"] == "mtcnn" and base["boxes"] == 2 * COUNT
    assert {k: v["value"] for k, v in base["average_precision"].items()} == pytest.approx(
        {"plain": 0.5, "adapted": 0.5, "lenient": 0.5}
    )
    assert result["data"] | {"dropped": 0} == dict(
        kind="table", photos=COUNT, faces=COUNT, counted=COUNT, failed={}, dropped=0
    )
    assert [row["score"] for row in result["thresholds"]] == list(detection.THRESHOLDS[:6])
    for row in result["thresholds"][:-1]:
        assert (row["precision"], row["recall"], row["wrong"]) == (0.5, 1, 1)
    assert result["thresholds"][-1] == dict(score=0.9, precision=0, recall=0, wrong=1)
    groups = {name: [row["recall"] for row in rows] for name, rows in base["recall"].items()}
    assert groups == {"size": [1, 1], "pose": [1, 1]}
    assert [row["group"] for row in base["recall"]["size"]] == ["16 to 32", "32 to 64"]


def test_arms_and_others_are_compared_with_the_first(result):
    tests = {test["name"]: test for test in result["tests"]}
    assert set(tests) == {*detection.ARMS, "blind"}
    blind, large = tests["blind"], tests["smallest face 40 px"]
    assert blind["difference"] == -0.5 and blind["p_holm"] < 0.05
    # of the white squares, half are found; of the grey ones, of 30 pixels, none
    assert large["b"] == pytest.approx(0.5) and large["difference"] == pytest.approx(0)
    assert all(test["p_holm"] >= test["p"] for test in tests.values())


def test_saliency_that_tells_faces_from_others_helps_to_rank(result):
    found = result["saliency"]
    assert found["inside"]["right"]["median"] > 5 > 0.1 > found["inside"]["wrong"]["median"]
    test = found["rescored"]
    assert test["a"] == pytest.approx(0.5) and test["b"] == 1 and test["p"] < 0.05
    assert set(test["weights"]) <= set(detection.WEIGHTS) and min(test["weights"]) > 0
    assert (found["photos_seen"], found["unseen"]["photos"]) == (12, 12)
    assert found["unseen"]["difference"] == pytest.approx(0.5)


def test_windows_are_compared_with_the_photo_and_with_windows_anywhere(result):
    found = result["saliency"]["windows"]
    assert {found[key]["photos"] for key in ("beside_alone", "beside_random")} == {10}
    assert found["beside_alone"]["a"] == pytest.approx(0.5)


def test_re_scoring_by_hand():
    found = pd.DataFrame({"score": [0.5, 0.9]})
    assert detection.rescored(found, np.array([1, 1]), 3).score.tolist() == pytest.approx(
        [0, np.log(9)]
    )
    twice = detection.rescored(found, np.array([np.e, 0]), 2).score
    assert twice.tolist() == pytest.approx([2, np.log(9) + 2 * np.log(0.01)])


def test_bad_photos_are_left_out_of_everything(annotated, stubs, tmp_path):
    for name in ("03.png", "04.png"):
        annotated.photos[name].write_bytes(b"no picture")
    found = detection.measure(annotated, tmp_path / "work", repetitions=100, progress=False)
    assert found["data"]["photos"] == found["data"]["counted"] == COUNT - 2
    assert [*found["data"]["failed"]] == ["03.png", "04.png"] and found["saliency"] is None
    for path in annotated.photos.values():
        path.write_bytes(b"no picture")
    with pytest.raises(DatasetError, match="no photo could be searched: "):
        detection.measure(annotated, tmp_path / "other", saliency="mlnet", progress=False)


def test_settings_out_of_range_end_it_at_once(annotated, stubs, tmp_path):
    with pytest.raises(ValueError, match="expected a scale factor below 1"):
        how = Search(scale_factor=2)
        detection.measure(annotated, tmp_path / "work", how=how, progress=False)
    with pytest.raises(ValueError, match=r"arms are all thresholds lower, .*; got mine"):
        detection.measure(annotated, tmp_path / "work", arms=["mine"], progress=False)


def test_what_is_kept_is_read_again(result, tmp_path):
    path = tmp_path / "results" / "detection.json"
    detection.save(result, path, command="safbage evaluate-detection drawn", verdict=["so it is"])
    kept = detection.load(path)
    assert kept["verdict"] == ["so it is"] and kept["provenance"]["versions"]["safbage"]
    assert [t["p"] for t in kept["tests"]] == pytest.approx(
        [t["p"] for t in result["tests"]], abs=1e-6
    )
    assert kept["arms"][0]["boxes"] == 2 * COUNT
    for row in kept["arms"][0]["curve"]:
        assert len(row) == 2 and max(row) <= 1
    path.write_text(json.dumps({"task": "gender"}))
    with pytest.raises(DatasetError, match="holds no results of"):
        detection.load(path)
    path.write_text("[]")
    with pytest.raises(WorkError, match="is damaged"):
        detection.load(path)


def test_long_curves_are_thinned(annotated, stubs, tmp_path, generator):
    rows = [("00.png", *generator.uniform(0, 50, 2), 20, 20) for _ in range(1000)]
    table = pd.DataFrame(rows, columns=["photo", *boxes.BOX])
    others = {"many": table.assign(score=generator.random(1000))}
    found = detection.measure(
        annotated, tmp_path / "work", others=others, repetitions=100, progress=False
    )
    curve = found["arms"][1]["curve"]
    assert len(curve) == detection.CURVE
    whole = figures.match(others["many"], annotated.faces, photos=annotated.photos)
    assert curve[-1][0] == pytest.approx(figures.precision_recall(whole).recall.iloc[-1], abs=1e-3)
