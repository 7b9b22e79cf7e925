"""What bfloat16 and int8 cost and give: ML-Net, and the network that answers, quantised after training by NNCF, beside float32.

    python benchmarks/quantisation.py FOLDER --mlnet mlnet.xml --answers face-mobilenet.xml [--calibrate 32] [--faces 200]

The files are OpenVINO's, as safbage keeps them in `deployed` beside its weights. FOLDER holds portraits; the surest face of each
is cropped, and the faces for calibration are none of those that are compared. All networks see each batch in turn, so that a
machine that drifts drifts for all. bfloat16 is float32 where the processor has none. Needs `pip install nncf openvino`. Prints JSON; the ratios are the figures to quote.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from safbage import faces, images, reweighting

RATIO = 0.3


def crops_of(folder, count):
    """Crops (N×224×224×3 uint8) of the surest face of `count` photos, spread evenly, without those where none is found."""
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    crops = []
    for path in tqdm(paths[:: max(1, len(paths) // count)][:count], desc="faces"):
        photo = images.read(path)
        if found := faces.detect_faces(photo):
            crops.append(faces.crop_face(photo, found[0]))
    return np.stack(crops)


def quantised(network, rows):
    """A copy of a network in int8, calibrated on an input's rows."""
    import nncf

    dataset = nncf.Dataset([{"face": row[None]} for row in rows])
    return nncf.quantize(network, dataset, subset_size=len(rows))


def in_precisions(network, rows):
    """The network run in float32, in bfloat16, and in int8 calibrated on these rows."""
    return {
        "float32": runner(network, "f32"),
        "bfloat16": runner(network, "bf16"),
        "int8": runner(quantised(network, rows), "f32"),
    }


def runner(network, precision):
    import openvino

    options = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    compiled = openvino.compile_model(network, "CPU", options)
    names = [port.get_any_name() for port in compiled.outputs]
    return lambda batch: dict(zip(names, compiled({"face": batch}).values(), strict=True))


def in_turn(networks, rows, sizes):
    """Outputs of each network, and milliseconds a row at each batch size, the networks one after the other on each batch."""
    outputs = {name: [] for name in networks}
    milliseconds = {name: {} for name in networks}
    for size in sizes:
        seconds = {name: [] for name in networks}
        for start in tqdm(range(0, len(rows) - size + 1, size), desc=f"batches of {size}"):
            for name, run in networks.items():
                before = time.perf_counter()
                found = run(rows[start : start + size])
                seconds[name].append((time.perf_counter() - before) / size)
                if size == sizes[0]:
                    outputs[name].append({key: value.copy() for key, value in found.items()})
        for name in networks:
            milliseconds[name][size] = 1000 * float(np.median(seconds[name][1:]))
    joined = {
        name: {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        for name, parts in outputs.items()
    }
    return joined, milliseconds


def speed(milliseconds):
    """By way of computing and batch size, milliseconds a row, and how many times as fast as float32."""
    return {
        name: {
            f"batch_{size}": {
                "ms": round(own, 1),
                "times_as_fast": round(milliseconds["float32"][size] / own, 2),
            }
            for size, own in by_size.items()
        }
        for name, by_size in milliseconds.items()
    }


def correlations(maps, others):
    return np.array(
        [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(maps, others, strict=True)]
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mlnet", type=Path, required=True)
    parser.add_argument("--answers", type=Path, required=True)
    parser.add_argument("--calibrate", type=int, default=32)
    parser.add_argument("--faces", type=int, default=200)
    args = parser.parse_args()
    import openvino

    core = openvino.Core()
    mlnet, answers = core.read_model(args.mlnet), core.read_model(args.answers)
    crops = crops_of(args.folder, args.calibrate + args.faces)
    places = np.linspace(0, len(crops) - 1, args.calibrate).astype(int)
    known, unseen = crops[places], np.delete(crops, places, axis=0)

    mlnets = in_precisions(mlnet, known)
    found, mlnet_ms = in_turn(mlnets, unseen, (1, 4))
    maps = {name: outputs["map"] for name, outputs in found.items()}
    agreement = {name: correlations(maps["float32"], maps[name]) for name in maps}

    def darkened(rows, its_maps):
        return reweighting.reweight(rows, its_maps, ratio=RATIO, rounded=False)

    known_maps = np.concatenate([mlnets["float32"](crop[None])["map"] for crop in known])
    networks = in_precisions(answers, darkened(known, known_maps))
    told, answers_ms = in_turn(networks, darkened(unseen, maps["float32"]), (1, 4))
    for name in ("bfloat16", "int8"):
        alone = {"float32": networks["float32"]}
        told[f"float32, of {name} maps"] = in_turn(alone, darkened(unseen, maps[name]), (1,))[0][
            "float32"
        ]
    result = {
        "faces": len(unseen),
        "calibrated_on": len(known),
        "mlnet": speed(mlnet_ms),
        "mlnet_cc_with_float32": {
            name: {"mean": float(values.mean()), "least": float(values.min())}
            for name, values in agreement.items()
        },
        "answers": speed(answers_ms),
        "share_of_answers_changed": {
            way: {
                task: float(np.mean(outputs[task].argmax(1) != told["float32"][task].argmax(1)))
                for task in ("age", "gender", "expression")
            }
            for way, outputs in told.items()
        },
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    sys.exit(main())
