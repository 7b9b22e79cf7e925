import threading

import pytest

from safbage import parallel


def test_results_come_in_order_whatever_takes_longer():
    first = threading.Event()

    def call(i):
        if i:
            first.set()  # the second is done before the first
        else:
            assert first.wait(60)
        return i * i

    assert list(parallel.ahead(call, range(20), threads=2, limit=4)) == [i * i for i in range(20)]
    assert list(parallel.ahead(call, [], threads=2, limit=4)) == []


def test_no_more_are_begun_than_the_limit():
    begun, reached = [], threading.Event()

    def call(i):
        begun.append(i)
        if len(begun) == 4:  # the first result and, behind it, three more: as many as may be
            reached.set()
        return i

    results = parallel.ahead(call, iter(range(100)), threads=3, limit=3)
    assert next(results) == 0 and reached.wait(60)
    results.close()
    assert begun == sorted(begun) and len(begun) == 4


def test_an_error_comes_in_its_turn_and_ends_the_rest():
    begun = []

    def call(i):
        begun.append(i)
        if i == 2:
            raise LookupError("two")
        return i

    results = parallel.ahead(call, range(100), threads=1, limit=2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(LookupError, match="two"):
        next(results)
    assert len(begun) < 6 and threading.active_count() < 20
