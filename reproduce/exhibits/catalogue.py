"""Declarations of every table and figure: the runs it needs, what it reads from them, and its layout.

The paper does not name the tasks of most figures. Where its text names none, the panels follow the authors'
scripts for the rebuttal, or the tasks that the text discusses. At scales other than the paper's, figures
have fewer and cheaper tasks (`FigureExhibit.small_tasks`).

The name of a table begins with ``table``, that of a figure with ``figure``.
"""

import itertools
import re
from collections.abc import Collection, Mapping
from dataclasses import replace

from alm.errors import UserError
from alm.names import did_you_mean, nearest
from reproduce.exhibits.kinds import READ_OUT, Exhibit, FigureExhibit, Metric, Series, TableExhibit
from reproduce.lab.algorithms import title_of
from reproduce.lab.published import Footnote

QUARTER = Series(
    "ALM(3) quarter",
    "alm",
    "quarter",
    group="this paper",
    remark=Footnote(
        key="quarter-of-the-widths",
        kind="protocol",
        short="a quarter of the paper's widths and batch (--variant quarter); no row of the paper",
        full="ALM(3) with a quarter of the paper's widths and batch, `--variant quarter`: of a size that a "
        "CPU trains to the read-out in hours. The paper has no such row.",
    ),
    only_at=("paper",),
    size="a quarter of the paper's widths and batch",
)
"""ALM of a size that reaches the read-out of the paper's tables on a CPU."""
HALF = Series(
    "ALM(3) half, bf16",
    "alm",
    "base[batch_size=256,hidden_size=256,model_hidden_size=512]+bf16",
    only_at=("paper",),
    size="half of the paper's widths and batch, layers in bfloat16",
)
"""ALM of twice that size, trained on T-Ant alone."""

# --- Tables of scores: Tables 1 and 5 -----------------------------------------------------------------------

TABLE1 = TableExhibit(
    name="table1",
    number=1,
    title="Mean evaluation return; the paper reads it at 200k environment steps",
    series=(
        Series("ALM(3)", "alm", group="this paper"),
        QUARTER,
        Series("SAC-SVG(2)", "sac-svg2", group="model-based"),
        Series("SAC-SVG(3)", "sac-svg3", group="model-based"),
        Series("SVG(1)", "svg", group="model-based"),
        Series(
            "SLBO",
            "slbo",
            group="model-based",
            why_none=Footnote(
                key="slbo-needs-rewards",
                kind="protocol",
                short="cannot train here: its rewards must be functions of observations (table1-mbbl)",
                full="SLBO plans with the task's own reward as a function of observations and actions. "
                "Rewards of gym's v2 tasks depend on a displacement that is not part of the observation, so "
                "it cannot be trained on them; it is measured on the tasks of Wang et al. (2019), in "
                "`table1-mbbl`.",
            ),
        ),
        Series("TD3", "td3", group="model-free"),
        Series("SAC", "sac", group="model-free"),
    ),
    columns={task: task for task in ("T-Humanoid", "T-Ant", "HalfCheetah", "Walker2d", "Hopper")},
)
"""Table 1: ALM(3) against model-based and model-free baselines on the five tasks of the benchmark."""

TABLE1_MBBL = replace(
    TABLE1,
    name="table1-mbbl",
    series=tuple(replace(one, why_none=None) for one in TABLE1.series if not one.added),
    title="Mean evaluation return on the tasks of Wang et al. (2019), where SVG(1) and SLBO were measured",
    columns={
        "T-Humanoid": "mbbl/Humanoid-ET",
        "T-Ant": "mbbl/Ant-ET",
        "HalfCheetah": "mbbl/HalfCheetah",
        "Walker2d": "mbbl/Walker2d-ET",
        "Hopper": "mbbl/Hopper-ET",
    },
)
"""Table 1 with every method, ALM included, on the tasks of its rows SVG(1) and SLBO."""

