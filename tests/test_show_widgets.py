import re
from datetime import datetime

import numpy as np
import pytest
from PIL import Image

from safbage import cam, classifiers, datasets, faces, images, reweighting
from safbage.datasets import preparation
from safbage.datasets.shards import Prepared
from safbage.faces import Face
from safbage.show import plots, widgets
from safbage.tasks import CLASSES


def shown(picture):
    """What a picture shows; and that is JPEG, so nearly."""
    return images.decode(picture.image.value)


def near(picture, expected):
    return np.abs(shown(picture).astype(int) - expected).mean() < 3


def figures(bars):
    """Class to the percentage written beside its bar."""
    return {
        name: float(value)
        for name, value in re.findall(r'data-class="\w+ ([^"]+)">([\d.]+)%', bars.value)
    }


def alert(widget):
    return re.sub(r"<[^>]+>", "", widget.value) if "alert" in widget.value else ""


def test_the_margin_slider_redraws_the_crop(astronaut):
    face = Face((170.0, 60.0, 90.0, 110.0), 1.0, {})
    slider, picture, message = widgets.margin(astronaut, face).children
    for value in (0.3, 0.0, 0.85):
        slider.value = value
        assert picture.image.value == images.encode(faces.crop_face(astronaut, face, margin=value))
        assert f">{round(110 * (1 + value))} ×" in picture.caption.value and not message.value


@pytest.mark.parametrize("box", [(0.0, 0.0, 0.0, 0.0), (900.0, 900.0, 50.0, 50.0)])
def test_errors_appear_in_words(astronaut, box):
    message = widgets.margin(astronaut, Face(box, 1.0, {})).children[2]
    assert alert(message).startswith("Error: ValueError")


def test_thresholds_find_what_detect_faces_finds(astronaut):
    *sliders, picture, message = widgets.thresholds(astronaut).children
    assert ">1 face found" in picture.caption.value
    before = picture.image.value
    for slider, value in zip(sliders, (0.3, 0.1, 0.05, 30), strict=True):
        slider.value = value
    found = faces.detect_faces(astronaut, thresholds=(0.3, 0.1, 0.05), min_face_size=30)
    assert len(found) > 1 and f">{len(found)} faces found" in picture.caption.value
    assert picture.image.value != before and not message.value


@pytest.fixture(scope="module")
def seen(model):
    return model.explain(images.astronaut())


def test_class_evidence_draws_the_chosen_method_class_and_layer(alexnet_gap, astronaut):
    seen = alexnet_gap.explain(astronaut)
    task, wanted, method, layer, picture, message = widgets.class_evidence(seen).children
    assert wanted.label.endswith("(the answer)")
    task.value, wanted.value, method.value, layer.value = "expression", 3, "Grad-CAM++", "conv3"
    crop = seen.reweighted.astype("float32")
    contrast = cam.grad_cam_plus_plus(
        classifiers.load("expression", "alexnet-gap"), crop, target=3, layer="conv3"
    )[0]
    expected = plots.tinted(seen.reweighted[0], contrast, reach=contrast.max())
    assert near(picture, expected) and not message.value
    assert "Grad-CAM++ at conv3" in picture.caption.value and "against" not in picture.caption.value
    method.value = "occlusion"
    assert (
        layer.disabled
        and "occlusion" in picture.caption.value
        and "against (−) the class" in picture.caption.value
    )
    with pytest.raises(IndexError):
        widgets.class_evidence(seen, face=3)


@pytest.fixture(scope="module")
def prepared_faces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("widgets")
    table, _ = datasets.synthetic(folder / "pictures", 6, size=96, progress=False)
    options = preparation.Preparation(detect="box", saliency="light")
    preparation.prepare(table, folder / "prepared", options, progress=False)
    return folder / "prepared"


@pytest.fixture
def explorer(model, tmp_path):
    return widgets.ratio_explorer(model, save_to=tmp_path / "views")


def test_the_explorer_shows_what_the_library_computes_at_every_ratio(explorer, model, seen):
    for percent in (0, 30, 65, 100):
        explorer.ratio.value = percent
        expected = model.at_ratio(seen, percent / 100)
        assert near(
            explorer.pictures["reweighted"],
            reweighting.reweight(seen.crops[0], seen.maps[0], percent / 100),
        )
        for task, values in expected.probabilities.items():
            found = figures(explorer.bars[task])
            assert list(found) == list(CLASSES[task])
            assert np.allclose(list(found.values()), 100 * values[0], atol=0.06)
            years = plots.age_in_words(expected.years[0])
            assert (years in explorer.bars[task].value) == (task == "age")
        target = expected.probabilities["age"][0].argmax()
        evidence, reach = (
            cam.contrast(expected.cams["age"][0])[:, :, target],
            plots.evidence_reach(expected),
        )
        assert near(
            explorer.pictures["cam"], plots.tinted(expected.reweighted[0], evidence, reach=reach)
        )
        assert explorer.message.value == ""
    assert near(explorer.pictures["face"], seen.crops[0])
    assert near(explorer.pictures["map"], plots.blended(seen.crops[0], seen.maps[0]))


def test_the_explorer_of_the_papers_network_has_no_years(alexnet_gap, tmp_path):
    explorer = widgets.ratio_explorer(alexnet_gap, save_to=tmp_path)
    explorer.ratio.value = 60
    assert explorer.message.value == "" and "years" not in explorer.bars["age"].value
    explorer.save.click()
    assert "saved" in explorer.message.value and len(list(tmp_path.iterdir())) == 1


