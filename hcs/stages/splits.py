"""From the clones on the plates to clone-disjoint splits in a file that people can review."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from hcs.domain.config.stages import SplitsConfig
from hcs.domain.results import StageResult
from hcs.domain.splits import Group, Splits
from hcs.errors import InputError
from hcs.io.files.atomic import write_bytes
from hcs.io.runs.fingerprints import fingerprint
from hcs.learn.splits import drawing as learn_splits
from hcs.stages.frame import MadeFrom, open_frame
from hcs.stages.work.plates import open_plates

STAGE: Final = "splits"

_FORMAT: Final = 1


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
    apart = ("plates", "out")
    with open_frame(STAGE, config, out=config.out, reads=config.plates, apart=apart) as frame:
        images = pd.concat(
            [reader.images for reader in open_plates(config.plates)], ignore_index=True
        )
        groups = learn_splits.groups_of_images(images, config.group_by, config.label)
        if not groups:
            msg = (
                f"no image of {', '.join(config.plates)} has both {config.group_by} and "
                f"{config.label}; give a plate map with these columns at ingest"
            )
            raise InputError(msg)
        frame.inputs["groups"] = fingerprint(groups)

        def write(made: Mapping[str, Any]) -> Mapping[str, Any]:
            drawn = _draw(config, groups).model_copy(update={"provenance": dict(made)})
            write_bytes(config.out, drawn.to_json().encode())
            return {"summary": _summarize(config, drawn)}

        made_from = MadeFrom(_FORMAT, frame.settings, metadata=groups)
        return frame.result(frame.join("splits", made_from, write, is_work=True)["summary"])


def _draw(config: SplitsConfig, groups: Sequence[Group]) -> Splits:
    return learn_splits.make_splits(
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


def _summarize(config: SplitsConfig, drawn: Splits) -> dict[str, str | int | float]:
    return {
        "splits": len(drawn.splits),
        "groups": ", ".join(
            f"{sum(group.label == name for group in drawn.groups)} {name}" for name in drawn.classes
        ),
        "positive class": drawn.positive,
        "train/validation/test a class": f"{config.train}/{config.validation}/{config.test}",
    }
