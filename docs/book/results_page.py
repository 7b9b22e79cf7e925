"""Write what `results/` holds into the README and `docs/results.md`, between the marks that they have for it.

    python docs/book/results_page.py

A sentence here says what the results said when it was written. Where they come to say something else, it is not written:
the command stops, names the sentence, and it has to be worded anew.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import blocks

from safbage import experiments
from safbage.datasets import catalogue
from safbage.experiments import Comparison
from safbage.experiments.arms import Arm
from safbage.experiments.claims import FAILS, HOLDS, OPEN, OPPOSITE
from safbage.experiments.reproduction import EXPERIMENTS
from safbage.show import markdown
from safbage.tasks import RATIO

REPOSITORY = Path(__file__).parents[2]
PAGES = REPOSITORY / "README.md", REPOSITORY / "docs" / "results.md"
MAIN = ("gender", "age", "expression")
PICTURES = {
    "figure-1": "Figure 1 remade: a photo with the detected box and the wider one, the cropped face, its saliency map, the "
    "product at 30 %, AlexNet's convolutions, and the answers.",
    "figure-2": "Figure 2 remade: faces with their saliency maps, their products and the answers, right ones to the left and "
    "wrong ones to the right.",
    "figure-3": "Figure 3 remade: training loss and accuracy on validation faces by epoch, a line for each ratio.",
    "figure-4": "Figure 4 remade: faces of several expressions, and which places speak for an expression or against it.",
}
"""The paper's figures by the names that `docs/figures.py` gives them."""
PARTS = "Eyes, nose and mouth dominate"
CLAIMS = {
    "Saliency at 30 % lifts accuracy": ("lift",),
    "Saliency makes training converge faster": ("epochs", "loss", "area", "loss area"),
    "Saliency lowers the variance of the pictures": ("variance",),
    "The more saliency, the faster the convergence and the worse the result": ("trend",),
    "30 % is the best ratio": ("best ratio",),
    PARTS: (),
    "Clipping to salient places helps": ("clipping",),
    "Other networks do better or worse than AlexNet": ("network",),
    "Besides: what does a weighted loss add?": ("weighted loss", "rarest class"),
}
"""What the paper says, and the names of the claims that tell of it; facial parts have a file of their own."""
NOTES = {
    "clipping": "One reading of it: what lies below the threshold is black. Salient places may also be "
    "cut out and enlarged, which was not tried.",
    "network": "EfficientNet-Lite2 is not in the paper. The paper's VGG-16 is 1.6 points better than its "
    "AlexNet; ours is not set beside it, since its fc6 and fc7 stay at random numbers. The paper's GilNet is 2.0 points worse; it was not measured here, "
    "since it is trained whole, from random numbers: most of an hour for each seed on two cores, and it would need more faces and epochs.",
    "weighted loss": "The paper takes one for expressions, and does not say what it adds.",
}
"""What has to be known beside some claims' tables."""
MEASURED = {
    "epochs": "epochs more to 98 % of the best validation accuracy without saliency",
    "loss": "epochs more to the training loss that is reached half-way without saliency",
    "area": "validation accuracy, mean of all epochs",
    "loss area": "training loss, mean of all epochs",
}
"""What is measured of an arm, beside its twin without saliency, where a claim's own text says it less plainly."""
FACIAL_PARTS = REPOSITORY / "benchmarks" / "facial_parts.json"
ON_PARTS = {
    "saliency - area": "share of the saliency on eyes, nose and mouth, beyond their share of the area",
    "ratio 30 % - area": "share of the evidence (AlexNet-GAP, ratio 30 %) on them, beyond their share of the area",
    "without saliency - area": "the same, trained without saliency",
    "untrained - area": "the same, before training",
    "ratio 30 % - without saliency": "evidence on them at ratio 30 %, beside without saliency",
}
"""What is compared of facial parts, in words."""
KINDS = ("area", "saliency", "ratio 30 %", "without saliency", "untrained")
"""What has a share of its own on them."""


def filled(text: str, results: Mapping[str, Comparison]) -> str:
    """The text of a page with every block as the results have it.

    Raises:
        KeyError: nobody knows a block of that name.
        ValueError: a sentence no longer says what the results say.
    """

    def written(name):
        return experiment(results[name]) if name in results else BLOCKS[name](results)

    return blocks.filled(text, "results", written)


def headline(results: Mapping[str, Comparison]) -> str:
    """The three main comparisons, beside the paper's figures."""
    return markdown.headline(main_test(results[name]) for name in MAIN)


def main_test(measured: Comparison) -> Comparison:
    """The comparison with only the test that the paper makes: AlexNet at 30 % and without saliency."""
    return replace(
        measured, tests=[test for test in measured.tests if test.arm == Arm("alexnet", RATIO)]
    )


