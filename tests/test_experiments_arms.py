"""Arms over folds, of which nothing is trained twice; what the shipped classifiers answer."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from safbage import evaluation, experiments, training
from safbage.datasets.shards import Prepared
from safbage.errors import DatasetError
from safbage.experiments import Arm, arms


def cross_validate(prepared, work, task="gender", **options):
    options = {"networks": ["tiny"], "imagenet": False, "progress": False} | options
    return experiments.cross_validate(prepared, task, work=work, **options)


def test_every_face_is_answered_once_by_a_network_that_knows_nobody_on_it(
    tmp_path, prepared, trainings
):
    runs = cross_validate(prepared, tmp_path)
    assert [str(arm) for arm in runs] == ["tiny, without saliency", "tiny, ratio 30 %"] and len(
        trainings
    ) == 10
    own = prepared.table.set_index("image")
    for run in runs.values():
        table = run.predictions
        assert sorted(table.image) == sorted(own.index) and sorted(set(table.fold)) == [
            0,
            1,
            2,
            3,
            4,
        ]
        assert (table.label.to_numpy() == own.gender.astype(str)[table.image].to_numpy()).all()
        evaluation.check_folds(table)
    without, with_saliency = (run.predictions for run in runs.values())
    assert not np.allclose(without.p_male, with_saliency.p_male)
    assert {path.name for path in tmp_path.iterdir()} == {
        f"gender-tiny-{r}-fold{f}-seed0" for r in (0, 30) for f in range(5)
    }


def test_nothing_is_trained_twice(tmp_path, prepared, trainings, monkeypatch):
    """Killed before the fourth of ten trainings and resumed: ten in all, then none, and the same answers."""
    real = arms.fine_tune

    def killed(*arguments, **options):
        if len(trainings) == 3:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(arms, "fine_tune", killed)
    with pytest.raises(KeyboardInterrupt):
        cross_validate(prepared, tmp_path)
    monkeypatch.setattr(arms, "fine_tune", real)
    runs = cross_validate(prepared, tmp_path)
    assert len(trainings) == 10
    again = cross_validate(prepared, tmp_path)
    assert len(trainings) == 10
    for arm, run in runs.items():
        assert run.training == again[arm].training
        pd.testing.assert_frame_equal(run.predictions, again[arm].predictions)


def test_nothing_is_trained_where_the_last_training_would_be_refused(tmp_path, prepared, trainings):
    """A fold that is not there, a subject in two folds, an unknown network or a wrong ratio: told first."""
    mixed = Prepared(prepared.folder)
    mixed.table = mixed.table.assign(
        subject=[f"person {i // 4}" for i in range(40)], fold=np.arange(40) % 4
    )
    for faces, wrong, says in (
        (prepared, {"folds": range(200)}, "folds 0, 1, 2, 3, 4; got 5"),
        (mixed, {"folds": range(3)}, "10 subjects are in more than one split"),
        (prepared, {"networks": ["tiny", "lenet"]}, "lenet"),
        (prepared, {"ratios": [0.3, 30]}, "ratio lies between"),
    ):
        with pytest.raises(ValueError, match=says):
            cross_validate(faces, tmp_path, **wrong)
    assert not trainings


def test_an_arm_named_twice_is_one(tmp_path, prepared, trainings):
    runs = cross_validate(prepared, tmp_path, ratios=(0.3, 0.3), folds=[2])
    assert list(runs) == [Arm("tiny", 0.3)] and len(trainings) == 1
    assert runs[Arm("tiny", 0.3)].predictions.image.is_unique


def test_without_folds_the_split_is_tested(tmp_path, prepared, trainings):
    (run,) = cross_validate(prepared, tmp_path, ratios=[0.0], folds=None).values()
    table = run.predictions
    own = prepared.table
    assert sorted(table.image) == sorted(own.image[own.split == "test"]) and set(table.fold) == {0}
    assert evaluation.summarise(evaluation.by_fold(table)).error.isna().all()


def test_trainings_run_in_processes_too(tmp_path, prepared):
    recipe = replace(training.AGE_GENDER_RECIPE, epochs=1, variants=((False, 0),))
    options = dict(
        networks=("alexnet-gap",),
        ratios=(0.0,),
        folds=range(2),
        recipe=recipe,
        limit=32,
        progress=False,
    )
    apart = experiments.cross_validate(
        prepared, "gender", work=tmp_path / "two", workers=2, **options
    )
    alone = experiments.cross_validate(prepared, "gender", work=tmp_path / "one", **options)
    (a,), (b,) = apart.values(), alone.values()
    assert a.training == b.training
    a, b = a.predictions, b.predictions
    assert a.label.tolist() == b.label.tolist() and np.allclose(a.p_male, b.p_male, atol=1e-4)


def test_the_shipped_classifiers_answer_the_test_split(prepared, shipped):
    table = prepared.table[prepared.table.split == "test"]
    found = experiments.answer_as_shipped(prepared, ("age", "gender"), progress=False)
    assert list(found) == ["age", "gender"] and sum(shipped) == len(table)
    assert found["gender"].image.tolist() == table.image.tolist() and set(
        found["gender"].answer
    ) == {"male"}
    assert evaluation.accuracy(found["gender"]) == (table.gender == "male").mean()
    assert (
        len(experiments.answer_as_shipped(prepared, ("age",), limit=2, progress=False)["age"]) == 2
    )


def test_without_a_split_all_labelled_faces_are_answered(prepared, shipped):
    bare = Prepared(prepared.folder)
    bare.table = bare.table.drop(columns=["split", "subject", "expression"])
    bare.table.loc[:9, "gender"] = None
    found = experiments.answer_as_shipped(bare, ("age", "gender"), progress=False)
    assert (
        len(found["age"]) == 40 and found["gender"].image.tolist() == bare.table.image[10:].tolist()
    )
    assert found["gender"].label.tolist() == bare.table.gender[10:].tolist()
    with pytest.raises(DatasetError, match="no face to test that is labelled for expression"):
        experiments.answer_as_shipped(bare, ("expression",), progress=False)


def test_an_unknown_task_is_named(prepared):
    with pytest.raises(ValueError, match="task is one of age, gender, expression; got 'race'"):
        experiments.answer_as_shipped(prepared, ("race",))


def test_the_papers_arm_is_known_by_what_it_is():
    assert Arm("alexnet", 0.3).is_papers and str(Arm("alexnet", 0.3)) == "alexnet, ratio 30 %"
    assert not Arm("alexnet", 0.0).is_papers and not Arm("alexnet-gap", 0.3).is_papers
