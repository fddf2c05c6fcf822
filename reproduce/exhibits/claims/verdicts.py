"""Verdicts on all claims of a scale, corrected for multiple comparisons, and their table."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from reproduce.exhibits.claims.checks import ABOUT_A_SIXTH, ABOUT_HALF, ENOUGH, NEAR_OPTIMAL
from reproduce.exhibits.claims.contrasts import MARGIN, NUMBERS, ClaimFinding
from reproduce.exhibits.claims.evidence import RETURN, SPREAD, Evidence
from reproduce.exhibits.claims.statements import CLAIMS, Claim
from reproduce.exhibits.statistics.significance import LEVEL, POWER, holm
from reproduce.exhibits.table import Block, Row, Table
from reproduce.formats import p_in_words
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import Store

COLUMNS = ("the paper says", "compared", "difference of means", "seeds", "p (Holm)", "verdict")
"""Columns of the table."""

Verdict = Literal["supported", "contradicted", "inconclusive", "not enough runs", "not comparable"]


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict.

    Attributes:
        claim: the claim.
        finding: what the runs say about it.
        verdict: the verdict that follows.
        p: p value, corrected for all other tested claims; None if nothing was tested.
        second: the verdict by the second outcome; None if the claim has none.
    """

    claim: Claim
    finding: ClaimFinding
    verdict: Verdict
    p: float | None
    second: Verdict | None = None

    @property
    def disagrees(self) -> bool:
        """Whether the second outcome gives another verdict."""
        return self.second not in (None, self.verdict)

    @property
    def aside(self) -> str:
        """Name of the second outcome; empty if there is none."""
        return self.claim.check.second.aside if self.claim.check.second else ""


def judged(store: Store, scale: str, claims: Sequence[Claim] = CLAIMS) -> list[Judged]:
    """Every claim with its verdict from the runs of a scale.

    Raises:
        UserError: there is no such scale.
    """
    evidence = Evidence(store, scale)
    findings = [claim.check.finding(evidence) for claim in claims]
    seconds = [claim.check.second for claim in claims]
    beside = iter(verdicts([second.check.finding(evidence) for second in seconds if second]))
    return [
        Judged(claim, finding, verdict, p, next(beside)[0] if second else None)
        for claim, finding, (verdict, p), second in zip(
            claims, findings, verdicts(findings), seconds, strict=True
        )
    ]


def verdicts(findings: Sequence[ClaimFinding]) -> list[tuple[Verdict, float | None]]:
    """The verdict on each finding, and its p value corrected for all others that were tested."""
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
    """The table of all claims, judged by the runs of a scale.

    Raises:
        UserError: there is no such scale.
    """
    return table_of(judged(store, scale), scale)


def table_of(every: Sequence[Judged], scale: str) -> Table:
    """The table of judged claims; those without evidence share a row, and are listed in files."""
    own = len(frozenset[RunSpec]().union(*(one.finding.own for one in every)))
    shown = [one for one in every if one.finding.evidence]
    others = [one for one in every if not one.finding.evidence]
    rows = [Row(label, tuple(cells), one.claim.says) for one in shown for label, *cells in rows_of(one)]
    blocks = [Block("", tuple(rows))]
    if others:
        listed = tuple(_lacking(one, scale) for one in others)
        blocks = [Block("", (*rows, _rest(others))), Block("All else", listed, on_terminals=False)]
    return Table(
        "claims" if scale == "paper" else f"claims-{scale}",
        f"Claims of the paper, by the runs of {scale} scale",
        COLUMNS,
        tuple(blocks),
        notes=(*_NOTES, *([f"{own} of the runs are your own, not the repository's."] if own else [])),
        numbers=_numbers(every, scale),
    )


def rows_of(one: Judged) -> list[list[str]]:
    """One row per line of a finding, with a cell per column; the first has the claim and its verdict."""
    verdict: str = one.verdict
    if one.verdict == "contradicted" and one.finding.worst:
        verdict += f" on {one.finding.worst}"
    if one.disagrees:
        verdict += f"; by {one.aside}: {one.second}"
    p = "–" if one.p is None else p_in_words(one.p)
    rows = [["", line.compared, line.found, line.seeds, "", ""] for line in one.finding.lines]
    rows[0] = [f"{one.claim.place}: {one.claim.says}", *rows[0][1:4], p, verdict]
    return rows