def summary(results: Mapping[str, Comparison]) -> str:
    """What the results say of the paper's claims, a line each."""
    lifts = [between(claim(results[name], "lift", FAILS)) for name in MAIN]
    claim(results["gender"], "epochs", OPEN)
    claim(results["age"], "epochs", OPEN)
    slower = claim(results["expression"], "epochs", OPPOSITE)
    higher = claim(results["gender"], "area", HOLDS)
    claim(results["age"], "area", OPEN)
    lower = claim(results["expression"], "area", OPPOSITE)
    loss = claim(results["ratios"], "loss", OPPOSITE)
    weighted = claim(results["expression"], "weighted loss", HOLDS)
    disgust = claim(results["expression"], "rarest class", HOLDS)
    parts = facial_parts()
    told = [on_parts(parts, pair)["verdict"] for pair in list(ON_PARTS)[:2]]
    if told != [HOLDS, OPPOSITE]:
        raise ValueError(
            f"The sentence on facial parts says yes and no, the results say {told}. Word it anew in {__file__}."
        )
    share = {kind: f"{found['share']:.1f} %" for kind, found in parts.items() if kind in KINDS}
    clipped = claim(results["ratios"], "clipping", OPPOSITE)
    claim(results["ratios"], "best ratio", OPEN, of="beside 10 %")
    return "\n".join(
        [
            f"- **More accurate? No.** Gains of the paper's size are ruled out: the 95 % intervals are {lifts[0]} points for gender, "
            f"{lifts[1]} for age and {lifts[2]} for expression.",
            "- **Faster training? No.** Gender and age are not shown to need fewer epochs, and expression needs "
            f"{slower['value']:.1f} more ({between(slower)}). The training loss, which the paper plots, needs {loss['value']:.1f} epochs more "
            f"({between(loss)}) to fall as low as it is without saliency after half of them. Averaged over all epochs, gender's validation accuracy is "
            f"{higher['value']:.1f} points higher ({between(higher)}) and expression's {-lower['value']:.1f} lower ({between(lower)}). None of these is "
            "corrected for the number of measures.",
            f"- **More saliency?** {of_ratios(results['ratios'])} 30 % is not shown to be better than 10 %. Blacking out what is less "
            f"salient, one reading of what the paper suggests as future work, costs {-clipped['value']:.1f} points ({between(clipped)}).",
            f"- **Do eyes, nose and mouth dominate?** In the saliency maps, yes: {share['saliency']} of the saliency lies on these "
            f"{share['area']} of the crop. In what speaks for an answer (gender, by AlexNet-GAP), no: with saliency {share['ratio 30 %']} "
            f"of it lies there, {share['without saliency']} without, and {share['untrained']} before training.",
            f"- **Does weighting the loss help rare expressions? Yes.** Mean recall gains {weighted['value']:.1f} points "
            f"({between(weighted)}), and disgust {disgust['value']:.1f} ({between(disgust)}).",
        ]
    )


def facial_parts() -> dict:
    """What `benchmarks/facial_parts.py` measured of eyes, nose and mouth together."""
    parts = json.loads(FACIAL_PARTS.read_text(encoding="utf-8"))["parts"]
    (found,) = [part for part in parts if part["part"] == "all three"]
    return found


def on_parts(parts: Mapping[str, dict], pair: str) -> dict:
    """A difference between two shares as a claim's row, judged as if the paper said that it is above zero."""
    found = parts[pair]
    verdict = (
        OPEN if found["p"] >= experiments.LEVEL else HOLDS if found["difference"] > 0 else OPPOSITE
    )
    told = {"claim": PARTS, "text": ON_PARTS[pair], "unit": "points", "verdict": verdict}
    return told | {"value": found["difference"]} | {key: found[key] for key in ("low", "high", "p")}


def claim(measured: Comparison, name: str, verdict: str, of: str = "") -> dict:
    """The one claim of that name whose text tells of `of`.

    Raises:
        ValueError: the verdict on it is another one, or it is not there, or twice.
    """
    found = [row for row in measured.claims if row["claim"] == name and of in row["text"]]
    verdicts = [row["verdict"] for row in found]
    if verdicts != [verdict]:
        raise ValueError(
            f"The sentence on {name} {of} ({measured.task}) says {verdict!r}, the results say {verdicts}. Word it anew in {__file__}."
        )
    return found[0]


def of_ratios(measured: Comparison) -> str:
    """At which ratios the paper's figure is worse than without saliency, in a sentence.

    Raises:
        ValueError: at one it is better.
    """
    name = experiments.FIGURES[measured.task]
    tests = [(test.arm, getattr(test, name)) for test in measured.tests]
    tests = [(arm, found) for arm, found in tests if arm == Arm(arm.network, arm.ratio)]
    shown = [(arm, found) for arm, found in tests if found["p_holm"] < experiments.LEVEL]
    if any(found["difference"] > 0 for _, found in shown):
        raise ValueError(
            f"The sentence on ratios says worse, and one is better. Word it anew in {__file__}."
        )
    figure, tried = name.replace("_", " "), listed(f"{100 * arm.ratio:g}" for arm, _ in tests)
    tried = f"Of the ratios {tried} %, on {tests[0][1]['faces']:,} faces,"
    if not shown:
        return f"{tried} none is shown to change {figure}."
    verb = "costs" if len(shown) == 1 else "cost"
    return f"{tried} too much is worse: {listed(map(at_ratio, shown))} {verb} {figure}, and no other is shown to change it."


