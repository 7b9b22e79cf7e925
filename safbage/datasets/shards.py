"""Reading what `preparation` made: labels as a table, faces and maps as batches for training, never all of them in memory.

prepared = Prepared("prepared/utkface")
train = prepared.batches("gender", rows=prepared.table.split == "train", batch_size=128, seed=0)
model.fit(train)                         # any Keras backend
for inputs, labels in train: ...         # or by hand
"""

import functools
import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd

from safbage import images, saliency
from safbage.datasets.preparation import check_versions, read_labels, read_notes, read_shard
from safbage.datasets.tables import with_labels
from safbage.errors import DatasetError
from safbage.runtime.backend import keras
from safbage.runtime.files import read_json
from safbage.tasks import LABELS

SIDE = 224
"""Of a crop, in pixels."""
BLOCK = 8
"""Shards whose rows are shuffled together; about twice as many are held, encoded: some 40 MB."""


class Prepared:
    """A folder of shards.

    Attributes:
        table: a row per face: the labels, the box that was used, its score, and `shard` and `place` within it.
        provenance: options, versions and weights that the shards were made with.
    """

    def __init__(self, folder: str | Path):
        """Open a folder; FileNotFoundError or DatasetError where it holds no whole shards, or of different making."""
        self.folder = Path(folder)
        self.shards = sorted((self.folder / "shards").glob("part-[0-9][0-9][0-9][0-9][0-9].parquet"))
        if not self.shards:
            raise FileNotFoundError(f"{self.folder} holds no prepared faces (shards/part-00000.parquet …)")
        notes = [read_notes(shard) for shard in self.shards]
        check_versions({str(shard): note["versions"] for shard, note in zip(self.shards, notes, strict=True)})
        made = {json.dumps([note["options"], note["weights"]], sort_keys=True) for note in notes}
        if len(made) > 1:
            raise DatasetError(f"the shards of {self.folder} were made with {len(made)} different options or weights")
        self.provenance = {name: notes[0][name] for name in ("options", "versions", "weights")}
        self._check_whole()
        parts = []
        for number, shard in enumerate(self.shards):
            part = read_labels(shard)
            try:
                part = with_labels(part)
            except DatasetError as error:
                raise DatasetError(f"{shard}: {error}; mend the table and prepare again into another folder") from error
            parts.append(part.assign(shard=number, place=np.arange(len(part))))
        self.table = pd.concat(parts, ignore_index=True)
        if self.table.row.duplicated().any():
            raise DatasetError(f"{self.folder} holds some faces twice: a shard was copied; delete the shards and prepare again")
        self._encoded = functools.lru_cache(2 * BLOCK)(self._read_shard)

    def _check_whole(self):
        """Refuse a preparation that was not finished."""
        settings = self.folder / "settings.json"
        count = read_json(settings, dict).get("shards") if settings.exists() else len(self.shards)
        if len(self.shards) != count:
            raise DatasetError(f"{self.folder} has {len(self.shards)} of {count} shards: run the preparation to its end first")

    def __len__(self):
        return len(self.table)

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the shards' bytes, so of crops, maps and labels; read once (a second per GB or two)."""
        total = hashlib.sha256()
        for shard in self.shards:
            with open(shard, "rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
        return total.hexdigest()

    def _read_shard(self, number):
        part = read_shard(self.shards[number], ["crop", "map"])
        return part["crop"].to_pylist(), part["map"].to_pylist()

    def faces(self, rows) -> tuple[np.ndarray, np.ndarray]:
        """Crops (N×224×224×3 uint8) and maps (N×28×28 float32) of rows of `table`, by position, in that order.

        Raises:
            DatasetError: a shard is damaged, or holds something else; the message names it.
        """
        faces = [self._face(*at) for at in zip(self.table.shard.iloc[rows], self.table.place.iloc[rows], strict=True)]
        crops, maps = zip(*faces, strict=True)
        return np.stack(crops), np.stack(maps).astype("float32")

    def _face(self, number, place):
        crops, maps = self._encoded(number)
        try:
            return _crop(crops[place]), np.frombuffer(maps[place], "float16").reshape(saliency.MAP_SIZE)
        except ValueError as error:
            raise DatasetError(f"{self.shards[number]} holds no face and map at place {place} ({error})") from error

    def codes(self, task: str) -> np.ndarray:
        """The labels of a task ("age", "gender", "expression") as the numbers of its classes; −1 where there is none."""
        column = LABELS.get(task)
        if column not in self.table:
            raise DatasetError(f"{self.folder} has no labels {task!r}")
        return with_labels(self.table[[column]])[column].cat.codes.to_numpy("int64")

    def batches(
        self, task: str, *, rows=None, batch_size: int = 32, ratio: float = 0.3, seed: int | None = None
    ) -> "FaceBatches":
        """Batches of labelled faces for training or testing.

        Args:
            task: "age_group", "gender" or "expression"; rows without this label are passed over.
            rows: bool for each row of `table`; all by default.
            batch_size: the last batch of an epoch may be smaller.
            ratio: the reweighting ratio that goes along.
            seed: shuffle by it, anew for every epoch; in the table's order where there is none.
        """
        codes = self.codes(task)
        wanted = codes >= 0
        if rows is not None:
            chosen = np.asarray(rows)
            if chosen.dtype != bool or chosen.shape != wanted.shape:
                raise ValueError(f"rows is a bool for each of {len(wanted)} rows; got {chosen.dtype} of shape {chosen.shape}")
            wanted &= chosen
        return FaceBatches(self, codes, np.flatnonzero(wanted), batch_size, ratio, seed)


def _crop(data):
    """A stored crop. Its size is read first: what a shard claims to be a face is not to fill the memory."""
    height, width = images.size(data)
    if (height, width) != (SIDE, SIDE):
        raise ValueError(f"a crop has {SIDE}×{SIDE} pixels, this one {width}×{height}")
    return images.decode(data)


class FaceBatches(keras.utils.PyDataset):
    """({"face": N×224×224×3 float32 0–255, "map": N×28×28, "ratio": N×1}, labels N int64), a batch at a time."""

    def __init__(self, prepared, codes, rows, batch_size, ratio, seed):
        super().__init__()
        if not len(rows) or batch_size < 1:
            raise ValueError(f"{len(rows)} labelled faces in batches of {batch_size}: nothing to read")
        self.prepared, self.codes, self.rows = prepared, codes, rows
        self.batch_size, self.ratio, self.seed, self.epoch = batch_size, ratio, seed, 0
        self.order = self._order()

    def __len__(self):
        return -(-len(self.rows) // self.batch_size)

    def __getitem__(self, number):
        rows = self.order[number * self.batch_size : (number + 1) * self.batch_size]
        crops, maps = self.prepared.faces(rows)
        ratio = np.full((len(rows), 1), self.ratio, "float32")
        return {"face": crops.astype("float32"), "map": maps, "ratio": ratio}, self.codes[rows]

    def __iter__(self):
        return (self[number] for number in range(len(self)))

    def on_epoch_end(self):
        """Shuffle anew; Keras calls it, and who loops by hand may."""
        self.epoch += 1
        self.order = self._order()

    def _order(self):
        """All rows once: shards in random order, and rows in random order within each block of shards."""
        if self.seed is None:
            return self.rows
        generator = np.random.default_rng((self.seed, self.epoch))
        shard = self.prepared.table.shard.to_numpy()[self.rows]
        position = np.argsort(generator.permutation(len(self.prepared.shards)))
        block = position[shard] // BLOCK
        return self.rows[np.lexsort((generator.random(len(self.rows)), block))]
