"""What things are: frozen models and enums, no input or output."""
