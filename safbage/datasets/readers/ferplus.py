"""FER+: FER2013's pictures, each with the expressions that ten people voted for."""

from pathlib import Path

from safbage.datasets.readers import fer2013
from safbage.datasets.reading import list_contents, read_rows
from safbage.datasets.source import Source
from safbage.datasets.tables import VOTES, Listing, listing
from safbage.errors import DatasetError
from safbage.tasks import EXPRESSIONS

BY_NAME, BY_LINE = "ferplus_votes.csv", "fer2013new.csv"
"""Tables of votes: one that names pictures, and the authors' own, by the lines of FER2013's csv."""
CHOICES = (
    "neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt",
    "unknown", "NF",
)  # fmt: skip
"""FER+'s columns, in the order of `tables.VOTES`."""


def ferplus(
    path: str | Path,
    *,
    cache: str | Path | None = None,
    validation: float = 0.1,
    seed: int = 0,
    progress: bool = True,
) -> Listing:
    """FER2013's pictures with FER+'s ten votes each (Barsoum et al. 2016).

    Further columns are the votes (`tables.VOTES`) and FER2013's own label, `fer2013_expression`.
    `expression` is what more than half of the votes say, single ones not counted: so FER+'s authors
    define a majority. Where votes are tied or scattered it is missing, and the votes alone tell. A
    picture is left out where no expression of the seven has as many votes as contempt, "unknown" or
    "not a face". Splits and copies are as for `fer2013`; copies agree where their majorities do.

    Args:
        path: as for `fer2013`; beside ``fer2013.csv`` lies FER+'s ``fer2013new.csv``, or in the
            folder ``ferplus_votes.csv``, the same table with a column `image` for the pictures'
            names.
        cache: as for `fer2013`, and so the others.
        validation: share of the training set for validation, where it is drawn.
        seed: of that draw.
        progress: show the extraction and the search for copies.

    Raises:
        DatasetError: the votes are not there, or lack a column.
        As `fer2013`.
    """
    path = Path(path)
    rows, others = fer2013.read_pictures(path, cache, progress)
    folder = path if path.is_dir() else path.parent
    votes = _votes(folder, by_line=fer2013.find_table(path) is not None)
    rows = [
        row if "reason" in row else _voted(row, votes.get(Path(row["image"]).name)) for row in rows
    ]
    listed = listing(rows, others, groups={"fer2013_expression": fer2013.EXPRESSIONS})
    return fer2013.finish(
        path, listed, len(rows), validation=validation, seed=seed, progress=progress
    )


def _votes(folder, by_line):
    """By the picture's name its votes (`tables.VOTES`), and from the authors' table its split."""
    tables = {BY_NAME: "image"} | ({BY_LINE: "Usage"} if by_line else {})
    table = next((folder / name for name in tables if (folder / name).is_file()), None)
    if table is None:
        raise DatasetError(
            f"{folder} has no votes of FER+: expected {BY_NAME} (image, {', '.join(CHOICES)}), "
            f"or {BY_LINE} beside fer2013.csv; {list_contents(folder)}"
        )
    votes = {}
    for place, fields in read_rows(table, (tables[table.name], *CHOICES)):
        counts = [fields[choice] for choice in CHOICES] if fields else [""]
        if all(count.isdecimal() and len(count) < 3 for count in counts):
            counted = dict(zip(VOTES, map(int, counts), strict=True))
            if table.name == BY_NAME:
                votes[fields["image"]] = counted
            else:
                counted["split"] = fer2013.USAGE.get(fields["Usage"])
                votes[fer2013.picture_name(place)] = counted
    return votes


def _voted(row, votes):
    """The row with its votes, labelled by their majority; with a `reason` where it is left out."""
    if (
        votes is None
        or votes.get("split", row["split"]) != row["split"]
        or not any(votes[name] for name in VOTES)
    ):
        return row | {"reason": "FER+ has no votes for it"}
    most = max(votes[name] for name in VOTES)
    leading = [name.removeprefix("votes_") for name in VOTES if votes[name] == most]
    if not set(leading) & set(EXPRESSIONS):
        return row | {"reason": f"most of FER+'s votes are for: {leading[0].replace('_', ' ')}"}
    counted = sum(votes[name] for name in VOTES if votes[name] > 1)
    majority = leading[0] if most > 1 and 2 * most > counted else None
    return row | votes | {"fer2013_expression": row["expression"], "expression": majority}


SOURCE = Source(
    title="FER+",
    what="FER2013 by ten votes a picture: seven expressions, contempt, unknown, not a face",
    pictures="35,887",
    size="2 MB, beside FER2013",
    licence="the votes MIT; the pictures as FER2013",
    citation="Barsoum et al., Training deep networks for facial expression recognition with "
    "crowd-sourced label distribution, ICMI 2016",
    where="github.com/microsoft/FERPlus: fer2013new.csv",
    layout="fer2013new.csv beside fer2013.csv; or, beside train/ and test/, the same table with "
    "the pictures' names in a column image: ferplus_votes.csv",
    folders=("fer2013", "FER-2013", "fer_2013"),
    read=ferplus,
    preparation=fer2013.SOURCE.preparation,
)
