"""``python -m gp_replay``."""

from gp_replay.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
