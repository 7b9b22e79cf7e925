"""Self-checks for the notebooks' exercises: what is right, and which mistake an answer looks like.

A check for each exercise, in the course's order. They stand here because answers do not belong into
the notebook that asks, folded or not. Each takes the student's answer, and those of the notebook's
numbers on which the right one depends; `judging` compares.
"""

from dataclasses import replace

import numpy as np
from scipy import stats

from safbage.show.judging import array, function, keeps, number

# Notebook 00


def saliency_above(answer, saliency_map):
    """The share of a map's saliency in its upper half."""
    half, total = len(saliency_map) // 2, saliency_map.sum()
    share = saliency_map[:half].sum() / total
    left = saliency_map[:, :half].sum() / total
    number(
        answer,
        share,
        mistakes={
            "that is the lower half; row 0 of an image is its top": 1 - share,
            "that is the left half; the first index is the row, the second the column": left,
            "divide by the sum over all rows": share * total,
            "divide sums, not means": saliency_map[:half].mean() / saliency_map.mean(),
            "that is all of it: the map has 28 rows, not 224, and half of them are 14": 1,
            "as a share from 0 to 1, not in per cent": 100 * share,
        },
    )


def light_left(answer, crop, reweighted, ratio, saliency):
    """The share of a crop's light that reweighting leaves."""
    left = reweighted.sum() / crop.sum()
    number(
        answer,
        left,
        mistakes={
            "that is what is lost; what is left?": 1 - left,
            "so much would be left if nobody looked anywhere": 1 - ratio,
            "the other way round: after, divided by before": 1 / left,
            "divide by the light of the crop": reweighted.mean(),
            "divide by the light of the crop, the sum of its numbers": reweighted.sum(),
            "that is the mean of the map; the question is about the face": saliency.mean(),
        },
    )


def most_looked_at(answer, saliency_map):
    """The cells of the most salient tenth of a map."""

    def above(share):
        return saliency_map >= np.quantile(saliency_map, share)

    array(
        answer,
        above(0.9),
        mistakes={
            "that is where the map has a value of 0.9; the largest tenth is meant": (
                saliency_map >= 0.9
            ),
            "those are nine tenths of the cells; a share of 0.9 lies below the largest tenth": (
                above(0.1)
            ),
            "those are all but these: turn the comparison round": ~above(0.9),
            "a tenth of the cells; this is the half with the most": above(0.5),
        },
    )


# Notebook 01


def overlap(answer):
    """The IoU of two boxes of 10 × 10, of which half is shared."""
    number(
        answer,
        50 / 150,
        mistakes={
            "the sum of both areas counts the shared part twice; the union counts it once": 50
            / 200,
            "that is the share of the area of one box; divide by what both cover together": 50
            / 100,
            "that is the intersection; divide it by the union": 50,
        },
    )


def crop_side(answer):
    """The crop's side for a box of 80 × 100 and a margin of 30 %."""
    number(
        answer,
        130,
        mistakes={
            "the box is squared first, by its longer side": 80 * 1.3,
            "squared by its longer side, not by the mean of both": 90 * 1.3,
            "30 % in all: 15 % at each of two edges": 115,
            "30 % in all: 15 % of the side at each edge, not 30 %": 100 * 1.6,
            "224 is the side after scaling; the question is about the photo": 224,
        },
    )


def suppresses(answer):
    """A function that drops every box that a surer kept one overlaps too much."""
    row = np.array([[0, 0, 10, 10], [3, 0, 10, 10], [6, 0, 10, 10], [40, 0, 10, 10]], float)
    generator = np.random.default_rng(1)
    many = np.hstack([generator.integers(0, 30, (20, 2)), generator.integers(8, 16, (20, 2))])
    cases = [
        (row, np.array([0.7, 0.9, 0.8, 0.6]), 0.5),
        (row, np.array([0.9, 0.8, 0.7, 0.95]), 0.5),
        (many.astype(float), generator.random(20), 0.3),
    ]
    function(
        answer,
        _suppressed,
        cases,
        mistakes={
            "go through them from the surest down, not in the order in which they come": (
                lambda boxes, scores, most: _suppressed(boxes, -np.arange(len(boxes)), most)
            ),
            "the surest first: np.argsort begins with the smallest": (
                lambda boxes, scores, most: _suppressed(boxes, -scores, most)
            ),
            "a box that has been dropped itself must not drop others": (
                lambda boxes, scores, most: _suppressed(boxes, scores, most, by_dropped=True)
            ),
            "that is all of them, the surest first; now drop those that overlap a kept one": (
                lambda boxes, scores, most: np.argsort(scores)[::-1]
            ),
            "divide by the union, both areas less the shared part": (
                lambda boxes, scores, most: _suppressed(boxes, scores, most, union=False)
            ),
        },
    )


