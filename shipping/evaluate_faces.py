"""Measure the face network and AlexNet-GAP on faces that they did not learn from; figures as JSON.

    python shipping/evaluate_faces.py PACKS WORK/answers-validation.npz WORK/shipped-test.npz \\
        --without-fairface WITHOUT/answers-test.npz WORK/answers-test.npz > shipping/faces/figures.json

The files of answers hold, for each `row` of the packs' table, logits by network and question, as ``face/age``
(``train_faces.py answer`` and ``answer_faces.py`` write them); where a network was not asked they are NaN. UTKFace's validation part chooses the
80 % interval of age; all figures are of test parts. Adience is the one set that no network learnt from.

``--without-fairface`` names two more files: the answers of a face network that did not learn from FairFace (``train_faces.py
PACKS WITHOUT face answer --leave-out fairface``), and those of the one that did. Both are as ``train_faces.py answer`` writes them,
so that the two networks are asked about the same crops.

In the file, each network has for each task its figures by set, as `figures` makes them: "age" is in Adience's groups,
"age_ranges" in FairFace's, "years" is the age in years with its interval; "expression_fer2013" is the second head of
expression, which does not ship. Below "compared" both networks answer the same faces. Below "without_fairface" stand
"in_set" and "out_of_set", the network that learnt from FairFace and the one that did not, and below "compared" how far the first
is ahead.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from packs import SETS, SPLITS, read_table
from scipy import stats
from sklearn import metrics

from safbage import evaluation
from safbage.tasks import AGE_GROUPS, AGE_RANGES, CLASSES, GENDERS

NETWORKS = {"face": "face-mobilenet", "alexnet-gap": "alexnet-gap"}
"""What ships, by its name in the files of answers."""
NAMES = {"appa": "appareal"}
"""Sets that `safbage.datasets` calls otherwise than the packs do."""
FAIRFACE_RANGES = {
    "0-2": (0, 2),
    "3-9": (3, 9),
    "10-19": (10, 19),
    "20-29": (20, 29),
    "30-39": (30, 39),
    "40-49": (40, 49),
    "50-59": (50, 59),
    "60-69": (60, 69),
    "70+": (70, 100),
}
BRIEF = ("faces", "subjects", "accuracy", "standard_error", "mean_recall", "mean_recall_error")
BRIEF += ("calibration_error",)
"""Of `figures`, what is kept of sets that are there for comparison."""
COVERED = 0.8
DRAWS = 500
GROUPS = (("race",), ("gender",), ("age_group",), ("age_range",), ("race", "gender"))


# --- answers ----------------------------------------------------------------------------------------------------------


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


def interval(distribution, tail):
    """The quantiles `tail` and 1 − `tail`, rounded to whole years, N and N."""
    return np.round(quantile(distribution, tail)), np.round(quantile(distribution, 1 - tail))


def coverage(distribution, years, tail):
    """Whether each age, a whole year or not, lies within its interval, N bool."""
    low, high = interval(distribution, tail)
    return (low <= np.round(years)) & (np.round(years) <= high)


def fitted_tail(distribution, years):
    """The tail at which `COVERED` of the faces are covered."""
    tails = np.linspace(0.01, 0.3, 291)
    shares = np.array([coverage(distribution, years, tail).mean() for tail in tails])
    return float(tails[np.abs(shares - COVERED).argmin()])


def of_ranges(distribution, ranges):
    """Probabilities of ranges of years, given that the age lies in one of them."""
    sums = np.stack([distribution[:, low : high + 1].sum(axis=1) for low, high in ranges], axis=1)
    return sums / sums.sum(axis=1, keepdims=True)


def probabilities(answers) -> dict[str, np.ndarray]:
    """By task, N×C, from logits by question."""
    found = {name: softmax(logits) for name, logits in answers.items()}
    if found["age"].shape[1] > len(AGE_GROUPS):
        years = found["age"]
        found |= {
            "years": years,
            "age": of_ranges(years, AGE_RANGES),
            "age_ranges": of_ranges(years, FAIRFACE_RANGES.values()),
        }
    return found


def read_answers(path, table):
    """Logits by network and question, and the table's rows for them."""
    with np.load(path) as file:
        place = {row: i for i, row in enumerate(table["row"])}
        picked = np.array([place[row] for row in file["row"]])
        networks = {}
        for name in file.files:
            network, _, question = name.partition("/")
            if network in NETWORKS and question:
                networks.setdefault(NETWORKS[network], {})[question] = file[name].astype("float64")
    return networks, {name: values[picked] for name, values in table.items()}


