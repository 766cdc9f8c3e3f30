"""Damages files in many ways, and lists every reader that must take it without a traceback.

Used by the tests on a few mutations a reader, and by ``benchmarks.bench_fuzz`` on thousands.
"""

from __future__ import annotations

import io
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
from foreign_plates import Image, write_plate
from small_plates import field as draw_field
from small_plates import name_of

from hcs.domain import columns as col

TOKENS = (
    b"\0", b"\xff\xfe", b"-1", b"0", b"4294967295", b"1e999", b"NaN", b"null", b"[]", b"{}", b'"',
    b"../../x", b"=", b"\n", b"<", b"&a;", b"[" * 400, b"9" * 400, b"A" * 70_000,
)  # fmt: skip
"""What breaks parsers: signs that open and close, numbers beyond all types, paths, long cells."""


def mutate(data: bytes, seed: int) -> bytes:
    """Damage a file in one to four places, the same for the same seed."""
    rng = random.Random(seed)
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        size = len(out)
        # Headers stand at the beginning and directories at the end: these are hit more often.
        where = rng.choice((rng.randrange(size + 1), rng.randrange(min(size, 300) + 1),
                            max(size - rng.randrange(300), 0)))  # fmt: skip
        match rng.randrange(7):
            case 0 if size:
                out[min(where, size - 1)] ^= 1 << rng.randrange(8)
            case 1 if size:
                out[min(where, size - 1)] = rng.choice((0, 255, 127, 128, 10, 34, 44, 91))
            case 2:
                del out[where:]
            case 3:
                del out[where : where + rng.choice((1, 4, 64, 1000))]
            case 4:
                out[where:where] = rng.choice(TOKENS)
            case 5:
                token = rng.choice(TOKENS)
                out[where : where + len(token)] = token
            case _:
                piece = out[where : where + rng.choice((4, 60, 500))]
                at = rng.randrange(size + 1)
                out[at:at] = piece
    return bytes(out)


@dataclass(frozen=True)
class Reader:
    """One reader of bytes of others.

    Attributes
    ----------
    name
        What is read.
    make
        Writes a whole input into a folder.
    read
        Reads it, to the last number.
    files
        Patterns of the files that are damaged, one at a time.
    """

    name: str
    make: Callable[[Path], object]
    read: Callable[[Path], object]
    files: tuple[str, ...] = ("**/*",)

    def list_files(self, folder: Path) -> list[Path]:
        """List the files that are damaged."""
        found = {file for pattern in self.files for file in folder.glob(pattern) if file.is_file()}
        return sorted(found)


