"""End a process at its k-th change of the file system, as a kill would.

Python reports every change before it is made (an audit hook), so the k-th is never made. What
libraries write from C is not seen; hcs writes through Python.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

KILLED = 137
"""Exit status of a process that was ended."""

CHANGES = frozenset(
    {
        "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink",
        "shutil.rmtree",
    }
)  # fmt: skip

LEFTOVER = re.compile(r"\..+\.[0-9a-f]{8}(\.old)?\.tmp|.+\.partial|next|unfinished\.json")
"""Names of what is not whole, or says that something is not."""


def changes_files(event: str, given: tuple[Any, ...], folder: str) -> bool:
    """Whether an audit event changes something below a folder."""
    if event == "open":
        path, mode, flags = given
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        if not writes and not (isinstance(mode, str) and set(mode) & set("wax+")):
            return False
    elif event in CHANGES:
        path = given[0]
    else:
        return False
    return isinstance(path, (str, bytes, os.PathLike)) and os.fsdecode(path).startswith(folder)


def _run(
    work: Callable[..., Any], given: tuple[Any, ...], folder: str, end_at: int, notes: Any
) -> None:
    """Run some work; end at the given change, or count them all."""
    seen = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if changes_files(event, arguments, folder):
            if seen == end_at:
                os._exit(KILLED)
            seen += 1

    sys.addaudithook(hook)
    try:
        work(*given)
    except BaseException:  # noqa: BLE001  (the edge of a process)
        traceback.print_exc()
        os._exit(1)
    notes.send(seen)
    notes.close()
    os._exit(0)


def run_until(
    work: Callable[..., Any], *given: Any, folder: Path, end_at: int = -1, method: str = "fork"
) -> tuple[int, int]:
    """Run work in a process of its own that ends at a change of the file system.

    Parameters
    ----------
    work, given
        A function of the module level.
    folder
        Below which changes count; their paths must begin with it.
    end_at
        Number of the change that is no longer made; negative makes all.
    method
        ``fork``, or ``spawn`` for work that starts threads of its own, such as TensorFlow.

    Returns
    -------
    tuple of int
        Exit status, and how many changes there were (0 when it was ended).
    """
    context = multiprocessing.get_context(method)
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(work, given, str(folder), end_at, sender))  # type: ignore[attr-defined]
    process.start()
    sender.close()
    try:
        n_changes = int(receiver.recv())
    except EOFError:
        n_changes = 0
    process.join()
    return int(process.exitcode or 0), n_changes


def find_leftovers(folder: Path) -> list[str]:
    """Name what is not whole below a folder."""
    found = (path for path in folder.rglob("*") if LEFTOVER.fullmatch(path.name))
    return sorted(str(path.relative_to(folder)) for path in found)
