"""Settings of the trainings in ``train_faces.py``; apart from it, since the cards tell them without PyTorch."""

from dataclasses import dataclass

RATIO = 0.3


@dataclass(frozen=True)
class Settings:
    """Of one training.

    Attributes:
        repeats: how often a set's faces are shown per epoch.
        rate: highest learning rate; it rises over `warm_up` steps, then falls to 0 along a cosine.
        head_factor: how many times faster heads learn than convolutions.
        averaging: of the weights that are kept, per step.
        ratio_jitter: share of faces that are reweighted by another ratio than 0.3, drawn from 0 to 0.9.
        mild_from: share of the epochs after which faces vary half as much.
        teach_from: share of the epochs after which the averaged weights answer where labels lack.
        label_share: of a target where there are both a label and an answer.
    """

    epochs: int
    rate: float
    head_factor: float = 3.0
    batch: int = 256
    warm_up: int = 300
    weight_decay: float = 0.03
    averaging: float = 0.999
    ratio_jitter: float = 0.25
    mild_from: float = 0.75
    teach_from: float = 0.5
    label_share: float = 0.7
    unlabelled: float = 0.4
    repeats: tuple = (
        ("utkface", 1.5),
        ("fairface", 0.8),
        ("fer2013", 1.0),
        ("rafdb", 1.5),
        ("appa", 1.5),
    )
    seed: int = 0


SETTINGS = {
    "face": Settings(epochs=20, rate=4e-4),
    "alexnet-gap": Settings(
        epochs=11, rate=3e-4, label_share=0.5, unlabelled=1.0, weight_decay=0.02
    ),
}
