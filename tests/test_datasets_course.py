"""What notebooks open in one call."""

import numpy as np
import pytest
from conftest import DATA

from safbage import images
from safbage.datasets import course
from safbage.errors import DatasetError


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("course")
    return folder, course.faces("synthetic", folder, limit=4, pictures_per_person=2, progress=False)


def test_faces_are_drawn_and_kept_in_a_folder_named_after_what_was_asked(drawn):
    folder, prepared = drawn
    assert len(prepared) == 4 and prepared.table.subject.nunique() == 2
    assert prepared.folder == folder / "faces-synthetic-2-4-0"


def test_a_prepared_folder_is_taken_as_it_is(drawn, tmp_path):
    prepared = course.faces(drawn[1].folder, tmp_path, limit=2, task="gender")
    assert len(prepared) == 4 and not list(tmp_path.iterdir())


def test_in_a_sweep_its_runs_share_the_faces(drawn, tmp_path, monkeypatch):
    monkeypatch.setenv("SAFBAGE_SHARED", str(drawn[0]))
    options = dict(limit=4, pictures_per_person=2, progress=False)
    assert course.faces("synthetic", tmp_path, **options).folder == drawn[1].folder


def test_a_data_set_that_is_not_here_is_told(tmp_path):
    with pytest.raises(DatasetError, match="UTKFace is not found"):
        course.faces("utkface", tmp_path, limit=4)


def test_scenes_are_drawn_and_a_fifth_held_back(monkeypatch):
    monkeypatch.setattr(course, "DRAWN_SCENES", 10)
    scenes = course.scenes(seed=3)
    assert (scenes.name, scenes.viewers) == ("drawn", "simulated viewers")
    assert len(scenes.known) == 8 and len(scenes.unseen) == 2
    again = course.scenes(seed=3)
    assert [scene.name for scene in again.unseen] == [scene.name for scene in scenes.unseen]
    assert np.array_equal(again.known[0].fixations, scenes.known[0].fixations)


@pytest.mark.skipif(not (DATA / "osie").is_dir(), reason="needs OSIE")
def test_osies_scenes_are_taken_where_they_are():
    from safbage import saliency

    scenes = course.scenes(DATA)
    seen = saliency.load_default().seen
    assert (scenes.name, scenes.viewers) == ("osie", "viewers")
    assert {scene.name for scene in scenes.known} <= seen and scenes.unseen
    assert not {scene.name for scene in scenes.unseen} & seen


@pytest.mark.skipif(not (DATA / "eyecrowd").is_dir(), reason="needs EyeCrowd")
def test_other_sets_of_scenes_are_taken_by_name():
    scenes = course.scenes(DATA, "eyecrowd")
    assert (scenes.name, scenes.title) == ("eyecrowd", "photographs of EyeCrowd")
    assert len(scenes.known) == 200 and len(scenes.unseen) == 50


def test_scenes_that_are_not_here_are_told(tmp_path):
    with pytest.raises(DatasetError, match=r"MIT1003 is not found .* Where to get it"):
        course.scenes(tmp_path, "mit1003")
    with pytest.raises(DatasetError, match=r"scenes are of osie, .*got 'utkface'"):
        course.scenes(tmp_path, "utkface")


def test_portraits_are_those_that_were_fetched(tmp_path, astronaut):
    assert course.portraits() == {} == course.portraits(tmp_path)
    (tmp_path / "portraits").mkdir()
    images.write(tmp_path / "portraits" / "biden.jpg", astronaut[:64, :48])
    images.write(tmp_path / "portraits" / "somebody.jpg", astronaut)
    (found,) = course.portraits(tmp_path).items()
    assert found[0] == "Joe Biden, 67" and found[1].shape == (64, 48, 3)
