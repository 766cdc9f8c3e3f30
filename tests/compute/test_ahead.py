"""Items made ahead come in order, not too many of them, and errors in the place of their item."""

from __future__ import annotations

import threading

import pytest

from hcs.compute.ahead import ahead


@pytest.mark.parametrize("number", [0, 1, 2, 7])
def test_all_items_come_in_their_order(number):
    assert list(ahead(iter(range(number)), 2)) == list(range(number))


def test_items_are_made_in_another_thread_and_not_too_many():
    made: list[str] = []
    third = threading.Event()

    def making():
        for number in range(9):
            made.append(threading.current_thread().name)
            if number == 2:
                third.set()
            yield number

    items = ahead(making(), 2)
    assert next(items) == 0
    assert third.wait(5)  # 1 and 2 come without being asked for
    assert len(made) == 3
    assert all(name.startswith("ahead") for name in made)
    items.close()


def test_an_error_comes_where_its_item_would_have():
    def making():
        yield 1
        raise OSError("gone")

    items = ahead(making(), 3)
    assert next(items) == 1
    with pytest.raises(OSError, match="gone"):
        next(items)
