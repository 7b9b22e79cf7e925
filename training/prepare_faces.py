"""Cut the faces that the AlexNet-GAP heads are trained on, and predict their saliency maps.

    python training/prepare_faces.py utkface FOLDER --work WORK_FOLDER
    python training/prepare_faces.py fer2013 FOLDER --work WORK_FOLDER

Writes ``faces.csv`` (a row per face: file, labels, split), ``boxes.npy`` (N×4: left, top, width, height; NaN where no face was
found), ``crops.npy`` (N×224×224×3 uint8) and ``maps.npy`` (N×28×28 float16) into WORK_FOLDER. A killed run goes on where it was.
Exact duplicates are removed before the split, wholly where their labels disagree.
"""

import argparse
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from safbage import datasets, faces, images, mlnet, saliency, weights
from safbage.work import keep_settings, resumable, write_whole

FER_TYPICAL_BOX = (4.7, 1.5, 37.8, 45.0)
"""Mean of MTCNN's boxes on FER2013's 48×48 pictures: taken where it finds none (a fifth), so that all are cropped alike."""


def listed(dataset: str, folder: Path) -> pd.DataFrame:
    """The set's pictures and labels, without copies: `file`; of UTKFace `age` (its group), `years`, `gender` and `race` (its
    number in the file names), of FER2013 `expression`; and `pool`, the set's own split.
    """
    read = {"utkface": datasets.utkface, "fer2013": datasets.fer2013}[dataset]
    found = read(folder)
    print(found.report())
    faces = found.faces.rename(columns={"image": "file"})
    if dataset == "fer2013":
        return faces[["file", "expression"]].assign(pool=np.where(faces.split == "test", "test", "train"))
    labels = dict(age=faces.age_group, years=faces.age.astype(int), gender=faces.gender, race=faces.race.cat.codes)
    return faces[["file"]].assign(**labels, pool="all")


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
        table = with_split(listed(args.dataset, args.folder))
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