def _suppressed(boxes, scores, most, *, by_dropped=False, union=True):
    """Indices of the boxes kept. `by_dropped` and `union=False` are mistakes."""
    order, kept = np.argsort(scores)[::-1], []
    for place, i in enumerate(order):
        before = order[:place] if by_dropped else kept
        if all(_overlap(boxes[i], boxes[j], union) <= most for j in before):
            kept.append(i)
    return np.array(kept)


def _overlap(a, b, union=True):
    """IoU of two boxes; without `union`, over the sum of their areas."""
    across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    down = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    shared = max(across, 0) * max(down, 0)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared * union)


def cuts(answer):
    """A function that cuts a square out of a picture and repeats the last pixels beyond it."""
    picture = np.random.default_rng(2).integers(0, 256, (10, 10, 3), "uint8")
    cases = [(picture, *place) for place in [(2, 1, 5), (-2, 3, 6), (8, 6, 7), (-3, -3, 6)]]

    def cut(picture, left, top, side, within=np.clip):
        rows, columns = (np.arange(start, start + side) for start in (top, left))
        rows = within(rows, 0, picture.shape[0] - 1)
        return picture[rows][:, within(columns, 0, picture.shape[1] - 1)]

    def rows_for_columns(picture, left, top, side):
        rows = np.clip(np.arange(top, top + side), 0, picture.shape[0] - 1)
        columns = np.clip(np.arange(left, left + side), 0, picture.shape[1] - 1)
        return picture[columns][:, rows]

    function(
        answer,
        cut,
        cases,
        mistakes={
            "the rows come first, and they count from the top": rows_for_columns,
            "beyond a border stand pixels from the other end; repeat the last ones": (
                lambda *case: cut(*case, within=lambda i, low, high: i % (high + 1))
            ),
            "beyond the border the picture is mirrored; repeat its last pixels": (
                lambda *case: cut(*case, within=_mirrored)
            ),
        },
    )


def _mirrored(places, low, high):
    """Places beyond the ends of an axis, mirrored at its last pixels."""
    return np.minimum(np.abs(places), 2 * high - np.abs(places))


# Notebook 02


def loss_of_two_cells(answer):
    """ML-Net's loss of the prediction 0.2, 0.8 where the truth is 0, 1."""
    number(
        answer,
        0.25**2 / 1.1 / 2,
        mistakes={
            "divide the prediction by its maximum, 0.8, first": (0.2**2 / 1.1 + 0.2**2 / 0.1) / 2,
            "each squared error is divided by 1.1 - y": 0.25**2 / 2,
            "the loss is the mean over both cells, not the sum": 0.25**2 / 1.1,
            "both the maximum and the weights are missing": 0.2**2,
        },
    )


