"""Any pictures of people sorted into a folder per person."""

from pathlib import Path

from safbage.datasets.reading import check_folder, list_contents, pictures_below
from safbage.datasets.tables import Listing, listing
from safbage.errors import DatasetError

LOOSE = "in no person's folder"
TWICE = "a picture of this person and name was listed before"


def people(folder: str | Path) -> Listing:
    """Pictures in a folder per person: ``<person>/…``, perhaps some folders further down.

    `subject` is the name of the folder that a picture lies in. There are no other labels, and no
    split: nothing is trained on such a set here.

    Args:
        folder: holds a folder per person. Pictures are told by their suffix (`images.suffixes`).

    Raises:
        FileNotFoundError: there is no such folder.
        DatasetError: no picture lies in a person's folder.
    """
    folder = check_folder(folder)
    pictures, others = pictures_below(folder)
    rows, seen = [], set()
    for path in pictures:
        person = path.parent.name
        if path.parent == folder:
            rows.append({"image": str(path), "reason": LOOSE})
        elif (person, path.stem) in seen:
            rows.append({"image": str(path), "reason": TWICE})
        else:
            seen.add((person, path.stem))
            rows.append({"image": str(path), "subject": person})
    found = listing(rows, others)
    if found.faces.empty:
        raise DatasetError(
            f"{folder} has no folder per person with pictures in it; {list_contents(folder)}"
        )
    return found
