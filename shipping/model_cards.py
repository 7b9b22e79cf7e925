"""The model cards of the shipped classifiers, written in full from measured figures and the settings of the training."""

from dataclasses import fields

from train_classifiers import ROUNDS, SETTINGS, Settings

from safbage import evaluation
from safbage.datasets.catalogue import SOURCES
from safbage.runtime import weights

ANSWERS = {
    "age": "Adience's eight age groups",
    "gender": 'two answers, "male" and "female"',
    "expression": "seven expressions",
}
LABELS = {
    "age": """UTKFace's ages were estimated by an algorithm and checked by an
annotator, who saw one picture and no birthday. Ages in the gaps between the groups (3, 7, 14, 21–24, 33–37, 44–47, 54–59)
give no label here.""",
    "gender": """UTKFace's two genders were estimated by an algorithm and checked
by an annotator, who saw one picture and asked nobody.""",
    "expression": """FER2013's pictures were found on the web by words for emotions
and sorted by annotators; people who label them again agree with about two thirds of its labels. **The copy that the network
learnt from, and is measured on here, had been contrast-stretched and histogram-equalised by its source. Its figures are not to
be compared with any on the original pictures**; on those the package `fer` is ahead of EfficientNet-Lite2, 66.6 to 62.7 %.""",
}
LIMITS = {
    "age": "The answer is how old a face looks, in eight groups with gaps between them: a 22-year-old has no right answer.",
    "gender": """The answer is a guess about looks with two values, because the data set has two. It says nothing about how a
person identifies, and fails for many, trans and non-binary people first of all.""",
    "expression": """An expression is not an emotion: people smile without joy and grieve without tears. Whoever poses, squints or
speaks gets one of seven answers too.""",
}
RULED_OUT = {
    "age": "checking whether anybody is old enough for anything",
    "gender": "taking the answer for somebody's identity; sorting, addressing or admitting people by it",
    "expression": "“detecting emotions”: what anybody feels, thinks or is about to do, at work and at school above all, where "
    "the EU forbids it",
}
EVERYWHERE = """- identifying, finding again or following people, or narrowing down who somebody is;
- hiring, firing, grading, lending, insuring, pricing or advertising by face;
- policing, border control, access, courts, asylum;
- medicine and psychology: diagnosis, screening, judging pain or mood;
- deciding anything about anyone, with or without a person who nods it through."""
SPLITS = """

Of pictures with the same pixels one was kept, and none where their labels disagree. The parts are the set's own, or were
drawn by the pictures' names (15 % test, 10 % of the rest validation). Neither set tells who is shown, so one person may be in
several parts, with different pictures. All three tasks learnt from both sets: where a face has no label, the teacher's answer
stood in."""
TIGHT = """Both sets are cropped tightly, and FER2013 is grey, of 48×48 pixels. Random changes and pieces of scenes stood in for
what they lack, but the test faces come from the same collections: on photos from elsewhere expect less, also of the calibration.
Faces that MTCNN misses get no answer at all: small, turned, covered and badly lit ones; whose those are was not measured."""
TRAINED = {
    "alexnet-gap": {
        "teacher-expression": "teacher of expression, VGG-16",
        "teacher-age-gender": "teacher of age and gender, VGG-16",
        "alexnet-gap": "**student, AlexNet-GAP (shipped)**",
    },
    "efficientnet-lite2": {
        "efficientnet-expression": "teacher of expression, EfficientNet-Lite2",
        "efficientnet-tasks": "the same goes on: teacher of all tasks",
        "efficientnet-lite2": "**it goes on once more (shipped)**",
    },
}
PRECISION = {"alexnet-gap": " --precision mixed_bfloat16", "efficientnet-lite2": ""}
"""With which they were trained."""
TAUGHT = {
    "alexnet-gap": "Two teachers, then the student, which learns from labels and from the teachers' answers at once.",
    "efficientnet-lite2": """First expression alone; then all tasks, expression from labels and its own former answers at once;
then all three from labels and its own former answers.""",
}
HEADINGS = {
    "sizes": "faces, px",
    "epochs": "epochs",
    "rate": "highest rate",
    "batch": "batch",
    "warm_up": "warm-up steps",
    "weight_decay": "weight decay",
    "smoothing": "label smoothing",
    "dropout": "dropout",
    "ratio_jitter": "at another ratio",
    "label_share": "label's share",
    "seed": "seed",
}


