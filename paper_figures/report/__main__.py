"""``python -m paper_figures.report``: the command ``python -m reproduce report``."""

import tyro

from paper_figures.commands import Report

if __name__ == "__main__":
    raise SystemExit(tyro.cli(Report).run())
