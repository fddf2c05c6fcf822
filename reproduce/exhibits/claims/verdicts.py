"""From findings to verdicts: all claims of a scale together, corrected for each other, and their table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from reproduce.exhibits.claims.checks import ABOUT_HALF, ENOUGH, NEAR_OPTIMAL
from reproduce.exhibits.claims.contrasts import MARGIN, NUMBERS, Finding
from reproduce.exhibits.claims.evidence import RETURN, SPREAD, Evidence
from reproduce.exhibits.claims.statements import CLAIMS, Claim
from reproduce.exhibits.statistics.significance import LEVEL, POWER, holm
from reproduce.exhibits.table import Block, Row, Table
from reproduce.formats import p_in_words
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import Store

COLUMNS = ("the paper says", "compared", "difference of means", "seeds", "p (Holm)", "verdict")
"""Of the table."""

Verdict = Literal["supported", "contradicted", "inconclusive", "not enough runs", "not comparable"]


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict.

    Attributes:
        claim: the sentence.
        finding: what the runs say of it.
        verdict: what follows.
        p: corrected for all other claims with runs; None where nothing was tested.
        second: the verdict by the second outcome; None where the claim has none.
    """

    claim: Claim
    finding: Finding
    verdict: Verdict
    p: float | None
    second: Verdict | None = None

    @property
    def disagrees(self) -> bool:
        """Whether the second outcome says something else."""
        return self.second not in (None, self.verdict)

    @property
    def aside(self) -> str:
        """What the second outcome is called; empty where there is none."""
        return self.claim.check.second.aside if self.claim.check.second else ""


def judged(store: Store, scale: str, claims: Sequence[Claim] = CLAIMS) -> list[Judged]:
    """Every claim with its verdict by the runs of a scale.

    Raises:
        UnknownScaleError: there is no such scale.
    """
    evidence = Evidence(store, scale)
    findings = [claim.check.finding(evidence) for claim in claims]
    seconds = {
        index: claim.check.second.check.finding(evidence)
        for index, claim in enumerate(claims)
        if claim.check.second is not None
    }
    beside = dict(zip(seconds, (verdict for verdict, _ in verdicts([*seconds.values()])), strict=True))
    return [
        Judged(claim, finding, verdict, p, beside.get(index))
        for index, (claim, finding, (verdict, p)) in enumerate(
            zip(claims, findings, verdicts(findings), strict=True)
        )
    ]


def verdicts(findings: Sequence[Finding]) -> list[tuple[Verdict, float | None]]:
    """The verdict on each finding with its p value, corrected for all the others that were tested."""
    corrected = iter(holm([one.p for one in findings if one.tested]))
    found: list[tuple[Verdict, float | None]] = []
    for one in findings:
        p = next(corrected) if one.tested else None
        if one.settled is not None:
            found.append((one.settled, p))
        elif p is not None and p < LEVEL:
            found.append(("supported" if one.supports < one.contradicts else "contradicted", p))
        else:
            found.append(("inconclusive" if one.complete else "not enough runs", p))
    return found


def claims_table(store: Store, scale: str) -> Table:
    """All claims with what the runs of a scale say; those without evidence share the last row.

    Raises:
        UnknownScaleError: there is no such scale.
    """
    return table_of(judged(store, scale), scale)


def table_of(every: Sequence[Judged], scale: str) -> Table:
    """The table of judged claims; those without evidence share a row."""
    own = len(frozenset[RunSpec]().union(*(one.finding.own for one in every)))
    shown = [one for one in every if one.finding.evidence]
    rows = [Row(label, tuple(cells), one.claim.says) for one in shown for label, *cells in rows_of(one)]
    if unknown := len(every) - len(shown):
        rows.append(_rest(unknown))
    return Table(
        "claims" if scale == "paper" else f"claims-{scale}",
        "",
        f"Claims of the paper, by the runs of {scale} scale",
        COLUMNS,
        (Block("", tuple(rows)),),
        notes=(*_NOTES, *([f"{own} of the runs are your own, not of the repository."] if own else [])),
        numbers=_numbers(shown),
    )


