"""A study folder as one self-contained page that a biologist can read; files in, HTML out."""

from hcs.report.page import write_report

__all__ = ["write_report"]
