"""From the clones on the plates to clone-disjoint splits in a file that people can review."""

from __future__ import annotations

import time
from typing import Final

import pandas as pd

from hcs.domain.config.stages import SplitsConfig
from hcs.domain.results import StageResult
from hcs.domain.splits import Splits
from hcs.errors import InputError, NotFoundError, SplitError
from hcs.io.files.atomic import write_bytes
from hcs.io.files.paths import AnyPath, as_path
from hcs.io.plates.plate import PlateReader
from hcs.io.runs.fingerprints import fingerprint
from hcs.io.runs.provenance import provenance
from hcs.learn.splits import drawing as learn_splits

STAGE: Final = "splits"


def run(config: SplitsConfig) -> StageResult:
    """Draw the splits of the clones on ``config.plates`` and write ``config.out``.

    The same plates and settings give the same file, so it is simply drawn again.

    Raises
    ------
    SplitError
        When no such splits exist; the message gives every reason.
    UnknownNameError
        When the plates lack the group or label column.
    """
    started = time.time()
    readers = [PlateReader(path) for path in config.plates]
    images = pd.concat([reader.images for reader in readers], ignore_index=True)
    groups = learn_splits.groups_of_images(images, config.group_by, config.label)
    if not groups:
        msg = (
            f"no image of {', '.join(config.plates)} has both {config.group_by} and "
            f"{config.label}; give a plate map with these columns at ingest"
        )
        raise InputError(msg)
    drawn = learn_splits.make_splits(
        groups,
        group_by=config.group_by,
        label=config.label,
        positive=config.positive,
        n_splits=config.n_splits,
        train=config.train,
        validation=config.validation,
        test=config.test,
        seed=config.seed,
    )
    inputs = {reader.name: fingerprint(groups) for reader in readers}
    made = provenance(STAGE, config, inputs, started)
    drawn = drawn.model_copy(update={"provenance": made})
    if not _already_there(config.out, drawn):
        write_bytes(config.out, drawn.to_json().encode())
    return StageResult(
        stage=STAGE,
        out=config.out,
        summary={
            "splits": len(drawn.splits),
            "groups": ", ".join(
                f"{sum(group.label == name for group in groups)} {name}" for name in drawn.classes
            ),
            "positive class": drawn.positive,
            "train/validation/test a class": f"{config.train}/{config.validation}/{config.test}",
        },
        n_run=1,
        seconds=time.time() - started,
    )


def _already_there(out: str, drawn: Splits) -> bool:
    """Whether the file holds these very splits: it then keeps its first provenance."""
    if not as_path(out).exists():
        return False
    try:
        found = read_splits(out)
    except SplitError:
        return False
    return found.model_dump(exclude={"provenance"}) == drawn.model_dump(exclude={"provenance"})


def splits_fingerprint(splits: Splits) -> str:
    """Fingerprint of the splits themselves, whenever they were drawn."""
    return fingerprint(splits.model_dump(mode="json", exclude={"provenance"}))


def read_splits(path: AnyPath) -> Splits:
    """Read ``splits.json``; a leak in it is an error."""
    file = as_path(path)
    if not file.exists():
        msg = f"splits file {file} does not exist; make it with: hcs splits PLATE… --out {file}"
        raise NotFoundError(msg)
    return Splits.read_json(file.read_text(encoding="utf-8"), where=str(file))
