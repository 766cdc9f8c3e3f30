"""How morphology was measured, and what tells the classes apart in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pandas as pd

from hcs.io.files import parquet
from hcs.report import wording
from hcs.report.blocks import Block, Column, Paragraph, Table
from hcs.report.study import Study
from hcs.words import english

_GROUPS: Final = "forest/groups.parquet"
_IMPORTANCE: Final = "forest/importance.parquet"
_SHOWN: Final = 15
_SIZES: Final = {
    "soma_diameter": "soma diameter",
    "neurite_width": "neurite width",
    "nucleus_diameter": "nucleus diameter",
}
_UNITS: Final = {"um": "µm", "px": "px"}


def how_measured(study: Study) -> Iterator[Block]:
    """Say on which scales each plate was measured and whether its light was evened out."""
    made = next((r.provenance for r in study.records if r.file == "features.parquet"), {})
    for plate, found in dict(made.get("measured_with", {})).items():
        yield Paragraph(f"Plate {plate} was measured with {_sizes(found)}. {_light(found)}")


def _sizes(found: dict[str, Any]) -> str:
    named = [
        f"{name} {found[f'{stem}_{unit}']:g} {sign}"
        for stem, name in _SIZES.items()
        for unit, sign in _UNITS.items()
        if found.get(f"{stem}_{unit}") is not None
    ]
    return " and ".join(named)


def _light(found: dict[str, Any]) -> str:
    sentences = []
    for channel, item in dict(found.get("illumination", {})).items():
        uneven = f"uneven by {wording.percent(item['range_fraction'])}"
        origin = "the vendor's flat field" if item.get("source") == "vendor" else "its own fields"
        sentences.append(
            f"Channel {channel} was divided by the illumination of {origin} ({uneven})."
            if item["corrected"]
            else f"The illumination of channel {channel} was left as it is{_because(item)}."
        )
    return " ".join(sentences)


def _because(item: dict[str, Any]) -> str:
    return f" ({item['why']})" if item.get("why") else ""


def what_differs(study: Study) -> Iterator[Block]:
    """Tables of the tests on group means and of the forest's permutation importance."""
    tests = _table(study, _GROUPS)
    if tests is not None:
        yield _tests(tests, english.make_plural(wording.noun(study.group_by)))
    importance = _table(study, _IMPORTANCE)
    if importance is not None and importance["importance_mean"].notna().any():
        yield _importance(importance)


def _table(study: Study, file: str) -> pd.DataFrame | None:
    path = study.path / file
    return parquet.read_table(path) if path.exists() else None


def _tests(tests: pd.DataFrame, units: str) -> Table:
    shown = tests.sort_values("welch_p", kind="stable").head(_SHOWN)
    columns = (
        Column("Feature"),
        Column("Classes"),
        Column("Hedges' g (95 %)", numeric=True),
        Column("Student p", numeric=True),
        Column("Welch p", numeric=True),
        Column("Mann-Whitney p", numeric=True),
    )
    rows = [
        (
            wording.capital(wording.with_unit(*wording.feature(str(row["feature"])))),
            f"{row['positive']} against {row['other']}",
            _interval(row),
            *(wording.p_value(row[f"{t}_p_holm"]) for t in ("student", "welch", "mann_whitney")),
        )
        for _, row in shown.iterrows()
    ]
    caption = (
        f"The {len(rows)} clearest of {len(tests)} tests on means of {units}; p corrected for all "
        "of them by Holm's method. The interval of g comes from the noncentral t distribution."
    )
    return Table(columns, tuple(rows), caption)


def _interval(row: pd.Series) -> str:
    if wording.is_missing(row["hedges_g"]):
        return wording.NONE
    low, high = (wording.number(row[name], 2) for name in ("g_ci_low", "g_ci_high"))
    return f"{wording.number(row['hedges_g'], 2)} ({low} to {high})"


def _importance(importance: pd.DataFrame) -> Table:
    shown = importance.dropna(subset=["importance_mean"]).head(_SHOWN)
    rows = tuple(
        (
            wording.capital(wording.with_unit(*wording.feature(str(row["feature"])))),
            wording.plus_minus(row["importance_mean"], row["importance_sd"], 3),
        )
        for _, row in shown.iterrows()
    )
    caption = (
        "Permutation importance in the forest: how far the ROC AUC of the test images falls when a "
        "feature is shuffled, mean ± SD over splits. Features that say the same share it."
    )
    return Table((Column("Feature"), Column("Fall of the AUC", numeric=True)), rows, caption)
