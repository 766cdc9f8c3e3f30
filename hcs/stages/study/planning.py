"""What a study cannot do is said before its first plate is read, from its plate maps alone."""

from __future__ import annotations

import pandas as pd

from hcs.domain import columns as col
from hcs.domain.config.studies import StudyConfig
from hcs.domain.splits import RoleCounts
from hcs.errors import SplitError
from hcs.io.sheets import platemap
from hcs.io.sheets.reading.cells import Dialect
from hcs.learn.splits.drawing import groups_of_images, list_shortages


def refuse_shortages(study: StudyConfig) -> None:
    """Refuse splits for which the plate maps name too few groups of a class.

    A map that many plates share is read once. Wells without images count too, so what passes may
    still be refused when the splits are drawn; what is refused here could never have been.

    Raises
    ------
    SplitError
        Naming every class, what it has and what is needed.
    FaultsError, NotFoundError, InputError
        When a plate map cannot be read.
    """
    cohort = [plate for plate in study.plates if plate.role == "cohort"]
    if not cohort or any(plate.platemap is None for plate in cohort):
        return  # what a plate brings with it is known when it is read
    files = {(p.platemap, p.barcodes, p.sheet, p.decimal, p.barcodes_sheet): None for p in cohort}
    wanted = study.splits
    names = {plate.name for plate in cohort}
    frames = []
    for path, barcodes, sheet, decimal, barcodes_sheet in files:
        mapped = platemap.read_platemap(
            str(path), barcodes, Dialect(sheet, decimal), barcodes_sheet
        )
        frame = platemap.to_frame(mapped)
        ours = frame[col.PLATE].isna() | frame[col.PLATE].isin(names)
        # Where no name is known, programs may have changed them: ingest finds out.
        frames.append(frame[ours] if ours.any() else frame)
    table = pd.concat(frames, ignore_index=True)
    if wanted.group_by not in table or wanted.label not in table:
        return
    counts = RoleCounts.model_construct(
        train=wanted.train, validation=wanted.validation, test=wanted.test
    )
    groups = groups_of_images(table, wanted.group_by, wanted.label)
    faults = list_shortages(groups, counts)
    if faults:
        listed = "; ".join(faults)
        msg = f"study {study.name}: its plate maps name too few groups for its splits: {listed}"
        raise SplitError(msg)
