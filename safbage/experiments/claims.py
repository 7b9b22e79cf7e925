"""The paper's claims, each as a number with an interval and a verdict.

"Converges faster" means that an arm, fold by fold and seed by seed, needs fewer epochs than its
base to reach (1) `REACHED` of the best validation accuracy that the base reaches, (2) the training
loss that the base has half-way; or that, averaged over the epochs (the area under its curve), (3)
its validation accuracy is higher, (4) its training loss is lower.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from scipy import stats

from safbage import evaluation, paper
from safbage.datasets.shards import Prepared
from safbage.experiments.arms import NO_SALIENCY, Arm, Run
from safbage.experiments.comparison import FIGURES, LEVEL, Comparison, base
from safbage.reweighting import RATIO, reweight

REACHED = 0.98
RAREST = "disgust"
"""The expression of which AffectNet and FER2013 have the fewest faces."""
HOLDS, OPPOSITE, OPEN, FAILS = "holds", "opposite", "not shown", "does not hold"


@dataclass(frozen=True)
class Claim:
    """One claim, measured.

    Attributes:
        claim: a short key: "lift", "epochs", "loss", "area", "loss area", "variance", "trend",
            "best ratio", "weighted loss", "rarest class", "clipping", "network" (others beside
            AlexNet).
        text: what was measured, for people.
        value: of it, with a 95 % interval from `low` to `high`, in `unit`.
        unit: "points" (of 100), "epochs", "%", or "" of a loss.
        p: two-sided.
        verdict: `HOLDS`, `FAILS` (the interval ends below what is claimed), `OPPOSITE`, or `OPEN`.
    """

    claim: str
    text: str
    value: float
    low: float
    high: float
    unit: str
    p: float
    verdict: str


def measure(runs: Mapping[Arm, Run], comparison: Comparison) -> list[dict]:
    """All claims on which an experiment's arms have a word, as rows of numbers and text.

    Args:
        runs: by arm, as `cross_validate` gives them.
        comparison: what `compare` made of them.
    """
    found = [*_from_tests(comparison), *_from_histories(runs), *_from_ratios(runs, comparison.task)]
    return [asdict(claim) for claim in found] + from_folds(comparison)


# --- from the paired tests ------------------------------------------------------------------------


def _from_tests(comparison):
    for test in comparison.tests:
        figure = FIGURES[comparison.task]
        if test.arm.loss == "plain":
            yield _tested(
                test.mean_recall, "weighted loss", "mean recall, weighted loss beside plain", -1
            )
            yield _rarest(comparison, test)
        elif test.arm.mode == "clip":
            text = f"{comparison.task}: clipping at {100 * test.arm.ratio:g} % of saliency adds"
            yield _tested(getattr(test, figure), "clipping", text, 1)
        elif test.arm == Arm("alexnet", RATIO):
            yield _lift(comparison.task, getattr(test, figure))


def _tested(found, claim, text, side):
    """A claim that a paired test decides; `side` is −1 where the test has the claim's arm first."""
    value = side * found["difference"]
    low, high = sorted((side * found["low"], side * found["high"]))
    return _claim(claim, text, 100 * np.array([value, low, high]), "points", found["p_holm"], 1)


def _lift(task, found):
    """The paper's headline: how much 30 % of saliency adds."""
    told = paper.lift(task)
    text = (
        f"{task}: saliency at 30 % adds to the {FIGURES[task].replace('_', ' ')} (paper: +{told})"
    )
    claim = _tested(found, "lift", text, 1)
    if claim.high < told:
        return Claim(**asdict(claim) | {"verdict": FAILS})
    return claim


def _rarest(comparison, test):
    """Recall of the rarest class, training by training."""
    weighted, plain = (
        pd.DataFrame(result.folds).set_index(["fold", "seed"])[f"recall {RAREST}"]
        for arm in (test.without, test.arm)
        for result in comparison.arms
        if result.arm == arm
    )
    text = f"recall of {RAREST}, weighted loss beside plain"
    return _of_mean("rarest class", text, 100 * (weighted - plain).dropna(), "points", 1)


