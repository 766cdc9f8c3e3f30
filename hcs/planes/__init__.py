"""Planes and time points as they were chosen, never assumed: of plates, and in tables of them."""