def title(name):
    """A data set as its authors write it."""
    return SOURCES[name].title if name in SOURCES else name


def percent(share):
    return "–" if share is None else f"{100 * share:.1f} %"


def table(headings, rows):
    """Rows of cells as Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in lines)


def count(name):
    return f"{sum(value.size for value in weights.load(name).values()):,}"


def card(task: str, figures: dict, data: dict[str, dict]) -> str:
    """Of one task: conv5 and softmax.

    Args:
        task: "age", "gender" or "expression".
        figures: as `evaluate_classifiers.figures` makes them, with `measured_on` and, by foreign set, `elsewhere`.
        data: by set that was learnt from, as `evaluate_classifiers.described` makes it.
    """
    name = f"alexnet-gap-{task}"
    return f"""# AlexNet-GAP for {task} (`{name}.safetensors`)

conv5 and, behind global average pooling, the softmax layer for {ANSWERS[task]}. {count(name)} values, float16. They stand on
[`alexnet-faces`](alexnet-faces.md): conv1–conv4, shared with the other tasks. Together they take a face of 224×224 pixels,
cropped 30 % wider than MTCNN's box and reweighted by ML-Net's saliency (at ratio 0.3, unless told otherwise).

## Data

{sets(data)}

The labels are apparent: what somebody saw in one picture. {LABELS[task]}

## Recipe

{recipe(data, "alexnet-gap")}

## Figures

Of the shipped float16 weights, through the pipeline's classifier, on {figures["faces"]:,} labelled faces: the test part of
{title(figures["measured_on"])}, which neither trained the network nor chose its epoch. ± is one standard error, brackets are
Wilson's 95 % intervals.

{headline(figures)}

{recalls(figures)}
{groups(figures)}
{elsewhere(figures)}## Limits

{LIMITS[task]}
{worst(figures)}

{TIGHT}

## Not for

- {RULED_OUT[task]};
{EVERYWHERE}

## Licence

The weights are for non-commercial research, as the data that they learnt from. The code is under the MIT licence.
"""


def shared_card(report: dict[str, dict], data: dict[str, dict]) -> str:
    """Of conv1–conv4, which all tasks share."""
    rows = [
        (
            f"[{task}](alexnet-gap-{task}.md)",
            f"{percent(found['accuracy'])} ± {percent(found['standard_error'])}",
            found["faces"],
        )
        for task, found in report.items()
    ]
    return f"""# AlexNet for faces (`alexnet-faces.safetensors`)

conv1–conv4 of AlexNet in torchvision's shape, tuned from ImageNet's for age, gender and expression at once: the part that
all three classifiers share, so that it runs once per face. {count("alexnet-faces")} values, float16. Alone it answers nothing.

## Data

{sets(data)}

## Recipe

{recipe(data, "alexnet-gap")}

## Figures

What stands on it, on faces of the test parts (more on the cards):

{table(["task", "accuracy", "faces"], rows)}

## Limits

Its features serve the three answers, and carry their mistakes and their data's: see each card. They were not made to tell persons
apart and must not be used for it, nor for anything that the three cards rule out.

## Licence

The weights are for non-commercial research, as the data that they learnt from. The code is under the MIT licence.
"""


def efficientnet_card(report: dict[str, dict], data: dict[str, dict]) -> str:
    """Of EfficientNet-Lite2, all tasks."""
    tasks = "\n".join(
        f"""### {task.capitalize()}: {ANSWERS[task]}

On {found["faces"]:,} labelled faces of {title(found["measured_on"])}:

{headline(found)}

