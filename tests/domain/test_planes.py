"""Tests of how a plane and a time point are said."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from hcs.domain.config.planes import OneTime, PlaneChoice, TimeChoice, describe_choice

PLANE, TIME, ONE = TypeAdapter(PlaneChoice), TypeAdapter(TimeChoice), TypeAdapter(OneTime)


@pytest.mark.parametrize(
    ("adapter", "said", "shown"),
    [
        *[(PLANE, word, word) for word in ("max", "mean", "focus", "z:0", "z:12")],
        (PLANE, "Z:4.50 µm", "z:4.5um"),
        (PLANE, "z:-2um", "z:-2um"),
        (PLANE, {"kind": "z", "index": 2}, "z:2"),
        (PLANE, "2", "z:2"),
        (PLANE, 2, "z:2"),
        (TIME, "1.5 h", "90min"),
        *[(TIME, word, word) for word in ("first", "last", "all", "3", "30min")],
        (TIME, 3, "3"),
        (TIME, "7.5 min", "7.5min"),
        (ONE, "last", "last"),
    ],
)
def test_a_short_form_is_read_and_shown_and_survives_a_file(adapter, said, shown):
    choice = adapter.validate_python(said)
    assert str(choice) == shown
    assert adapter.validate_python(choice.model_dump(mode="json")) == choice
    assert adapter.validate_python(str(choice)) == choice


@pytest.mark.parametrize(
    ("adapter", "said"),
    [
        *[(PLANE, word) for word in ("best", "-2", "z:", "z:-1", "z:1.5", "z:4mm", "", -2, True)],
        *[(TIME, word) for word in ("-1", "1.5", "30s", "", -1, True, 1.5)],
        *[(ONE, word) for word in ("all", {"kind": "all"})],
    ],
)
def test_what_names_no_plane_or_time_is_refused(adapter, said):
    with pytest.raises(ValidationError):
        adapter.validate_python(said)


def test_the_refusal_names_what_would_do():
    with pytest.raises(
        ValidationError, match="'best' names no plane: give max, mean, focus, z:INDEX"
    ):
        PLANE.validate_python("best")
    with pytest.raises(ValidationError, match="one time point is needed here, not all"):
        ONE.validate_python("all")


def test_what_was_chosen_is_said_in_words():
    assert describe_choice({"plane": {"kind": "z", "index": 2}, "time": None}) == "plane z:2"
    assert describe_choice({"plane": "max", "time": "last"}) == "plane max, time last"
    assert describe_choice({}) == ""