TABLE5 = TableExhibit(
    name="table5",
    number=5,
    title="Mean evaluation return with an entropy bonus; the paper reads it at 200k environment steps",
    series=(
        Series("ALM-ENT(3)", "alm", "ent", group="this paper"),
        Series("ALM(3)", "alm", group="this paper"),
        Series("SAC-SVG(3)", "sac-svg3", group="model-based"),
        Series("SAC-SVG(2)", "sac-svg2", group="model-based"),
    ),
    columns={task: task for task in ("T-Humanoid", "T-Ant")},
    extras=("HalfCheetah",),
)
"""Table 5: ALM with SAC's entropy bonus, beside ALM and SAC-SVG."""

TABLES = (
    TABLE1,
    TABLE1_MBBL,
    TABLE5,
)
"""Every table made of runs."""

# --- Figures of curves: Figures 3 to 5 and 7 to 20 ----------------------------------------------------------

# Figures that others are made of have a name; the rest stand in FIGURES.
_ALM = Series("ALM(3)", "alm")
_SAC = Series("SAC", "sac")
_TD3 = Series("TD3", "td3")
_SMALL = ("HalfCheetah",)


def _returns(
    name: str,
    title: str,
    series: tuple[Series, ...],
    tasks: tuple[str, ...] = ("HalfCheetah", "T-Ant", "T-Humanoid", "Ant", "Humanoid"),
    beneath: Metric | None = None,
) -> FigureExhibit:
    """A figure of returns, by default on the tasks of the appendix's ablations."""
    return FigureExhibit(
        name=name,
        title=title,
        shows="return",
        series=series,
        tasks=tasks,
        small_tasks=_SMALL,
        beneath=beneath,
    )


# --- Against ensembles: Figures 3 and 9, and the bias of values: Figures 4 and 8 ----------------------------

_EFFICIENCY = (_ALM, Series("REDQ", "redq"), Series("MBPO", "mbpo"), _SAC, _TD3)
_BOUND = replace(_ALM, label="ALM(3), lower bound", estimate="lower_bound")
_REDQ_MEAN = Series("REDQ", "redq", estimate="mean_q")

_FIGURE3 = FigureExhibit(
    name="figure3",
    title="Sample efficiency and runtime",
    shows="return and runtime",
    series=_EFFICIENCY,
    tasks=("Ant", "HalfCheetah", "Humanoid"),
    small_tasks=("HalfCheetah", "Hopper"),
)
_FIGURE4 = FigureExhibit(
    name="figure4",
    title="Bias of the value estimate and its deviation",
    shows="bias",
    series=(_BOUND, _REDQ_MEAN, Series("SAC-AVG", "sac-avg", estimate="mean_q")),
    tasks=("Ant", "Walker2d"),
    small_tasks=("HalfCheetah", "Hopper"),
)

# --- What matters in ALM: Figures 5 and 10 ------------------------------------------------------------------

TERMS = (
    _ALM,
    Series("no KL", "alm", "no-kl"),
    Series("no value", "alm", "no-value"),
    Series("no classifier", "alm", "no-classifier"),
)
"""ALM, and ALM without each term of its objective."""
_HORIZONS = tuple(
    Series(f"ALM({k})", "alm", "base" if k == 3 else f"k{k}", level=float(k)) for k in (1, 2, 3, 4, 5)
)
_MODEL_FREE = (
    _ALM,
    Series("ALM(3)'s representation, TD3's loss", "alm", "td3-loss"),
    Series("TD3 (ours)", "td3-ours"),
    _TD3,
    _SAC,
)
_FIGURE5 = tuple(
    _returns(f"figure5{part}", title, series, tasks=("Ant", "HalfCheetah"))
    for part, title, series in (
        ("a", "Terms of the objective", TERMS),
        ("b", "Length K of the sequences", (*_HORIZONS, _SAC)),
        ("c", "Model-free learning on ALM's representation", _MODEL_FREE),
    )
)
_FIGURE10 = tuple(
    replace(
        one,
        name=one.name.replace("figure5", "figure10"),
        title=f"{one.title}: more tasks",
        tasks=("Humanoid", "Walker2d"),
        small_tasks=("Hopper",),
    )
    for one in _FIGURE5
)

# --- Ablations of the appendix: Figures 11 to 20 ------------------------------------------------------------


def _noises(kind: str, *levels: str) -> tuple[Series, ...]:
    noisy = (Series(f"σ = {level}", "alm", noise=f"{kind}-{level}", level=float(level)) for level in levels)
    return (replace(_ALM, label="σ = 0", level=0.0), *noisy)


