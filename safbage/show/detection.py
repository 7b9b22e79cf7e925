"""What `experiments.detection` measured, in words and as Markdown."""

from collections.abc import Iterable

from safbage.experiments import LEVEL
from safbage.experiments.detection import BASE, IOU, LENIENT_IOU, SHIPPED_SCORE

HEAD = ("detector", "boxes", "adapted, %", f"as they are, IoU {IOU}", f"IoU {LENIENT_IOU}")
THRESHOLD_HEAD = ("last threshold", "precision, %", "recall, %", "wrong boxes a photo")
RECALL_HEAD = ("faces", "there", "found, %")


def arms(result: dict) -> list[tuple[str, ...]]:
    """A row for each detector, as `HEAD` says."""
    rows = []
    for arm in result["arms"]:
        adapted, plain, lenient = (
            arm["average_precision"][name] for name in ("adapted", "plain", "lenient")
        )
        values = [f"{100 * found['value']:.1f}" for found in (plain, lenient)]
        rows.append((arm["name"], f"{arm['boxes']:,}", _interval(adapted), *values))
    return rows


def _interval(found, signed=False):
    """ "74.1 (67.5 to 80.3)" of shares."""
    sign = "+" if signed else ""
    value, low, high = (f"{100 * found[key]:{sign}.1f}" for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def thresholds(result: dict) -> list[tuple[str, ...]]:
    """What MTCNN's last threshold trades, as `THRESHOLD_HEAD` says."""
    return [
        (
            f"{row['score']:g}",
            f"{100 * row['precision']:.1f}",
            f"{100 * row['recall']:.1f}",
            f"{row['wrong']:.2f}",
        )
        for row in result["thresholds"]
    ]


def in_words(group: str) -> str:
    """What a group of faces is called, with its unit."""
    return {"size": "size, px"}.get(group, group)


def recalls(result: dict, name: str = BASE) -> list[tuple[str, ...]]:
    """A detector's recall by group, as `RECALL_HEAD` says.

    Raises:
        ValueError: there is no detector of that name.
    """
    own = [arm for arm in result["arms"] if arm["name"] == name]
    if not own:
        raise ValueError(f"no detector {name!r}; there are {[a['name'] for a in result['arms']]}")
    return [
        (
            f"{in_words(group)}: {row['group']}",
            f"{row['faces']:,}",
            _interval(row | {"value": row["recall"]}),
        )
        for group, rows in own[0]["recall"].items()
        for row in rows
    ]


def verdicts(result: dict) -> list[str]:
    """What was found, a sentence each: how well, which settings and detectors do better, whether
    saliency helps."""
    base = result["arms"][0]["average_precision"]
    said = [
        f"MTCNN's average precision is {_interval(base['adapted'])} % (95 % interval) at an IoU of "
        f"{IOU}, once its boxes are drawn as the set draws them. As they are it is "
        f"{100 * base['plain']['value']:.1f} %, and {100 * base['lenient']['value']:.1f} % at an "
        f"IoU of {LENIENT_IOU}."
    ]
    said += [f"{test['name']}: {_compared(test, test['p_holm'])}" for test in result["tests"]]
    return said + (_of_saliency(result["saliency"]) if result["saliency"] else [])


def _compared(test, p):
    verdict = "no difference from MTCNN's is shown"
    if p < LEVEL:
        verdict = "finds faces better" if test["difference"] > 0 else "finds faces worse"
    return f"{verdict}: {_difference(test, p)}"


def _difference(test, p):
    shown = "< 0.001" if p < 1e-3 else f"= {p:.2g}"
    points = _interval(test | {"value": test["difference"]}, signed=True)
    return f"{points} points of average precision, p {shown}"


def _of_saliency(found):
    inside = found["inside"]
    said = []
    if None not in (inside["right"]["median"], inside["wrong"]["median"]):
        said.append(
            "Right boxes are "
            f"{inside['right']['median']:.2f} times as salient as their photo's mean, wrong ones "
            f"{inside['wrong']['median']:.2f} times (medians)."
        )
    test = found["rescored"]
    weights = " and ".join(f"{weight:g}" for weight in test["weights"])
    said.append(
        f"Does saliency rank boxes better? {_answer(test)}: {_difference(test, test['p'])}. "
        f"The weights chosen on the other half are {weights}."
    )
    if found["unseen"]:
        test = found["unseen"]
        said.append(
            f"On the {test['photos']} photos that ML-Net has never seen: {_answer(test).lower()}, "
            f"{_difference(test, test['p'])}, with the weight {test['weight']:g} chosen on the "
            f"{found['photos_seen']} others."
        )
    return said + (_of_windows(found["windows"]) if found["windows"] else [])


def _of_windows(windows):
    said = []
    for other, words in (
        ("alone", "Do {count} windows around salient peaks, searched again, add to the photo?"),
        ("random", "Are they better than {count} windows anywhere?"),
    ):
        test = windows[f"beside_{other}"]
        said.append(
            f"{words.format(count=windows['count'])} {_answer(test)}: "
            f"{_difference(test, test['p'])} ({test['photos']} photos)."
        )
    return said


def _answer(test):
    if test["p"] >= LEVEL:
        return "Not shown"
    return "Yes" if test["difference"] > 0 else "No, worse"


def markdown(result: dict) -> str:
    """Everything measured, as a part of a page."""
    data = result["data"]
    about = (
        f"{data['photos']:,} photos, {data['faces']:,} faces, of which {data['counted']:,} count."
    )
    parts = [
        f"{about} The table gives average precision. *Adapted* boxes are drawn as the set draws "
        f"its own, and are judged at an IoU of {IOU}, with a 95 % interval.",
        _table(HEAD, arms(result)),
        f"MTCNN's last threshold (it ships with {SHIPPED_SCORE:g}):",
        _table(THRESHOLD_HEAD, thresholds(result)),
        f"Faces that MTCNN finds with a score of at least {SHIPPED_SCORE:g}:",
        _table(RECALL_HEAD, recalls(result)),
        "\n".join(f"- {line}" for line in verdicts(result)),
    ]
    return "\n\n".join(parts) + "\n"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = tuple(head)
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
