"""Damaged bytes of every kind of file: a sentence of ours, or what they say; no traceback."""

from __future__ import annotations

import time

import pytest
from damage import READERS, Bench
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hcs.errors import HcsError

EXAMPLES = 12


@pytest.fixture(scope="module")
def benches(tmp_path_factory):
    made: dict[str, Bench] = {}

    def get(reader):
        if reader.name not in made:
            made[reader.name] = Bench(reader, tmp_path_factory.mktemp("fuzz") / "input")
        return made[reader.name]

    return get


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_damage_is_said_in_a_sentence_and_soon(benches, reader):
    bench = benches(reader)

    @settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=True,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(st.integers(0, 2**32))
    def attempt(seed):
        started = time.process_time()
        error = bench.attempt(seed)
        assert error is None or isinstance(error, HcsError), (seed, repr(error))
        assert time.process_time() - started < 10

    attempt()
