"""The commands that print numbers: tables, comparisons, claims, and the numbers in documents."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from alm.errors import UserError
from reproduce.commands.console import plain_console, say, store_warnings
from reproduce.commands.options import ReadsRuns
from reproduce.exhibits.catalogue import TABLE1, table_named
from reproduce.exhibits.kinds import SHOWN_SCALES, TableExhibit
from reproduce.lab.places import CODE, OUT, RUNS


@dataclass(frozen=True)
class Table(ReadsRuns):
    """Print a table of the paper and write it as Markdown, CSV and LaTeX.

    Table 1: returns on the benchmark's tasks. Table 2: how the methods differ, with gradient steps counted
    as agents learn. Table 3: ALM's hyper-parameters as printed, configured and stored. Table 4: ALM's
    networks as printed and as built by the code. Table 5: ALM with an entropy bonus.

    Example: python -m reproduce table 1 --beside alm/my-idea
    """

    table: Annotated[str, tyro.conf.Positional]
    """1 to 5, or the name of a table that the paper lacks: 1-mbbl is table 1 with every row measured on the
    tasks of Wang et al. (2019), where the printed rows SVG(1) and SLBO were measured."""
    printed: bool = False
    """In tables 1 and 5, show only the paper's numbers."""
    mix: bool = False
    """In tables of returns, such as 1 and 5, pool runs even if their task definitions or simulator versions
    differ; the table says so."""
    context: bool = False
    """For table 1: add published results of other methods on gym's v4 tasks."""
    beside: tuple[str, ...] = ()
    """In tables of returns, such as 1 and 5, add a row for each of these algorithms or variants, such as
    alm/my-idea (no plugin needed), at every scale at which it has stored runs."""
    out: Path = OUT / "tables"
    """Output directory."""

    def run(self) -> int:
        """Render the table."""
        from reproduce.exhibits.code_tables import CODE_TABLES
        from reproduce.exhibits.scores import score_table
        from reproduce.exhibits.writing import render

        exhibit = table_named(self.table)
        if self.printed and not (isinstance(exhibit, TableExhibit) and exhibit.number):
            raise UserError("Only tables of the paper's returns, 1 and 5, are printed: leave --printed out.")
        if self.context and exhibit != TABLE1:
            raise UserError("Only table 1 is on tasks near those of published results: leave --context out.")
        if self.mix and (self.printed or not isinstance(exhibit, TableExhibit)):
            raise UserError("Only measured returns are pooled: leave --mix out.")
        if self.beside and (self.printed or not isinstance(exhibit, TableExhibit)):
            raise UserError("Rows can be added to measured returns only: leave --beside out.")
        store = self.opened()
        if isinstance(exhibit, TableExhibit):
            table = score_table(exhibit, store, not self.printed, self.mix, self.context, self.beside)
        else:
            table = CODE_TABLES[exhibit.name](store)
        render(table, self.out, plain_console())
        return 0


@dataclass(frozen=True)
class Compare(ReadsRuns):
    """Compare an algorithm or variant with others: numbers with intervals, curves, and links into MLflow.

    Example: python -m reproduce compare alm/no-kl alm --task HalfCheetah

    Example: python -m reproduce compare alm sac td3 redq --task HalfCheetah
    """

    first: Annotated[str, tyro.conf.Positional]
    """An algorithm, such as redq, or a variant, such as alm/no-kl, alm/my-idea (no plugin needed) or
    'alm/base[horizon=7]' (quoted, because some shells interpret brackets)."""
    others: Annotated[tuple[str, ...], tyro.conf.Positional]
    """One or more algorithms or variants to compare it with, such as alm. All are read at the same step."""
    task: tuple[str, ...]
    """One or more tasks."""
    scale: str = "laptop"
    """paper, laptop or smoke; scales never mix."""
    metric: Literal["return", "window", "area"] = "return"
    """return: evaluation return at the last step that all seeds of all sides have reached; runs that failed
    before it, or are less than half as far as the furthest of their side, are left out. window: mean return
    over the last tenth of the steps up to there. area: mean return from the end of the longest warm-up up to
    there, of two sides as in claims on the speed of learning; a third side with a longer warm-up shortens the
    area of all. Files of the latter two end with the metric."""
    runs_dir: Path | None = None
    """Directory for runs in training, which count as far as they have got; by default runs, or none with
    --store or --no-own."""
    out: Path = OUT / "comparisons"
    """Output directory for the curves (PNG, PDF, CSV) and numbers (CSV)."""

    def run(self) -> int:
        """Print and draw the comparison; 1 if a task, side or seed is left out."""
        from paper_figures.comparison import write
        from reproduce.exhibits.comparison import Comparison
        from reproduce.exhibits.writing import terminal
        from reproduce.tracking.links import where_to_look
        from reproduce.tracking.uri import TrackingError

        with store_warnings() as unread:
            comparison = Comparison.of(
                [self.first, *self.others],
                self.task,
                self.scale,
                self.metric,
                self.opened(),
                self.runs_dir or (RUNS if self.own and self.store is None else None),
            )
        console = plain_console()
        terminal(comparison.table(), console)
        for path in write(comparison, self.out):
            console.print(f"wrote {path}", highlight=False, soft_wrap=True)
        try:
            console.print(where_to_look(comparison.runs), highlight=False, soft_wrap=True)
        except TrackingError as error:
            say("warning", error)
        return 1 if unread or comparison.left_out else 0


@dataclass(frozen=True)
class Claims(ReadsRuns):
    """Print the claims of the paper's text beside what the stored runs say about them, one claim per row.

    Claims without runs share the last row; the files list them, with the exhibits that need their runs.
    """

    scale: str | None = None
    """Scale of the runs: paper, laptop or smoke; by default paper and laptop, one table each."""
    out: Path = OUT / "tables"
    """Output directory for the table (Markdown, CSV, LaTeX)."""

    def run(self) -> int:
        """Print a table for each scale."""
        from reproduce.exhibits.claims.verdicts import claims_table
        from reproduce.exhibits.writing import render

        store = self.opened()
        for scale in [self.scale] if self.scale else SHOWN_SCALES:
            render(claims_table(store, scale), self.out, plain_console())
        return 0


@dataclass(frozen=True)
class Documents:
    """Update the numbers in README.md and docs/ from the store."""

    def run(self) -> int:
        """Rewrite the generated parts."""
        from reproduce.exhibits.documents.pages import refresh

        changed = refresh(CODE)
        print("\n".join(f"updated {path}" for path in changed) or "the documents are up to date")
        return 0
