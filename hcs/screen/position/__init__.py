"""What the place on a plate does to values: tests of it, and its correction."""
