"""Command that compares each given checkout in turn."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from rich.console import Console
from rich.table import Table

from benchmarks.references import alm, redq, td3
from benchmarks.references.comparing import CheckoutError, digests
from benchmarks.references.draws import DrawError
from benchmarks.timing import TASK, write_record

_COMPARISONS: dict[str, Any] = {"alm": alm, "td3": td3, "redq": redq}


@dataclass(frozen=True)
class References:
    """Compare updates with the codes that they follow, in float64; record all largest differences."""

    alm: Path | None = None
    """A checkout of github.com/RajGhugare19/alm, branch main."""
    td3: Path | None = None
    """A checkout of github.com/sfujim/TD3."""
    redq: Path | None = None
    """A checkout of github.com/watchernyu/REDQ."""

    def run(self) -> int:
        """Compare, print a table, and write the results' ``references.json`` if every code is given."""
        torch.set_num_threads(1)
        torch.set_default_dtype(torch.float64)
        found: dict[str, Any] = {}
        for name, code in _COMPARISONS.items():
            if (checkout := getattr(self, name)) is not None:
                try:
                    differences = code.compare(checkout.resolve(), TASK)
                except (CheckoutError, DrawError) as error:
                    print(f"error: {error}", file=sys.stderr)
                    return 2
                origin = {"repository": code.REPOSITORY, "files": digests(checkout, code.FILES)}
                found[name] = origin | differences
        if not found:
            print("error: name a checkout with --alm, --td3 or --redq", file=sys.stderr)
            return 2
        table = Table(title=f"Largest differences from the reference codes, {TASK}, float64")
        for column in ("", "updates", "losses", "gradient norms", "parameters", "others"):
            table.add_column(column)
        for name, one in found.items():
            numbers = [
                f"{one[key]:.1e}" if key in one else "" for key in ("losses", "gradient_norms", "parameters")
            ]
            others = ", ".join(f"{what} {value:.1e}" for what, value in one.get("others", {}).items())
            table.add_row(name, str(one["updates"]), *numbers, others)
        Console().print(table)
        if set(found) == set(_COMPARISONS):
            write_record("references", found, task=TASK)
        return 0


if __name__ == "__main__":
    sys.exit(tyro.cli(References).run())
