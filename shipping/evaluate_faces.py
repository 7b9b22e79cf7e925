"""Figures of the face network and AlexNet-GAP from their answers to faces that they did not learn from, with errors, as JSON.

    python shipping/evaluate_faces.py PACKS WORK/answers-validation.npz WORK/answers-test.npz > figures.json

The files of answers hold, for `row` of the packs' table, logits by network and question, as ``face/age`` (``train_faces.py
answer`` writes them). UTKFace's validation part chooses the 80 % interval of age. Accuracies carry binomial standard
errors, or ones that count all pictures of a person together where persons are known; other figures carry bootstrap ones.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from packs import SETS, read_table

GROUPS = ((0, 2), (4, 6), (8, 13), (15, 20), (25, 32), (38, 43), (48, 53), (60, 100))
BINS = ((0, 2), (3, 9), (10, 19), (20, 29), (30, 39), (40, 49), (50, 59), (60, 69), (70, 100))
"""FairFace's, in years."""
COVERED = 0.8


def softmax(logits):
    logits = np.asarray(logits, "float64")
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def quantile(distribution, share):
    """Years (N) below which `share` of each distribution over whole years (N×101) lies; a year is spread over its length."""
    below = distribution.cumsum(axis=1)
    year = np.minimum((below < share).sum(axis=1), distribution.shape[1] - 1)
    at = np.take_along_axis
    inside = at(distribution, year[:, None], 1)[:, 0]
    before = at(below, year[:, None], 1)[:, 0] - inside
    return year + (share - before) / np.maximum(inside, 1e-9) - 0.5


def coverage(distribution, years, tail):
    """Whether each age, a whole year or not, lies between the quantiles `tail` and 1 − `tail`, rounded to whole years."""
    return (np.round(quantile(distribution, tail)) <= np.round(years)) & (
        np.round(years) <= np.round(quantile(distribution, 1 - tail))
    )


def fitted_tail(distribution, years):
    """The tail at which `COVERED` of validation faces are covered."""
    tails = np.linspace(0.01, 0.3, 291)
    shares = np.array([coverage(distribution, years, tail).mean() for tail in tails])
    return float(tails[np.abs(shares - COVERED).argmin()])


def proportion(right, subject=None) -> dict:
    """Accuracy in per cent, its standard error, and of how many."""
    right = np.asarray(right, float)
    if subject is None:
        error = np.sqrt(right.mean() * (1 - right.mean()) / len(right))
    else:
        _, of = np.unique(subject, return_inverse=True)
        excess = np.bincount(of, right - right.mean())
        error = np.sqrt(len(excess) / (len(excess) - 1) * (excess**2).sum()) / len(right)
    return {
        "value": round(100 * right.mean(), 2),
        "error": round(100 * error, 2),
        "faces": len(right),
    }


def bootstrapped(figure, *arrays, draws=500) -> dict:
    """`figure` of the arrays, and its standard deviation when faces are drawn again."""
    generator, n = np.random.default_rng(0), len(arrays[0])
    values = [
        figure(*(array[picked] for array in arrays))
        for picked in generator.integers(0, n, (draws, n))
    ]
    return {
        "value": round(float(figure(*arrays)), 3),
        "error": round(float(np.std(values)), 3),
        "faces": n,
    }


def mean_recall(truth, answer):
    return 100 * np.mean([(answer[truth == c] == c).mean() for c in np.unique(truth)])


def groups_of(years):
    group = np.full(len(years), -1)
    for number, (low, high) in enumerate(GROUPS):
        group[(years >= low) & ((years <= high) | (number == len(GROUPS) - 1))] = number
    return group


def of_groups(answers):
    """Answers of age as probabilities of the eight groups: sums over years, or as they are."""
    shares = softmax(answers) if answers.min() < 0 or answers.shape[1] > 8 else answers
    return (
        np.stack([shares[:, low : high + 1].sum(axis=1) for low, high in GROUPS], axis=1)
        if shares.shape[1] > 8
        else shares
    )


def expressions(answers, mix):
    """Probabilities of expressions; of two heads mixed, `mix` the share of FER2013's own."""
    main = softmax(answers["expression"])
    return (
        (1 - mix) * main + mix * softmax(answers["expression_fer2013"])
        if "expression_fer2013" in answers
        else main
    )


