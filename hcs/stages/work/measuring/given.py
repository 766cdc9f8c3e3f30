"""Labels that others made, found in every plate of a run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from hcs.domain.columns import Reason
from hcs.domain.config.labels import GivenLabels
from hcs.domain.results import Problem
from hcs.io.plates.reader import PlateReader
from hcs.planes.given import Located, locate_given

_KINDS: Final = ("cells", "nuclei")


def locate_labels(
    labels: GivenLabels, readers: Sequence[PlateReader]
) -> dict[str, dict[str, Located]]:
    """Find given labels, by the name of the plate and by what they are of.

    Raises
    ------
    UnknownNameError, NotFoundError, InputError, FaultsError
        As of :func:`hcs.planes.given.locate_given`.
    """
    sources = {kind: getattr(labels, kind) for kind in _KINDS}
    alone = len(readers) == 1
    return {
        reader.name: {
            kind: locate_given(source, reader, alone=alone, blank=labels.blank)
            for kind, source in sources.items()
            if source is not None
        }
        for reader in readers
    }


def keep_labels(given: Mapping[str, Located], field_paths: Collection[str]) -> dict[str, Located]:
    """Keep what is of some fields: the rest need not travel to a worker."""
    return {kind: located.only(field_paths) for kind, located in given.items()}


def name_unmatched(given: Mapping[str, Mapping[str, Located]], stage: str) -> list[Problem]:
    """Name the images in folders of masks that are of no field."""
    return [
        Problem(
            stage=stage,
            file=name,
            reason=Reason.UNMATCHED_FILE,
            message=f"{name}: no field of plate {plate} has a mask of this name",
            plate=plate,
            kept=True,
        )
        for plate, found in given.items()
        for located in found.values()
        for name in located.masks.unmatched
    ]
