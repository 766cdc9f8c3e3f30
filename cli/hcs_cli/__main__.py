"""``python -m hcs_cli`` is the command ``hcs``."""

from hcs_cli.app import main

if __name__ == "__main__":  # spawned workers import this module too
    main()