def nss(answer):
    """A function for the NSS of a map at fixations."""
    generator = np.random.default_rng(4)
    tiny, large = np.array([[0.0, 1.0], [2.0, 5.0]]), generator.random((6, 9))
    places = np.stack([generator.integers(0, 6, 7), generator.integers(0, 6, 7)], axis=1)
    cases = [
        (tiny, np.array([[1, 1], [0, 1], [0, 0]])),
        (tiny, np.array([[1, 0]])),
        (large, places),
    ]

    def read(values, points):
        return values[points[:, 1], points[:, 0]]

    def standardised(values, ddof=0):
        return (values - values.mean()) / values.std(ddof=ddof)

    function(
        answer,
        lambda values, points: read(standardised(values), points).mean(),
        cases,
        mistakes={
            "standardise the map before you read it": lambda values, at: read(values, at).mean(),
            "take the mean over the fixations, not the sum": (
                lambda values, at: read(standardised(values), at).sum()
            ),
            "np.std divides by n; you divided by n - 1": (
                lambda values, at: read(standardised(values, ddof=1), at).mean()
            ),
            "the row comes first when you index, and the row is y": (
                lambda values, at: read(standardised(values), at[:, ::-1]).mean()
            ),
            "divide by the standard deviation, not by the variance": (
                lambda values, at: read(standardised(values) / values.std(), at).mean()
            ),
        },
    )


def mass_on_eyes(answer, saliency_map, face, near_landmarks):
    """The share of a map's mass near a face's eyes; `near_landmarks` is `faces.near_landmarks`."""
    eyes = {name: face.landmarks[name] for name in ("left_eye", "right_eye")}
    cells, all_five = near_landmarks(replace(face, landmarks=eyes)), near_landmarks(face)
    total = saliency_map.sum()
    share, share_of_five = (saliency_map[near].sum() / total for near in (cells, all_five))
    number(
        answer,
        share,
        mistakes={
            "that is the share of all five landmarks": share_of_five,
            "as a share from 0 to 1, not in per cent": 100 * share,
            "divide by the whole map's sum, not by the five landmarks' mass": share / share_of_five,
            "sum the cells, do not average them": saliency_map[cells].mean(),
            "divide by the sum of the whole map": saliency_map[cells].sum(),
            "that is the area of the cells, not the mass on them": cells.mean(),
        },
    )


# Notebook 03


def pixel_left(answer):
    """What is left of 200 at a saliency of 0.25 and a ratio of 0.4."""
    number(
        answer,
        140,
        mistakes={
            "that is the other way round: 1 - r is the part that saliency cannot touch": 110,
            "that is the full multiplication, a ratio of 1": 50,
            "the part that stays, 1 - r, is missing": 20,
            "that is what a pixel with no saliency keeps": 120,
        },
    )


def reweighs(answer):
    """A function that reweights a picture by a map of its size."""
    generator = np.random.default_rng(3)
    cases = [
        (generator.integers(0, 256, (*size, 3), "uint8"), generator.random(size), ratio)
        for size, ratio in [((6, 6), 0.3), ((5, 8), 0.9), ((4, 4), 0.0)]
    ]

    def weighed(face, saliency, ratio):
        return face * ((1 - ratio) + ratio * saliency[:, :, None])

    def reverse(face, saliency, ratio):
        return np.round(weighed(face, saliency, 1 - ratio)).astype("uint8")

    function(
        _picture(answer),
        lambda *case: _kind(np.round(weighed(*case)).astype("uint8")),
        cases,
        mistakes={
            "astype cuts decimals off; round to the nearest first": (
                lambda *case: _kind(weighed(*case).astype("uint8"))
            ),
            "the other way round: the share 1 - ratio is what saliency cannot touch": (
                lambda *case: _kind(reverse(*case))
            ),
            "the numbers are right; now make it uint8, so that it is a picture again": (
                lambda *case: _kind(np.round(weighed(*case)))
            ),
            "the numbers are nearly right; round them, and make it uint8": (
                lambda *case: _kind(weighed(*case))
            ),
            "that is the full product, a ratio of 1": (
                lambda *case: _kind(np.round(weighed(*case[:2], 1.0)).astype("uint8"))
            ),
        },
        tolerance=1e-6,
    )


def _picture(answer):
    """The function, whose results also tell of what kind they are."""

    def told(*case):
        found = answer(*case)
        return None if found is None else _kind(np.asarray(found))

    return told if callable(answer) else answer


def _kind(values):
    """The numbers of an array, and behind them 1 for uint8 and 0 for others."""
    return np.append(values.astype(float), float(values.dtype == np.uint8))