@dataclass
class Bench:
    """A whole input of one reader, damaged and mended again."""

    reader: Reader
    folder: Path
    _kept: dict[Path, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Write the input and see that it can be read."""
        self.folder.mkdir(parents=True)
        self.reader.make(self.folder)
        self._kept = {file: file.read_bytes() for file in self.reader.list_files(self.folder)}
        self.reader.read(self.folder)

    def attempt(self, seed: int) -> Exception | None:
        """Damage one file, read, mend; returns what was raised."""
        file = sorted(self._kept)[seed % len(self._kept)]
        file.write_bytes(mutate(self._kept[file], seed))
        try:
            self.reader.read(self.folder)
        except Exception as error:  # noqa: BLE001 - whoever asks judges it
            return error
        finally:
            file.write_bytes(self._kept[file])
        return None


# ── inputs ──────────────────────────────────────────────────────────────────────────────────────

TABLE = pd.DataFrame(
    {
        "plate": "P1",
        "well": ["A01", "A02", "B01", "B02"],
        "clone": ["c1", "c2", "c3", "c4"],
        "diagnosis": ["control", "ALS"] * 2,
        "concentration_um": [0.0, 1.5, 2, 30],
    }
)
XML = """<?xml version="1.0"?>
<ImageStack UUID="a"><Creation CreatedOn="2012-01-05" Version="1.5"/>
<AutoLeadAcquisitionProtocol name="p" version="2"><Plate name="96 well" rows="8" columns="12"/>
<ObjectiveCalibration pixel_width="0.65" pixel_height="0.65" magnification="10"/>
<Wavelengths><Wavelength index="0"><EmissionFilter name="FITC" wavelength="525"/></Wavelength>
</Wavelengths></AutoLeadAcquisitionProtocol>
<Images><Image filename="A - 01(fld 001 wv Blue - FITC).tif"><Well label="A - 1">
<Row number="1"/><Column number="1"/></Well><Identifier field_index="0" time_index="0"
 wave_index="0" z_index="0"/><OffsetFromWellCenter x="0" y="0"/></Image></Images></ImageStack>"""
ASSAY = """<?xml version="1.0"?><AssayLayout xmlns="http://www.perkinelmer.com/x"><Layer>
<Name>clone</Name><Well><Row>1</Row><Col>1</Col><Value>c1</Value></Well></Layer></AssayLayout>"""
HTD = '"HTSInfoFile", Version 1.0\n"XWells", 2\n"YWells", 2\n"XSites", 1\n"YSites", 1\n"Waves",\
 TRUE\n"NWavelengths", 1\n"WaveName1", "DAPI"\n"WellsSelection1", TRUE, TRUE\n"EndFile"\n'
STUDY = """name: s
plates:
  - {name: P1, source: src, platemap: map.csv, role: cohort}
splits: {n_splits: 3, train: 1, validation: 1, test: 1}
embed: {views: 2, backbone: {name: vgg16, weights: random}}
cluster: {kind: inline}
"""


def _write_tiff(folder: Path) -> None:
    page = draw_field(1, (32, 32))
    tifffile.imwrite(folder / "a.ome.tif", np.stack([page, page]), compression="zlib",
                     metadata={"axes": "ZYX", "PhysicalSizeX": 0.5})  # fmt: skip


def _read_tiff(folder: Path) -> None:
    from hcs.io.images import tiff

    tiff.probe(folder / "a.ome.tif")
    tiff.ome_xml(folder / "a.ome.tif")
    for page in (0, 1):
        tiff.read_plane(folder / "a.ome.tif", page, expected=((32, 32), "uint16"))


def _write_picture(folder: Path, suffix: str) -> None:
    import imagecodecs

    encode = {"png": imagecodecs.png_encode, "jpg": imagecodecs.jpeg_encode}[suffix]
    (folder / f"a.{suffix}").write_bytes(encode(draw_field(1, (32, 32), "uint8")))


def _read_picture(folder: Path, suffix: str) -> None:
    from hcs.io.images import tiff

    tiff.probe(folder / f"a.{suffix}")
    tiff.read_plane(folder / f"a.{suffix}")


def _write_source(folder: Path, sidecar: str, text: str, name: str) -> None:
    tifffile.imwrite(folder / name, draw_field(1, (16, 16)))
    (folder / sidecar).write_text(text)


def _scan(folder: Path) -> None:
    from hcs.domain.config.layouts import AutoLayout
    from hcs.io import layouts

    layouts.scan(folder, AutoLayout())


def _write_table(folder: Path, suffix: str) -> None:
    file = folder / f"map.{suffix}"
    match suffix:
        case "csv":
            TABLE.to_csv(file, index=False)
        case "xlsx":
            TABLE.to_excel(file, index=False)
        case "parquet":
            TABLE.to_parquet(file)
        case _:
            file.write_text(ASSAY)


def _read_map(folder: Path, suffix: str) -> None:
    from hcs.io.sheets.platemap import read_platemap, to_frame

    to_frame(read_platemap(folder / f"map.{suffix}"))


def _write_values(folder: Path) -> None:
    (folder / "values.csv").write_text(
        "Plate,P1\nUnits,RFU\n\n,1,2,3\nA,1.5,2,3\nB,4,5,6\nC,7,8,OVER\n"
    )


def _read_values(folder: Path) -> None:
    from hcs.io.sheets.values import read_values

    read_values(folder / "values.csv")


def _write_reader_screen(folder: Path) -> None:
    (folder / "Platelist.txt").write_text("Filename\tPlate\tReplicate\nF1.txt\t1\t1\n")
    (folder / "Plateconf.txt").write_text(
        "Wells: 96\nPlates: 1\nPlate\tWell\tContent\n*\t*\tsample\n*\tA0[1-2]\tneg\n"
    )
    (folder / "Screenlog.txt").write_text("Plate\tSample\tWell\tFlag\n1\t1\tB01\tNA\n")
    (folder / "F1.txt").write_text("F\tA01\t10\nF\tA02\t2.5\nF\tB01\t7\n")


def _read_reader_screen(folder: Path) -> None:
    from hcs.io.sheets.cellhts.screen import read_screen

    read_screen(folder / "Platelist.txt")


def _read_study(folder: Path) -> None:
    from hcs.stages.study.run import read_study

    read_study(str(folder / "study.yaml"))


def _write_splits(folder: Path) -> None:
    from hcs.domain.splits import Group
    from hcs.learn.splits.drawing import make_splits

    groups = [Group(name=f"c{n}", label="ab"[n % 2], n_images=3) for n in range(8)]
    found = make_splits(groups, group_by=col.CLONE, label=col.DIAGNOSIS, positive="a",
                        n_splits=4, train=1, validation=1, test=1, seed=0)  # fmt: skip
    (folder / "splits.json").write_text(found.model_dump_json())


def _read_splits(folder: Path) -> None:
    from hcs.stages.work.study import read_splits

    read_splits(folder / "splits.json")


MANIFEST = {
    "images": {"image_px": 64, "median_level": 63.0, "channel": None, "plane": None, "time": None},
    "backbone": {"name": "vgg16", "weights": "random", "layer": None, "pooling": "avg"},
    "weights": "random", "weights_fingerprint": "random:vgg16:0", "classes": ["a", "b"],
    "positive": "a", "group_by": "Metadata_Clone", "label": "Metadata_Diagnosis",
}  # fmt: skip


def _write_models(folder: Path) -> None:
    from hcs.io import heads

    rng = np.random.default_rng(0)
    arrays = {"w": rng.random((2, 8, 4), np.float32), "b": rng.random((2, 4), np.float32)}
    mark = heads.write_heads(folder / heads.HEADS, arrays)
    heads.write_manifest(folder / heads.MANIFEST, {**MANIFEST, "heads_fingerprint": mark})


def _read_models(folder: Path) -> None:
    from hcs.io import heads

    heads.read_heads(folder)


def _write_predictions(folder: Path) -> None:
    from hcs.io.files import parquet

    wells = [f"A{n:02d}" for n in range(1, 9)]
    frame = pd.DataFrame(
        {
            "Metadata_Plate": "P1", "Metadata_Well": wells, "Metadata_Site": 1, "model": "cnn",
            "split": 0, "role": "new", "score": np.linspace(0, 1, 8), "Metadata_Compound": "x",
        }
    )  # fmt: skip
    parquet.write_table(folder / "predictions.parquet", frame, {"stage": "predict"})


def _read_predictions(folder: Path) -> None:
    from hcs.io.files import parquet
    from hcs.io.predictions import iterate_plates, read_predictions

    file = folder / "predictions.parquet"
    read_predictions(file)
    list(iterate_plates(file, ("Metadata_Plate", "score")))
    parquet.read_provenance(file)


def _write_own_plate(folder: Path) -> None:
    from hcs.domain.config.stages import IngestConfig
    from hcs.stages import ingest

    source = folder / "src"
    source.mkdir()
    for column in (1, 2):
        tifffile.imwrite(source / name_of("A", column, 1), draw_field(column, (32, 32)))
    ingest.run(IngestConfig(source=str(source), out=str(folder / "P.zarr")))
    shutil.rmtree(source)
    shutil.rmtree(folder / "P.zarr.hcs")


def _write_foreign_plate(folder: Path, version: str) -> None:
    images = {"A/1": {"0": Image(axes="cyx", size=16)}, "B/2": {"0": Image(axes="cyx", size=16)}}
    write_plate(folder / "P.zarr", images, version=version)


def _read_plate(folder: Path) -> None:
    from hcs.errors import HcsError
    from hcs.io.plates.reader import PlateReader

    reader = PlateReader(str(folder / "P.zarr"))
    errors = []
    for path in reader.images[col.FIELD_PATH]:
        try:
            reader.read_plane(str(path), 0)
        except HcsError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def _validate(folder: Path) -> None:
    from hcs.io.plates.validate import faults_of

    faults_of(str(folder / "P.zarr"))
    _scan(folder / "P.zarr")


def _write_weights(folder: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    kernel, bias = rng.random((3, 3, 3, 4), np.float32), rng.random(4, np.float32)
    if suffix == "npz":
        np.savez(folder / "w.npz", **{"conv/kernel": kernel, "conv/bias": bias})
        return
    import h5py

    with h5py.File(folder / "w.h5", "w") as file:
        group = file.create_group("conv")
        group.attrs["weight_names"] = [b"conv/kernel:0", b"conv/bias:0"]
        group["conv/kernel:0"], group["conv/bias:0"] = kernel, bias


def _read_weights(folder: Path, suffix: str) -> None:
    from hcs.learn.network.weights import read_layers

    read_layers(folder / f"w.{suffix}", {"conv"})


def _write_forest(folder: Path) -> None:
    import skops.io
    from sklearn.ensemble import RandomForestClassifier

    rng = np.random.default_rng(0)
    forest = RandomForestClassifier(2, max_depth=2, random_state=0)
    sink = io.BytesIO()
    skops.io.dump(forest.fit(rng.random((20, 3)), np.arange(20) % 2), sink)
    (folder / "forest.skops").write_bytes(sink.getvalue())


def _read_forest(folder: Path) -> None:
    from hcs.learn.forest import load_forest

    load_forest((folder / "forest.skops").read_bytes(), "forest.skops")


def _write_key(folder: Path) -> None:
    from hcs.domain.blinding import BlindKey
    from hcs.io.sheets.keyfile import write_key

    write_key(folder / "key.json", BlindKey(secret="0" * 64, clones={}))


def _read_key(folder: Path) -> None:
    from hcs.io.sheets.keyfile import read_key

    read_key(folder / "key.json")


def _write_record(folder: Path) -> None:
    content = {"fingerprint": "f", "seconds": 1, "result": {}, "items": {}, "files": {"./x": 3}}
    (folder / "out.hcs/units").mkdir(parents=True)
    (folder / "out.hcs/units/u.json").write_text(json.dumps(content))


def _read_record(folder: Path) -> None:
    from hcs.io.runs.ledger import Ledger

    ledger = Ledger.of(folder / "out")
    record = ledger.read("u")
    ledger.find_intact({"u": record})


def _of(name: str, make: Callable[..., object], read: Callable[..., object], *given: str) -> Reader:
    return Reader(name, lambda at: make(at, *given), lambda at: read(at, *given))


CELL, MD = name_of("A", 1, 1), "P_A01_s1_w1.tif"

READERS = (
    Reader("TIFF", _write_tiff, _read_tiff),
    _of("PNG", _write_picture, _read_picture, "png"),
    _of("JPEG", _write_picture, _read_picture, "jpg"),
    Reader("IN Cell .xdce", lambda at: _write_source(at, "P.xdce", XML, CELL), _scan, ("*.xdce",)),
    Reader("MetaXpress .HTD", lambda at: _write_source(at, "P.HTD", HTD, MD), _scan, ("*.HTD",)),
    _of("plate map CSV", _write_table, _read_map, "csv"),
    _of("plate map XLSX", _write_table, _read_map, "xlsx"),
    _of("plate map parquet", _write_table, _read_map, "parquet"),
    _of("plate map XML", _write_table, _read_map, "xml"),
    Reader("plate-reader CSV", _write_values, _read_values),
    Reader("cellHTS2 screen", _write_reader_screen, _read_reader_screen),
    Reader("study.yaml", lambda at: (at / "study.yaml").write_text(STUDY), _read_study),
    Reader("splits.json", _write_splits, _read_splits),
    Reader("models (heads, manifest)", _write_models, _read_models),
    Reader("predictions.parquet", _write_predictions, _read_predictions),
    Reader("plate of hcs", _write_own_plate, _read_plate, ("P.zarr/**/*",)),
    Reader("plate 0.4", lambda at: _write_foreign_plate(at, "0.4"), _read_plate, ("P.zarr/**/*",)),
    Reader("plate 0.5", lambda at: _write_foreign_plate(at, "0.5"), _validate, ("P.zarr/**/*",)),
    _of("weights .npz", _write_weights, _read_weights, "npz"),
    _of("weights .h5", _write_weights, _read_weights, "h5"),
    Reader("forest .skops", _write_forest, _read_forest),
    Reader("key of a blind", _write_key, _read_key),
    Reader("record of a unit", _write_record, _read_record),
)
