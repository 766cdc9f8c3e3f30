"""What the documents name is there: a path that moved is found here, not by a reader."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hcs_cli.app import app

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md",
             "benchmarks/RESULTS.md"]  # fmt: skip
PATH = re.compile(r"(?<![\w./])(?:hcs|cli|tests|benchmarks|docs|schemas)/[\w/]+(?:\.\w+)?")
COMMANDS = {command.name or command.callback.__name__ for command in app.registered_commands}
COMMANDS |= {group.name for group in app.registered_groups}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_paths_exist(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    assert [path for path in PATH.findall(text) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_modules_and_commands_exist(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    modules = re.findall(r"python -m (benchmarks[\w.]*)", text)
    files = [ROOT / module.replace(".", "/") for module in modules]
    assert [f for f in files if not f.with_suffix(".py").exists() and not f.is_dir()] == []
    assert set(re.findall(r"`hcs ([a-z]+)", text)) <= COMMANDS
