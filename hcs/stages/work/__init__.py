"""What stages share and what their workers do."""
