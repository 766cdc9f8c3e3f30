"""Whether a plate that lies at the output can be used: in place, or as one of an earlier run."""

from __future__ import annotations

import os
from typing import Any

from hcs.domain.config.stages import IngestConfig
from hcs.domain.plate import SourcePlate
from hcs.domain.wells import Well
from hcs.errors import InputError
from hcs.io.files.atomic import read_json
from hcs.io.files.paths import as_path
from hcs.io.images.sources import OME_ZARR


def check(config: IngestConfig, source: SourcePlate) -> None:
    """Refuse settings that would have to change the pixels of a plate that is used as it lies.

    Raises
    ------
    InputError
        When the pixels would have to change, or the fields differ in their channels.
    """
    if source.layout != OME_ZARR:
        msg = f"{config.out} is both source and output; give the plate another path"
        raise InputError(msg)
    if config.projection != "keep":
        msg = (
            f"--project-z {config.projection} makes other images than {config.source} holds; "
            "give another output to write them to"
        )
        raise InputError(msg)
    _check_uniform(config, source)


def refuse_other_plate(config: IngestConfig, name: str) -> None:
    """Refuse to write a plate in the place of another one, of another name and source.

    A plate that is ingested anew may have been renamed, or its files moved, but not both.

    Raises
    ------
    InputError
        With what lies there.
    """
    document = as_path(config.out) / "zarr.json"
    found: Any = read_json(document) if document.exists() else {}
    attributes = found.get("attributes", {})
    there = attributes.get("ome", {}).get("plate", {}).get("name")
    made = attributes.get("hcs", {}).get("ingest", {}).get("config", {})
    source = made.get("source", config.source)
    if made and os.path.realpath(source) == os.path.realpath(config.out):
        msg = f"{config.out} is a plate that was used where it lay: give the output another path"
        raise InputError(msg)
    if there in {None, name} or os.path.realpath(source) == os.path.realpath(config.source):
        return
    msg = (
        f"{config.out} holds plate {there!r} of {source}, and this is plate {name!r} of "
        f"{config.source}: give the output another path, or remove it first"
    )
    raise InputError(msg)


def _check_uniform(config: IngestConfig, source: SourcePlate) -> None:
    """Refuse a plate whose fields differ in their channels: stages know those by their place."""
    wanted = tuple(channel.name for channel in source.channels)
    images: dict[tuple[Well, int], dict[str, dict[int, str]]] = {}
    for item in source.planes:
        channels = images.setdefault((item.well, item.site), {}).setdefault(item.path, {})
        channels[item.page] = item.channel
    for (well, site), paths in images.items():
        found = [tuple(name for _, name in sorted(each.items())) for each in paths.values()]
        if found != [wanted]:
            told = " and ".join(str(list(names)) for names in found)
            msg = (
                f"well {well.name} field {site} of {config.source} has {len(found)} image(s) with "
                f"channels {told}, the plate has {list(wanted)}: such a plate is not used where it "
                "lies. Give another output, to which it is written field by field"
            )
            if len(found) > 1:
                msg += ", or read one acquisition with --acquisition"
            raise InputError(msg)