{recalls(found)}
{groups(found)}
{elsewhere(found)}{LIMITS[task]}
{worst(found)}
"""
        for task, found in report.items()
    )
    labels = "\n".join(f"- {task.capitalize()}: {text}" for task, text in LABELS.items())
    ruled_out = "\n".join(f"- {text};" for text in RULED_OUT.values())
    return f"""# EfficientNet-Lite2 for faces (`efficientnet-faces.safetensors`)

EfficientNet-Lite2, tuned from ImageNet's for age, gender and expression at once, with global average pooling and a softmax layer
for each: what `SafBage.load(network="efficientnet-lite2")` and `safbage predict --network efficientnet-lite2` answer with.
{count("efficientnet-faces")} values, float16. It takes a face of 224×224 pixels, cropped 30 % wider than MTCNN's box and
reweighted by ML-Net's saliency (at ratio 0.3, unless told otherwise), and halves it to 112×112.

It is not a part of SAF-BAGE, whose network is AlexNet: it shows what a network of today answers to the same reweighted faces.
Its class activation maps have 4×4 cells, each of which sees nearly the whole face: they hardly tell where the evidence lies
(often they light up below the mouth). To look at evidence, take AlexNet-GAP, or occlusion.

## Data

{sets(data)}

The labels are apparent: what somebody saw in one picture.

{labels}

## Recipe

{recipe(data, "efficientnet-lite2")}

## Figures

Of the shipped float16 weights, through the pipeline's classifier with ML-Net's maps, on faces of the test parts, which neither
trained the network nor chose its epoch. ± is one standard error, brackets are Wilson's 95 % intervals.

{tasks}
## Limits

{TIGHT}

## Not for

{ruled_out}
{EVERYWHERE}

## Licence

The weights are for non-commercial research, as the data that they learnt from. They began as ImageNet's of the authors of
EfficientNet-Lite (Apache-2.0). The code is under the MIT licence.
"""


def sets(data):
    """What the networks learnt from, with numbers."""
    items = []
    for name, found in data.items():
        source, splits = SOURCES[name], found["splits"]
        tasks = [task for task in ANSWERS if any(split[task] for split in splits.values())]
        known = [
            f"{task} {', '.join(f'{splits[split][task]:,}' for split in splits)}" for task in tasks
        ]
        faces = ", ".join(f"{of['faces']:,} {split}" for split, of in splits.items())
        absent = (
            f"{found['left_out_without_face']:,} more were left out, as MTCNN found no face in them"
        )
        if found["whole_picture_taken"]:
            absent = f"in {found['whole_picture_taken']:,} of them MTCNN found no face and the whole picture was taken"
        items.append(
            f"- **{source.title}** ({source.citation}; licence: {source.licence}): {source.what}.\n"
            f"  Of its {source.pictures} pictures {found['faces']:,} were at hand and usable: {faces}.\n"
            f"  Labelled: {'; '.join(known)}.\n"
            f"  {absent[0].upper()}{absent[1:]}."
        )
    return "\n".join(items) + SPLITS


def recipe(data, network):
    """Commands and settings."""
    light = any(
        "saliency" in found["options"] for found in data.values()
    )  # learnt from those maps; measured with ML-Net's
    learnt = "WORK/light" if light else "WORK"
    lines = [
        preparation(name, f"{learnt}/{name}", found["options"]) for name, found in data.items()
    ]
    lines += [
        f"python shipping/train_classifiers.py {network} --utkface {learnt}/utkface --fer2013 {learnt}/fer2013 \\",
        f"    --scenes OSIE/stimuli --work WORK{PRECISION[network]} --ship",
    ]
    if light:
        lines += [
            preparation(name, f"WORK/{name}", found["options"] | {"saliency": None})
            for name, found in data.items()
        ]
    lines += [
        preparation("adience", "WORK/adience", {}),
        f"python shipping/evaluate_classifiers.py {network} WORK/utkface WORK/fer2013 WORK/adience"
        + " --learnt WORK/light" * light
        + " --ship",
    ]
    commands = "\n".join(f"    {line}" for line in lines)
    names = [field.name for field in fields(Settings)]
    rows = [
        [text, *(cell(getattr(SETTINGS[name], field)) for field in names)]
        for name, text in TRAINED[network].items()
    ]
    rounds = " then ".join(f"{name} (strength {strength:g})" for name, strength in ROUNDS.items())
    return f"""{commands}

