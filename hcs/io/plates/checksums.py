"""All pixels of a plate read once, to find what changed on the disk since they were written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

import numpy as np

from hcs.domain.ome.images import parse_image
from hcs.errors import ImageReadError, InputError
from hcs.io.ngff.foreign import Image
from hcs.io.plates import labels
from hcs.io.plates.pixels import INGEST, read_pixels
from hcs.io.plates.reader import PlateReader


def find_damage(reader: PlateReader, images: Mapping[str, Image]) -> Iterator[tuple[str, str]]:
    """Read every level of every field and of its labels.

    Chunks of hcs carry checksums, which are compared as they are read. Of plates of other programs
    what cannot be unpacked is found.

    Parameters
    ----------
    reader
        The plate.
    images
        Its fields by their paths.

    Yields
    ------
    tuple of str and str
        Path of a field, and what is wrong with a file of it.
    """
    for path, image in images.items():
        yield from ((path, message) for message in _try_each(_list_planes(reader, image)))
        yield from ((path, message) for message in _try_each(_list_labels(reader, path)))


def _try_each(readings: Iterable[Callable[[], object]]) -> list[str]:
    """Read all, and return what is wrong, once a file."""
    found: dict[str, None] = {}
    for read in readings:
        try:
            read()
        except (ImageReadError, InputError) as error:
            found[str(error)] = None
    return list(found)


def _list_planes(reader: PlateReader, image: Image) -> Iterator[Callable[[], object]]:
    """Yield what reads each plane of each level: a whole stack may not fit in memory."""
    made_by = None if reader.is_foreign else INGEST
    for level in range(len(image.metadata.levels)):
        try:
            array = reader.level(image.path, level)
        except InputError:
            continue  # the check of the metadata says so
        for place in np.ndindex(*array.shape[:-2]):
            index = (*place, slice(None), slice(None))
            yield partial(
                read_pixels, reader.path, array, index, made_by, may_be_blank=made_by is None
            )


def _list_labels(reader: PlateReader, path: str) -> Iterator[Callable[[], object]]:
    """Yield what reads each plane of the labels that hcs wrote."""
    for time in range(reader.n_t):
        for name in reader.label_names(path, time):
            image = f"{path}/labels/{name}"
            attributes = reader.attributes(image)
            if labels.find_maker(attributes):
                for level in range(len(parse_image(attributes).levels)):
                    yield partial(reader.read_label, path, name, level, t_index=time)
