"""Published numbers: the paper's printed tables and the authors' released curves (``results/paper``)."""

import csv
import hashlib
import io
import json
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from alm.errors import UserError
from reproduce.lab.curves import Curve, window_mean
from reproduce.lab.places import RESULTS

_DATA = RESULTS / "paper"
_CURE = (
    "run `git checkout -- results/paper` or, after a deliberate change, "
    "`sha256sum *.csv *.json > SHA256SUMS` in that folder"
)
_TASKS = {
    "HumanoidTruncatedObs-v2": "T-Humanoid",
    "AntTruncatedObs-v2": "T-Ant",
    "HalfCheetah-v2": "HalfCheetah",
    "Walker2d-v2": "Walker2d",
    "Hopper-v2": "Hopper",
    "mbpo_humanoid": "T-Humanoid",
    "gym_humanoid": "mbbl/Humanoid-ET",
    "gym_ant": "mbbl/Ant",
    "gym_fant": "mbbl/Ant-ET",
    "gym_cheetah": "mbbl/HalfCheetah",
    "gym_walker2d": "mbbl/Walker2d",
    "gym_fwalker2d": "mbbl/Walker2d-ET",
    "gym_hopper": "mbbl/Hopper",
    "gym_fhopper": "mbbl/Hopper-ET",
}
"""This suite's names of the tasks on which printed numbers were measured, by the first word of the latter."""


@dataclass(frozen=True)
class Footnote:
    """A footnote on a number of a table, printed or absent, in short and in full.

    Attributes:
        key: name by which cells refer to it.
        kind: ``misprint``, ``provenance`` (where the number came from), ``protocol`` (what task it was
            measured on) or ``caveat``.
        short: half a line, for terminals.
        full: full sentences with sources.
    """

    key: str
    kind: str
    short: str
    full: str


@dataclass(frozen=True)
class PrintedCell:
    """One printed cell of Table 1 or 5; ``results/paper/README.md`` explains the columns."""

    algorithm: str
    task: str
    mean: float
    std: float
    source: str
    origin: str
    environment: str
    same_task_as_alm: str
    footnotes: tuple[Footnote, ...]

    @property
    def measured_on(self) -> str:
        """The task on which it was measured, by this suite's name; ``"unknown"`` if no source was found."""
        return _TASKS.get(self.environment.split()[0], "unknown")


def _content(name: str) -> str:
    """The text of a file of published numbers, checked against its digest.

    Raises:
        UserError: it is missing, or does not match its digest in ``SHA256SUMS``.
    """
    path = _DATA / name
    try:
        lines = (_DATA / "SHA256SUMS").read_text().splitlines()
        digests = {file: digest for digest, file in (line.split() for line in lines)}
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise UserError(f"{path} or the SHA256SUMS beside it cannot be read ({error}); {_CURE}") from None
    if hashlib.sha256(content).hexdigest() != digests.get(name):
        raise UserError(f"{path} does not match the SHA256SUMS beside it; {_CURE}")
    return content.decode()


@cache
def footnotes() -> dict[str, Footnote]:
    """Every footnote by key."""
    entries = json.loads(_content("footnotes.json"))
    return {key: Footnote(key=key, **entry) for key, entry in entries.items()}


def printed_rows(table: Literal[1, 2, 3, 4, 5]) -> list[dict[str, str]]:
    """The rows of a table's file as text, by column; Tables 1 and 5 have one row per cell."""
    return list(csv.DictReader(io.StringIO(_content(f"table{table}.csv"), newline="")))


def printed_scores(table: Literal[1, 5]) -> list[PrintedCell]:
    """The cells of Table 1 or 5, row by row.

    Raises:
        KeyError: a cell refers to a footnote that does not exist.
    """
    return [
        PrintedCell(
            algorithm=row["algorithm"],
            task=row["task"],
            mean=float(row["mean"]),
            std=float(row["std"]),
            source=row["source"],
            origin=row["origin"],
            environment=row["environment"],
            same_task_as_alm=row["same_task_as_alm"],
            footnotes=tuple(footnotes()[key] for key in row["footnotes"].split()),
        )
        for row in printed_rows(table)
    ]


