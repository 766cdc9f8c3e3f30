"""Outputs that change together: all are new, or all are old, whenever the process ends."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hcs.io.files import together
from hcs.io.files.atomic import write_bytes
from hcs.io.files.together import replace_together
from hcs.io.files.written import record_writes
from hcs.io.runs.locks import locked

JOURNAL = 2
"""Which change puts the journal in its place, after which the new set is whole."""


class Killed(BaseException):
    """Stands for the end of the process: nothing of ours catches it."""


def write_set(out: Path, text: str) -> None:
    """Replace two files and a folder, and drop a file and a folder if they are there."""
    with replace_together(out / "one.txt") as place:
        write_bytes(place(out / "one.txt"), text.encode())
        folder = place(out / "folder")
        (folder / "inner").mkdir(parents=True)
        (folder / "inner" / f"{text}.txt").write_text(text)
        place(out / "two.txt").write_text(text)
        place.drop(out / "gone.txt")
        place.drop(out / "gone")


def read_set(out: Path) -> dict[str, str]:
    return {
        str(path.relative_to(out)): path.read_text()
        for path in sorted(out.rglob("*"))
        if path.is_file() and "one.txt.hcs" not in path.parts
    }


def expected(text: str, *, old: bool = False) -> dict[str, str]:
    more = {"gone.txt": "old", "gone/x.txt": "old"} if old else {}
    return {"one.txt": text, "two.txt": text, f"folder/inner/{text}.txt": text} | more


@pytest.fixture
def out(tmp_path):
    out = tmp_path / "study"
    out.mkdir()
    write_set(out, "old")
    (out / "gone").mkdir()
    for name in ("gone.txt", "gone/x.txt"):
        (out / name).write_text("old")
    assert read_set(out) == expected("old", old=True)
    return out


def test_files_and_folders_take_their_places_and_others_go(out):
    with record_writes() as written:
        write_set(out, "new")
    assert read_set(out) == expected("new")
    assert {Path(path).relative_to(out): size for path, size in written.items()} == {
        Path(name): 3 for name in expected("new")
    }
    assert not (out / "one.txt.hcs" / "next").exists()


def test_a_failing_write_leaves_the_old_set_and_nothing_beside_it(out):
    def write_half():
        with replace_together(out / "one.txt") as place:
            place(out / "one.txt").write_text("new")
            place.drop(out / "gone.txt")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        write_half()
    assert read_set(out) == expected("old", old=True)
    assert not (out / "one.txt.hcs" / "next").exists()


def write_set_until(out, monkeypatch, end_at):
    """Write a new set; end at some rename or removal."""
    seen = []

    def counted(function):
        def wrapped(*given, **more):
            if len(seen) == end_at:
                raise Killed
            seen.append(str(given[0]))
            return function(*given, **more)

        return wrapped

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", counted(Path.rename))
        patch.setattr(Path, "unlink", counted(Path.unlink))
        patch.setattr(together, "remove", counted(together.remove))
        patch.setattr(together.shutil, "rmtree", counted(together.shutil.rmtree))
        patch.setattr(os, "replace", counted(os.replace))
        write_set(out, "new")


@pytest.mark.parametrize("end_at", range(1, 17))
def test_a_kill_between_renames_is_finished_by_whoever_holds_it_next(out, monkeypatch, end_at):
    with pytest.raises(Killed):
        write_set_until(out, monkeypatch, end_at)
    wanted = expected("new") if end_at > JOURNAL else expected("old", old=True)
    with locked(out / "one.txt"):
        assert read_set(out) == wanted
        assert not (out / "one.txt.hcs" / "next").exists()
    write_set(out, "newer")
    assert set(read_set(out)) >= set(expected("newer"))
