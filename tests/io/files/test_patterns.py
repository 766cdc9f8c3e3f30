"""Regular expressions of users end within a time."""

from __future__ import annotations

import time

import pytest
import tifffile
from small_plates import field

from hcs.domain.config.layouts import RegexLayout
from hcs.domain.limits import PATTERN_SECONDS
from hcs.errors import InputError
from hcs.io import layouts
from hcs.io.files.patterns import UserPattern

ENDLESS = r"(?P<well>A\d\d)_((a{1,100}){1,100}){1,100}b"


def test_groups_are_those_of_the_standard_library():
    found = UserPattern(r"(?P<row>[A-P])(?P<column>\d\d)(?:_s(?P<site>\d+))?\.tif")
    assert found.groups == {"row", "column", "site"}
    assert found.match_whole("B03.tif") == {"row": "B", "column": "03", "site": None}
    assert found.match_whole("B03.tif~") is None
    assert UserPattern("b0[1-3]", ignore_case=True).match_whole("B02") == {}


@pytest.mark.parametrize("text", ["(", "(" * 5000 + ")" * 5000, "a{2,1}", "(?P<a>x)(?P<a>y)("])
def test_what_is_no_expression_is_said(text):
    with pytest.raises(InputError, match="not a regular expression"):
        UserPattern(text)


def test_an_expression_without_end_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / f"A01_{'a' * 60}.tif", field(1))
    started = time.process_time()
    with pytest.raises(InputError, match=r"takes more than 2 s on names such as 'A01_aaa"):
        layouts.scan(tmp_path, RegexLayout(pattern=ENDLESS))
    assert time.process_time() - started < 4 * PATTERN_SECONDS


def test_the_time_is_for_all_names_together():
    slow = UserPattern(ENDLESS, spent_seconds=PATTERN_SECONDS)
    started = time.process_time()
    with pytest.raises(InputError, match="repeats what repeats"):
        slow.match_whole("A01_" + "a" * 60)
    assert time.process_time() - started < PATTERN_SECONDS
