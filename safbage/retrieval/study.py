"""The experiment: does saliency help to find a face again? Arms over one folder of people."""

import json
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from safbage import classifiers, datasets, evaluation, reweighting
from safbage.datasets import preparation
from safbage.datasets.shards import Prepared
from safbage.errors import DatasetError
from safbage.experiments import NO_SALIENCY, Arm, base
from safbage.retrieval import measures
from safbage.retrieval.embeddings import TRUNKS, embed, last_features
from safbage.retrieval.pairs import find_pairs, locate, read_pairs
from safbage.runtime import backend, weights
from safbage.runtime.files import read_json, write_text
from safbage.tasks import CLASSES, RATIO

RATIOS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Of the arms with saliency; the paper's ablation has these."""
CLIPS = (0.3,)
"""Saliency below which further arms have black pixels."""
FEWEST = 5
"""Pictures that a person has at least who is looked for among all."""
FIGURES = {
    "accuracy": "pairs answered rightly",
    "rank_1": "first neighbour of the same person",
    "mean_average_precision": "mean average precision",
}
"""What is compared."""
ANSWERING = "face-mobilenet"
"""The shipped network that forms groups."""
APPARENT = {"gender": "gender", "age": "age_group"}
"""The tasks that form groups, and the columns of their answers."""
CURVE = np.concatenate([[0], np.logspace(-3, 0, 40)])
"""Rates of false matches at which a result keeps the ROC."""


def arms(
    trunks: Iterable[str] = tuple(TRUNKS),
    ratios: Iterable[float] = RATIOS,
    clips: Iterable[float] = CLIPS,
) -> list[Arm]:
    """Each trunk without saliency, at each ratio, and clipped.

    Raises:
        ValueError: no such trunk, or a ratio is not within 0–1.
    """
    trunks = list(dict.fromkeys(trunks))
    unknown = [name for name in trunks if name not in TRUNKS]
    if unknown or not trunks:
        raise ValueError(f"a trunk is one of {', '.join(TRUNKS)}; got {', '.join(unknown)}")
    chosen = [NO_SALIENCY, *map(reweighting.check_ratio, ratios)]
    chosen = [(ratio, "blend") for ratio in dict.fromkeys(chosen)]
    chosen += [(reweighting.check_ratio(ratio), "clip") for ratio in dict.fromkeys(clips)]
    return [Arm(name, ratio, mode) for name in trunks for ratio, mode in chosen]


def evaluate(
    folder: str | Path,
    output: str | Path,
    *,
    pairs: str | Path | None = None,
    compared: Sequence[Arm] | None = None,
    saliency: str = "light",
    fewest: int = FEWEST,
    workers: int = 1,
    progress: bool = True,
) -> dict:
    """Measure how well arms find faces again within a folder of people.

    Faces, maps and embeddings are kept in `output`; a killed run goes on there.

    Args:
        folder: holds a folder of pictures per person (`datasets.people`), and perhaps a list of
            pairs (`pairs.NAMES`).
        output: for all that takes long.
        pairs: a list of pairs that lies elsewhere. Without any, people are only looked for among
            all pictures.
        compared: by default `arms()`.
        saliency: as `saliency.load` takes it.
        fewest: pictures that a person has at least who is looked for.
        workers: processes that prepare faces.
        progress: show bars.

    Returns:
        `faces` (counts), `arms` (each one's figures by name), `tests` (each against the arm of its
        trunk without saliency), `trunks` (what each has learnt from) and `provenance`; as JSON
        takes it.

    Raises:
        FileNotFoundError: the folder, or the list of pairs, is not there.
        DatasetError: there are neither pairs nor people with enough pictures, or a file is damaged.
        WorkError: `output` was begun with other settings, or is damaged.
    """
    output = Path(output)
    compared = list(arms() if compared is None else compared)
    listed = datasets.people(folder).faces
    path = Path(pairs) if pairs else find_pairs(folder)
    asked = read_pairs(path) if path else None
    chosen = _needed(listed, asked, fewest)
    options = preparation.Preparation(saliency=saliency, without_face="whole")
    prepared = preparation.prepare(
        listed[chosen].reset_index(drop=True),
        output / "faces",
        options,
        workers=workers,
        progress=progress,
    )
    table = prepared.table
    located = None if asked is None else locate(asked, table)
    often = _people(table, fewest)
    groups = apparent(prepared, output / "embeddings", progress=progress)
    found = {}
    for arm in tqdm(compared, desc="arms", disable=not progress):
        vectors = embed(prepared, arm, output / "embeddings", progress=progress)
        found[arm] = measure(vectors, table.subject.to_numpy(object), located, often, groups)
    counts = {"pictures": len(table), "people": int(table.subject.nunique())}
    counts |= {"without_a_face_found": int(table.score.isna().sum())}
    counts |= {"unreadable": len(prepared.failed)}
    counts |= {"people_looked_for": int(table.subject[often].nunique())}
    counts |= {"pictures_looked_for": int(often.sum()), "fewest": fewest}
    if asked is not None:
        counts |= {"pairs": len(located), "pairs_asked": len(asked)}
        counts |= {"folds": int(located.fold.nunique())}
    return {
        "faces": counts,
        "trunks": {name: TRUNKS[name].learnt_from for name in {arm.network: 0 for arm in compared}},
        "arms": {str(arm): _as_dict(arm, of) for arm, of in found.items()},
        "tests": compare(found, table, located, often),
        "provenance": {
            "data": Path(folder).resolve().name,
            "prepared": prepared.provenance,
            "saliency": saliency,
        },
    }