def ratio_that_keeps(answer):
    """The ratio at which a saliency of 0.2 keeps 60 %."""
    number(
        answer,
        0.5,
        mistakes={
            "a place with a saliency of 0 loses 40 % at that ratio; this one has 0.2": 0.4,
            "that is what the place keeps, not what it loses": 0.6,
            "solve (1 - r) + 0.2 r = 0.6 for r: it is the loss, 0.4, that equals 0.8 r": 0.75,
            "as a share from 0 to 1, not in per cent": 50,
        },
    )


def blend_of_reverse(answer):
    """The ratio of "blend" that equals "reverse" at 0.8."""
    number(
        answer,
        0.2,
        mistakes={
            "the two weights would have to be the same at 0.8; try S = 0": 0.8,
            "a ratio lies from 0 to 1": 1.25,
            "compare the two weights where S is 0: r there, 1 - r here": 0.64,
        },
    )


# Notebook 04


def parameters_without_pooling(answer):
    """Parameters of AlexNet's fc6 on 13 × 13 × 256 numbers."""
    inputs, outputs = 13 * 13 * 256, 4096
    number(
        answer,
        inputs * outputs + outputs,
        mistakes={
            "every output has a bias, too": inputs * outputs,
            "one bias for each of the outputs, not for each of the inputs": (
                inputs * outputs + inputs
            ),
            "one bias for each of the outputs, not one in all": inputs * outputs + 1,
            "every output weighs the channels of all 13 × 13 cells": 256 * outputs + outputs,
            "13 × 13 cells, not 13": 13 * 256 * outputs + outputs,
            "that is fc6 as it is, with the pooling": 6 * 6 * 256 * outputs + outputs,
        },
        tolerance=1e-9,
    )


def frozen_parameters(answer, all_parameters):
    """AlexNet's parameters below conv5; `all_parameters` is their sum over all its layers."""
    conv4, conv5 = 884_992, 590_080
    frozen = 23_296 + 307_392 + 663_936 + conv4
    number(
        answer,
        frozen,
        mistakes={
            "conv5 is trained, too": frozen + conv5,
            "that is conv5 alone; it is trained, and all below is frozen": conv5,
            "count up to conv4, the last below conv5": frozen - conv4,
            "those are the trained ones": all_parameters - frozen,
        },
        tolerance=1e-4,
    )


def mean_cross_entropy(answer):
    """A function for the mean cross-entropy of probabilities (N×C) and labels (N)."""
    generator = np.random.default_rng(6)
    cases = [
        (np.array([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5]]), np.array([0, 0, 1])),
        (np.full((4, 8), 1 / 8), np.arange(4)),
        (generator.dirichlet(np.ones(3), size=6), np.array([2, 0, 1, 1, 2, 0])),
    ]

    def rights(p, label):
        return p[np.arange(len(label)), label]

    function(
        answer,
        lambda p, label: -np.log(rights(p, label)).mean(),
        cases,
        mistakes={
            "take the natural logarithm, np.log": lambda p, label: (
                -np.log2(rights(p, label)).mean()
            ),
            "take the natural logarithm, np.log, not that to base 10": (
                lambda p, label: -np.log10(rights(p, label)).mean()
            ),
            "-ln p of a number below 1 is above 0: mind the sign": (
                lambda p, label: np.log(rights(p, label)).mean()
            ),
            "take the mean over the faces, not the sum": (
                lambda p, label: -np.log(rights(p, label)).sum()
            ),
            "one number for all faces: take the mean": lambda p, label: -np.log(rights(p, label)),
            "first the logarithm of each, then the mean": (
                lambda p, label: -np.log(rights(p, label).mean())
            ),
            "p is the probability of the right class, not the largest one": (
                lambda p, label: -np.log(p.max(axis=1)).mean()
            ),
            "the loss has only the right class's term, not those of all classes": (
                lambda p, label: -np.log(p).mean()
            ),
        },
    )


def steps_of_an_epoch(answer):
    """Batches of 128 in an epoch of 10,000 faces with four pictures each."""
    number(
        answer,
        313,
        mistakes={
            "what is left over is a smaller batch, and a step, too": 312.5,
            "the last batch is smaller, but a step, too": 312,
            "each face is shown as four pictures": 79,
            "each face is shown as four pictures; and what is left over is a step, too": (
                10_000 / 128
            ),
            "that is how many pictures an epoch has; divide by the batch": 40_000,
            "in one epoch, not in all 30": 313 * 30,
        },
    )