# --- labels -----------------------------------------------------------------------------------------------------------


def place_within(years, ranges):
    """The number of the range that holds each age; −1 where none does."""
    place = np.full(len(years), -1)
    for number, (low, high) in enumerate(ranges):
        place[(years >= low) & (years <= high)] = number
    return place


def votes_of(counts):
    """FER+'s expression by most votes and by its authors' majority, N and N; −1 where no one of the seven has it.

    A majority is more than half of the votes, single ones not counted.
    """
    counts = counts.astype(int)
    ordered, top = np.sort(counts, axis=1), counts.argmax(axis=1)
    most = (top < 7) & (ordered[:, -1] > ordered[:, -2])
    counted = np.where(counts > 1, counts, 0).sum(axis=1)
    majority = most & (2 * ordered[:, -1] > counted) & (ordered[:, -1] > 1)
    return np.where(most, top, -1), np.where(majority, top, -1)


def labels_of(table) -> dict[tuple[str, str], np.ndarray]:
    """By task and set the numbers of the faces' classes, N; −1 where a face is of another set or has no label."""

    def of(name, codes):
        return np.where(table["set"] == SETS.index(name), codes, -1)

    most, majority = votes_of(table["counts"])
    years = np.nan_to_num(table["age_mean"], nan=-1)
    ranges = [low for low, _ in FAIRFACE_RANGES.values()]
    gender, expression = table["gender"], table["expression"]
    return {
        ("gender", "utkface"): of("utkface", gender),
        ("gender", "fairface"): of("fairface", gender),
        ("gender", "adience"): of("adience", gender),
        ("age", "utkface"): of("utkface", place_within(years, AGE_RANGES)),
        ("age", "adience"): of("adience", table["group"]),
        ("age_ranges", "fairface"): of(
            "fairface", [ranges.index(low) if low >= 0 else -1 for low in table["age_low"]]
        ),
        ("expression", "fer2013"): of("fer2013", expression),
        ("expression", "ferplus"): of("fer2013", majority),
        ("expression", "ferplus_most_votes"): of("fer2013", most),
        ("expression", "rafdb"): of("rafdb", expression),
    }


def shown_of(table, labels) -> pd.DataFrame:
    """Of each face its picture's number, who it shows, and the groups that its set tells; NA where it does not."""

    def named(codes, names):
        return pd.Series([names[code] if code >= 0 else pd.NA for code in codes], dtype=object)

    def told(texts):
        return pd.Series(texts).astype(object).where(texts != "", pd.NA)

    return pd.DataFrame(
        {
            "image": table["row"].astype(str),
            "subject": told(table["subject"]),
            "race": told(table["race"]),
            "gender": named(table["gender"], GENDERS),
            "age_group": named(
                np.maximum(labels["age", "utkface"], labels["age", "adience"]), AGE_GROUPS
            ),
            "age_range": named(labels["age_ranges", "fairface"], tuple(FAIRFACE_RANGES)),
        }
    )


CLASSES_OF = {**CLASSES, "age_ranges": tuple(FAIRFACE_RANGES)}


