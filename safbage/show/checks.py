"""Self-checks for the notebooks' exercises: what is right, and which mistake an answer looks like.

A check for each exercise, in the course's order. They stand here because answers do not belong into
the notebook that asks, folded or not. Each takes the student's answer, and those of the notebook's
numbers on which the right one depends; `judging` compares.
"""

from dataclasses import replace

import numpy as np
from scipy import stats

from safbage.show.judging import function, keeps, number

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


def nss_of_three(answer, cells):
    """The NSS of a map of 2 × 2 cells, of which all but the upper right one are fixated."""
    fixated = cells[[1, 1, 0], [1, 0, 0]]
    above = fixated - cells.mean()
    standardised = above / cells.std()
    two, third = standardised[:2].mean(), standardised[2]
    number(
        answer,
        standardised.mean(),
        mistakes={
            "standardise the map before you read it": fixated.mean(),
            "that is the third fixation alone; take the mean over all three": third,
            "take the mean over the fixations, not the sum": standardised.sum(),
            "np.std divides by n; you divided by n - 1": above.mean() / cells.std(ddof=1),
            "average the three values, not the old mean and the new value": (two + third) / 2,
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


def loss_of_knowing_nothing(answer):
    """The cross-entropy of eight equal probabilities."""
    number(
        answer,
        np.log(8),
        mistakes={
            "take the natural logarithm, np.log": 3,
            "take the natural logarithm, np.log, not that to base 10": np.log10(8),
            "that is the probability of the right class; its loss is -ln p": 1 / 8,
            "-ln p of a number below 1 is above 0: mind the sign": -np.log(8),
            "p is the probability of the right class, not of all others": -np.log(7 / 8),
            "that is for two classes": np.log(2),
            "the loss has only the right class's term, not the sum over all": 8 * np.log(8),
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


def sweep_minutes(answer):
    """Minutes of 6 × 5 × 3 points of 40 seconds, four at a time."""
    number(
        answer,
        15,
        mistakes={
            "every combination is a point: multiply the three, do not add them": 14 * 40 / 4 / 60,
            "that is one after the other; they run four at a time": 60,
            "those are seconds; in minutes, please": 900,
            "those are the points": 90,
            "more workers make it shorter, not longer": 240,
        },
    )


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


def variation_distance(answer, face, mirror):
    """The total variation distance of two lists of probabilities."""
    apart = np.abs(face - mirror)
    number(
        answer,
        apart.sum() / 2,
        mistakes={
            "the differences always sum to 0; take their absolute values": 0,
            "half the sum: what one class loses and another gains is counted twice": apart.sum(),
            "half their sum, not their mean": apart.mean(),
            "that is the Euclidean distance; take absolute values": np.sqrt((apart**2).sum()),
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
