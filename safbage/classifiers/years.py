"""Age in years: the age groups of a distribution over years, and its median with an interval.

`summary` needs no Keras.
"""

import numpy as np

from safbage.classifiers.names import check_network
from safbage.runtime import weights
from safbage.tasks import AGE_RANGES, IN_YEARS

COUNT = 101
"""Whole years of age, from 0 to 100."""


def group(scores) -> tuple:
    """The age groups of scores for each year (a tensor N×101, as they enter a softmax).

    A group's probability is the sum over its years, divided by the sum over all groups: ages in the
    gaps between groups belong to none. Computed from scores, it is exact also where a group has
    next to no probability.

    Returns:
        Scores of the groups, N×8: their softmax gives the groups' probabilities. And each year's
        share of its group, N×8×101, which sums to 1 over the years and is 0 outside the group.
    """
    from safbage.runtime.backend import ops

    ages = np.arange(COUNT)
    members = [(ages >= low) & (ages <= high) for low, high in AGE_RANGES]
    outside = np.where(members, 0, -1e9).astype("float32")
    within = ops.expand_dims(scores, 1) + outside
    return ops.logsumexp(within, axis=-1), ops.softmax(within, axis=-1)


def summary(distribution: np.ndarray, tail: float) -> np.ndarray:
    """The median of each distribution, and the interval between its quantiles, in whole years.

    Args:
        distribution: N×101 probabilities of the years.
        tail: the share of a distribution, from 0 to 0.5, that the interval leaves out at each end.

    Returns:
        N×3: median, low and high, each a whole number from 0 to 100.
    """
    return np.stack([_quantile(distribution, share) for share in (0.5, tail, 1 - tail)], axis=1)


def tail_of(network: str) -> float | None:
    """The tail with which `summary` takes a shipped network's distribution over years; None where
    the network answers age groups alone.

    Raises:
        ValueError: a network that does not ship.
        WeightsError: the file that tells it is missing or damaged.
    """
    in_years = check_network(network) in IN_YEARS
    return weights.shipped_facts(network)["interval"]["tail"] if in_years else None


def _quantile(distribution, share):
    """The age below which a share of each distribution lies; a year's probability is spread evenly
    from half a year before it to half a year behind."""
    distribution = np.asarray(distribution, "float64")
    up_to = np.cumsum(distribution / distribution.sum(axis=1, keepdims=True), axis=1)
    year = (up_to < share).sum(axis=1)
    rows = np.arange(len(year))
    before = np.where(year > 0, up_to[rows, year - 1], 0)
    age = year - 0.5 + (share - before) / (up_to[rows, year] - before)
    return np.round(np.clip(age, 0, COUNT - 1))