def _needed(listed, pairs, fewest):
    """Which pictures are in a pair, or of a person who is looked for; N bool."""
    chosen = _people(listed, fewest)
    if pairs is not None:
        stems = listed.image.map(lambda image: Path(image).stem)
        chosen = chosen | stems.isin({*pairs["first"], *pairs.second}).to_numpy()
    if not chosen.any():
        raise DatasetError(
            f"nobody has {fewest} pictures or more, and there is no pair whose pictures are here"
        )
    return chosen


def _people(table, fewest):
    """Pictures of people who have so many; N bool."""
    counts = table.subject.map(table.subject.value_counts())
    return (counts >= max(2, fewest)).to_numpy(bool)


def apparent(prepared: Prepared, folder: str | Path, *, progress: bool = True) -> pd.DataFrame:
    """What the shipped network answers about each picture: `gender` and `age_group`, both apparent.

    Nobody was asked. The answers serve to form groups whose errors are compared, and have errors of
    their own, which differ by group. They follow from the embeddings of face-mobilenet at 30 %
    saliency, with which it was trained.

    Args:
        prepared: N faces with their maps.
        folder: where embeddings are kept.
        progress: show a bar.

    Returns:
        N rows, in the order of ``prepared.table``.
    """
    seen = last_features(prepared, Arm(ANSWERING, RATIO), folder, progress=progress)
    answers = {}
    for task, column in APPARENT.items():
        _, head = classifiers.split_at(classifiers.load(task, ANSWERING), "softmax")
        shares = backend.predict_batches(head, seen, 1024)
        answers[column] = np.array(CLASSES[task], object)[shares.argmax(axis=1)]
    return pd.DataFrame(answers)


def measure(
    vectors: np.ndarray,
    subjects: np.ndarray,
    pairs: pd.DataFrame | None,
    often: np.ndarray,
    groups: pd.DataFrame | None = None,
) -> dict:
    """One arm's answers.

    Args:
        vectors: N×D, each row of length 1.
        subjects: who each shows, N names.
        pairs: `fold`, `same`, and the places `a` and `b` (`pairs.locate`); None where there are
            none.
        often: pictures that are looked for among each other, N bool.
        groups: columns of groups, N rows.

    Returns:
        `verified` (`measures.Verified`), `similarity` and `groups`, where there are pairs;
        `identified` (`measures.identify`), where someone is looked for.
    """
    found = {}
    if pairs is not None:
        a, b, same = pairs.a.to_numpy(), pairs.b.to_numpy(), pairs.same.to_numpy(bool)
        similarity = measures.similarities(vectors, a, b)
        verified = measures.verify(similarity, same, pairs.fold.to_numpy())
        found |= {"similarity": similarity, "same": same, "verified": verified, "groups": {}}
        for name in () if groups is None else groups:
            values = groups[name].to_numpy(object)
            inside = np.where(values[a] == values[b], values[a], None)
            found["groups"][name] = measures.error_rates(verified.called_same, same, inside)
    if often.any():
        found["identified"] = measures.identify(vectors[often], subjects[often])
    return found


