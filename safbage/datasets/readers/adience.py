"""Adience: photos from Flickr with the annotators' age groups and genders, in five folds."""

import os
from pathlib import Path

import pandas as pd

from safbage.datasets import spellings
from safbage.datasets.reading import NO_FILE, check_folder, compare_with_published, read_rows
from safbage.datasets.source import Source
from safbage.datasets.tables import Listing, listing
from safbage.errors import DatasetError

FOLD_FILES = tuple(f"fold_{fold}_data.txt" for fold in range(5))
NEEDED = ("user_id", "original_image", "face_id", "age", "gender")
PUBLISHED = {"age_group": 17_424, "gender": 17_603}
"""Lines of the fold files with an age group, and with a gender: what papers train and test on."""


def adience(
    folder: str | Path,
    *,
    rescue: bool = False,
    aligned: bool = False,
    repeats: bool = True,
    require_files: bool = True,
) -> Listing:
    """Adience by its five fold files (Eidinger, Enbar, Hassner 2014).

    A row per line that has an age group or a gender; the other label may be missing. `subject` is
    the user and the face's number, `fold` the published one (0 to 4), and no subject is in two.
    `age` is given where the label is a single age. There is no box: the pictures are faces already,
    with a wide margin.

    Args:
        folder: holds ``fold_0_data.txt`` … ``fold_4_data.txt`` and
            ``faces/<user_id>/coarse_tilt_aligned_face.<face_id>.<original_image>``.
        rescue: also put ages outside the eight ranges, such as ``35`` or ``(38, 48)``, into the
            nearest group (`spellings.nearest_age_group`). The usual lists, and the published
            results, leave these without an age group.
        aligned: take the frontalised pictures
            ``aligned/<user_id>/landmark_aligned_face.<face_id>.<original_image>``.
        repeats: keep the 117 lines that repeat another line of the same fold. The published counts
            hold them.
        require_files: drop rows whose picture is not there.

    Raises:
        FileNotFoundError: there is no such folder.
        DatasetError: a fold file or one of its columns is missing, or no picture is there.
    """
    folder = check_folder(folder, *FOLD_FILES)
    missing = [name for name in FOLD_FILES if not (folder / name).is_file()]
    if missing:
        raise DatasetError(
            f"{folder} lacks {', '.join(missing)}; the protocol needs all five folds"
        )
    pictures = (
        ("aligned", "landmark_aligned_face") if aligned else ("faces", "coarse_tilt_aligned_face")
    )
    rows, dropped = [], []
    for fold, name in enumerate(FOLD_FILES):
        for place, fields in read_rows(folder / name, NEEDED, delimiter="\t"):
            if fields and fields["user_id"] and fields["face_id"] and fields["original_image"]:
                rows.append(_row(fields, fold, folder, pictures, rescue))
            else:
                dropped.append({"image": place, "reason": "malformed line"})
    if not rows:
        raise DatasetError(f"the fold files in {folder} hold no lines that can be read")
    table = pd.DataFrame(rows)
    _compare(table, rescue)
    reasons = _reasons(table, repeats, require_files)
    if (reasons == NO_FILE).any() and not (reasons == "").any():
        raise DatasetError(
            f"{folder} has the fold files but none of the pictures, such as {table.image.iloc[0]}; "
            "require_files=False lists the labels alone"
        )
    gone = table[["image"]].assign(reason=reasons)[reasons != ""]
    return listing(table[reasons == ""].to_dict("records"), dropped + gone.to_dict("records"))


def _row(fields, fold, folder, pictures, rescue):
    below, prefix = pictures
    user, face, image = fields["user_id"], fields["face_id"], fields["original_image"]
    span = spellings.years(fields["age"])
    group = (
        spellings.nearest_age_group(fields["age"]) if rescue else spellings.age_group(fields["age"])
    )
    return {
        "image": str(folder / below / user / f"{prefix}.{face}.{image}"),
        "subject": f"{user} {face}",
        "fold": fold,
        "age": span[0] if span and span[0] == span[1] else None,
        "age_group": group,
        "gender": spellings.gender(fields["gender"]),
    }


def _reasons(table, repeats, require_files):
    """Why each row is left out; empty where it is not."""
    reasons = pd.Series("", index=table.index, dtype=object)
    first_fold = table.groupby("subject").fold.transform("min")
    for condition, reason in (
        (
            table.age_group.isna() & table.gender.isna(),
            "neither one of the age groups nor a gender",
        ),
        (table.fold != first_fold, "the same person is in an earlier fold"),
        (table.image.duplicated() & (not repeats), "repeats another line"),
    ):
        reasons[condition & (reasons == "")] = reason
    if require_files:
        reasons[(reasons == "") & ~table.image.map(os.path.isfile).astype(bool)] = NO_FILE
    return reasons


def _compare(table, rescue):
    labels = ("gender",) if rescue else ("age_group", "gender")
    counts = {
        f"lines with {label}": (int(table[label].notna().sum()), PUBLISHED[label])
        for label in labels
    }
    compare_with_published("Adience", counts)


SOURCE = Source(
    title="Adience",
    what="photos of 2,284 people; eight age groups, gender, five folds",
    pictures="19,370",
    size="",
    licence="research, by the form's terms",
    citation="Eidinger, Enbar, Hassner, Age and gender estimation of unfiltered faces, "
    "IEEE TIFS 2014",
    where="the form of the Open University of Israel, talhassner.github.io/home/projects/Adience",
    layout="fold_0_data.txt … fold_4_data.txt and "
    "faces/<user_id>/coarse_tilt_aligned_face.<face_id>.<original_image>",
    folders=("Adience", "AdienceBenchmarkGenderAndAgeClassification"),
    read=adience,
)
