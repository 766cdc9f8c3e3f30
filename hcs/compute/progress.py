"""How far a run is: stages tell, whoever shows it listens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Listener(Protocol):
    """Shows progress; the command line's is a bar on stderr."""

    def begin(self, label: str, total: int, done: int) -> None:
        """Start a piece of work of ``total`` units of which ``done`` were finished before."""

    def advance(self) -> None:
        """One more unit is finished."""

    def end(self) -> None:
        """Finish the piece of work."""

    def say(self, text: str) -> None:
        """Show a line of text."""


class Silent:
    """Shows nothing."""

    def begin(self, label: str, total: int, done: int) -> None:
        """Show nothing."""

    def advance(self) -> None:
        """Show nothing."""

    def end(self) -> None:
        """Show nothing."""

    def say(self, text: str) -> None:
        """Show nothing."""


_listener: ContextVar[Listener] = ContextVar("hcs_progress", default=Silent())  # noqa: B039 - Silent has no state


def current() -> Listener:
    """Return the listener in force."""
    return _listener.get()


@contextmanager
def show_on(listener: Listener) -> Iterator[None]:
    """Put a listener in force for the block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
