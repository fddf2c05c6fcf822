"""Most claims of the paper that numbers can decide: the place of each, its wording, and its check.

docs/exhibits.md says which are left out, and why.

Quotations are shortened. Where the paper's wording is ambiguous, the plainest reading counts:

* "outperforms", "better", "higher": above the other;
* "matches", "does not hurt", "robust": not below the other by more than the margin;
* "little effect", "does not affect", "uniform", "good estimate": within the margin on both sides;
* "did not help substantially": not above the other by more than the margin;
* "much worse": less than half of the other; "fails", "not solvable": less than a quarter;
* "stabilises": returns of different seeds are closer to each other;
* "sample efficiency", "faster": the area under the learning curve, instead of its end.
"""

from dataclasses import dataclass

from reproduce.exhibits.catalogue import EXHIBITS, TABLE1, TERMS
from reproduce.exhibits.claims.checks import (
    ABOUT_A_SIXTH,
    ABOUT_HALF,
    BestOn,
    Check,
    Compared,
    Costlier,
    Sooner,
)
from reproduce.exhibits.claims.contrasts import (
    ABOVE,
    ALIKE,
    BELOW,
    FAILS,
    MUCH_WORSE,
    NO_BETTER,
    NO_WORSE,
    Region,
)
from reproduce.exhibits.claims.evidence import (
    ACCURATE_STEPS,
    BIAS,
    BIAS_STD,
    BIAS_STD_BY_QUARTER,
    BIAS_STD_GROWTH,
    EFFICIENCY,
    EPISODE_SPREAD,
    RETURN,
    SPREAD,
    Outcome,
    Where,
)
from reproduce.exhibits.kinds import Series


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper.

    Attributes:
        place: its place in the paper.
        says: its wording, shortened.
        check: how it is checked against the runs.
    """

    place: str
    says: str
    check: Check


def _others(name: str) -> tuple[Series, ...]:
    """The series of a figure that are variants or have noise."""
    return tuple(one for one in EXHIBITS[name].series if one.variant != "base" or one.noise)


def _variant(label: str, name: str) -> Series:
    return Series(label, "alm", name)


def _says(
    place: str,
    says: str,
    x: Series | tuple[Series, ...],
    region: Region,
    y: Series | tuple[Series, ...] | float,
    where: Where,
    *outcomes: Outcome,
) -> Claim:
    """A claim that x − y lies in a region, by outcomes (by default the return)."""
    others = y if isinstance(y, float) else _tuple(y)
    return Claim(place, says, Compared(_tuple(x), region, others, where, outcomes or (RETURN,)))


def _tuple(series: Series | tuple[Series, ...]) -> tuple[Series, ...]:
    return (series,) if isinstance(series, Series) else series


_ALM, _NO_KL, _NO_VALUE, _NO_CLASSIFIER = TERMS
_BOUND = Series("ALM(3)", "alm", estimate="lower_bound")
_SAC, _REDQ, _MBPO = Series("SAC", "sac"), Series("REDQ", "redq"), Series("MBPO", "mbpo")
_REDQ_MEAN = Series("REDQ", "redq", estimate="mean_q")
_SAC_AVG_MEAN = Series("SAC-AVG", "sac-avg", estimate="mean_q")
_SVG = (Series("SAC-SVG(2)", "sac-svg2"), Series("SAC-SVG(3)", "sac-svg3"))
_OTHER_K = tuple(_variant(f"ALM({k})", f"k{k}") for k in (1, 2, 4, 5))

_TD3_LOSS = _variant("TD3's loss on ALM's representation", "td3-loss")
_MNM = _variant("identity encoder", "mnm")
_ONLINE_KL, _RELU = _variant("no target encoder", "online-kl"), _variant("ReLU", "relu")

_RIVALS = tuple(one for one in TABLE1.series if one.algorithm != "alm" and one.why_none is None)
"""Table 1's other rows that have runs."""
_HARDEST = ("Humanoid", "Ant")
_APPENDIX_G = "figureG"
"""The appendix says "all tasks" or none: the panels are those of the ablations."""