def _as_dict(arm, found):
    """An arm's figures as JSON takes them."""
    told = {"network": arm.network, "ratio": arm.ratio, "mode": arm.mode}
    if "verified" in found:
        verified, similarity, same = (found[name] for name in ("verified", "similarity", "same"))
        curve = measures.roc(similarity, same)
        true = [curve.true_match[curve.false_match <= rate].max() for rate in CURVE]
        told["pairs"] = {
            "accuracy": verified.accuracy,
            "error": verified.error,
            "folds": verified.accuracies.tolist(),
            "thresholds": verified.thresholds.tolist(),
            **measures.separation(similarity, same),
            "roc": [[round(float(x), 4) for x in of] for of in zip(CURVE, true, strict=True)],
        }
        told["apparent_groups"] = {
            name: json.loads(rows.to_json(orient="records"))
            for name, rows in found["groups"].items()
        }
    if "identified" in found:
        by_person = found["identified"].groupby("subject")[["first", "precision"]].mean().mean()
        by_picture = found["identified"][["first", "precision"]].mean()
        told["people"] = {
            "rank_1": float(by_person["first"]),
            "mean_average_precision": float(by_person.precision),
            "rank_1_over_pictures": float(by_picture["first"]),
            "mean_average_precision_over_pictures": float(by_picture.precision),
        }
    return told


def compare(
    found: dict[Arm, dict], table: pd.DataFrame, pairs: pd.DataFrame | None, often: np.ndarray
) -> list[dict]:
    """Each arm against the one of its trunk without saliency, by each of `FIGURES`.

    A pair counts as that of the person in its first picture. p is corrected (Holm) over all tests
    of a figure.

    Returns:
        `measures.paired_difference`'s figures with `figure`, the arms' names `base` and `arm`,
        `p_holm` and `tests`.
    """
    couples = [(base(arm), arm) for arm in found if base(arm) in found]
    tests = []
    for figure in FIGURES:
        rows = [
            {"figure": figure, "base": str(before), "arm": str(after)}
            | _difference(figure, found[before], found[after], table, pairs, often)
            for before, after in couples
            if ("verified" if figure == "accuracy" else "identified") in found[after]
        ]
        corrected = evaluation.holm([row["p"] for row in rows])
        tests += [
            row | {"p_holm": p, "tests": len(rows)} for row, p in zip(rows, corrected, strict=True)
        ]
    return tests


def _difference(figure, before, after, table, pairs, often):
    if figure == "accuracy":
        values = [found["verified"].right for found in (before, after)]
        return measures.paired_difference(*values, table.subject.to_numpy(object)[pairs.a])
    column = {"rank_1": "first", "mean_average_precision": "precision"}[figure]
    values = [found["identified"][column] for found in (before, after)]
    return measures.paired_difference(*values, table.subject.to_numpy(object)[often], once=True)


def save(result: dict, path: str | Path, *, verdict: Sequence[str] = ()) -> None:
    """Write what `evaluate` returned as JSON, with the command, the versions and the verdict."""
    engine = backend.keras.config.backend()
    libraries = ("safbage", "keras", engine, "numpy", "scikit-learn", "scipy")
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv]
    made = result["provenance"] | {
        "command": " ".join(words),  # paths by their last part
        "backend": engine,
        "versions": {name: version(name) for name in libraries},
        "weights": weights.shipped_hashes(),
    }
    text = json.dumps(
        result | {"provenance": made, "verdict": list(verdict)}, indent=1, allow_nan=False
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text + "\n")


def load(path: str | Path) -> dict:
    """What `save` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        WorkError: it holds something else.
    """
    return read_json(Path(path), dict)
