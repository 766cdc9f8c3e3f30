"""Cuts the power at any point of a run: records what it does to files, and makes what may be left.

Python tells of every file that is opened, renamed, made or removed; before each of these the folder
is kept as it is. What was there at the last wait for the disk is certain. Of what came after, any
part may have reached the disk: names without content, new files without old ones, and so on.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

State = dict[str, bytes]

_EVENTS = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"})
_heard: list[Callable[[str, tuple[Any, ...]], None]] = []
_is_hooked = False


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _heard and event in _EVENTS:
        hear = _heard.pop()  # what it does itself is not heard
        try:
            hear(event, arguments)
        finally:
            _heard.append(hear)


@dataclass
class Trace:
    """States of a folder before every step: what is there, and what is surely on the disk."""

    folder: Path
    steps: list[tuple[State, State]] = field(default_factory=list)
    certain: State = field(default_factory=dict)

    def read(self) -> State:
        """Read all files."""
        found = {}
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                found[str(path.relative_to(self.folder))] = path.read_bytes()
        return found

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Keep the state before a step that changes something in the folder."""
        changes = event != "open" or (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)
        name = arguments[0]
        if changes and isinstance(name, str) and name.startswith(str(self.folder)):
            self.keep()

    def keep(self) -> None:
        """Keep the state, if it is another one."""
        state = self.read()
        if not self.steps or self.steps[-1] != (self.certain, state):
            self.steps.append((self.certain, state))

    def sync(self, _: int) -> None:
        """Take all that is there for certain."""
        self.keep()
        self.certain = self.read()


class AtOnce:
    """Does what a thread would do, at once, so that a trace is the same in every run."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def submit(self, do: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Do it."""
        done: Future[Any] = Future()
        done.set_result(do(*arguments))
        return done

    def shutdown(self) -> None:
        """Nothing waits."""


@contextmanager
def traced(folder: Path, monkeypatch: Any) -> Iterator[Trace]:
    """Trace what happens to a folder, every unit being confirmed as soon as it is done."""
    global _is_hooked  # noqa: PLW0603 (a hook stays as long as the process)
    if not _is_hooked:
        sys.addaudithook(_hear)
        _is_hooked = True
    from hcs.compute import confirming
    from hcs.io.files import durable

    trace = Trace(folder)
    trace.certain = trace.read()
    with monkeypatch.context() as patched:
        patched.setenv(durable.SWITCH, "1")
        patched.setattr(durable, "_find_call", lambda: trace.sync)
        patched.setattr(confirming, "ThreadPoolExecutor", AtOnce)
        patched.setattr(confirming, "_SECONDS", -1.0)
        _heard.append(trace.hear)
        try:
            yield trace
        finally:
            _heard.clear()
    trace.keep()


def _keep_names(name: str, before: bytes | None, after: bytes | None, _: random.Random) -> Any:
    return after if after in {None, before} else bytes(len(after or b""))


def _keep_records(name: str, before: bytes | None, after: bytes | None, rng: random.Random) -> Any:
    return after if ".hcs/" in name else _keep_names(name, before, after, rng)


def _mix(name: str, before: bytes | None, after: bytes | None, rng: random.Random) -> Any:
    return rng.choice((before, after, after, b"", bytes(len(after or b""))))


def _lose_all(name: str, before: bytes | None, after: bytes | None, _: random.Random) -> Any:
    return before


LEFT = {
    "nothing new": _lose_all,
    "names without content": _keep_names,
    "records without output": _keep_records,
    "a mixture": _mix,
}
"""What a cut leaves of the changes since the last wait: by name, content before and content now."""


def cut(folder: Path, step: tuple[State, State], left: str, seed: int) -> None:
    """Make the folder what a cut before this step may leave."""
    certain, now = step
    rng = random.Random(seed)
    shutil.rmtree(folder)
    folder.mkdir()
    for name in sorted(certain.keys() | now.keys()):
        before, after = certain.get(name), now.get(name)
        # What was on the disk under another name is whole under its new one, or not there yet.
        is_whole = after is not None and after in certain.values()
        if is_whole and left != "nothing new":
            content = rng.choice((before, after)) if left == "a mixture" else after
        else:
            content = before if before == after else LEFT[left](name, before, after, rng)
        if content is not None:
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
