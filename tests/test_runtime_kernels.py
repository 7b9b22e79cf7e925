"""Notebooks in kernels: what is tried again, and what is not."""

import papermill
import pytest

from safbage.runtime import kernels


@pytest.fixture
def starts(monkeypatch):
    """In place of papermill: a list of what the starts do, an error or None; and those made."""
    planned, made = [], []

    def execute(*arguments, **options):
        made.append(arguments)
        if planned and (error := planned.pop(0)):
            raise error

    monkeypatch.setattr(papermill, "execute_notebook", execute)
    return planned, made


def died():
    return RuntimeError("Kernel died before replying to kernel_info")


def test_a_kernel_that_dies_before_it_has_begun_is_started_again(starts, tmp_path):
    planned, made = starts
    planned += [died(), died(), None]
    kernels.execute("a.ipynb", "b.ipynb", {}, directory=tmp_path)
    assert len(made) == 3


def test_one_that_never_begins_is_given_up(starts, tmp_path):
    planned, made = starts
    planned += [died() for _ in range(9)]
    with pytest.raises(RuntimeError, match="before replying"):
        kernels.execute("a.ipynb", "b.ipynb", {}, directory=tmp_path)
    assert len(made) == kernels.STARTS


def test_what_fails_in_a_kernel_that_has_begun_is_not_run_twice(starts, tmp_path):
    planned, made = starts
    planned += [RuntimeError("Kernel died"), None]
    with pytest.raises(RuntimeError, match=r"Kernel died$"):
        kernels.execute("a.ipynb", "b.ipynb", {}, directory=tmp_path)
    assert len(made) == 1
