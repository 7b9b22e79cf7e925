"""People of whom there are several pictures, prepared, for the notebook and for trials."""

from pathlib import Path

import numpy as np
import pandas as pd

from safbage import datasets
from safbage.datasets import catalogue, preparation
from safbage.datasets.shards import Prepared
from safbage.errors import DatasetError


def open_people(
    source: str | Path,
    folder: str | Path,
    *,
    pictures: int = 5,
    limit: int | None = None,
    seed: int = 0,
    data_dir: str | Path | None = None,
    progress: bool = True,
) -> Prepared:
    """Prepared faces of people with so many pictures each.

    Args:
        source: a data set that says who is shown ("lfw", or "synthetic" for drawn people), or a
            folder per person (`datasets.people`).
        folder: for the prepared faces, and where faces are drawn, for their pictures.
        pictures: of each person; who has fewer is left out, and of who has more, so many are drawn.
        limit: pictures in all, at most.
        seed: of what is drawn.
        data_dir: where a data set is looked for.
        progress: show a bar.

    Raises:
        DatasetError: there is no such source, or it has not two people with so many pictures.
        As `preparation.prepare`.
    """
    if str(source).lower() in catalogue.SOURCES:
        known = catalogue.look_up(str(source))
        reading = {"pictures_per_subject": pictures} if known.draw else {}
        options = dict(limit=limit, seed=seed, data_dir=data_dir, reading=reading)
        table = datasets.list_source(source, folder, **options).faces
        needed = {"saliency": "light"} | dict(known.preparation)
    else:
        table = datasets.people(source).faces
        needed = {"saliency": "light", "without_face": "whole"}
    chosen = draw_people(table, pictures=pictures, limit=limit, seed=seed)
    options = preparation.Preparation(**needed)
    return preparation.prepare(chosen, Path(folder) / "faces", options, progress=progress)


def draw_people(
    table: pd.DataFrame, *, pictures: int, limit: int | None = None, seed: int = 0
) -> pd.DataFrame:
    """So many pictures of each of some people, in the table's order.

    Raises:
        ValueError: `pictures` is below 2.
        DatasetError: fewer than two people have so many, or the limit leaves fewer.
    """
    if pictures < 2:
        raise ValueError(f"a person is found again in another picture: 2 or more, not {pictures}")
    known = table.dropna(subset="subject")
    counts = known.subject.value_counts()
    often = np.array(sorted(counts.index[counts >= pictures]), object)
    many = len(often) if limit is None else min(len(often), limit // pictures)
    if many < 2:
        raise DatasetError(
            f"{len(often)} people have {pictures} pictures or more, and {limit or 'any number of'} "
            "pictures are allowed; there must be two people at least"
        )
    some = np.random.default_rng(seed).permutation(often)[:many]
    of = known[known.subject.isin(some)].groupby("subject", observed=True)
    return of.sample(pictures, random_state=seed).sort_index().reset_index(drop=True)
