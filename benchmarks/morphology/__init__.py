"""Morphology against known truth, against real masks, and against the clock."""
