"""Measuring: sizes of a study, plans of plates, fields and wells, growth, and doubts."""
