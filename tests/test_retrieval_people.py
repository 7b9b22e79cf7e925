"""Some people, with so many pictures each."""

import pandas as pd
import pytest

from safbage import images, retrieval
from safbage.datasets import drawn
from safbage.errors import DatasetError


def table(**counts):
    rows = [{"image": f"{name}{i}", "subject": name} for name, many in counts.items() for i in range(many)]  # fmt: skip
    return pd.DataFrame([*rows, {"image": "unknown", "subject": None}])


def test_so_many_pictures_of_each_who_has_them():
    found = retrieval.draw_people(table(a=5, b=3, c=2, d=3), pictures=3)
    assert found.subject.value_counts().to_dict() == {"a": 3, "b": 3, "d": 3}
    assert found.image.is_unique and found.image.is_monotonic_increasing
    again = retrieval.draw_people(table(a=5, b=3, c=2, d=3), pictures=3)
    assert found.equals(again)
    assert len(retrieval.draw_people(table(a=5, b=3, c=2, d=3), pictures=3, limit=8)) == 6


def test_too_few_are_told():
    for options in (dict(pictures=4), dict(pictures=3, limit=5)):
        with pytest.raises(DatasetError, match="there must be two people at least"):
            retrieval.draw_people(table(a=5, b=3), **options)
    with pytest.raises(ValueError, match="2 or more, not 1"):
        retrieval.draw_people(table(a=5, b=3), pictures=1)


def test_drawn_people_and_a_folder_of_people(tmp_path):
    found = retrieval.open_people("synthetic", tmp_path, pictures=2, limit=4, progress=False)
    assert found.table.subject.tolist() == ["000000", "000000", "000001", "000001"]
    for i, name in enumerate(["Ann", "Ann", "Bo", "Bo"]):
        (tmp_path / "own" / name).mkdir(parents=True, exist_ok=True)
        picture = drawn.render(drawn.factors_of(i, pictures_per_subject=2), (96, 96))
        images.write(tmp_path / "own" / name / f"{i}.jpg", picture)
    found = retrieval.open_people(tmp_path / "own", tmp_path / "work", pictures=2, progress=False)
    assert found.table.subject.tolist() == ["Ann", "Ann", "Bo", "Bo"]
    with pytest.raises(FileNotFoundError, match="no such folder"):
        retrieval.open_people("nowhere", tmp_path / "none", progress=False)
