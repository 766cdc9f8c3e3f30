"""JSON Schemas of every file that people write or exchange, generated from the models."""

from __future__ import annotations

import json
from typing import Final

from pydantic import BaseModel

from hcs.domain.blinding import BlindKey, PositionReport
from hcs.domain.config.studies import StudyConfig
from hcs.domain.evaluation import Evaluation
from hcs.domain.probing import Probes
from hcs.domain.results import Problem, StageResult
from hcs.domain.splits import Splits

MODELS: Final[dict[str, type[BaseModel]]] = {
    "study": StudyConfig,
    "splits": Splits,
    "evaluation": Evaluation,
    "probes": Probes,
    "blind-key": BlindKey,
    "position-report": PositionReport,
    "problem": Problem,
    "stage-result": StageResult,
}


def documents() -> dict[str, str]:
    """Return the schemas as text by file name, in a stable form."""
    return {
        f"{name}.schema.json": json.dumps(
            {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                **model.model_json_schema(),
            },
            indent=1,
            sort_keys=True,
            ensure_ascii=False,
        )
        + "\n"
        for name, model in MODELS.items()
    }
