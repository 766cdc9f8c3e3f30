"""The end of the page: planted against found, problems of the data, where each file comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

import pandas as pd

from hcs.domain import columns as col
from hcs.report import wording
from hcs.report.blocks import (
    Block,
    Code,
    Column,
    Folded,
    Note,
    Paragraph,
    Section,
    Table,
)
from hcs.report.overview import weights_asked
from hcs.report.study import Absent, Study

_MAX_PROBLEMS: Final = 500


def compare_planted(study: Study) -> Section | None:
    """Return what was planted into a simulated study against what was found; None when real."""
    rows = study.planted
    if isinstance(rows, Absent):
        if (study.path / "planted.json").exists():
            return Section("planted", _PLANTED_TITLE, (Note("missing", rows.why),))
        return None
    numeric = all(_is_number(value) for row in rows for value in (row.planted, row.found))
    titles = (
        Column("Quantity"),
        Column("Planted", numeric=numeric),
        Column("Found", numeric=numeric),
        Column("Unit"),
        Column("Note"),
    )
    cells = tuple(
        (
            row.quantity,
            _value(row.planted),
            _value(row.found),
            wording.text(row.unit),
            wording.text(row.note),
        )
        for row in rows
    )
    return Section("planted", _PLANTED_TITLE, (Table(titles, cells),))


_PLANTED_TITLE: Final = "Planted against found (simulated data)"


def _is_number(value: str | float | None) -> bool:
    if isinstance(value, str):
        return value.replace(".", "", 1).replace("-", "", 1).isdigit()
    return True


def _value(value: str | float | None) -> str:
    return wording.text(value) if isinstance(value, str) else wording.trim_number(value, 4)


# ── problems ────────────────────────────────────────────────────────────────────────────────────


def problems(study: Study) -> Section:
    """Return everything that was wrong with the data."""
    table = study.problems
    if isinstance(table, Absent):
        return Section("problems", "Problems", (Note("missing", table.why),))
    if table.empty:
        text = "None: every image, well and row of the plate map could be used."
        return Section("problems", "Problems", (Paragraph(text),))
    summary = (
        table.assign(left_out=~table["kept"].astype(bool))
        .groupby(["stage", "reason"], sort=True)["left_out"]
        .agg(["size", "sum"])
    )
    titles = (
        Column("Stage"),
        Column("Reason"),
        Column("Number", numeric=True),
        Column("Left out", numeric=True),
    )
    rows = tuple(
        (str(row["stage"]), str(row["reason"]), f"{row['size']:,}", f"{row['sum']:,}")
        for row in summary.reset_index().to_dict(orient="records")
    )
    blocks: tuple[Block, ...] = (
        Table(titles, rows),
        Folded(f"All {len(table):,}", tuple(_details(table))),
    )
    return Section("problems", "Problems", blocks)


def _details(table: pd.DataFrame) -> Iterator[Block]:
    names = ("stage", col.PLATE, col.WELL, col.SITE, "file", "reason", "message")
    titles = (*(Column(wording.capital(_PROBLEM_TITLES.get(n, n))) for n in names), Column("Kept"))
    rows = tuple(
        (*(wording.text(row[name]) for name in names), "yes" if row["kept"] else "no")
        for row in table.head(_MAX_PROBLEMS).to_dict(orient="records")
    )
    yield Table(titles, rows)
    if len(table) > _MAX_PROBLEMS:
        yield Note("info", f"The first {_MAX_PROBLEMS} are shown; all: problems.parquet.")


_PROBLEM_TITLES: Final = {col.PLATE: "plate", col.WELL: "well", col.SITE: "field"}


# ── provenance ──────────────────────────────────────────────────────────────────────────────────


def provenance(study: Study) -> Section:
    """Return how every file came to be: stage, version, settings, time."""
    records = study.records
    blocks: list[Block] = []
    weights = weights_asked(study)
    if weights is not None:
        blocks.append(Paragraph(f"Weights of the image network: {_weights_sentence(study)}."))
    if not records:
        blocks.append(Note("missing", "No file of this study says how it came to be."))
        return Section("provenance", "Provenance", tuple(blocks))
    titles = (
        Column("File"),
        Column("Stage"),
        Column("Version"),
        Column("Started (UTC)"),
        Column("Time of the last run", numeric=True),
    )
    rows = []
    settings: list[Block] = []
    for record in records:
        made = record.provenance
        stage = wording.text(made.get("stage"))
        started = wording.text(made.get("started")).replace("T", " ").removesuffix("Z")
        version = f"{made.get('software', '')} {made.get('version', '')}".strip()
        rows.append((record.file, stage, version, started, wording.seconds(made.get("seconds"))))
        body = json.dumps(dict(made), indent=2, ensure_ascii=False, sort_keys=False)
        settings.append(Folded(f"{record.file}: {stage}", (Code(body),)))
    blocks.append(Table(titles, tuple(rows), "A resumed run counts only what it did itself."))
    blocks.append(Folded("Settings and inputs of every file", tuple(settings)))
    if not isinstance(study.config, Absent):
        text = json.dumps(study.config.model_dump(mode="json"), indent=2, ensure_ascii=False)
        blocks.append(Folded("Study file as run", (Code(text),)))
    return Section("provenance", "Provenance", tuple(blocks))


def _weights_sentence(study: Study) -> str:
    asked = weights_asked(study) or wording.NONE
    if isinstance(study.bank, Absent):
        return asked
    described = str(study.bank.settings.get("weights", asked))
    mark = str(study.bank.settings.get("weights_fingerprint", ""))
    return f"{described} (fingerprint {mark})" if mark else described
