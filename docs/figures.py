"""Draw docs/figure-1.png to figure-4.png, the paper's figures remade, docs/forest.png, and the
networks, docs/schematic-mtcnn.png and its like:

python docs/figures.py    # all of them; or some: python docs/figures.py forest figure-3

Pictures of people are not to be shown without their leave. So these are the astronaut who comes with
scikit-image (NASA, public domain) and drawn faces, whose labels are known. Figure 3 and the forest plot
are drawn from `results/`.
"""

import argparse
import dataclasses
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from safbage import experiments, images
from safbage.datasets import drawn
from safbage.experiments import reproduction
from safbage.experiments.examples import Example
from safbage.pipeline import SafBage
from safbage.show import figures, plots, words
from safbage.tasks import CLASSES, EXPRESSIONS

REPOSITORY = Path(__file__).parents[1]
SIZE = (448, 448)
"""Of a drawn face's picture."""
ASTRONAUT = {"gender": "female", "expression": "happy"}
"""Her labels. She was in her thirties, which is none of the paper's age groups."""
PERSON = 5
"""The drawn person of Figure 4."""
DOTS = 90
"""To the inch."""
DRAWN = 24
"""Drawn faces among which right and wrong answers are looked for."""


def answered(model: SafBage, picture: np.ndarray, labels: dict[str, str | None]) -> list[Example]:
    """The largest face of a picture with the answer to every task of which the label is known."""
    seen = model.explain(picture, max_faces=1)
    found = []
    for task, values in seen.probabilities.items() if len(seen.crops) else ():
        answer = int(values[0].argmax())
        if labels.get(task):
            told = (labels[task], CLASSES[task][answer], float(values[0, answer]))
            found.append(Example(task, seen.crops[0], seen.maps[0], *told))
    return found


def labels_of(factors: drawn.FaceFactors) -> dict[str, str | None]:
    return {name: getattr(factors, "age_group" if name == "age" else name) for name in CLASSES}


def some_faces() -> list[Example]:
    """The astronaut and drawn faces, answered by the paper's network; a drawn face for one task."""
    model = SafBage.load(network=figures.PAPERS)
    found = answered(model, images.astronaut(), ASTRONAUT)
    for index in range(DRAWN):
        factors = drawn.factors_of(index, seed=1)
        task = ("gender", "age", "expression")[index % 3]
        labels = {task: labels_of(factors)[task]}
        found += answered(model, drawn.render(factors, SIZE), labels)
    return found


def of_each_expression() -> list[Example]:
    """The astronaut, and one drawn person with every expression."""
    model = SafBage.load(network=figures.PAPERS, tasks=("expression",))
    found = answered(model, images.astronaut(), ASTRONAUT)
    person = drawn.factors_of(PERSON, seed=1)
    for name in EXPRESSIONS:
        factors = dataclasses.replace(person, expression=name, intensity=1.2, teeth=True)
        found += answered(model, drawn.render(factors, SIZE), labels_of(factors))
    return found


def saved() -> list[experiments.Comparison]:
    """The project's own results, in the order of the report."""
    found = experiments.load_saved(REPOSITORY / "results")
    return [found[name] for name in reproduction.EXPERIMENTS if name in found]


def by_ratio():
    """Figure 3 of the stored results; None where they keep no histories."""
    (ratios,) = [one for one in saved() if one.experiment["varied"] == "ratio"]
    kept = any(words.history(result) for result in ratios.arms)
    return plots.convergence(ratios) if kept else None


DRAWINGS = {
    "figure-1": lambda: figures.overview(images.astronaut()),
    "figure-2": lambda: figures.example_rows(some_faces(), each=1),
    "figure-3": by_ratio,
    "figure-4": lambda: figures.expressions(of_each_expression()),
    "forest": lambda: plots.forest(saved()).figure,
    **{f"schematic-{name}": partial(plots.schematic, name) for name in plots.SCHEMATICS},
}
"""By the name of its file what draws it."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*DRAWINGS, []], help="all by default")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent)
    args = parser.parse_args()
    for name in args.names or DRAWINGS:
        figure = DRAWINGS[name]()
        if figure is None:
            print(f"{name}: results/ratios.json keeps no histories; left as it is")
            continue
        path = args.output / f"{name}.png"
        options = {"optimize": True}
        figure.savefig(path, dpi=DOTS, bbox_inches="tight", pil_kwargs=options)
        plt.close(figure)
        print(path)


if __name__ == "__main__":
    main()
