"""Making the next items in a thread while the last one is worked on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Iterable[T], count: int = 2) -> Iterator[T]:
    """Yield the items in their order; up to ``count`` are made before they are asked for.

    Parameters
    ----------
    items
        What makes them, such as a generator that reads and resamples images; it runs in one
        thread of its own, so it needs no locks.
    count
        How many are held in memory at most, beside the one that the caller works on; ≥ 1.

    Yields
    ------
    T
        None for no items. What making an item raises is raised where that item would have come.
    """
    iterator = iter(items)
    end = object()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead") as thread:
        waiting = deque(thread.submit(next, iterator, end) for _ in range(count))
        while (item := waiting.popleft().result()) is not end:
            waiting.append(thread.submit(next, iterator, end))
            yield item  # type: ignore[misc]  # the sentinel is no T, and is not yielded
