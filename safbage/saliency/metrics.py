"""How well a saliency map tells where people looked: the field's metrics, baselines, and a table of
both.

Definitions follow the MIT saliency benchmark as set out by Bylinskii et al. 2019 ("What Do
Different Evaluation Metrics Tell Us About Saliency Models?", IEEE TPAMI 41(3)); each function names
its own source. Maps are H×W, ≥ 0, of any scale; fixations are K×2, x and y in the map's pixels.

Areas under the curve are exact, ties counting half (the Mann–Whitney statistic, as scikit-learn's
``roc_auc_score``); the benchmark's MATLAB code joins a few thresholds by straight lines instead and
breaks ties by noise.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from safbage import images
from safbage.fixations import Scene, cells, fixation_map, inside

EPSILON = 2.2204e-16
"""Keeps logarithms and quotients finite; the benchmark's value, to its last digit: where a map is
zero, it shows."""


def nss(saliency_map: np.ndarray, points: np.ndarray) -> float:
    """Normalised scanpath saliency: the standardised map's mean at the fixations (Peters et al.
    2005). Chance is 0.

    NaN without fixations, 0 for a constant map.
    """
    saliency_map = np.asarray(saliency_map, float)
    return (
        float(_standardised(saliency_map)[_at(points, saliency_map.shape)].mean())
        if len(points)
        else np.nan
    )


def cc(saliency_map: np.ndarray, truth: np.ndarray) -> float:
    """Pearson's correlation of two maps of one size (Le Meur et al. 2007), from −1 to 1; 0 where
    either is constant."""
    return float((_standardised(saliency_map) * _standardised(truth)).mean())


def sim(saliency_map: np.ndarray, truth: np.ndarray) -> float:
    """Similarity: the intersection of two maps, each of sum 1 (Judd et al. 2012); 1 for equal maps,
    0 for disjoint ones."""
    return float(np.minimum(_density(saliency_map), _density(truth)).sum())


def kl(saliency_map: np.ndarray, truth: np.ndarray) -> float:
    """Kullback–Leibler divergence of the map from the truth, in nats (Bylinskii et al. 2019,
    equation 5); 0 for equal maps.

    ``Σ q · log(ε + q / (ε + p))`` with p the map and q the truth, each of sum 1, and ε the float's
    precision.
    """
    saliency_map, truth = _density(saliency_map), _density(truth)
    return float((truth * np.log(EPSILON + truth / (saliency_map + EPSILON))).sum())


def auc_judd(saliency_map: np.ndarray, points: np.ndarray) -> float:
    """Area under the ROC: fixated pixels (each once) against all others (Judd et al. 2009); 0.5 is
    chance."""
    saliency_map = np.asarray(saliency_map, float)
    fixated = np.zeros(saliency_map.shape, bool)
    fixated[_at(points, saliency_map.shape)] = True
    return _area(saliency_map[fixated], np.sort(saliency_map[~fixated]))


def auc_borji(
    saliency_map: np.ndarray, points: np.ndarray, *, splits: int = 100, seed: int = 0
) -> float:
    """Area under the ROC: fixations against as many pixels drawn at random, mean of `splits` draws
    (Borji et al. 2013)."""
    saliency_map = np.asarray(saliency_map, float)
    positives = saliency_map[_at(points, saliency_map.shape)]
    generator = np.random.default_rng(seed)
    draws = [np.sort(generator.choice(saliency_map.ravel(), len(positives))) for _ in range(splits)]
    return float(np.mean([_area(positives, negatives) for negatives in draws]))


def shuffled_auc(saliency_map: np.ndarray, points: np.ndarray, elsewhere: np.ndarray) -> float:
    """Area under the ROC: fixations against those made on other pictures (Zhang et al. 2008): a
    centre bias earns nothing.

    All of `elsewhere` (M×2, brought to this map's pixels) count, so there is nothing drawn at
    random.
    """
    saliency_map = np.asarray(saliency_map, float)
    return _area(
        saliency_map[_at(points, saliency_map.shape)],
        np.sort(saliency_map[_at(elsewhere, saliency_map.shape)]),
    )


def information_gain(
    saliency_map: np.ndarray, points: np.ndarray, baseline: np.ndarray, *, uniform: float = 0.01
) -> float:
    """How many bits a fixation is likelier under the map than under the baseline (Kümmerer et al.
    2015), mean over fixations.

    Both maps are taken as densities. Maps of ReLU networks hold exact zeros, where a single
    fixation would cost 50 bits: a share of `uniform` density is mixed into both (0 leaves them, and
    minus infinity where a map is zero).
    """
    p, q = ((1 - uniform) * _density(m) + uniform / np.size(m) for m in (saliency_map, baseline))
    at = _at(points, p.shape)
    return float(np.mean(np.log2(p[at]) - np.log2(q[at]))) if len(points) else np.nan


def mass_within(saliency_map: np.ndarray, region: np.ndarray) -> float:
    """Share of a map's mass within a region (bool of its shape), 0–1: for faces,
    `faces.near_landmarks`."""
    return float(_density(saliency_map)[region].sum())


def _at(points, shape):
    """Row and column indices of fixations within a map."""
    columns, rows = cells(inside(points, shape)).T
    return rows, columns


def _standardised(saliency_map):
    saliency_map = np.asarray(saliency_map, float)
    spread = saliency_map.std()
    if spread <= EPSILON * np.abs(saliency_map).max():
        return np.zeros(saliency_map.shape)
    return (saliency_map - saliency_map.mean()) / spread


def _density(saliency_map):
    """The map with sum 1; uniform where it is all zero."""
    saliency_map = np.asarray(saliency_map, float)
    total = saliency_map.sum()
    return saliency_map / total if total > 0 else np.full(saliency_map.shape, 1 / saliency_map.size)


def _area(positives, negatives):
    """Mann–Whitney: the share of pairs in which the positive is larger, ties half. `negatives` are
    sorted."""
    if not len(positives) or not len(negatives):
        return np.nan
    below, upto = (np.searchsorted(negatives, positives, side) for side in ("left", "right"))
    return float((below + upto).mean() / 2 / len(negatives))


# --- a table of them ------------------------------------------------------------------------------

METRICS = ("CC", "SIM", "KL", "NSS", "AUC-Judd", "AUC-Borji", "sAUC", "IG")
"""Columns of `evaluate`; IG is over the centre prior, in bits. KL is better the smaller."""
LARGEST = 1024
"""Pixels of the longer side that a scene is measured at, at most: no map has so much detail, and
where a picture has ten megapixels, its metrics would take minutes."""


def centre_prior(scenes: list[Scene], size: tuple[int, int] = (120, 160)) -> np.ndarray:
    """The mean fixation map of scenes, for the baseline: what is known of where people look before
    the picture is seen."""
    total = np.zeros(size)
    for scene in scenes:
        total += images.resize(scene.fixation_map(), size)
    return (total / max(1, len(scenes))).astype("float32")


def other_fixations(scenes: list[Scene]) -> np.ndarray:
    """All fixations of scenes as shares of the width and height, M×2, for `shuffled_auc`."""
    shares = [scene.fixations / scene.size[::-1] for scene in scenes]
    return np.concatenate(shares) if shares else np.zeros((0, 2))


def score(
    scene: Scene, saliency_map: np.ndarray, *, prior: np.ndarray, elsewhere: np.ndarray
) -> dict[str, float]:
    """All metrics of one map of a scene's size.

    Args:
        scene: its fixations and fixation map are the truth.
        saliency_map: H×W.
        prior: the centre prior (any size) that information gain is measured against.
        elsewhere: `other_fixations` of other scenes.
    """
    truth, points = scene.fixation_map(), scene.fixations
    saliency_map = np.asarray(saliency_map, float)
    if saliency_map.shape != truth.shape or not np.isfinite(saliency_map).all():
        raise ValueError(
            f"a map of {scene.name} has shape {saliency_map.shape}, its picture {truth.shape}; "
            "or it is not finite"
        )
    values = {
        "CC": cc(saliency_map, truth),
        "SIM": sim(saliency_map, truth),
        "KL": kl(saliency_map, truth),
    }
    return values | _score_points(saliency_map, points, prior, elsewhere)


def _score_points(saliency_map, points, prior, elsewhere):
    names = ("NSS", "AUC-Judd", "AUC-Borji", "sAUC", "IG")
    if not len(points):
        return dict.fromkeys(names, np.nan)
    size = np.shape(saliency_map)
    values = (
        nss(saliency_map, points),
        auc_judd(saliency_map, points),
        auc_borji(saliency_map, points),
        shuffled_auc(saliency_map, points, elsewhere * size[::-1]),
        information_gain(saliency_map, points, images.resize(prior, size)),
    )
    return dict(zip(names, values, strict=True))


def score_viewers(
    scene: Scene, *, prior: np.ndarray, elsewhere: np.ndarray, seed: int = 0
) -> dict[str, float]:
    """What viewers tell about each other: the bound for any model of where people in general look.

    NSS, AUC and IG: each viewer's fixations against the map of all the others, mean over viewers.
    CC, SIM and KL: the maps of two random halves of the viewers against each other; they are
    noisier than the map of all, so a model can pass these three. NaN with fewer than two viewers.
    """
    viewers = np.unique(scene.subjects)
    if len(viewers) < 2:
        return dict.fromkeys(METRICS, np.nan)
    half = np.isin(
        scene.subjects, np.random.default_rng(seed).permutation(viewers)[: len(viewers) // 2]
    )
    one, other = (
        fixation_map(scene.fixations[part], scene.size, scene.sigma) for part in (half, ~half)
    )
    left_out = []
    for viewer in viewers:
        own = scene.subjects == viewer
        saliency_map = fixation_map(scene.fixations[~own], scene.size, scene.sigma)
        left_out.append(_score_points(saliency_map, scene.fixations[own], prior, elsewhere))
    return {"CC": cc(one, other), "SIM": sim(one, other), "KL": kl(one, other)} | pd.DataFrame(
        left_out
    ).mean().to_dict()


def evaluate(
    scenes: list[Scene],
    predictors: dict[str, Callable[[np.ndarray], np.ndarray]],
    known: list[Scene],
    *,
    viewers: bool = True,
    progress: bool = True,
) -> pd.DataFrame:
    """Measure models beside the baselines.

    Args:
        scenes: to be predicted; unseen ones, if the figures are to mean anything. They are
            measured at no more than `LARGEST` pixels a side.
        predictors: name to a function from a picture (H×W×3 uint8) to its map (H×W).
        known: other scenes of the same set. Centre prior and shuffled fixations come from them, so
            that neither knows the scenes that are measured.
        viewers: also measure the viewers against each other (slower).
        progress: show a bar.

    Returns:
        A row per scene and model (`scene`, `model`, and `METRICS`); the models are yours, "centre
        prior", "uniform" and "other viewers".
    """
    prior, elsewhere = centre_prior(known), other_fixations(known)
    rows = []
    for whole in tqdm(scenes, desc="scenes", disable=not progress):
        scene = whole.at_most(LARGEST)
        picture = scene.pixels()
        maps = {name: predict(picture) for name, predict in predictors.items()}
        maps |= {
            "centre prior": images.resize(prior, scene.size),
            "uniform": np.ones(scene.size, "float32"),
        }
        for name, saliency_map in maps.items():
            rows.append(
                {"scene": scene.name, "model": name}
                | score(scene, saliency_map, prior=prior, elsewhere=elsewhere)
            )
        if viewers:
            own = score_viewers(scene, prior=prior, elsewhere=elsewhere)
            rows.append({"scene": scene.name, "model": "other viewers"} | own)
    return pd.DataFrame(rows, columns=["scene", "model", *METRICS])


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """`evaluate`'s table as means and standard errors over scenes: a row per model, columns
    (metric, "mean" or "error")."""
    grouped = table.groupby("model", sort=False)[list(METRICS)]
    return pd.concat({"mean": grouped.mean(), "error": grouped.sem()}, axis=1).swaplevel(axis=1)[
        list(METRICS)
    ]
