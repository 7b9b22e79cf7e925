"""How fast every stage is, as a share of what this machine can do; how predicting a folder compares; memory; cold starts.

    python benchmarks/stages.py [--only stages,engines,peers,folder,memory,cold] [--peers PYTHON] [--output outputs/bench]

The limit is the machine's own rate of float32 matrix products, measured in turn with what is held against it. PyTorch, ONNX
Runtime and OpenVINO run the same weights, and facenet-pytorch looks at the same photos (`--peers` names a Python that has them);
all take turns, round by round, so that a machine that drifts drifts for all. What is not installed is left out, and said so.
Writes ``<kind of machine>.json`` and ``bench.png``; where ``benchmarks/stored`` holds the former, every figure is printed with
its ratio to the one there, and `--store` puts the new ones there.
"""

import argparse
import contextlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import detection
import nbformat
import numpy as np
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import made_films

from safbage import SafBage, classifiers, faces, images, reweighting, saliency
from safbage.errors import ExportError
from safbage.pipeline import answering, batching, deployed
from safbage.runtime import backend, engines
from safbage.runtime.backend import keras

HERE = Path(__file__).parent
SIZES = {"ML-Net": (1, 4, 16), "AlexNet": (1, 4, 16, 64)}
"""Batches; a CPU takes faces by 4 where nobody says otherwise, trainings take them by 64 and more."""
PARTS = ("stages", "engines", "peers", "folder", "memory", "cold")


def machine():
    """Facts that tell one kind of machine from another."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as file:
        names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    versions = {package: version(package) for package in ("keras", "tensorflow", "numpy")}
    return {
        "cpu": name,
        "cores": os.cpu_count(),
        "backend": keras.config.backend(),
        "gpu": backend.has_gpu(),
        **versions,
    }


def seconds(function, rounds=3):
    """The best of some calls after one that is not counted."""
    function()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def matrix_rate(size=2048):
    """GFLOP/s of a float32 matrix product: the better of NumPy's and the backend's."""
    a, b = np.random.default_rng(0).random((2, size, size), "float32")
    x, y = keras.ops.convert_to_tensor(a), keras.ops.convert_to_tensor(b)
    calls = (lambda: a @ b, lambda: keras.ops.convert_to_numpy(keras.ops.matmul(x, y)))
    return max(2 * size**3 / seconds(call, 5) / 1e9 for call in calls)


def gflop(model, side=224):
    """Of one face through a network's convolutions and dense layers."""
    weighty = [layer for layer in model.layers if hasattr(layer, "kernel")]
    probe = keras.Model(model.inputs, [layer.output for layer in weighty])
    outputs = probe([np.zeros((1, side, side, 3), "float32")])
    return (
        sum(
            2 * np.prod(layer.kernel.shape) * np.prod(y.shape[1:-1])
            for layer, y in zip(weighty, outputs, strict=True)
        )
        / 1e9
    )


