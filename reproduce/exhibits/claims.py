"""What the paper says in words, beside what the stored runs say: one row a claim.

A claim is a quotation and a check.  Checks read finished runs only: of each seed the mean return over the
last tenth of its steps.  A verdict needs three seeds on every side; one that rests on a sign needs the whole
95 % interval on that side.
"""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from alm.training.bias import DEFINITIONS
from reproduce.exhibits import FigureExhibit, Series, TableExhibit, exhibit_named
from reproduce.exhibits.statistics.aggregates import (
    FloatArray,
    difference_of_interquartile_means,
    interquartile_mean,
)
from reproduce.exhibits.statistics.intervals import Estimate, bootstrap
from reproduce.exhibits.table import Table
from reproduce.lab.algorithms import ALGORITHMS, run_length
from reproduce.lab.curves import window_mean
from reproduce.lab.planning import BENCHMARK
from reproduce.lab.store import Store, StoredRun, require_comparable

__all__ = ["CLAIMS", "Claim", "Evidence", "Finding", "claims_table"]

Verdict = Literal["supported", "not supported", "not enough runs", "not measured"]

SEEDS_NEEDED = 3
MARGIN = 0.2
"""Part of a return that counts as "about the same"."""

_ALM = Series("ALM(3)", "alm")


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        text: in numbers.
        seeds: how many runs stand behind them.
        verdict: on the claim.
    """

    text: str
    seeds: str
    verdict: Verdict


class Evidence:
    """The finished runs of one scale.

    Args:
        store: stored runs.
        scale: the only scale that is read.
    """

    def __init__(self, store: Store, scale: str) -> None:
        self.store, self.scale = store, scale
        self._finished = [
            run
            for run in store.runs(scale=scale)
            if run.status != "failed" and run.last_step >= run_length(run.spec)
        ]

    def runs(self, series: Series, panel: str) -> list[StoredRun]:
        """Finished runs of a series in the panel of a task.

        Raises:
            StoreMixError: they are of different protocols.
        """
        wanted = (series.algorithm, series.variant, series.task(panel))
        runs = [
            run for run in self._finished if (run.spec.algorithm, run.spec.variant, run.spec.task) == wanted
        ]
        require_comparable(runs)
        return runs

    def scores(self, series: Series, panel: str) -> FloatArray:
        """One number a seed: the mean return over the last tenth of its steps (seeds,)."""
        return np.array([_final(run) for run in self.runs(series, panel)])

    def tasks(self, exhibit: str) -> tuple[str, ...]:
        """The tasks of a figure or table at this scale."""
        found = exhibit_named(exhibit)
        assert isinstance(found, FigureExhibit | TableExhibit)
        return found.tasks_at(self.scale)


Check = Callable[[Evidence], Finding]


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper.

    Attributes:
        place: where it stands.
        says: what it says, shortened.
        check: how it is looked up in the runs.
    """

    place: str
    says: str
    check: Check


# --- Comparisons of returns ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Comparison:
    """Two series on one task."""

    task: str
    names: tuple[str, str]
    seeds: tuple[int, int]
    difference: Estimate | None
    """Of interquartile means; None where one side has no run."""
    reference: float
    """Interquartile mean of the second."""

    @property
    def enough(self) -> bool:
        return min(self.seeds) >= SEEDS_NEEDED

    def text(self, digits: int = 0) -> str:
        """The difference in numbers; empty where one side has no run."""
        if self.difference is None:
            return ""
        difference = self.difference.text(digits=digits, sign="+")
        return f"{self.task}: {self.names[0]} − {self.names[1]} = {difference}"


def _compare(evidence: Evidence, x: Series, y: Series, task: str) -> _Comparison:
    return _between(task, (x.label, y.label), evidence.scores(x, task), evidence.scores(y, task))


def _between(task: str, names: tuple[str, str], ours: FloatArray, theirs: FloatArray) -> _Comparison:
    """The comparison of two sides by one number a seed, (seeds,) each."""
    seeds = (len(ours), len(theirs))
    if not all(seeds):
        return _Comparison(task, names, seeds, None, math.nan)
    rng = np.random.default_rng(0)
    difference = bootstrap(difference_of_interquartile_means, [ours], [theirs], rng=rng)
    return _Comparison(task, names, seeds, difference, float(interquartile_mean([theirs])))


