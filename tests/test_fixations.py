import io

import cv2
import numpy as np
import pandas as pd
import pytest
import scipy.io
from conftest import data_folder
from PIL import Image

from safbage import fixations, images
from safbage.datasets.drawn.scenes import synthetic_scenes
from safbage.errors import ImageError, SceneError


def write_set(folder, generator, count=3, size=(60, 80)):
    """A small set laid out as OSIE: pictures and a table of fixations."""
    (folder / "stimuli").mkdir(parents=True)
    rows = []
    for i in range(count):
        images.write(
            folder / "stimuli" / f"{i}.png", generator.integers(0, 256, (*size, 3), "uint8")
        )
        rows += [
            {"image": f"{i}.png", "subject": k % 3, "x": 10.0 + k, "y": 20.5, "duration_ms": 200}
            for k in range(6)
        ]
    pd.DataFrame(rows).to_csv(folder / "fixations.csv", index=False)
    return folder


def test_a_single_fixation_is_a_gaussian():
    map = fixations.fixation_map(np.array([[20.9, 10.2]]), (30, 50), 4)
    rows, columns = np.indices((30, 50))
    expected = np.exp(-((columns - 20) ** 2 + (rows - 10) ** 2) / (2 * 4**2))
    assert map.dtype == np.float32 and map.max() == 1
    assert np.abs(map - expected).max() < 0.01


def test_fixations_add_up_and_those_outside_do_not_count():
    points = np.array([[5, 5], [5, 5], [25, 5], [-1, 5], [30, 5], [5, 20]], float)
    map = fixations.fixation_map(points, (20, 30), 1)
    assert map[5, 5] == 1 and map[5, 25] == pytest.approx(0.5, rel=1e-4)
    assert map.sum() == pytest.approx(
        1.5 / map.max() * 2 * np.pi, rel=0.01
    )  # nothing of the others


def test_no_fixations_give_an_empty_map():
    assert not fixations.fixation_map(np.zeros((0, 2)), (4, 5), 1).any()


def test_a_table_and_its_images(tmp_path, generator):
    scenes = fixations.read(write_set(tmp_path, generator))
    assert [scene.name for scene in scenes] == ["0.png", "1.png", "2.png"]
    assert (
        scenes[0].size == (60, 80)
        and scenes[0].fixations.shape == (6, 2)
        and len(set(scenes[0].subjects)) == 3
    )
    assert scenes[0].sigma == pytest.approx(24 / 800 * 80)
    assert scenes[0].pixels().shape == (60, 80, 3) and scenes[0].fixation_map().shape == (60, 80)


def test_sigma_in_degrees_and_in_pixels(tmp_path, generator):
    folder = write_set(tmp_path, generator)
    options = folder / "stimuli", folder / "fixations.csv"
    assert fixations.read_table(*options, sigma=2, pixels_per_degree=10)[0].sigma == 20
    assert fixations.read_table(*options, sigma=7, pixels_per_degree=1)[0].sigma == 7


def test_what_is_missing_is_named(tmp_path, generator):
    folder = write_set(tmp_path / "set", generator)
    table = pd.read_csv(folder / "fixations.csv")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        fixations.read(tmp_path / "nowhere")
    with pytest.raises(SceneError, match="neither stimuli/"):
        fixations.read(tmp_path)
    (folder / "stimuli" / "1.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 images .* such as 1\.png"):
        fixations.read(folder)
    table.drop(columns="y").to_csv(folder / "fixations.csv", index=False)
    with pytest.raises(SceneError, match="no column y; it has image, subject, x, duration_ms"):
        fixations.read(folder)
    table.astype({"x": object}).replace({"x": {12.0: "left"}}).to_csv(
        folder / "fixations.csv", index=False
    )
    with pytest.raises(SceneError, match=r"line 4: .* \(3 such lines\)"):
        fixations.read(folder)
    table[:0].to_csv(folder / "fixations.csv", index=False)
    with pytest.raises(SceneError, match="no fixations"):
        fixations.read(folder)