def rows_of(one: Judged) -> list[list[str]]:
    """A row a line, of a cell for each of `COLUMNS`; the first has the claim and its verdict."""
    verdict: str = one.verdict
    if one.verdict == "contradicted" and one.finding.worst:
        verdict += f" on {one.finding.worst}"
    if one.disagrees:
        verdict += f"; by {one.aside}: {one.second}"
    p = "–" if one.p is None else p_in_words(one.p)
    rows = [["", line.compared, line.found, line.seeds, "", ""] for line in one.finding.lines]
    rows[0] = [f"{one.claim.place}: {one.claim.says}", *rows[0][1:4], p, verdict]
    return rows


def _rest(count: int) -> Row:
    """One row for all claims without evidence."""
    who, text = f"{count} claims", "none of them has runs on all its sides"
    if count == 1:
        who, text = "1 claim", "it has no runs on one of its sides"
    return Row(f"all else: {who}", (text, "", "", "–", "not enough runs"), who)


def _numbers(shown: Sequence[Judged]) -> pd.DataFrame:
    """The same as numbers, a row a line; what is no number stays empty."""
    rows: list[dict[str, object]] = [
        {
            "where": one.claim.place,
            "claim": one.claim.says,
            "compared": line.compared,
            "found": line.found,
            **{name: line.numbers.get(name, math.nan) for name in NUMBERS},
            "seeds": line.seeds,
            "p": one.p,
            "verdict": one.verdict,
            "second outcome": one.aside or None,
            "second verdict": one.second,
        }
        for one in shown
        for line in one.finding.lines
    ]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


_COLUMNS = (
    "where",
    "claim",
    "compared",
    "found",
    *NUMBERS,
    "seeds",
    "p",
    "verdict",
    "second outcome",
    "second verdict",
)
"""Of the table as numbers, which has them without a row, too."""

_NOTES = (
    "The claims that have runs on every side of a task, in the paper's order; those without share a row.",
    "Differences are of means over seeds of the mean return over the last tenth of the steps, with 95 % "
    "intervals of Welch's t, uncorrected for the other claims; of a single side, its mean. Area: the same of "
    "the mean return from the end of the warm-up to the read-out; claims on the speed of learning are judged "
    "by it, with the other as end. A run counts if it reached the step of the read-out; where one has "
    "failed, no verdict is given.",
    f"Can see: the smallest difference that Welch's test of so many seeds finds in {POWER:.0%} of cases, "
    "before the correction for the other claims, which asks for more; with a margin, from there on.",
    "p: of Welch's test, two-sided, corrected for all claims that have runs (Holm). Below "
    f"{LEVEL:g} a claim is supported or contradicted; else it is inconclusive: chance may have made the "
    "difference either way. A claim about several tasks holds if it holds on all, and one task contradicts "
    f"it. Not enough runs: fewer than {RETURN.seeds_needed} seeds on a side ({SPREAD.seeds_needed} where "
    "spreads are compared) on some task, and no other task contradicts the claim.",
    f"Matches, does not hurt, robust: no more than {MARGIN:.0%} below the other. Little effect, does not "
    "affect: within that on both sides. Much worse: less than half; fails: less than a quarter.",
    "Costs are ratios of the benchmark, without a test: supported from "
    f"{ENOUGH:.0%} of the claimed ratio on. About 50 % less time: at most {ABOUT_HALF:.0%} of the other's "
    f"until an evaluation first has {NEAR_OPTIMAL:.0%} of the other's final return, by p of mean speeds, "
    "where a seed that never gets there has speed 0; shown are medians. Both, and all comparisons of "
    "different algorithms, have verdicts at paper scale alone, since other scales make some algorithms "
    "smaller than others, and times of runs on one kind of processor alone. The paper's are of a GPU: a CPU "
    "can bear them out, not refute them.",
)
