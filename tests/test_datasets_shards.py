"""Reading shards: what they hold, and that damage is named."""

import io
import json
import re
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from PIL import Image

from safbage import datasets, images
from safbage.datasets import shards
from safbage.datasets.preparation import Preparation, prepare
from safbage.datasets.shards import Prepared
from safbage.errors import DatasetError, WorkError

FAST = Preparation(detect="box", saliency="light", shard_size=3)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return datasets.synthetic(
        tmp_path_factory.mktemp("drawn"), 9, size=96, progress=False
    ).faces.assign(gender="female")


@pytest.fixture(scope="module")
def prepared(table, tmp_path_factory):
    return prepare(table, tmp_path_factory.mktemp("prepared"), FAST, progress=False)


def test_faces_maps_and_labels_come_by_row(table, prepared):
    crops, maps = prepared.faces([4, 0])
    assert crops.shape == (2, 224, 224, 3) and crops.dtype == np.uint8
    assert maps.shape == (2, 28, 28) and maps.dtype == np.float32
    assert np.array_equal(crops[1], prepared.faces([0])[0][0])
    assert prepared.table.image.tolist() == table.image.tolist() and len(prepared) == 9
    assert prepared.codes("gender").tolist() == [1] * 9
    assert prepared.codes("age").tolist() == table.age_group.cat.codes.tolist()
    with pytest.raises(DatasetError, match="no labels 'hair'"):
        prepared.codes("hair")


def test_failures_are_told(prepared, tmp_path):
    assert list(prepared.failed) == ["image", "row", "reason"] and prepared.failed.empty
    lost = pd.DataFrame({"image": [prepared.table.image[0], str(tmp_path / "none.png")]})
    found = prepare(
        lost, tmp_path / "out", Preparation(detect="none", saliency="light"), progress=False
    )
    assert Prepared(tmp_path / "out").failed.equals(found.failed) and found.failed.row.tolist() == [
        1
    ]
    assert pd.read_parquet(tmp_path / "out" / "failed.parquet").equals(found.failed)


def rewritten(shard, notes=None, **columns):
    """A shard whose columns hold other values, None for none at all, and whose notes are others or its own."""
    table = pq.read_table(shard)
    for name, values in columns.items():
        place = table.schema.get_field_index(name)
        table = (
            table.remove_column(place)
            if values is None
            else table.set_column(place, name, [values])
        )
    kept = table.schema.metadata
    if notes is not None:
        kept = kept | {
            b"safbage": notes if isinstance(notes, bytes) else json.dumps(notes).encode()
        }
    pq.write_table(table.replace_schema_metadata(kept), shard, write_page_checksum=True)


def with_versions(shard, **versions):
    notes = shards.read_notes(shard)
    rewritten(shard, notes | {"versions": notes["versions"] | versions})


def copied(prepared, to):
    folder = shutil.copytree(prepared.folder, to / "copy")
    return folder, sorted((folder / "shards").iterdir())


def test_versions_are_not_mixed(table, prepared, tmp_path):
    """At resume what is left would be made by others; at reading some shards were. Both versions are named."""
    folder, files = copied(prepared, tmp_path)
    for shard in files:
        with_versions(shard, numpy="1.2.3")
    assert Prepared(folder).provenance["versions"]["numpy"] == "1.2.3"
    assert len(prepare(table, folder, FAST, progress=False)) == 9  # nothing is left to make
    files[1].unlink()
    both = rf"numpy 1\.2\.3.*numpy {np.__version__}.*another folder"
    with pytest.raises(DatasetError, match=both):
        prepare(table, folder, FAST, progress=False)
    assert not files[1].exists()
    shutil.copy(prepared.folder / "shards" / files[1].name, files[1])
    with pytest.raises(DatasetError, match=both):
        Prepared(folder)


def cut_rows(shard):
    table = pq.read_table(shard)
    pq.write_table(table.slice(0, len(table) - 1), shard)


def flip_a_bit(shard):
    content = bytearray(shard.read_bytes())
    content[content.find(b"\xff\xd8\xff") + 3000] ^= 4  # within the first JPEG
    shard.write_bytes(content)


def zero_a_page(shard):
    content = bytearray(shard.read_bytes())
    start = content.find(b"\xff\xd8\xff")
    content[start : start + 4096] = bytes(4096)
    shard.write_bytes(content)