def test_a_move_runs_neither_detector_nor_ml_net(explorer, model, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("ran again")

    monkeypatch.setattr("safbage.faces.detect_enlarged", refuse)
    monkeypatch.setattr(model.answering, "answer", refuse)
    before = explorer.bars["age"].value
    explorer.ratio.value = 100
    explorer.formula.value = "clip"
    assert explorer.message.value == "" and explorer.bars["age"].value != before


def test_formula_class_and_colours_can_be_chosen(explorer, model, seen):
    explorer.ratio.value = 40
    explorer.formula.value = "clip"
    clipped = reweighting.reweight(seen.crops[0], seen.maps[0], 0.4, mode="clip")
    assert near(explorer.pictures["reweighted"], clipped)
    explorer.task.value, explorer.target.value = "expression", 6
    explorer.map_colours.value, explorer.cam_colours.label = "cividis", "yellow, violet"
    expected = model.at_ratio(seen, 0.4, mode="clip")
    evidence, reach = (
        cam.contrast(expected.cams["expression"][0])[:, :, 6],
        plots.evidence_reach(expected),
    )
    assert near(
        explorer.pictures["cam"],
        plots.tinted(clipped, evidence, reach=reach, colours=explorer.cam_colours.value),
    )
    assert f"expression {CLASSES['expression'][6]}" in explorer.pictures["cam"].caption.value
    assert near(
        explorer.pictures["map"], plots.blended(seen.crops[0], seen.maps[0], colours="cividis")
    )
    explorer.papers.click()
    assert explorer.ratio.value == 30


def upload(explorer, name, content):
    file = {
        "name": name,
        "type": "image/jpeg",
        "size": len(content),
        "content": memoryview(content),
        "last_modified": datetime.now(),
    }
    explorer.source.value = "a photo of your own"
    explorer.upload.value = (file,)


def test_an_upload_is_explored_and_a_broken_one_fails_in_words(explorer, astronaut, model):
    mirrored = np.ascontiguousarray(astronaut[:, ::-1])
    upload(explorer, "mine.png", images.encode(mirrored, "png"))
    assert explorer.message.value == "" and "mine.png" in explorer.pictures["photo"].caption.value
    own = model.explain(mirrored)
    assert near(explorer.pictures["face"], own.crops[0])
    assert np.allclose(
        list(figures(explorer.bars["age"]).values()), 100 * own.probabilities["age"][0], atol=0.06
    )
    before = explorer.pictures["face"].image.value
    for name, content, words in (
        ("broken.jpg", b"\xff\xd8\xff\xe0 this is no photo", "broken.jpg is"),
        ("empty.jpg", b"", "empty.jpg is empty"),
        (
            "<b>blank</b>.png",
            images.encode(np.zeros((200, 200, 3), "uint8"), "png"),
            "no face was found in",
        ),
    ):
        upload(explorer, name, content)
        assert words in alert(explorer.message), name
        assert explorer.pictures["face"].image.value == before  # what was in view stays
    assert "<b>blank" not in explorer.message.value  # a file's name is text, not HTML
    explorer.source.value = "the embedded photo"
    assert explorer.message.value == "" and explorer.pictures["face"].image.value != before


def test_a_photo_that_cannot_be_read_leaves_an_explorer_that_says_so(model, tmp_path):
    explorer = widgets.ratio_explorer(model, tmp_path / "missing.jpg")
    assert "no such file" in alert(explorer.message) and explorer.view.layout.display == "none"
    explorer.ratio.value = 55  # nothing to move
    explorer.task.value, explorer.cam_colours.label = "gender", "white, black"
    upload(explorer, "mine.png", images.encode(images.astronaut(), "png"))
    assert explorer.message.value == "" and explorer.view.layout.display is None
    assert "at 55 %" in explorer.pictures["reweighted"].caption.value


def test_of_several_faces_one_is_chosen(model, astronaut):
    both = np.concatenate([astronaut, astronaut[:, ::-1]], axis=1)
    explorer = widgets.ratio_explorer(model, both)
    faces_there = model.explain(both).faces
    assert (
        len(faces_there) == 2 == len(explorer.face.options) and explorer.face.layout.display is None
    )
    first = explorer.pictures["face"].image.value
    explorer.face.value = 1
    assert (
        explorer.pictures["face"].image.value != first
        and "face 1 is shown" in explorer.pictures["photo"].caption.value
    )
    upload(explorer, "one.png", images.encode(astronaut, "png"))
    assert explorer.face.value == 0 and explorer.face.layout.display == "none"


def test_the_view_is_saved(explorer, tmp_path):
    explorer.ratio.value = 70
    explorer.save.click()
    (path,) = (tmp_path / "views").iterdir()
    assert (
        path.name == "astronaut-face0-ratio70-blend-age.png" and str(path) in explorer.message.value
    )
    assert Image.open(path).size[0] > 1000
    explorer.save_to = path  # a file stands where the folder should be
    explorer.save.click()
    assert "Error" in alert(explorer.message)


def test_faces_of_a_prepared_set_can_be_picked(model, prepared_faces):
    prepared = Prepared(prepared_faces)
    explorer = widgets.ratio_explorer(model, prepared=prepared)
    explorer.source.value = "a face of the data set"
    explorer.row.value = 3
    crops, maps = prepared.faces([3])
    assert near(explorer.pictures["face"], crops[0])
    expected = model.classify(crops, maps=maps, probabilities=True)
    found = figures(explorer.bars["gender"])
    assert all(abs(found[name] - 100 * expected[f"gender[{name}]"][0]) < 0.06 for name in found)
    assert (
        "face 3 of" in explorer.pictures["photo"].caption.value
        and "labelled" in explorer.pictures["photo"].caption.value
    )
    explorer.source.value = "the embedded photo"
    assert "astronaut" in explorer.pictures["photo"].caption.value
