import os
import subprocess
import sys

import pytest

from safbage.backend import NOTES, quiet_start


def test_known_notes_are_held_back_and_all_else_is_shown(capfd):
    with quiet_start():
        os.write(2, b"I0000 port.cc oneDNN custom operations are on. You may see\nE0000 something is wrong\n")
    assert capfd.readouterr().err == "E0000 something is wrong\n"


def test_an_error_inside_is_raised_and_what_it_wrote_shown(capfd):
    with pytest.raises(RuntimeError, match="inside"), quiet_start():
        os.write(2, b"last words\n")
        raise RuntimeError("inside")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "last words\nafter\n"


def test_the_first_import_is_silent():
    done = subprocess.run([sys.executable, "-c", "import safbage.pipeline"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert not any(note in done.stderr for note in NOTES)
