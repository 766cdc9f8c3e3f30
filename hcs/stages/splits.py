"""From the clones on the plates to clone-disjoint splits in a file that people can review."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from hcs.domain.config.stages import SplitsConfig
from hcs.domain.results import StageResult
from hcs.domain.splits import Group, Splits
from hcs.errors import InputError, StaleError
from hcs.io.files.atomic import write_bytes
from hcs.io.files.paths import as_path
from hcs.io.runs.fingerprints import fingerprint, fingerprint_file
from hcs.learn.splits import drawing as learn_splits
from hcs.stages.frame import MadeFrom, open_frame
from hcs.stages.work.plates import open_plates

STAGE: Final = "splits"

_FORMAT: Final = 2
_CONTENT: Final = "content"


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
        _refuse_edited(config.out, frame.recall("splits").get(_CONTENT))

        def write(made: Mapping[str, Any]) -> Mapping[str, Any]:
            drawn = _draw(config, groups).model_copy(update={"provenance": dict(made)})
            write_bytes(config.out, drawn.to_json().encode())
            return {"summary": _summarize(config, drawn), _CONTENT: fingerprint_file(config.out)}

        made_from = MadeFrom(_FORMAT, frame.settings, metadata=groups)
        return frame.result(frame.join("splits", made_from, write, is_work=True)["summary"])


def _refuse_edited(out: str, content: str | None) -> None:
    """Refuse to draw over splits that somebody changed after they were drawn.

    Raises
    ------
    StaleError
        With both ways on.
    """
    if content is not None and as_path(out).exists() and fingerprint_file(out) != content:
        msg = (
            f"{out} was changed after it was drawn. Remove it to draw it anew; to use it, copy it "
            "elsewhere and name the copy to hcs train and hcs forest"
        )
        raise StaleError(msg)


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