def _finding(
    comparisons: Sequence[_Comparison], holds: Callable[[_Comparison], bool], digits: int = 0
) -> Finding:
    """A claim about every one of the comparisons."""
    if not comparisons:
        return Finding("no such task at this scale", "–", "not enough runs")
    found = [one for one in comparisons if one.difference is not None]
    text = "; ".join([one.text(digits) for one in found] + _without_runs(comparisons))
    seeds = _once(f"{one.seeds[0]} and {one.seeds[1]}" for one in found) or "none on both sides"
    if not all(one.enough for one in comparisons):
        return Finding(text, seeds, "not enough runs")
    return Finding(text, seeds, "supported" if all(map(holds, comparisons)) else "not supported")


def _without_runs(comparisons: Sequence[_Comparison]) -> list[str]:
    """What has no finished run, and on which tasks."""
    tasks: dict[str, list[str]] = {}
    for one in comparisons:
        for name, seeds in zip(one.names, one.seeds, strict=True):
            if not seeds and one.task not in tasks.setdefault(name, []):
                tasks[name].append(one.task)
    names: dict[str, list[str]] = {}
    for name, where in tasks.items():
        names.setdefault(", ".join(where), []).append(name)
    return [f"no finished run of {', '.join(who)} on {where}" for where, who in names.items()]


def _once(parts: Iterable[str]) -> str:
    """The parts in a row; one where all are alike."""
    every = list(parts)
    return every[0] if len(set(every)) == 1 else "; ".join(every)


def _above_zero(one: _Comparison) -> bool:
    return one.difference is not None and float(one.difference.low) > 0.0


def _not_below(one: _Comparison) -> bool:
    """Surely no more than the margin below the second."""
    return one.difference is not None and float(one.difference.low) > -MARGIN * abs(one.reference)


def _alike(one: _Comparison) -> bool:
    """Surely within the margin."""
    margin = MARGIN * abs(one.reference)
    return _not_below(one) and one.difference is not None and float(one.difference.high) < margin


def _over_tasks(holds: Callable[[_Comparison], bool], exhibit: str, *pairs: tuple[Series, Series]) -> Check:
    """A claim about pairs of series on all tasks of a figure."""

    def check(evidence: Evidence) -> Finding:
        tasks = evidence.tasks(exhibit)
        return _finding([_compare(evidence, x, y, task) for task in tasks for x, y in pairs], holds)

    return check


def _better(exhibit: str, x: Series, *others: Series) -> Check:
    return _over_tasks(_above_zero, exhibit, *((x, y) for y in others))


def _no_worse(exhibit: str, x: Series, *others: Series) -> Check:
    return _over_tasks(_not_below, exhibit, *((x, y) for y in others))


def _wins_table1(evidence: Evidence) -> Finding:
    """ALM surely above every other row on at least four of the five tasks."""
    table = exhibit_named("table1")
    specs = table.needs(evidence.scale)
    tasks = list(dict.fromkeys(spec.task for spec in specs))
    rivals = [
        Series(ALGORITHMS[name].title, name)
        for name in dict.fromkeys(spec.algorithm for spec in specs)
        if name != "alm"
    ]
    won = lost = 0
    for task in tasks:
        every = [_compare(evidence, _ALM, rival, task) for rival in rivals]
        if all(one.enough for one in every):
            won += all(map(_above_zero, every))
            lost += not all(map(_above_zero, every))
    text = f"surely best on {won} of the {won + lost} tasks that all rows have {SEEDS_NEEDED} seeds on"
    if won + lost < len(tasks):
        return Finding(text, f"{won + lost} of {len(tasks)} tasks", "not enough runs")
    return Finding(text, f"{len(tasks)} tasks", "supported" if won >= 4 else "not supported")


