"""Colors by what channels are, and never two that nobody can tell apart."""

from __future__ import annotations

import pytest

from hcs.domain.display import choose_colors
from hcs.domain.plate import Channel


def colors_of(*channels):
    return choose_colors(tuple(Channel(name=c) if isinstance(c, str) else c for c in channels))


@pytest.mark.parametrize(
    ("name", "color"),
    [
        pytest.param("DAPI", "0000FF", id="dapi"),
        pytest.param("UV - DAPI", "0000FF", id="in-cell"),
        pytest.param("HOECHST 33342", "0000FF", id="operetta"),
        pytest.param("Blue - FITC", "00FF00", id="excited-by-blue"),
        pytest.param("Alexa 488", "00FF00", id="alexa"),
        pytest.param("mCherry", "FF0000", id="protein"),
        pytest.param("Cy5", "FF00FF", id="far-red"),
        pytest.param("Brightfield", "FFFFFF", id="light"),
        pytest.param("TL-Brightfield - Cy3", "FFFFFF", id="light-through-a-filter"),
        pytest.param("w1_Texas_Red", "FF0000", id="underscores"),
    ],
)
def test_a_known_dye_has_its_usual_color(name, color):
    assert colors_of(name) == (color,)
    assert colors_of("TUJ1", name)[1] == color


def test_the_emission_decides_where_the_name_says_nothing():
    channels = [Channel(name=f"w{nm}", emission_nm=nm) for nm in (450, 520, 570, 610, 670)]
    assert colors_of(*channels) == ("0000FF", "00FF00", "FFFF00", "FF0000", "FF00FF")


def test_a_stated_color_stays():
    assert colors_of(Channel(name="DAPI", color="12AB34")) == ("12AB34",)


def test_channels_of_which_nothing_is_known_differ_from_all_others():
    colors = colors_of("DAPI", "1", "2", "GFP", "3", "4")
    assert (colors[0], colors[3]) == ("0000FF", "00FF00")
    assert len(set(colors)) == 6


def test_a_single_unknown_channel_is_gray():
    assert colors_of("TUJ1") == ("FFFFFF",)
