"""How outputs of a study came to be: their provenance, wherever each keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue
from upath import UPath

from hcs.errors import HcsError, InputError
from hcs.io.files.atomic import read_json
from hcs.io.files.paths import as_path
from hcs.io.plates.reader import PlateReader


@dataclass(frozen=True, slots=True)
class Record:
    """How one output came to be."""

    file: str
    provenance: Mapping[str, Any]


def list_plate_records(reader: PlateReader) -> list[Record]:
    """List what the stages left in a plate; nothing of one of another version, used in place."""
    file = f"plates/{as_path(reader.path).name}"
    try:
        described = read_json(as_path(reader.path) / "zarr.json")
    except HcsError:
        return []
    attributes = described.get("attributes", {}) if isinstance(described, dict) else {}
    stages: Mapping[str, Any] = attributes.get("hcs", {})
    return [Record(file, made) for made in stages.values() if isinstance(made, dict)]


def read_json_provenance(path: UPath) -> dict[str, JsonValue]:
    """Read the provenance that a manifest holds; empty where it holds none.

    Raises
    ------
    InputError
        When it is no mapping.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        msg = f"{path} holds no mapping"
        raise InputError(msg)
    found = content.get("provenance", {})
    return dict(found) if isinstance(found, dict) else {}
