"""Objects given by label images, of the plane and time point that is measured."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.domain.config import planes as cfg
from hcs.domain.config.labels import BlankLabels, GivenObjects, MaskFolder
from hcs.errors import UnknownNameError
from hcs.io.masks import Masks, Place, match_masks, read_mask
from hcs.io.plates.given_labels import locate_label, read_given, stamp_label
from hcs.io.plates.reader import PlateReader
from hcs.io.plates.stamps import ABSENT
from hcs.ops.given import Objects, number_objects


@dataclass(frozen=True, slots=True)
class Located:
    """Label images of one kind of object in one plate, found.

    Attributes
    ----------
    source
        As they were named.
    blank
        What a label without any file of pixels means.
    masks
        Of a folder, which mask is of which field.
    stamps
        Fingerprint of the labels of each field, by its path.
    """

    source: GivenObjects
    blank: BlankLabels = "refuse"
    masks: Masks = field(default_factory=lambda: Masks({}))
    stamps: dict[str, str] = field(default_factory=dict)

    def only(self, field_paths: Collection[str]) -> Located:
        """Leave out what is of other fields: the rest travels to a worker."""
        files = {key: file for key, file in self.masks.files.items() if key[0] in field_paths}
        return replace(self, masks=Masks(files), stamps={})

    def read_plane(
        self,
        reader: PlateReader,
        field_path: str,
        shape: tuple[int, int],
        *,
        z_index: int | None,
        t_index: int,
    ) -> tuple[NDArray[Any], str]:
        """Read the label image of one field, and say where it lies.

        Parameters
        ----------
        reader, field_path, t_index
            Where and when.
        shape
            ``(Y, X)`` of the field.
        z_index
            Plane that is measured; None for a projection.

        Raises
        ------
        ImageReadError
            When there is none of it, or it cannot be used; never taken as empty.
        """
        if isinstance(self.source, MaskFolder):
            file = self.masks.find(self.source.path, field_path, t_index)
            return read_mask(file, shape), file
        plane = read_given(
            reader,
            field_path,
            self.source.name,
            shape,
            z_index=z_index,
            t_index=t_index,
            blank=self.blank,
        )
        return plane, f"{reader.path}/{locate_label(field_path, self.source.name)}"

    def read(
        self,
        reader: PlateReader,
        field_path: str,
        shape: tuple[int, int],
        *,
        z_index: int | None,
        t_index: int,
    ) -> Objects:
        """Read the objects of one field; parameters and errors as of :meth:`read_plane`."""
        found = self.read_plane(reader, field_path, shape, z_index=z_index, t_index=t_index)
        return number_objects(*found)


def locate_given(
    source: GivenObjects, reader: PlateReader, *, alone: bool, blank: BlankLabels = "refuse"
) -> Located:
    """Find the label images of a plate's fields.

    Parameters
    ----------
    source
        Name of labels in the plate, or folder of masks.
    reader
        The plate.
    alone
        Whether it is the only plate, so that masks need no folder of its own.
    blank
        What a label without any file of pixels means.

    Raises
    ------
    UnknownNameError
        When no field has such a label.
    NotFoundError, InputError, FaultsError
        As of :func:`hcs.io.masks.match_masks`.
    """
    images = reader.images
    paths = [str(path) for path in images[col.FIELD_PATH]]
    if isinstance(source, MaskFolder):
        masks = match_masks(source.path, reader.name, _list_places(reader), reader.n_t, alone=alone)
        stamps = masks.stamp_all(paths)
        return Located(source, blank, masks, stamps)
    stamps = {path: stamp_label(reader.path, path, source.name) for path in paths}
    if all(stamp == ABSENT for stamp in stamps.values()):
        there = dict.fromkeys(name for path in paths for name in reader.label_names(path))
        raise UnknownNameError("label", source.name, f"plate {reader.name}", list(there))
    return Located(source, blank, stamps=stamps)


def _list_places(reader: PlateReader) -> list[Place]:
    images = reader.images
    sources = images[col.SOURCES] if col.SOURCES in images else [""] * len(images)
    return [
        Place(str(path), str(well), int(site), tuple(filter(None, str(files or "").split("|"))))
        for path, well, site, files in zip(
            images[col.FIELD_PATH], images[col.WELL], images[col.SITE], sources, strict=True
        )
    ]


def find_z(choice: cfg.PlaneChoice | None, in_focus: int | None) -> int | None:
    """Index of the plane that was measured; None for a projection."""
    if choice is None:
        return 0
    if isinstance(choice, cfg.PlaneIndex):
        return choice.index
    return in_focus
