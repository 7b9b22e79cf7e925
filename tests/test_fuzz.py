"""Some 460 spoilt pictures, films, arrays, weights, shards, settings, tables, lists of boxes and of pairs: each ends in its row, or in the library's own error.

Drawn by a seed, which is printed; ``SAFBAGE_FUZZ_SEED=7`` draws others.
"""

import json
import os
import subprocess
import sys

import pytest
from conftest import REPOSITORY

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is measured by Linux's means"),
]
SEED = os.environ.get("SAFBAGE_FUZZ_SEED", "2019")
SECONDS = 240
"""For all items of a kind, on a busy machine."""
KINDS = {  # how many, what they may end in, and megabytes of a process that does it
    "pictures": (64, {"ImageError"}, 300),
    "photos": (24, set(), 2500),
    "arrays": (60, {"ImageError"}, 300),
    "films": (80, {"FilmError"}, 600),
    "weights": (48, {"CheckpointError"}, 1500),
    "shards": (24, {"DatasetError", "WorkError", "FileNotFoundError"}, 2500),
    "settings": (40, {"WorkError"}, 2000),
    "tables": (24, {"DatasetError"}, 2000),
    "boxes": (60, {"DatasetError", "FileNotFoundError"}, 2000),
    "pairs": (40, {"DatasetError"}, 2000),
}


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_read_ends_well(kind, tmp_path):
    count, errors, megabytes = KINDS[kind]
    print(f"SAFBAGE_FUZZ_SEED={SEED}")
    command = [
        sys.executable,
        str(REPOSITORY / "tests" / "fuzzing.py"),
        kind,
        SEED,
        str(count),
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr[-2000:]
    *items, used = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))
    assert len(items) == count
    assert {
        item["item"]: item["outcome"] for item in items if item["outcome"] not in {"read", *errors}
    } == {}
    assert used["megabytes"] < megabytes
