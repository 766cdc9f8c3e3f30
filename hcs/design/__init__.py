"""Experimental design: blinding, placement, and what the layout gives away."""
