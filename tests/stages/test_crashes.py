"""A stage that ends at any change of the file system is finished by the same command.

All changes of all stages are tried by ``benchmarks/checks/crashes.py``; some of two are tried here.
"""

from __future__ import annotations

import shutil

import pytest
import small_studies
from kills import KILLED, find_leftovers, run_until


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    small_studies.write_inputs(folder, with_network=False)
    return folder


@pytest.mark.parametrize("stage", ["stack", "train"])
def test_a_killed_stage_is_finished_by_the_same_command(inputs, tmp_path, stage):
    whole, out = tmp_path / "whole", tmp_path / "out"
    small_studies.prepare(stage, inputs, whole)
    # In this process first: children that are forked then find the kernels compiled.
    small_studies.run_stage(stage, inputs, whole)
    expected = small_studies.read_output(whole)
    small_studies.prepare(stage, inputs, out)
    status, n_changes = run_until(small_studies.run_stage, stage, inputs, out, folder=out)
    assert (status, small_studies.find_differences(expected, small_studies.read_output(out))) == (
        0, [],
    )  # fmt: skip
    for end_at in [n_changes * part // 8 for part in range(8)]:
        shutil.rmtree(out)
        small_studies.prepare(stage, inputs, out)
        given = (small_studies.run_stage, stage, inputs, out)
        assert run_until(*given, folder=out, end_at=end_at)[0] == KILLED
        assert run_until(*given, folder=out)[0] == 0, end_at
        found = small_studies.read_output(out)
        assert small_studies.find_differences(expected, found) == [], end_at
        assert find_leftovers(out) == [], end_at