def _fails(x: Series, tasks: tuple[str, ...]) -> Check:
    """X surely below a quarter of ALM's return."""

    def check(evidence: Evidence) -> Finding:
        def holds(one: _Comparison) -> bool:
            # ALM − X > ¾ ALM, with ALM = X + difference.
            return one.difference is not None and float(one.difference.low) > 3.0 * max(one.reference, 0.0)

        return _finding([_compare(evidence, _ALM, x, task) for task in tasks], holds)

    return check


def _length_three_is_best(evidence: Evidence) -> Finding:
    """No other K has a higher interquartile mean; ties are possible, so no interval is asked for."""
    figure = exhibit_named("figure5b")
    assert isinstance(figure, FigureExhibit)
    lengths = [one for one in figure.series if one.algorithm == "alm"]
    texts, seeds, best = [], [], []
    for task in figure.tasks_at(evidence.scale):
        scores = {one.label: evidence.scores(one, task) for one in lengths}
        means = {label: float(interquartile_mean([s])) for label, s in scores.items() if len(s)}
        texts.append(f"{task}: " + (", ".join(f"{k} {v:.0f}" for k, v in means.items()) or "no finished run"))
        seeds.append("/".join(str(len(s)) for s in scores.values()))
        if all(len(s) >= SEEDS_NEEDED for s in scores.values()):
            best.append(max(means, key=lambda label: means[label]) == "ALM(3)")
    verdict: Verdict = "not enough runs"
    if len(best) == len(texts):
        verdict = "supported" if all(best) else "not supported"
    return Finding("; ".join(texts), _once(seeds), verdict)


def _robust(evidence: Evidence) -> Finding:
    """The worst coefficient is surely no more than the margin below the default."""
    figure = exhibit_named("figure11")
    assert isinstance(figure, FigureExhibit)
    pairs = [(one, _ALM) for one in figure.series if one.variant != "base"]
    return _over_tasks(_not_below, "figure11", *pairs)(evidence)


# --- Costs --------------------------------------------------------------------------------------------------


def _cheaper(name: str, times: float) -> Check:
    """The benchmark's ratio of milliseconds a step is at least four fifths of what the paper says.

    The paper speaks of a GPU: a CPU can bear it out, but not refute it.
    """

    def check(evidence: Evidence) -> Finding:
        costs = _benchmark().get("costs", {}).get(evidence.scale, {})
        if name not in costs:
            return Finding("no benchmark record (make bench)", "–", "not measured")
        ms = costs[name]["step_ms"] / costs["alm"]["step_ms"]
        flop = costs[name]["gflop"] / costs["alm"]["gflop"]
        text = f"{ms:.2f}× the time of ALM's step on one CPU thread, {flop:.2f}× its matrix products"
        if ms >= 0.8 * times:
            return Finding(text, "benchmark", "supported")
        return Finding(f"{text}; the GPU of the claim was not at hand", "benchmark", "not measured")

    return check


@cache
def _benchmark() -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    return json.loads(BENCHMARK.read_text())["results"] if BENCHMARK.exists() else {}


def _half_the_time(evidence: Evidence) -> Finding:
    """Hours until a seed first has 90 % of SAC's final return: ALM's mean at most 60 % of SAC's."""
    texts, seeds, ratios = [], [], []
    for task in evidence.tasks("figure3"):
        runs = {s: evidence.runs(s, task) for s in (_ALM, Series("SAC", "sac"))}
        ours, theirs = runs.values()
        seeds.append(f"{len(ours)} and {len(theirs)}")
        if min(len(ours), len(theirs)) < SEEDS_NEEDED:
            texts.append(f"{task}: too few finished runs")
            continue
        target = 0.9 * float(np.mean([_final(run) for run in theirs]))
        if target <= 0.0:
            texts.append(f"{task}: SAC's runs are too short to have learned, so there is no target")
            continue
        hours = [np.mean([_hours_to(run, target) for run in own]) for own in (ours, theirs)]
        ours_in, theirs_in = (f"{60.0 * h:.1f} min" if np.isfinite(h) else "never" for h in hours)
        texts.append(f"{task}: {ours_in} against {theirs_in} to a return of {target:.0f}")
        ratios.append(hours[0] / hours[1])
    text, counts = "; ".join(texts), _once(seeds)
    if len(ratios) < len(texts):
        return Finding(text, counts, "not enough runs")
    return Finding(text, counts, "supported" if all(r <= 0.6 for r in ratios) else "not supported")


