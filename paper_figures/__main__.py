"""``python -m paper_figures NAME``: the command ``python -m reproduce figure NAME``."""

import tyro

from paper_figures.commands import Figure

if __name__ == "__main__":
    raise SystemExit(tyro.cli(Figure).run())
