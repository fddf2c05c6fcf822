"""All theory results: `run` computes every exhibit; documentation tables summarise its rows."""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from alm.theory import demonstrations, exhibits
from alm.theory.counterexamples import every_counterexample
from alm.theory.exhibits import Row, number
from alm.theory.statements import CHECKS, check_all
from alm.theory.verdicts import Finding

Table = tuple[list[str], list[list[str]]]
"""A header and rows of text."""
Exhibits = dict[str, list[Row]]
"""Rows by name: theory-statements, theory-counterexamples, theory-bound-over-k, theory-tighter-bound,
theory-gap-a5, theory-a7, theory-joint, theory-optimism, theory-lottery."""


def run(seed: int = 0, progress: Callable[[float], None] | None = None) -> Exhibits:
    """Rows of every check and demonstration, determined by ``seed``.

    ``progress`` is called with the fraction done, from 0 to 1. Every exhibit has its own random stream.
    """
    # Three ascents for the gap of A.5 and two for optimism.
    done, total = 0, len(CHECKS) + 5 * demonstrations.STEPS + demonstrations.joint_learning_steps()

    def advance() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done / total)

    streams = iter(np.random.SeedSequence(seed).spawn(6))

    def stream() -> np.random.Generator:
        return np.random.default_rng(next(streams))

    return {
        "theory-statements": [statement_row(one) for one in check_all(stream(), progress=advance)],
        "theory-counterexamples": exhibits.counterexample_rows(every_counterexample()),
        "theory-bound-over-k": exhibits.bound_over_k(stream()),
        "theory-tighter-bound": exhibits.tighter_bound(stream()),
        "theory-gap-a5": exhibits.gap_a5(stream(), demonstrations.STEPS, progress=advance),
        "theory-a7": exhibits.offline_counterexamples(),
        "theory-optimism": demonstrations.optimism(stream(), progress=advance),
        "theory-lottery": demonstrations.lottery(),
        "theory-joint": demonstrations.joint_learning(stream(), progress=advance),
    }


def statement_row(one: Finding) -> Row:
    """A finding as a row of the table of statements."""
    example = one.counterexample
    return {
        "place": one.place,
        "statement": one.statement,
        "checks": one.instances,
        "violations": one.violations,
        # Rounding errors differ between machines.
        "largest excess": 0.0 if abs(one.worst) < 1e-9 else number(one.worst),
        "verdict": str(one.verdict),
        "detail": one.detail,
        "counterexample": f"{example.words}, γ = {example.mdp.discount[0]:g}, K = {example.horizon}"
        if example
        else "",
    }


def document_tables(exhibits: Mapping[str, list[Row]]) -> dict[str, Table]:
    """Tables that docs/theory.md shows or links to, by name, for the exhibits given."""
    return {name: make(exhibits[of]) for name, (of, make) in DOCUMENT_TABLES.items() if of in exhibits}


def statement_table(rows: list[Row]) -> Table:
    """Place, statement, verdict, violations and what was found."""
    header = ["place", "statement", "verdict", "violations", "found"]
    return header, [
        [
            str(row["place"]),
            str(row["statement"]),
            str(row["verdict"]),
            f"{row['violations']:,} of {row['checks']:,}",
            str(row["detail"]),
        ]
        for row in rows
    ]


def plain_table(rows: list[Row]) -> Table:
    """Unchanged rows, with four significant digits per number."""
    header = list(rows[0])
    return header, [[text(row[name]) for name in header] for row in rows]


def offline_table(rows: list[Row]) -> Table:
    """Values of A.7 for some K."""
    return plain_table([row for row in rows if row["K"] in (1, 3, 10)])


def quantile_table(rows: list[Row]) -> Table:
    """Median and 10 % and 90 % quantiles of every gap, over all rows or by model."""
    group = "model" if "model" in rows[0] else None
    names = [name for name in rows[0] if name not in ("discount", group)]
    groups = list(dict.fromkeys(row[group] for row in rows)) if group else [""]
    header = [*([group] if group else []), "quantity", "10 %", "median", "90 %"]
    body = []
    for one in groups:
        chosen = [row for row in rows if not group or row[group] == one]
        for name in names:
            quantiles = np.quantile(column(chosen, name), (0.1, 0.5, 0.9))
            body.append([*([str(one)] if group else []), name, *map(text, quantiles)])
    return header, body


