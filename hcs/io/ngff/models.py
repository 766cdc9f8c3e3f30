"""Holds metadata documents against the models of ome-zarr-models, each kind of document once."""

from __future__ import annotations

import copy
import json
import re
import warnings
from collections.abc import Mapping
from typing import Any, Final

from ome_zarr_models.exceptions import ValidationWarning
from ome_zarr_models.v04.hcs import HCSAttrs as Plate04
from ome_zarr_models.v04.image import ImageAttrs as Image04
from ome_zarr_models.v04.well import WellAttrs as Well04
from ome_zarr_models.v05.hcs import HCSAttrs as Plate05
from ome_zarr_models.v05.image import ImageAttrs as Image05
from ome_zarr_models.v05.well import WellAttrs as Well05
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from hcs.domain.ome.images import ome_of

_MODELS: Final[Mapping[str, Mapping[str, Any]]] = {
    "0.4": {"plate": Plate04, "well": Well04, "image": Image04},
    "0.5": {"plate": Plate05, "well": Well05, "image": Image05},
}

_SECTIONS: Final = {"plate": ("plate",), "well": ("well",), "image": ("multiscales", "omero")}
"""What of a document is held against a model; the rest belongs to other programs."""


class ModelChecks:
    """Checks documents of one plate; those that differ in names and windows alone count once.

    A model takes some milliseconds, a plate has thousands of fields, and all are much alike.
    """

    def __init__(self, version: str) -> None:
        self._version = version
        self._known: dict[str, list[str]] = {}

    def faults_of(self, kind: str, attributes: Mapping[str, Any]) -> list[str]:
        """Faults of the document of a ``plate``, ``well`` or ``image``; none for other versions."""
        model = _MODELS.get(self._version, {}).get(kind)
        if model is None:
            return []
        ome = ome_of(attributes)
        document = {key: ome[key] for key in _SECTIONS[kind] if key in ome}
        document = _simplify(document, self._version, kind)
        key = kind + json.dumps(document, sort_keys=True)
        if key not in self._known:
            self._known[key] = _check(model, kind, document)
        return self._known[key]


def _simplify(document: Mapping[str, Any], version: str, kind: str) -> dict[str, Any]:
    """Return a copy without what differs from field to field and is checked in one look.

    Versions are optional in pieces of a plate: where one is absent, it is that of the plate.
    """
    found: dict[str, Any] = copy.deepcopy(dict(document))
    if version != "0.4":
        found["version"] = version
    pieces = [found.get(kind)] if kind != "image" else found.get("multiscales")
    for piece in pieces if isinstance(pieces, list) else []:
        if not isinstance(piece, dict):
            continue
        if version == "0.4" or kind != "image":
            piece.setdefault("version", version)
        if kind == "image" and isinstance(piece.get("name"), str):
            piece["name"] = ""
    omero = found.get("omero")
    channels = omero.get("channels") if isinstance(omero, dict) else None
    for channel in channels if isinstance(channels, list) else []:
        window = channel.get("window") if isinstance(channel, dict) else None
        if isinstance(window, dict):
            channel["window"] = {k: 0 if _is_number(v) else v for k, v in window.items()}
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check(model: Any, kind: str, document: Mapping[str, Any]) -> list[str]:  # noqa: ANN401 (any)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.model_validate(document)
    except ValidationError as error:
        return _say(error, kind)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        return [f"cannot be understood: {error}"]
    return [str(item.message) for item in caught if issubclass(item.category, ValidationWarning)]


def _say(error: ValidationError, kind: str) -> list[str]:
    """One line a fault; where rows and columns contradict wells our own check says more."""
    found: list[str] = []
    for item in error.errors():
        parts = [str(part) for part in item["loc"] if isinstance(part, int) or _is_name(part)]
        place = ".".join(parts).removeprefix(kind).removeprefix(".")
        message = _explain(item)
        lines = message.splitlines()[1:]  # of several the first says only that there are more
        found += [line for line in lines if not line.startswith(("row ", "column "))]
        if not lines:
            found.append(f"{place}: {message}" if place else message)
    return list(dict.fromkeys(found))


def _is_name(part: str) -> bool:
    """Whether a part of a location stands in the file; others name pieces of the model."""
    return re.fullmatch(r"[\w -]+", part) is not None


def _explain(item: ErrorDetails) -> str:
    """Say what is wrong in plain words, with the value where it is a short one."""
    kind, value = item["type"], item["input"]
    found = f" (found {value!r})" if isinstance(value, str | int | float) else ""
    if kind == "missing":
        return "is absent"
    if kind == "string_pattern_mismatch":
        rule = item["ctx"]["pattern"]
        return f"has characters that are not allowed; the rule is {rule}{found}"
    message = item["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = re.sub(r"^(Input|String|List|Tuple|Dictionary) should", "should", message)
    return message if "\n" in message else f"{message}{found}"
