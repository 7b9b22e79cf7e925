"""Cut the faces that the AlexNet-GAP heads are trained on, and predict their saliency maps.

    python training/prepare_faces.py utkface FOLDER --work WORK_FOLDER
    python training/prepare_faces.py fer2013 FOLDER --work WORK_FOLDER

Writes ``faces.csv`` (a row per face: file, labels, split), ``boxes.npy`` (N×4: left, top, width, height; NaN where no face was
found), ``crops.npy`` (N×224×224×3 uint8) and ``maps.npy`` (N×28×28 float16) into WORK_FOLDER. A killed run goes on where it was.
Exact duplicates are removed before the split, wholly where their labels disagree.
"""

import argparse
import hashlib
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from safbage import faces, images, mlnet, saliency, weights
from safbage.classifiers import CLASSES
from safbage.work import keep_settings, resumable, write_whole

AGE_RANGES = ((0, 2), (4, 6), (8, 13), (15, 20), (25, 32), (38, 43), (48, 53), (60, 200))
FER_NAMES = {"angry": "anger"}
FER_TYPICAL_BOX = (4.7, 1.5, 37.8, 45.0)
"""Mean of MTCNN's boxes on FER2013's 48×48 pictures: taken where it finds none (a fifth), so that all are cropped alike."""


def age_group(age: int) -> str | None:
    """Adience's group of an age in years, None in the gaps between the groups."""
    return next((name for name, (low, high) in zip(CLASSES["age"], AGE_RANGES, strict=True) if low <= age <= high), None)


def list_utkface(folder: Path) -> pd.DataFrame:
    """UTKFace by its file names, age_gender_race_time; names that lack a field are left out."""
    rows = []
    for path in sorted(folder.glob("*.jpg")):
        fields = path.name.split("_")
        if len(fields) == 4 and fields[0].isdigit() and fields[1] in {"0", "1"} and fields[2] in set("01234"):
            age, gender, race = map(int, fields[:3])
            rows.append(dict(file=path, age=age_group(age), years=age, gender=CLASSES["gender"][gender], race=race))
    return pd.DataFrame(rows, columns=["file", "age", "years", "gender", "race"]).assign(pool="all")


def list_fer2013(folder: Path) -> pd.DataFrame:
    """FER2013 as train/<class>/ and validation/<class>/; the second is held back for testing."""
    rows = []
    for path in sorted(folder.glob("*/*/*")):
        pool = "test" if path.parts[-3] == "validation" else "train"
        rows.append(dict(file=path, expression=FER_NAMES.get(path.parts[-2], path.parts[-2]), pool=pool))
    return pd.DataFrame(rows)


def without_duplicates(table: pd.DataFrame, labels: list[str]) -> pd.DataFrame:
    """One of each set of pictures with the same pixels, none where their labels disagree."""
    table["pixels"] = [hashlib.sha256(images.read(f).tobytes()).hexdigest() for f in tqdm(table.file, desc="duplicates")]
    agree = table.groupby("pixels")[labels].transform(lambda column: column.nunique(dropna=False)).eq(1).all(axis=1)
    unique = table[agree].drop_duplicates("pixels")
    print(f"{len(table)} pictures; {(~agree).sum()} dropped for conflicting labels, {agree.sum() - len(unique)} as copies")
    return unique.drop(columns="pixels").reset_index(drop=True)


def with_split(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """15 % test (unless the set has its own), 10 % of the rest validation, the rest train; by picture, seeded."""
    draw = np.random.default_rng(seed).random((2, len(table)))
    test = (draw[0] < 0.15) if (table.pool == "all").all() else (table.pool == "test")
    return table.assign(split=np.where(test, "test", np.where(draw[1] < 0.1, "validation", "train"))).drop(columns="pool")


def box_of(dataset: str, path: Path) -> tuple[float, ...]:
    """MTCNN's surest box; NaN where UTKFace shows no face to it."""
    image = images.read(path)
    if dataset == "utkface":
        found = faces.detect_faces(image, min_face_size=60)
        return found[0].box if found else (np.nan,) * 4
    found = faces.detect_faces(images.resize(image, (192, 192)), min_face_size=80)
    return tuple(side / 4 for side in found[0].box) if found else FER_TYPICAL_BOX


def crop_of(path: Path, box: np.ndarray) -> np.ndarray:
    """The pipeline's crop; black where there is no box."""
    if np.isnan(box).any():
        return np.zeros((224, 224, 3), "uint8")
    return faces.crop_face(images.read(path), tuple(box.tolist()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", choices=["utkface", "fer2013"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder for the results (2.5 GB)")
    parser.add_argument("--precision", default="float32", help="of ML-Net; mixed_bfloat16 is faster where the hardware has it")
    args = parser.parse_args()
    weights.fetch()
    keep_settings(args.work, vars(args) | {"mlnet": weights.shipped()["mlnet"]})

    table_path = args.work / "listed.csv"
    if not table_path.exists():
        listed = list_utkface(args.folder) if args.dataset == "utkface" else list_fer2013(args.folder)
        labels = ["years", "gender"] if args.dataset == "utkface" else ["expression"]
        table = with_split(without_duplicates(listed, labels))
        write_whole(table_path, lambda aside: table.to_csv(aside, index=False))
    table = pd.read_csv(table_path)

    files = [Path(file) for file in table.file]

    def boxes_of(part):
        return np.array([box_of(args.dataset, file) for file in files[part]])

    def crops_of(part):
        return np.stack([crop_of(file, box) for file, box in zip(files[part], boxes[part], strict=True)])

    boxes = resumable(args.work / "boxes.npy", (len(table), 4), "float32", boxes_of, 50, "boxes")
    crops = resumable(args.work / "crops.npy", (len(table), 224, 224, 3), "uint8", crops_of, 50, "crops")
    keras.config.set_dtype_policy(args.precision)
    network = mlnet.load()
    resumable(
        args.work / "maps.npy",
        (len(table), *saliency.MAP_SIZE),
        "float16",
        lambda part: saliency.predict_faces(crops[part], network),
        16,
        "saliency maps",
    )
    found = ~np.isnan(boxes).any(axis=1)
    print(f"{(~found).sum()} of {len(table)} pictures without a detected face")
    table.assign(found=found).to_csv(args.work / "faces.csv", index=False)


if __name__ == "__main__":
    main()
