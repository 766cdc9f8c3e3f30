"""OME-Zarr plates read: what they hold, field by field, and their pixels plane by plane."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import zarr
import zarr.errors
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.domain.plate import FlatField
from hcs.domain.wells import PlateFormat, Well
from hcs.errors import ImageReadError, InputError, StaleError, UnknownNameError
from hcs.io.files import objects
from hcs.io.files.paths import as_path
from hcs.io.ngff.foreign import ForeignPlate, Image, say_no_store
from hcs.io.ngff.uneven import list_in_place, refuse_uneven
from hcs.io.plates import labels, plate_tables
from hcs.io.plates.codecs import open_array
from hcs.io.plates.padding import Padding
from hcs.io.plates.pixels import INGEST, KeptBlock, read_pixels
from hcs.io.plates.plate import FLAT_FIELDS, NOTES, PLANES, open_store
from hcs.io.plates.stamps import DAMAGE, stamp_field
from hcs.io.runs.fingerprints import fingerprint


@dataclass(frozen=True)
class PlateReader:
    """An OME-Zarr plate, opened for reading.

    Attributes
    ----------
    path
        The store.
    is_source
        Whether the plate is about to be ingested: tables of an earlier time may then be lost.
    kept
        Keeps what was decoded with a plane, where planes are read one after the other.
    """

    path: str
    is_source: bool = False
    kept: KeptBlock | None = field(default=None, compare=False, repr=False)

    @cached_property
    def _root(self) -> zarr.Group:
        objects.check(as_path(self.path))
        store = open_store(self.path, read_only=True)
        try:
            return zarr.open_group(store, mode="r")
        except (zarr.errors.GroupNotFoundError, FileNotFoundError) as error:
            raise say_no_store(self.path) from error
        except DAMAGE as error:
            raise InputError(f"{self.path}: its metadata cannot be read: {error}") from error

    @cached_property
    def _notes(self) -> dict[str, Any]:
        return dict(self._root.attrs.get(NOTES, {}))  # type: ignore[arg-type]

    @property
    def version(self) -> str:
        """Version of OME-Zarr that the plate follows."""
        by_format = "0.5" if self._root.metadata.zarr_format == 3 else "0.4"
        return self._foreign.metadata.version or by_format

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """The ``plate`` entry of OME-Zarr 0.5 (or 0.4)."""
        attributes: dict[str, Any] = dict(self._root.attrs)
        _ = self._foreign.metadata  # says what it is when it is no plate
        return dict(attributes.get("ome", attributes)["plate"])

    @cached_property
    def _foreign(self) -> ForeignPlate:
        """The plate as that of any program."""
        return ForeignPlate(self.path)

    @property
    def name(self) -> str:
        """Name of the plate; of its folder when the metadata has none."""
        return str(self.metadata.get("name") or as_path(self.path).name.split(".")[0])

    @cached_property
    def wells(self) -> tuple[Well, ...]:
        """Wells that hold images."""
        _ = self.metadata
        return tuple(item.well for item in self._foreign.metadata.wells)

    @property
    def plate_format(self) -> PlateFormat:
        """Format by the declared rows and columns."""
        return self._foreign.metadata.plate_format

    @cached_property
    def images(self) -> pd.DataFrame:
        """One row a field, with the metadata of its well.

        Fields of plates that other software wrote, without such a table, are those of its wells.
        """
        frame = self._fields
        if self.is_foreign:
            refuse_uneven(self._foreign, frame[[col.WELL, col.SITE, col.FIELD_PATH]])
            # Used where it lies: its pixels may have changed since the table was made.
            stamps = [stamp_field(self.path, str(path)) for path in frame[col.FIELD_PATH]]
            marks = zip(frame[col.FINGERPRINT], stamps, strict=True)
            frame = frame.assign(**{col.FINGERPRINT: [fingerprint(*mark) for mark in marks]})
        wells = plate_tables.keep_whole_numbers(self.well_table)
        extra = [name for name in wells.columns if name not in frame.columns]
        merged = frame.merge(wells[[col.WELL, *extra]], on=col.WELL, how="left")
        absent = [name for name in col.WELL_METADATA if name not in merged.columns]
        return merged.assign(**dict.fromkeys(absent))

    @cached_property
    def _fields(self) -> pd.DataFrame:
        """One row a field: the plate's own table of images, or what its well groups list."""
        stored = self.image_table
        frame = self._list_fields() if stored is None else stored
        plate_tables.check_images(self.path, frame)
        return frame

    @cached_property
    def image_table(self) -> pd.DataFrame | None:
        """The plate's own table of images; None where another program wrote the plate."""
        _ = self._root  # says plainly what is wrong where there is no plate, or no access
        return self._read_table(plate_tables.IMAGES)

    @cached_property
    def well_table(self) -> pd.DataFrame:
        """The plate map, one row a well; only the well names when there is none."""
        _ = self._root
        stored = self._read_table(plate_tables.WELLS)
        if stored is not None:
            return stored
        return pd.DataFrame({col.WELL: pd.Series([well.name for well in self.wells], dtype=str)})

    def _read_table(self, name: str) -> pd.DataFrame | None:
        """Read a table that ingest writes; one that is lost is a fault, not an empty plate map."""
        stored = plate_tables.read_plate_table(self.path, name)
        if stored is None and "ingest" in self._notes and not self.is_source:
            file = plate_tables.table_path(self.path, name)
            msg = f"{file} is lost; hcs ingest of the same source writes it again"
            raise StaleError(msg)
        return stored

    def _list_fields(self) -> pd.DataFrame:
        rows = [
            {
                col.PLATE: self.name,
                col.WELL: well.name,
                col.SITE: site,
                col.FIELD_PATH: path,
                col.FINGERPRINT: path,
            }
            for well, site, path in list_in_place(self._foreign)
        ]
        return pd.DataFrame(rows, columns=[*col.IMAGE_KEY, col.FIELD_PATH, col.FINGERPRINT])

    @cached_property
    def is_foreign(self) -> bool:
        """Whether another program wrote the pixels, so that chunks may be left out on purpose."""
        made = self._notes.get("ingest", {}).get("config", {})
        # A plate of hcs that got a plate map where it lies has the pixels of hcs all the same.
        return not made or (made.get("source") == made.get("out") and PLANES not in self._notes)

    @cached_property
    def is_padded(self) -> bool:
        """Whether hcs noted that some planes are only padding, or that pixels are repeated."""
        planes = self._notes.get(PLANES, {})
        channels = planes.get("channels", ())
        return bool(planes.get("padded")) or any(c.get("binning", 1) > 1 for c in channels)

    def describe(self, field_path: str) -> Image:
        """Describe one field by its own metadata, as fields of other programs have to be.

        Raises
        ------
        InputError
            When it is not there or cannot be understood.
        """
        if field_path not in self._described:
            self._described[field_path] = self._foreign.describe(field_path)
        return self._described[field_path]

    @cached_property
    def _described(self) -> dict[str, Image]:
        return {}

    @property
    def first_field(self) -> str:
        """Path of the first field that can be opened."""
        return self._first_image.path

    @cached_property
    def _first_image(self) -> Image:
        for path in map(str, self._fields[col.FIELD_PATH]):
            with suppress(InputError, KeyError, *DAMAGE):
                image = self.describe(path)
                self._open(f"{path}/{image.metadata.levels[0]}")
                return image
        if self._fields.empty:
            raise InputError(f"{self.path} holds no images")
        raise InputError(f"none of the {len(self._fields)} fields of {self.path} can be opened")

    def field_metadata(self, field_path: str) -> dict[str, Any]:
        """OME metadata of one field."""
        attributes = dict(self._root[field_path].attrs)
        return dict(attributes.get("ome", attributes))  # type: ignore[arg-type]

    @property
    def axes(self) -> tuple[str, ...]:
        """Axis names of a field."""
        return self._first_image.metadata.axes

    @property
    def channels(self) -> tuple[str, ...]:
        """Channel names in array order."""
        return self._first_image.channels

    @property
    def pixel_size_um(self) -> float | None:
        """Pixel size in µm; None when the source had none."""
        return self._first_image.metadata.pixel_size_um

    @cached_property
    def flat_fields(self) -> tuple[FlatField, ...]:
        """The vendor's illumination profiles; empty when there were none."""
        return tuple(FlatField.model_validate(item) for item in self._notes.get(FLAT_FIELDS, ()))

    @property
    def n_z(self) -> int:
        """Number of z planes of a field, 1 where there is no such axis."""
        return self._padding.shape[2]

    @property
    def n_t(self) -> int:
        """Number of time points of a field, 1 where there is no such axis."""
        return self._padding.shape[0]

    @cached_property
    def _padding(self) -> Padding:
        """Which planes of the fields are there; their shape is that of the first field."""
        t, c, z = (self._first_image.sizes.get(axis, 1) for axis in "tcz")
        return Padding(self._root, (t, c, z))

    @property
    def z_positions_um(self) -> tuple[float, ...] | None:
        """Height of every z plane in µm; None where it is not known."""
        return self._padding.places("z", self._first_image.metadata.z_step_um)

    @property
    def times_min(self) -> tuple[float, ...] | None:
        """Time of every time point in minutes; None where it is not known."""
        return self._padding.places("t", self._first_image.metadata.t_step_min)

    def binning(self, channel_index: int) -> int:
        """How many pixels of the plate, along y and x, repeat one that a channel's camera took."""
        return self._padding.binning(channel_index)

    def acquired(self, field_path: str, channel_index: int) -> NDArray[np.bool_]:
        """Whether each plane of a channel is there, ``(n_t, n_z)``; the others are only padding."""
        return self._padding.acquired(field_path, channel_index)

    def missing(self, field_path: str, channel_index: int) -> NDArray[np.bool_]:
        """Whether each plane of a channel was taken and is lost, ``(n_t, n_z)``."""
        return self._padding.missing(field_path, channel_index)

    @property
    def n_levels(self) -> int:
        """Number of pyramid levels of a field."""
        return len(self._first_image.metadata.levels)

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

    def _open(self, path: str) -> zarr.Array[Any]:
        return open_array(self._root, path, f"{self.path}/{path}")

    def level(self, field_path: str, level: int) -> zarr.Array[Any]:
        """Return the Zarr array of one level of a field.

        Raises
        ------
        InputError
            When the field does not exist.
        """
        try:
            described = self.describe(field_path) if self.is_foreign else self._first_image
            return self._open(f"{field_path}/{described.metadata.levels[level]}")
        except (KeyError, IndexError) as error:
            msg = f"{self.path} has no field {field_path} with level {level}"
            raise InputError(msg) from error
        except DAMAGE as error:
            msg = f"{self.path}/{field_path}: level {level} cannot be opened: {error}"
            raise InputError(msg) from error

    def read_plane(
        self, field_path: str, channel: int, level: int = 0, *, z_index: int = 0, t_index: int = 0
    ) -> NDArray[Any]:
        """Read one channel of one field, ``(Y, X)`` as acquired.

        Raises
        ------
        ImageReadError
            When the pixels cannot be read, or the plane was not acquired (its reason is then
            ``not-acquired``); the message names the field.
        """
        try:
            if self.is_padded:
                name = f"{self.path}/{field_path}"
                at = (t_index, channel, z_index)
                self._padding.refuse(name, field_path, at, self.channels[channel])
            array: Any = self.level(field_path, level)
            place = {"c": channel, "z": z_index, "t": t_index}
            axes = self.describe(field_path).metadata.axes if self.is_foreign else self.axes
            index = tuple(slice(None) if at in {"y", "x"} else place.get(at, 0) for at in axes)
            made_by = None if self.is_foreign else INGEST
            read = self.kept.read if self.kept else read_pixels
            plane = read(self.path, array, index, made_by, may_be_blank=self.is_source)
            plane = plane if axes.index("y") < axes.index("x") else plane.T
            return plane.astype(plane.dtype.newbyteorder("="), copy=False)
        except ImageReadError:
            raise
        except (KeyError, *DAMAGE) as error:
            msg = f"{self.path}/{field_path}: cannot read level {level}: {error}"
            raise ImageReadError(msg, col.Reason.UNREADABLE) from error

    def read_array(self, path: str) -> NDArray[Any]:
        """Read a whole array, one level of an image or of a label, as it is stored.

        Raises
        ------
        ImageReadError
            When it cannot be read, or one of its files is lost.
        """
        try:
            array = self._open(path)
            image, _, level = path.rpartition("/")
            if "/labels/" in image:
                return labels.read_label(self._root, self.path, image, level)
            made_by = None if self.is_foreign else INGEST
            return read_pixels(self.path, array, (slice(None),) * array.ndim, made_by)
        except ImageReadError:
            raise
        except (KeyError, *DAMAGE) as error:
            msg = f"{self.path}/{path}: cannot be read: {error}"
            raise ImageReadError(msg, col.Reason.UNREADABLE) from error

    def attributes(self, path: str) -> dict[str, Any]:
        """All attributes of a group."""
        return dict(self._root[path].attrs if path else self._root.attrs)

    def label_names(self, field_path: str, t_index: int | None = None) -> tuple[str, ...]:
        """Names of the label images of a field; with a time point, of those made of it."""
        try:
            attributes = dict(self._root[f"{field_path}/labels"].attrs)
        except KeyError:
            return ()
        ome: Any = attributes.get("ome", attributes)
        names = tuple(ome.get("labels", ()))
        if t_index is None or self.n_t == 1:
            return names
        groups = {name: self._root[f"{field_path}/labels/{name}"] for name in names}
        return tuple(
            name for name, group in groups.items() if labels.is_of_time(dict(group.attrs), t_index)
        )

    def read_label(
        self, field_path: str, name: str, level: int = 0, *, t_index: int = 0
    ) -> NDArray[Any]:
        """Read a label image, ``(Y, X)``; of a time point where it has several."""
        image = f"{field_path}/labels/{name}"
        try:
            return labels.read_label(self._root, self.path, image, str(level), t_index)
        except KeyError as error:
            raise UnknownNameError(
                "label", name, field_path, self.label_names(field_path)
            ) from error
