"""OME-Zarr 0.5 plates on disk: written field by field, read plane by plane."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
import zarr
import zarr.errors
from numpy.typing import NDArray
from zarr.abc.store import Store
from zarr.storage import LocalStore

from hcs.domain import columns as col
from hcs.domain import ngff
from hcs.domain.plate import FlatField
from hcs.domain.wells import PlateFormat, Well
from hcs.errors import ImageReadError, InputError, NotFoundError, UnknownNameError
from hcs.io.files import objects, storage
from hcs.io.files.atomic import replace_folder, write_bytes, write_json
from hcs.io.files.paths import AnyPath, as_path, as_text, is_local, sidecar
from hcs.io.plates import plate_tables, shards
from hcs.io.runs.fingerprints import fingerprint

FLAT_FIELDS: Final = "flat_fields"


def open_store(path: AnyPath, *, read_only: bool) -> Store:
    """Open a Zarr store at a local path or an object-store address."""
    target = as_path(path)
    if is_local(target):
        return LocalStore(str(target), read_only=read_only)
    return objects.open_store(target, read_only=read_only)


def create_plate(out: AnyPath, attributes: Mapping[str, Any], rows: Sequence[str]) -> None:
    """Write the plate group and its row groups; fields already there stay."""
    store = open_store(out, read_only=False)
    _write_group(store, "", {**_read_provenance(store), **attributes})
    create_rows(out, rows)


def create_rows(out: AnyPath, rows: Sequence[str]) -> None:
    """Write the groups of rows."""
    store = open_store(out, read_only=False)
    for row in rows:
        _write_group(store, row, {})


def _read_provenance(store: Store) -> dict[str, Any]:
    try:
        attributes = dict(zarr.open_group(store, mode="r", zarr_format=3).attrs)
    except (zarr.errors.GroupNotFoundError, FileNotFoundError):
        return {}
    return {"hcs": attributes["hcs"]} if "hcs" in attributes else {}


def _write_group(store: Store, path: str, attributes: Mapping[str, Any]) -> None:
    """Write one group's ``zarr.json`` and leave its members alone."""
    try:
        group = zarr.open_group(store, path=path, mode="r+", zarr_format=3)
    except (zarr.errors.GroupNotFoundError, FileNotFoundError):
        zarr.create_group(store, path=path, attributes=dict(attributes), zarr_format=3)
        return
    if dict(group.attrs) != dict(attributes):
        group.attrs.put(dict(attributes))


def write_well(out: AnyPath, well: Well, fields: Sequence[str]) -> None:
    """Write a well group that lists its fields."""
    document = shards.group_document(ngff.well_attributes(fields))
    write_bytes(f"{as_text(out)}/{well.path}/{shards.DOCUMENT}", document)


def write_image(
    out: AnyPath,
    path: str,
    attributes: Mapping[str, Any],
    levels: Sequence[tuple[ngff.Level, NDArray[Any]]],
    axes: Sequence[str],
) -> None:
    """Write one image group (a field, or a label) with all of its levels, in one step.

    What lay there before is replaced, with the labels of a field, which belonged to other pixels.

    Parameters
    ----------
    out, path
        Plate, and the group inside it.
    attributes
        From :func:`hcs.domain.ngff.image_attributes` or ``label_attributes``.
    levels
        Every level with its pixels.
    axes
        Names of the axes.
    """
    objects = {
        f"{index}/{key}": pieces
        for index, (level, pixels) in enumerate(levels)
        for key, pieces in shards.encode_array(level, pixels, axes)
    }
    objects[shards.DOCUMENT] = [shards.group_document(attributes)]
    replace_folder(f"{as_text(out)}/{path}", objects)


def read_smallest(out: AnyPath, path: str) -> NDArray[Any]:
    """Read the smallest level of a field in a plate that is being written, with all of its axes."""
    store = open_store(out, read_only=True)
    entry: Any = zarr.open_group(store, path=path, mode="r", zarr_format=3).attrs["ome"]
    level = entry["multiscales"][0]["datasets"][-1]["path"]
    return np.asarray(zarr.open_array(store, path=f"{path}/{level}", mode="r")[...])


def write_label(
    out: AnyPath,
    field_path: str,
    name: str,
    labels: Sequence[tuple[ngff.Level, NDArray[Any]]],
    pixel_size_um: float | None,
) -> None:
    """Write a label image (axes y, x) under ``<field>/labels/<name>`` and list it there."""
    if plate_tables.is_version_04(out):
        msg = (
            f"{out} is OME-Zarr 0.4, into which hcs writes no labels: go on without them, or "
            f"convert the plate with: hcs ingest {out} NEW.zarr"
        )
        raise InputError(msg)
    parent = f"{field_path}/labels"
    levels = [level for level, _ in labels]
    path = f"{parent}/{name}"
    storage.sweep_folder(str(as_path(out) / parent))
    write_image(out, path, ngff.label_attributes(name, levels, pixel_size_um), labels, ("y", "x"))
    document = as_path(out) / parent / shards.DOCUMENT
    listed: list[str] = []
    if document.exists():
        listed = list(json.loads(document.read_text())["attributes"]["ome"]["labels"])
    if name not in listed:
        described = {"ome": {"version": ngff.VERSION, "labels": [*listed, name]}}
        write_bytes(document, shards.group_document(described))


