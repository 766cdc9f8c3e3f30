"""Checks of promises that take minutes: kills at every change, resumed runs, null cohorts."""