def _rest(others: Sequence[Judged]) -> Row:
    """One row for all claims without evidence."""
    who, text = f"{len(others)} claims", "none of them has runs on all its sides"
    if len(others) == 1:
        who, text = "1 claim", "it has no runs on one of its sides"
    verdicts = "; ".join(dict.fromkeys(one.verdict for one in others))
    return Row(f"all else: {who}", (text, "", "", "–", verdicts), who)


def _lacking(one: Judged, scale: str) -> Row:
    """A claim without evidence, with the plan of the exhibits that need its runs."""
    if names := one.claim.check.exhibits(scale):
        plan = f"python -m reproduce plan {' '.join(names)} --scale {scale}"
    elif one.claim.check.exhibits("paper"):
        plan = "no exhibit has its runs at this scale"
    else:
        plan = one.finding.lines[0].compared  # costs, which no run has
    return Row(f"{one.claim.place}: {one.claim.says}", (plan, "", "", "–", one.verdict))


def _numbers(every: Sequence[Judged], scale: str) -> pd.DataFrame:
    """All claims as numbers, one row per line; unknown numbers are NaN."""
    rows = [
        (
            one.claim.place,
            one.claim.says,
            line.compared,
            line.found,
            *(line.numbers.get(name, math.nan) for name in NUMBERS),
            line.seeds,
            one.p,
            one.verdict,
            one.aside or None,
            one.second,
            " ".join(one.claim.check.exhibits(scale)),
        )
        for one in every
        for line in one.finding.lines
    ]
    first, last = ("where", "claim", "compared", "found"), ("seeds", "p", "verdict")
    second = ("second outcome", "second verdict")
    return pd.DataFrame(rows, columns=[*first, *NUMBERS, *last, *second, "exhibits"])


_NOTES = (
    "Claims that have runs on every side of some task, in the order in which the paper prints them; all "
    "others share the last row, and are listed as all else with the command (python -m reproduce plan …) "
    "that says what they take.",
    "Differences are between means over seeds of the mean return over the last tenth of the steps, with 95 % "
    "intervals of Welch's t, uncorrected for the other claims; for a single side, its mean is shown. Area: "
    "the same for the mean return from the end of the longer warm-up of the two sides to the read-out. "
    "Claims on the speed of learning are judged by the area, with the mean over the last tenth shown as end. "
    "A run counts if it reached the read-out step; a comparison of which a run has failed counts with p = 1, "
    "as inconclusive.",
    f"Can see: the smallest difference that Welch's test detects with this many seeds in {POWER:.0%} of "
    "cases, before the correction for the other claims, which requires more; for claims with a margin, "
    "counted from the margin.",
    "p: two-sided p value of Welch's test, corrected for all claims that have runs (Holm). Below "
    f"{LEVEL:g} a claim is supported or contradicted; otherwise it is inconclusive: the difference may be "
    "due to chance. A claim about several tasks holds if it holds on all, and one task contradicts "
    f"it. Not enough runs: fewer than {RETURN.seeds_needed} seeds on a side ({SPREAD.seeds_needed} where "
    "spreads are compared) on some task, and no other task contradicts the claim.",
    f"Matches, does not hurt, robust: at most {MARGIN:.0%} below the other. Little effect, does not "
    "affect: within that margin either way. Much worse: less than half; fails: less than a quarter.",
    "Costs are ratios from the benchmark, without a test: at least "
    f"{ENOUGH:.0%} of the claimed ratio supports a claim. About 50 % (6×) less time: at most "
    f"{ABOUT_HALF:.0%} ({ABOUT_A_SIXTH:.0%}) of the other's time until an evaluation first reaches "
    f"{NEAR_OPTIMAL:.0%} of the other's final return; p is for mean speeds, where a seed that never gets "
    "there has speed 0, but medians are shown. Claims on costs and times, and all comparisons of different "
    "algorithms, have verdicts only at paper scale, since other scales shrink some algorithms more than "
    "others; claims on times also need runs on one kind of processor. The paper's claims are for a GPU: a "
    "CPU can support them, but not refute them.",
)
