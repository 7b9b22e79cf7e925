"""The saliency metrics beside pysaliency's, on 100 random maps.

    python benchmarks/saliency_metrics.py

Needs pysaliency 0.2.22 (and PyTorch, which it imports), which the project itself does not. Prints the largest difference of each
metric and fails where one exceeds 1e-6. pysaliency has no AUC-Judd or AUC-Borji of its own; its uniform and shuffled AUC take all
pixels, and all given points, as negatives, as `shuffled_auc` does.
"""

import sys

import numpy as np
import pysaliency.metrics
import pysaliency.roc

from safbage.saliency import metrics as ours

if not hasattr(np, "trapz"):
    np.trapz = np.trapezoid  # noqa: NPY201  pysaliency calls it by the name it had before NumPy 2.4


def theirs(map, truth, points, elsewhere):
    columns, rows = np.floor(points).astype(int).T
    others = np.floor(elsewhere).astype(int)
    density, baseline = (
        pysaliency.metrics.convert_saliency_map_to_density(m) for m in (map, truth)
    )
    fixated = np.zeros(map.shape, bool)
    fixated[rows, columns] = True

    def area(positives, negatives):
        return pysaliency.roc.general_roc(
            np.ascontiguousarray(positives), np.ascontiguousarray(negatives)
        )[0]

    return {
        "NSS": pysaliency.metrics.NSS(map, columns, rows).mean(),
        "CC": pysaliency.metrics.CC(map, truth),
        "SIM": pysaliency.metrics.SIM(map, truth),
        "KL": pysaliency.metrics.MIT_KLDiv(map, truth),
        "AUC-Judd": area(map[fixated], map[~fixated]),
        "sAUC": area(map[rows, columns], map[others[:, 1], others[:, 0]]),
        "IG": np.mean(np.log2(density[rows, columns]) - np.log2(baseline[rows, columns])),
    }


def our_values(map, truth, points, elsewhere):
    return {
        "NSS": ours.nss(map, points),
        "CC": ours.cc(map, truth),
        "SIM": ours.sim(map, truth),
        "KL": ours.kl(map, truth),
        "AUC-Judd": ours.auc_judd(map, points),
        "sAUC": ours.shuffled_auc(map, points, elsewhere),
        "IG": ours.information_gain(map, points, truth, uniform=0),
    }


def main():
    largest = {}
    for seed in range(100):
        generator = np.random.default_rng(seed)
        map, truth = generator.random((2, 60, 80)) ** 3
        if seed % 2:
            map = np.round(map, 1)  # many ties, and exact zeros
            map[0, 0] = 1
        points, elsewhere = (generator.uniform((0, 0), (80, 60), (n, 2)) for n in (150, 900))
        if seed % 2:  # information gain at an exact zero is minus infinity there; ours is finite
            points = points[
                map[np.floor(points[:, 1]).astype(int), np.floor(points[:, 0]).astype(int)] > 0
            ]
        a, b = our_values(map, truth, points, elsewhere), theirs(map, truth, points, elsewhere)
        for name in a:
            largest[name] = max(largest.get(name, 0), abs(a[name] - b[name]))
    for name, difference in largest.items():
        print(f"{name:10} {difference:.1e}")
    sys.exit(max(largest.values()) > 1e-6)


if __name__ == "__main__":
    main()
