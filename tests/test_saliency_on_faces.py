"""The measurement of saliency on faces: places and maps come back where they were, and its page says what was measured."""

import importlib
import json

import numpy as np
import pandas as pd
import pytest
import saliency_on_faces_page as page
from conftest import REPOSITORY

from safbage import faces
from safbage.faces import Face
from safbage.tasks import LANDMARKS, MAP_SIZE

SEED = 0
POINTS = {
    "left_eye": (82.0, 80.0),
    "right_eye": (122.0, 86.0),
    "nose": (100.0, 105.0),
    "mouth_left": (82.0, 128.0),
    "mouth_right": (118.0, 132.0),
}
FACE = Face((50.0, 40.0, 100.0, 120.0), 0.99, POINTS)


@pytest.fixture(scope="module")
def measuring():
    """`benchmarks/saliency_on_faces.py`, which imports its neighbour."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(REPOSITORY / "benchmarks"))
        yield importlib.import_module("saliency_on_faces")


@pytest.fixture(scope="module")
def photo():
    ramp = np.indices((200, 200)).sum(axis=0) / 2
    return np.repeat(ramp[:, :, None], 3, axis=2).astype("uint8")


@pytest.fixture
def shown(measuring, photo):
    row = dict(zip(("box_left", "box_top", "box_width", "box_height"), FACE.box, strict=True))
    row |= {f"{name}_{axis}": v for name, xy in POINTS.items() for axis, v in zip("xy", xy)}  # noqa: B905
    return measuring.shown(row, photo)


def a_map():
    """A map with its peak at row 10, column 20."""
    rows, columns = np.indices(MAP_SIZE)
    return np.exp(-((rows - 10) ** 2 + (columns - 20) ** 2) / 8)


def test_the_crop_as_it_stands_is_the_papers(measuring, shown, photo):
    crop, _ = measuring.cut(shown, measuring.WAYS[measuring.PLAIN], SEED, 0)
    papers = faces.crop_face(photo, FACE)
    assert np.abs(crop.astype(int) - papers).max() <= 2


def test_the_parts_are_those_of_the_library(measuring, shown):
    _, place = measuring.cut(shown, measuring.WAYS[measuring.PLAIN], SEED, 0)
    points = shown.points - place[:2, 2]
    ours, librarys = measuring.near(points, 0.16 * shown.width), faces.near_landmarks(FACE)
    assert (
        librarys.sum() > 50 and (ours != librarys).sum() < 10
    )  # the squares are rounded to pixels


def test_a_moved_map_comes_back(measuring):
    """A face 16 pixels further to the right has its map two cells further, where both crops have cells."""
    place = np.array([[1.0, 0, measuring.EDGE - 16], [0, 1, measuring.EDGE], [0, 0, 1]])
    there, covered = measuring.carried(np.roll(a_map(), 2, axis=1), place)
    assert covered.sum() == 28 * 26 and covered[:, :26].all()
    assert np.allclose(there[covered], a_map()[covered], atol=1e-6)


@pytest.mark.parametrize("way", ["mirrored", "turned by 30°", "20 % larger", "aligned as FFHQ"])
def test_pictures_and_maps_move_alike(measuring, shown, way):
    """The peak of a map lies where the landmark that made it lies, and comes back to where it was."""
    _, place = measuring.cut(shown, measuring.WAYS[way], SEED, 0)
    nose = np.append(shown.points[LANDMARKS.index("nose")], 1)
    x, y = (np.linalg.inv(place) @ nose)[:2] / measuring.CELL - 0.5
    rows, columns = np.indices(MAP_SIZE)
    there = np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 8)
    back, covered = measuring.carried(there, place)
    assert covered.mean() > 0.5
    peak = np.unravel_index(np.where(covered, back, 0).argmax(), MAP_SIZE)
    as_it_was = (nose[:2] - measuring.EDGE) / measuring.CELL - 0.5
    assert np.abs(np.array(peak)[::-1] - as_it_was).max() <= 1


def test_ffhqs_crop_has_almost_level_eyes(measuring, shown):
    _, place = measuring.cut(shown, measuring.WAYS["aligned as FFHQ"], SEED, 0)
    onto = np.linalg.inv(place)
    left, right, _, *mouth = (onto @ np.append(point, 1) for point in shown.points)
    before = abs(shown.points[1, 1] - shown.points[0, 1])
    assert abs(left[1] - right[1]) < before / 2  # the mouth has its say, too
    assert 224 > np.mean(mouth, axis=0)[1] > left[1] > 0
    assert 224 / 5 < right[0] - left[0] < 224 / 3  # a quarter of the side, or a little less


def test_a_photo_that_ends_at_the_box_repeats_its_border(measuring, shown):
    crop, _ = measuring.cut(shown, measuring.WAYS["photo ends at the box"], SEED, 0)
    assert np.array_equal(crop[0], crop[20]) and not np.array_equal(crop[60], crop[100])


def test_two_maps_are_compared(measuring):
    same = measuring.between(a_map(), 3 * a_map())
    assert same["cc"] == pytest.approx(1) and abs(same["kl"]) < 1e-9 and same["distance"] < 1e-9
    moved = measuring.between(a_map(), np.roll(a_map(), 1, axis=0))
    assert moved["distance"] == pytest.approx(8, abs=0.05) and moved["cc"] < 0.99 < 1 - moved["kl"] + 0.2  # fmt: skip


def made(measuring, count, seed):
    """What networks might have given: the light one's maps are the full one's; faces differ in where the peak lies."""
    generator = np.random.default_rng(seed)
    points = np.tile(np.array([[82.0, 90], [140, 90], [112, 120], [90, 160], [135, 160]]), (count, 1, 1))  # fmt: skip
    maps = np.stack([np.roll(a_map(), n, axis=0) for n in generator.integers(-4, 5, count)])
    answers = {f"{task}_{arm}": np.zeros(count, int) for task in ("age", "gender", "expression") for arm in measuring.ARMS}  # fmt: skip
    return {
        "places": np.tile(measuring.as_it_stands(None, None), (count, 1, 1)),
        "points": points,
        "radius": np.full(count, 20.0),
        **dict.fromkeys(measuring.NETWORKS, maps),
        **answers,
    }


def test_what_is_measured_of_maps_that_do_not_move(measuring, monkeypatch):
    monkeypatch.setattr(measuring, "DRAWS", 50)
    count = 12
    table = pd.DataFrame({"yaw": np.linspace(-30, 30, count), "roll": 0.0})
    table["expression"] = ["happy", "sad"] * 6
    given = {(name, measuring.PLAIN): made(measuring, count, 0) for name in ("lfw", "rafdb")}
    moved = {name: values[:8] for name, values in made(measuring, count, 0).items()}
    moved["age_mlnet"] = np.arange(8) % 2
    given["lfw", "grey"] = moved
    found = measuring.measured(
        {"lfw": table, "rafdb": table}, given, np.ones(MAP_SIZE, "float32"), SEED
    )
    grey = [row for row in found["moved"] if row["way"] == "grey"]
    assert [row["cc"]["value"] for row in grey] == pytest.approx([1, 1])
    assert grey[0]["faces"] == 8 and grey[0]["share_more"]["value"] == pytest.approx(0, abs=1e-6)
    assert found["floor"]["mlnet"]["two_faces"]["cc"]["value"] < 0.9
    assert found["answers"][0]["age"]["with"]["value"] == 0.5
    assert found["answers"][0]["age"]["difference"]["value"] == 0.5
    assert found["answers"][0]["gender"]["with"]["value"] == 0
    assert all(row["cc"]["value"] == pytest.approx(1) for row in found["light"])
    whole = [row for row in found["parts"] if row["part"] == "all" and row["group"] == "all"]
    assert len(whole) == 4 and all(
        row["prior"] == pytest.approx(row["area"]) for row in whole
    )  # of an even prior
    assert {row["group"] for row in found["parts"]} >= {"yaw 20° and more", "happy"}


# --- the project's own measurement -----------------------------------------------------------------


def test_the_page_says_what_was_measured():
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.filled(text, page.load()) == text, "run python docs/book/saliency_on_faces_page.py"
    assert set(page.BLOCK.findall(text)) == set(page.BLOCKS)
    assert page.PICTURE.is_file()


def test_the_measurement_tells_how_it_was_made():
    result = page.load()
    assert result["provenance"]["command"].startswith(
        "python benchmarks/saliency_on_faces.py WORK "
    )
    assert "/work" not in json.dumps(result)
    assert [row["set"] for row in result["data"]] == list(page.SETS)


def test_a_verdict_follows_its_figures():
    result = page.load()
    row = page.part_of(result, "mlnet", "lfw")
    row["over_others"] = {"value": 0.001, "low": -0.002, "high": 0.004}
    assert "is not shown" in page.of_parts(result)
    row["over_others"] = {"value": 0.03, "low": 0.02, "high": 0.04}
    assert "So 3.0 (2.0 to 4.0) points" in page.of_parts(result)
    for of in ("lfw", "rafdb"):
        page.light_of(result, of)["cc"]["value"] = 0.97
    assert "the first is reached," in page.of_light_network(result)
    page.light_of(result, "rafdb")["cc"]["value"] = 0.93
    assert "the first is not reached on RAF-DB," in page.of_light_network(result)
