"""Metadata of plates and images of any version as OME-Zarr 0.4, which OMERO can take."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hcs.domain.ome.images import find_axes, ome_of, parse_image
from hcs.domain.ome.plates import ListedImage, ListedWell, PlateMetadata
from hcs.errors import InputError

VERSION: Final = "0.4"

NOTES: Final = "hcs"
"""Attribute that holds what hcs notes and viewers pass over."""

_KINDS: Final = {"t": "time", "c": "channel"}
_KEPT: Final = ("name", "type", "metadata")


def plate_attributes(
    attributes: Mapping[str, Any],
    plate: PlateMetadata,
    wells: Sequence[tuple[ListedWell, Sequence[ListedImage]]],
    notes: Mapping[str, Any],
) -> dict[str, Any]:
    """Attributes of the plate group; rows, columns and indices are made to agree with the wells.

    Parameters
    ----------
    attributes
        Of the source's group.
    plate
        What they say.
    wells
        Wells that are written, with their images.
    notes
        What hcs notes of the plate.
    """
    source = dict(ome_of(attributes)["plate"])
    used = [item.path.split("/") for item, _ in wells]
    rows = _names(plate.rows, [row for row, _ in used])
    columns = _names(plate.columns, [column for _, column in used])
    described = {
        **{key: source[key] for key in ("name", "acquisitions") if key in source},
        "version": VERSION,
        "field_count": max((len(images) for _, images in wells), default=0),
        "rows": [{"name": name} for name in rows],
        "columns": [{"name": name} for name in columns],
        "wells": [
            {
                "path": item.path,
                "rowIndex": rows.index(item.path.split("/")[0]),
                "columnIndex": columns.index(item.path.split("/")[1]),
            }
            for item, _ in wells
        ],
    }
    return {"plate": described, **({NOTES: dict(notes)} if notes else {})}


def _names(declared: Sequence[str], used: Sequence[str]) -> list[str]:
    """Return the declared names, and those that are used without being declared."""
    names = list(dict.fromkeys(declared))
    return names + sorted(set(used) - set(names), key=lambda name: (len(name), name))


def well_attributes(images: Sequence[ListedImage]) -> dict[str, Any]:
    """Attributes of a well group."""
    listed = [
        {"path": image.name}
        | ({} if image.acquisition is None else {"acquisition": image.acquisition})
        for image in images
    ]
    return {"well": {"version": VERSION, "images": listed}}


def image_attributes(
    attributes: Mapping[str, Any], shapes: Sequence[tuple[int, ...]]
) -> dict[str, Any]:
    """Attributes of an image group, or of a label's.

    Parameters
    ----------
    attributes
        Of the source's group.
    shapes
        Of every level, largest first.

    Raises
    ------
    InputError
        When the image is turned or bent, which 0.4 cannot say.
    """
    ome = ome_of(attributes)
    entry = ome["multiscales"][0]
    version = parse_image(attributes).version
    datasets = [
        {
            "path": str(dataset["path"]),
            "coordinateTransformations": _transforms(dataset, shape, shapes[0]),
        }
        for dataset, shape in zip(entry["datasets"], shapes, strict=True)
    ]
    multiscale = {
        **{key: entry[key] for key in _KEPT if key in entry},
        "version": VERSION,
        "axes": [_axis(item) for item in find_axes(entry, version)],
        "datasets": datasets,
    }
    common = entry.get("coordinateTransformations")
    if common and version in {"", "0.4", "0.5"}:
        multiscale["coordinateTransformations"] = common
    found: dict[str, Any] = {"multiscales": [multiscale]}
    if "omero" in ome:
        found["omero"] = ome["omero"]
    if "image-label" in ome:
        found["image-label"] = {**ome["image-label"], "version": VERSION}
    if NOTES in attributes:
        found[NOTES] = attributes[NOTES]
    return found


def _axis(item: Any) -> dict[str, Any]:  # noqa: ANN401  (a name, or a name with type and unit)
    if not isinstance(item, Mapping):
        item = {"name": str(item)}
    name = str(item.get("name"))
    axis = {"name": name, "type": item.get("type") or _KINDS.get(name, "space")}
    if isinstance(item.get("unit"), str):
        axis["unit"] = item["unit"]
    return axis


def _transforms(
    dataset: Mapping[str, Any], shape: Sequence[int], largest: Sequence[int]
) -> list[dict[str, Any]]:
    """One scale and at most one translation, as 0.4 has them."""
    steps = list(dataset.get("coordinateTransformations") or ())
    scale, shift = [1.0] * len(shape), [0.0] * len(shape)
    if not steps:  # versions before 0.4 do not say: levels shrink alike
        scale = [float(round(a / b)) for a, b in zip(largest, shape, strict=True)]
    while steps:
        step = steps.pop(0)
        kind = step.get("type")
        if kind == "sequence":
            steps = [*step["transformations"], *steps]
        elif kind == "scale" and "scale" in step:
            scale = [a * b for a, b in zip(scale, step["scale"], strict=True)]
            shift = [a * b for a, b in zip(shift, step["scale"], strict=True)]
        elif kind == "translation" and "translation" in step:
            shift = [a + b for a, b in zip(shift, step["translation"], strict=True)]
        elif kind != "identity":
            raise InputError(f"its transformation {kind!r} cannot be said in OME-Zarr {VERSION}")
    found: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
    if any(not math.isclose(value, 0) for value in shift):
        found.append({"type": "translation", "translation": shift})
    return found
