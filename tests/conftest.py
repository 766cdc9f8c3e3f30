"""Fixtures that every room shares."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from distributed import Client

# Arrays of a table cannot be written to in pandas 3; a package that a test imports turns that on
# for pandas 2 as well, so it holds for all tests.
if int(pd.__version__.split(".")[0]) < 3:
    pd.set_option("mode.copy_on_write", True)


# Hundreds of runs would wait for the disk; tests of power cuts turn it on.
os.environ.setdefault("HCS_SYNC", "0")


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of real data that is never part of the repository; skips where it is absent."""
    default = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    folder = Path(os.environ.get("HCS_TEST_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set HCS_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def cluster() -> Iterator[Client]:
    """Real Dask cluster with two worker processes."""
    from hcs.compute.client import open_client
    from hcs.domain.config.stages import LocalCluster

    with open_client(LocalCluster(n_workers=2)) as client:
        assert client is not None
        yield client