# Notebook 05


def dealt_by_person(answer):
    """A function that deals out pictures into folds, all pictures of a person into one."""
    generator = np.random.default_rng(5)
    few = np.repeat([f"p{i:02d}" for i in range(10)], 4)
    many = generator.permutation(np.repeat([f"p{i:03d}" for i in range(60)], 3))
    keeps(answer, [(few, 5), (many, 5), (many, 3)], _badly_dealt)


def _badly_dealt(found, persons, folds):
    """What is wrong with the folds of these persons' pictures, in words; None for nothing."""
    found = np.asarray(found)
    if found.shape != persons.shape:
        kinds = f"{len(np.unique(persons))} persons, {len(persons)} pictures"
        return f"a fold is needed, one for each picture ({kinds}); this has {found.size}"
    if not np.isin(found, range(folds + 1)).all():
        return f"folds are whole numbers from 0 to {folds - 1}"
    if found.max() == folds:
        return f"count from 0: the folds are 0 to {folds - 1}"
    torn = [name for name in np.unique(persons) if len(set(found[persons == name])) > 1]
    if torn and (np.diff(found) >= 0).all():
        return "this cuts the list into equal parts, and the list need not be sorted by person"
    if torn:
        return f"{len(torn)} of {len(np.unique(persons))} persons have pictures in two folds"
    empty = folds - len(set(found))
    return f"{empty} of {folds} folds are empty" if empty else None


def standard_error(answer, folds):
    """The standard error of the folds' mean."""
    spread = folds.std(ddof=1)
    number(
        answer,
        spread / np.sqrt(5),
        mistakes={
            "that is the standard deviation of the folds; the error of their mean is smaller": (
                spread
            ),
            "np.std divides by n; of a sample take n - 1 (ddof=1)": folds.std() / np.sqrt(5),
            "divide by the root of their number, not by their number": spread / 5,
            "np.std divides by n, and you have not divided by the root of their number": (
                folds.std()
            ),
            "that is a variance; take its root": folds.var(ddof=1) / 5,
        },
    )


def mean_recall(answer, matrix):
    """The mean recall of a confusion matrix, a row per label."""
    hits = matrix.diagonal()
    recalls = hits / matrix.sum(axis=1)
    accuracy, precision = hits.sum() / matrix.sum(), (hits / matrix.sum(axis=0)).mean()
    number(
        answer,
        recalls.mean(),
        mistakes={
            "that is the accuracy, in which the first class counts for more than half": accuracy,
            "divide by the sum of the row, the label; you took the column, the answer": precision,
            "take the mean of the recalls, not their sum": recalls.sum(),
            "as a share from 0 to 1, not in per cent": 100 * recalls.mean(),
        },
    )


def calibration_error(answer, faces, sure, correct):
    """The expected calibration error of bins: their faces, mean confidences and accuracies."""
    signed = sure - correct
    gaps = np.abs(signed)
    number(
        answer,
        (gaps * faces).sum() / faces.sum(),
        mistakes={
            "weigh the bins by their faces": gaps.mean(),
            "the gaps cannot cancel: take their absolute values": (
                (signed * faces).sum() / faces.sum()
            ),
            "that is the worst bin; take the mean over all, weighed by their faces": gaps.max(),
            "divide by the number of all faces": (gaps * faces).sum(),
        },
    )


# Notebook 06


def all_agree(answer):
    """How likely five fair coins all fall alike."""
    number(
        answer,
        2 * 0.5**5,
        mistakes={
            "that is for one side; they may agree to either side": 0.5**5,
            "that is one coin; all five must agree": 0.5,
            "five coins, not four": 2 * 0.5**4,
            "that is the probability that they do not all agree": 1 - 2 * 0.5**5,
            "probabilities of independent coins are multiplied": 5 * 0.5,
        },
    )