def at_ratio(tested: tuple) -> str:
    """ "90 % (-7.3 points, -11.2 to -3.7)"."""
    arm, found = tested
    value, low, high = (f"{100 * found[key]:+.1f}" for key in ("difference", "low", "high"))
    return f"{100 * arm.ratio:g} % ({value} points, {low} to {high})"


def listed(parts: Iterable[str]) -> str:
    """ "10, 30 and 50"."""
    *before, last = parts
    return f"{', '.join(before)} and {last}" if before else last


def between(row: dict) -> str:
    """A claim's interval."""
    return f"{row['low']:+.1f} to {row['high']:+.1f}"


def claims(results: Mapping[str, Comparison]) -> str:
    """All claims on which the results have a word: a table for each thing that the paper says."""
    parts, on_faces = [], facial_parts()
    for said, names in CLAIMS.items():
        rows = [
            claimed(row, name, measured.task)
            for wanted in names
            for name, measured in results.items()
            for row in measured.claims
            if row["claim"] == wanted
        ]
        if said == PARTS:
            rows = [claimed(on_parts(on_faces, pair), "gender", "gender") for pair in ON_PARTS]
        if rows:
            head = ["| in | measured | (95 % interval) | p | the claim |", "|---|---|---|---|---|"]
            parts += [f"### {said}", "\n".join([*head, *rows])]
            parts += [NOTES[name] for name in names if name in NOTES]
            parts += [early(results["ratios"])] if "loss area" in names else []
    return "\n\n".join(parts)


def early(measured: Comparison) -> str:
    """How the training loss begins and goes on at 30 %, in a sentence.

    Raises:
        ValueError: it is not lower at first and higher at last.
    """
    without, at_30 = (
        [epoch["loss"] for result in measured.arms if result.arm == arm for epoch in result.history]
        for arm in (Arm("alexnet", 0.0), Arm("alexnet", RATIO))
    )
    if not (at_30[0] < without[0] and at_30[-1] > without[-1]):
        raise ValueError(
            f"The sentence on the first epoch no longer holds. Word it anew in {__file__}."
        )
    return (
        f"The training loss begins lower with saliency and ends higher: {at_30[0]:.2f} and {at_30[-1]:.2f} in the first and last epoch at 30 %, "
        f"{without[0]:.2f} and {without[-1]:.2f} without (ratios)."
    )


def claimed(row: dict, name: str, task: str) -> str:
    """A claim of an experiment as a row of a table."""
    said = row["text"].removeprefix(f"{task}: ")
    if row["claim"] in MEASURED:
        arm = said.split(":")[0].removeprefix("alexnet, ")
        said = f"{arm}: {MEASURED[row['claim']]}"
    places = 1 if row["unit"] else 3  # a training loss has none
    value, *ends = (f"{row[key]:+.{places}f}" for key in ("value", "low", "high"))
    found = f"{value} {row['unit']}".strip() + f" ({' to '.join(ends)})"
    p = "< 0.0001" if row["p"] < 1e-4 else format(row["p"], ".2g")
    return f"| {name} | {said} | {found} | {p} | {row['verdict']} |"


def pictures(results: Mapping[str, Comparison]) -> str:
    """The paper's figures, as far as they are drawn."""
    there = [name for name in PICTURES if (REPOSITORY / "docs" / f"{name}.png").is_file()]
    return "\n\n".join(f"![{PICTURES[name]}]({name}.png)" for name in there)


def experiment(measured: Comparison) -> str:
    """One experiment whole: arms beside the paper's, notes, verdicts, and how it was made."""
    about, made = measured.experiment, measured.provenance
    faces = f"{measured.arms[0].faces:,} faces of {catalogue.SOURCES[made['data']].title}"
    device = f" on {made['device']}" if "device" in made else ""
    return "\n\n".join(
        [
            f"### {about['title']}",
            f"{about['where']} of the paper; {faces}.",
            markdown.comparison(measured).strip(),
            f"Made in {made['seconds'] / 60:.0f} minutes{device}: `{made['command']}`.",
        ]
    )


BLOCKS = {"headline": headline, "summary": summary, "claims": claims, "pictures": pictures}


def load() -> dict[str, Comparison]:
    """The project's results, in the order of the paper's experiments."""
    saved = experiments.load_saved(REPOSITORY / "results")
    return {name: saved[name] for name in EXPERIMENTS if name in saved}


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8"), load()), encoding="utf-8")
