"""What finished trainings below a folder left, gathered."""

from dataclasses import replace

import numpy as np
import pandas as pd
from test_experiments_arms import cross_validate

from safbage import experiments, training


def test_a_sweeps_trainings_are_gathered_each_once(tmp_path, prepared, trainings):
    """Two points that share the arm without saliency, and one with another seed; a training that is not done is left out."""
    runs = cross_validate(prepared, tmp_path / "RATIO=0.3", folds=[0, 1])
    cross_validate(prepared, tmp_path / "RATIO=0.9", ratios=(0.0, 0.9), folds=[0, 1])
    cross_validate(prepared, tmp_path / "SEED=1", ratios=(0.3,), folds=[0], seeds=[1])
    (tmp_path / "RATIO=0.9" / "gender-tiny-90-fold1-seed0" / "metrics.json").unlink()
    found, curves = experiments.predictions(tmp_path), experiments.histories(tmp_path)
    chosen = {(0.0, 0, 0), (0.0, 1, 0), (0.3, 0, 0), (0.3, 1, 0), (0.3, 0, 1), (0.9, 0, 0)}
    for table in (found, curves):
        assert set(zip(table.ratio, table.fold, table.seed, strict=True)) == chosen
        assert set(table.task) == {"gender"} and set(table.network) == {"tiny"}
    assert len(curves) == len(chosen)
    for arm, run in runs.items():
        network, ratio = arm.network, arm.ratio
        table = run.predictions
        rows = found[
            (found.network == network) & (found.ratio == ratio) & (found.seed == 0)
        ].sort_values("row")
        pd.testing.assert_frame_equal(
            rows[table.columns].reset_index(drop=True),
            table.sort_values("row").reset_index(drop=True),
        )
    assert (
        experiments.predictions(tmp_path / "nothing").empty
        and experiments.histories(tmp_path / "nothing").empty
    )


def test_finished_trainings_are_compared_like_those_that_just_ran(
    tmp_path, prepared, trainings, monkeypatch
):
    """Two seeds, clipped faces and a plain loss: by arm the answers and histories of all."""
    weighted = replace(training.RECIPES["expression"], class_weighted=True)
    monkeypatch.setitem(training.RECIPES, "expression", weighted)
    more = [experiments.Arm("tiny", 0.5, "clip"), experiments.Arm("tiny", 0.3, loss="plain")]
    options = {"task": "expression", "folds": [0, 1], "seeds": (0, 1), "ratios": (0.3,)}
    ran = cross_validate(prepared, tmp_path, more=more, **options)
    found = experiments.runs(tmp_path, "expression")
    assert set(found) == set(ran) == {experiments.Arm("tiny", 0.3), *more}
    assert experiments.runs(tmp_path, "age") == {}
    for arm, run in ran.items():
        for name in ("predictions", "history"):
            keys = ["fold", "seed", "row" if name == "predictions" else "epoch"]
            tables = [
                getattr(of, name).sort_values(keys, ignore_index=True) for of in (run, found[arm])
            ]
            pd.testing.assert_frame_equal(*tables)
    plain, weighted = (
        run.predictions for run in (found[more[1]], found[experiments.Arm("tiny", 0.3)])
    )
    assert not np.allclose(plain.p_fear, weighted.p_fear)


def test_answers_to_a_split_are_fold_0(tmp_path, prepared, trainings):
    (run,) = cross_validate(prepared, tmp_path, ratios=[0.3], folds=None).values()
    table = run.predictions
    pd.testing.assert_frame_equal(experiments.predictions(tmp_path)[table.columns], table)
