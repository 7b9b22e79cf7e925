"""A tiny network, a recipe for it, and answers made up: what tests of experiments share."""

from dataclasses import replace

import keras
import numpy as np
import pandas as pd
from keras import layers

from safbage import experiments, training
from safbage.experiments import Arm, Run
from safbage.tasks import CLASSES

RECIPE = replace(
    training.AGE_GENDER_RECIPE,
    epochs=1,
    batch=16,
    variants=((False, 0),),
)


def tiny(classes, *, dropout):
    inputs = keras.Input((224, 224, 3), name="face")
    x = layers.AveragePooling2D(56, name="pool")(layers.Rescaling(1 / 255, name="scale")(inputs))
    x = layers.Conv2D(4, 1, activation="relu", name="conv")(x)
    x = layers.Dropout(dropout, name="dropout")(layers.Flatten(name="flatten")(x))
    return keras.Model(
        inputs, layers.Dense(classes, activation="softmax", name="fc")(x), name="tiny"
    )


def answers(right, *, sure=0.9, people=None, folds=5, classes=("male", "female")):
    """Predictions of as many faces as `right` has, right where that says so; labels and folds take turns."""
    count = len(right)
    label = np.arange(count) % len(classes)
    answer = np.where(right, label, (label + 1) % len(classes))
    p = np.full((count, len(classes)), (1 - sure) / (len(classes) - 1))
    p[np.arange(count), answer] = sure
    names = np.array(classes)
    return pd.DataFrame(
        {
            "image": [f"{i}.jpg" for i in range(count)],
            "subject": [f"person {i if people is None else people[i]}" for i in range(count)],
            "fold": np.arange(count) // -(-count // folds),
            "label": names[label],
            "answer": names[answer],
            **{f"p_{name}": p[:, i] for i, name in enumerate(classes)},
        }
    )


def two_arms(without, with_saliency, **options):
    """AlexNet's runs without and with saliency."""
    pairs = ((0.0, without), (0.3, with_saliency))
    return {Arm("alexnet", ratio): Run(answers(right, **options)) for ratio, right in pairs}


def first(share, count):
    """Right for the first of every ten, so that all folds and classes have their share."""
    return np.arange(count) % 10 < 10 * share


def age_comparison():
    """One fold and a class that nobody has, so that errors and recalls are unknown; a network that
    the paper lacks."""
    classes = CLASSES["age"]
    table = answers(first(0.5, 70), folds=1, classes=classes[:7]).assign(**{f"p_{classes[7]}": 0.0})
    arms = [Arm("alexnet", 0.0), Arm("alexnet", 0.3), Arm("alexnet", 0.9), Arm("alexnet-gap", 0.3)]
    return experiments.compare({arm: Run(table) for arm in arms}, "age", repetitions=50)
