"""Reads metadata documents of a Zarr hierarchy, many at a time and without opening its groups.

To open a group costs zarr-python some milliseconds, a plate of 384 wells and 9 fields has 4,000 of
them and more arrays. Here each document is read once, by threads that wait together.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from hcs.domain.limits import METADATA_BYTES
from hcs.errors import InputError
from hcs.io.files import objects
from hcs.io.files.edge import open_regular, read_at_most
from hcs.io.files.paths import as_path, is_local

_AT_ONCE: Final = 16
"""Threads; a document is a few kilobytes, so reading one is all waiting."""

_BATCH: Final = 512

_A_TASK: Final = 32
"""Documents that a thread reads in a row: handing over one costs as much as reading it."""

Told = Callable[[str, int, int], None]
"""Hears what is read, how many more pieces of it are done, and how many there are."""

V3: Final = "zarr.json"


@dataclass(frozen=True, slots=True)
class Document:
    """Metadata of one group or array.

    Attributes
    ----------
    kind
        ``group``, ``array``, ``absent``, or ``damaged``.
    attributes
        User attributes.
    array
        The array's own metadata.
    fault
        Why it is damaged.
    """

    kind: str
    attributes: dict[str, Any]
    array: dict[str, Any]
    fault: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return tuple(int(length) for length in self.array.get("shape", ()))

    @property
    def n_files(self) -> int:
        """Number of files that hold the array when none is left out; 0 where that is not known."""
        grid: Any = self.array.get("chunk_grid")
        try:
            chunks = self.array["chunks"] if grid is None else grid["configuration"]["chunk_shape"]
            lengths = zip(self.shape, chunks, strict=True)
            return math.prod(-(-length // int(chunk)) for length, chunk in lengths)
        except (KeyError, IndexError, TypeError, ValueError, ArithmeticError):
            return 0

    @property
    def is_flat(self) -> bool:
        """Whether the chunks of Zarr v2 lie in one folder, with dots in their names."""
        return "zarr_format" in self.array and self.array.get("dimension_separator", ".") != "/"

    @property
    def dtype(self) -> str | None:
        """Pixel type of the array by NumPy's name, None when it has none."""
        named = self.array.get("data_type", self.array.get("dtype"))
        try:
            return np.dtype(named).newbyteorder("=").name if isinstance(named, str) else None
        except TypeError:
            return None


_OVERSIZE: Final = b"\0larger than any metadata document"

_ABSENT: Final = Document("absent", {}, {})


@dataclass(frozen=True)
class Documents:
    """The metadata documents below a Zarr root, of Zarr v2 or v3."""

    root: str

    @cached_property
    def is_v3(self) -> bool:
        """Whether the root is of Zarr v3."""
        return (as_path(self.root) / V3).exists()

    def read(
        self, paths: Sequence[str], what: str = "documents", told: Told | None = None
    ) -> list[Document]:
        """Read groups or arrays by path, in order; ``told`` hears how many more are done."""
        found: list[Document] = []
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for start in range(0, len(paths), _BATCH):
                batch = paths[start : start + _BATCH]
                found += self._read_batch(batch, pool)
                if told is not None:
                    told(what, len(batch), len(paths))
        return found

    def read_one(self, path: str) -> Document:
        """Read one group or array."""
        return self._read_local(path) if self._local else self._read_remote([path])[0]

    def _names(self, path: str) -> tuple[str, ...]:
        folder = f"{path}/" if path else ""
        if self.is_v3:
            return (f"{folder}{V3}",)
        return tuple(f"{folder}{name}" for name in (".zattrs", ".zarray", ".zgroup"))

    def _read_batch(self, paths: Sequence[str], pool: ThreadPoolExecutor) -> list[Document]:
        if not self._local:
            return self._read_remote(paths)
        pieces = [paths[start : start + _A_TASK] for start in range(0, len(paths), _A_TASK)]
        read = pool.map(lambda piece: [self._read_local(path) for path in piece], pieces)
        return [document for piece in read for document in piece]

    def _read_local(self, path: str) -> Document:
        return _parse(path, {name: self._content(name) for name in self._names(path)})

    def _read_remote(self, paths: Sequence[str]) -> list[Document]:
        root = as_path(self.root)
        wanted = {name: root / name for path in paths for name in self._names(path)}
        contents = objects.read_many(list(wanted.values()))
        return [
            _parse(path, {name: contents.get(str(wanted[name])) for name in self._names(path)})
            for path in paths
        ]

    @cached_property
    def _local(self) -> str:
        """The root as a local path; empty where it lies on an object store."""
        return str(as_path(self.root)) if is_local(as_path(self.root)) else ""

    def _content(self, name: str) -> bytes | None:
        try:
            with open_regular(f"{self._local}/{name}") as stream:
                data = read_at_most(stream, METADATA_BYTES.most + 1)
            return _OVERSIZE if len(data) > METADATA_BYTES.most else data
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except (OSError, InputError) as error:
            return f"\0{error}".encode()  # no JSON begins so: the reason is told with the fault


def _parse(path: str, contents: dict[str, bytes | None]) -> Document:
    documents: dict[str, dict[str, Any]] = {}
    for name, content in contents.items():
        if content is None:
            continue
        try:
            parsed = json.loads(content)
        except (ValueError, RecursionError) as error:
            told = content[1:].decode(errors="replace") if content[:1] == b"\0" else str(error)
            return Document("damaged", {}, {}, f"{name} cannot be read: {told}")
        if not isinstance(parsed, dict):
            return Document("damaged", {}, {}, f"{name} is no JSON object")
        documents[name.rpartition("/")[2]] = parsed
    return _as_document(documents, path)


def _as_document(documents: dict[str, dict[str, Any]], path: str) -> Document:
    if V3 in documents:
        found = documents[V3]
        attributes = found.get("attributes", {})
        kind = str(found.get("node_type"))
        if kind not in {"group", "array"} or not isinstance(attributes, dict):
            return Document("damaged", {}, {}, f"{path}/{V3} describes no group and no array")
        array = found if kind == "array" else {}
    elif ".zarray" in documents or ".zgroup" in documents:
        array = documents.get(".zarray", {})
        kind = "array" if array else "group"
        attributes = documents.get(".zattrs", {})
    else:
        return _ABSENT
    document = Document(kind, attributes, array)
    try:
        _ = document.shape
    except (TypeError, ValueError, ArithmeticError):
        return Document("damaged", {}, {}, f"the shape of {path} is no list of numbers")
    return document


def count_files(array: str) -> int:
    """Count the files of pixels of a local array; one without content is none."""
    return sum(
        sum(
            name != V3 and not name.startswith(".") and os.stat(f"{here}/{name}").st_size > 0  # noqa: PTH116 (thousands of files)
            for name in files
        )
        for here, _, files in os.walk(array)
    )
