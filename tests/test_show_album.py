"""The page of a folder, as it is written: what is on it, whatever names the photos have. In a browser: `test_browser`."""

import base64
import hashlib
import json

import numpy as np
import pytest
from bs4 import BeautifulSoup

from safbage import images
from safbage.faces import Face
from safbage.pipeline import Explanation
from safbage.show import album
from safbage.show.album import Album
from safbage.tasks import CLASSES

HOSTILE = [
    "<img src=x onerror=alert(1)>.jpg",
    "\"onload='alert(2)' x=\"&quot;.jpg",
    "</script><script>alert(3)</script>.jpg",
    "line\\nbreak.jpg",  # as `Photo.name` has a line break
    "photo\u202egpj.exe",
    "50% #1?a=b.jpg",
]


def answered(
    photo, *, faces=1, status=None, size=(640, 1280), quality="", age="25-32", gender="female"
):
    """A photo of `size` with faces in a row, 100 px wide, all with the same answers."""
    rows = {"age": age, "gender": gender, "expression": "happy"}
    chances = {
        task: np.tile(np.where(np.array(CLASSES[task]) == rows[task], 0.9, 0.1), (faces, 1))
        for task in CLASSES
    }
    return Explanation(
        photo,
        0.3,
        status=status or ("ok" if faces else "no face"),
        image=None if status else np.full((*size, 3), 200, "uint8"),
        faces=[Face((200.0 * i, 100.0, 100.0, 120.0), 0.9, {}) for i in range(faces)],
        crops=np.full((faces, 224, 224, 3), 90, "uint8"),
        probabilities=chances,
        quality=[quality] * faces,
        years=np.tile([30.0, 24.0, 37.0], (faces, 1)),
    )


def filled(folder, *photos, **options):
    """A folder with an album of these, and its page."""
    made = Album(folder)
    made.begin(**options)
    for seen in photos:
        made.add(seen, seen.rows(), figure=f"figures/{seen.photo}.png")
    made.write("face-mobilenet", 0.3)
    return BeautifulSoup((folder / "index.html").read_text(encoding="utf-8"), "html.parser")


def test_each_photo_has_its_boxes_in_the_thumbnails_pixels_and_each_face_a_tile(tmp_path):
    page = filled(tmp_path, answered("a.jpg", faces=2, quality="small: 14 px, blurred"))
    (card,) = page.find_all("article")
    thumbnail = images.read(tmp_path / card.img["src"])
    assert thumbnail.shape == (320, 640, 3) and card.svg["viewbox"] == "0 0 640 320"
    boxes = [[float(box[k]) for k in ("x", "y", "width", "height")] for box in card("rect")]
    assert boxes == [[0, 50, 50, 60], [100, 50, 50, 60]]  # half of the photo's
    tiles = card.find_all("li")
    assert [tile.b.text for tile in tiles] == ["1", "2"]
    assert images.read(tmp_path / tiles[1].img["src"]).shape == (160, 160, 3)
    assert [line.text for line in tiles[0].find_all("span")] == [
        "30 years (24–37) group 25–32",
        "female 90 %",
        "happy 90 %",
        "small: 14 px, blurred",
    ]
    assert (tiles[0]["data-age"], tiles[0]["data-quality"]) == ("25-32", "small|blurred")


def test_ages_in_groups_alone(tmp_path):
    seen = answered("a.jpg")
    rows = [{k: v for k, v in row.items() if not k.startswith("age_y")} for row in seen.rows()]
    made = Album(tmp_path)
    made.begin()
    made.add(seen, rows)
    made.write("alexnet-gap", 0.3)
    assert "25–32 years <i>90 %</i>" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_what_has_no_face_is_shown_and_what_failed_is_listed(tmp_path):
    broken = answered("x/broken.jpg", faces=0, status="failed: x/broken.jpg is damaged")
    page = filled(tmp_path, answered("x/a.jpg"), answered("x/y/cat.jpg", faces=0), broken)
    assert [card["data-state"] for card in page.find_all("article")] == ["ok", "none"]
    assert page.find_all("article")[1].h2.text == "cat.jpg in y"  # below the folder of all
    (line,) = page.find(id="failed").find_all("li")
    assert (line.bdi.text, line.span.text) == ("broken.jpg", "x/broken.jpg is damaged")
    assert page.h1.text == "3 photos" and "From x" in page.header.text


