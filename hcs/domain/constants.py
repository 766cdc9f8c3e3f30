"""Constants of statistics that several rooms need, each with its source."""

from __future__ import annotations

from typing import Final

MAD_TO_SD: Final = 1.4826
"""1 / Φ⁻¹(3/4), rounded as in R: makes the MAD of normal values estimate their SD.

Rousseeuw & Croux 1993, doi 10.1080/01621459.1993.10476408.
"""

FWHM_IN_SDS: Final = 2.3548
"""Full width at half maximum of a normal curve, in standard deviations."""
