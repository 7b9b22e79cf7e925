"""UTKFace: aligned faces with age, gender and a "race" in the file's name."""

from pathlib import Path

from safbage.datasets.reading import check_folder, compare_with_published, pictures_below
from safbage.datasets.source import Source
from safbage.datasets.splits import with_split
from safbage.datasets.tables import Listing, age_group, listing, without_duplicates
from safbage.errors import DatasetError
from safbage.tasks import GENDERS

RACES = ("White", "Black", "Asian", "Indian", "Others")
PUBLISHED = 23_708
OLDEST = 120


def utkface(
    folder: str | Path,
    *,
    test: float = 0.15,
    validation: float = 0.1,
    seed: int = 0,
    progress: bool = True,
) -> Listing:
    """UTKFace by its file names (Zhang, Song, Qi 2017).

    A further column is `race`, with the set's five names. Ages in the gaps between Adience's groups
    have no `age_group`. One of several pictures with the same pixels is kept, none where their
    ages or genders disagree. Then a split is drawn, for the set has none. It does not say who is
    shown, so a person may be in train and test with different pictures.

    Args:
        folder: pictures named ``age_gender_race_time.jpg`` or ``….jpg.chip.jpg``, in it or in part
            folders below.
        test: share for testing.
        validation: share of the rest for validation.
        seed: of the split.
        progress: show the search for copies, which reads every picture (some 30 seconds for the
            full set).

    Raises:
        FileNotFoundError: there is no such folder.
        DatasetError: no picture is named so.
        ValueError: the shares leave nothing.
    """
    folder = check_folder(folder)
    pictures, others = pictures_below(folder)
    rows = [_row(path) for path in pictures]
    listed = listing(rows, others, groups={"race": RACES})
    if listed.faces.empty:
        raise DatasetError(
            f"{folder}: none of its {len(rows):,} pictures is named age_gender_race_time.jpg"
        )
    compare_with_published("UTKFace", {"pictures": (len(rows), PUBLISHED)})
    found = without_duplicates(listed, ["age", "gender"], progress=progress)
    return Listing(
        with_split(found.faces, test=test, validation=validation, seed=seed), found.dropped
    )


def _row(path):
    fields = path.name.split("_")
    if len(fields) != 4:
        return {"image": str(path), "reason": "the name is not age_gender_race_time"}
    age, gender, race, _ = fields
    if not (
        age.isdecimal() and int(age) <= OLDEST and gender in {"0", "1"} and race in set("01234")
    ):
        return {"image": str(path), "reason": "the name's age, gender or race is not a known one"}
    years = int(age)
    labels = {
        "age": years,
        "age_group": age_group(years),
        "gender": GENDERS[int(gender)],
        "race": RACES[int(race)],
    }
    return {"image": str(path)} | labels


SOURCE = Source(
    title="UTKFace",
    what="aligned faces, 200×200; age 0 to 116, gender, five groups of race in the file name",
    pictures="23,708",
    size="110 MB",
    licence="non-commercial research",
    citation="Zhang, Song, Qi, Age progression/regression by conditional adversarial autoencoder, "
    "CVPR 2017",
    where="the project page, susanqq.github.io/UTKFace: aligned and cropped faces",
    layout="25_0_2_20170116174525125.jpg.chip.jpg … (age_gender_race_time), "
    "in it or in part folders",
    folders=("UTKFace", "UTKFaces", "crop_part1"),
    read=utkface,
)