def predictions(shares, codes, shown, task) -> pd.DataFrame:
    """The faces with a label and an answer, as `safbage.evaluation` wants them, with the groups that are known."""
    classes = np.array(CLASSES_OF[task])
    of = (codes >= 0) & np.isfinite(shares).all(axis=1)
    shares, found = shares[of], shown[of].reset_index(drop=True)
    found = found.drop(columns=[name for name in found if found[name].isna().all()])
    found = found.assign(label=classes[codes[of]], answer=classes[shares.argmax(axis=1)])
    return found.assign(
        subject=shown.subject[of].to_numpy(),
        **{f"p_{name}": shares[:, i] for i, name in enumerate(classes)},
    )


# --- figures ----------------------------------------------------------------------------------------------------------


def subjects_of(predictions) -> np.ndarray:
    """Numbers of the persons shown, N; where that is not told, each picture counts as one."""
    subject = predictions.subject.astype(object)
    return pd.factorize(subject.where(subject.notna(), predictions.image))[0]


def standard_error(predictions: pd.DataFrame) -> float | None:
    """Of the accuracy; None where there is one subject.

    A subject's pictures count together; with one each, it is √(variance / faces).
    """
    right = predictions.label == predictions.answer
    excess = (right - right.mean()).groupby(subjects_of(predictions)).sum()
    if len(excess) < 2:
        return None
    return float(np.sqrt(len(excess) / (len(excess) - 1) * (excess**2).sum()) / len(right))


def recall_error(predictions: pd.DataFrame) -> float | None:
    """Standard error of the mean recall, from drawing subjects again; None where there is one subject."""
    subject, labels = subjects_of(predictions), pd.factorize(predictions.label)[0]
    count = subject.max() + 1
    if count < 2:
        return None
    faces, hits = np.zeros((2, count, labels.max() + 1))
    np.add.at(faces, (subject, labels), 1)
    np.add.at(hits, (subject, labels), predictions.label == predictions.answer)
    times = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), DRAWS)
    return float(np.std(evaluation.STATISTICS["mean_recall"](times @ hits, times @ faces)))


def figures(predictions: pd.DataFrame, task: str) -> dict:
    """All that a card reports of one task on one set. Intervals are Wilson's, 95 %."""
    classes = CLASSES_OF[task]
    measured = evaluation.measure(predictions, classes)
    faces = predictions.label.value_counts().reindex(list(classes), fill_value=0)
    reliability = evaluation.reliability(predictions, classes)
    result = {
        "faces": len(predictions),
        "subjects": int(predictions.subject.nunique()) or None,
        "accuracy": measured["accuracy"],
        "standard_error": standard_error(predictions),
        "mean_recall": measured["mean_recall"],
        "mean_recall_error": recall_error(predictions),
        "most_frequent_class": float(faces.max() / len(predictions)),
        "calibration_error": measured["calibration_error"],
        "recall": {name: measured[f"recall {name}"] for name in classes if faces[name]},
        "faces_per_class": {name: int(faces[name]) for name in classes if faces[name]},
        "reliability": reliability[reliability.faces > 0].to_dict("records"),
    }
    if task in ("age", "age_ranges"):
        result["one_off_accuracy"] = evaluation.one_off_accuracy(predictions, classes)
    own = {"age": "age_group", "age_ranges": "age_range"}.get(task)  # the classes themselves
    for columns in GROUPS:
        if set(columns) <= set(predictions) and columns != (own,):
            result[f"by_{'_and_'.join(columns)}"] = by_group(predictions, columns, classes)
    return result


def by_group(predictions, columns, classes) -> dict:
    """By the group's name accuracy, its interval, and of how many faces."""
    if columns == ("age_range",):
        order = pd.Categorical(predictions.age_range, tuple(FAIRFACE_RANGES))
        predictions = predictions.assign(age_range=order)
    found = evaluation.by_group(predictions, columns, classes)
    names = found[list(columns)].astype(str).agg(", ".join, axis=1)
    values = found[["accuracy", "low", "high", "faces"]].to_dict("records")
    return dict(zip(names, values, strict=True))


