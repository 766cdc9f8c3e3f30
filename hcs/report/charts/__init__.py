"""Charts and pictures of the report, and how they look."""
