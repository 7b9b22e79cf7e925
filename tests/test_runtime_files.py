"""Files and folders, whole or not at all; fingerprints."""

import hashlib
import os
import subprocess
import sys

import pytest

from safbage.runtime import files


def test_files_are_written_whole_or_not_at_all(tmp_path):
    (tmp_path / "a").write_text("before")

    def half(aside):
        aside.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        files.write_whole(tmp_path / "a", half)
    assert (tmp_path / "a").read_text() == "before"


def test_a_folder_is_filled_once_whole_or_not_at_all(tmp_path):
    filled = []

    def fill(aside):
        filled.append(aside)
        (aside / "a").write_text("whole")

    def half(aside):
        (aside / "a").write_text("half")
        raise KeyboardInterrupt

    target = tmp_path / "below" / "folder"
    with pytest.raises(KeyboardInterrupt):
        files.fill_whole(target, half)
    assert not list((tmp_path / "below").iterdir())
    for _ in range(2):
        assert files.fill_whole(target, fill) == target
    assert len(filled) == 1 and (target / "a").read_text() == "whole"
    assert [path.name for path in (tmp_path / "below").iterdir()] == ["folder"]


def test_a_folder_that_another_process_filled_first_stays(tmp_path):
    def late(aside):
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "a").write_text("theirs")
        (aside / "a").write_text("ours")

    assert (files.fill_whole(tmp_path / "folder", late) / "a").read_text() == "theirs"


def test_a_folder_where_nothing_may_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(PermissionError, match=r"cannot write to .*file.*name another folder"):
        files.fill_whole(tmp_path / "file" / "folder", None)


def test_asides_of_processes_that_ended_are_cleared_and_of_running_ones_are_not(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = [f"writing-{ended.pid}-1-a", f"writing-{os.getpid()}-1-a", "writing-mine", "a"]
    for name in names:
        (tmp_path / name).touch()
    files.clear_asides(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])


def test_fingerprints_are_digits_of_the_whole_contents_sha256(tmp_path):
    (tmp_path / "a").write_bytes("é1".encode())
    whole = hashlib.sha256("é1".encode()).hexdigest()
    assert files.sha256(tmp_path / "a") == files.fingerprint("é", b"1", digits=64) == whole
    assert files.fingerprint("é1") == whole[:8]
