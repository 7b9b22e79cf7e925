"""Readers of data sets, on small made folders with the real ones' quirks, and on the real ones where they are."""

import hashlib
import io
import json
import logging
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import data_folder
from PIL import Image

from safbage import datasets, images
from safbage.datasets import reading, spellings, splits
from safbage.datasets import tables as base
from safbage.datasets.reading import NO_FILE, OTHER_FILE
from safbage.errors import DatasetError
from safbage.tasks import AGE_GROUPS, BOX, CLASSES, EXPRESSIONS, GENDERS, SPLITS


@pytest.fixture
def picture(tmp_path):
    """Write a small picture that differs from all others, or with `like` the one of that number; its path."""
    made = []

    def write(name, like=None):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        made.append(len(made) + 1)
        # a new colour each: PNG below any suffix, so that its pixels stay as they are
        value = like or made[-1]
        Image.fromarray(np.full((6, 6, 3), (value % 256, value // 256, 7), "uint8")).save(
            path, "PNG"
        )
        return path

    return write


def reasons(found):
    return {
        os.path.basename(image): reason
        for image, reason in zip(found.dropped.image, found.dropped.reason, strict=True)
    }


def labels(found, *columns):
    """Image's name to its labels, None where one is missing."""
    rows = (
        found.faces[list(columns)]
        .astype(object)
        .where(found.faces[list(columns)].notna(), None)
        .values.tolist()
    )
    return dict(zip(map(os.path.basename, found.faces.image), rows, strict=True))


# what all share


def test_classes_are_those_of_the_classifiers():
    assert {"age": AGE_GROUPS, "gender": GENDERS, "expression": EXPRESSIONS} == CLASSES


@pytest.mark.parametrize(
    "age, group",
    [
        (0, "0-2"),
        (3, None),
        (13, "8-13"),
        (14, None),
        (25, "25-32"),
        (60, "60+"),
        (116, "60+"),
        (None, None),
    ],
)
def test_ages_fall_into_adiences_groups(age, group):
    assert base.age_group(age) == group


@pytest.mark.parametrize(
    "text, exact, nearest",
    [
        ("(8, 12)", "8-13", "8-13"),
        ("8-13", "8-13", "8-13"),
        ("(60, 100)", "60+", "60+"),
        ("60+", "60+", None),
        ("(38, 48)", None, "38-43"),  # its middle is 43
        ("(25, 23)", None, "25-32"),
        ("(8, 23)", None, "15-20"),
        ("3", None, "0-2"),  # as near to 4-6
        ("35", None, "25-32"),  # as near to 38-43
        ("36", None, "38-43"),
        ("57", None, "60+"),
        ("None", None, None),
        ("", None, None),
    ],
)
def test_age_labels(text, exact, nearest):
    assert spellings.age_group(text) == exact
    assert spellings.nearest_age_group(text) == nearest


def test_a_listing_has_the_columns_types_and_a_report():
    rows = [
        {"image": "a", "age": 3, "race": "x"},
        {"image": "b", "gender": "male", "fold": 4},
        {"image": "c", "reason": "why"},
    ]
    found = base.listing(rows, groups={"race": ("x", "y")})
    assert tuple(found.faces) == (*base.COLUMNS, "race")
    assert found.faces.age_group.cat.ordered and not found.faces.gender.cat.ordered
    assert found.faces.fold.dtype == "Int8" and found.faces.subject.isna().all()
    assert found.report().split("\n") == ["2 pictures (gender 1)", "1 left out: why"]


def test_votes_and_apparent_ages_are_columns_where_a_set_has_them():
    rows = [
        {
            "image": "a",
            "apparent_age": 31,
            "apparent_age_spread": 0,
            "votes_happy": 7,
            "box_left": 2,
        },
        {"image": "b", "votes_happy": 0, "votes_no_face": 10},
    ]
    found = base.listing(rows, groups={"race": ("x",)}).faces
    assert tuple(found) == (
        *base.COLUMNS,
        "race",
        *base.APPARENT,
        "votes_happy",
        "votes_no_face",
        "box_left",
    )
    assert found.votes_no_face.dtype == "Int8" and found.votes_no_face.isna().tolist() == [
        True,
        False,
    ]
    assert found.apparent_age.dtype == "float64" and found.apparent_age.fillna(-1).tolist() == [
        31,
        -1,
    ]
    for column, value, says in (
        ("votes_sad", 2.5, "votes_sad is a whole number from 0 to 127; got 2.5"),
        ("votes_sad", -1, "whole number from 0 to 127; got -1"),
        ("votes_sad", 128, "whole number from 0 to 127; got 128"),
        ("apparent_age", 201, "apparent_age is a number from 0 to 200; got 201"),
        (
            "apparent_age_spread",
            "wide",
            "apparent_age_spread is a number from 0 to 200; got 'wide'",
        ),
    ):
        with pytest.raises(DatasetError, match=says):
            base.listing([{"image": "a", column: value}])


def test_copies_go_and_wholly_where_labels_disagree(picture):
    rows = [
        {"image": str(picture("a.png", 1)), "gender": "male"},
        {"image": str(picture("b.png", 1)), "gender": "male"},
        {"image": str(picture("c.png", 2)), "gender": "male"},
        {"image": str(picture("d.png", 2)), "gender": "female"},
        {"image": str(picture("e.png", 3)), "gender": None, "age": 4},
        {"image": str(picture("f.png", 3)), "gender": None, "age": 4},
        {"image": "gone.png", "gender": "male"},
    ]
    found = base.without_duplicates(base.listing(rows), ["age", "gender"], progress=False)
    assert list(labels(found)) == ["a.png", "e.png"]
    why = reasons(found)
    assert why["b.png"] == why["f.png"] == "copy of another picture"
    assert why["c.png"] == why["d.png"] == "same pixels as another picture, other labels"
    assert why["gone.png"].startswith("unreadable")


def test_splits_keep_subjects_whole_and_do_not_depend_on_the_others():
    rows = [
        {"image": f"{i}.jpg", "subject": f"s{i // 4}" if i < 2000 else None} for i in range(4000)
    ]
    table = splits.with_split(base.listing(rows).faces, test=0.2, validation=0.25, seed=3)
    assert table.groupby("subject").split.nunique().max() == 1
    assert (
        0.15 < (table.split == "test").mean() < 0.25
        and 0.15 < (table.split == "validation").mean() < 0.25
    )
    part = splits.with_split(base.listing(rows[100:300]).faces, test=0.2, validation=0.25, seed=3)
    assert part.split.tolist() == table.split[100:300].tolist()
    assert (
        splits.with_split(table, seed=4).split.tolist()
        != splits.with_split(table, seed=3).split.tolist()
    )
    for shares in ({"test": 1}, {"validation": -0.1}):
        with pytest.raises(ValueError, match="shares lie in"):
            splits.with_split(table, **shares)


def test_folds_keep_subjects_whole():
    table = splits.by_subject_folds(
        base.listing([{"image": f"{i}", "subject": f"s{i // 4}"} for i in range(2000)]).faces
    )
    assert table.groupby("subject").fold.nunique().max() == 1
    assert set(table.fold) == {0, 1, 2, 3, 4} and table.fold.value_counts().min() > 300


def test_a_killed_extraction_leaves_nothing_and_a_whole_one_is_not_repeated(tmp_path):
    def killed(aside):
        (aside / "half").touch()
        raise KeyboardInterrupt

    file = tmp_path / "set.csv"
    file.write_text("one")
    with pytest.raises(KeyboardInterrupt):
        reading.extract_once(file, tmp_path / "cache", killed)
    assert list((tmp_path / "cache").iterdir()) == []
    folder = reading.extract_once(file, tmp_path / "cache", lambda aside: (aside / "whole").touch())
    assert reading.extract_once(file, tmp_path / "cache", killed) == folder
    assert [path.name for path in folder.iterdir()] == ["whole"]
    file.write_text("another")
    assert reading.extract_once(file, None, lambda aside: None).parent == tmp_path / "pictures"


READERS = [
    datasets.adience,
    datasets.affectnet,
    datasets.appareal,
    datasets.fairface,
    datasets.fer2013,
    datasets.ferplus,
]
READERS += [datasets.lfw, datasets.people, datasets.rafdb, datasets.utkface]


@pytest.mark.parametrize("read", READERS)
def test_a_missing_an_empty_and_a_wrong_folder_are_told_apart(read, tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        read(tmp_path / "nowhere")
    for held in ("nothing", "holiday.txt"):
        if held != "nothing":
            (tmp_path / held).touch()
        with pytest.raises(
            DatasetError, match=rf"it holds {held}|none of its 0 pictures is named age_gender"
        ):
            read(tmp_path)


# Adience

ADIENCE_HEADER = "user_id\toriginal_image\tface_id\tage\tgender\tx\ty"


@pytest.fixture
def adience(tmp_path, picture):
    """Fold files with every quirk; the pictures of all lines are there but b.jpg's."""
    lines = {
        0: [
            "u1\ta.jpg\t1\t(25, 32)\tm\t0\t0",
            "u1\ta.jpg\t1\t(25, 32)\tm\t0\t0",
            "u1\tb.jpg\t2\t(8, 12)\tu\t0\t0",
            "u1\tc.jpg\t1\tNone\tf\t0\t0",
            "u1\td.jpg\t1\t35\tu\t0\t0",
            "u1\te.jpg\t1\t(38, 48)\t\t0\t0",
            'u1\t"q.jpg\t1\t(0, 2)\tf\t0\t0',
            "u1\tbroken",
            "",
        ],
        1: ["u2\ta.jpg\t3\t(60, 100)\tf\t0\t0", "u1\tz.jpg\t1\t(25, 32)\tm\t0\t0"],
        2: ["u3\ta.jpg\t4\t13\tm\t0\t0"],
    }
    for fold in range(5):
        text = "\n".join([ADIENCE_HEADER, *lines.get(fold, [])])
        (tmp_path / f"fold_{fold}_data.txt").write_text(text)
        (tmp_path / f"fold_frontal_{fold}_data.txt").write_text(
            text
        )  # of the original; not to be read
    for name in ("u1/1.a", "u1/1.c", "u1/1.d", "u1/1.e", 'u1/1."q', "u1/1.z", "u2/3.a", "u3/4.a"):
        user, face = name.split("/")
        picture(f"faces/{user}/coarse_tilt_aligned_face.{face}.jpg")
    picture("aligned/u1/landmark_aligned_face.1.a.jpg")
    return tmp_path


def test_adience(adience):
    found = datasets.adience(adience)
    prefix = "coarse_tilt_aligned_face"
    assert found.faces.image.str.rsplit(".", n=3).str[1:].str.join(".").tolist() == [
        "1.a.jpg", "1.a.jpg", "1.c.jpg", '1."q.jpg', "3.a.jpg", "4.a.jpg",
    ]  # fmt: skip
    assert found.faces.subject.tolist() == ["u1 1"] * 4 + ["u2 3", "u3 4"]
    assert found.faces.fold.tolist() == [0, 0, 0, 0, 1, 2] and found.faces.split.isna().all()
    assert labels(found, "age", "age_group", "gender") == {
        f"{prefix}.1.a.jpg": [None, "25-32", "male"],
        f"{prefix}.1.c.jpg": [None, None, "female"],
        f'{prefix}.1."q.jpg': [None, "0-2", "female"],
        f"{prefix}.3.a.jpg": [None, "60+", "female"],
        f"{prefix}.4.a.jpg": [13.0, None, "male"],
    }
    neither = "neither one of the age groups nor a gender"
    assert reasons(found) == {
        f"{prefix}.1.d.jpg": neither,
        f"{prefix}.1.e.jpg": neither,
        f"{prefix}.1.z.jpg": "the same person is in an earlier fold",
        f"{prefix}.2.b.jpg": "the picture is not there",
        "fold_0_data.txt:9": "malformed line",
    }


def test_adience_rescued_once_each_and_aligned(adience):
    rescued = labels(datasets.adience(adience, rescue=True), "age_group")
    assert [rescued[f"coarse_tilt_aligned_face.{n}.jpg"][0] for n in ("1.d", "1.e", "4.a")] == [
        "25-32",
        "38-43",
        "8-13",
    ]
    once = datasets.adience(adience, repeats=False)
    assert len(once.faces) == 5 and (once.dropped.reason == "repeats another line").sum() == 1
    aligned = datasets.adience(adience, aligned=True)
    assert len(aligned.faces) == 2 and list(labels(aligned)) == ["landmark_aligned_face.1.a.jpg"]
    assert len(datasets.adience(adience, require_files=False).faces) == 7


def test_adience_needs_five_folds_their_columns_and_pictures(adience):
    with open(adience / "fold_4_data.txt", "w") as file:
        file.write("user_id\toriginal_image\tage\tgender\n")
    with pytest.raises(DatasetError, match=r"fold_4_data\.txt has no column face_id"):
        datasets.adience(adience)
    (adience / "fold_4_data.txt").unlink()
    with pytest.raises(DatasetError, match=r"lacks fold_4_data\.txt"):
        datasets.adience(adience)
    (adience / "fold_4_data.txt").write_text(ADIENCE_HEADER)
    for path in (adience / "faces").rglob("*.jpg"):
        path.unlink()
    with pytest.raises(DatasetError, match=r"none of the pictures.*require_files=False"):
        datasets.adience(adience)


def test_adiences_published_counts_folds_and_real_pictures(caplog):
    folder = data_folder("adience")
    with caplog.at_level(logging.WARNING):
        faces, dropped = datasets.adience(folder, require_files=False)
    assert not caplog.records  # the counts are the published ones
    assert (faces.age_group.notna().sum(), faces.gender.notna().sum()) == (17_424, 17_603)
    assert faces.groupby("subject").fold.nunique().max() == 1
    assert sorted(faces.fold.unique()) == [0, 1, 2, 3, 4] and faces.subject.nunique() > 2_200
    assert len(faces) + len(dropped) == 19_487
    there = datasets.adience(folder).faces
    assert len(there) == 150 and set(there.fold) == {0}
    assert there.gender.value_counts().to_dict() == {"male": 88, "female": 62}
    assert images.read(there.image[0]).shape[2] == 3
    once = datasets.adience(folder, require_files=False, repeats=False).faces
    assert (once.age_group.notna().sum(), once.gender.notna().sum(), once.image.is_unique) == (
        17_321,
        17_492,
        True,
    )


# AffectNet

AFFECTNET_HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"


@pytest.mark.parametrize(
    "below, tables", [("", ""), ("Manually_Annotated_Images/", "Manually_Annotated_file_lists/")]
)
def test_affectnets_older_form(tmp_path, picture, below, tables):
    training = [f"7/{i}.jpg,1,2,30,40,1;2;3,{i % 12},0.1,0.2" for i in range(36)]
    training += [
        "7/null.jpg,NULL,NULL,NULL,NULL,1;2,6,0,0",
        "7/gone.jpg,1,2,3,4,1;2,1,0,0",
        "7/x.jpg,1,2",
        ",1,2,3,4,,0,,",
    ]
    (tmp_path / tables).mkdir(exist_ok=True)
    (tmp_path / tables / "training.csv").write_text("\n".join([AFFECTNET_HEADER, *training]))
    (tmp_path / tables / "validation.csv").write_text(
        "8/v.jpg,5,6,70,80,1;2;3,3,0.1,0.2\n8/w.jpg,5,6,7,8,1;2,happy,0,0\n"
    )
    for name in (*(f"7/{i}.jpg" for i in range(36)), "7/null.jpg", "8/v.jpg", "8/w.jpg"):
        picture(below + name)
    found = datasets.affectnet(tmp_path, validation=0.4)
    got = labels(found, "expression", "split", *BOX)
    assert len(got) == 23
    assert [got[f"{i}.jpg"][0] for i in range(7)] == [
        "neutral",
        "happy",
        "sad",
        "surprise",
        "fear",
        "disgust",
        "anger",
    ]
    assert got["v.jpg"] == ["surprise", "test", 5, 6, 70, 80]
    assert got["null.jpg"][0] == "anger" and got["null.jpg"][2:] == [None] * 4
    assert {row[1] for row in got.values()} == {"train", "validation", "test"}
    why = reasons(found)
    assert (why["7.jpg"], why["8.jpg"]) == (
        "contempt, not one of the paper's seven",
        "labelled: none of the expressions",
    )
    assert why["11.jpg"] == why["w.jpg"] == "the expression is not a number from 0 to 10"
    assert why["gone.jpg"] == "the picture is not there"
    assert why["training.csv:40"] == why["training.csv:41"] == "malformed line"
    again = datasets.affectnet(tmp_path, validation=0.4)
    assert again.faces.split.equals(found.faces.split)
    assert not datasets.affectnet(tmp_path, validation=0.4, seed=1).faces.split.equals(
        found.faces.split
    )
    assert len(datasets.affectnet(tmp_path, require_files=False).faces) == 24


def test_affectnet_with_a_table_of_something_else(tmp_path):
    (tmp_path / "training.csv").write_text("name,price\nx,1\n")
    with pytest.raises(DatasetError, match=r"no column subDirectory_filePath.*holds name, price"):
        datasets.affectnet(tmp_path)


def test_affectnets_newer_form(tmp_path, picture):
    def annotate(split, name, value):
        path = tmp_path / split / "annotations" / f"{name}_exp.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, value, allow_pickle=True)

    for i in range(8):
        picture(f"train_set/images/{i}.jpg")
        annotate("train_set", i, np.array(str(i)) if i % 2 else np.array(i))
    picture("train_set/images/lonely.jpg")
    picture("train_set/images/pickled.jpg")
    annotate("train_set", "pickled", np.array({"evil": 1}, dtype=object))
    picture("train_set/images/pickled.png")
    picture("train_set/images/list.txt")
    annotate("train_set", "gone", np.array(1))
    np.save(tmp_path / "train_set" / "annotations" / "0_val.npy", 0.5)
    picture("val_set/images/0.jpg")
    annotate("val_set", "0", np.array("6"))
    found = datasets.affectnet(tmp_path, validation=0, progress=False)
    assert found.faces.expression.tolist() == [*EXPRESSIONS, "anger"]
    assert found.faces.split.tolist() == ["train"] * 7 + ["test"]
    assert tuple(found.faces) == base.COLUMNS  # no box
    assert reasons(found) == {
        "7.jpg": "contempt, not one of the paper's seven",
        "gone.jpg": "the picture is not there",
        "lonely.jpg": "the picture has no annotation",
        "pickled.jpg": "the expression is not a number from 0 to 10",
        "pickled.png": "another picture has the same number",
        "list.txt": OTHER_FILE,
    }


# UTKFace


def test_utkface(picture, tmp_path):
    picture("25_0_2_1.jpg.chip.jpg")
    picture("part2/23_1_4_20170116.JPG")
    picture("part2/30_1_0_5.jpg", like=100)
    picture("part2/30_1_1_6.jpg", like=100)  # copies; race alone differs
    picture("40_1_0_7.jpg", like=101)
    picture("41_1_0_8.jpg", like=101)
    for name in (
        "61_1_2017.jpg.chip.jpg",
        "x_0_0_1.jpg",
        "25_3_0_1.jpg",
        "25_0_9_1.jpg",
        "150_0_0_1.jpg",
        "25__0_x.jpg",
    ):
        picture(name)
    picture(".hidden_0_0_1.jpg")
    (tmp_path / "readme.txt").touch()
    found = datasets.utkface(tmp_path, progress=False)
    assert labels(found, "age", "age_group", "gender", "race") == {
        "25_0_2_1.jpg.chip.jpg": [25, "25-32", "male", "Asian"],
        "23_1_4_20170116.JPG": [23, None, "female", "Others"],
        "30_1_0_5.jpg": [30, "25-32", "female", "White"],
    }
    assert found.faces.split.notna().all()
    why = reasons(found)
    assert why["30_1_1_6.jpg"] == "copy of another picture"
    assert (
        why["40_1_0_7.jpg"] == why["41_1_0_8.jpg"] == "same pixels as another picture, other labels"
    )
    assert why["61_1_2017.jpg.chip.jpg"] == "the name is not age_gender_race_time"
    assert (
        sum(
            reason == "the name's age, gender or race is not a known one" for reason in why.values()
        )
        == 5
    )
    assert why["readme.txt"] == OTHER_FILE
    assert len(why) == 10


def test_utkface_without_one_good_name(picture, tmp_path):
    picture("holiday.jpg")
    with pytest.raises(DatasetError, match="none of its 1 pictures is named age_gender_race_time"):
        datasets.utkface(tmp_path)


@pytest.fixture(scope="module")
def utkface():
    return datasets.utkface(data_folder("UTKFace"), progress=False)


@pytest.mark.slow
def test_no_picture_of_utkface_straddles_a_split(utkface):
    kept, dropped = utkface
    conflicting = dropped.image[dropped.reason == "same pixels as another picture, other labels"]
    copies = dropped.image[dropped.reason == "copy of another picture"]
    assert (len(kept), len(conflicting), len(copies)) == (15_884, 270, 114) and len(kept) + len(
        dropped
    ) == 16_271
    assert (
        kept.age.notna().all() and kept.age_group.isna().sum() == 2757
    )  # ages in the gaps between the groups
    assert (
        f"{len(conflicting)} left out: same pixels as another picture, other labels"
        in utkface.report()
    )
    content = {
        image: hashlib.md5(Path(image).read_bytes()).digest()
        for image in [*kept.image, *conflicting, *copies]
    }
    left = {content[image] for image in kept.image}
    assert len(left) == len(kept)
    assert not left & {content[image] for image in conflicting}
    assert len(left & {content[image] for image in copies}) > 50  # of which one is kept
    shares = kept.split.value_counts(normalize=True)
    assert 0.13 < shares["test"] < 0.17 and 0.07 < shares["validation"] < 0.1


# FairFace


def test_fairface_as_its_authors_hand_it_out(tmp_path, picture):
    rows = {
        "train/1.jpg": "0-2,Male,White", "train/2.jpg": "03-Sep,Female,Black", "train/3.jpg": "Oct-19,Female,Latino_Hispanic",
        "train/4.jpg": "more than 70,Male,East Asian", "train/5.jpg": "Sep-03,Male,White", "train/6.jpg": "19-Oct,Male,White",
        "train/7.jpg": "2-0,Male,White", "train/8.jpg": "60-69,,White", "train/gone.jpg": "20-29,Male,White",
    }  # fmt: skip
    lines = [f"{name},{row},True" for name, row in rows.items()]
    (tmp_path / "fairface_label_train.csv").write_text(
        "\n".join(["file,age,gender,race,service_test", *lines, "train/9.jpg,x"])
    )
    (tmp_path / "fairface_label_val.csv").write_text(
        "file,age,gender,race,service_test\nval/1.jpg,60-69,Female,Indian,False\n"
    )
    for name in (*rows, "val/1.jpg"):
        if "gone" not in name:
            picture(f"fairface-img-margin025-trainval/{name}")
    found = datasets.fairface(tmp_path)
    columns = ["fairface_age", "age_group", "gender", "race", "split"]
    assert found.faces[columns].astype(object).where(
        found.faces[columns].notna(), None
    ).values.tolist() == [
        ["0-2", "0-2", "male", "White", "train"],
        ["3-9", None, "female", "Black", "train"],
        ["10-19", None, "female", "Latino_Hispanic", "train"],
        ["more than 70", "60+", "male", "East Asian", "train"],
        ["3-9", None, "male", "White", "train"],
        ["10-19", None, "male", "White", "train"],
        ["60-69", "60+", "female", "Indian", "test"],
    ]
    assert found.faces.fairface_age.cat.ordered and found.faces.fairface_age.max() == "more than 70"
    assert reasons(found) == {
        "7.jpg": "unknown age: 2-0",
        "8.jpg": "unknown gender: empty",
        "gone.jpg": "the picture is not there",
        "fairface_label_train.csv:11": "malformed line",
    }


def jpeg(value):
    file = io.BytesIO()
    Image.new("RGB", (5, 5), (value, 0, 0)).save(file, "JPEG")
    return file.getvalue()


def parquet(path, ages, genders, races, *, described=None, image=jpeg):
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = [{"bytes": image(i), "path": None} for i in range(len(ages))]
    table = pa.table(
        {
            "image": pictures,
            "age": ages,
            "gender": genders,
            "race": races,
            "service_test": [False] * len(ages),
        }
    )
    if described:
        features = {
            name: {"names": values, "_type": "ClassLabel"} for name, values in described.items()
        }
        table = table.replace_schema_metadata(
            {"huggingface": json.dumps({"info": {"features": features}})}
        )
    pq.write_table(table, path)


def test_fairface_from_the_hub(tmp_path, monkeypatch):
    parquet(tmp_path / "0.25" / "train-00000-of-00002-ab.parquet", [0, 1, 99], [0, 1, 0], [0, 6, 0])
    parquet(tmp_path / "0.25" / "train-00001-of-00002-cd.parquet", [8], [1], [5])
    swapped = {"gender": ["Female", "Male"]}
    parquet(
        tmp_path / "0.25" / "validation-00000-of-00001-ef.parquet", [7], [0], [3], described=swapped
    )
    parquet(tmp_path / "1.25" / "train-00000-of-00001-gh.parquet", [2] * 5, [0] * 5, [0] * 5)
    found = datasets.fairface(tmp_path, progress=False)
    columns = ["fairface_age", "age_group", "gender", "race", "split"]
    assert found.faces[columns].astype(object).where(
        found.faces[columns].notna(), None
    ).values.tolist() == [
        ["0-2", "0-2", "male", "East Asian", "train"],
        ["3-9", None, "female", "Southeast Asian", "train"],
        ["more than 70", "60+", "female", "Latino_Hispanic", "train"],
        ["60-69", "60+", "female", "White", "test"],
    ]
    assert reasons(found) == {"000002.jpg": "unknown age: 99"}
    with open(found.faces.image[1], "rb") as file:
        assert file.read() == jpeg(1)
    monkeypatch.setattr(
        "safbage.runtime.files.tempfile.TemporaryDirectory", None
    )  # would be needed to extract again
    assert datasets.fairface(tmp_path, progress=False).faces.equals(found.faces)
    monkeypatch.undo()
    wide = datasets.fairface(
        tmp_path, margin="1.25", cache=tmp_path / "cache", progress=False
    ).faces
    assert len(wide) == 5 and wide.image.str.startswith(str(tmp_path / "cache")).all()
    with pytest.raises(ValueError, match="margin is one of"):
        datasets.fairface(tmp_path, margin="0.5")


def test_fairface_rows_without_a_picture_and_damaged_files(tmp_path):
    path = tmp_path / "train-00000-of-00001.parquet"
    parquet(path, [0, 3], [0, 1], [0, 6], image=lambda i: jpeg(i) if i else None)
    found = datasets.fairface(tmp_path, progress=False)
    assert labels(found, "gender") == {"000001.jpg": ["female"]} and reasons(found) == {
        "000000.jpg": "the picture is not there"
    }
    whole = path.read_bytes()
    for damaged in (whole[:-30], whole[:4] + b"\xff" * 60 + whole[64:]):
        path.write_bytes(damaged)
        with pytest.raises(DatasetError, match="not a readable Parquet file"):
            datasets.fairface(tmp_path, cache=tmp_path / "cache", progress=False)
    (tmp_path / "file").touch()
    path.write_bytes(whole)
    with pytest.raises(PermissionError, match="name another folder"):
        datasets.fairface(tmp_path, cache=tmp_path / "file", progress=False)
    pq.write_table(pa.table({"age": [1], "picture": [2]}), path)
    with pytest.raises(DatasetError, match="no column image, gender, race; it has age, picture"):
        datasets.fairface(tmp_path)


# FER2013


def fer_csv(path, header="emotion,pixels,Usage"):
    def line(emotion, value, usage, count=48 * 48):
        return f"{emotion},{' '.join([str(value)] * count)},{usage}"

    lines = [line(emotion, 10 * emotion, "Training") for emotion in range(7)]
    lines += [
        line(3, 1, "PublicTest"),
        line(4, 2, "PrivateTest"),
        line(3, 2, "PrivateTest"),
        line(0, 0, "Training"),
    ]
    lines += [
        line(7, 5, "Training"),
        line(1, 256, "Training"),
        line(1, 3, "Training", 9),
        line(1, "x", "Training"),
    ]
    lines += [line(1, 4, "Elsewhere"), "1,2"]
    path.write_text("\n".join([header, *lines]))


@pytest.mark.parametrize("header", ["emotion,pixels,Usage", "emotion, Usage, pixels"])
def test_fer2013s_csv(tmp_path, header):
    path = tmp_path / "fer2013.csv"
    fer_csv(path)
    if header.endswith("pixels"):  # as in icml_face_data.csv
        moved = pd.read_csv(path).iloc[:, [0, 2, 1]]
        path.unlink()
        path = tmp_path / "icml_face_data.csv"
        moved.set_axis(header.split(","), axis=1).to_csv(path, index=False)
    found = datasets.fer2013(tmp_path, cache=tmp_path / "cache", progress=False)
    assert found.faces.expression.tolist() == [
        *["anger", "disgust", "fear", "happy", "sad", "surprise", "neutral"],
        "happy",
    ]
    assert found.faces.split.tolist() == ["train"] * 7 + ["validation"]
    pixels = images.read(found.faces.image[6])
    assert pixels.shape == (48, 48, 3) and (pixels == 60).all()
    why = reasons(found)
    assert why["000010.png"] == why["000011.png"] == "same pixels as another picture, other labels"
    assert why["000012.png"] == "copy of another picture"
    name = path.name
    assert [why[f"{name}:{n}"] for n in (13, 14)] == [
        "unknown emotion: 7",
        "pixels are not 48×48 numbers from 0 to 255",
    ]
    assert (
        why[f"{name}:14"] == why[f"{name}:15"] == why[f"{name}:16"]
        and why[f"{name}:17"] == "unknown Usage: Elsewhere"
    )


def test_fer2013s_pictures_are_extracted_once_and_never_taken_for_another_csvs(tmp_path):
    fer_csv(tmp_path / "fer2013.csv")
    first = datasets.fer2013(tmp_path / "fer2013.csv", progress=False).faces
    Image.new("L", (48, 48), 77).save(first.image[1])  # would be overwritten by a second extraction
    again = datasets.fer2013(tmp_path / "fer2013.csv", progress=False).faces
    assert again.equals(first) and images.read(again.image[1]).max() == 77
    text = (tmp_path / "fer2013.csv").read_text().split("\n")
    (tmp_path / "fer2013.csv").write_text("\n".join([text[0], *text[2:]]))
    other = datasets.fer2013(tmp_path / "fer2013.csv", progress=False).faces
    assert images.read(other.image[0]).max() == 10 and other.expression[0] == "disgust"


def test_fer2013_in_folders(tmp_path, picture):
    for i in range(40):
        picture(f"train/{'angry' if i % 2 else 'Happiness'}/im{i}.jpg")
    picture("train/contempt/c.jpg")
    picture("validation/surprised/v.jpg")
    found = datasets.fer2013(tmp_path, validation=0.3, progress=False)
    got = labels(found, "expression", "split")
    assert (
        got["v.jpg"] == ["surprise", "test"]
        and got["im1.jpg"][0] == "anger"
        and got["im2.jpg"][0] == "happy"
    )
    assert set(found.faces.split) == {"train", "validation", "test"}
    assert reasons(found) == {"c.jpg": "the folder's name is not an expression: contempt"}
    picture("test/fearful/t.jpg")
    got = labels(datasets.fer2013(tmp_path, progress=False), "expression", "split")
    assert got["t.jpg"] == ["fear", "test"] and got["v.jpg"] == ["surprise", "validation"]
    assert got["im1.jpg"][1] == "train"


def test_fer2013_without_columns_and_without_a_place_to_write(tmp_path):
    (tmp_path / "fer2013.csv").write_text("a,b\n1,2\n")
    with pytest.raises(
        DatasetError, match="no column emotion, pixels, Usage; its first line holds a, b"
    ):
        datasets.fer2013(tmp_path)
    fer_csv(tmp_path / "fer2013.csv")
    (tmp_path / "file").touch()
    with pytest.raises(PermissionError, match="name another folder"):
        datasets.fer2013(tmp_path, cache=tmp_path / "file")


@pytest.mark.slow
def test_the_real_fer2013(caplog):
    folder = data_folder("fer2013")
    with caplog.at_level(logging.WARNING):
        found = datasets.fer2013(folder, progress=False)
    assert (
        folder / "ferplus_votes.csv"
    ).exists()  # FER+'s votes lie beside the folders, and are not taken for FER2013's csv
    why = found.dropped.reason.value_counts().to_dict()
    assert why == {
        "copy of another picture": 1450,
        "same pixels as another picture, other labels": 129,
    }
    assert (
        len(found.faces) == 30_719 and (found.faces.split == "test").sum() == 3292
    )  # of 32,298 and 3,589 files
    assert set(found.faces.expression) == set(EXPRESSIONS)
    in_validation = found.faces.image.str.contains("/validation/")
    assert (found.faces.split[in_validation] == "test").all() and not (
        found.faces.split[~in_validation] == "test"
    ).any()
    assert (found.faces.expression[found.faces.image.str.contains("/angry/")] == "anger").all()
    assert "32,298 pictures, published are 35,887" in caplog.text


# FER+

VOTES = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)
"""In its own order."""


def test_ferplus_by_names(tmp_path, picture):
    votes = {  # of the ten, how many said what; and what becomes of the picture
        "agreed": ("0,10,0,0,0,0,0,0,0,0", "happy"),
        "single": ("5,0,1,1,1,1,1,0,0,0", "neutral"),  # single votes are not counted: 5 of 5
        "scattered": ("4,0,0,3,3,0,0,0,0,0", None),  # 4 of 10
        "half": ("0,0,0,5,0,0,3,2,0,0", None),
        "tied": ("5,5,0,0,0,0,0,0,0,0", None),
        "tied_unknown": ("0,0,0,0,5,0,0,0,5,0", None),
        "alone": ("0,0,0,0,0,0,1,0,0,0", None),
        "contempt": ("4,0,0,0,0,0,0,6,0,0", "contempt"),
        "unknown": ("2,0,0,3,0,0,0,0,5,0", "unknown"),
        "no_face": ("0,0,0,0,0,0,0,0,0,10", "no face"),
        "empty": ("0,0,0,0,0,0,0,0,0,0", ""),
        "text": ("x,0,0,0,0,0,0,0,0,0", ""),
        "short": ("9,1", ""),
        "unlisted": (None, ""),
    }
    for name in votes:
        picture(f"train/{'angry' if name == 'agreed' else 'fear'}/{name}.jpg")
    picture("train/bored/other.jpg")
    picture("validation/sad/v.jpg")
    lines = [f"{name}.jpg,Training,{given}" for name, (given, _) in votes.items() if given]
    lines.append("v.jpg,PublicTest,0,0,0,9,0,0,0,0,1,0")
    (tmp_path / "ferplus_votes.csv").write_text(
        "\n".join([f"image,Usage,{','.join(VOTES)}", *lines])
    )
    found = datasets.ferplus(tmp_path, validation=0.3, progress=False)
    got = labels(found, "expression", "fer2013_expression", "split", *base.VOTES)
    assert set(got) == {f"{name}.jpg" for name in list(votes)[:7]} | {"v.jpg"}
    assert {name: got[f"{name}.jpg"][0] for name in list(votes)[:7]} == {
        name: votes[name][1] for name in list(votes)[:7]
    }
    assert (
        got["v.jpg"] == ["sad", "sad", "test", 0, 0, 9, 0, 0, 0, 0, 0, 1, 0]
        and got["agreed.jpg"][1] == "anger"
    )
    assert got["half.jpg"][3:] == [
        0,
        0,
        5,
        0,
        3,
        0,
        0,
        2,
        0,
        0,
    ]  # as base.VOTES: happy, sad, surprise, fear …
    assert reasons(found) == {
        **{
            f"{name}.jpg": f"most of FER+'s votes are for: {votes[name][1]}"
            for name in ("contempt", "unknown", "no_face")
        },
        **{
            f"{name}.jpg": "FER+ has no votes for it"
            for name in ("empty", "text", "short", "unlisted")
        },
        "other.jpg": "the folder's name is not an expression: bored",
    }
    assert "8 pictures (expression 3)" in found.report()
    assert (
        len(datasets.fer2013(tmp_path, progress=False).faces) == 15
    )  # which takes no notice of it


def test_ferplus_by_its_authors_own_lines(tmp_path):
    fer_csv(tmp_path / "fer2013.csv")
    with pytest.raises(
        DatasetError,
        match=r"no votes of FER\+: expected ferplus_votes.csv .*; it holds fer2013.csv",
    ):
        datasets.ferplus(tmp_path, progress=False)
    usages = ["Training"] * 7 + [
        "PublicTest",
        "PrivateTest",
        "Training",
        "Training",
    ]  # the tenth is another one in fer2013.csv
    counts = ["1,0,0,9", *["0,9,0,1"] * 9, "1,0,0,9"]  # the last picture is a copy of the first
    lines = [
        f"{usage},fer0.png,{said},0,0,0,0,0,0" for usage, said in zip(usages, counts, strict=True)
    ]
    lines[1] = "Training,,0,0,0,0,0,0,0,0,0,10"  # the authors name no picture without a face
    (tmp_path / "fer2013new.csv").write_text(
        "\n".join([f"Usage,Image name,{','.join(VOTES)}", *lines])
    )
    for path in (tmp_path, tmp_path / "fer2013.csv"):
        found = datasets.ferplus(path, progress=False)
        assert found.faces.expression.tolist() == ["sad", *["happy"] * 7]
        assert found.faces.fer2013_expression.tolist()[:3] == ["anger", "fear", "happy"]
        assert found.faces.split.tolist() == ["train"] * 6 + ["validation", "test"]
    why = reasons(found)
    assert why["000003.png"] == "most of FER+'s votes are for: no face"
    assert why["000011.png"] == "FER+ has no votes for it"
    assert why["000012.png"] == "copy of another picture"


@pytest.mark.slow
def test_the_real_ferplus():
    faces, dropped = datasets.ferplus(data_folder("fer2013"), progress=False)
    assert (
        len(faces) == 30_256
        and faces.expression.notna().sum() == 26_798
        and len(faces) + len(dropped) == 32_298
    )
    assert dropped.reason.value_counts().to_dict() == {
        "copy of another picture": 1498,
        "most of FER+'s votes are for: unknown": 195,
        "most of FER+'s votes are for: contempt": 189,
        "most of FER+'s votes are for: no face": 160,
    }
    assert (faces[list(base.VOTES)].sum(axis=1) == 10).sum() >= len(
        faces
    ) - 1  # one picture has nine
    happy = faces[faces.fer2013_expression == "happy"].expression
    assert (happy.dropna() == "happy").mean() > 0.9  # the votes are those of these pictures


# RAF-DB


@pytest.mark.parametrize("form", ["authors", "tables"])
def test_rafdb(tmp_path, picture, form):
    given = {f"train_{i:05}": str(i) for i in range(1, 8)} | {"test_0001": "4", "test_0002": "5"}
    for name in given:
        picture(f"some/where/{name}_aligned.jpg", like=int(name[-1]) + 100 * (name[:4] == "test"))
    for name, label, like in (
        ("train_00008", "4", 101),  # a copy of test_0001
        ("train_00009", "1", 200),
        ("train_00010", "2", 200),
        ("train_00011", "8", None),
        ("train_00012", "", None),
        ("other_1", "1", None),
    ):
        given[name] = label
        picture(f"some/where/{name}_aligned.jpg", like)
    given["train_00013"] = "1"
    picture("original/train_00013.jpg")  # as it was before it was aligned
    picture("some/where/train_00014_aligned.jpg")
    if form == "authors":
        (tmp_path / "EmoLabel").mkdir()
        lines = [*(f"{name}.jpg {label}" for name, label in given.items()), "torn"]
        (tmp_path / "EmoLabel" / "list_patition_label.txt").write_text("\n".join(lines))
    else:
        for part in ("train", "test"):
            lines = [
                f"{name}_aligned.jpg,{label}"
                for name, label in given.items()
                if (part == "test") == name.startswith("test")
            ]
            (tmp_path / f"{part}_labels.csv").write_text(
                "\n".join(["image,label", *lines, "torn"]), newline="\r\n"
            )
    found = datasets.rafdb(tmp_path, validation=0, progress=False)
    expected = ["surprise", "fear", "disgust", "happy", "sad", "anger", "neutral"]
    assert labels(found, "expression", "split") == {
        **{f"train_{i:05}_aligned.jpg": [expected[i - 1], "train"] for i in range(1, 8)},
        "test_0001_aligned.jpg": ["happy", "test"],
        "test_0002_aligned.jpg": ["sad", "test"],
    }
    why = reasons(found)
    assert why["train_00008_aligned.jpg"] == "copy of another picture"
    assert (
        why["train_00009_aligned.jpg"]
        == why["train_00010_aligned.jpg"]
        == "same pixels as another picture, other labels"
    )
    assert (
        why["train_00011_aligned.jpg"] == "unknown label: 8"
        and why["train_00012_aligned.jpg"] == "unknown label: empty"
    )
    assert why["other_1_aligned.jpg"] == "the name begins neither with train_ nor with test_"
    assert why[f"train_00013{'' if form == 'authors' else '_aligned'}.jpg"] == NO_FILE
    assert why["train_00014_aligned.jpg"] == "no table has its label"
    torn = [place for place, reason in why.items() if reason == "malformed line"]
    assert torn == (
        ["list_patition_label.txt:17"]
        if form == "authors"
        else ["train_labels.csv:16", "test_labels.csv:4"]
    )
    drawn = datasets.rafdb(tmp_path, validation=0.5, progress=False).faces
    assert set(drawn.split) == set(SPLITS) and (drawn.split == "test").sum() == 2


# APPA-REAL


def test_appareal_as_its_authors_hand_it_out(tmp_path, picture):
    rows = {
        "train": [
            "000000.jpg,38,31.5,4.25,30",
            "000001.jpg,38,3,0,3",
            "000002.jpg,38,40,5,44",
            "000003.jpg,38,40,5,45",
            "torn",
        ],
        "valid": [
            "000004.jpg,38,x,5,20",
            "000005.jpg,38,20,5,",
            "000006.jpg,38,20,5,121",
            "gone.jpg,38,20,5,20",
        ],
        "test": ["000007.jpg,38,70.25,9,66", "000008.jpg,38,30,5,30"],
    }
    for part, lines in rows.items():
        header = "file_name,num_ratings,apparent_age_avg,apparent_age_std,real_age"
        (tmp_path / f"gt_avg_{part}.csv").write_text("\n".join([header, *lines]))
        for name in (line[:10] for line in lines if line[0] == "0"):
            picture(f"{part}/{name}")  # the photo, beside the face that is wanted
            picture(
                f"{part}/{name}_face.jpg",
                {"000002.jpg": 200, "000003.jpg": 200, "000008.jpg": 1}.get(name),
            )
    picture("train/000000.jpg_face.jpg", like=1)  # a copy of test's 000008, of the same age
    found = datasets.appareal(tmp_path, progress=False)
    assert labels(found, "split", "age", "age_group", "apparent_age", "apparent_age_spread") == {
        "000007.jpg_face.jpg": ["test", 66, "60+", 70.25, 9],
        "000008.jpg_face.jpg": ["test", 30, "25-32", 30, 5],
        "000001.jpg_face.jpg": ["train", 3, None, 3, 0],
    }
    assert reasons(found) == {
        "000000.jpg_face.jpg": "copy of another picture",
        "000002.jpg_face.jpg": "same pixels as another picture, other labels",
        "000003.jpg_face.jpg": "same pixels as another picture, other labels",
        "000004.jpg_face.jpg": "unknown: apparent_age 'x'",
        "000005.jpg_face.jpg": "unknown: age ''",
        "000006.jpg_face.jpg": "unknown: age '121'",
        "gone.jpg": NO_FILE,
        "gt_avg_train.csv:6": "malformed line",
    }


def test_appareal_as_crops_with_guesses_beside(tmp_path, picture, caplog):
    folder = tmp_path / "APPA-REAL"
    for name in ("train/000000", "train/000001", "val/000002", "test/000003"):
        picture(f"APPA-REAL/{name}.jpg")
    for part, lines in (
        ("train", "000000.jpg,30\r\n000001.jpg,7"),
        ("val", "000002.jpg,8"),
        ("test", "000003.jpg,9"),
    ):
        (folder / f"{part}_labels.csv").write_text(lines)
    with caplog.at_level(logging.WARNING):
        found = datasets.appareal(folder, progress=False)
    assert (
        tuple(found.faces) == base.COLUMNS
        and "no apparent ages: CLAP2016.json is not in" in caplog.text
    )
    guesses = [
        {"img_path": f"ChaLearn2016/{name}.jpg", "age": age, "std_age": 2.5, "folder": 0}
        for name, age in (
            ("train/000000", 33),
            ("valid/000002", None),
            ("test/000003", 12),
            ("test/000000", 90),
        )
    ]
    (tmp_path / "CLAP2016.json").write_text(json.dumps(guesses))
    found = datasets.appareal(folder, progress=False)
    assert labels(found, "split", "age", "apparent_age", "apparent_age_spread") == {
        "000003.jpg": ["test", 9, 12, 2.5],
        "000000.jpg": ["train", 30, 33, 2.5],
        "000001.jpg": ["train", 7, None, None],
    }
    assert reasons(found) == {"000002.jpg": "unknown: apparent_age 'None'"}
    (folder / "CLAP2016.json").write_text(
        json.dumps(guesses[:1])
    )  # in the folder: before the one beside it
    assert datasets.appareal(folder, progress=False).faces.apparent_age.notna().sum() == 1
    for damaged in (
        "[",
        '{"a": 1}',
        "[5]",
        '[{"age": 3}]',
        '[{"img_path": "x", "age": 1, "std_age": 1}]',
        "5",
        "[" * 99_999,
    ):
        (folder / "CLAP2016.json").write_text(damaged)
        with pytest.raises(
            DatasetError,
            match=r"CLAP2016.json is not a list of img_path, age and std_age .*fetch it again",
        ):
            datasets.appareal(folder, progress=False)


# any folders, any table


def test_folders_of_any_task(tmp_path, picture):
    for name in ("Angry/a.jpg", "train/happy/b.jpg", "val/sadness/c.jpg", "other/d.jpg", "e.jpg"):
        picture(f"faces/{name}")
    found = datasets.folders(tmp_path / "faces", label="expression")
    assert labels(found, "expression", "split") == {
        "a.jpg": ["anger", None],
        "b.jpg": ["happy", "train"],
        "c.jpg": ["sad", "validation"],
    }
    assert reasons(found) == {
        "d.jpg": "the folder's name is not a class of expression: other",
        "e.jpg": "in no class's folder",
    }
    for name in ("(8, 12)/a.jpg", "60+/b.jpg", "25_32/c.jpg", "23/d.jpg", "30/e.jpg"):
        picture(f"ages/{name}")
    assert labels(datasets.folders(tmp_path / "ages", label="age"), "age", "age_group") == {
        "a.jpg": [None, "8-13"],
        "b.jpg": [None, "60+"],
        "c.jpg": [None, "25-32"],
        "d.jpg": [23, None],
        "e.jpg": [30, "25-32"],
    }
    picture("genders/F/a.jpg")
    assert labels(datasets.folders(tmp_path / "genders", label="gender"), "gender") == {
        "a.jpg": ["female"]
    }
    with pytest.raises(
        DatasetError, match=r"class of gender; pictures lie in Angry, faces, happy, other, sadness"
    ):
        datasets.folders(tmp_path / "faces", label="gender")
    with pytest.raises(ValueError, match="label is one of age, gender, expression"):
        datasets.folders(tmp_path / "faces", label="race")


def test_every_file_in_a_class_has_a_row(tmp_path, picture):
    pictures = [f"{number}{suffix}" for number, suffix in enumerate(images.suffixes())]
    for name in (*pictures, "loud.JPG", "notes.txt", "clip.mp4", "no_suffix"):
        picture(f"happy/{name}")
    for name in ("happy/.DS_Store", "happy/.thumbnails/small.jpg"):
        picture(name)
    (tmp_path / "happy" / "gone.png").symlink_to("nowhere.png")
    found = datasets.folders(tmp_path, label="expression")
    assert set(labels(found)) == {*pictures, "loud.JPG", "gone.png"}
    assert reasons(found) == dict.fromkeys(("notes.txt", "clip.mp4", "no_suffix"), OTHER_FILE)
    (tmp_path / "happy").rename(tmp_path / "test")
    (tmp_path / "train").mkdir()
    (tmp_path / "test").rename(tmp_path / "train" / "happy")
    found = datasets.fer2013(tmp_path, progress=False)
    assert set(labels(found)) == {*pictures, "loud.JPG"}
    assert reasons(found).keys() == {"notes.txt", "clip.mp4", "no_suffix", "gone.png"}


def test_suffixes_are_those_that_cameras_and_the_web_give():
    assert {
        ".avif",
        ".bmp",
        ".gif",
        ".jfif",
        ".jpeg",
        ".jpg",
        ".png",
        ".tif",
        ".tiff",
        ".webp",
    } < set(images.suffixes())
    assert not {".eps", ".ps", ".wmf", ".emf", ".pdf"} & set(images.suffixes())


def test_any_table(tmp_path, picture):
    for name in "abcdef":
        picture(f"{name}.jpg")
    (tmp_path / "my.csv").write_text(
        "file,sex,age,expression,split,box_left,votes_anger,apparent_age\n"
        "a.jpg,F,30,Angry,val,1,8,33.5\n"
        "b.jpg,m,,,,,,\n"
        "c.jpg,2,30,,,,,\n"
        "d.jpg,,,,,,8,33.5\n"
        "e.jpg,m,young,bored,,,2.5,\n"
        "gone.jpg,m,3,,,,,\n"
        "f.jpg,m\n"
    )
    found = datasets.csv(tmp_path / "my.csv", image="file", gender="sex")
    assert labels(
        found,
        "age",
        "age_group",
        "gender",
        "expression",
        "split",
        "box_left",
        "votes_anger",
        "apparent_age",
    ) == {
        "a.jpg": [30, "25-32", "female", "anger", "validation", 1, 8, 33.5],
        "b.jpg": [None, None, "male", None, None, None, None, None],
    }
    assert reasons(found) == {
        "c.jpg": "unknown: gender '2'",
        "d.jpg": "neither age, age_group, gender nor expression",
        "e.jpg": "unknown: age 'young', expression 'bored', votes_anger '2.5'",
        "gone.jpg": "the picture is not there",
        "my.csv:8": "malformed line",
    }
    assert (
        len(
            datasets.csv(tmp_path / "my.csv", image="file", gender="sex", require_files=False).faces
        )
        == 3
    )


def test_an_odd_row_costs_a_table_that_row_alone(tmp_path, picture):
    """Names that no file can have, fields that no table holds, numbers that Python refuses: in csvs of every reader."""
    long, wide, digits = 300 * "n" + ".jpg", 200_000 * "x", 5000 * "7"
    picture("a.jpg")
    picture("b.jpg")
    rows = [
        f"{long},male,",
        f"{wide},male,",
        f'"{wide}",male,',
        "nul\0.jpg,male,",
        f"b.jpg,male,{digits}",
        f"b.jpg,{wide},",
    ]
    (tmp_path / "my.csv").write_text(
        "\n".join(["image,gender,fold", "a.jpg,male,1", *rows, "b.jpg,female,2"])
    )
    found = datasets.csv(tmp_path / "my.csv")
    assert labels(found, "gender", "fold") == {"a.jpg": ["male", 1], "b.jpg": ["female", 2]}
    assert len(found.dropped) == 6 and (found.dropped.reason.str.len() > 0).all()
    assert (found.dropped.reason == "malformed line").sum() == 3
    (tmp_path / "open.csv").write_text('image,gender\na.jpg,"male\n' + 20_000 * "b.jpg,male\n")
    with pytest.raises(DatasetError, match="quotation mark"):
        datasets.csv(tmp_path / "open.csv")


LONG, WIDE, DIGITS = 300 * "n" + ".jpg", 200_000 * "x", 5000 * "7"


def odd_adience(folder):
    for fold in range(5):
        rows = [
            f"u{fold}\t{name}\t1\t{age}\tm\t0\t0"
            for name, age in (("a.jpg", "35"), (LONG, "35"), (WIDE, "35"), ("a.jpg", DIGITS))
        ]
        (folder / f"fold_{fold}_data.txt").write_text("\n".join([ADIENCE_HEADER, *rows]))
    return datasets.adience(folder), [
        f"faces/u{fold}/coarse_tilt_aligned_face.1.a.jpg" for fold in range(5)
    ]


def odd_affectnet(folder):
    rows = [
        f"{name},1,2,3,4,1;2,{label},0,0"
        for name, label in (("7/a.jpg", 1), (LONG, 1), (WIDE, 1), ("7/a.jpg", DIGITS))
    ]
    for name in ("training.csv", "validation.csv"):
        (folder / name).write_text("\n".join([AFFECTNET_HEADER, *rows]))
    return datasets.affectnet(folder, validation=0), ["7/a.jpg"]


def odd_fairface(folder):
    rows = [f"{name},20-29,Male,White,True" for name in ("train/a.jpg", LONG, WIDE, "nul\0.jpg")]
    for name in ("train", "val"):
        (folder / f"fairface_label_{name}.csv").write_text(
            "\n".join(["file,age,gender,race,service_test", *rows])
        )
    return datasets.fairface(folder), ["train/a.jpg"]


def odd_fer2013(folder):
    fer_csv(folder / "fer2013.csv")
    with open(folder / "fer2013.csv", "a") as file:
        file.write(f"\n{DIGITS},1,Training\n{WIDE},1,Training\n0,{WIDE},Training\n")
    return datasets.fer2013(folder), []


def odd_ferplus(folder):
    fer_csv(folder / "fer2013.csv")
    good, zeros = "Training,x,0,9,0,1,0,0,0,0,0,0", ",0" * 9
    lines = [
        good,
        f"Training,x,{DIGITS}{zeros}",
        f"{WIDE},x,1{zeros}",
        "",
        f"Training,{WIDE},1{zeros}",
        good,
    ]
    (folder / "fer2013new.csv").write_text(
        "\n".join([f"Usage,Image name,{','.join(VOTES)}", *lines])
    )
    return datasets.ferplus(folder), []


def odd_rafdb(folder):
    (folder / "train_1.jpg").rename(folder / "train_1_aligned.jpg")
    lines = [
        "train_1.jpg 1",
        f"{LONG} 1",
        f"{WIDE} 1",
        f"train_1.jpg {DIGITS}",
        "nul\0.jpg 1",
        "/ 1",
    ]
    (folder / "list_patition_label.txt").write_text("\n".join(lines))
    return datasets.rafdb(folder, validation=0), ["train_1_aligned.jpg"]


def odd_appareal(folder):
    lines = [
        "a.jpg,9",
        f"{LONG},9",
        f"{WIDE},9",
        f"a.jpg,{DIGITS}",
        "a.jpg,nan",
        "nul\0.jpg,9",
        "..,9",
    ]
    (folder / "train_labels.csv").write_text("\n".join(lines))
    return datasets.appareal(folder), ["train/a.jpg"]


ODD = [odd_adience, odd_affectnet, odd_appareal, odd_fairface, odd_fer2013, odd_ferplus, odd_rafdb]


@pytest.mark.parametrize("read", ODD)
def test_an_odd_row_costs_no_reader_its_table(tmp_path, picture, read):
    for name in [
        *(f"faces/u{fold}/coarse_tilt_aligned_face.1.a.jpg" for fold in range(5)),
        "7/a.jpg",
        "train/a.jpg",
        "train_1.jpg",
    ]:
        picture(name)
    found, there = read(tmp_path)
    assert {str(tmp_path / name) for name in there} <= set(found.faces.image)
    assert (
        len(found.faces) and len(found.dropped) >= 3 and (found.dropped.reason.str.len() > 0).all()
    )


def test_tables_that_cannot_be_read(tmp_path):
    (tmp_path / "my.csv").write_text("image,gender\na.jpg,7\nb.jpg,x\n")
    with pytest.raises(
        DatasetError, match=r"no picture is left \(unknown: gender '7'; unknown: gender 'x'\)"
    ):
        datasets.csv(tmp_path / "my.csv")
    with pytest.raises(DatasetError, match="no column file; its first line holds image, gender"):
        datasets.csv(tmp_path / "my.csv", image="file")
    with pytest.raises(TypeError, match="no such column: sex"):
        datasets.csv(tmp_path / "my.csv", sex="gender")
    with pytest.raises(FileNotFoundError, match="no such file"):
        datasets.csv(tmp_path / "none.csv")


# LFW, and any folder of people


def test_a_pictures_folder_is_its_person(tmp_path, picture, caplog):
    for name in ("Ann_Lee/Ann_Lee_0001.jpg", "more/Bo/Bo_0001.png", "more/Bo/Bo_0002.jpg", "loose.jpg"):  # fmt: skip
        picture(name)
    picture("copy/Bo/Bo_0001.jpg")
    (tmp_path / "pairs.txt").touch()
    found = datasets.people(tmp_path)
    assert labels(found, "subject") == {
        "Ann_Lee_0001.jpg": ["Ann_Lee"],
        "Bo_0001.jpg": ["Bo"],
        "Bo_0002.jpg": ["Bo"],
    }
    assert reasons(found) == {
        "loose.jpg": "in no person's folder",
        "Bo_0001.png": "a picture of this person and name was listed before",
        "pairs.txt": OTHER_FILE,
    }
    assert not caplog.records
    assert datasets.lfw(tmp_path).faces.equals(found.faces)
    assert "LFW: 3 pictures, published are 13,233" in caplog.text
    assert "LFW: 2 people, published are 5,749" in caplog.text
