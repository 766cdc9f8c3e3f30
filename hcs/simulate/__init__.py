"""Cohorts and screens with a known answer."""
