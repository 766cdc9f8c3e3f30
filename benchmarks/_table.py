"""Prints a table and writes its rows as JSON under ``benchmarks/results``."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
WORK = Path(os.environ.get("HCS_BENCH_DIR", Path(__file__).parent / "work"))


def report(name: str, rows: Sequence[Mapping[str, Any]], notes: Sequence[str] = ()) -> None:
    """Print rows as a table and keep them as ``results/<name>.json``."""
    headings = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_format(row.get(key, "")) for key in headings] for row in rows]
    widths = [
        max(len(text) for text in (heading, *(line[index] for line in cells)))
        for index, heading in enumerate(headings)
    ]
    for line in (headings, ["-" * width for width in widths], *cells):
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)))
    for note in notes:
        print(note)
    RESULTS.mkdir(exist_ok=True)
    record = {
        "benchmark": name,
        "command": " ".join(
            ["python", "-m", _find_module(name), *map(_without_paths, sys.argv[1:])]
        ),
        "when": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, no GPU",
        "rows": [dict(row) for row in rows],
        "notes": list(notes),
    }
    text = json.dumps(record, indent=1, ensure_ascii=False)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def _find_module(name: str) -> str:
    """Name of the module that was started, which may write several tables."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec.name.removesuffix(".__main__") if spec is not None else f"benchmarks.{name}"


def _without_paths(argument: str) -> str:
    """Write PATH for what lies somewhere on this machine."""
    parts = argument.split(",")
    return ",".join("PATH" if Path(part).is_absolute() else part for part in parts)


def _format(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
