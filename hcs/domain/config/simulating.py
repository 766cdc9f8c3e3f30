"""What ``hcs simulate`` draws, and the presets of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from hcs.domain.config.network import Seed
from hcs.domain.plate import Frozen

SIMULATE_PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "demo": {"clones_per_class": 6, "fields_per_well": 2, "screen_fields_per_well": 1},
    "cohort": {},
    "null": {"phenotype_strength": 0.0},
    "screen": {"screen_plates": 2, "screen_replicates": 2},
}
"""What a preset of :class:`SimulateConfig` sets where nothing is given."""


class SimulateConfig(Frozen):
    """What ``hcs simulate`` draws.

    ``demo``, ``cohort`` and ``null`` make a cohort of clones on plates; ``demo`` adds a screen
    plate; ``screen`` makes screen plates alone. A preset only sets other defaults: whatever is
    given counts. ``neurons_per_image`` left out is 110 neurons a mm², whatever the field's size.
    ``screen_replicates`` screen plates carry the same compounds.
    """

    out: str
    preset: Literal["demo", "cohort", "null", "screen"] = "demo"
    seed: Seed = 0
    image_px: Annotated[int, Field(ge=32, le=4096)] = 512
    pixel_size_um: PositiveFloat = 0.65
    clones_per_class: PositiveInt = 8
    images_per_clone: PositiveInt = 12
    fields_per_well: PositiveInt = 4
    batches: PositiveInt = 2
    phenotype_strength: Annotated[float, Field(ge=0, le=3)] = 1.0
    clone_variation: Annotated[float, Field(ge=0, le=3)] = 1.0
    batch_variation: Annotated[float, Field(ge=0, le=3)] = 1.0
    neurons_per_image: PositiveFloat | None = None
    screen_wells: Literal[24, 96, 384] = 96
    screen_plates: PositiveInt = 1
    screen_replicates: PositiveInt = 1
    screen_fields_per_well: PositiveInt = 2
    gradient_strength: Annotated[float, Field(ge=0, le=3)] = 1.0

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, given: Any) -> Any:  # noqa: ANN401 - pydantic hands over raw input
        if not isinstance(given, Mapping):
            return given
        preset = str(given.get("preset", "demo"))
        return {**SIMULATE_PRESETS.get(preset, {}), **given}

    @model_validator(mode="after")
    def _null_has_no_phenotype(self) -> Self:
        if self.preset == "null" and self.phenotype_strength > 0:
            msg = "the preset 'null' has no class difference: phenotype_strength must be 0"
            raise ValueError(msg)
        return self
