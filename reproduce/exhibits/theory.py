"""The theory's exhibits as stored in `results/theory/`, and their tables of texts."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from alm.errors import UserError
from reproduce.exhibits.table import Table

TITLES = {
    "theory-statements": "What the paper states, checked on finite MDPs",
    "theory-counterexamples": "Counterexamples for pen and paper",
}
"""Titles of the exhibits that are tables."""

LONG_TITLES = {
    "theory-joint": "What each learner reaches",
    "theory-duel": "Each learner beside the separate one with the same K",
}
"""Titles of summaries of figures' rows that are too long for a page: they have files of their own."""

_NOTES = {
    "theory-statements": (
        "Violations are counted over MDPs and K. “Does not hold as printed” refers to what the paper prints, "
        "“does not hold” to readings that it does not claim."
    ),
    "theory-counterexamples": "Left and right are the two sides of the claim.",
    "theory-joint": (
        "Means over random MDPs, quartiles of the score, medians of the ratios. A score of 0 is the return "
        "of the uniform policy, 1 that of the best policy on states."
    ),
    "theory-duel": "Random MDPs on which the joint learner's score is higher, level within 0.01, or lower.",
}

_WORDS = {
    *("place", "statement", "verdict", "detail", "counterexample", "MDP", "claim"),
    *("model", "bound", "example", "dynamics", "learner"),
}
"""Columns of words; all others are numbers."""


@contextmanager
def sound(path: Path) -> Iterator[None]:
    """A block that uses the rows of a file: any error in them becomes one kind.

    Raises:
        UserError: the rows are not as the checks wrote them; the message is one sentence.
    """
    try:
        yield
    except (IndexError, KeyError, TypeError, ValueError):
        raise UserError(
            f"{path} is not what the checks of the theory wrote: remake it with: python -m reproduce "
            f"theory --out {path.parent}"
        ) from None


def read(folder: Path, name: str = "*") -> dict[str, pd.DataFrame]:
    """Rows of every exhibit in ``folder``, by name, as computed by `alm.theory.results.run`.

    Args:
        folder: directory of the stored exhibits.
        name: name of one exhibit; by default all of them.

    Raises:
        UserError: a file is damaged, has no rows, or has other columns.
    """
    found = {}
    for path in sorted(folder.glob(f"{name}.csv")):
        with sound(path):
            rows = pd.read_csv(path, keep_default_na=False)
            # One damaged number makes its column one of words.
            if rows.empty or not _WORDS.issuperset(rows.select_dtypes(exclude="number")):
                raise UserError("no rows, or words among numbers")
            document_tables({path.stem: rows})
            found[path.stem] = rows
    return found


def tables(exhibits: Mapping[str, pd.DataFrame]) -> dict[str, Table]:
    """Tables of statements and counterexamples, and long summaries, by name, of the given exhibits."""
    titles = TITLES | LONG_TITLES
    return {
        name: Table.of_texts(name, titles[name], texts.to_dict("records"), [_NOTES[name]])
        for name, texts in document_tables(exhibits).items()
        if name in titles
    }


def document_tables(exhibits: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Tables of texts that docs/theory.md shows or links to, by name, for the exhibits given."""
    return {name: make(exhibits[of]) for name, (of, make) in DOCUMENT_TABLES.items() if of in exhibits}


def statement_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Place, statement, verdict, violations and what was found."""
    counts = zip(rows["violations"], rows["checks"], strict=True)
    violations = [f"{violations:,} of {checks:,}" for violations, checks in counts]
    return rows[["place", "statement", "verdict"]].assign(violations=violations, found=rows["detail"])


def plain_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Unchanged rows, with four significant digits per number."""
    return rows.map(text)


def offline_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Values of A.7 for some K."""
    return plain_table(rows[rows["K"].isin((1, 3, 10))])


def over_k_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The median gap for some K, by discount, model and bound."""
    found = []
    for (discount, model, bound), of in rows.groupby(["discount", "model", "bound"], sort=False):
        gap = of.set_index("K")["median gap"]
        gaps = {f"K = {k}": f"{gap[k]:.2f}" for k in (0, 1, 3, 5, 10)}
        found.append({"γ": text(discount), "model": model, "bound": bound} | gaps)
    return pd.DataFrame(found)


def quantile_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Median and 10 % and 90 % quantiles of every gap, over all rows or by model."""
    gaps = rows.drop(columns="discount")
    if "model" not in gaps:
        return _quantiles(gaps, "quantity", text)
    by_model = {
        model: _quantiles(of.drop(columns="model"), "quantity", text)
        for model, of in gaps.groupby("model", sort=False)
    }
    return pd.concat(by_model, names=["model"]).reset_index("model")


def joint_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Means over MDPs of each learner's outcomes, and the quartiles of its score."""
    found = []
    for (dynamics, learner, horizon), of in rows.groupby(["dynamics", "learner", "K"], sort=False):
        low, high = of["score"].quantile([0.25, 0.75])
        found.append(
            {
                "dynamics": dynamics,
                "learner": learner,
                "K": str(horizon or "–"),
                "score": f"{of['score'].mean():.2f}",
                "quartiles": f"{low:.2f} to {high:.2f}",
                "promised / return": f"{of['promised / return'].median():.2f}",
                "exp L^K / return": f"{of['exp L^K / return'].median():.2f}",
                "I(s; z)": f"{of['I(s; z)'].mean():.2f}",
            }
        )
    return pd.DataFrame(found)


def duel_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Joint learners against the separate one with the same K: MDPs ahead or behind by more than 0.01."""
    scores = rows.pivot(index=["dynamics", "K", "MDP"], columns="learner", values="score")
    differences = scores.sub(scores["separate"], axis=0)
    found = []
    for dynamics, horizon, learner in rows[["dynamics", "K", "learner"]].drop_duplicates().to_numpy():
        if not horizon or learner == "separate":
            continue
        difference = differences.loc[(dynamics, horizon), learner]
        ahead, behind = int((difference > 0.01).sum()), int((difference < -0.01).sum())
        found.append(
            {
                "dynamics": dynamics,
                "K": str(horizon),
                "joint learner": learner,
                "ahead": str(ahead),
                "level": str(len(difference) - ahead - behind),
                "behind": str(behind),
                "median difference": signed(difference.median()),
            }
        )
    return pd.DataFrame(found)


def optimism_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Ratio of promise to return: quantiles, and the share of MDPs with too large a promise."""
    ratios = rows.drop(columns=["discount", "return"]).div(rows["return"], axis=0)
    larger = [f"{100 * share:.0f} %" for share in (ratios > 1 + 1e-6).mean()]
    return _quantiles(ratios, "promised by", "{:.3f}".format).assign(**{"promises more": larger})


def _quantiles(numbers: pd.DataFrame, column: str, written: Callable[[float], str]) -> pd.DataFrame:
    """10 % quantile, median and 90 % quantile of every column of numbers, whose names are in ``column``."""
    found = numbers.quantile([0.1, 0.5, 0.9]).T.map(written)
    return found.set_axis(["10 %", "median", "90 %"], axis=1).rename_axis(column).reset_index()


def text(value: str | int | float) -> str:
    """A cell: numbers with four significant digits."""
    if isinstance(value, float):
        return f"{value:.4g}".replace("inf", "∞").replace("-", "−")
    return str(value)


def signed(value: float) -> str:
    """A difference with its sign, two digits; zero has none."""
    return f"{value:+.2f}".replace("-", "−") if abs(value) >= 0.005 else "0.00"


DOCUMENT_TABLES: dict[str, tuple[str, Callable[[pd.DataFrame], pd.DataFrame]]] = {
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