def test_the_filters_count_faces_by_answer_and_quality_and_photos_by_status(tmp_path):
    page = filled(
        tmp_path,
        answered("a.jpg", faces=2),
        answered("b.jpg", gender="male", quality="turned away"),
        answered("c.jpg", faces=0),
    )
    options = {menu["name"]: [o.text for o in menu("option")] for menu in page("select")}
    assert options == {
        "age": ["any", "25–32 (3)"],
        "gender": ["any", "male (1)", "female (2)"],
        "expression": ["any", "happy (3)"],
        "quality": ["any", "nothing against it (2)", "turned away (1)"],
        "state": ["any", "with faces (2)", "no face (1)"],
    }


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_nothing_but_text(tmp_path, name):
    def page(name, folder):
        failed = answered(f"holiday/{name}", faces=0, status=f"failed: {name} is damaged")
        return filled(folder, answered(f"day/{name}"), failed)

    hostile, plain = page(name, tmp_path / "hostile"), page("a.jpg", tmp_path / "plain")
    shape = [(tag.name, sorted(tag.attrs)) for tag in hostile.find_all()]
    assert shape == [(tag.name, sorted(tag.attrs)) for tag in plain.find_all()]
    shown = name.replace("\u202e", "\\u202e").rpartition("/")[2]
    assert hostile.h2.bdi.text == shown
    assert "\u202e" not in (tmp_path / "hostile" / "index.html").read_text(encoding="utf-8")


def test_a_figure_is_linked_where_it_exists_whatever_its_name(tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "50% #1?.jpg.png").touch()
    page = filled(tmp_path, answered("50% #1?.jpg"), answered("without.jpg"))
    assert [link["href"] for link in page.find_all("a", class_="photo")] == [
        "figures/50%25%20%231%3F.jpg.png"
    ]


def test_nothing_is_loaded_from_elsewhere_and_only_its_own_script_may_run(tmp_path):
    page = filled(tmp_path, answered("a.jpg"))
    policy = page.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
    for tag in ("script", "style"):
        (one,) = page.find_all(tag)
        digest = base64.b64encode(hashlib.sha256(one.string.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy and not one.get("src")
    assert "default-src 'none'" in policy and not page.find_all("link")
    assert "http" not in str(page).replace("http-equiv", "")
    assert {tag.get("style") for tag in page.find_all()} == {None}


def test_a_resumed_run_keeps_what_is_there_and_a_new_one_begins_anew(tmp_path):
    filled(tmp_path, answered("a.jpg"), answered("b.jpg"))
    with open(tmp_path / "page" / "photos.jsonl", "a") as file:
        file.write('{"key": "half a li')
    page = filled(tmp_path, answered("c.jpg"), answered("a.jpg", faces=3), resume=True)
    found = {card.h2.bdi.text: len(card("li")) for card in page.find_all("article")}
    assert found == {"b.jpg": 1, "c.jpg": 1, "a.jpg": 3}
    assert len(filled(tmp_path, answered("d.jpg")).find_all("article")) == 1


def test_frames_of_a_film_are_told_apart_by_their_time(tmp_path):
    made = Album(tmp_path)
    made.begin()
    for frame in (0, 15):
        seen = answered("clip.mp4")
        made.add(seen, [row | {"frame": frame, "time_s": frame / 30} for row in seen.rows()])
    made.write("face-mobilenet", 0.3)
    page = BeautifulSoup((tmp_path / "index.html").read_text(encoding="utf-8"), "html.parser")
    assert [h2.bdi.text for h2 in page("h2")] == ["clip.mp4, 0.0 s", "clip.mp4, 0.5 s"]
    assert len({image["src"] for image in page("img")}) == 4


def test_a_page_of_too_many_photos_says_how_many_it_shows(tmp_path, monkeypatch):
    monkeypatch.setattr(album, "MOST", 2)
    page = filled(tmp_path, *(answered(f"{i}.jpg") for i in range(3)))
    assert len(page.find_all("article")) == 2 and "Only the first 2 photos" in page.header.text
    assert len(list(tmp_path.glob("page/*.jpg"))) == 4  # two photos, two faces
    filled(tmp_path, answered("more.jpg"), resume=True)
    assert len(list(tmp_path.glob("page/*.jpg"))) == 4


def test_a_photo_without_pixels_and_one_of_a_single_row_have_their_card(tmp_path):
    bare = answered("bare.jpg")
    object.__setattr__(bare, "image", None)
    page = filled(tmp_path, bare, answered("line.jpg", size=(1, 3000)))
    first, second = page.find_all("article")
    assert "no picture kept" in first.text and second.svg["viewbox"] == "0 0 640 1"


def test_every_line_of_the_records_is_json(tmp_path):
    filled(tmp_path, *(answered(name) for name in HOSTILE))
    lines = (tmp_path / "page" / "photos.jsonl").read_text(encoding="utf-8").split("\n")
    assert [json.loads(line)["photo"] for line in lines if line] == HOSTILE
