"""The commands that draw: one figure or all of them, the theory, and the report."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from alm.errors import UserError
from alm.training.files import write_text
from reproduce.commands.console import plain_console, say, steps, store_warnings
from reproduce.commands.options import ReadsRuns
from reproduce.exhibits.coverage import nothing_shown
from reproduce.exhibits.kinds import SHOWN_SCALES, BiasDefinition, FigureExhibit
from reproduce.exhibits.pooling import ProtocolMixError, StoreMixError
from reproduce.lab.algorithms import BASE
from reproduce.lab.places import OUT, RESULTS
from reproduce.lab.specs import train_command
from reproduce.lab.store import Store

if TYPE_CHECKING:
    from rich.console import Console

    from alm.theory.results import Exhibits


@dataclass(frozen=True)
class Figure(ReadsRuns):
    """Draw a figure as PNG and PDF, and write the plotted data as CSV.

    NAME.png shows runs at paper scale, NAME-laptop.png runs at laptop scale; scales never mix.

    Example: python -m reproduce figure 5a --beside alm/my-idea
    """

    figure: Annotated[str, tyro.conf.Positional]
    """3 to 20 (5 and 10 draw all of their parts), a part such as 5a, or 17-dynamics (figure 17 with noise
    where its caption says); G (appendix G and section 6, which the paper has no figure of);
    Q (ALM with a quarter of its widths and batch beside SAC and TD3 of full size); authors (ALM
    and its authors' published curves); curves (learning curves, one file per page of docs/algorithms),
    or one page, such as curves-sac; field (beside other methods, as published); theory-joint and others of
    docs/theory.md; or figures, all of them."""
    bias: BiasDefinition = "redq"
    """Definition of the value bias in figures 4 and 8: redq (mean and std divided by |mean return|, at least
    10), paper (without that floor), per-state (each pair divided by its own return), or authors (every
    estimate compared with every return, as in ALM's code)."""
    mix: bool = False
    """Draw runs together even if their task definitions or simulator versions differ; the caption says so."""
    beside: tuple[str, ...] = ()
    """In figures of returns, such as 3 and 5a, add a curve for each of these algorithms or variants, such as
    alm/my-idea (no plugin needed), at every scale at which it has stored runs; one of the suite only where
    the figure has a curve that is its point. The files are named NAME-beside."""
    out: Path = OUT / "figures"
    """Output directory."""

    def run(self) -> int:
        """Draw it; returns the exit code: 1 if none of several figures has a picture, 2 if none can."""
        from paper_figures.drawing import declaration, figures_named

        store, codes, names = self.opened(), [], figures_named(self.figure)
        with steps(len(names)) as begin:
            for name in names:
                begin(f"drawing {name}")
                try:
                    exhibit = declaration(name, store, self.beside)
                except UserError as error:
                    if len(names) == 1:
                        raise
                    print(f"{name} is left out: {error}")
                else:
                    codes.append(self._draw(name, exhibit, store))
        # Of several figures some may show nothing yet.
        return 2 if 2 in codes or not codes else min(codes)

    def _draw(self, name: str, exhibit: FigureExhibit | None, store: Store) -> int:
        """Draw the files of one figure; returns the exit code."""
        from paper_figures.drawing import drawn

        try:
            pictures = drawn(exhibit or name, store, self.bias, self.mix)
        except StoreMixError as error:
            hint = " To draw them nevertheless: --mix" if isinstance(error, ProtocolMixError) else ""
            say("error", f"{error}{hint}")
            return 2
        shown = {picture.scale for picture in pictures}
        if exhibit is not None:
            for scale in SHOWN_SCALES:
                if scale not in shown and exhibit.has_panels(scale):
                    print(f"{name} at {scale} scale: {nothing_shown(exhibit, store, scale)}")
        elif not pictures:
            print(f"{name}: no such run is in {store}{_example(name)}")
        for picture in pictures:
            picture.write(self.out)
            print(f"wrote {self.out / picture.file}.png, .pdf and .csv")
        return 0 if pictures else 1


def _example(name: str) -> str:
    """A command that trains a run for a figure of whatever is stored."""
    if name not in ("authors", "curves", "field"):
        return ""
    train = train_command("alm", BASE.name, "HalfCheetah", "laptop" if name == "curves" else "paper")
    return f"; train one, for instance with: python -m reproduce {train}"


@dataclass(frozen=True)
class Theory:
    """Check the paper's statements about its bound on finite MDPs, in exact arithmetic.

    Prints the verdicts, draws the figures, and writes every exhibit as CSV; statements, counterexamples and
    summaries of what learners reach also as Markdown. See docs/theory.md.
    """

    seed: int = 0
    """Seed of the random MDPs; docs/theory.md, the report and the command figure show the stored results, of
    seed 0."""
    out: Path = OUT / "theory"
    """Output directory for tables; figures go to the directory figures beside it."""

    def run(self) -> int:
        """Compute, print and draw; returns the exit code."""
        import pandas as pd

        from paper_figures.pictures import csv_text
        from paper_figures.theory import pictures
        from reproduce.exhibits.theory import tables
        from reproduce.exhibits.writing import markdown, terminal

        if self.seed < 0:
            raise UserError(f"The seed must be at least 0, not {self.seed}.")
        console = plain_console()
        self.out.mkdir(parents=True, exist_ok=True)
        exhibits = {name: pd.DataFrame(rows) for name, rows in self._computed(console).items()}
        for name, rows in exhibits.items():
            write_text(self.out / f"{name}.csv", csv_text(rows))
        found = tables(exhibits)
        for name, table in found.items():
            write_text(self.out / f"{name}.md", markdown(table))
        terminal(found["theory-statements"], console)
        figures = self.out.parent / "figures"
        for picture in pictures(exhibits):
            picture.write_drawing(figures)
        print(f"wrote {self.out}/theory-*.csv and .md, {figures}/theory-*.png and .pdf")
        return 0

    def _computed(self, console: "Console") -> "Exhibits":
        """The exhibits, behind a progress bar."""
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        from alm.theory.results import run

        columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task("finite MDPs", total=1.0)
            return run(self.seed, lambda fraction: progress.update(bar, completed=fraction))


@dataclass(frozen=True)
class Report(ReadsRuns):
    """Write a self-contained HTML page of every table, figure, claim and stored run."""

    bias: BiasDefinition = "redq"
    """Definition of the value bias in figures 4 and 8: redq, paper, per-state, or authors."""
    theory: Path = RESULTS / "theory"
    """Directory with the checks of the theory."""
    gallery: Path = RESULTS / "gallery"
    """Directory with clips and cards of policies."""
    out: Path = OUT / "report.html"
    """Output file."""

    def run(self) -> int:
        """Write it; returns the exit code."""
        from paper_figures.report.page import STEPS, contents, page

        store = self.opened()
        with store_warnings() as messages, steps(STEPS) as begin:
            found = contents(
                store, self.bias, self.theory, self.gallery, lambda what: begin(f"making the report: {what}")
            )
        # Where files lie is not part of their content.
        for root in (*store.roots, self.gallery):
            messages = [message.replace(f"{root}/", "") for message in messages]
        text = page(found, messages)
        write_text(self.out, text)
        print(f"wrote {self.out} ({len(text.encode()) / 1e6:.1f} MB)")
        return 0