# --- from how the trainings went ------------------------------------------------------------------


def _from_histories(runs):
    for arm, run in runs.items():
        if arm != Arm(arm.network, RATIO) or base(arm) not in runs or run.history is None:
            continue
        pairs = _pairs(runs[base(arm)].history, run.history)
        for claim, text, unit, side, measure in _CONVERGENCE:
            values = np.array([measure(*pair) for pair in pairs])
            if len(values) > 1 and np.isfinite(values).all():
                yield _of_mean(claim, f"{arm}: {text}", values, unit, side)


def _pairs(first, second):
    """The histories of one fold and seed, of both arms, by epoch."""
    keys = ["fold", "seed"]
    others = dict(iter(second.groupby(keys)))
    return [
        (history.sort_values("epoch"), others[key].sort_values("epoch"))
        for key, history in first.groupby(keys)
        if key in others
    ]


def _epochs_to_accuracy(before, after):
    target = REACHED * before.accuracy.max()
    return _first(after.accuracy >= target) - _first(before.accuracy >= target)


def _epochs_to_loss(before, after):
    target = before.loss.to_numpy()[(len(before) - 1) // 2]
    return (
        np.nan if np.isnan(target) else _first(after.loss <= target) - _first(before.loss <= target)
    )


def _area(before, after):
    return 100 * (after.accuracy.mean() - before.accuracy.mean())


def _loss_area(before, after):
    return after.loss.mean() - before.loss.mean()


def _first(reached):
    """The first epoch, from 1, in which it is so; one more than there are where it never is."""
    reached = reached.to_numpy()
    return 1 + int(reached.argmax()) if reached.any() else 1 + len(reached)


_CONVERGENCE = (
    (
        "epochs",
        f"epochs to {100 * REACHED:g} % of the base's best validation accuracy",
        "epochs",
        -1,
        _epochs_to_accuracy,
    ),
    (
        "loss",
        "epochs to the training loss that the base has half-way",
        "epochs",
        -1,
        _epochs_to_loss,
    ),
    ("area", "validation accuracy, mean of all epochs", "points", 1, _area),
    ("loss area", "training loss, mean of all epochs", "", -1, _loss_area),
)


# --- from several ratios --------------------------------------------------------------------------


def _from_ratios(runs, task):
    """Does more saliency converge faster and end worse, and is 30 % best?"""
    ratios = {
        arm.ratio: run for arm, run in runs.items() if arm.mode == "blend" and arm.loss != "plain"
    }
    if len(ratios) < 4 or RATIO not in ratios:
        return
    others = {ratio: run for ratio, run in ratios.items() if ratio not in (RATIO, NO_SALIENCY)}
    for ratio, run in others.items() if NO_SALIENCY in ratios else ():
        pairs = _pairs(ratios[NO_SALIENCY].history, run.history)
        losses = np.array([_loss_area(*pair) for pair in pairs])
        if len(losses) > 1 and np.isfinite(losses).all():
            text = f"ratio {100 * ratio:g} % beside none: training loss, mean of all epochs"
            yield _of_mean("trend", text, losses, "", -1)
    curves = pd.concat([run.history.assign(ratio=ratio) for ratio, run in ratios.items()])
    means = 100 * curves.groupby(["fold", "seed", "ratio"]).accuracy.mean()
    yield from _trends("validation accuracy, mean of all epochs", means)
    for ratio, run in others.items():
        found = evaluation.paired_bootstrap(
            run.predictions, ratios[RATIO].predictions, statistic=FIGURES[task]
        )
        text = f"ratio 30 % beside {100 * ratio:g} %"
        yield _tested(found | {"p_holm": found["p"]}, "best ratio", text, 1)


def from_folds(comparison: Comparison) -> list[dict]:
    """The claims that the figures of each fold and seed are enough for: that more saliency ends
    worse, and how other networks do beside AlexNet (section 4.3).

    Networks with layers frozen at random are left out: the paper's had ImageNet's weights.
    """
    figures = _figures(comparison)
    return [asdict(one) for one in (*_ending(comparison, figures), *_networks(figures))]


def _figures(comparison):
    """What the paper compares, in %, of each fold and seed (where seeds are told): by arm."""
    found = {}
    for result in comparison.arms:
        if not (result.training and result.training.frozen_at_random):
            folds = pd.DataFrame(result.folds)
            keys = [key for key in ("fold", "seed") if key in folds]
            found[result.arm] = 100 * folds.set_index(keys)[FIGURES[comparison.task]]
    return found


def _ending(comparison, figures):
    by_ratio = {
        arm.ratio: values for arm, values in figures.items() if arm == Arm("alexnet", arm.ratio)
    }
    if len(by_ratio) >= 4:
        text = FIGURES[comparison.task].replace("_", " ")
        yield from _trends(f"{text} on unseen faces", pd.concat(by_ratio, names=["ratio"]))


def _networks(figures):
    """Every other network at the paper's ratio; the paper has GilNet below AlexNet."""
    alexnet = figures.get(Arm("alexnet", RATIO))
    for arm, values in figures.items():
        if alexnet is None or arm.network == "alexnet" or arm != Arm(arm.network, RATIO):
            continue
        told = paper.beside_alexnet(arm.network)
        text = f"{arm.network} beside alexnet, both at ratio 30 %"
        if told is not None:
            text += f" (paper: {told:+})"
        side = -1 if told is not None and told < 0 else 1
        yield _of_mean("network", text, (values - alexnet).dropna(), "points", side)


def _trends(text, means):
    """The slope over ratios of each fold and seed, for a ratio that is 10 points higher; and
    without the highest ratio, which may have bent the line alone."""
    table = means.unstack("ratio")
    for part, until in (
        (table, ""),
        (table.iloc[:, :-1], f", up to {100 * table.columns[-2]:g} %"),
    ):
        slopes = np.array([np.polyfit(part.columns, row, 1)[0] for row in part.to_numpy()]) / 10
        yield _of_mean("trend", f"{text}, for 10 points of ratio more{until}", slopes, "points", -1)


def variance(prepared: Prepared, ratios: Iterable[float], *, limit: int = 1000) -> list[dict]:
    """How much less the pixels of reweighted faces vary than those of the faces themselves.

    Args:
        prepared: faces and maps.
        ratios: above 0, up to 1.
        limit: faces, drawn at random.

    Returns:
        A `Claim` as a dict for each ratio: the change of a face's variance over its pixels, in % of
        the face's own.
    """
    count = len(prepared)
    rows = np.sort(np.random.default_rng(0).permutation(count)[:limit])
    changes = {ratio: [] for ratio in ratios}
    for part in np.array_split(rows, -(-len(rows) // 128)):
        for face, its_map in zip(*prepared.faces(part), strict=True):
            own = face.var(axis=(0, 1)).mean()
            for ratio, found in changes.items():
                changed = reweight(face, its_map, ratio, rounded=False)
                found.append(100 * (changed.var(axis=(0, 1)).mean() / max(own, 1e-9) - 1))
    return [
        asdict(
            _of_mean("variance", f"a face's variance at ratio {100 * ratio:g} %", found, "%", -1)
        )
        for ratio, found in changes.items()
    ]


# --- intervals ------------------------------------------------------------------------------------


def _of_mean(claim, text, values, unit, side):
    """A mean with Student's interval. `side`: the sign that the claim gives it."""
    values = np.asarray(values, float)
    mean, error = values.mean(), stats.sem(values)
    if error < 1e-9 * max(1, abs(mean)):  # all the same, but for rounding
        return _claim(claim, text, (mean, mean, mean), unit, 0.0 if mean else 1.0, side)
    low, high = stats.t.interval(0.95, len(values) - 1, mean, error)
    return _claim(claim, text, (mean, low, high), unit, stats.ttest_1samp(values, 0).pvalue, side)


def _claim(claim, text, values, unit, p, side):
    value, low, high = map(float, values)
    verdict = OPEN
    if p < LEVEL and value:
        verdict = HOLDS if value * side > 0 else OPPOSITE
    return Claim(claim, text, value, low, high, unit, float(p), verdict)
