"""Run a folder of cases, inputs that went wrong somewhere, with one or several versions of hcs.

    python -m benchmarks.checks.cases FOLDER --hcs COMMAND [COMMAND ...] [--python PYTHON]
        [--only NAME ...] [--out FOLDER]

A case is a folder with a ``run.sh`` that runs ``$HCS`` (with the Python ``$PYTHON`` for looking at
what it wrote) on inputs beside it, and prints ``exit N`` after each command. Every command gets a
copy of the whole folder, as cases share scripts. What each case printed lies in
``OUT/<number of the command>/<case>.txt``; ``cases.json`` and ``cases.md`` have a row a case: exit
codes, tracebacks and the last line of each command. Whether a result is right is for the reader.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks._table import WORK

LIMIT_S = 900
EXIT = re.compile(r"\bexit(?: code)?[ =:]+(\d+)")
TRACEBACK = re.compile(r"^Traceback|^\w+Error: ", re.MULTILINE)
"""Also the last lines of one, as scripts show the end of what was printed."""
OUTPUTS = ("o-*", "o.zarr*", "out*")
"""What an earlier run may have left in the folder; ``run.sh`` removes most of it by itself."""


def copy_cases(folder: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target, symlinks=True, ignore=shutil.ignore_patterns(*OUTPUTS))


def run_case(case: Path, command: str, python: str, log: Path) -> dict[str, Any]:
    """Run one case of a copy, and say how it ended."""
    environment = os.environ | {"HCS": command, "PYTHON": python, "COLUMNS": "200"}
    started = time.perf_counter()
    try:
        done = subprocess.run(
            ["bash", str(case / "run.sh")],
            cwd=case,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LIMIT_S,
            check=False,
        )
        text = done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as error:
        text = (error.stdout or b"").decode(errors="replace") + f"\nlonger than {LIMIT_S} s"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(text, encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return {
        "exits": [int(code) for code in EXIT.findall(text)],
        "tracebacks": len(TRACEBACK.findall(text)),
        "seconds": round(time.perf_counter() - started, 1),
        "last line": lines[-1] if lines else "",
    }


def write_tables(rows: list[dict[str, Any]], n_commands: int, out: Path) -> str:
    """Write the rows as JSON and as a table; returns the latter."""
    (out / "cases.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    heads = [
        f"{what} {number}" for number in range(1, n_commands + 1) for what in ("exits", "last")
    ]
    lines = ["| case | " + " | ".join(heads) + " |", "|---" * (1 + len(heads)) + "|"]
    for row in rows:
        cells = [row["case"]]
        for found in row["commands"]:
            broken = f" ({found['tracebacks']} tracebacks)" if found["tracebacks"] else ""
            cells.append(" ".join(map(str, found["exits"])) + broken)
            cells.append(found["last line"][:100].replace("|", "¦"))
        lines.append("| " + " | ".join(cells) + " |")
    text = "\n".join(lines) + "\n"
    (out / "cases.md").write_text(text, encoding="utf-8")
    return text


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--hcs", nargs="+", required=True, help="Commands, such as before and after."
    )
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--only", nargs="+", default=[], help="Beginnings of the names of cases.")
    parser.add_argument("--out", type=Path, default=WORK / "cases")
    given = parser.parse_args()
    names = sorted(script.parent.name for script in given.folder.glob("*/run.sh"))
    names = [n for n in names if not given.only or n.startswith(tuple(given.only))]
    given.out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = [{"case": name, "commands": []} for name in names]
    for number, command in enumerate(given.hcs, start=1):
        copy = given.out / f"copy{number}"
        copy_cases(given.folder, copy)
        for row in rows:
            log = given.out / str(number) / f"{row['case']}.txt"
            row["commands"].append(run_case(copy / row["case"], command, given.python, log))
            print(number, row["case"], row["commands"][-1], flush=True)
        shutil.rmtree(copy)
    print(write_tables(rows, len(given.hcs), given.out))


if __name__ == "__main__":
    main()