def best_has_saliency(answer):
    """How likely the best of six equal ratios is not ratio 0."""
    number(
        answer,
        5 / 6,
        mistakes={
            "that is for one given ratio, such as 30 %, or 0; five of the six have saliency": 1 / 6,
            "it is not a coin: five of the six have saliency": 1 / 2,
            "there are six in the race, ratio 0 among them": 4 / 5,
            "that is for one given ratio of five": 1 / 5,
            "as a share from 0 to 1, not in per cent": 100 * 5 / 6,
        },
    )


def holm(answer):
    """A function for Holm's correction of p-values."""

    def corrected(p, *, factors=None, rising=True, sort=True, cap=True):
        p = np.asarray(p, float)
        order = np.argsort(p, kind="stable") if sort else np.arange(len(p))
        times = np.arange(len(p), 0, -1) if factors is None else factors(len(p))
        found = p[order] * times
        found = np.maximum.accumulate(found) if rising else found
        back = np.empty(len(p))
        back[order] = np.minimum(found, 1) if cap else found
        return back

    cases = [([0.04, 0.01, 0.03, 0.5],), ([0.2, 0.001, 0.9],), ([0.02, 0.021, 0.022],), ([0.03],)]
    function(
        answer,
        corrected,
        cases,
        mistakes={
            "that multiplies all of them by n: Bonferroni's correction, which is stricter": (
                lambda p: corrected(p, factors=lambda n: np.full(n, n), rising=False)
            ),
            "that multiplies all of them by n, and no probability is above 1": (
                lambda p: corrected(p, factors=lambda n: np.full(n, n), rising=False, cap=False)
            ),
            "no corrected value may be below that of a smaller p-value": (
                lambda p: corrected(p, rising=False)
            ),
            "no corrected value may be below that of a smaller p-value, nor above 1": (
                lambda p: corrected(p, rising=False, cap=False)
            ),
            "no probability is above 1": lambda p: corrected(p, cap=False),
            "the smallest of them is multiplied by n, not the first one": (
                lambda p: corrected(p, sort=False)
            ),
            "bring them back into the order in which they came": lambda p: np.sort(corrected(p)),
        },
    )


# Notebook 07


def score_of_two_features(answer, first, second):
    """The score of a class with weights 2 and −1 and a bias of 0.5."""
    evidence = 2 * first - second
    unsigned = 2 * first + second
    number(
        answer,
        evidence.mean() + 0.5,
        mistakes={
            "add the bias": evidence.mean(),
            "take the mean over the places, not their sum": evidence.sum() + 0.5,
            "the weight of the second feature is negative: it speaks against the class": (
                unsigned.mean() + 0.5
            ),
            "that is the largest value of the map": evidence.max(),
        },
    )


def class_map(answer):
    """A function for a class's map less the mean of the other classes' maps."""
    generator = np.random.default_rng(7)
    shapes = [((4, 4, 6), 3, 1), ((3, 5, 8), 7, 0), ((2, 2, 4), 2, 1)]
    cases = [
        (generator.random(size), generator.normal(size=(size[-1], c)), t) for size, c, t in shapes
    ]

    def less(features, kernel, target, others):
        maps = features @ kernel
        return maps[..., target] - others(maps, target)

    def without(maps, target):
        return np.delete(maps, target, axis=-1)

    function(
        answer,
        lambda *case: less(*case, lambda maps, target: without(maps, target).mean(axis=-1)),
        cases,
        mistakes={
            "that is the class's own map; now subtract the mean of the others": (
                lambda *case: less(*case, lambda maps, target: 0)
            ),
            "that mean has the class itself among them; take the others only": (
                lambda *case: less(*case, lambda maps, target: maps.mean(axis=-1))
            ),
            "subtract the mean of the others, not their sum": (
                lambda *case: less(*case, lambda maps, target: without(maps, target).sum(axis=-1))
            ),
            "taking the mean over the places gives the score, not a map": (
                lambda features, kernel, target: (features @ kernel).mean(axis=(0, 1))
            ),
        },
    )