AUTHORS_WARMUP = 5000
"""Random environment steps that the authors' logged steps leave out."""


@cache
def authors_curves() -> pd.DataFrame:
    """The authors' ALM(3) curves: mean and standard deviation over seeds at each evaluation.

    The columns are ``task``, ``training_step``, ``seeds``, ``return_mean``, ``return_std`` and ``step``.
    ``training_step`` is the authors' logged step, which leaves out the 5000 warm-up steps; ``step`` counts
    them, as ours does.
    """
    logged = pd.read_csv(io.StringIO(_content("authors_curves.csv")))
    return logged.assign(step=logged["training_step"] + AUTHORS_WARMUP)


class AuthorsScore(NamedTuple):
    """An evaluation of the authors' ALM: mean and sample std over seeds, at an environment step.

    ``window_mean`` is the mean return over the last tenth of the steps up to it.
    """

    mean: float
    std: float
    seeds: int
    step: int
    window_mean: float


def authors_score(task: str, step: int) -> AuthorsScore | None:
    """The authors' last evaluation of a task within some environment steps; None if there is none."""
    frame = authors_curves()
    own = frame[(frame["task"] == task) & (frame["step"] <= step)]
    if own.empty:
        return None
    last = own.iloc[-1]
    curve = Curve(own["step"].to_numpy(np.int64), own["return_mean"].to_numpy(np.float64))
    return AuthorsScore(
        mean=float(last["return_mean"]),
        std=float(last["return_std"]),
        seeds=int(last["seeds"]),
        step=int(last["step"]),
        window_mean=window_mean(curve, int(last["step"])),
    )


@cache
def field_curves() -> pd.DataFrame:
    """Returns of baselines measured by others; ``results/paper/README.md`` explains the columns.

    ``seeds`` is missing if a source does not state it.
    """
    return pd.read_csv(io.StringIO(_content("field.csv")), dtype={"seeds": "Int64"})


FIELD = {
    "sac": "SAC",
    "redq_utd20": "REDQ",
    "droq_utd20": "DroQ",
    "crossq": "CrossQ",
    "bro_utd2": "BRO",
    "mrq": "MR.Q",
    "simbaV2_utd2": "SimbaV2",
}
"""Methods of `field_runs`, by their name in the file."""
FIELD_TASKS = {"T-Ant": "Ant", "HalfCheetah": "HalfCheetah", "Walker2d": "Walker2d", "Hopper": "Hopper"}
"""The closest task of the v4 family for each column of Table 1; T-Humanoid has none."""


@cache
def field_runs() -> pd.DataFrame:
    """Returns of other methods on gym's v4 tasks: ``method``, ``task``, ``seed``, ``step``, ``return``."""
    return pd.read_csv(io.StringIO(_content("field_curves.csv")))


def field_scores(method: str, task: str, step: int) -> tuple[list[float], int]:
    """The return of each seed at its last evaluation at or before a step, and the earliest of these steps.

    Without any evaluation until then: no returns, and the given step.

    Args:
        method: a key of `FIELD`.
        task: task of the v4 family, a value of `FIELD_TASKS`.
        step: environment steps.
    """
    runs = field_runs()
    own = runs[(runs["method"] == method) & (runs["task"] == task) & (runs["step"] <= step)]
    last = own.groupby("seed").tail(1)
    return last["return"].astype(float).tolist(), int(last["step"].min()) if len(last) else step


def authors_curve(task: str) -> Curve | None:
    """The authors' mean return over five seeds on ``task``, by *logged* step; None if not released."""
    frame = authors_curves()
    frame = frame[frame["task"] == task]
    if frame.empty:
        return None
    return Curve(frame["training_step"].to_numpy(np.int64), frame["return_mean"].to_numpy(np.float64))
