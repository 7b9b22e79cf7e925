"""Find a face again: the question with which the paper ends, as an experiment.

An embedding is a row of numbers that a trunk makes of a face; two faces are as alike as the cosine
of theirs. Does saliency help to find a face again? `evaluate` asks that of a folder of people, with
arms without and with saliency: by LFW's protocol for pairs, and by ranks of nearest neighbours.

    result = retrieval.evaluate("/data/lfw", "work/lfw")

It measures, and finds faces within a folder that one names. There is deliberately no more to it: no
list of people to look out for, no camera, no index that is kept of strangers. An embedding is
biometric data (GDPR, Article 4 and 9).
"""

from safbage.retrieval.embeddings import TRUNKS, embed, embedder, normalize
from safbage.retrieval.measures import (
    best_threshold,
    error_rates,
    identify,
    neighbours,
    paired_difference,
    roc,
    separation,
    similarities,
    verify,
)
from safbage.retrieval.pairs import find_pairs, locate, read_pairs
from safbage.retrieval.people import draw_people, open_people
from safbage.retrieval.study import FIGURES, apparent, arms, compare, evaluate, load, measure, save

__all__ = [
    "FIGURES",
    "TRUNKS",
    "apparent",
    "arms",
    "best_threshold",
    "compare",
    "draw_people",
    "embed",
    "embedder",
    "error_rates",
    "evaluate",
    "find_pairs",
    "identify",
    "load",
    "locate",
    "measure",
    "neighbours",
    "normalize",
    "open_people",
    "paired_difference",
    "read_pairs",
    "roc",
    "save",
    "separation",
    "similarities",
    "verify",
]
