"""WIDER FACE's, FDDB's and EyeCrowd's boxes, in small made folders with the real ones' quirks, and hostile lines."""

import math

import numpy as np
import pytest
from conftest import data_folder

from safbage import images
from safbage.datasets import boxes
from safbage.errors import DatasetError

BOX = boxes.BOX


def photos(folder, *names):
    """The folder, with small photos of these names."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        images.write(folder / name, np.zeros((8, 9, 3), "uint8"))
    return folder


WIDER = """\
0--Parade/a.jpg
2
78 221 7 8 2 0 0 0 0 0
449 330 122 149 0 1 1 1 2 1
1--Handshaking/none.jpg
0
0 0 0 0 0 0 0 0 0 0
1--Handshaking/b.jpg
1
10 20 0 5 0 0 0 1 0 0
2--Demo/c.jpg
1
1 2 3 4 0 0 0 0 1 0
"""


@pytest.fixture
def wider(tmp_path):
    names = "0--Parade/a.jpg", "1--Handshaking/none.jpg", "1--Handshaking/b.jpg", "2--Demo/c.jpg"
    photos(tmp_path, *(f"images/{name}" for name in names))
    (tmp_path / "wider_face_val_bbx_gt.txt").write_text(WIDER)
    return tmp_path


def test_wider(wider):
    found = boxes.read(wider)
    assert found.kind == "wider" and len(found.photos) == 4
    first, second, third = found.faces.to_dict("records")
    assert [first[name] for name in BOX] == [78, 221, 7, 8] and not first["ignore"]
    assert first["blur"] == "heavy" and first["pose"] == "typical"
    assert second["blur"] == "clear"
    assert second["ignore"] and (second["occlusion"], second["pose"]) == ("heavy", "atypical")
    assert (third["photo"], third["occlusion"]) == ("2--Demo/c.jpg", "partial")
    assert found.photos["2--Demo/c.jpg"] == wider / "images" / "2--Demo" / "c.jpg"
    (dropped,) = found.dropped.to_dict("records")  # as the real list has some
    assert dropped["where"] == "line 10" and dropped["reason"] == "the box has no area"


def test_wider_as_it_is_unpacked(wider):
    (wider / "wider_face_split").mkdir()
    (wider / "wider_face_val_bbx_gt.txt").rename(
        wider / "wider_face_split/wider_face_val_bbx_gt.txt"
    )
    (wider / "WIDER_val").mkdir()
    (wider / "images").rename(wider / "WIDER_val" / "images")
    assert len(boxes.read(wider).photos) == 4


@pytest.mark.parametrize(
    "unpacked, read", [(["val"], "val"), (["train"], "train"), (["train", "val"], "val")]
)
def test_of_two_wider_lists_the_one_is_read_whose_photos_are_there(tmp_path, unpacked, read):
    """The archive of lists holds both, and each set of photos has an archive of its own."""
    (tmp_path / "wider_face_split").mkdir()
    for part in ("train", "val"):
        path = tmp_path / "wider_face_split" / f"wider_face_{part}_bbx_gt.txt"
        path.write_text(f"0--Parade/{part}.jpg\n1\n1 2 3 4 0 0 0 0 0 0 \n")
    photos(tmp_path, *(f"WIDER_{part}/images/0--Parade/{part}.jpg" for part in unpacked))
    assert list(boxes.read(tmp_path).photos) == [f"0--Parade/{read}.jpg"]


def test_a_photo_without_faces_may_lack_its_line_of_zeros(wider):
    text = WIDER.replace("0 0 0 0 0 0 0 0 0 0\n", "").replace("\n", "\r\n")
    (wider / "wider_face_val_bbx_gt.txt").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert len(boxes.read(wider).faces) == 3


FDDB = """\
2002/08/11/big/img_591
1
123.5 85.5 0.0 269.5 161.5  1
2002/07/19/big/img_130
2
40 20 1.5707963267948966 100 100 1
-1 20 0.1 100 100 1
"""


def fddb(folder):
    photos(folder, "2002/08/11/big/img_591.jpg", "2002/07/19/big/img_130.jpg")
    (folder / "FDDB-folds").mkdir()
    (folder / "FDDB-folds" / "FDDB-fold-01-ellipseList.txt").write_text(FDDB)
    return folder


@pytest.mark.parametrize("named", [None, "FDDB-folds", "FDDB-folds/FDDB-fold-01-ellipseList.txt"])
def test_fddb(tmp_path, named):
    found = boxes.read(fddb(tmp_path), named and tmp_path / named)
    assert found.kind == "fddb" and len(found.photos) == 2
    lying, upright = found.faces[BOX].to_numpy().tolist()
    assert lying == pytest.approx([269.5 - 123.5, 161.5 - 85.5, 247, 171])
    assert upright == pytest.approx([80, 60, 40, 80])
    assert found.dropped.reason.tolist() == ["four numbers were expected"]


def test_a_slanted_ellipse_touches_its_box(tmp_path):
    photos(tmp_path, "a.jpg")
    (tmp_path / "ellipseList.txt").write_text("a\n1\n50 30 0.6 100 90 1\n")
    (box,) = boxes.fddb(tmp_path, tmp_path / "ellipseList.txt").faces[BOX].to_numpy()
    turn = np.linspace(0, 2 * math.pi, 100_001)
    x = 100 + 50 * np.cos(turn) * math.cos(0.6) - 30 * np.sin(turn) * math.sin(0.6)
    y = 90 + 50 * np.cos(turn) * math.sin(0.6) + 30 * np.sin(turn) * math.cos(0.6)
    assert box == pytest.approx([x.min(), y.min(), np.ptp(x), np.ptp(y)], abs=1e-5)


def test_eyecrowds_flags(tmp_path):
    photos(tmp_path, "stimuli/1.jpg")
    head = "image,left,top,width,height,frontal,profile,back,occluded\n"
    lines = ["1,0,0,0", "1,0,0,1", "0,1,0,0", "0,0,1,1", "0,0,0,0"]
    rows = "".join(f"1.jpg,-2,1.5,10,12,{flags}\n" for flags in lines)
    (tmp_path / "face_boxes.csv").write_text(head + rows)
    found = boxes.read(tmp_path)
    assert found.kind == "eyecrowd" and found.faces.left.tolist() == [-2] * 5
    assert found.faces.pose.tolist() == ["frontal", "frontal", "profile", "back", "not told"]
    assert found.faces.ignore.tolist() == [False, True, True, True, True]


def test_any_table(tmp_path):
    photos(tmp_path, "a.png", "b/c.png")
    text = "image,left,top,width,height,ignore,light\na.png,1,2,3,4,1,dim\na.png,5,6,7,8,,\nb/c.png,,,,,,\n"
    (tmp_path / "boxes.csv").write_text(text)
    found = boxes.read(tmp_path)
    assert found.kind == "table" and [*found.photos] == ["a.png", "b/c.png"]
    assert found.faces.ignore.tolist() == [True, False]
    assert found.faces.light.tolist() == ["dim", ""]


def test_photos_spread_evenly(tmp_path):
    names = [f"{i}.png" for i in range(9)]
    photos(tmp_path, *names)
    rows = "".join(f"{name},1,1,2,2\n" for name in names)
    (tmp_path / "boxes.csv").write_text("image,left,top,width,height\n" + rows)
    found = boxes.read(tmp_path)
    assert [*found.first(3).photos] == ["0.png", "4.png", "8.png"] and len(
        found.first(3).faces
    ) == 3
    assert len(found.first(None).photos) == len(found.first(99).photos) == 9


# --- hostile ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line, reason",
    [
        ("nan 2 3 4 0 0 0 0 0 0", "four numbers"),
        ("inf 2 3 4 0 0 0 0 0 0", "four numbers"),
        ("left 2 3 4", "four numbers"),
        ("1 2 3", "four numbers"),
        ("1 2 3 x 0 0 0 0 0 0 0 0 7", "four numbers"),
        ("1 2 -3 4 0 0 0 0 0 0", "no area"),
        ("1 2 3 1e9 0 0 0 0 0 0", "beyond 100,000 pixels"),
    ],
)
def test_a_hostile_line_is_told_and_costs_no_other(wider, line, reason):
    text = WIDER.replace("78 221 7 8 2 0 0 0 0 0", line)
    (wider / "wider_face_val_bbx_gt.txt").write_text(text)
    found = boxes.wider(wider, wider / "wider_face_val_bbx_gt.txt")
    assert len(found.faces) == 2
    first = found.dropped.iloc[0]
    assert (first.photo, first["where"]) == ("0--Parade/a.jpg", "line 3") and reason in first.reason


def test_an_unknown_attribute_is_no_reason_to_leave_out_a_face(wider):
    text = WIDER.replace("78 221 7 8 2 0 0 0 0 0", "78 221 7 8 9 x")
    (wider / "wider_face_val_bbx_gt.txt").write_text(text)
    first = boxes.read(wider).faces.iloc[0]
    assert (first.blur, first.expression, first.pose) == ("?", "?", "typical")


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("a.jpg\n2\n", "a.jpg\n99999\n", "has 99999 faces, and the file ends after"),
        ("a.jpg\n2\n", "a.jpg\n9999999999\n", "line 2: the number of faces"),
        ("a.jpg\n2\n", "a.jpg\n-2\n", "line 2: the number of faces .* there is '-2'"),
        ("a.jpg\n2\n", "a.jpg\n1\n", "line 5: the number of faces"),
        ("1 2 3 4 0 0 0 0 1 0\n", "", "c.jpg .line 11. has 1 faces, and the file ends after 0"),
        (WIDER, "", "is empty"),
        (WIDER, "a.jpg", "there is 'nothing'"),
    ],
)
def test_a_list_whose_lines_cannot_be_told_apart_is_refused(wider, old, new, said):
    assert old in WIDER
    (wider / "wider_face_val_bbx_gt.txt").write_text(WIDER.replace(old, new))
    with pytest.raises(DatasetError, match=said):
        boxes.read(wider)


@pytest.mark.parametrize("name", ["../secret.jpg", "/etc/passwd", "a/../../b.jpg", "a\0b.jpg"])
def test_names_that_lead_elsewhere_are_left_out(wider, name):
    images.write(wider.parent / "secret.jpg", np.zeros((8, 8, 3), "uint8"))
    (wider / "list.txt").write_text(WIDER.replace("2--Demo/c.jpg", name))
    found = boxes.read(wider, wider / "list.txt")
    assert len(found.photos) == 3 and "leads out of the folder" in found.dropped.iloc[-1].reason
    assert "\0" not in found.dropped.iloc[-1].photo


def test_absent_photos_are_told_once_each(wider):
    (wider / "images" / "0--Parade" / "a.jpg").unlink()
    found = boxes.read(wider)
    assert len(found.photos) == 3 and len(found.faces) == 1
    assert found.dropped.photo.tolist() == ["0--Parade/a.jpg", "1--Handshaking/b.jpg"]


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        boxes.read(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"holds no boxes: neither face_boxes\.csv"):
        boxes.read(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such file of boxes"):
        boxes.read(tmp_path, tmp_path / "boxes.csv")
    with pytest.raises(DatasetError, match="holds no FDDB-fold"):
        boxes.read(tmp_path, tmp_path)
    (tmp_path / "boxes.csv").write_text("image,left,top\na.png,1,2\n")
    with pytest.raises(DatasetError, match="no column width, height; it has image, left, top"):
        boxes.read(tmp_path)
    (tmp_path / "boxes.csv").write_text("image,left,top,width,height\na.png,1,2,3,4\n")
    with pytest.raises(FileNotFoundError, match=r"none of the photos .* a\.png: its file is not"):
        boxes.read(tmp_path)
    photos(tmp_path, "a.png")
    (tmp_path / "boxes.csv").write_text("image,left,top,width,height\na.png,1,2,3,x\n")
    with pytest.raises(DatasetError, match="holds no face that can be used"):
        boxes.read(tmp_path)
    (tmp_path / "boxes.csv").write_bytes(b"image,left,top,width,height\n\xff\xfe,1,2,3,4\n")
    with pytest.raises(DatasetError, match="is not a CSV of text"):
        boxes.read(tmp_path)


def test_the_real_eyecrowd():
    found = boxes.read(data_folder("eyecrowd"))
    assert (len(found.photos), len(found.faces), len(found.dropped)) == (250, 5134, 0)
    assert (~found.faces.ignore).sum() == 1619