@pytest.mark.parametrize("damage", [cut_rows, flip_a_bit, zero_a_page])
def test_damage_within_a_shard_is_named_and_mended(table, prepared, tmp_path, damage):
    folder, files = copied(prepared, tmp_path)
    damage(files[0])
    with pytest.raises(DatasetError, match=r"part-00000\.parquet is damaged"):
        opened = Prepared(folder)
        opened.faces(np.arange(len(opened)))
    prepare(table, folder, FAST, progress=False)
    assert [file.read_bytes() for file in files] == [file.read_bytes() for file in prepared.shards]


@pytest.mark.parametrize(
    "notes, columns",
    [
        *((notes, {}) for notes in ([], {}, 5, None, b"{", b"\xff", [[]])),
        *(({"rows": rows}, {}) for rows in (None, 5, [0], [0, "2"], [0, 1], {})),
        *(
            ({"failed": failed}, {})
            for failed in (None, {}, [5], [{}], [{"image": "a", "row": "2", "reason": "b"}])
        ),
        *(({name: 5}, {}) for name in ("options", "versions", "weights")),
        *(("own", {name: None}) for name in ("image", "row", "box_left", "score", "crop", "map")),
        *(("own", {name: [None, None]}) for name in ("image", "row", "crop", "map")),
        *(("own", {name: [b"", b"x" * 100]}) for name in ("crop", "map")),
    ],
)
def test_a_shard_of_odd_content_is_named(prepared, tmp_path, notes, columns):
    folder, files = copied(prepared, tmp_path)
    own = shards.read_notes(files[0])
    count = pq.read_metadata(files[0]).num_rows
    columns = {name: values and (values * 3)[:count] for name, values in columns.items()}
    changed = own if notes == "own" else own | notes if isinstance(notes, dict) and notes else notes
    rewritten(
        files[0],
        json.dumps(changed).encode() if not isinstance(changed, bytes) else changed,
        **columns,
    )
    with pytest.raises(DatasetError, match=r"part-00000\.parquet"):
        opened = Prepared(folder)
        opened.faces(np.arange(len(opened)))


@pytest.mark.parametrize(
    "content", ["5", "[]", "null", "{", "", '{"shards": null}', '{"shards": "4"}', "\x00"]
)
def test_odd_settings_of_a_folder_are_told(table, prepared, tmp_path, content):
    folder, _ = copied(prepared, tmp_path)
    (folder / "settings.json").write_text(content)
    for use in (lambda: Prepared(folder), lambda: prepare(table, folder, FAST, progress=False)):
        with pytest.raises((DatasetError, WorkError), match=re.escape(str(folder))):
            use()


def test_a_huge_crop_is_refused_by_its_header(prepared, tmp_path, monkeypatch):
    folder, files = copied(prepared, tmp_path)
    count = pq.read_metadata(files[0]).num_rows
    buffer = io.BytesIO()
    Image.new("1", (13300, 13300)).save(buffer, "png")
    rewritten(files[0], crop=[buffer.getvalue()] * count)
    monkeypatch.setattr(images, "decode", None)  # decoding it would fail
    with pytest.raises(DatasetError, match=r"part-00000\.parquet .*13300×13300"):
        Prepared(folder).faces([0])


def test_a_shard_with_an_unknown_label_is_named(prepared, tmp_path):
    folder = shutil.copytree(prepared.folder, tmp_path / "copy")
    shard = folder / "shards" / "part-00001.parquet"
    count = pq.read_metadata(shard).num_rows
    rewritten(shard, gender=["Female"] * count)
    with pytest.raises(
        DatasetError, match=r"part-00001\.parquet: gender is one of male, female; got 'Female'"
    ):
        Prepared(folder)
    opened = Prepared(prepared.folder)
    opened.table["gender"] = "Female"
    with pytest.raises(DatasetError, match="got 'Female'"):
        opened.codes("gender")


def test_folders_without_shards_and_mixed_ones_are_refused(prepared, tmp_path):
    with pytest.raises(FileNotFoundError, match="no prepared faces"):
        Prepared(tmp_path)
    (tmp_path / "shards").mkdir()
    for n, margin in enumerate((0.3, 0.4)):
        part = pq.read_table(prepared.folder / "shards" / "part-00000.parquet")
        notes = json.loads(part.schema.metadata[b"safbage"]) | {"options": {"margin": margin}}
        others = part.schema.metadata | {b"safbage": json.dumps(notes).encode()}
        pq.write_table(part.replace_schema_metadata(others), shards.path_of(tmp_path, n))
    with pytest.raises(DatasetError, match="2 different options"):
        Prepared(tmp_path)
