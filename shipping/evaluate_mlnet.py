"""Measure an ML-Net as its model card reports it, and with ``--ship`` store it in ``safbage/trained`` with these figures.

    python shipping/evaluate_mlnet.py WORK/mlnet.safetensors --scenes OSIE EYECROWD MIT1003 SCENE --faces UTKFACE --ship mlnet

Scenes: the fifth that training left out, with every metric, beside a centre prior, a uniform map and other viewers. With `--beside`
another network is measured on the same scenes, which it must not have seen either, and their paired difference is told. Faces: how
much of a map's mass lies on eyes, nose and mouth, in 500 of UTKFace's pictures, which this network was not trained on.
"""

import argparse
import json
from functools import partial
from pathlib import Path

import numpy as np
from scipy.stats import wilcoxon
from tqdm.auto import tqdm

from safbage import faces, fixations, images, saliency
from safbage.runtime import weights
from safbage.runtime.weights import checkpoints
from safbage.saliency import metrics
from safbage.tasks import MAP_SIZE


def apart(folder, network):
    """(Scenes that trained the network, those it has not seen), as its file tells."""
    scenes = fixations.read(folder)
    return [s for s in scenes if s.name in network.seen], [
        s for s in scenes if s.name not in network.seen
    ]


def check_unseen(folder, networks):
    """Ends the program where a network that stands beside the first has seen scenes which are measured."""
    network, *others = networks.values()
    for scene in apart(folder, network)[1]:
        if any(scene.name in other.seen for other in others):
            raise SystemExit(
                f"a network that is measured beside it has seen {scene.name} of {folder}"
            )


def scene_figures(folder, networks):
    """Mean and standard error of every metric, by network and baseline; and what the first network adds to each other one, paired over
    scenes, with Wilcoxon's p."""
    name, network = next(iter(networks.items()))
    rest, held_back = apart(folder, network)
    predictors = {key: partial(saliency.predict, model=net) for key, net in networks.items()}
    table = metrics.evaluate(held_back, predictors, rest)
    figures = {"scenes": len(held_back)}
    for model, row in metrics.summarise(table).iterrows():
        figures[model] = {
            m: {"mean": row[m, "mean"], "standard_error": row[m, "error"]} for m in metrics.METRICS
        }
    by_scene = table.set_index(["model", "scene"])
    for other in list(networks)[1:]:
        added = by_scene.loc[name] - by_scene.loc[other]
        figures[f"{name} less {other}"] = {
            m: {
                "mean": float(added[m].mean()),
                "standard_error": float(added[m].sem()),
                "p": float(wilcoxon(added[m]).pvalue),
            }
            for m in metrics.METRICS
        }
    return figures


def face_figures(folder, network, prior, count):
    """Share of the mass on eyes, nose and mouth in faces drawn at random: ML-Net, centre prior, uniform."""
    paths = sorted(folder.glob("*.jpg"))
    shares = []
    for i in tqdm(np.random.default_rng(0).permutation(len(paths)), total=count, desc="faces"):
        photo = images.read(paths[i])
        found = faces.detect_faces(photo, min_face_size=60)
        if found:
            near = faces.near_landmarks(found[0])
            (saliency_map,) = saliency.predict_faces(
                faces.crop_face(photo, found[0])[None], network
            )
            shares.append(
                [
                    metrics.mass_within(saliency_map, near),
                    metrics.mass_within(prior, near),
                    near.mean(),
                ]
            )
        if len(shares) == count:
            break
    values = np.array(shares)
    names = ("ML-Net", "centre prior", "uniform")
    mean, error = values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(len(values))
    over = values[:, 0] / values[:, 2]
    return {
        "faces": len(values),
        "share": {
            n: {"mean": float(m), "standard_error": float(e)}
            for n, m, e in zip(names, mean, error, strict=True)
        },
        "over_uniform": {
            "mean": float(over.mean()),
            "standard_error": float(over.std(ddof=1) / np.sqrt(len(over))),
        },
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="mlnet, light, or a file")
    parser.add_argument("--scenes", type=Path, nargs="*", default=[])
    parser.add_argument(
        "--beside", nargs="*", default=[], help="further networks, each as NAME=FILE"
    )
    parser.add_argument("--faces", type=Path)
    parser.add_argument("--count", type=int, default=500, help="faces")
    parser.add_argument("--ship", help="name to store it under in safbage/trained")
    parser.add_argument("--licence", default="research", help="with --ship: of the weights")
    parser.add_argument(
        "--scene-size", type=int, nargs=2, help="with --ship: height and width it shows scenes at"
    )
    args = parser.parse_args()

    further = dict(entry.split("=", 1) for entry in args.beside)
    networks = {"ML-Net": saliency.load(args.model)}
    networks |= {name: saliency.load(of) for name, of in further.items()}
    for folder in args.scenes:
        check_unseen(folder, networks)
    if args.ship:
        tensors, metadata = checkpoints.read_safetensors(args.model)
        blocks = sorted({name.split("_")[0] for name in tensors if name.startswith("conv")})
        description = f"ML-Net: head, prior and {', '.join(blocks) or 'nothing else'} over VGG-16"
        metadata |= {"description": description, "licence": args.licence}
        if args.scene_size:
            metadata["scene_size"] = json.dumps(args.scene_size)
        path = weights.ship(tensors, args.ship, metadata)
        networks["ML-Net"] = saliency.load(path)  # what is measured is what ships
    network = networks["ML-Net"]
    figures = {folder.name.lower(): scene_figures(folder, networks) for folder in args.scenes}
    if args.faces:
        rest = [scene for folder in args.scenes for scene in apart(folder, network)[0]]
        figures["faces"] = face_figures(
            args.faces, network, metrics.centre_prior(rest, MAP_SIZE), args.count
        )
    print(json.dumps(figures, indent=2))
    if args.ship:
        path.with_suffix(".json").write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
