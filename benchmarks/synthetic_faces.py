"""Are the drawn faces faces to MTCNN, and can AlexNet learn their gender and expression from 800 of them?

    python benchmarks/synthetic_faces.py --work /tmp/drawn

Draws 1,000 faces, detects them, trains AlexNet-GAP (conv1–conv4 frozen; conv5 and softmax learn) on the crops of 800, each as
it is and mirrored, and tests it on the 200 others. No saliency is involved. Prints rates, accuracies and seconds.
"""

import argparse
import json
import time
from pathlib import Path

import keras
import numpy as np
from tqdm.auto import tqdm

from safbage import classifiers, datasets, faces, images

TESTED = 200


def cut(classes):
    """AlexNet-GAP with ImageNet's convolutions, as conv1–conv4 and the rest."""
    return classifiers.split_at(
        classifiers.classifier("alexnet-gap", classes, dropout=0.0), "conv5"
    )


def accuracy(features, labels, classes, epochs=12):
    """Of conv5 and softmax trained on all but the last `TESTED` faces; features N×2×13×13×256, the second of each mirrored."""
    answers = cut(classes)[1]
    answers.compile(keras.optimizers.AdamW(5e-4), loss="sparse_categorical_crossentropy")
    train = slice(0, len(labels) - TESTED)
    x, y = features[train].reshape(-1, *features.shape[2:]), np.repeat(labels[train], 2)
    answers.fit(x, y, batch_size=64, epochs=epochs, verbose=0)
    predicted = answers.predict(features[-TESTED:, 0], verbose=0).argmax(axis=1)
    return float((predicted == labels[-TESTED:]).mean())


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="folder for the pictures")
    args = parser.parse_args()
    keras.utils.set_random_seed(0)
    start = time.perf_counter()
    table = datasets.synthetic(args.work, 1000, seed=0).faces
    drawing = time.perf_counter() - start
    crops, sure = [], []
    for image in tqdm(table.image, desc="detecting"):
        picture = images.read(image)
        found = faces.detect_faces(picture, min_face_size=50)
        sure.append(bool(found) and found[0].score >= 0.9)
        crops.append(faces.crop_face(picture, found[0]) if found else None)
    kept = np.array([crop is not None for crop in crops])
    crops, table = np.stack([crop for crop in crops if crop is not None]), table[kept]

    start = time.perf_counter()
    trunk = cut(2)[0]
    parts = [crops[i : i + 50].astype("float32") for i in range(0, len(crops), 50)]
    features = np.concatenate(
        [
            np.stack([trunk.predict_on_batch(p), trunk.predict_on_batch(p[:, :, ::-1])], axis=1)
            for p in tqdm(parts, desc="conv1–conv4")
        ]
    )
    figures = {"detected with 0.9": float(np.mean(sure)), "drawn per second": len(sure) / drawing}
    for task in ("gender", "expression"):
        labels = table[task].cat.codes.to_numpy()
        figures[f"{task} accuracy"] = accuracy(features, labels, len(table[task].cat.categories))
    figures["seconds, both trainings and their features"] = time.perf_counter() - start
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