def over_k_table(rows: list[Row]) -> Table:
    """The median gap for some K, by discount, model and bound."""
    chosen = (0, 1, 3, 5, 10)
    header = ["γ", "model", "bound", *(f"K = {k}" for k in chosen)]
    found: dict[tuple[str, str, str], dict[int, float]] = {}
    for row in rows:
        key = text(row["discount"]), str(row["model"]), str(row["bound"])
        found.setdefault(key, {})[int(row["K"])] = float(row["median gap"])
    return header, [[*key, *(f"{gaps[k]:.2f}" for k in chosen)] for key, gaps in found.items()]


def joint_table(rows: list[Row]) -> Table:
    """Means over MDPs of each learner's outcomes, and the quartiles of its score."""
    header = [
        "dynamics",
        "learner",
        "K",
        "score",
        "quartiles",
        "promised / return",
        "exp L^K / return",
        "I(s; z)",
    ]
    body = []
    for (dynamics, learner, horizon), chosen in grouped(rows, ("dynamics", "learner", "K")):
        score = column(chosen, "score")
        low, high = np.quantile(score, (0.25, 0.75))
        promised = np.median(column(chosen, "promised / return"))
        certified = np.median(column(chosen, "exp L^K / return"))
        information = column(chosen, "I(s; z)").mean()
        body.append(
            [
                str(dynamics),
                str(learner),
                str(horizon or "–"),
                f"{score.mean():.2f}",
                f"{low:.2f} to {high:.2f}",
                f"{promised:.2f}",
                f"{certified:.2f}",
                f"{information:.2f}",
            ]
        )
    return header, body


def duel_table(rows: list[Row], margin: float = 0.01) -> Table:
    """Joint learners against the separate one with the same K: MDPs ahead or behind by ``margin``."""
    header = ["dynamics", "K", "joint learner", "ahead", "level", "behind", "median difference"]
    apart = {
        (row["dynamics"], row["K"], row["MDP"]): float(row["score"])
        for row in rows
        if row["learner"] == "separate"
    }
    body = []
    for (dynamics, horizon, learner), chosen in grouped(rows, ("dynamics", "K", "learner")):
        if not horizon or learner == "separate":
            continue
        rival = np.array([apart[dynamics, horizon, row["MDP"]] for row in chosen])
        difference = column(chosen, "score") - rival
        ahead, behind = int((difference > margin).sum()), int((difference < -margin).sum())
        level = len(difference) - ahead - behind
        body.append(
            [str(dynamics), str(horizon), str(learner), *map(str, (ahead, level, behind))]
            + [signed(float(np.median(difference)))]
        )
    return header, body


def signed(value: float) -> str:
    """A difference with its sign, two digits; zero has none."""
    return f"{value:+.2f}".replace("-", "−") if abs(value) >= 0.005 else "0.00"


def optimism_table(rows: list[Row]) -> Table:
    """Ratio of promise to return: quantiles, and the share of MDPs with too large a promise."""
    header = ["promised by", "10 %", "median", "90 %", "promises more"]
    actual, body = column(rows, "return"), []
    for name in rows[0]:
        if name in ("discount", "return"):
            continue
        ratio = column(rows, name) / actual
        quantiles = [f"{x:.3f}" for x in np.quantile(ratio, (0.1, 0.5, 0.9))]
        body.append([name, *quantiles, f"{100 * np.mean(ratio > 1 + 1e-6):.0f} %"])
    return header, body


def grouped(
    rows: list[Row], names: tuple[str, ...]
) -> Iterable[tuple[tuple[str | int | float, ...], list[Row]]]:
    """Rows grouped by their values of ``names``, in order of first appearance."""
    found: dict[tuple[str | int | float, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in names), []).append(row)
    return found.items()


def column(rows: list[Row], name: str) -> np.ndarray:
    """One column of numbers."""
    return np.array([float(row[name]) for row in rows])


def text(value: str | int | float) -> str:
    """A cell: numbers with four significant digits."""
    if isinstance(value, float):
        return f"{value:.4g}".replace("inf", "∞").replace("-", "−")
    return str(value)


DOCUMENT_TABLES: dict[str, tuple[str, Callable[[list[Row]], Table]]] = {
    "theory-statements": ("theory-statements", statement_table),
    "theory-counterexamples": ("theory-counterexamples", plain_table),
    "theory-bound-over-k": ("theory-bound-over-k", over_k_table),
    "theory-tighter-bound": ("theory-tighter-bound", quantile_table),
    "theory-gap-a5": ("theory-gap-a5", quantile_table),
    "theory-a7": ("theory-a7", offline_table),
    "theory-joint": ("theory-joint", joint_table),
    "theory-duel": ("theory-joint", duel_table),
    "theory-optimism": ("theory-optimism", optimism_table),
    "theory-lottery": ("theory-lottery", plain_table),
}
"""Tables by name, each with its exhibit and the function that summarises its rows."""