def test_a_damaged_picture_is_named(tmp_path, generator):
    folder = write_set(tmp_path, generator)
    (folder / "stimuli" / "1.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"1\.png"):
        fixations.read(folder)


def write_salicon(folder, generator, flat):
    pictures = folder / "images" / ("" if flat else "val")
    for place in (pictures, folder / "maps" / "val", folder / "fixations" / "val"):
        place.mkdir(parents=True)
    for name in ("COCO_val2014_000000000133", "COCO_val2014_000000000136"):
        images.write(pictures / f"{name}.jpg", generator.integers(0, 256, (48, 64, 3), "uint8"))
        map = np.zeros((48, 64), "uint8")
        map[10:20, 30:40] = 200
        cv2.imwrite(str(folder / "maps" / "val" / f"{name}.png"), map)
        viewers = np.zeros((1, 3), [("location", "O"), ("timestamp", "O"), ("fixations", "O")])
        for k in range(3):
            viewers[0, k] = (
                np.zeros((5, 2)),
                np.zeros((5, 1)),
                np.array([[1, 1], [35 + k, 15], [90, 5]], "uint16"),
            )
        content = {"image": name, "resolution": np.array([[48, 64]]), "gaze": viewers}
        scipy.io.savemat(folder / "fixations" / "val" / f"{name}.mat", content)
    return folder


@pytest.mark.parametrize("flat", [True, False])
def test_salicons_layout(tmp_path, generator, flat):
    scenes = fixations.read(write_salicon(tmp_path, generator, flat))
    assert [scene.name for scene in scenes] == [
        "COCO_val2014_000000000133",
        "COCO_val2014_000000000136",
    ]
    scene = scenes[0]
    assert scene.fixations.tolist() == [
        [0, 0],
        [34, 14],
        [0, 0],
        [35, 14],
        [0, 0],
        [36, 14],
    ]  # from 1 to from 0, inside
    assert scene.subjects.tolist() == [0, 0, 1, 1, 2, 2]
    assert scene.fixation_map()[15, 35] == 1 and scene.fixation_map()[0, 0] == 0


def test_salicon_without_its_fixations(tmp_path, generator):
    folder = write_salicon(tmp_path, generator, flat=True)
    for file in (folder / "fixations" / "val").iterdir():
        file.unlink()
    assert fixations.salicon(folder)[0].fixations.shape == (0, 2)
    (folder / "images" / "COCO_val2014_000000000133.jpg").unlink()
    with pytest.raises(FileNotFoundError, match="133"):
        fixations.salicon(folder)
    with pytest.raises(FileNotFoundError, match="train"):
        fixations.salicon(folder, split="train")


def test_holding_back_is_seeded_disjoint_and_blind_to_order(generator):
    scenes = synthetic_scenes(20, size=(80, 80))
    rest, apart = fixations.hold_back(scenes)
    assert len(rest) == 16 and len(apart) == 4
    assert {s.name for s in rest} | {s.name for s in apart} == {s.name for s in scenes}
    again = fixations.hold_back(scenes[::-1])[1]
    assert [s.name for s in again] == [s.name for s in apart]
    assert [s.name for s in fixations.hold_back(scenes, seed=1)[1]] != [s.name for s in apart]


def test_synthetic_scenes_are_seeded_and_looked_at_where_it_is_bright():
    one, other = synthetic_scenes(6), synthetic_scenes(6)
    for a, b in zip(one, other, strict=True):
        assert np.array_equal(a.pixels(), b.pixels()) and np.array_equal(a.fixations, b.fixations)
    for scene in one:
        colour = scene.pixels().astype(int)
        vivid = colour.max(axis=2) - colour.min(axis=2)
        columns, rows = fixations.cells(scene.fixations).T
        assert len(scene.fixations) > 100 and vivid[rows, columns].mean() > 1.5 * vivid.mean()


def test_the_sets_as_they_lie_here():
    osie = fixations.osie(data_folder("osie"))
    assert (
        len(osie) == 600
        and {scene.size for scene in osie} == {(600, 800)}
        and {scene.sigma for scene in osie} == {24}
    )
    assert max(len(set(scene.subjects)) for scene in osie) == 15
    crowd = fixations.eyecrowd(data_folder("eyecrowd"))
    assert len(crowd) == 250 and {scene.size for scene in crowd} == {(480, 640)}
    assert max(len(set(scene.subjects)) for scene in crowd) == 16


def test_a_scene_that_nobody_looked_at_is_left_out_with_a_word(tmp_path, generator, caplog):
    folder = write_set(tmp_path, generator)
    table = pd.read_csv(folder / "fixations.csv")
    table.loc[table.image == "1.png", "x"] = -5.0
    table.to_csv(folder / "fixations.csv", index=False)
    assert [scene.name for scene in fixations.read(folder)] == ["0.png", "2.png"]
    assert "1.png is left out" in caplog.text
    table.assign(x=0.5, y=0.5).to_csv(folder / "fixations.csv", index=False)
    with pytest.raises(SceneError, match="pixels, not shares"):
        fixations.read(folder)


@pytest.mark.parametrize(
    "options", [{"sigma": 0}, {"sigma": -1}, {"sigma": float("nan")}, {"pixels_per_degree": 0}]
)
def test_mad_degrees_are_refused(tmp_path, generator, options):
    with pytest.raises(ValueError, match="above 0"):
        fixations.read(write_set(tmp_path, generator), **options)
    with pytest.raises(ValueError, match="above 0"):
        fixations.mit1003(tmp_path, **options)
    with pytest.raises(ValueError, match="above 0"):
        fixations.nus_scene(tmp_path, **options)


def test_a_viewer_may_be_called_na(tmp_path, generator):
    folder = write_set(tmp_path, generator)
    text = (folder / "fixations.csv").read_text()
    (folder / "fixations.csv").write_text(text.replace("png,0,", "png,NA,"))
    assert set(fixations.read(folder)[0].subjects) == {"NA", "1", "2"}


def test_a_large_scene_can_be_had_smaller(tmp_path, generator):
    scene = fixations.read(write_set(tmp_path, generator, count=1))[0]
    assert scene.at_most(80) is scene
    small = scene.at_most(40)
    assert small.size == small.pixels().shape[:2] == (30, 40) and small.name == scene.name
    assert np.allclose(small.fixations, scene.fixations / 2) and small.sigma == scene.sigma / 2
    whole = images.resize(scene.fixation_map(), (30, 40))
    assert np.corrcoef(small.fixation_map().ravel(), whole.ravel())[0, 1] > 0.98
    (salicon, _) = fixations.read(write_salicon(tmp_path / "salicon", generator, flat=True))
    assert salicon.at_most(8) is salicon  # its map is ready-made


@pytest.mark.parametrize("orientation", [0, 3, 6, 8, 9])
def test_sizes_are_those_of_the_pixels_whatever_the_orientation(tmp_path, generator, orientation):
    folder = write_set(tmp_path, generator, count=1)
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(generator.integers(0, 256, (60, 80, 3), "uint8")).save(
        folder / "stimuli" / "0.png", exif=exif
    )
    (scene,) = fixations.read(folder)
    assert scene.size == scene.pixels().shape[:2] == scene.fixation_map().shape


@pytest.mark.parametrize("content", [b"", b"no mat"])
def test_damaged_gaze_files_are_named(tmp_path, generator, content):
    folder = write_salicon(tmp_path, generator, flat=True)
    (folder / "fixations" / "val" / "COCO_val2014_000000000133.mat").write_bytes(content)
    with pytest.raises(SceneError, match=r"133\.mat"):
        fixations.salicon(folder)


def write_mit1003(folder, generator):
    """Two photos; of the second, the second viewer saw one place, which MATLAB keeps as uint8."""
    (folder / "stimuli").mkdir(parents=True)
    (folder / "eye").mkdir()
    entries = np.empty((2, 1), object)
    for i, name in enumerate(("i1.jpg", "i2.jpg")):
        images.write(folder / "stimuli" / name, generator.integers(0, 256, (300, 400, 3), "uint8"))
        viewers = np.empty((2, 1), object)
        for k in range(2):
            x, y = ([200.5, 399.9, 400.0], [100.25, 299.0, 10.0])
            if (i, k) == (1, 1):
                x, y = np.array([[255]], "uint8"), np.array([[20]], "uint8")
            viewers[k, 0] = {"fix_x": x, "fix_y": y, "fix_duration": [100.0] * np.size(x)}
        entries[i, 0] = {"img": name, "subjects": viewers}
    scipy.io.savemat(folder / "eye" / "fixations.mat", {"fixations": entries})
    return folder


def write_scene(folder, generator):
    """Three pictures and two viewers, of whom one did not look at the second picture."""
    (folder / "stimuli").mkdir(parents=True)
    (folder / "tidy").mkdir()
    cells = np.empty((3, 2), object)
    for i, k in np.ndindex(3, 2):
        images.write(
            folder / "stimuli" / f"{i + 1:03d}.jpg",
            generator.integers(0, 256, (60, 80, 3), "uint8"),
        )
        cells[i, k] = np.array([[10.5, 70.25, 0.3, 0.1], [59.0, 20 + k, 0.5, 0.4]])
    cells[1, 1] = np.zeros((0, 0))
    scipy.io.savemat(folder / "tidy" / "fixations.mat", {"fixations": cells})
    return folder


def test_mit1003s_layout(tmp_path, generator):
    first, second = fixations.read(write_mit1003(tmp_path, generator))
    assert (first.name, first.size, first.sigma) == ("i1.jpg", (300, 400), 35)
    assert fixations.read(tmp_path, sigma=2)[0].sigma == 70
    assert first.fixations.tolist() == 2 * [[200.5, 100.25], [399.9, 299.0]]  # 400.0 is outside
    assert first.subjects.tolist() == [0, 0, 1, 1]
    assert second.fixations[-1].tolist() == [255, 20] and second.subjects.tolist() == [0, 0, 1]
    (tmp_path / "stimuli" / "i2.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"1 of 2 pictures .*i2.jpg"):
        fixations.mit1003(tmp_path)


def test_scenes_layout_has_y_before_x(tmp_path, generator):
    scenes = fixations.read(write_scene(tmp_path, generator))
    # not EyeCrowd's 001.jpg, which a network may have seen
    assert [scene.name for scene in scenes] == [f"scene/00{i}.jpg" for i in (1, 2, 3)]
    assert scenes[0].fixations.tolist() == [[70.25, 10.5], [20, 59], [70.25, 10.5], [21, 59]]
    assert scenes[1].subjects.tolist() == [0, 0]
    assert scenes[0].sigma == fixations.DEGREE * 80
    assert fixations.read(tmp_path, sigma=2, pixels_per_degree=10)[0].sigma == 20


@pytest.mark.parametrize("write", [write_mit1003, write_scene])
def test_files_of_another_form_are_named(tmp_path, generator, write):
    folder = write(tmp_path, generator)
    (path,) = folder.glob("*/fixations.mat")
    whole = path.read_bytes()
    other = io.BytesIO()
    scipy.io.savemat(other, {"fixations": np.zeros((4, 3))})
    wrong = io.BytesIO()
    scipy.io.savemat(wrong, {"gaze": np.zeros(3)})
    for content in (b"", b"no mat", whole[: len(whole) // 2], other.getvalue(), wrong.getvalue()):
        path.write_bytes(content)
        with pytest.raises(SceneError, match=r"fixations\.mat is not a file of fixations"):
            fixations.read(folder)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"fixations\.mat"):
        fixations.read(folder)


@pytest.mark.parametrize("name, count, seen", [("mit1003", 1003, 104_171), ("scene", 500, 43_894)])
def test_the_whole_sets(name, count, seen):
    scenes = fixations.read(data_folder(name))
    assert len(scenes) == count and sum(len(scene.fixations) for scene in scenes) == seen


def test_salicons_parts_are_chosen(tmp_path, generator):
    folder = write_salicon(tmp_path, generator, flat=False)
    for name in ("images", "maps", "fixations"):
        (folder / name / "val").rename(folder / name / "train")
    assert len(fixations.read(folder, split="train")) == 2
