"""Concentration-response curves: fits, their intervals, growth rates."""
