"""``--marker`` as text: rule, part, channels with colons in their names, and what is refused."""

from __future__ import annotations

import pytest
import typer

from hcs.domain.config.stages import FixedLevel, Marker, NoiseLevel, Otsu
from hcs_cli.plates.features import read_marker


@pytest.mark.parametrize(
    ("text", "channel", "part", "threshold"),
    [
        ("Casp3", "Casp3", None, NoiseLevel()),
        ("Casp3=Cy5", "Cy5", None, NoiseLevel()),
        ("Casp3=Cy5:otsu", "Cy5", None, Otsu()),
        ("Casp3=Cy5:noise:3.5", "Cy5", None, NoiseLevel(multiple=3.5)),
        ("Casp3=Alexa 647@nucleus:fixed:300", "Alexa 647", "nucleus", FixedLevel(level_counts=300)),
        ("Casp3=a:b@cytoplasm", "a:b", "cytoplasm", NoiseLevel()),
    ],
)
def test_a_marker_is_read(text, channel, part, threshold):
    found = Marker.model_validate(read_marker(text))
    assert (found.name, found.channel, found.compartment) == ("Casp3", channel, part)
    assert found.threshold == threshold


@pytest.mark.parametrize("text", ["", "=Cy5", "A=Cy5:fixed", "A=Cy5:otsu:3"])
def test_a_marker_that_says_nothing_definite_is_refused(text):
    with pytest.raises(typer.BadParameter, match="--marker"):
        read_marker(text)
