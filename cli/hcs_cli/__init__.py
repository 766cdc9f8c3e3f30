"""The command line: the only part that knows typer, exit codes and the screen."""
