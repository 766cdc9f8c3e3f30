"""The feature catalogue and its page say the same."""

from __future__ import annotations

from pathlib import Path

from hcs.domain import catalog

PAGE = Path(__file__).resolve().parents[2] / "docs" / "features.md"


def test_the_page_is_in_step_with_the_catalogue():
    assert PAGE.read_text(encoding="utf-8") == catalog.as_markdown(), "run: make schemas"


def test_every_feature_has_one_row_with_a_definition():
    names = [row.name for row in catalog.features()]
    assert len(set(names)) == len(names)
    assert all(row.definition.endswith(".") for row in catalog.features())
    assert {row.power for row in catalog.features() if row.unit == "um2"} == {2}


def test_classic_is_part_of_full():
    assert catalog.columns("classic", 1.0) < catalog.columns("full", 1.0)
    assert not [name for name in catalog.columns("full", None) if name.endswith(("_um", "_um2"))]
