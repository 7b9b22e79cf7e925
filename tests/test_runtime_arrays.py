"""Arrays on disk: filled once, resumed where they were killed, and never where there is no place for them."""

import errno
import os

import numpy as np
import pytest
from conftest import files_up_to

from safbage.errors import WorkError
from safbage.runtime import arrays


def test_arrays_on_disk_resume_where_they_were_killed(tmp_path):
    computed = []

    def compute(part, killed_at=None):
        if part.start == killed_at:
            raise KeyboardInterrupt
        computed.append(part.start)
        return np.arange(part.start, part.stop)

    path = tmp_path / "a.npy"
    with pytest.raises(KeyboardInterrupt):
        arrays.fill_array(path, (10,), "int64", lambda part: compute(part, 6), 3, "")
    array = arrays.fill_array(path, (10,), "int64", compute, 3, "")
    assert computed == [0, 3, 6, 9] and array.tolist() == list(range(10))
    assert arrays.fill_array(path, (10,), "int64", None, 3, "").tolist() == list(range(10))


def test_an_array_that_finds_no_place_is_told_and_gone_on_with(tmp_path, monkeypatch):
    path = tmp_path / "a.npy"

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with (
        pytest.raises(
            WorkError, match=r"a\.npy cannot be written .*free some of it: the same call goes on"
        ),
        files_up_to(999),
    ):
        arrays.fill_array(path, (4000,), "int64", lambda part: 1, 1000, "", progress=False)
    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(WorkError, match="No space left"):
        arrays.fill_array(path, (4000,), "int64", lambda part: 1, 1000, "", progress=False)
    monkeypatch.undo()
    assert not list(tmp_path.iterdir())
    assert (
        arrays.fill_array(path, (4000,), "int64", lambda part: 1, 1000, "", progress=False).sum()
        == 4000
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows does not tell the blocks of a file")
def test_an_array_has_its_place_before_it_is_filled(tmp_path):
    """A sparse file would end in SIGBUS, without a message, where the disk is full."""
    path = tmp_path / "a.npy"

    def killed(part):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        arrays.fill_array(path, (200_000,), "int64", killed, 3, "", progress=False)
    assert path.stat().st_blocks * 512 >= path.stat().st_size > 1_600_000


def test_where_nothing_allocates_zeros_are_written(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    array = arrays.fill_array(
        tmp_path / "a.npy", (50_000,), "int64", lambda part: 7, 50_000, "", progress=False
    )
    assert array.tolist() == [7] * 50_000
    with pytest.raises(WorkError, match="cannot be written"), files_up_to(999):
        arrays.fill_array(
            tmp_path / "b.npy", (4000,), "int64", lambda part: 1, 1000, "", progress=False
        )


@pytest.mark.parametrize("odd", ["", "abc", "-3", "11", 5000 * "1", "[3]", "\x00"])
def test_an_odd_count_of_rows_is_named(tmp_path, odd):
    arrays.fill_array(tmp_path / "a.npy", (10,), "int64", lambda part: 0, 3, "", progress=False)
    (tmp_path / "a.done").write_text(odd)
    with pytest.raises(WorkError, match=r"a\.done is damaged"):
        arrays.fill_array(tmp_path / "a.npy", (10,), "int64", lambda part: 0, 3, "", progress=False)


def test_a_damaged_array_is_named(tmp_path):
    arrays.fill_array(tmp_path / "a.npy", (1000,), "int64", lambda part: 0, 300, "", progress=False)
    whole = (tmp_path / "a.npy").read_bytes()
    for damage in (b"", b"x" * 500, whole[:-1000]):
        (tmp_path / "a.npy").write_bytes(damage)
        with pytest.raises(WorkError, match=r"a\.npy is damaged"):
            arrays.fill_array(
                tmp_path / "a.npy", (1000,), "int64", lambda part: 0, 300, "", progress=False
            )


def test_arrays_of_another_shape_are_not_gone_on_with(tmp_path):
    arrays.fill_array(tmp_path / "a.npy", (10,), "int64", lambda part: 0, 3, "")
    with pytest.raises(WorkError, match="another folder"):
        arrays.fill_array(tmp_path / "a.npy", (11,), "int64", lambda part: 0, 3, "")


def test_a_shape_of_numpys_integers_can_be_resumed(tmp_path):
    shape = (4, np.int64(2))
    arrays.fill_array(tmp_path / "a.npy", shape, "int64", lambda part: 1, 3, "")
    assert arrays.fill_array(tmp_path / "a.npy", shape, "int64", None, 3, "").sum() == 8
