"""Benchmarks: each prints a table and writes JSON beside RESULTS.md."""