def years_figures(distribution, years, tail, groups) -> dict:
    """Of ages in years: mean absolute error, how much too old, and how often the interval holds the age; also by age.

    Args:
        distribution: N×101.
        years: the true ones, N.
        tail: of the interval.
        groups: the numbers of the faces' age groups, N, −1 where there is none.
    """
    median, (low, high) = quantile(distribution, 0.5), interval(distribution, tail)
    covered = coverage(distribution, years, tail)

    def of(chosen):
        count, error = int(covered[chosen].sum()), median[chosen] - years[chosen]
        wilson = stats.binomtest(count, len(error)).proportion_ci(method="wilson")
        return {
            "faces": len(error),
            "mae": metrics.mean_absolute_error(years[chosen], median[chosen]),
            "bias": error.mean(),
            "covered": count / len(error),
            "low": wilson.low,
            "high": wilson.high,
            "width": (high - low)[chosen].mean(),
        }

    by = {name: groups == i for i, name in enumerate(AGE_GROUPS) if (groups == i).any()}
    errors = {
        "mae_error": stats.sem(np.abs(median - years)),
        "covered_error": np.sqrt(covered.mean() * (1 - covered.mean()) / len(covered)),
    }
    whole = of(np.ones(len(years), bool)) | errors
    return whole | {"by_age_group": {name: of(chosen) for name, chosen in by.items()}}


def of_years(distribution, table, tail) -> dict:
    """`years_figures` of UTKFace, and of APPA-REAL's apparent and real ages."""
    truths = {
        "utkface": ("utkface", table["age_mean"]),
        "appareal": ("appa", table["age_mean"]),
        "appareal_real": ("appa", table["real_age"]),
    }
    result = {}
    for name, (part, years) in truths.items():
        of = (table["set"] == SETS.index(part)) & np.isfinite(distribution).all(axis=1)
        years = years[of].astype("float64")
        groups = place_within(np.round(years), AGE_RANGES)
        result[name] = years_figures(distribution[of], years, tail, groups)
    return result


def head_of(task, shares):
    """The answer in which a task's labels are looked for."""
    return {name: shares[name] for name in (task, f"{task}_fer2013") if name in shares}


def measured(shares, table) -> dict[str, dict[str, pd.DataFrame]]:
    """Tables of predictions by answer and set."""
    labels = labels_of(table)
    shown, found = shown_of(table, labels), {}
    for (task, part), codes in labels.items():
        for name, answer in head_of(task, shares).items():
            of = predictions(answer, codes, shown, task)
            if len(of):
                found.setdefault(name, {})[part] = of
    return found


def compared(first: dict, second: dict, tasks=tuple(CLASSES)) -> dict:
    """Of tables of predictions of two networks, by task and set: McNemar's test, and what the first is ahead, 95 %."""
    result = {}
    for task in tasks:
        for part in (part for part in first[task] if part in second[task]):
            pair = second[task][part], first[task][part]
            difference = evaluation.paired_bootstrap(*pair)
            kept = {name: difference[name] for name in ("difference", "low", "high")}
            kept["p"] = evaluation.mcnemar(*pair)["p"]
            result.setdefault(task, {})[part] = kept
    return result


def brief_years(distribution, table) -> dict:
    """Of ages in years by set: the mean absolute error and how much too old. No interval was fitted to these answers."""
    kept = ("faces", "mae", "mae_error", "bias")
    found = of_years(distribution, table, (1 - COVERED) / 2)
    return {part: {name: of[name] for name in kept} for part, of in found.items()}


