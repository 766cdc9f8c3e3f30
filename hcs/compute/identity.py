"""Which code a process runs: the same on the command and on every worker, or the run is refused."""

from __future__ import annotations

import functools
import hashlib
import logging
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from weakref import WeakKeyDictionary

import hcs
from hcs.errors import VersionError

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger(__name__)

_NUMERIC: Final = ("numpy", "scipy", "scikit-image", "numba", "zarr", "tensorflow")
"""Packages that compute or store numbers; another version may change the last digits."""

_CHECKED: Final[WeakKeyDictionary[Client, set[str]]] = WeakKeyDictionary()
"""Workers that were found to run the code of this process."""


class Identity(NamedTuple):
    """The code that a process runs.

    Attributes
    ----------
    version
        Version of hcs.
    code
        SHA-256 over its source files.
    packages
        Versions of Python and of the packages that compute, by name; empty for an absent one.
    """

    version: str
    code: str
    packages: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        """Name the code in a message: ``0.1.0 (code 1f8a0c3d5e7b)``."""
        return f"{self.version} (code {self.code[:12]})"


@functools.cache
def identify() -> Identity:
    """Say which code this process runs; read once, when the modules in memory are those on disk."""
    packages = [("python", platform.python_version())]
    for name in _NUMERIC:
        try:
            packages.append((name, version(name)))
        except PackageNotFoundError:
            packages.append((name, ""))
    return Identity(hcs.__version__, hash_source(Path(next(iter(hcs.__path__)))), tuple(packages))


def hash_source(folder: Path) -> str:
    """SHA-256 over the names and contents of the Python files below a folder."""
    total = hashlib.sha256()
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*.py")}
    for name in sorted(files):
        content = files[name].read_bytes()
        total.update(f"{name}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def check_identity(found: Identity, worker: str, wanted: Identity) -> None:
    """Refuse another code than the command's.

    Raises
    ------
    VersionError
        Naming the worker and both codes.
    """
    if (found.version, found.code) != (wanted.version, wanted.code):
        msg = (
            f"worker {worker} runs another hcs: {found}, the command runs {wanted}; "
            "install the same hcs for both and start the worker again"
        )
        raise VersionError(msg)


def check_workers(client: Client, workers: Iterable[str]) -> None:
    """Ask workers which code they run, each once, and refuse what differs from this process'.

    Other versions of packages that compute are warned of.

    Parameters
    ----------
    client
        Where the workers are.
    workers
        Their addresses; those that are gone meanwhile are left out.

    Raises
    ------
    VersionError
        When a worker runs another hcs, or has none.
    """
    checked = _CHECKED.setdefault(client, set())
    unknown = sorted(set(workers) - checked)
    if not unknown:
        return
    wanted = identify()
    answers = client.run(identify, workers=unknown, on_error="return")
    for worker, found in answers.items():
        if isinstance(found, OSError):  # it has gone
            continue
        if isinstance(found, Exception):
            msg = (
                f"worker {worker} has no hcs, or another one ({type(found).__name__}: {found}); "
                f"install hcs {wanted} there and start the worker again"
            )
            raise VersionError(msg) from found
        check_identity(found, worker, wanted)
        _warn_of_packages(found, worker, wanted)
        checked.add(worker)


def _warn_of_packages(found: Identity, worker: str, wanted: Identity) -> None:
    here = dict(wanted.packages)
    other = [
        f"{name} {there or 'absent'} (here {here.get(name) or 'absent'})"
        for name, there in found.packages
        if there != here.get(name)
    ]
    if other:
        log.warning("worker %s has %s; numbers may differ", worker, ", ".join(other))
