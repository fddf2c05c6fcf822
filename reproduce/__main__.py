"""``python -m reproduce``: the command line."""

from reproduce.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
