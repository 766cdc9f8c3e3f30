"""Records of units: they count only while all that was written is in its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hcs.compute.units import Past, Unit, find_done, run_units
from hcs.io.files.atomic import write_bytes
from hcs.io.runs.ledger import Ledger, Record, read_claim

ODD = ["a/b", "a-b", "a_b", "a%2Fb", "A-b", "a b", "ä", "a:b", "a?b", "a*b", "a.", "a"]


@pytest.fixture
def ledger(tmp_path):
    return Ledger.of(tmp_path / "out.zarr")


def _write(payload: tuple[str, str]) -> dict[str, str]:
    """Write a file inside the output and a part beside it."""
    out, name = payload
    write_bytes(f"{out}/{name}/data", b"12345")
    write_bytes(Ledger.of(out).part(name, ".part"), b"123")
    return {"name": name}


def _write_items(payload: tuple[str, str], past: Past) -> dict[str, object]:
    return _write(payload) | {"kept": sorted(past.items)}


def unit(ledger, name, mark="a", **more):
    return Unit(name, mark, (ledger.out, name), **more)


def run(ledger, units, work=_write):
    return run_units(work, units, ledger=ledger, client=None, label="write")


@pytest.mark.parametrize(
    ("path", "harm"),
    [
        pytest.param("out.zarr/u1/data", os.remove, id="output removed"),
        pytest.param("out.zarr.hcs/parts/u1.part", os.remove, id="part removed"),
        pytest.param("out.zarr/u1/data", lambda p: p.write_bytes(b"123"), id="cut short"),
        pytest.param("out.zarr.hcs/units/u1.json", os.remove, id="record removed"),
    ],
)
def test_a_record_counts_only_while_its_files_are_there_with_their_size(
    ledger, tmp_path, path, harm
):
    units = [unit(ledger, name) for name in ("u0", "u1", "u2")]
    run(ledger, units)
    assert set(find_done(units, ledger)) == {"u0", "u1", "u2"}
    harm(tmp_path / path)
    assert set(find_done(units, ledger)) == {"u0", "u2"}
    again = run(ledger, units)
    assert (again.n_run, again.n_skipped) == (1, 2)
    assert set(find_done(units, ledger)) == {"u0", "u1", "u2"}


def test_records_hold_wherever_the_output_is_moved_and_however_it_is_named(
    ledger, tmp_path, monkeypatch
):
    run(ledger, [unit(ledger, "u")])
    assert ledger.read("u").files == {"./u/data": 5, "*/parts/u.part": 3}
    new = tmp_path / "elsewhere"
    new.mkdir()
    for name in ("out.zarr", "out.zarr.hcs"):
        (tmp_path / name).rename(new / name)
    monkeypatch.chdir(new)
    moved = Ledger.of("out.zarr")
    assert set(find_done([unit(moved, "u")], moved)) == {"u"}


def test_different_units_never_share_a_file(ledger):
    for number, name in enumerate(ODD):
        ledger.write(name, Record("a", {"number": number}), 0.0, {})
    assert [ledger.read(name).result["number"] for name in ODD] == list(range(len(ODD)))
    assert len({str(ledger.part(name, ".part")) for name in ODD}) == len(ODD)
    assert all(path.parent == Path(ledger.folder) for path in Path(ledger.folder).rglob("*"))


def test_what_the_output_no_longer_has_is_forgotten_with_its_parts(ledger, tmp_path):
    names = ("P-1", "P-1.5", "P-10", "P-2", "P-2.5")
    run(ledger, [unit(ledger, name) for name in names])
    for name in names:
        write_bytes(ledger.part(name, ".cells.parquet"), b"")
    kept = {"P-1", "P-10", "P-2.5"}
    ledger.forget_others(kept)
    assert {name for name in names if ledger.read(name) is not None} == kept
    parts = {path.name for path in (tmp_path / "out.zarr.hcs/parts").iterdir()}
    assert parts == {f"{name}{suffix}" for name in kept for suffix in (".part", ".cells.parquet")}


def test_a_place_that_another_output_took_is_done_again(ledger, tmp_path):
    claim = str(tmp_path / "plate.hcs/claims/labels-A01")
    other = Ledger.of(tmp_path / "other.zarr")
    mine, theirs = (unit(each, "u", mark, claims=(claim,)) for each, mark in
                    ((ledger, "mine"), (other, "theirs")))  # fmt: skip
    run(ledger, [mine])
    assert read_claim(claim) == "mine"
    assert run(ledger, [mine]).n_run == 0
    run(other, [theirs])
    assert run(ledger, [mine]).n_run == 1
    assert run(other, [theirs]).n_run == 1


def test_items_that_are_still_true_stay_unless_a_file_of_the_unit_is_gone(ledger, tmp_path):
    first = unit(ledger, "u", "1", items={"x": "1", "y": "1"})
    run(ledger, [first], _write_items)
    second = unit(ledger, "u", "2", items={"x": "1", "y": "2", "z": "1"})
    assert run(ledger, [second], _write_items).results[0]["kept"] == ["x"]
    (tmp_path / "out.zarr/u/data").unlink()
    third = unit(ledger, "u", "3", items={"x": "1", "y": "2", "z": "2"})
    assert run(ledger, [third], _write_items).results[0]["kept"] == []
