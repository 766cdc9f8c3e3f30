"""Settings in YAML: nothing runs, nothing grows, nothing is lost or misread in silence."""

from __future__ import annotations

import itertools
import os
import time

import pytest

from hcs.errors import HcsError
from hcs.io.files.settings import read_mapping

LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [" + ",".join([f"*{before}"] * 10) + "]\n"
    for before, name in itertools.pairwise("abcdefghi")
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(LAUGHS, "entries once", id="aliases of aliases"),
        pytest.param("a: &a x\nb: [" + "*a," * 450_000 + "]", "entries", id="many aliases"),
        pytest.param("name: &a [*a]", "alias of what it stands in", id="a circle"),
        pytest.param("- " * 5000, "65 levels", id="deep lists"),
        pytest.param("[" * 100_000, "depth|levels", id="deep brackets"),
        pytest.param("a: [" + "x," * 450_000 + "]", "entries", id="450,000 entries"),
        pytest.param("a: " + "x" * 5_000_000, "bytes, more than", id="five megabytes"),
        pytest.param("x: !!python/object/apply:os.getcwd []", "python/object", id="code"),
        pytest.param("seed: 0x" + "f" * 5000, "20000 bits", id="a number of 20,000 bits"),
        pytest.param("seed: 010", "row 1.*another number.*'010'", id="an octal number"),
        pytest.param("at: 1:30", "another number.*'1:30'", id="a number by sixties"),
        pytest.param("a: {b: 1,\n  b: 2}", "row 2: 'b' is given twice", id="a name twice"),
        pytest.param("1: 2", "key 1, which is no name", id="a number as name"),
        pytest.param("? [a]\n: 1", "cannot be read", id="a list as name"),
        pytest.param("x: 9999-99-99", "cannot be read", id="no such day"),
        pytest.param("a: 1\n---\nb: 2", "cannot be read", id="two documents"),
        pytest.param("", "holds nothing", id="empty"),
        pytest.param("name: M\xfcller".encode("latin-1"), "no text in UTF-8", id="latin-1"),
    ],
)
def test_what_is_no_settings_file_is_refused_at_once(tmp_path, text, said):
    file = tmp_path / "study.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    started = time.process_time()
    with pytest.raises(HcsError, match=r"(?s)study\.yaml.*" + said):
        read_mapping(file, "study file")
    assert time.process_time() - started < 8


def test_ordinary_settings_are_read(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text("base: &b {x: 1}\nmore: {<<: *b, x: 2, y: '010', z: [-5, 0, 0x10, 1_000]}\n")
    assert read_mapping(file, "study file") == {
        "base": {"x": 1},
        "more": {"x": 2, "y": "010", "z": [-5, 0, 16, 1000]},
    }


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "study.yaml")
    with pytest.raises(HcsError, match=r"study\.yaml is a named pipe"):
        read_mapping(tmp_path / "study.yaml", "study file")