def covered_pictures(answer):
    """Places of a patch of 32 in a picture of 224, in steps of 16."""
    number(
        answer,
        169,
        mistakes={
            "the last patches would reach beyond the picture": 196,
            "the first position counts, too": 144,
            "that is one row; there are rows and columns": 13,
            "in steps of 16, the patches overlap": 49,
        },
        tolerance=1e-9,
    )


def shared_with_flat(answer, maps, shared_with_cams):
    """The mean mass that maps share with a flat one.

    `shared_with_cams` is the mass that each shares with its CAM.
    """
    shares = maps / maps.sum(axis=(1, 2), keepdims=True)
    number(
        answer,
        np.minimum(shares, 1 / maps[0].size).sum(axis=(1, 2)).mean(),
        mistakes={
            "that is the agreement with the CAMs themselves": shared_with_cams.mean(),
            "that is the correlation, which a flat map does not have": 0.0,
            "that is each map with itself": 1.0,
        },
    )


# Notebook 08


def exact_mcnemar(answer):
    """A function from the two discordant counts to the exact p-value of McNemar's test."""

    def lower(k, coins):
        return stats.binom.cdf(k, coins, 0.5)

    def chi_square(a, b):
        return stats.chi2.sf(max(abs(a - b) - 1, 0) ** 2 / max(a + b, 1), 1)

    function(
        answer,
        lambda a, b: min(1, 2 * lower(min(a, b), a + b)),
        [(3, 9), (9, 3), (0, 6), (7, 7), (0, 0), (1, 14)],
        mistakes={
            "count unevenness to either side: twice that": lambda a, b: lower(min(a, b), a + b),
            "for two equal counts this is above 1; no probability is": (
                lambda a, b: 2 * lower(min(a, b), a + b)
            ),
            "take the smaller count: the larger one's tail is nearly everything": (
                lambda a, b: min(1, 2 * lower(max(a, b), a + b))
            ),
            "either arm may be the worse one: take the smaller count, not always the first": (
                lambda a, b: min(1, 2 * lower(a, a + b))
            ),
            "at most k heads: you counted fewer than k": (
                lambda a, b: min(1, 2 * lower(min(a, b) - 1, a + b))
            ),
            "that is the chi-square formula; the exact test counts coins": chi_square,
        },
    )


def faces_for_one_point(answer):
    """Faces for an interval of 1 point to either side, where 500 faces give 4 points."""
    number(
        answer,
        8000,
        mistakes={
            "the width shrinks with the square root of the faces, not with the faces": 2000,
            "it is the other way round: the width is the root, the faces are the square": 1000,
            "a narrower interval takes more faces, not fewer": 500 / 16,
            "a narrower interval takes more faces": 125,
        },
    )


# Notebook 09


def average_precision(answer):
    """A function that gives the average precision of a ranking."""
    generator = np.random.default_rng(9)
    cases = [
        (np.array([True, False, True, False, False]),),
        (np.array([False, False, False, True]),),
        (generator.random(60) < 0.2,),
    ]
    function(
        answer,
        _average_precision,
        cases,
        mistakes={
            "that is the share of right ones, wherever they stand": lambda hits: hits.mean(),
            "take the mean at the right ones only: [hits] chooses these": lambda hits: _shares(
                hits
            ).mean(),
            "that is rank 1, the first place alone": lambda hits: float(hits[0]),
            "take the mean of these shares, not their sum": lambda hits: _shares(hits)[hits].sum(),
            "divide by the place, which counts from 1": lambda hits: (
                np.cumsum(hits) / np.maximum(np.arange(len(hits)), 1)
            )[hits].mean(),
        },
    )


def _shares(hits):
    """The share of right ones down to each place."""
    return np.cumsum(hits) / np.arange(1, len(hits) + 1)


def _average_precision(hits):
    return _shares(hits)[hits].mean()