def photo_of(side, count=1):
    """The embedded photo's face `count` times (a square number), in a square photo."""
    across = int(count**0.5)
    tile = images.resize(images.astronaut()[:400, 56:456], (side // across,) * 2)
    return np.tile(tile, (across, across, 1))


def stages(found, model):
    """Items per second of every stage by itself, and the networks' share of the matrix rate by batch."""
    photo = images.astronaut()
    with tempfile.TemporaryDirectory() as folder:
        file = images.write(Path(folder) / "a.jpg", photo)
        found["read, 512 px, photos/s"] = 1 / seconds(lambda: images.read(file), 20)
    for side in (256, 512, 1024, 2048):
        shown = photo_of(side)
        found[f"detect, {side} px, photos/s"] = 1 / seconds(
            lambda shown=shown: faces.detect_enlarged(shown)
        )
    for count in (4, 16):
        shown = photo_of(1024, count)
        found[f"detect, 1024 px, {count} faces, photos/s"] = 1 / seconds(
            lambda shown=shown: faces.detect_enlarged(shown)
        )
    (face, *_) = faces.detect_enlarged(photo)
    found["crop, faces/s"] = 1 / seconds(lambda: faces.crop_face(photo, face), 20)
    crop = faces.crop_face(photo, face)
    work = {
        "ML-Net": saliency.load().network,
        "AlexNet": classifiers.classifier("alexnet", 8, imagenet=False),
    }
    work |= {
        "classifiers": model.answering.classifier,
        "all after detection": model.answering.network,
    }
    for name, network in work.items():
        for size in SIZES.get(name, SIZES["ML-Net"]):
            inputs = {
                "face": np.repeat(crop[None], size, axis=0),
                "ratio": np.full((size, 1), 0.3, "float32"),
            }
            given = inputs if isinstance(network.input, dict) else inputs["face"]
            before = matrix_rate()
            taken = seconds(lambda network=network, given=given: network.predict_on_batch(given))
            found[f"{name}, batch {size}, faces/s"] = size / taken
            if name in SIZES:
                share = size * gflop(network) / taken / max(before, matrix_rate())
                found[f"{name}, batch {size}, share of the matrix rate"] = share


def tensors(network):
    """A network's weights by name."""
    return {
        f"{layer.name}/{v.name}": keras.ops.convert_to_numpy(v)
        for layer in network.layers
        for v in layer.weights
    }


def has(python, package):
    """Whether a Python is there and has a package."""
    return (
        Path(python).exists()
        and subprocess.run([python, "-c", f"import {package}"], capture_output=True).returncode == 0
    )


def detectors(found, python, rounds):
    """Our detector beside the mtcnn package as it ships, and facenet-pytorch, on one photo; all look for faces of 20 pixels."""
    peer = None
    if has(python, "facenet_pytorch"):
        peer = detection.facenet_pytorch(python)
    else:
        print("left out: facenet-pytorch")
    times = detection.compare([photo_of(512)] * (5 * rounds), peer)["times_ours"]
    for tool, ratio in times.items():
        if tool != "ours":
            found[f"detect, 512 px, times as fast as {tool}"] = ratio


def answering_mlnet():
    """ML-Net as it answers where nobody chooses an engine, in float32; None where Keras answers."""
    engine = answering.fastest()
    if engine == "keras":
        return None
    run = deployed.open("mlnet", engine, "float32")
    return lambda faces_: run({"face": faces_.astype("uint8")})


def networks(found, python, rounds):
    """ML-Net and AlexNet on the same weights, Keras's and every peer's in turn, and ML-Net as it answers; the share of the
    fastest peer that what answers (for AlexNet: what trains) reaches."""
    keras.utils.set_random_seed(0)
    work = {
        "ML-Net": saliency.load().network,
        "AlexNet": classifiers.classifier("alexnet", 8, imagenet=False),
    }
    answers = answering_mlnet()
    with tempfile.TemporaryDirectory() as folder:
        for name, network in work.items():
            np.savez(Path(folder) / f"{name}.npz", **tensors(network))
        command = [python, str(HERE / "network_peers.py"), folder]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as peer:

            def ask(**question):
                peer.stdin.write(json.dumps(question) + "\n")
                peer.stdin.flush()
                return json.loads(peer.stdout.readline())

            there = ask(what="which")
            print("left out:", ", ".join(there["absent"]) or "none", flush=True)
            for name, network in work.items():
                for size in SIZES[name]:
                    faces_ = (
                        np.random.default_rng(0)
                        .integers(0, 256, (size, 224, 224, 3))
                        .astype("float32")
                    )
                    np.save(Path(folder) / "faces.npy", faces_)
                    expected = np.asarray(network.predict_on_batch(faces_))
                    own = {"keras": network.predict_on_batch}
                    if name == "ML-Net" and answers:
                        own["answering"] = answers
                    times = {tool: [] for tool in (*own, *there["there"])}
                    for turn in range(rounds + 1):
                        for tool, call in own.items():
                            start = time.perf_counter()
                            call(faces_)
                            times[tool].append(time.perf_counter() - start)
                        for tool in there["there"]:
                            answer = ask(what="run", tool=tool, network=name)
                            times[tool].append(answer["seconds"])
                            if turn == 0:
                                given = np.load(Path(folder) / "answer.npy").reshape(expected.shape)
                                assert np.allclose(
                                    given, expected, atol=1e-3 * np.abs(expected).max()
                                ), (tool, name)
                    best = {tool: size / min(taken[1:]) for tool, taken in times.items()}
                    for tool, speed in best.items():
                        found[f"{name}, batch {size}, {tool}, faces/s"] = speed
                    fastest = max((best[tool] for tool in there["there"]), default=None)
                    if fastest:
                        ours = best[list(own)[-1]]
                        found[f"{name}, batch {size}, ours to the fastest peer"] = ours / fastest
            peer.stdin.close()


def fill(folder, count):
    """A folder of photos with a face each, of many sizes."""
    photo, generator = images.astronaut(), np.random.default_rng(0)
    for i in range(count):
        height, width = generator.integers(360, 640, 2)
        images.write(folder / f"{i:04}.jpg", images.resize(photo, (int(height), int(width))))


def whole_folder(found, model, count, rounds):
    """Predicting a folder beside its stages one after the other on the same photos in memory, and with more threads.

    Also beside a loop that asks a network for each face and task, as many packages do.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder, count)
        photos = [images.read(file) for file in sorted(folder.iterdir())]

        def back_to_back():
            crops = []
            for photo in photos:
                crops += [faces.crop_face(photo, face) for face in faces.detect_enlarged(photo)]
            model.classify(np.stack(crops))

        def one_by_one():
            for photo in photos:
                for face in faces.detect_enlarged(photo):
                    crop = faces.crop_face(photo, face)[None]
                    maps = saliency.normalize(mlnet.predict(crop, verbose=0)[..., 0])
                    darkened = reweighting.reweight(crop, maps, rounded=False)
                    for network in alone:
                        network.predict(darkened, verbose=0)

        mlnet = saliency.load_default().network
        alone = [classifiers.load_joint((task,)) for task in model.tasks]
        calls = {
            "stages": back_to_back,
            "folder": lambda: model.predict(folder, progress=False),
            "loop": one_by_one,
        }
        times, threads = {name: [] for name in calls}, batching.THREADS
        for turn in range(rounds + 1):
            for what, call in calls.items():
                start = time.perf_counter()
                call()
                if turn:
                    times[what].append(time.perf_counter() - start)
        found["folder, photos/s"] = count / np.median(times["folder"])
        found["folder, to its stages back to back in memory"] = np.median(
            times["stages"]
        ) / np.median(times["folder"])
        found["folder, to a loop by face and task as DeepFace's"] = np.median(
            times["loop"]
        ) / np.median(times["folder"])
        for number in (1, 2, 4):
            batching.THREADS = number
            start = time.perf_counter()
            model.predict(folder, progress=False)
            found[f"folder, {number} reading threads, photos/s"] = count / (
                time.perf_counter() - start
            )
        batching.THREADS = threads


def by_engine(found, count, rounds):
    """One face after detection, a folder of photos with a face each, and a film, by Keras and every engine that is installed, in
    turn."""
    models = {}
    for engine in ("keras", *engines.installed()):
        try:
            models[engine] = SafBage.load(engine=engine)
        except (ExportError, ImportError) as error:
            print(f"left out: {error}")
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as beside:
        folder = Path(name)
        fill(folder, count)
        film = made_films.mixed(Path(beside) / "film.mp4", seconds=10)
        photo = images.astronaut()
        crop = faces.crop_face(photo, faces.detect_enlarged(photo)[0])[None]
        work = {
            "one face after detection": lambda model: model.answer(crop),
            f"folder of {count} faces": lambda model: model.predict(folder, progress=False),
            "film, 10 s of 720p, every 0.5 s": lambda model: model.predict(
                film, every=0.5, progress=False
            ),
        }
        for what, call in work.items():
            times = {engine: [] for engine in models}
            for turn in range(rounds + 1):
                for engine, model in models.items():
                    start = time.perf_counter()
                    call(model)
                    if turn:  # the first is not counted
                        times[engine].append(time.perf_counter() - start)
            for engine, taken in times.items():
                found[f"{what}, {engine}, s"] = min(taken)
                found[f"{what}, {engine}, times as fast as keras"] = min(times["keras"]) / min(
                    taken
                )


def memory(found, count):
    """Resident memory while a folder is predicted (Linux), by the light ML-Net for the sake of time; its curve."""
    model = SafBage.load(saliency="light")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder, min(count, 50))
        for i in range(50, count):
            os.link(folder / f"{i % 50:04}.jpg", folder / f"{i:04}.jpg")
        curve = []
        for _ in tqdm(
            model.explain_each(folder, keep_images=False, progress=False),
            total=count,
            desc="memory",
        ):
            with open("/proc/self/statm") as file:
                curve.append(int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6)
    found["memory after 100 photos, MB"] = max(curve[:100])
    found[f"memory over {count} photos, largest, MB"] = max(curve)
    return curve


STEPS = """
import json, sys, time
taken, last = {}, time.perf_counter()
def step(name):
    global last
    now = time.perf_counter()
    taken[name], last = now - last, now
import tensorflow
step("import tensorflow")
from safbage import SafBage, faces, images
model = SafBage.load()
step("import safbage, load the networks")
photo = images.read(sys.argv[1])
faces.detect_enlarged(photo)
step("first detection")
model.explain(photo)
step("second detection, first answers")
print(json.dumps(taken))
"""
"""Where the time of a cold start goes."""


def cold(found, rounds):
    """Seconds from nothing: `import tensorflow`, `safbage predict` of one photo, and every notebook's cells up to its imports."""
    with tempfile.TemporaryDirectory() as folder:
        photo = images.write(Path(folder) / "a.jpg", images.astronaut())
        calls = {
            "import tensorflow": ["-c", "import tensorflow"],
            "predict": ["-m", "safbage.cli", "predict", str(photo)],
        }
        for engine in ("keras", *engines.installed()):
            calls[f"predict --engine {engine}"] = [*calls["predict"], "--engine", engine]
        for path in sorted((HERE.parent / "notebooks").glob("*.ipynb")):
            cells = [
                cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"
            ]
            last = max((i for i, source in enumerate(cells[:4]) if "import" in source), default=0)
            calls[path.stem] = ["-c", "\n".join(cells[: last + 1])]
        times = {name: [] for name in calls}
        for _ in range(rounds):
            for name, arguments in calls.items():
                start = time.perf_counter()
                subprocess.run(
                    [sys.executable, *arguments], check=True, capture_output=True, cwd=folder
                )
                times[name].append(time.perf_counter() - start)
        steps = subprocess.run(
            [sys.executable, "-c", STEPS, photo],
            check=True,
            capture_output=True,
            text=True,
            cwd=folder,
        )
    for name, taken in times.items():
        found[f"cold start, {name}, s"] = min(taken)
    for step, taken in json.loads(steps.stdout).items():
        found[f"cold start, of it {step}, s"] = taken
    found["cold start, predict beyond import tensorflow, s"] = min(times["predict"]) - min(
        times["import tensorflow"]
    )


def draw(found, curve, path):
    """Shares of the matrix rate by batch, our rate as a share of the fastest peer's, and the memory's curve."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4), layout="constrained")
    *axes, line = figure.subplots(1, 3)
    for ax, key in zip(axes, ("share of the matrix rate", "ours to the fastest peer"), strict=True):
        for name, sizes in SIZES.items():
            points = {size: found.get(f"{name}, batch {size}, {key}", np.nan) for size in sizes}
            ax.plot(list(points), list(points.values()), "o-", label=name)
        ax.axhline(1, color="grey", linewidth=1)
        ax.set(xlabel="faces in a batch", ylabel=key, xlim=(0.8, 80), ylim=(0, 1.2), xscale="log")
        ax.set_xticks(sizes, sizes, minor=False)
        ax.minorticks_off()
        ax.legend(loc="lower right")
    line.plot(np.arange(1, len(curve) + 1), curve)
    line.set(ylabel="resident memory, MB", xlabel="photos", ylim=(0, 1.2 * max(curve, default=1)))
    figure.savefig(path, dpi=90)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument(
        "--peers",
        help="a Python with torch, onnx, onnxruntime, openvino and facenet_pytorch",
        default="none",
    )
    parser.add_argument(
        "--store", action="store_true", help="keep the figures for later runs to be held against"
    )
    parser.add_argument("--output", type=Path, default=Path("outputs/bench"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--photos", type=int, default=48, help="in the folder that is predicted")
    parser.add_argument("--memory-photos", type=int, default=1000)
    args = parser.parse_args()
    parts, found, curve = args.only.split(","), {}, []
    found["matrix product, GFLOP/s"] = matrix_rate()
    model = SafBage.load(engine="keras") if {"stages", "folder"} & set(parts) else None
    if "cold" in parts:
        cold(found, args.rounds)
    if "stages" in parts:
        stages(found, model)
    if "engines" in parts:
        by_engine(found, args.photos, args.rounds)
    if "peers" in parts:
        detectors(found, args.peers, args.rounds)
        if has(args.peers, "torch"):
            networks(found, args.peers, args.rounds)
        else:
            print(
                "left out: PyTorch, ONNX Runtime and OpenVINO; name a Python that has them with --peers"
            )
    if "folder" in parts:
        whole_folder(found, model, args.photos, args.rounds)
    if "memory" in parts:
        curve = memory(found, args.memory_photos)
    found["matrix product again, GFLOP/s"] = matrix_rate()
    report(
        machine(),
        {name: float(f"{value:.4g}") for name, value in found.items()},
        curve,
        args.output,
        store=args.store,
    )


def report(kind, found, curve, output, *, store):
    """Print the figures, beside those of the stored run on the same kind of machine, and write them and the plot."""
    cpu = kind["cpu"].lower().replace("(r)", "")
    label = "-".join([*cpu.split(), str(kind["cores"])])
    stored = HERE / "stored" / f"{label}.json"
    before = json.loads(stored.read_text())["figures"] if stored.exists() else {}
    for name, value in found.items():
        ratio = f"   {value / before[name]:.2f} of {stored.name}" if name in before else ""
        print(f"{name:60} {value:10.4g}{ratio}")
    output.mkdir(parents=True, exist_ok=True)
    (output / stored.name).write_text(
        json.dumps({"machine": kind, "figures": found}, indent=1) + "\n"
    )
    if store:
        stored.write_text(json.dumps({"machine": kind, "figures": before | found}, indent=1) + "\n")
    draw(found, curve, output / "bench.png")
    print(f"written to {output}")


if __name__ == "__main__":
    main()
