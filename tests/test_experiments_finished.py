"""What finished trainings below a folder left, gathered."""

import pandas as pd
from test_experiments_arms import cross_validate

from safbage import experiments


def test_a_sweeps_trainings_are_gathered_each_once(tmp_path, prepared, trainings):
    """Two points that share the arm without saliency, and one with another seed; a training that is not done is left out."""
    runs = cross_validate(prepared, tmp_path / "RATIO=0.3", folds=[0, 1])
    cross_validate(prepared, tmp_path / "RATIO=0.9", ratios=(0.0, 0.9), folds=[0, 1])
    cross_validate(prepared, tmp_path / "SEED=1", ratios=(0.3,), folds=[0], seed=1)
    (tmp_path / "RATIO=0.9" / "gender-tiny-90-fold1" / "metrics.json").unlink()
    found, curves = experiments.predictions(tmp_path), experiments.histories(tmp_path)
    chosen = {(0.0, 0, 0), (0.0, 1, 0), (0.3, 0, 0), (0.3, 1, 0), (0.3, 0, 1), (0.9, 0, 0)}
    for table in (found, curves):
        assert set(zip(table.ratio, table.fold, table.seed, strict=True)) == chosen
        assert set(table.task) == {"gender"} and set(table.network) == {"tiny"}
    assert len(curves) == len(chosen)
    for (network, ratio), run in runs.items():
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


def test_answers_to_a_split_are_fold_0(tmp_path, prepared, trainings):
    (run,) = cross_validate(prepared, tmp_path, ratios=[0.3], folds=None).values()
    table = run.predictions
    pd.testing.assert_frame_equal(experiments.predictions(tmp_path)[table.columns], table)
