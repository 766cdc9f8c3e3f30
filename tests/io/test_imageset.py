"""Image sets grow plate by plate: rows stay, others are not touched, lost ones are named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hcs.domain import columns as col
from hcs.errors import ImageReadError, InputError, NotFoundError, StaleError
from hcs.io import bank, imageset, imagewriting, stack
from hcs.io.imageset import ROW, name_group
from hcs.io.imagewriting import place_images

PX, PER_SHARD = 4, 4


def frame_of(**plates: str) -> pd.DataFrame:
    """List wells of plates: ``P1="ABD"`` has A01, B01 and D01."""
    rows = [(plate, f"{row}01", 1) for plate, letters in plates.items() for row in letters]
    frame = pd.DataFrame(rows, columns=list(col.IMAGE_KEY))
    return frame.assign(
        **{
            col.CLONE: "C1", imageset.VALID: True,
            col.FINGERPRINT: [f"{plate}{well}" for plate, well, _ in rows],
        }
    )  # fmt: skip


def pixels_of(frame: pd.DataFrame) -> np.ndarray:
    """Every image has a level of its own."""
    level = [
        (100 if plate == "P2" else 10) + ord(well[0]) - 64
        for plate, well in zip(frame[col.PLATE], frame[col.WELL], strict=True)
    ]
    return np.tile(np.array(level, np.uint8)[:, None, None], (1, PX, PX))


def write(out, **plates):
    frame = frame_of(**plates)
    imagewriting.write_images(out, stack.layout(PX, PER_SHARD), frame, pixels_of(frame), {"a": 1})
    return frame


def rows_of(placed: pd.DataFrame) -> dict[str, int]:
    names = placed[col.PLATE] + placed[col.WELL].str[0]
    return dict(zip(names, placed[ROW].tolist(), strict=True))


@pytest.fixture
def out(tmp_path):
    return tmp_path / "stack.zarr"


# ── rows ────────────────────────────────────────────────────────────────────────────────────────


def test_an_image_keeps_its_row_and_new_ones_take_the_first_that_are_free(out):
    write(out, P1="BCDE", P2="AB")
    assert rows_of(place_images(out, frame_of(P1="BCDE", P2="AB"))) == {
        "P1B": 0, "P1C": 1, "P1D": 2, "P1E": 3, "P2A": 0, "P2B": 1,
    }  # fmt: skip
    grown = place_images(out, frame_of(P2="AB", P1="ABDEFG", P0="A"))
    assert rows_of(grown) == {
        "P0A": 0, "P1A": 1, "P1B": 0, "P1D": 2, "P1E": 3, "P1F": 4, "P1G": 5, "P2A": 0, "P2B": 1,
    }  # fmt: skip
    assert grown[[col.PLATE, col.WELL]].apply(tuple, axis=1).is_monotonic_increasing


def test_images_read_by_their_place_in_the_table_wherever_their_rows_are(out):
    write(out, P1="BCDE", P2="AB")
    placed = place_images(out, frame_of(P1="ABDEFG", P2="AB"))
    layout = stack.layout(PX, PER_SHARD)
    imagewriting.prepare(out, layout, placed, {})
    for plate, rows in placed.groupby(col.PLATE):
        for index, part in rows.groupby(rows[ROW] // PER_SHARD):
            block = np.zeros((PER_SHARD, PX, PX), np.uint8)
            block[part[ROW] % PER_SHARD] = pixels_of(part)
            imagewriting.write_shard(out, layout, plate, index, block)
    imagewriting.write_table(out, placed, {"stage": "stack"})
    opened = stack.open_stack(out)
    assert opened.shape == (8, PX, PX)
    assert opened.provenance == {"stage": "stack"}
    np.testing.assert_array_equal(opened.read(0, 8), pixels_of(placed))
    some = np.array([7, 2, 2, 0, 5])
    np.testing.assert_array_equal(opened.take(some), pixels_of(placed.iloc[some]))
    tree = opened.open_tree()
    for plate in ("P1", "P2"):
        part = placed[placed[col.PLATE] == plate]
        np.testing.assert_array_equal(tree[plate]["images"], pixels_of(part))
        assert tree[plate]["well"].values.tolist() == part[col.WELL].tolist()


def test_one_view_of_a_bank_is_read_alone(tmp_path):
    out, frame = tmp_path / "bank.zarr", frame_of(P1="ABC", P2="AB")
    features = np.random.default_rng(0).normal(size=(5, 3, 7)).astype(np.float16)
    imagewriting.write_images(out, bank.layout(3, 7, 2), frame, features, {})
    opened = bank.open_bank(out)
    np.testing.assert_array_equal(opened.take(np.array([4, 0, 1]), view=2), features[[4, 0, 1], 2])
    blocks = list(opened.iterate(np.arange(5), 2 * 3 * 7 * 2))
    assert [len(block) for block in blocks] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate(blocks), features)
    assert opened.take(np.arange(0)).shape == (0, 3, 7)


@pytest.mark.parametrize(
    "names",
    [["a/b", "a_b", "a%2Fb"], ["..", ".", "%2E."], ["tables", "Tables"], ["日本", "c", "_x"]],
)
def test_groups_of_different_plates_differ_and_are_names_of_folders(names):
    groups = [name_group(name) for name in names]
    assert len(set(groups)) == len(groups)
    for group in groups:
        assert "/" not in group
        assert group[0] not in "._"
        assert group != "tables"


# ── what is touched ─────────────────────────────────────────────────────────────────────────────


def times(out: Path) -> dict[str, int]:
    return {
        str(path.relative_to(out)): path.stat().st_mtime_ns
        for path in out.rglob("*")
        if path.is_file() and "c" in path.parts
    }


def test_getting_ready_touches_no_shard_and_removes_plates_that_are_gone(out):
    write(out, P1="ABCDE", P2="AB")
    before = times(out)
    assert sorted(before) == [f"{p}/images/c/{i}/0/0" for p, i in (("P1", 0), ("P1", 1), ("P2", 0))]
    layout = stack.layout(PX, PER_SHARD)
    imagewriting.prepare(out, layout, place_images(out, frame_of(P1="ABCDEF", P3="A")), {"a": 1})
    assert times(out) == {name: at for name, at in before.items() if name.startswith("P1")}
    assert (out / "P3/images/zarr.json").exists()
    assert not (out / "P2").exists()


def test_another_layout_starts_anew(out):
    write(out, P1="AB")
    placed = place_images(out, frame_of(P1="AB"))
    imagewriting.prepare(out, stack.layout(PX, 2 * PER_SHARD), placed, {})
    assert times(out) == {}


def test_a_block_larger_than_a_shard_or_of_another_shape_is_refused(out):
    layout = stack.layout(PX, PER_SHARD)
    for shape in ((PER_SHARD + 1, PX, PX), (PER_SHARD, PX, PX + 1)):
        with pytest.raises(InputError, match="is no shard of 4 images"):
            imagewriting.write_shard(out, layout, "P1", 0, np.zeros(shape, np.uint8))


# ── what is lost, old or unfinished ─────────────────────────────────────────────────────────────


def test_a_lost_shard_is_named_and_never_read_as_zeros(out):
    write(out, P1="ABCDEF")
    lost = out / "P1/images/c/1/0/0"
    lost.unlink()
    opened = stack.open_stack(out)
    assert opened.read(0, 4).min() > 0
    for places in ([4], [0, 5]):
        with pytest.raises(ImageReadError, match="c/1/0/0 is lost; hcs stack makes it again"):
            opened.take(np.array(places))
    lost.write_bytes(b"no shard")
    with pytest.raises(ImageReadError, match=r"c/1/0/0 is damaged"):
        opened.take(np.array([4]))


def test_a_lost_array_is_named(out):
    write(out, P1="AB", P2="AB")
    shutil.rmtree(out / "P2")
    with pytest.raises(StaleError, match=r"lacks the array of plate P2: make it again with hcs st"):
        stack.open_stack(out).read(0, 4)


def old_document(out):
    (out / "images").mkdir(parents=True)
    (out / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')


def other_format(out):
    write(out, P1="AB")
    document = json.loads((out / "zarr.json").read_text())
    document["attributes"]["hcs"]["format"] += 1
    (out / "zarr.json").write_text(json.dumps(document))


def killed_early(out):
    write(out, P1="AB")
    (out / "zarr.json").unlink()


def killed_before_the_table(out):
    imagewriting.prepare(out, stack.layout(PX, PER_SHARD), place_images(out, frame_of(P1="AB")), {})


@pytest.mark.parametrize(
    ("make", "why"),
    [
        pytest.param(old_document, "was written by another version", id="one array"),
        pytest.param(other_format, "was written by another version", id="another format"),
        pytest.param(killed_early, "was left unfinished", id="no document"),
        pytest.param(killed_before_the_table, "was left unfinished", id="no table"),
    ],
)
def test_an_old_or_unfinished_store_is_said_with_the_command_that_makes_it(out, make, why):
    make(out)
    with pytest.raises(StaleError, match=f"{why}.*: make it again with hcs stack"):
        _ = stack.open_stack(out).frame


def test_what_is_not_there_or_something_else_is_said(out, tmp_path):
    with pytest.raises(NotFoundError, match="does not exist; hcs stack makes it"):
        _ = stack.open_stack(out).frame
    write(out, P1="AB")
    with pytest.raises(InputError, match="is not a feature bank; hcs embed makes one"):
        _ = bank.open_bank(out).frame


def test_the_fingerprint_follows_pixels_and_settings_and_not_the_plate_map(out, tmp_path):
    frame = write(out, P1="AB")
    layout, before = stack.layout(PX, PER_SHARD), stack.open_stack(out).fingerprint

    def mark(frame, settings):
        other = tmp_path / "other.zarr"
        imagewriting.write_images(other, layout, frame, pixels_of(frame), settings)
        return stack.open_stack(other).fingerprint

    assert mark(frame.assign(**{col.CLONE: "C2"}), {"a": 1}) == before
    assert mark(frame.assign(**{col.FINGERPRINT: ["x", "y"]}), {"a": 1}) != before
    assert mark(frame, {"a": 2}) != before