def without_fairface(out_of_set, in_set, table) -> dict:
    """A face network that did not learn from FairFace beside the one that did, on the same crops.

    Args:
        out_of_set: file of answers of the first.
        in_set: of the second.
        table: of the packs.

    Returns:
        By network and task `figures` of FairFace and `BRIEF` ones of the other sets, and "years"; how far the network that
        learnt from FairFace is ahead (`compared`).
    """
    result, tables = {}, {}
    for name, path in (("in_set", in_set), ("out_of_set", out_of_set)):
        answers, asked = read_answers(path, table)
        shares = probabilities(answers[NETWORKS["face"]])
        tables[name] = {
            task: parts for task, parts in measured(shares, asked).items() if task in CLASSES_OF
        }
        result[name] = {
            task: {part: chosen_figures(of, task, part) for part, of in parts.items()}
            for task, parts in tables[name].items()
        }
        result[name]["years"] = brief_years(shares["years"], asked)
    both = compared(tables["in_set"], tables["out_of_set"], tuple(CLASSES_OF))
    return result | {"compared": both}


def chosen_figures(predictions, task, part) -> dict:
    """All `figures` of FairFace, `BRIEF` ones of another set."""
    found = figures(predictions, task)
    return found if part == "fairface" else {name: found[name] for name in BRIEF}


def counted(table) -> dict:
    """Faces of each set and part, and how many of them have a label of each kind."""
    result = {}
    labels = {
        "gender": table["gender"] >= 0,
        "age": np.isfinite(table["age_mean"]) | (table["age_low"] >= 0) | (table["group"] >= 0),
        "expression": table["expression"] >= 0,
        "votes": table["votes"].astype("float64").sum(axis=1) > 0,
    }
    for code, name in enumerate(SETS):
        for number, split in enumerate(SPLITS):
            of = (table["set"] == code) & (table["split"] == number)
            if of.any():
                found = {"faces": int(of.sum())}
                found |= {label: int((known & of).sum()) for label, known in labels.items()}
                result.setdefault(NAMES.get(name, name), {})[split] = found
    return result


def agreement(table) -> dict:
    """How often FER2013's own label is that of FER+'s most votes, and of its majority."""
    fer2013 = table["set"] == SETS.index("fer2013")
    own, voted = table["expression"][fer2013], votes_of(table["counts"][fer2013])
    return {
        name: float((own == codes)[codes >= 0].mean())
        for name, codes in zip(("most_votes", "majority"), voted, strict=True)
    }


def report(packs, validation, test, without=None) -> dict:
    """All figures. `without` is None, or the two files of answers that `without_fairface` compares."""
    table = read_table(packs)
    chosen, chosen_table = read_answers(validation, table)
    answered, test_table = read_answers(test, table)
    result = {"data": counted(table), "labels_agree": agreement(table)}
    tables = {}
    for network, answers in answered.items():
        shares = probabilities(answers)
        tables[network] = measured(shares, test_table)
        result[network] = {
            name: {part: figures(of, name.removesuffix("_fer2013")) for part, of in parts.items()}
            for name, parts in tables[network].items()
        }
        if "years" in shares:
            exact = chosen_table["set"] == SETS.index("utkface")
            years, truth = softmax(chosen[network]["age"][exact]), chosen_table["age_mean"][exact]
            tail = fitted_tail(years, truth)
            result[network]["tail"] = tail
            result[network]["covered_in_validation"] = coverage(years, truth, tail).mean()
            result[network]["years"] = of_years(shares["years"], test_table, tail)
    result["compared"] = compared(*(tables[name] for name in NETWORKS.values()))
    if without:
        result["without_fairface"] = without_fairface(*without, table)
    return result


def plain(value):
    """Numbers of NumPy as Python's, with six digits."""
    if isinstance(value, dict):
        return {name: plain(of) for name, of in value.items()}
    if isinstance(value, list):
        return [plain(of) for of in value]
    return float(f"{value:.6g}") if isinstance(value, float | np.floating) else value


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packs", type=Path)
    parser.add_argument("validation", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument(
        "--without-fairface",
        type=Path,
        nargs=2,
        metavar=("OUT_OF_SET", "IN_SET"),
        help="answers of a face network that did not learn from FairFace, and of the one that did",
    )
    args = parser.parse_args()
    found = report(args.packs, args.validation, args.test, args.without_fairface)
    print(json.dumps(plain(found), indent=1, allow_nan=False))


if __name__ == "__main__":
    main()
