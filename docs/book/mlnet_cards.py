"""Write what was measured of the two ML-Nets that ship into their model cards and into `docs/networks.md`, between the marks there.

python docs/book/mlnet_cards.py
"""

import json
from pathlib import Path

import blocks
from blocks import table

from safbage.runtime.weights import stored
from safbage.saliency.metrics import METRICS

REPOSITORY = Path(__file__).parents[2]
PAGES = (
    stored.TRAINED / "mlnet.md",
    stored.TRAINED / "mlnet-light.md",
    REPOSITORY / "docs" / "networks.md",
)
SETS = {"osie": "OSIE", "eyecrowd": "EyeCrowd", "mit1003": "MIT1003", "scene": "Scene"}
FACES = {"utkface": "UTKFace", "rafdb": "RAF-DB", "fer2013": "FER2013", "fairface": "FairFace"}
BASELINES = ("centre prior", "uniform", "other viewers")
OURS = "ML-Net"
PUBLISHED = {
    "centre prior": ("0.78 0.51 0.92 0.38 1.24 0.45", "MIT Saliency Benchmark, its baseline"),
    "ML-Net": ("0.85 0.70 2.05 0.67 1.10 0.59", "Cornia et al. 2016; KL: the benchmark"),
    "SAM-ResNet": ("0.87 0.70 2.34 0.78 1.27 0.68", "Cornia et al. 2018; KL: the benchmark"),
    "UNISAL": ("0.877 0.784 2.369 0.785 0.415 0.675", "MIT/Tübingen Saliency Benchmark"),
    "DeepGaze IIE": ("0.883 0.794 2.527 0.824 0.347 0.699", "MIT/Tübingen Saliency Benchmark"),
}
"""Of others, on MIT300: AUC, sAUC, NSS, CC, KL and SIM, and who published them."""
PUBLISHED_METRICS = ("AUC-Judd", "sAUC", "NSS", "CC", "KL", "SIM")


def load() -> dict:
    """The figures of both networks, "mlnet" and "mlnet-light"."""
    return {
        name: json.loads((stored.TRAINED / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("mlnet", "mlnet-light")
    }


# --- words ----------------------------------------------------------------------------------------


def with_error(found: dict) -> str:
    """ "0.790 ± 0.010"."""
    return f"{found['mean']:.3f} ± {found['standard_error']:.3f}"


def signed(found: dict) -> str:
    """ "+0.028 ± 0.005"; in bold where Wilcoxon's p is below 0.05."""
    text = f"{found['mean']:+.3f} ± {found['standard_error']:.3f}"
    return f"**{text}**" if found["p"] < 0.05 else text


# --- blocks ---------------------------------------------------------------------------------------


def scenes(result: dict, name: str) -> str:
    """A set's held-back scenes: every metric, the network first, then the baselines."""
    found = result["mlnet"][name]
    rows = [[f"**{OURS}**", *(f"**{with_error(found[OURS][m])}**" for m in METRICS)]]
    rows += [[of, *(with_error(found[of][m]) for m in METRICS)] for of in BASELINES]
    head = f"**{SETS[name]}**, {found['scenes']} scenes\n\n"
    return head + table(["", *METRICS], rows)


def others(result: dict) -> list[str]:
    """The networks that were measured beside ours."""
    found = next(iter(result["mlnet"].values()))
    return [
        name for name in found if name not in ("scenes", OURS, *BASELINES) and " less " not in name
    ]


def beside(result: dict) -> str:
    """What the network that ships adds to others, on the same scenes."""
    rows = []
    for name, title in SETS.items():
        found = result["mlnet"][name]
        for other in others(result):
            more = found[f"{OURS} less {other}"]
            rows.append([title, other, *(f"{found[other][m]['mean']:.3f}" for m in METRICS)])
            rows.append(["", "ML-Net minus it", *(signed(more[m]) for m in METRICS)])
    return table(["set", "network", *METRICS], rows)


def published(result: dict) -> str:
    """MIT1003's test part beside what others published for MIT300."""
    found = result["mlnet"]["mit1003"]
    rows = [
        [
            f"{name}, {found['scenes']} photos of MIT1003",
            *(with_error(found[name][m]) for m in PUBLISHED_METRICS),
            "here",
        ]
        for name in (OURS, "centre prior", "other viewers")
    ]
    rows += [
        [f"{name}, MIT300", *values.split(), source] for name, (values, source) in PUBLISHED.items()
    ]
    return table(["", *PUBLISHED_METRICS, "source"], rows)


def faces(result: dict) -> str:
    """Where the mass lies on faces."""
    found = result["mlnet"]["faces"]
    share = {
        name: f"{100 * of['mean']:.1f} ± {100 * of['standard_error']:.1f} %"
        for name, of in found["share"].items()
    }
    return (
        f"**Faces**: in {found['faces']} pictures of UTKFace, which this network was not trained on, the share of a map's mass within\n"
        f"16 % of the box's width of an eye, the nose or a corner of the mouth (MTCNN's landmarks) was {share['ML-Net']},\n"
        f"against {share['centre prior']} for the centre prior of the scenes and {share['uniform']} for a uniform map:\n"
        f"{found['over_uniform']['mean']:.1f} times as much as the latter."
    )


def light(result: dict) -> str:
    """How well the light network follows the full one, by set."""
    rows = [
        [
            FACES[name],
            f"{of['faces']:,}",
            *(with_error(of[way]) for way in ("as_they_are", "spoilt")),
            f"{of['mean_map']:.3f}",
        ]
        for name, of in result["mlnet-light"].items()
        if name != "epoch"
    ]
    head = ["", "unseen faces", "as they are", "degraded and lit at random", "the mean map"]
    return table(head, rows)


def networks(result: dict) -> str:
    """The rows of the page that lists all networks."""
    shown = ("CC", "NSS", "sAUC")
    full, light = [], []
    for name, title in SETS.items():
        found = result["mlnet"][name]
        figures = ", ".join(f"{m} {with_error(found[OURS][m])}" for m in shown)
        prior = ", ".join(f"{found['centre prior'][m]['mean']:.3f}" for m in shown)
        full.append([f"{found['scenes']} scenes of {title}", figures, f"centre prior: {prior}"])
    for name, of in result["mlnet-light"].items():
        if name != "epoch":
            figure = f"CC with ML-Net {with_error(of['as_they_are'])}"
            faces = f"{of['faces']:,} faces of {FACES[name]}"
            light.append([faces, figure, f"mean map: {of['mean_map']:.3f}"])
    rows = []
    for link, lines in {
        "[ML-Net](../safbage/trained/mlnet.md)": full,
        "[light ML-Net](../safbage/trained/mlnet-light.md)": light,
    }.items():
        rows += [[link if i == 0 else "", *line] for i, line in enumerate(lines)]
    return table(["network", "measured on", "figure", "by comparison"], rows)


BLOCKS = {name: (lambda result, name=name: scenes(result, name)) for name in SETS} | {
    "beside": beside,
    "published": published,
    "faces": faces,
    "light": light,
    "networks": networks,
}


def filled(text: str, result: dict) -> str:
    """A page's text with every block as the result has it.

    Raises:
        KeyError: nobody knows a block of that name.
    """
    return blocks.filled(text, "mlnet", lambda name: BLOCKS[name](result))


def main():
    result = load()
    for page in PAGES:
        page.write_text(filled(page.read_text(encoding="utf-8"), result), encoding="utf-8")


if __name__ == "__main__":
    main()
