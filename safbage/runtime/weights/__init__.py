"""The networks' weights, verified before they are used: those of others are fetched, ours ship.

`registry` lists what is fetched, `fetching` gets and keeps it, and `converting` gives it our names.
`stored` holds what ships. `checkpoints` reads foreign files without running what is in them.
"""

import numpy as np

from safbage.errors import CheckpointError
from safbage.runtime.weights import fetching, stored
from safbage.runtime.weights.fetching import digest, fetch, home, is_cached
from safbage.runtime.weights.registry import REGISTRY, TRUNKS
from safbage.runtime.weights.stored import (
    TRAINED,
    check_shipped,
    save,
    ship,
    shipped_facts,
    shipped_hashes,
    shipped_metadata,
)


def load(name: str) -> dict[str, np.ndarray]:
    """Arrays by name (``"conv1/kernel"``), float32; fetched first where they are not here.

    Args:
        name: a key of `REGISTRY`, or a file of ``safbage/trained`` without its suffix.

    Raises:
        KeyError: neither.
        WeightsError, WorkError: as `fetch`, or a shipped file is damaged.
    """
    if name in REGISTRY:
        return fetching.read(name)
    if name in shipped_hashes():
        return stored.read(name)
    raise KeyError(
        f"no weights named {name!r}; there are {', '.join([*REGISTRY, *shipped_hashes()])}"
    )


def status() -> list[dict]:
    """A row per network's weights, for a table.

    Each has name, state ("whole", "damaged", "absent"), path, bytes, description, source, licence.
    """
    rows = []
    for name, entry in REGISTRY.items():
        about = entry.description, f"{entry.source.file} ({entry.source.size})", entry.licence
        rows.append(_row(name, fetching.path_of(name), is_cached(name), *about))
    for name, whole in check_shipped().items():
        told = shipped_metadata(name) if whole else {"description": "", "licence": ""}
        about = told["description"], "shipped with safbage", told["licence"]
        rows.append(_row(name, stored.path_of(name), whole, *about))
    return rows


def _row(name, path, whole, description, source, licence):
    there = path.is_file()
    return {
        "name": name,
        "state": "whole" if whole else "damaged" if there else "absent",
        "path": str(path),
        "bytes": path.stat().st_size if there else 0,
        "description": description,
        "source": source,
        "licence": licence,
    }


def assign(model, tensors: dict[str, np.ndarray]) -> None:
    """Put arrays into a Keras model by name (``layer/variable``); each must find its place.

    Raises:
        CheckpointError: an array names a layer or variable that the model lacks, or shapes differ.
            Nothing was put in.
        RuntimeError: in a forked process, see `backend.check_process`.
    """
    from safbage.runtime.backend import check_process  # loads Keras, which is here with the model

    check_process()
    places = {f"{layer.name}/{v.name}": v for layer in model.layers for v in layer.weights}
    for name, value in tensors.items():
        if name not in places:
            raise CheckpointError(f"{model.name} has no {name}; it has {', '.join(places)}")
        shape = tuple(places[name].shape)
        if shape != value.shape:
            raise CheckpointError(f"{name} has shape {value.shape}; {model.name} expects {shape}")
    for name, value in tensors.items():
        places[name].assign(value)


def tensors_of(layers) -> dict[str, np.ndarray]:
    """The weights of some layers by name (``layer/variable``), as `assign` takes them."""
    return {f"{layer.name}/{v.name}": np.asarray(v) for layer in layers for v in layer.weights}


__all__ = [
    "REGISTRY",
    "TRAINED",
    "TRUNKS",
    "assign",
    "check_shipped",
    "digest",
    "fetch",
    "home",
    "is_cached",
    "load",
    "save",
    "ship",
    "shipped_facts",
    "shipped_hashes",
    "shipped_metadata",
    "status",
    "tensors_of",
]