_FIGURE11 = _returns(
    "figure11",
    "Coefficient c of the classifier",
    tuple(
        Series(f"c = {c:g}", "alm", "base" if c == 0.1 else f"c-{c:g}", level=c)
        for c in (0.05, 0.1, 0.15, 0.2, 0.5, 1.0)
    ),
)
_FIGURE17 = _returns(
    "figure17",
    "Noise in observations",
    _noises("obsnoise", "0.001", "0.01", "0.1", "1"),
    tasks=("HalfCheetah",),
    # A task without noise has only one evaluation.
    beneath=Metric("eval/return_without_noise", "return without noise", otherwise="eval/return"),
)

# --- All figures --------------------------------------------------------------------------------------------

FIGURES = (
    _FIGURE3,
    _FIGURE4,
    *_FIGURE5,
    FigureExhibit(
        name="figure7",
        title="What the model predicts with and without the KL term",
        shows="latents",
        series=TERMS[:2],
        tasks=("HalfCheetah",),
        small_tasks=_SMALL,
    ),
    replace(
        _FIGURE4,
        name="figure8",
        title="Bias of the lower bound beside that of the critics alone",
        series=(_BOUND, replace(_ALM, label="ALM(3), min Q", estimate="min_q"), _REDQ_MEAN),
    ),
    replace(
        _FIGURE3,
        name="figure9",
        title="Sample efficiency on the other tasks",
        shows="return",
        tasks=("Walker2d", "Hopper"),
        small_tasks=("Walker2d", "Hopper"),
    ),
    *_FIGURE10,
    _FIGURE11,
    _returns(
        "figure12",
        "Logarithms of rewards and values",
        (
            _ALM,
            Series("log in both objectives", "alm", "log-naive"),
            Series("log in encoder and model", "alm", "log-model"),
            Series("transformed, a = 10000", "alm", "log-transformed"),
        ),
        tasks=("HalfCheetah", "Humanoid", "T-Humanoid"),
        beneath=Metric("model/clamped", "logarithms clamped"),
    ),
    _returns(
        "figure13",
        "Identity encoder, as in MnM",
        (_ALM, Series("identity encoder", "alm", "mnm")),
        tasks=("T-Humanoid", "T-Ant", "Humanoid", "Ant"),
    ),
    replace(
        _returns(
            "figure14",
            "A million steps",
            (Series("ALM(3)", "alm", "million"), Series("SAC", "sac", "million")),
            tasks=("HalfCheetah", "Ant", "Humanoid"),
        ),
        small_tasks=(),
    ),
    _returns(
        "figure15",
        "Aligned against reconstructed representations",
        (_ALM, Series("reconstruction", "alm", "reconstruction")),
        beneath=Metric("model/reconstruction", "error of the decoder"),
    ),
    _returns(
        "figure16",
        "Linear classifier",
        (_ALM, Series("linear classifier", "alm", "linear-classifier")),
        beneath=Metric("classifier/accuracy", "accuracy of the classifier"),
    ),
    _FIGURE17,
    replace(
        _FIGURE17,
        name="figure17-dynamics",
        title="Noise in the dynamics",
        series=_noises("dynnoise", "0.1", "0.3", "0.5"),
    ),
    _returns(
        "figure18",
        "Encoder that also predicts the value",
        (_ALM, Series("value encoder", "alm", "value-encoder")),
    ),
    _returns(
        "figure19",
        "Encoder and model that also predict the value",
        (_ALM, Series("value encoder and model", "alm", "value-encoder-model")),
    ),
    replace(_FIGURE11, name="figure20", title="Final return by coefficient c", shows="final return"),
    # What the paper mentions and does not show.
    replace(
        _FIGURE5[0],
        name="figureG",
        title="Experiments of appendix G, and the on-policy ALM of section 6",
        series=(
            _ALM,
            Series("value expansion", "alm", "value-expansion"),
            Series("warm-up on real data", "alm", "real-warmup"),
            Series("horizon scheduling", "alm", "horizon-schedule"),
            Series("exponential discounting", "alm", "time-discount"),
            Series("no target encoder", "alm", "online-kl"),
            Series("ReLU", "alm", "relu"),
            Series("joint, on-policy", "alm", "joint"),
        ),
    ),
    FigureExhibit(
        name="figureQ",
        title="ALM with a quarter of its widths and batch, beside SAC and TD3 of full size",
        shows="return",
        series=(QUARTER, _SAC, _TD3),
        tasks=TABLE1.tasks,
        small_tasks=(),
        read_out=READ_OUT,
    ),
    FigureExhibit(
        name="figureQ-half",
        title="ALM with half of its widths and batch where a quarter does not learn",
        shows="return",
        series=(HALF, QUARTER, _SAC, _TD3),
        tasks=("T-Ant",),
        small_tasks=(),
        read_out=READ_OUT,
    ),
)
"""Every figure made of runs."""