def _final(run: StoredRun) -> float:
    return window_mean(run.curve(), run.last_step)


def _hours_to(run: StoredRun, target: float) -> float:
    """Hours of training until an evaluation is at least ``target``; infinite if none is."""
    there = run.evaluations["eval/return"] >= target
    return float(run.training_seconds[there].iloc[0]) / 3600.0 if there.any() else math.inf


# --- Values and predictions ---------------------------------------------------------------------------------


def _steadier(evidence: Evidence) -> Finding:
    """The deviation of ALM's normalised bias, over the second half of training, is surely lower."""
    figure = exhibit_named("figure4")
    assert isinstance(figure, FigureExhibit)
    own, *others = figure.series
    comparisons = []
    for task in figure.tasks_at(evidence.scale):
        ours = _bias_deviations(evidence, own, task)
        for other in others:
            theirs = _bias_deviations(evidence, other, task)
            comparisons.append(_between(task, ("ALM(3)", other.label), ours, theirs))
    return _finding(
        comparisons, lambda one: one.difference is not None and float(one.difference.high) < 0.0, digits=2
    )


def _bias_deviations(evidence: Evidence, series: Series, task: str) -> FloatArray:
    """One number a seed: mean over the second half of training of the bias' normalised deviation."""
    found = []
    for run in evidence.runs(series, task):
        pairs = evidence.store.values(run)
        if pairs is None or series.estimate not in pairs:
            continue
        late = pairs[pairs["step"] > run.last_step / 2]
        deviations = [
            DEFINITIONS["redq"](
                group[series.estimate].to_numpy(np.float64), group["monte_carlo"].to_numpy(np.float64)
            ).std
            for _, group in late.groupby("step")
        ]
        found.append(float(np.mean(deviations)))
    return np.array(found)


def _predicts(series: Series, at_least: int | None = None, at_most: int | None = None) -> Check:
    """Model steps until the mean squared error reaches the representation's variance."""

    def check(evidence: Evidence) -> Finding:
        (task,) = evidence.tasks("figure7")
        steps, texts = [], []
        for run in evidence.runs(series, task):
            found = evidence.store.latents(run)
            if found is None:
                continue
            errors = found[0].dropna(subset="squared_error")
            lost = errors.loc[errors["squared_error"] >= 1.0, "step"]
            longest = int(errors["step"].max())
            steps.append(int(lost.iloc[0]) if len(lost) else longest + 1)
            texts.append(str(steps[-1]) if len(lost) else f"more than {longest}")
        counts = ", ".join(texts)
        text = f"{task}: the error reaches the variance after {counts} steps" if steps else "not measured"
        if len(steps) < SEEDS_NEEDED:
            return Finding(text, str(len(steps)), "not enough runs")
        median = float(np.median(steps))
        holds = (at_least is None or median >= at_least) and (at_most is None or median <= at_most)
        return Finding(text, str(len(steps)), "supported" if holds else "not supported")

    return check


# --- The claims ---------------------------------------------------------------------------------------------

_SAC, _REDQ, _MBPO = Series("SAC", "sac"), Series("REDQ", "redq"), Series("MBPO", "mbpo")
_SVG2, _SVG3 = Series("SAC-SVG(2)", "sac-svg2"), Series("SAC-SVG(3)", "sac-svg3")


def _variant(label: str, name: str) -> Series:
    return Series(label, "alm", name)


_TD3_LOSS, _NO_KL = _variant("TD3's loss on ALM's representation", "td3-loss"), _variant("no KL", "no-kl")