CLAIMS = (
    Claim("Section 1", "updates 10× faster than MBPO's", Costlier("mbpo", 10.0)),
    Claim(
        "Section 1",
        "updates 6× faster than REDQ's",
        Costlier("redq", 6.0, "; REDQ's ensemble runs in parallel here, but not in the claim"),
    ),
    Claim(
        "Section 1",
        "near-optimal returns in about 50 % less time than SAC",
        Sooner(_ALM, (_SAC,), "figure3", ABOUT_HALF),
    ),
    _says(
        "Section 3.3",
        "the objective is still a good estimate of true expected returns",
        _BOUND, ALIKE, 0.0, "figure4", BIAS,
    ),
    _says(
        "Section 4",
        "a target encoder for the KL term leads to stable learning",
        _ONLINE_KL, ABOVE, _ALM, _APPENDIX_G, SPREAD,
    ),
    _says(
        "Section 4",
        "c = 0.1 slightly improves the results over c = 1",
        _ALM, ABOVE, _variant("c = 1", "c-1"), "figure11",
    ),
    Claim(
        "Table 1",
        "ALM outperforms model-based and model-free methods on 4/5 tasks",
        BestOn((_ALM,), ABOVE, _RIVALS, "table1", at_least=4),
    ),
    _says(
        "Figure 3",
        "ALM matches the sample complexity of REDQ and MBPO",
        _ALM, NO_WORSE, (_REDQ, _MBPO), "figure3", EFFICIENCY,
    ),
    Claim(
        "Section 5.2",
        "about 6× less time to train than REDQ and MBPO (here: with parallel ensembles)",
        Sooner(_ALM, (_REDQ, _MBPO), "figure3", ABOUT_A_SIXTH),
    ),
    _says("Section 5.2", "MBPO fails to solve Humanoid and Ant", _MBPO, FAILS, _ALM, _HARDEST),
    Claim("Section 5.2", "REDQ with a parallel ensemble is still 2× slower", Costlier("redq", 2.0)),
    _says(
        "Figure 4",
        "the deviation of the bias is lower for ALM than for REDQ and SAC-AVG",
        _BOUND, BELOW, (_REDQ_MEAN, _SAC_AVG_MEAN), "figure4", BIAS_STD,
    ),
    _says("Figure 5a", "the KL term is crucial", _ALM, ABOVE, _NO_KL, "figure5a"),
    _says(
        "Figure 5a",
        "the classifier term stabilises learning",
        _NO_CLASSIFIER, ABOVE, _ALM, "figure5a", SPREAD,
    ),
    _says(
        "Section 5.3",
        "the classifier term stabilises learning, especially on Ant and Walker",
        _NO_CLASSIFIER, ABOVE, _ALM, ("Ant", "Walker2d"), SPREAD,
    ),
    _says("Figure 5a", "the value term has little effect", _NO_VALUE, ALIKE, _ALM, "figure5a"),
    _says(
        "Figure 5c",
        "ALM's representation makes model-free learning faster",
        _TD3_LOSS, ABOVE, Series("TD3 (ours)", "td3-ours"), "figure5c", EFFICIENCY,
    ),
    _says("Appendix F", "MnM does not solve Humanoid and Ant, ALM does", _MNM, FAILS, _ALM, _HARDEST),
    *(
        _says(
            "Appendix G",
            f"{what} did not help substantially",
            _variant(what, name), NO_BETTER, _ALM, _APPENDIX_G,
        )
        for what, name in (
            ("value expansion", "value-expansion"),
            ("warm-up on real data", "real-warmup"),
            ("horizon scheduling", "horizon-schedule"),
            ("exponential discounting", "time-discount"),
        )
    ),
    _says(
        "Appendix G",
        "a target encoder reduces the variance of episode returns",
        _ALM, BELOW, _ONLINE_KL, _APPENDIX_G, EPISODE_SPREAD,
    ),
    _says("Appendix G", "ELU is more stable than ReLU", _RELU, ABOVE, _ALM, _APPENDIX_G, SPREAD),
    _says(
        "Appendix G",
        "ELU is more sample efficient than ReLU",
        _ALM, ABOVE, _RELU, _APPENDIX_G, EFFICIENCY,
    ),
    _says(
        "Figure 7",
        "the model remains accurate for about 20 steps",
        _ALM, NO_WORSE, 20.0, "figure7", ACCURATE_STEPS,
    ),
    _says(
        "Figure 7",
        "without the KL term it diverges after two",
        _NO_KL, NO_BETTER, 2.0, "figure7", ACCURATE_STEPS,
    ),
    _says(
        "Figure 8",
        "std values of the bias are uniform throughout training",
        _BOUND, ALIKE, 1.0, "figure8", BIAS_STD_GROWTH,
    ),
    _says(
        "Figure 8",
        "and consistently lower than REDQ's",
        _BOUND, BELOW, _REDQ_MEAN, "figure8", *BIAS_STD_BY_QUARTER,
    ),
    _says(
        "Figure 9",
        "ALM generally matches the sample efficiency of MBPO and REDQ",
        _ALM, NO_WORSE, (_MBPO, _REDQ), "figure9", EFFICIENCY,
    ),
    _says(
        "Table 5",
        "SAC's entropy bonus is not why SAC-SVG does worse",
        _variant("ALM-ENT(3)", "ent"), ABOVE, _SVG, "table5",
    ),
    _says(
        "Figure 10a",
        "the KL term is the most important contributing factor",
        (_NO_VALUE, _NO_CLASSIFIER), ABOVE, _NO_KL, "figure10a",
    ),
    _says(
        "Figure 10b",
        "all K generally perform better than SAC",
        (_ALM, *_OTHER_K), ABOVE, _SAC, "figure10b",
    ),
    _says("Figure 10b", "K = 3 is best", _ALM, ABOVE, _OTHER_K, "figure10b"),
    _says(
        "Figure 11",
        "ALM is robust to a range of coefficients c",
        _others("figure11"), NO_WORSE, _ALM, "figure11",
    ),
    _says(
        "Figure 12",
        "the naive logarithm performs much worse",
        _variant("naive log", "log-naive"), MUCH_WORSE, _ALM, "figure12",
    ),
    _says(
        "Figure 12",
        "a logarithm for encoder and model only does not affect the performance",
        _variant("log in encoder and model", "log-model"), ALIKE, _ALM, "figure12",
    ),
    _says(
        "Figure 12",
        "the logarithm of transformed rewards does not hurt",
        _variant("transformed", "log-transformed"), NO_WORSE, _ALM, "figure12",
    ),
    _says(
        "Figure 13",
        "an identity encoder, as in MnM, performs much worse",
        _MNM, MUCH_WORSE, _ALM, "figure13",
    ),
    _says(
        "Figure 14",
        "after a million steps ALM still outperforms SAC",
        _variant("ALM(3)", "million"), ABOVE, Series("SAC", "sac", "million"), "figure14",
    ),
    _says(
        "Figure 15",
        "an aligned objective is superior to reconstruction",
        _ALM, ABOVE, _variant("reconstruction", "reconstruction"), "figure15",
    ),
    _says(
        "Figure 16",
        "ALM works well with a linear classifier",
        _variant("linear classifier", "linear-classifier"), NO_WORSE, _ALM, "figure16",
    ),
    _says(
        "Figure 17",
        "ALM is robust to aleatoric noise (here: of observations)",
        _others("figure17"), NO_WORSE, _ALM, "figure17",
    ),
    _says(
        "Figure 17",
        "ALM is robust to aleatoric noise (here: of the dynamics)",
        _others("figure17-dynamics"), NO_WORSE, _ALM, "figure17-dynamics",
    ),
    _says(
        "Figure 18",
        "ALM's encoder need not predict the value (the caption says “effect” only)",
        _ALM, NO_WORSE, _variant("value encoder", "value-encoder"), "figure18",
    ),
    _says(
        "Figure 19",
        "nor need encoder and model (the caption says “effect” only)",
        _ALM, NO_WORSE, _variant("value encoder and model", "value-encoder-model"), "figure19",
    ),
)  # fmt: skip
"""The claims, in the order in which the paper prints them: the appendix's figures follow its text."""
