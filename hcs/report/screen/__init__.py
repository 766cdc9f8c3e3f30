"""The screen in the report: its sections, its pages, and plates in words."""
