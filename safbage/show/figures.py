"""The paper's Figures 1 to 4 remade: what each is drawn of, computed and drawn.

    figures.overview(images.astronaut()).savefig("figure-1.png")

Figure 3 is `plots.convergence`.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from safbage import classifiers
from safbage.experiments.examples import Example
from safbage.pipeline import Explanation, SafBage
from safbage.show import plots
from safbage.tasks import RATIO

PAPERS = "alexnet-gap"
"""The shipped network that is nearest to the paper's: its AlexNet, in the form of section 5."""
TASKS = ("gender", "age", "expression")
"""In the paper's order."""
LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5")


def overview(photo: np.ndarray) -> Figure:
    """Figure 1: the largest face of a photo (H×W×3 uint8), through every stage, with AlexNet.

    conv5 is that of expression; each task has its own.

    Raises:
        ValueError: there is no face.
        WeightsError: weights are missing and cannot be fetched, or are damaged.
    """
    seen = SafBage.load(network=PAPERS).explain(photo, max_faces=1)
    face = seen.reweighted[:1].astype("float32")
    network = classifiers.load("expression", PAPERS)
    features = {}
    for name in LAYERS if len(face) else ():
        head, _ = classifiers.split_after(network, name)
        features[name] = np.asarray(head(face))[0]
    return plots.overview(seen, features)


def example_rows(examples: Sequence[Example], *, each: int = 2) -> Figure:
    """Figure 2: of every task as many right answers and as many wrong ones as there are, up to
    `each`, right ones to the left.

    Raises:
        ValueError: there is no example.
    """
    chosen = []
    for task in TASKS:
        own = [example for example in examples if example.task == task]
        sides = [[one for one in own if one.right is right][:each] for right in (True, False)]
        chosen += [one for pair in zip(*sides, strict=False) for one in pair]
    return plots.example_rows(chosen or examples)


def expressions(examples: Sequence[Example]) -> Figure:
    """Figure 4: class activation maps of the paper's network for faces of several expressions.

    Raises:
        ValueError: there is no example.
        WeightsError: weights are missing and cannot be fetched, or are damaged.
    """
    if not examples:
        raise ValueError("there is no face to draw")
    crops, maps = (np.stack([getattr(one, name) for one in examples]) for name in ("crop", "map"))
    model = SafBage.load(network=PAPERS, tasks=("expression",))
    seen = model.at_ratio(Explanation("examples", RATIO, crops=crops, maps=maps), RATIO)
    return plots.expressions(seen, [one.label for one in examples])