CLAIMS = (
    Claim("Table 1", "ALM outperforms model-based and model-free methods on 4/5 tasks", _wins_table1),
    Claim(
        "Figure 3",
        "ALM matches the sample complexity of REDQ and MBPO",
        _no_worse("figure3", _ALM, _REDQ, _MBPO),
    ),
    Claim("Section 5.2", "MBPO fails to solve Humanoid and Ant", _fails(_MBPO, ("Humanoid", "Ant"))),
    Claim("Abstract", "updates 10× faster than MBPO's", _cheaper("mbpo", 10.0)),
    Claim("Abstract", "updates 6× faster than REDQ's", _cheaper("redq", 6.0)),
    Claim("Abstract", "near-optimal returns in about 50 % less time than SAC", _half_the_time),
    Claim("Figure 4", "the deviation of the bias is lower for ALM than for REDQ and SAC-AVG", _steadier),
    Claim("Figure 5a", "the KL term is crucial", _better("figure5a", _ALM, _NO_KL)),
    Claim(
        "Figure 5a",
        "the classifier term stabilises learning",
        _better("figure5a", _ALM, _variant("no classifier", "no-classifier")),
    ),
    Claim(
        "Figure 5a",
        "the value term has little effect",
        _over_tasks(_alike, "figure5a", (_variant("no value", "no-value"), _ALM)),
    ),
    Claim("Figure 10b", "K = 3 is best", _length_three_is_best),
    Claim(
        "Figure 10b",
        "every K does at least as well as SAC",
        _over_tasks(
            _not_below,
            "figure5b",
            (_ALM, _SAC),
            *((_variant(f"ALM({k})", f"k{k}"), _SAC) for k in (1, 2, 4, 5)),
        ),
    ),
    Claim(
        "Figure 5c",
        "ALM's representation makes model-free learning faster",
        _better("figure5c", _TD3_LOSS, Series("TD3 (ours)", "td3-ours")),
    ),
    Claim("Figure 7", "the model remains accurate for about 20 steps", _predicts(_ALM, at_least=20)),
    Claim("Figure 7", "without the KL term it diverges after two", _predicts(_NO_KL, at_most=2)),
    Claim("Figure 11", "ALM is robust to a range of coefficients c", _robust),
    Claim(
        "Figure 12",
        "the logarithmic transformation does not hurt",
        _no_worse("figure12", _variant("transformed", "log-transformed"), _ALM),
    ),
    Claim(
        "Figure 13",
        "learning the encoder is necessary on high-dimensional tasks",
        _better("figure13", _ALM, _variant("identity encoder", "mnm")),
    ),
    Claim(
        "Figure 14",
        "after a million steps ALM still outperforms SAC",
        _better("figure14", Series("ALM(3)", "alm", "million"), Series("SAC", "sac", "million")),
    ),
    Claim(
        "Figure 16",
        "ALM works well with a linear classifier",
        _no_worse("figure16", _variant("linear classifier", "linear-classifier"), _ALM),
    ),
    Claim(
        "Table 5",
        "SAC's entropy bonus is not why SAC-SVG does worse",
        _better("table5", _variant("ALM-ENT(3)", "ent"), _SVG2, _SVG3),
    ),
)
"""Every claim that needs a number, in the paper's order."""


def claims_table(store: Store, scale: str) -> Table:
    """All claims with what the finished runs of a scale say.

    Raises:
        UnknownScaleError: there is no such scale.
        StoreMixError: runs of different protocols stand behind one claim.
    """
    evidence = Evidence(store, scale)
    rows = []
    for claim in CLAIMS:
        found = claim.check(evidence)
        rows.append(
            {
                "where": claim.place,
                "the paper says": claim.says,
                f"runs at {scale} scale say": found.text,
                "seeds": found.seeds,
                "verdict": found.verdict,
            }
        )
    return Table.of_texts(
        "claims" if scale == "paper" else f"claims-{scale}",
        f"Claims of the paper, by the finished runs of {scale} scale",
        rows,
        (
            "Differences are of interquartile means over seeds of the mean return over the last tenth of the "
            "steps, with 95 % bootstrap intervals; of three seeds such an interval holds the truth in about "
            "75 % of cases only.",
            f"A verdict needs {SEEDS_NEEDED} finished seeds on every side and task. Better: the whole "
            "interval is above zero. Matches, does not hurt: it is above "
            f"{-MARGIN:.0%} of the other's return.",
        ),
    )
