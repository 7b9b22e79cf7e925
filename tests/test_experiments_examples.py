"""Test faces with their answers, chosen for pictures."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from safbage.errors import DatasetError
from safbage.experiments import Arm, Run, examples


def answered(prepared, wrong=()):
    """All prepared faces, answered as labelled but for these positions, in reversed order."""
    label = prepared.table.gender.astype(str).to_numpy()
    other = np.where(label == "male", "female", "male")
    answer = np.where(np.isin(np.arange(len(label)), wrong), other, label)
    sure = {f"p_{name}": np.where(answer == name, 0.8, 0.2) for name in ("male", "female")}
    table = {"row": prepared.table.row, "label": label, "answer": answer, **sure}
    return pd.DataFrame(table)[::-1].reset_index(drop=True)


def test_of_each_class_one_right_and_one_wrong_answer(prepared):
    found = examples.choose(prepared, answered(prepared, wrong=range(10)), "gender")
    assert sorted((one.label, one.right) for one in found) == [
        ("female", False),
        ("female", True),
        ("male", False),
        ("male", True),
    ]
    assert all(one.confidence == 0.8 and one.task == "gender" for one in found)
    crops, maps = prepared.faces(np.arange(len(prepared)))
    for one in found:
        (place,) = np.flatnonzero((crops == one.crop).all(axis=(1, 2, 3)))
        assert np.array_equal(maps[place], one.map)
        assert prepared.table.gender.iloc[place] == one.label and (place < 10) != one.right


def test_what_there_is_not_is_not_chosen(prepared):
    everything = answered(prepared)
    assert all(one.right for one in examples.choose(prepared, everything, "gender"))
    assert examples.choose(prepared, everything[:0], "gender") == []


def test_the_draw_is_the_seeds(prepared):
    table = answered(prepared, wrong=range(10))
    first, again, other = (
        [one.crop.sum() for one in examples.choose(prepared, table, "gender", seed=seed)]
        for seed in (0, 0, 1)
    )
    assert first == again != other


def comparison(varied, data):
    about = {"varied": varied, "title": "Gender", "where": "Table 3"}
    arms = [SimpleNamespace(arm=Arm("alexnet", 0.0))]
    return SimpleNamespace(experiment=about, provenance={"data": data}, task="gender", arms=arms)


def test_a_reproductions_own_faces(tmp_path, monkeypatch, prepared):
    """The first seed's answers at 30 %, from the folder that was named."""
    right, wrong = answered(prepared), answered(prepared, wrong=range(len(prepared)))
    seeds = pd.concat([wrong.assign(seed=4), right.assign(seed=3)])
    trained = {Arm("alexnet", 0.0): Run(wrong), Arm("alexnet", 0.3, "clip"): Run(wrong)}
    trained[Arm("alexnet", 0.3)] = Run(seeds)
    asked = []
    monkeypatch.setattr(examples, "runs", lambda folder, task: asked.append(folder) or trained)
    of = {"a": comparison("saliency", "mine"), "b": comparison("ratio", "mine")}
    found = examples.of_reproduction(tmp_path, of, {"mine": prepared.folder})
    assert list(found) == ["gender"] and asked == [tmp_path / "work" / "a"]
    assert len(found["gender"]) == 2 and all(one.right for one in found["gender"])
    assert examples.of_reproduction(tmp_path, of, {}) == {}  # no such folder


def test_a_damaged_shard_is_told(tmp_path, monkeypatch, prepared):
    folder = tmp_path / "prepared" / "mine" / "shards"
    folder.mkdir(parents=True)
    (folder / "part-00000.parquet").write_bytes(b"PAR1")
    run = Run(answered(prepared).assign(seed=0))
    monkeypatch.setattr(examples, "runs", lambda folder, task: {Arm("alexnet", 0.3): run})
    with pytest.raises(DatasetError, match="is damaged"):
        examples.of_reproduction(tmp_path, {"a": comparison("saliency", "mine")}, {})