# --- All of them --------------------------------------------------------------------------------------------

EXHIBITS: Mapping[str, Exhibit] = {
    exhibit.name: exhibit
    for exhibit in (
        *TABLES,
        Exhibit(name="table2", title="How the methods differ"),
        Exhibit(name="table3", title="Hyper-parameters of ALM"),
        Exhibit(name="table4", title="Networks of ALM"),
        Exhibit(name="figure6", title="The transformed reward"),
        *FIGURES,
    )
}
"""Every declared exhibit by name."""

# --- Their names --------------------------------------------------------------------------------------------


def shown_in(algorithm: str, variant: str) -> list[str]:
    """The names of the exhibits that have a curve or a row of a variant."""
    return [
        one.name
        for one in EXHIBITS.values()
        if any((series.algorithm, series.variant) == (algorithm, variant) for series in one.series)
    ]


def label_of(method: Series) -> str:
    """The label that tables and figures give a method of the suite; someone's own has its command's name.

    A label means the method that has it first; one without a label of its own, such as SAC of a million
    steps, has its title.
    """
    if not method.of_suite:
        return method.command_name
    labels: dict[str, tuple[str, str]] = {}
    for one in itertools.chain.from_iterable(exhibit.series for exhibit in EXHIBITS.values()):
        if not (one.estimate or one.noise):
            labels.setdefault(one.label, (one.algorithm, one.variant))
    wanted = (method.algorithm, method.variant)
    return next((label for label, of in labels.items() if of == wanted), title_of(*wanted))


def names_meant(
    word: str, known: Collection[str], kind: str = "exhibit", listed: Collection[str] = ()
) -> tuple[str, ...]:
    """The known names that a word means: ``5a`` is ``figure5a``, and ``figure5`` or ``5`` all of its parts.

    Args:
        word: a name, which may lack ``table`` or ``figure`` and the letter of a part.
        known: names to choose from.
        kind: what they name, for the message of the error.
        listed: names in that message; empty: all that are known.

    Raises:
        UserError: the word means none of them, or both a table and a figure.
    """
    found = tuple(name for name in known if word in _spellings(name))
    if len({_whole(name) for name in found}) == 1:
        return found
    spellings = (spelling for name in known for spelling in _spellings(name))
    hint = did_you_mean(found) if found else nearest(word, spellings)
    raise UserError(f"There is no {kind} {word!r}{hint}; the {kind}s are {', '.join(listed or known)}.")


def _whole(name: str) -> str:
    """The name of the figure of which a part has this name; of all else, the name itself."""
    return re.sub(r"^(figure.*\d)[a-z]$", r"\1", name)


def _spellings(name: str) -> list[str]:
    """What may be written for a name."""
    return [one.removeprefix(kind) for one in (name, _whole(name)) for kind in ("", "table", "figure")]


def exhibits_named(word: str) -> list[Exhibit]:
    """The exhibits that a word means; ``tables`` and ``figures`` are all of a kind.

    Raises:
        UserError: there is none, or the word means both a table and a figure.
    """
    if word in ("tables", "figures"):
        return [exhibit for name, exhibit in EXHIBITS.items() if name.startswith(word.removesuffix("s"))]
    return [EXHIBITS[name] for name in names_meant(word, EXHIBITS)]


def table_named(word: str) -> Exhibit:
    """The table that a word means.

    Raises:
        UserError: there is none; the message lists those that exist.
    """
    (name,) = names_meant(word, [name for name in EXHIBITS if name.startswith("table")], "table")
    return EXHIBITS[name]
