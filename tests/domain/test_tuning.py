"""The tuned constants: described, documented, settable, and what results follow."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from hcs.domain.config.measuring import Sizes
from hcs.domain.config.stages import MorphologyConfig
from hcs.domain.tuning import page
from hcs.domain.tuning.base import Tuned
from hcs.domain.tuning.sets import DEFAULTS, Tuning
from hcs.ops.morphology import measure_field

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tuning.md"


def _leaves(group: Tuned, path: str = "") -> Iterator[tuple[str, str | None]]:
    for name, field in type(group).model_fields.items():
        value = getattr(group, name)
        if isinstance(value, Tuned):
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", field.description


def test_every_constant_says_what_it_is() -> None:
    leaves = dict(_leaves(DEFAULTS))
    assert len(leaves) > 100
    assert [name for name, about in leaves.items() if not about] == []


def test_documentation_lists_them() -> None:
    assert PAGE.read_text(encoding="utf-8") == page.as_markdown(), "run: make schemas"


def test_every_constant_is_used_by_a_kernel() -> None:
    ops = Path(inspect.getfile(measure_field)).parent
    code = "\n".join(file.read_text(encoding="utf-8") for file in ops.rglob("*.py"))
    unused = [name for name, _ in _leaves(DEFAULTS) if f".{name.rsplit('.', 1)[-1]}" not in code]
    assert unused == []


def test_unknown_or_impossible_constants_are_refused() -> None:
    with pytest.raises(ValidationError, match="min_aera"):
        Tuning.model_validate({"somas": {"min_aera": 1}})
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        Tuning.model_validate({"somas": {"min_fill": 1.2}})


def test_a_constant_changes_what_is_measured() -> None:
    y, x = np.mgrid[:96, :96]
    field = (
        200 + 900 * (np.hypot(y - 48, x - 48) < 9) + np.random.default_rng(3).normal(0, 8, (96, 96))
    )
    image = field.astype(np.uint16)
    settings = MorphologyConfig(sizes=Sizes(soma_diameter_px=18, neurite_width_px=3))
    larger = Tuning.model_validate({"somas": {"min_area_fraction": 1.5}})
    counts = [
        measure_field(image, pixel_size_um=None, settings=chosen).features["Image_Count_Cells"]
        for chosen in (settings, settings.model_copy(update={"tuning": larger}))
    ]
    assert counts == [1, 0]
