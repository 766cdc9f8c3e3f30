"""A whole study in order, the demo, and what was planted against what was found."""