def write_note(out: AnyPath, name: str, value: Any) -> None:  # noqa: ANN401  (JSON)
    """Keep what viewers pass over in the plate's attributes, under ``hcs``."""
    if plate_tables.is_version_04(out):
        write_json(sidecar(out) / f"{name}.json", value)
        return
    group = zarr.open_group(open_store(out, read_only=False), mode="r+", zarr_format=3)
    kept = dict(dict(group.attrs).get("hcs", {}))  # type: ignore[arg-type]
    kept[name] = value
    group.attrs["hcs"] = kept


def write_provenance(out: AnyPath, stage: str, provenance: Mapping[str, Any]) -> None:
    """Keep a stage's provenance in the plate's own attributes."""
    write_note(out, stage, dict(provenance))


@dataclass(frozen=True)
class PlateReader:
    """An OME-Zarr plate, opened for reading.

    Attributes
    ----------
    path
        The store.
    """

    path: str

    @cached_property
    def _root(self) -> zarr.Group:
        objects.check(as_path(self.path))
        store = open_store(self.path, read_only=True)
        try:
            return zarr.open_group(store, mode="r")
        except (zarr.errors.GroupNotFoundError, FileNotFoundError) as error:
            msg = f"{self.path} is not a Zarr store; an OME-Zarr plate was expected"
            raise NotFoundError(msg) from error

    @property
    def version(self) -> str:
        """Version of OME-Zarr that the plate follows, 0.4 or 0.5."""
        return "0.5" if self._root.metadata.zarr_format == 3 else "0.4"

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """The ``plate`` entry of OME-Zarr 0.5 (or 0.4)."""
        attributes = dict(self._root.attrs)
        ome: Any = attributes.get("ome", attributes)
        if "plate" not in ome:
            msg = f"{self.path} has no plate metadata; an OME-Zarr HCS plate was expected"
            raise InputError(msg)
        return dict(ome["plate"])

    @property
    def name(self) -> str:
        """Name of the plate; of its folder when the metadata has none."""
        return str(self.metadata.get("name") or as_path(self.path).name.split(".")[0])

    @cached_property
    def wells(self) -> tuple[Well, ...]:
        """Wells that hold images."""
        return tuple(Well.parse(item["path"].replace("/", "")) for item in self.metadata["wells"])

    @property
    def plate_format(self) -> PlateFormat:
        """Format by the declared rows and columns."""
        shape = (len(self.metadata["rows"]), len(self.metadata["columns"]))
        for plate_format in PlateFormat:
            if plate_format.value == shape:
                return plate_format
        return PlateFormat.smallest_for(set(self.wells))

    @cached_property
    def images(self) -> pd.DataFrame:
        """One row a field, with the metadata of its well.

        Plates that other software wrote have no such table: the fields are then listed from the
        well groups, the site being the number in the field's path.
        """
        _ = self._root  # says plainly what is wrong where there is no plate, or no access
        stored = plate_tables.read_plate_table(self.path, plate_tables.IMAGES)
        frame = self._list_fields() if stored is None else stored
        wells = self.well_table
        extra = [name for name in wells.columns if name not in frame.columns]
        merged = frame.merge(wells[[col.WELL, *extra]], on=col.WELL, how="left")
        for name in col.WELL_METADATA:
            if name not in merged.columns:
                merged[name] = None
        return merged

    @cached_property
    def well_table(self) -> pd.DataFrame:
        """The plate map, one row a well; only the well names when there is none."""
        _ = self._root
        stored = plate_tables.read_plate_table(self.path, plate_tables.WELLS)
        if stored is not None:
            return stored
        return pd.DataFrame({col.WELL: pd.Series([well.name for well in self.wells], dtype=str)})

    def _list_fields(self) -> pd.DataFrame:
        rows = []
        for item in self.metadata["wells"]:
            attributes = dict(self._root[item["path"]].attrs)
            well: Any = attributes.get("ome", attributes)
            for image in well["well"]["images"]:
                digits = "".join(letter for letter in image["path"] if letter.isdigit())
                path = f"{item['path']}/{image['path']}"
                rows.append(
                    {
                        col.PLATE: self.name,
                        col.WELL: Well.parse(item["path"].replace("/", "")).name,
                        col.SITE: int(digits or 0),
                        col.FIELD_PATH: path,
                        col.FINGERPRINT: fingerprint(self.name, path),
                    }
                )
        columns = [*col.IMAGE_KEY, col.FIELD_PATH, col.FINGERPRINT]
        return pd.DataFrame(rows, columns=columns)

    @cached_property
    def _first_field(self) -> dict[str, Any]:
        if self.images.empty:
            msg = f"{self.path} holds no images"
            raise InputError(msg)
        return self.field_metadata(str(self.images[col.FIELD_PATH].iloc[0]))

    def field_metadata(self, field_path: str) -> dict[str, Any]:
        """OME metadata of one field."""
        attributes = dict(self._root[field_path].attrs)
        ome: Any = attributes.get("ome", attributes)
        return dict(ome)

    @property
    def axes(self) -> tuple[str, ...]:
        """Axis names of a field."""
        return tuple(axis["name"] for axis in self._first_field["multiscales"][0]["axes"])

    @property
    def channels(self) -> tuple[str, ...]:
        """Channel names in array order."""
        omero = self._first_field.get("omero", {}).get("channels", [])
        return tuple(str(item.get("label", index)) for index, item in enumerate(omero)) or ("0",)

    @property
    def pixel_size_um(self) -> float | None:
        """Pixel size in µm; None when the source had none."""
        entry = self._first_field["multiscales"][0]
        axis = next(item for item in entry["axes"] if item["name"] == "x")
        if axis.get("unit") != "micrometer":
            return None
        scale = entry["datasets"][0]["coordinateTransformations"][0]["scale"]
        return float(scale[-1])

    @cached_property
    def flat_fields(self) -> tuple[FlatField, ...]:
        """The vendor's illumination profiles; empty when there were none."""
        notes: Any = dict(self._root.attrs).get("hcs", {})
        return tuple(FlatField.model_validate(item) for item in notes.get(FLAT_FIELDS, ()))

    @cached_property
    def _level_names(self) -> tuple[str, ...]:
        """Names of the arrays of a field, largest first; those of the first field."""
        return tuple(str(item["path"]) for item in self._first_field["multiscales"][0]["datasets"])

    @property
    def n_levels(self) -> int:
        """Number of pyramid levels of a field."""
        return len(self._level_names)

    def channel_index(self, name: str | None) -> int:
        """Index of a channel; without a name, of the only one.

        Raises
        ------
        UnknownNameError
            When there is no such channel.
        InputError
            When no name is given and there are several.
        """
        names = self.channels
        if name is None:
            if len(names) > 1:
                msg = f"plate {self.name} has channels {list(names)}: name one with --channel"
                raise InputError(msg)
            return 0
        if name not in names:
            raise UnknownNameError("channel", name, f"plate {self.name}", names)
        return names.index(name)

    def level(self, field_path: str, level: int) -> zarr.Array[Any]:
        """Return the Zarr array of one level of a field.

        Raises
        ------
        InputError
            When the field does not exist.
        """
        try:
            found = self._root[f"{field_path}/{self._level_names[level]}"]
        except (KeyError, IndexError) as error:
            msg = f"{self.path} has no field {field_path} with level {level}"
            raise InputError(msg) from error
        if not isinstance(found, zarr.Array):
            msg = f"{self.path}/{field_path}/{level} is a group; an array was expected"
            raise InputError(msg)
        return found

    def read_plane(
        self, field_path: str, channel: int, level: int = 0, *, z_index: int = 0, t_index: int = 0
    ) -> NDArray[Any]:
        """Read one channel of one field, ``(Y, X)`` as acquired.

        Raises
        ------
        ImageReadError
            When the pixels cannot be read; the message names the field.
        """
        try:
            array: Any = self.level(field_path, level)
            place = {"c": channel, "z": z_index, "t": t_index}
            index = tuple(place.get(axis, slice(None)) for axis in self.axes)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return np.asarray(array[index])
        except (KeyError, OSError, ValueError, RuntimeError) as error:
            msg = f"{self.path}/{field_path}: cannot read level {level}: {error}"
            raise ImageReadError(msg, col.Reason.UNREADABLE) from error

    def label_names(self, field_path: str) -> tuple[str, ...]:
        """Names of the label images of a field."""
        try:
            attributes = dict(self._root[f"{field_path}/labels"].attrs)
        except KeyError:
            return ()
        ome: Any = attributes.get("ome", attributes)
        return tuple(ome.get("labels", ()))

    def read_label(self, field_path: str, name: str, level: int = 0) -> NDArray[Any]:
        """Read a label image, ``(Y, X)``."""
        array = self._root[f"{field_path}/labels/{name}/{level}"]
        if not isinstance(array, zarr.Array):
            raise UnknownNameError("label", name, field_path, self.label_names(field_path))
        return np.asarray(array[...])
