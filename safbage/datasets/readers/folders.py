"""Any pictures sorted into a folder per class."""

from pathlib import Path

from safbage.datasets import spellings, tables
from safbage.datasets.reading import check_folder, pictures_below
from safbage.datasets.tables import Listing, listing
from safbage.errors import DatasetError
from safbage.tasks import LABELS


def folders(folder: str | Path, *, label: str) -> Listing:
    """Pictures in a folder per class.

    Pictures are told by their suffix (`images.suffixes`); files of other kinds are left out, with
    the reason.

    Args:
        folder: holds a folder per class, ``<class>/…``; or ``<set>/<class>/…`` with the sets train,
            validation (val) and test.
        label: what the classes are. ``"expression"``: ``happy``, ``Anger``, ``surprised`` …;
            ``"gender"``: ``male``, ``f`` …; ``"age"``: an age group (``8-13``, ``(8, 12)``,
            ``60+``), or years, which also give the `age`.

    Raises:
        FileNotFoundError: there is no such folder.
        DatasetError: no picture lies in a folder named like a class; the message lists the folders'
            names.
        ValueError: `label` is none of the three.
    """
    if label not in LABELS:
        raise ValueError(f"label is one of {', '.join(LABELS)}; got {label!r}")
    folder = check_folder(folder)
    pictures, others = pictures_below(folder)
    found = listing(
        (_row(image, image.relative_to(folder).parts[:-1], label) for image in pictures), others
    )
    if found.faces.empty:
        names_there = sorted({image.parent.name for image in pictures})
        there = (
            f"pictures lie in {', '.join(names_there[:20])}"
            if names_there
            else "it holds no pictures"
        )
        raise DatasetError(
            f"{folder} has no folder of pictures named after a class of {label}; {there}"
        )
    return found


def _row(image, inside, label):
    """A row by the folders around a picture; with a `reason` where the last names no class."""
    name = inside[-1] if inside else ""
    labels = _labels(name, label)
    if labels is None:
        return {
            "image": str(image),
            "reason": f"the folder's name is not a class of {label}: {name}"
            if name
            else "in no class's folder",
        }
    return {
        "image": str(image),
        "split": spellings.split(inside[-2]) if len(inside) > 1 else None,
    } | labels


def _labels(name, label):
    """The labels that a folder's name stands for; None where it names no class."""
    if label == "expression":
        expression = spellings.expression(name)
        return {"expression": expression} if expression else None
    if label == "gender":
        gender = spellings.gender(name)
        return {"gender": gender} if gender else None
    if name.isdecimal() and len(name) <= 3:
        return {"age": int(name), "age_group": tables.age_group(int(name))}
    group = spellings.age_group(name)
    return {"age_group": group} if group else None
