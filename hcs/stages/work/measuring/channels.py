"""Which channels of a plate an assay needs: stain, nuclei, markers, and those to measure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hcs.domain.config.stages import Cells, FeaturesConfig, MorphologyConfig, Neurons
from hcs.errors import InputError
from hcs.io.plates.reader import PlateReader
from hcs.ops.cells.measure import channel_key

_TAKEN: Final = frozenset(
    {"AreaShape", "Count", "Intensity", "Neurite", "Nuclei", "Quality", "Sholl", "Soma", "Texture"}
)
"""Names of groups of columns, which no marker can have."""


@dataclass(frozen=True)
class Channels:
    """Indices of a plate's channels.

    Attributes
    ----------
    main
        The channel that objects are found in, whose light and quality the image row tells.
    nuclei
        The nuclear channel, or None.
    body
        The stain of the cytoplasm; None where there is none, so that cells are rings.
    markers
        Each marker's channel, by the marker's name.
    measured
        Channels whose brightness is measured, by their name in columns.
    with_texture
        Whether the texture of these is measured too.
    """

    main: int
    nuclei: int | None
    body: int | None
    markers: dict[str, int]
    measured: dict[str, int]
    with_texture: bool = False

    def used(self) -> list[int]:
        """All channels that are read, each once, ascending."""
        some = {self.main, self.nuclei, self.body, *self.markers.values(), *self.measured.values()}
        return sorted(index for index in some if index is not None)


def choose_channels(config: FeaturesConfig, reader: PlateReader) -> Channels:
    """Find the channels that the configuration means in a plate.

    Raises
    ------
    UnknownNameError
        When a channel does not exist.
    InputError
        When none is named and there are several, two markers have one name, a marker is asked for
        on a part that the assay does not have, or two channels would have one name in columns.
    """
    settings = config.morphology
    _check_markers(settings)
    markers = {marker.name: reader.channel_index(marker.channel) for marker in settings.markers}
    nuclei = None if settings.nuclei is None else reader.channel_index(settings.nuclei)
    body: int | None = None
    if isinstance(settings.assay, Neurons):
        main = body = reader.channel_index(config.channel)
    elif isinstance(settings.assay, Cells):
        if config.channel is None and nuclei is not None:
            main = nuclei
        else:
            main = body = reader.channel_index(config.channel)
            body = None if body == nuclei else body
    else:
        main = nuclei = _choose_nuclei(config, reader, nuclei)
    measured = _list_measured(settings, reader, main, nuclei)
    return Channels(main, nuclei, body, markers, measured, bool(settings.measured))


def _choose_nuclei(config: FeaturesConfig, reader: PlateReader, nuclei: int | None) -> int:
    named = None if config.channel is None else reader.channel_index(config.channel)
    if nuclei is None:
        return reader.channel_index(config.channel)
    if named is not None and named != nuclei:
        msg = (
            f"the assay 'nuclei' finds objects in one channel, but --nuclei is"
            f" {reader.channels[nuclei]!r} and --channel is {reader.channels[named]!r}: give the"
            " nuclear one alone, and the other to --measure or --marker"
        )
        raise InputError(msg)
    return nuclei


def _list_measured(
    settings: MorphologyConfig, reader: PlateReader, main: int, nuclei: int | None
) -> dict[str, int]:
    """Channels to measure by their name in columns; by default those that cells are found in."""
    if settings.measured == "all":
        found = list(range(len(reader.channels)))
    elif settings.measured:
        found = [reader.channel_index(name) for name in settings.measured]
    elif isinstance(settings.assay, Neurons):
        found = []
    else:
        found = [main, *([] if nuclei is None else [nuclei])]
    named: dict[str, int] = {}
    for index in dict.fromkeys(found):
        key = channel_key(reader.channels[index])
        if key in named:
            both = [reader.channels[named[key]], reader.channels[index]]
            msg = (
                f"plate {reader.name}: channels {both} would both be {key!r} in columns; rename one"
            )
            raise InputError(msg)
        named[key] = index
    return named


def _check_markers(settings: MorphologyConfig) -> None:
    names = [marker.name for marker in settings.markers]
    if len(set(names)) < len(names):
        msg = f"markers need names of their own, found {names}"
        raise InputError(msg)
    if taken := sorted(_TAKEN.intersection(names)):
        msg = f"a marker cannot be called {taken[0]!r}: columns have that name already; rename it"
        raise InputError(msg)
    parts = {"neurons": ("cell",), "nuclei": ("nucleus",)}.get(
        settings.assay.kind, ("nucleus", "cell", "cytoplasm")
    )
    if settings.assay.kind == "cells" and settings.nuclei is None and not settings.labels.nuclei:
        parts = ("cell",)
    for marker in settings.markers:
        if marker.compartment not in (None, *parts):
            msg = (
                f"marker {marker.name!r} is asked for on the {marker.compartment}; the assay"
                f" {settings.assay.kind!r} has here: {', '.join(parts)}"
            )
            if settings.assay.kind == "cells":
                msg += "; a nucleus and a cytoplasm need --nuclei"
            raise InputError(msg)
