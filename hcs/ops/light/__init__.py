"""Uneven light: estimated from a plate or given by the vendor, and taken out where that helps."""
