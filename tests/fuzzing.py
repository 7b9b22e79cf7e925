"""Files and arrays that nobody would make on purpose, given to all that reads such; a process for each kind (``test_fuzz.py``).

    python tests/fuzzing.py pictures 1 60 FOLDER

prints a line of JSON for each of 60 items drawn by the seed 1: its name, and "read" or the error that it ended in.
"""

import io
import json
import os
import pickle
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

FORMATS = {
    "png": "RGBA",
    "jpg": "RGB",
    "gif": "P",
    "bmp": "L",
    "tiff": "CMYK",
    "webp": "RGBA",
    "ppm": "RGB",
    "ico": "RGBA",
}
JUNK = [
    None,
    5,
    -1.5,
    True,
    "",
    "\ud800",
    [],
    {},
    [1, [2]],
    {"a": {"b": None}},
    2**70,
    float("nan"),
]


def main(kind, seed, count, folder):
    generator, folder = np.random.default_rng(int(seed)), Path(folder)
    for name, call in KINDS[kind](generator, int(count), folder):
        print(json.dumps({"item": name, "outcome": outcome(call)}), flush=True)
    print(json.dumps({"megabytes": peak()}), flush=True)


def peak():
    """Megabytes that this process held at most; Linux tells (`resource` would tell of the one that started it, too)."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) // 1024


def outcome(call):
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "read"


# --- how a file is spoilt -------------------------------------------------------------------------------------------


def spoilt(data: bytes, generator) -> bytes:
    """The bytes with something wrong somewhere: cut, flipped, blanked, repeated, or with foreign ones between."""
    data = bytearray(data)
    at, length = int(generator.integers(len(data))), int(generator.integers(1, 2 + len(data) // 4))
    match generator.integers(6):
        case 0:
            return bytes(data[:at])
        case 1:
            for place in generator.integers(len(data), size=int(generator.integers(1, 20))):
                data[place] ^= 1 << int(generator.integers(8))
        case 2:
            data[at : at + length] = bytes(len(data[at : at + length]))
        case 3:
            data[at:at] = data[at : at + length]
        case 4:
            data[at:at] = generator.bytes(length)
        case 5:  # lengths and counts lie in the first bytes
            place = int(generator.integers(min(200, len(data))))
            data[place : place + 4] = b"\xff" * len(data[place : place + 4])
    return bytes(data)


def picture(suffix: str, generator) -> bytes:
    size = tuple(int(side) for side in generator.integers(1, 80, size=2))
    pixels = generator.integers(0, 256, (*size, 3), dtype="uint8")
    image, buffer = Image.fromarray(pixels).convert(FORMATS[suffix]), io.BytesIO()
    exif = Image.Exif()
    exif[274] = int(generator.integers(0, 12))
    more = {"exif": exif.tobytes()} if suffix in ("jpg", "webp", "png") else {}
    image.save(buffer, {"jpg": "jpeg"}.get(suffix, suffix), **more)
    return buffer.getvalue()


# --- kinds: each yields a name and a call for every item ------------------------------------------------------------


def pictures(generator, count, folder):
    from safbage import images

    for path in write_pictures(generator, count, folder):
        yield path.name, lambda path=path: images.read(path)


def write_pictures(generator, count, folder):
    paths = []
    for i in range(count):
        suffix = list(FORMATS)[i % len(FORMATS)]
        data = picture(suffix, generator)
        path = folder / f"{i:03}.{suffix}"
        path.write_bytes(data if i % 10 == 9 else spoilt(data, generator))
        paths.append(path)
    return paths


def photos(generator, count, folder):
    """The whole way, all at once: each photo its row."""
    from safbage import SafBage

    paths = write_pictures(generator, count, folder)
    table = SafBage.load(saliency="light").predict(folder, progress=False)
    for path in paths:
        rows = table[table.photo == str(path)]

        def told(rows=rows):
            assert len(rows) >= 1 and rows.status.str.match("ok|no face|failed: .").all()

        yield path.name, told


def arrays(generator, count, folder):
    from safbage import images

    kinds = [
        "uint8",
        "uint16",
        "int64",
        "float32",
        "float64",
        "bool",
        "complex64",
        "object",
        "U1",
        "datetime64[s]",
    ]
    for i in range(count):
        shape = tuple(int(n) for n in generator.integers(0, 6, size=int(generator.integers(0, 5))))
        array = np.asarray(generator.normal(size=shape) * 10.0 ** int(generator.integers(-2, 40)))
        with np.errstate(all="ignore"):
            array = array.astype("int64").astype(kinds[i % len(kinds)]) if i % 3 else array
        if i % 7 == 6 and array.dtype.kind == "f" and array.size:
            array.flat[0] = generator.choice([np.nan, np.inf, -np.inf])
        yield f"{array.dtype} {shape}", lambda array=array: images.as_rgb(array)


def weights(generator, count, folder):
    import h5py
    from safetensors.numpy import save

    from safbage import saliency
    from safbage.runtime.weights import checkpoints

    tree = {
        "conv1": {
            "kernel": generator.normal(size=(3, 3, 3, 4)).astype("float32"),
            "bias": np.zeros(4, "float32"),
        }
    }
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"a": 1}))
        archive.writestr("archive/data/0", bytes(16))
    npy = io.BytesIO()
    np.save(npy, np.array(tree, dtype=object), allow_pickle=True)
    hdf = io.BytesIO()
    with h5py.File(hdf, "w") as file:
        file.attrs["layer_names"] = [b"conv"]
        file.create_group("conv").attrs["weight_names"] = [b"w"]
        file["conv"]["w"] = np.zeros((3, 3), "float32")
    whole = {
        "safetensors": (
            save({"a/kernel": np.ones((2, 3), "float16")}, {"digest": "x"}),
            checkpoints.read_safetensors,
        ),
        "pickle": (pickle.dumps(tree), lambda path: checkpoints.read_pickle(path.read_bytes())),
        "npy": (npy.getvalue(), checkpoints.read_npy_dict),
        "pth": (zipped.getvalue(), checkpoints.read_torch),
        "h5": (hdf.getvalue(), checkpoints.read_keras1),
        "mlnet": (save({"conv1_1/kernel": np.ones(5, "float32")}), saliency.load),
    }
    for i in range(count):
        name = list(whole)[i % len(whole)]
        data, read = whole[name]
        path = folder / f"{i:03}.{name}"
        cut = data[
            : int(generator.integers(len(data)))
        ]  # HDF5's own library is not proof against more, and says so
        path.write_bytes(cut if name == "h5" else spoilt(data, generator))
        yield path.name, lambda path=path, read=read: read(path)


def shards(generator, count, folder):
    import shutil

    from safbage import datasets
    from safbage.datasets import preparation
    from safbage.datasets.shards import Prepared

    os.chdir(folder)  # whole paths in the shards would draw other faults in every folder
    table = datasets.synthetic("drawn", 8, progress=False).faces
    table = table.assign(image=[os.path.relpath(image) for image in table.image])
    options = preparation.Preparation(saliency="light", detect="box", shard_size=4)
    whole = preparation.prepare(table, folder / "whole", options, progress=False).folder

    def read(path):
        prepared = Prepared(path)
        prepared.faces(np.arange(len(prepared)))
        prepared.codes("gender")

    for i in range(count):
        copy = folder / f"{i:03}"
        shutil.copytree(whole, copy)
        files = [*sorted((copy / "shards").glob("part-*")), copy / "settings.json"]
        path = files[i % len(files)]
        path.write_bytes(spoilt(path.read_bytes(), generator))
        yield f"{copy.name}/{path.name}", lambda copy=copy: read(copy)
        shutil.rmtree(copy)


def settings(generator, count, folder):
    from safbage import sweep
    from safbage.runtime import work

    def junk(depth=0):
        value = JUNK[int(generator.integers(len(JUNK)))]
        return (
            {str(generator.integers(5)): junk(depth + 1) for _ in range(2)}
            if depth < 2 and generator.random() < 0.4
            else value
        )

    for i in range(count):
        text = json.dumps(junk()).encode()
        data = text if generator.random() < 0.5 else spoilt(text, generator)
        if i % 2:
            place = folder / f"{i:03}"
            place.mkdir()
            (place / "settings.json").write_bytes(data)
            yield (
                f"{place.name}/settings.json",
                lambda place=place: work.keep_settings(place, {"a": 1}),
            )
        else:
            grid = {"A": [1, 2]}
            for name in sweep.plan(grid):
                (folder / f"{i:03}" / name).mkdir(parents=True)
                (folder / f"{i:03}" / name / "point.json").write_text(
                    '{"status": "ok", "seconds": 1}'
                )
                (folder / f"{i:03}" / name / "metrics.json").write_bytes(data)

            def gathered(place=folder / f"{i:03}", grid=grid):
                assert len(sweep.gather(place, grid)) == 2

            yield f"{i:03}/metrics.json", gathered


def tables(generator, count, folder):
    import shutil

    from safbage import datasets

    image = folder / "a.png"
    Image.new("RGB", (9, 9)).save(image)
    rows = "".join(
        f"a.png,{g},{a}\n" for g, a in (("male", 3), ("female", 30), ("f", 61), ('"m"', 8))
    )
    guesses = json.dumps(
        [{"img_path": f"x/train/{i}.png", "age": 30 + i, "std_age": 2.5} for i in range(9)]
    ).encode()
    for i in range(count):
        if i % 3:
            path = folder / f"{i:03}.csv"
            path.write_bytes(spoilt(f"image,gender,age\n{rows}".encode(), generator))
            yield path.name, lambda path=path: datasets.csv(path)
        else:
            place = folder / f"{i:03}"
            (place / "train").mkdir(parents=True)
            shutil.copy(image, place / "train" / "0.png")
            (place / "train_labels.csv").write_text("0.png,30\n")
            (place / "CLAP2016.json").write_bytes(spoilt(guesses, generator))
            yield (
                f"{place.name}/CLAP2016.json",
                lambda place=place: datasets.appareal(place, progress=False),
            )


def boxes(generator, count, folder):
    from safbage.datasets import boxes

    names = ["a.jpg", "b.jpg"]
    for name in names:
        Image.new("RGB", (9, 9)).save(folder / name)
    lists = {
        "txt": "a.jpg\n2\n1 2 3 4 0 0 0 0 0 0\n5 6 7 8 2 1 1 1 2 1\nb.jpg\n0\n0 0 0 0 0 0 0 0 0 0\n",
        "ellipseList.txt": "a\n1\n3.5 2.5 1.26 4.5 4.5 1\nb\n1\n2 1 -1.5 3 3 1\n",
        "csv": "image,left,top,width,height,ignore,pose\na.jpg,1,2,3,4,0,back\nb.jpg,,,,,,\n",
    }
    for i in range(count):
        suffix, text = list(lists.items())[i % len(lists)]
        path = folder / f"{i:03}.{suffix}"
        path.write_bytes(spoilt(text.encode(), generator))
        yield path.name, lambda path=path: boxes.read(folder, path)


def pairs(generator, count, folder):
    from safbage import retrieval

    whole = "2\t2\n" + "Ann\t1\t2\nBo\t1\t3\nAnn\t1\tBo\t2\nCy\t1\tBo\t9\n" * 2
    for i in range(count):
        path = folder / f"{i:03}.{('txt', 'csv')[i % 2]}"
        text = whole if i % 2 == 0 else whole.replace("\t", ",")
        path.write_bytes(spoilt(text.encode(), generator))
        yield path.name, lambda path=path: retrieval.read_pairs(path)


def films(generator, count, folder):
    import made_films

    from safbage.films import frames

    noise = generator.integers(0, 256, (12, 48, 64, 3), "uint8")
    whole = [
        made_films.write(folder / f"whole{suffix}", noise).read_bytes()
        for suffix in (".mp4", ".avi", ".mkv", ".webm")
    ]
    for i in range(count):
        path = folder / f"{i:03}.mp4"
        path.write_bytes(spoilt(whole[i % len(whole)], generator))
        yield path.name, lambda path=path: list(frames(path, every=0))


KINDS = {
    call.__name__: call
    for call in (pictures, photos, films, arrays, weights, shards, settings, tables, boxes, pairs)
}

if __name__ == "__main__":
    main(*sys.argv[1:])
