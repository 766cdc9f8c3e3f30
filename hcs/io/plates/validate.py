"""Whether a plate is valid OME-Zarr and agrees with itself, and what it holds."""

from __future__ import annotations

import warnings
from typing import Any

import zarr
from ome_zarr_models.exceptions import ValidationWarning
from ome_zarr_models.v04.hcs import HCS as HCS04
from ome_zarr_models.v05.hcs import HCS as HCS05
from pydantic import ValidationError

from hcs.domain import columns as col
from hcs.domain.wells import PlateFormat, Well
from hcs.errors import HcsError, InputError
from hcs.io.files.paths import AnyPath
from hcs.io.plates.plate import open_store
from hcs.io.plates.reader import PlateReader


def faults_of(path: AnyPath) -> list[str]:
    """Faults of a plate, all at once; an empty list for a valid one.

    Checked by ome-zarr-models: the metadata of plate, wells and images. Checked here: that row and
    column indices agree with the paths (an example plate in public use has them swapped and passes
    today's validators), that all fields have one shape, type and channels, and that every field of
    the table ``images`` exists.

    Raises
    ------
    NotFoundError
        When there is no Zarr store.
    """
    reader = PlateReader(str(path))
    _ = reader.metadata
    faults = _model_faults(path)
    faults += _index_faults(reader)
    try:
        faults += _field_faults(reader)
    except HcsError as error:
        faults.append(str(error))
    return faults


def _model_faults(path: AnyPath) -> list[str]:
    group: Any = zarr.open_group(open_store(path, read_only=True), mode="r")
    model: Any = HCS05 if group.metadata.zarr_format == 3 else HCS04
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.from_zarr(group)
    except ValidationError as error:
        return [
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors()
        ]
    except (ValueError, KeyError, TypeError) as error:
        return [f"{type(error).__name__}: {error}"]
    return [str(item.message) for item in caught if issubclass(item.category, ValidationWarning)]


def _index_faults(reader: PlateReader) -> list[str]:
    metadata = reader.metadata
    rows = [str(item["name"]) for item in metadata["rows"]]
    columns = [str(item["name"]) for item in metadata["columns"]]
    faults = []
    for item in metadata["wells"]:
        row, _, column = str(item["path"]).partition("/")
        for kind, name, names, index in (
            ("row", row, rows, item["rowIndex"]),
            ("column", column, columns, item["columnIndex"]),
        ):
            if name not in names:
                faults.append(f"well {item['path']}: {kind} {name!r} is not declared ({names})")
            elif names.index(name) != index:
                faults.append(
                    f"well {item['path']}: {kind}Index {index} points at {kind} "
                    f"{names[index] if index < len(names) else 'none'!r}, "
                    f"its path says {name!r} ({names.index(name)})"
                )
    return faults


def _field_faults(reader: PlateReader) -> list[str]:
    faults = []
    images = reader.images
    expected = None
    for path in images[col.FIELD_PATH]:
        try:
            array: Any = reader.level(str(path), 0)
        except InputError as error:
            faults.append(str(error))
            continue
        found = (tuple(array.shape), str(array.dtype))
        expected = expected or found
        if found != expected:
            faults.append(
                f"field {path}: {found[0]} {found[1]}; the first field is "
                f"{expected[0]} {expected[1]}"
            )
    outside = sorted(set(reader.well_table[col.WELL]) - {well.name for well in _list_wells(reader)})
    if outside:
        faults.append(f"table wells describes wells that the plate does not have: {outside}")
    return faults


def _list_wells(reader: PlateReader) -> tuple[Well, ...]:
    try:
        return reader.plate_format.wells()
    except HcsError:
        return PlateFormat.WELLS_1536.wells()


def describe(path: AnyPath) -> dict[str, Any]:
    """Say what a plate holds, as plain values.

    Raises
    ------
    NotFoundError
        When there is no Zarr store.
    """
    reader = PlateReader(str(path))
    images = reader.images
    array: Any = reader.level(str(images[col.FIELD_PATH].iloc[0]), 0)
    found: dict[str, Any] = {
        "plate": reader.name,
        "format": f"{reader.plate_format.n_wells} wells",
        "wells with images": int(images[col.WELL].nunique()),
        "fields": len(images),
        "channels": list(reader.channels),
        "field": f"{' × '.join(map(str, array.shape))} {array.dtype} ({', '.join(reader.axes)})",
        "pixel size": f"{reader.pixel_size_um:g} µm" if reader.pixel_size_um else "unknown",
        "labels": list(reader.label_names(str(images[col.FIELD_PATH].iloc[0]))),
    }
    for column in (col.DIAGNOSIS, col.PERT_TYPE, col.BATCH, col.COMPOUND):
        counts = images.drop_duplicates(col.WELL)[column].value_counts()
        if not counts.empty:
            found[f"wells by {column}"] = {str(key): int(value) for key, value in counts.items()}
    for column in (col.CLONE, col.DONOR):
        if images[column].notna().any():
            found[f"number of {column}"] = int(images[column].nunique())
    return found
