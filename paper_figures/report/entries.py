"""An exhibit as shown on the page: its table or pictures, its coverage, and the command that makes it."""

import base64
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from alm.errors import UserError
from paper_figures.drawing import drawn
from paper_figures.field import EXHIBIT as FIELD
from paper_figures.pictures import Picture, csv_text
from paper_figures.theory import FIGURES as THEORY_FIGURES
from paper_figures.theory import pictures as theory_pictures
from reproduce.exhibits import theory
from reproduce.exhibits.claims.verdicts import judged, table_of
from reproduce.exhibits.code_tables import CODE_TABLES
from reproduce.exhibits.coverage import Coverage, coverage, why_nothing_shown
from reproduce.exhibits.kinds import SHOWN_SCALES, BiasDefinition, Exhibit, FigureExhibit, TableExhibit
from reproduce.exhibits.scores import score_table
from reproduce.exhibits.table import Table
from reproduce.lab.store import Store


@dataclass(frozen=True)
class Image:
    """A picture embedded in the page.

    Attributes:
        file: the name of its files, without extension.
        scale: scale of its runs; empty if it has several scales or no runs.
        source: the drawing, as a ``data:`` URL.
        points: its data as CSV, as a ``data:`` URL.
    """

    file: str
    scale: str
    source: str
    points: str


@dataclass
class Entry:
    """One exhibit of the page, made of a table or images, or the reason why it has none.

    Attributes:
        name: its name and anchor, such as ``"figure3"``.
        heading: its name in the paper, such as ``"Figure 3"``; empty if the paper lacks it.
        title: its content.
        command: the command that regenerates it.
        coverage: how much of it is stored, by scale; empty if it needs no particular runs.
        table: its table.
        images: pictures.
        verdicts: number of claims by verdict.
        nothing: text shown if it has no content.
        problem: why it could not be made, in one sentence.
    """

    name: str
    heading: str
    title: str
    command: str
    coverage: tuple[Coverage, ...] = ()
    table: Table | None = None
    images: tuple[Image, ...] = ()
    verdicts: Mapping[str, int] = field(default_factory=dict)
    nothing: str = ""
    problem: str = ""


def exhibit_entry(exhibit: Exhibit, store: Store, bias: BiasDefinition) -> Entry:
    """A table or figure of the paper.

    Args:
        exhibit: its declaration.
        store: stored runs.
        bias: definition of the value bias in figures that show it.
    """
    name, command = exhibit.name, f"python -m reproduce {exhibit.name}"
    entry = Entry(name, exhibit.heading, exhibit.title, command, _coverage(exhibit, store))
    if isinstance(exhibit, FigureExhibit):
        if exhibit.shows == "bias" and bias != "redq":
            entry.command += f" --bias {bias}"
        why = (f"at {one.scale} scale {why_nothing_shown(exhibit, one)}" for one in entry.coverage)
        entry.nothing = f"Nothing is shown: {'; '.join(why)}."
    with _problems(entry):
        if isinstance(exhibit, TableExhibit):
            entry.table = score_table(exhibit, store)
        elif name in CODE_TABLES:
            entry.table = CODE_TABLES[name](store)
        else:
            entry.images = _images(drawn(name, store, bias))
    return entry


def claims_entry(store: Store, scale: str) -> Entry:
    """The claims of the paper, judged by the runs of a scale."""
    command = f"python -m reproduce claims --scale {scale}"
    entry = Entry(f"claims-{scale}", "", f"By the runs of {scale} scale", command)
    with _problems(entry):
        every = judged(store, scale)
        entry.table, entry.verdicts = table_of(every, scale), Counter(one.verdict for one in every)
    return entry


def curve_entries(store: Store) -> list[Entry]:
    """ALM beside its authors' curves, runs beside other methods, then curves by page of docs/algorithms."""
    found = []
    for name, title in (
        ("authors", "ALM over its authors' published curves"),
        ("field", FIELD.title),
        ("curves", "Learning curves"),
    ):
        entry = Entry(name, "", title, f"python -m reproduce figure {name}")
        with _problems(entry):
            pictures = drawn(name, store)
            for exhibit in dict.fromkeys(picture.exhibit for picture in pictures):
                own = [picture for picture in pictures if picture.exhibit == exhibit]
                command = f"python -m reproduce figure {exhibit}"
                found.append(Entry(exhibit, "", own[0].title or title, command, images=_images(own)))
        if entry.problem:
            found.append(entry)
    return found


def theory_entries(folder: Path) -> list[Entry]:
    """The checks of the theory in ``folder``: statements, counterexamples, figures."""
    titles = theory.TITLES | {name: title for name, (title, _) in THEORY_FIGURES.items()}
    return [_theory_entry(name, title, folder) for name, title in titles.items()]


def _theory_entry(name: str, title: str, folder: Path) -> Entry:
    entry = Entry(name, "", title, "python -m reproduce theory", nothing="It is not computed yet.")
    with _problems(entry):
        exhibits = theory.read(folder, name)
        with theory.sound(folder / f"{name}.csv"):
            if name in theory.TITLES:
                entry.table = theory.tables(exhibits).get(name)
            entry.images = _images(theory_pictures(exhibits))
    return entry


@contextmanager
def _problems(entry: Entry) -> Iterator[None]:
    """A block that fills an entry. What stops it becomes the entry's problem: one must not stop the page."""
    try:
        yield
    except UserError as error:
        entry.problem = str(error)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        needs = "This table is derived from code that needs torch: install the extra [train]"
        entry.problem = f"{needs}, then repeat: python -m reproduce report"


def _coverage(exhibit: Exhibit, store: Store) -> tuple[Coverage, ...]:
    found = (coverage(exhibit, store, scale) for scale in SHOWN_SCALES)
    return tuple(one for one in found if one.needed)


def _images(pictures: list[Picture]) -> tuple[Image, ...]:
    """The pictures embedded in the page, after closing them."""
    images = []
    for picture in pictures:
        source = address(picture.svg().encode(), "image/svg+xml")
        points = address(csv_text(picture.points).encode(), "text/csv")
        images.append(Image(picture.file, picture.scale, source, points))
    return tuple(images)


def address(content: bytes, kind: str) -> str:
    """A file of a media type as a ``data:`` URL."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