def false_matches_of_women(answer, called_same, same, group):
    """The rate of false matches among pairs of two different women."""
    women = group == "female"
    wrong = called_same & ~same
    number(
        answer,
        wrong[women].sum() / (~same & women).sum(),
        mistakes={
            "that is the rate of all pairs of two people; choose the group": wrong.sum()
            / (~same).sum(),
            "pairs of one person are among them; choose those of two people, too": called_same[
                women
            ].mean(),
            "those are false non-matches: one woman taken for two": (~called_same)[
                same & women
            ].mean(),
            "that is which share of all false matches is theirs; divide by their pairs of two "
            "people": wrong[women].sum() / wrong.sum(),
            "divide by the pairs of two different women, not by all pairs of women": wrong[
                women
            ].mean(),
            "those are the men": wrong[group == "male"].sum() / (~same & (group == "male")).sum(),
            "as a rate from 0 to 1, not in per cent": 100
            * wrong[women].sum()
            / (~same & women).sum(),
        },
        tolerance=1e-6,
    )


def found_at_the_station(answer):
    """How likely a match is right, where 50,000 people pass and one of them is looked for.

    That one is matched with 99 %, each of the others with 0.1 %.
    """
    false = 49_999 * 0.001
    number(
        answer,
        0.99 / (0.99 + false),
        mistakes={
            "that is the other way round: how likely a match is where it is the person": 0.99,
            "you counted one stranger only; 49,999 pass": 0.99 / 0.991,
            "that is how likely it was before anybody looked": 1 / 50_000,
            "matches are right ones and false ones; divide by both": 0.99 / false,
            "that is the share of false ones": false / (0.99 + false),
            "as a probability from 0 to 1, not in per cent": 99 / (0.99 + false),
            "give it as a probability from 0 to 1, not in per cent": 1.94,
        },
        tolerance=1e-4,
    )


# Notebook 10


def rows_of_a_folder(answer):
    """The rows for 30 photos with one face, 2 with three, 5 with none, and 3 broken files."""
    number(
        answer,
        44,
        mistakes={
            "a photo with several faces has a row for each": 40,
            "nothing is dropped: photos without a face and broken files have a row, too": 36,
            "broken files have a row, too: it says why they failed": 41,
            "photos without a face have a row, too": 39,
        },
        tolerance=1e-9,
    )


def variation(answer):
    """A function for the total variation distance of lists, or tables, of probabilities."""
    generator = np.random.default_rng(10)
    table, other = generator.dirichlet([1, 1, 1, 1], size=(2, 5))
    lists = ([0.7, 0.2, 0.1], [0.4, 0.5, 0.1])

    def apart(p, q):
        return np.abs(np.subtract(p, q))

    function(
        answer,
        lambda p, q: apart(p, q).sum(axis=-1) / 2,
        [lists, (table, other), ([1.0, 0.0], [0.0, 1.0])],
        mistakes={
            "the differences always sum to 0; take their absolute values": (
                lambda p, q: np.zeros(np.shape(p)[:-1])
            ),
            "half the sum: what one class loses and another gains is counted twice": (
                lambda p, q: apart(p, q).sum(axis=-1)
            ),
            "half their sum, not their mean": lambda p, q: apart(p, q).mean(axis=-1),
            "of a table, one for each row: sum over the last axis only": (
                lambda p, q: apart(p, q).sum() / 2
            ),
            "that is the largest single difference; sets of answers count, too": (
                lambda p, q: apart(p, q).max(axis=-1)
            ),
            "that is the Euclidean distance; take absolute values": (
                lambda p, q: np.sqrt((apart(p, q) ** 2).sum(axis=-1))
            ),
        },
    )


def angry_at_the_alarm(answer):
    """How likely the alarm is right.

    One customer in 200 is angry. 90 % of these set the alarm off, and 5 % of all others.
    """
    true, false = 20_000 / 200 * 0.9, 20_000 * 199 / 200 * 0.05
    number(
        answer,
        true / (true + false),
        mistakes={
            "that is the other way round: how many of the angry ones set it off": 0.9,
            "that would be so if half of all customers were angry; they are rare": 0.9 / 0.95,
            "that is the share of all customers; you want it among the alarms": 0.005 * 0.9,
            "alarms are right ones and false ones; divide by both": true / false,
            "that is the share of false alarms": false / (true + false),
            "as a share from 0 to 1, not in per cent": 100 * true / (true + false),
        },
        tolerance=4e-3,
    )