{TAUGHT[network]} Every face is shown once per
epoch, each time moved, coarsened, lit and covered otherwise at random, often with a piece of a scene where its crop reaches
beyond its picture. Each training has two rounds, {rounds}, the second at half
the rate, from the best epoch of the first; where a cell has two values, they are those of the two rounds. AdamW; the rate rises
over the warm-up and falls as a cosine. The best epoch is the one with the highest sum of accuracies on the validation part.

{table(["training", *(HEADINGS[field] for field in names)], rows)}"""


def preparation(name, folder, options):
    """The command that prepares a set."""
    given = "".join(
        f" --{option.replace('_', '-')} {value}"
        for option, value in options.items()
        if value is not None
    )
    return f"safbage prepare {name} {folder} --data-dir DATA{given}"


def cell(value):
    return ", ".join(map(str, dict.fromkeys(value))) if isinstance(value, tuple) else f"{value:g}"


def headline(figures):
    rows = [
        (
            "**accuracy**",
            f"**{percent(figures['accuracy'])}** ± {percent(figures['standard_error'])}",
        ),
        ("mean per-class recall", percent(figures["mean_recall"])),
        ("always the most frequent class", percent(figures["most_frequent_class"])),
        ("expected calibration error (15 bins)", f"{figures['calibration_error']:.3f}"),
    ]
    if "one_off_accuracy" in figures:
        rows.insert(2, ("right or one group off", percent(figures["one_off_accuracy"])))
    return table(["", ""], rows)


def recalls(figures):
    rows = [
        (name, percent(value), figures["faces_per_class"][name])
        for name, value in figures["recall"].items()
    ]
    return table(["class", "recall", "faces"], rows) + "\n"


def groups(figures):
    """A table by each group that the set tells, as annotated."""
    found = {key: value for key, value in figures.items() if key.startswith("by_")}
    tables = []
    for key, by in found.items():
        name = key.removeprefix("by_").replace("_", " ")
        rows = [
            (
                group,
                f"{percent(of['accuracy'])} [{100 * of['low']:.1f}, {100 * of['high']:.1f}]",
                of["faces"],
            )
            for group, of in by.items()
        ]
        tables.append(table([f"{name} (as annotated)", "accuracy", "faces"], rows) + "\n")
    return (
        "\n".join(tables)
        or f"Accuracy by group is not known: {title(figures['measured_on'])} does not tell who is shown.\n"
    )


def elsewhere(figures):
    """The foreign sets, one line each."""
    rows = []
    for name, of in figures["elsewhere"].items():
        faces = f"{of['faces']:,}" + (f" of {of['subjects']:,} people" if of["subjects"] else "")
        error = f"{percent(of['accuracy'])} ± {percent(of['standard_error'])}"
        one_off = percent(of["one_off_accuracy"]) if "one_off_accuracy" in of else "–"
        shares = percent(of["mean_recall"]), one_off, percent(of["most_frequent_class"])
        rows.append((title(name), faces, error, *shares, f"{of['calibration_error']:.3f}"))
    if not rows:
        return ""
    headings = [
        "",
        "faces",
        "accuracy",
        "mean recall",
        "one group off",
        "most frequent class",
        "calibration error",
    ]
    return f"Elsewhere, on sets that no part of the training saw:\n\n{table(headings, rows)}\n\n"


def worst(figures):
    """Who is missed most, in words: among the classes, and among groups of enough faces."""
    classes = figures["recall"]
    low = min(classes, key=classes.get)
    said = f"Of the classes, “{low}” is missed most: {percent(classes[low])} are found."
    by = figures.get("by_race_and_gender", {})
    by = {name: of["accuracy"] for name, of in by.items() if of["faces"] >= evaluation.FEWEST}
    if by:
        low, high = min(by, key=by.get), max(by, key=by.get)
        said += f" It is not equally right for all: {percent(by[low])} for “{low}”, {percent(by[high])} for “{high}”."
    return said