def of_expressions(found, table, part):
    """Accuracies of some probabilities on FER2013 by its own labels, by FER+'s most votes and by its majority, and on RAF-DB."""
    answer, result = found.argmax(axis=1), {}
    fer, raf = part["fer2013"], part["rafdb"]
    if fer.any():
        votes = table["counts"][fer].astype(int)
        ordered, top, own = np.sort(votes, axis=1), votes.argmax(axis=1), table["expression"][fer]
        plural = (top < 7) & (ordered[:, -1] > ordered[:, -2])
        majority = plural & (ordered[:, -1] > votes.sum(axis=1) / 2)
        result["fer2013 own label"] = proportion(answer[fer] == own)
        result["fer2013 own label, mean recall"] = bootstrapped(mean_recall, own, answer[fer])
        result["fer+ most votes"] = proportion((answer[fer] == top)[plural])
        result["fer+ majority"] = proportion((answer[fer] == top)[majority])
        result["fer+ majority, mean recall"] = bootstrapped(
            mean_recall, top[majority], answer[fer][majority]
        )
    if raf.any():
        result["rafdb"] = proportion(answer[raf] == table["expression"][raf])
        result["rafdb, mean recall"] = bootstrapped(
            mean_recall, table["expression"][raf], answer[raf]
        )
    return result


def of_ages(answers, table, part, tail):
    result, shares = {}, of_groups(answers)
    answer = shares.argmax(axis=1)
    truths = {
        "utkface": groups_of(np.nan_to_num(table["age_mean"], nan=-1)),
        "adience": table["group"],
    }
    for name, truth in truths.items():
        of = part[name] & (truth >= 0)
        if of.any():
            subject = table["subject"][of] if name == "adience" else None
            result[f"{name} groups"] = proportion(answer[of] == truth[of], subject)
            result[f"{name} groups, mean recall"] = bootstrapped(mean_recall, truth[of], answer[of])
            result[f"{name} groups, one off"] = proportion(
                np.abs(answer[of] - truth[of]) <= 1, subject
            )
    if answers.shape[1] > 8:
        years = softmax(answers)
        median = quantile(years, 0.5)
        for name, truth in (
            ("utkface", table["age_mean"]),
            ("appa", table["age_mean"]),
            ("appa real", table["real_age"]),
        ):
            of = part[name.split()[0]]
            if of.any():
                result[f"{name} MAE, years"] = bootstrapped(
                    lambda e: np.abs(e).mean(), median[of] - truth[of]
                )
                result[f"{name} covered by the 80 % interval"] = proportion(
                    coverage(years[of], truth[of], tail)
                )
        of = part["fairface"]
        bins = np.stack(
            [years[of, low : high + 1].sum(axis=1) for low, high in BINS], axis=1
        ).argmax(axis=1)
        truth = np.array([[low for low, _ in BINS].index(low) for low in table["age_low"][of]], int)
        if of.any():
            result["fairface nine bins"] = proportion(bins == truth)
            result["fairface nine bins, one off"] = proportion(np.abs(bins - truth) <= 1)
    return result


def of_genders(answers, table, part):
    result, right = {}, np.asarray(answers).argmax(axis=1) == table["gender"]
    for name in ("utkface", "adience", "fairface"):
        of = part[name] & (table["gender"] >= 0)
        if of.any():
            result[name] = proportion(
                right[of], table["subject"][of] if name == "adience" else None
            )
    of = part["fairface"]
    for race in np.unique(table["race"][of]):
        for code, gender in enumerate(("male", "female")):
            group = of & (table["race"] == race) & (table["gender"] == code)
            result[f"fairface {race}, {gender}"] = proportion(right[group])
    return result


def figures(answers, table, tail, mixes=(0, 0.25, 0.5, 0.75, 1)):
    part = {name: table["set"] == code for code, name in enumerate(SETS)}
    result = {
        "gender": of_genders(answers["gender"], table, part),
        "age": of_ages(answers["age"], table, part, tail),
    }
    for mix in mixes if "expression_fer2013" in answers else (0,):
        result[f"expression, mix {mix}"] = of_expressions(expressions(answers, mix), table, part)
    return result


def read_answers(path, table):
    """Answers by network and question, and the table's rows for them."""
    with np.load(path) as file:
        place = {row: i for i, row in enumerate(table["row"])}
        picked = np.array([place[row] for row in file["row"]])
        networks = {}
        for name in file.files:
            if "/" in name:
                network, question = name.split("/")
                networks.setdefault(network, {})[question] = file[name].astype("float64")
    return networks, {name: values[picked] for name, values in table.items()}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packs", type=Path)
    parser.add_argument("validation", type=Path)
    parser.add_argument("test", type=Path)
    args = parser.parse_args()
    table = read_table(args.packs)
    chosen, chosen_table = read_answers(args.validation, table)
    measured, measured_table = read_answers(args.test, table)
    report = {}
    for network, answers in measured.items():
        tail = None
        if network in chosen and answers["age"].shape[1] > 8:
            exact = chosen_table["set"] == SETS.index("utkface")
            tail = fitted_tail(
                softmax(chosen[network]["age"][exact]), chosen_table["age_mean"][exact]
            )
        report[network] = {"tail of the 80 % interval": tail}
        if network in chosen:
            report[network]["validation"] = figures(chosen[network], chosen_table, tail)
        report[network]["test"] = figures(answers, measured_table, tail)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
