"""Blinding end to end: the map tells nothing, ingest takes it, the key gives everything back."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pandas as pd
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from small_plates import field, name_of
from typer.testing import CliRunner

from hcs.design.blinding import code_of, new_secret
from hcs.domain import columns as col
from hcs.domain.blinding import BlindConfig, PositionConfig, RevealConfig
from hcs.domain.config.stages import IngestConfig
from hcs.errors import FaultsError, InputError, NotFoundError, UnknownNameError
from hcs.io.plates.reader import PlateReader
from hcs.io.sheets.platemap import read_platemap
from hcs.stages import blind, ingest
from hcs_cli.app import app

CLONES = "\n".join(
    [
        "Clone,Donor,Diagnosis,Age,pert_type,Compound,concentration_nM,wells",
        *(f"iPS{n:02d},D{n // 2},{('ALS', 'control')[n % 2]},{40 + n},,,," for n in range(4)),
        "REF1,D90,control,55,negcon,DMSO,,2",
        "REF1,D90,control,55,poscon,ropinirole,1000,2",
    ]
)


@pytest.fixture
def clones(tmp_path):
    path = tmp_path / "clones.csv"
    path.write_text(CLONES + "\n")
    return path


def config_of(clones, **more):
    folder = clones.parent
    given_ = {
        "clones": str(clones), "out": str(folder / "blinded.csv"), "key": str(folder / "key.json"),
        "plate_wells": 24, "n_permutations": 99,
    }  # fmt: skip
    return BlindConfig.model_validate(given_ | more)


def reveal_of(config, **more):
    given_ = {"blinded": config.out, "key": config.key, "out": config.out + ".revealed.csv"}
    return RevealConfig.model_validate(given_ | more)


def test_the_map_tells_nothing_and_the_key_gives_all_back(clones):
    config = config_of(clones)
    result = blind.run(config)
    told = Path(config.out).read_text()
    for code in {row.clone for row in read_platemap(config.out).rows if row.clone}:
        told = told.replace(code, "")  # a code may hold any two letters by chance
    assert not any(word in told for word in ("iPS", "REF", "ALS", "control", "con", "DMSO", "D9"))
    assert "does not predict" in result.summary["position"]
    assert "caution" not in result.summary
    blind.reveal(reveal_of(config))
    rows = read_platemap(config.out + ".revealed.csv").rows
    assert len(rows) == 20
    by_clone = {(row.clone, row.compound): row for row in rows}
    assert {clone for clone, _ in by_clone} == {"iPS00", "iPS01", "iPS02", "iPS03", "REF1"}
    assert (by_clone["iPS01", None].donor, by_clone["iPS01", None].diagnosis) == ("D0", "control")
    assert by_clone["iPS02", None].extra["Age"] == 42
    poscon = by_clone["REF1", "ropinirole"]
    assert (poscon.pert_type, poscon.concentration_um) == ("poscon", 1.0)
    blinded = {(row.plate, row.well): row.clone for row in read_platemap(config.out).rows}
    assert {(r.plate, r.well): r.extra["BlindCode"] for r in rows} == blinded


def test_the_key_file_is_its_owners_alone(clones):
    config = config_of(clones)
    blind.run(config)
    key = Path(config.key)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    blind.run(config_of(clones, out=config.out + "2", plates=("P02",)))  # written again
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.chmod(0o640)
    with pytest.raises(InputError, match="chmod 600"):
        blind.reveal(reveal_of(config))


def test_a_damaged_key_file_does_not_print_its_secret(clones):
    config = config_of(clones)
    blind.run(config)
    content = json.loads(Path(config.key).read_text())
    secret = content["secret"]
    content["secret"] += "0"
    Path(config.key).write_text(json.dumps(content))
    with pytest.raises(InputError, match="not a key file") as caught:
        blind.reveal(reveal_of(config))
    assert secret[:8] not in str(caught.value)


def test_same_key_and_seed_same_layout(clones):
    config = config_of(clones)
    blind.run(config)
    first = Path(config.out).read_bytes()
    blind.run(config)
    assert Path(config.out).read_bytes() == first
    with pytest.raises(InputError, match="another layout"):
        blind.run(config_of(clones, seed=1))
    blind.run(config_of(clones, out=config.out + "2", key=config.key + "2"))
    assert Path(config.out + "2").read_bytes() != first


def test_a_pipetted_map_is_not_replaced(clones):
    config = config_of(clones)
    blind.run(config)
    with pytest.raises(InputError, match="pipetted"):
        blind.run(config_of(clones, plates=("P02",)))


def test_a_clone_keeps_its_code_on_later_plates(clones):
    config = config_of(clones)
    blind.run(config)
    with clones.open("a") as stream:
        stream.write("iPS99,D99,ALS,80,,,,\n")
    later = config_of(clones, out=config.out + "2.csv", plates=("P02", "P03"))
    blind.run(later)
    first = {row.clone for row in read_platemap(config.out).rows}
    second = {row.clone for row in read_platemap(later.out).rows}
    assert first < second
    assert len(second - first) == 1
    blind.reveal(reveal_of(config))
    blind.reveal(reveal_of(later))


def test_a_clone_that_the_key_file_knows_otherwise(clones):
    config = config_of(clones)
    blind.run(config)
    text = clones.read_text().replace("iPS00,D0,ALS", "iPS00,D0,control")
    clones.write_text(text.replace("iPS01,D0,", "iPS01,D7,"))
    with pytest.raises(FaultsError) as caught:
        blind.run(config_of(clones, out=config.out + "2", plates=("P02",)))
    assert len(caught.value.faults) == 2


@settings(max_examples=30, deadline=None)
@given(names=st.lists(st.text(min_size=1), min_size=2, max_size=20, unique=True))
def test_codes_follow_from_the_secret_and_from_nothing_else(names):
    one, other = new_secret(), new_secret()
    codes = [code_of(one, name) for name in names]
    assert len(set(codes)) == len(names)
    assert codes == [code_of(one, name) for name in names]
    assert not set(codes) & {code_of(other, name) for name in names}


def test_every_fault_of_a_clone_table_comes_at_once(clones):
    clones.write_text(
        "clone,diagnosis,pert_type,concentration,wells\n"
        ",ALS,,,\nA,ALS,sham,,\nB,ALS,,much,\nC,ALS,,,0\nD,ALS,,,\nD,ALS,,,\n"
    )
    with pytest.raises(FaultsError) as caught:
        blind.run(config_of(clones))
    assert [fault.row for fault in caught.value.faults] == [2, 3, 4, 5, 7]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("name,diagnosis\nA,ALS\n", "no column for the clone", id="no-clone"),
        pytest.param("clone,well\nA,B1\n", "plate map", id="plate-map"),
        pytest.param("clone,diagnosis\n", "no clones", id="empty"),
    ],
)
def test_what_is_no_clone_table(clones, text, message):
    clones.write_text(text)
    with pytest.raises(FaultsError, match=message):
        blind.run(config_of(clones))


def test_every_fault_of_a_reveal_comes_at_once(clones):
    config = config_of(clones)
    blind.run(config)
    header, first, second, third, *rest = Path(config.out).read_text().splitlines()
    unknown = second.rsplit(",", 1)[0] + ",X00000000"
    another = third.rsplit(",", 1)[0] + "," + first.rsplit(",", 1)[1]
    Path(config.out).write_text("\n".join([header, unknown, another, *rest]) + "\n")
    with pytest.raises(FaultsError) as caught:
        blind.reveal(reveal_of(config))
    messages = sorted(fault.message for fault in caught.value.faults)
    expected = 2 if third.rsplit(",", 1)[1] == first.rsplit(",", 1)[1] else 3
    assert len(messages) == expected
    assert any("unknown code" in message for message in messages)
    assert any("is missing" in message for message in messages)
    assert not Path(config.out + ".revealed.csv").exists()


def test_reveal_needs_the_key_and_another_file(clones):
    config = config_of(clones)
    blind.run(config)
    with pytest.raises(InputError, match="--out"):
        blind.reveal(reveal_of(config, out=config.out))
    with pytest.raises(NotFoundError, match="only the key file"):
        blind.reveal(reveal_of(config, key=config.key + "lost"))


def test_numbers_of_wells_that_unblind_are_said(clones):
    lines = clones.read_text().replace("iPS00,D0,ALS,40,,,,", "iPS00,D0,ALS,40,,,,3")
    clones.write_text(lines)
    assert "unblinds" in blind.run(config_of(clones)).summary["caution"]


def test_a_blinded_plate_is_ingested_and_revealed(clones, tmp_path):
    config = config_of(clones, open_controls=True)
    blind.run(config)
    images = tmp_path / "tiffs"
    images.mkdir()
    for row in read_platemap(config.out).rows:
        letter, column = row.well.name[0], row.well.column + 1
        tifffile.imwrite(images / name_of(letter, column, 1), field(column))
    out = str(tmp_path / "P01.zarr")
    made = ingest.run(
        IngestConfig(source=str(images), out=out, platemap=config.out, plate_name="P01",
                     plate_wells=24)
    )  # fmt: skip
    assert made.problems == ()
    table = PlateReader(out).well_table
    assert table[col.DIAGNOSIS].isna().all()
    assert table[col.PERT_TYPE].value_counts().to_dict() == {"negcon": 2, "poscon": 2}
    parquet = tmp_path / "features.parquet"
    PlateReader(out).images.to_parquet(parquet)
    done = CliRunner().invoke(app, ["blind", "reveal", out, "--key", config.key])
    assert done.exit_code == 0, done.output
    images_now = PlateReader(out).images
    assert set(images_now[col.DIAGNOSIS]) == {"ALS", "control"}
    assert images_now[col.CLONE].nunique() == 5
    with pytest.raises(InputError, match="revealed already"):
        blind.reveal(RevealConfig(blinded=out, key=config.key))
    named = str(tmp_path / "named.parquet")
    blind.reveal(RevealConfig(blinded=str(parquet), key=config.key, out=named))
    both = pd.read_parquet(named).sort_values([col.WELL])[col.CLONE].tolist()
    assert both == images_now.sort_values([col.WELL])[col.CLONE].tolist()


def test_position_of_anyones_plate_map(tmp_path):
    path = tmp_path / "wells.csv"
    lines = [
        f"{row}{c},{'ALS' if c < 7 else 'control'}" for row in "ABCDEFGH" for c in range(1, 13)
    ]
    path.write_text("well,disease\n" + "\n".join(lines) + "\n")
    done = CliRunner().invoke(app, ["blind", "position", str(path), "--permutations", "99"])
    assert done.exit_code == 0, done.output
    assert "Position on the plate predicts the diagnosis: the column alone" in done.stdout
    with pytest.raises(UnknownNameError, match="diagnosis"):
        blind.predict_from_position(PositionConfig(platemap=str(path), label="genotype"))


@pytest.mark.parametrize("command", ["layout", "reveal", "position"])
def test_help_has_an_example(command):
    done = CliRunner().invoke(app, ["blind", command, "--help"])
    assert f"hcs blind {command}" in done.stdout.split("Example:")[1]


@pytest.mark.parametrize("link", [False, True], ids=["same", "through-a-link"])
def test_the_key_is_not_written_over(tmp_path, clones, link):
    """A map in the place of its key: the codes could never be turned back."""
    key = tmp_path / "key.json"
    other = tmp_path / "link.json" if link else key
    if link:
        other.symlink_to(key)
    with pytest.raises(InputError, match="is given as key and as out"):
        blind.run(BlindConfig(clones=str(clones), key=str(key), out=str(other)))
    assert not key.exists()
    blind.run(BlindConfig(clones=str(clones), key=str(key), out=str(tmp_path / "map.csv")))
    kept = key.read_bytes()
    with pytest.raises(InputError, match="is given as key and as out"):
        blind.reveal(RevealConfig(blinded=str(tmp_path / "map.csv"), key=str(key), out=str(other)))
    assert key.read_bytes() == kept
