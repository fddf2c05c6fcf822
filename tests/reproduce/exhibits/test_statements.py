"""The claims, beside what the paper says: which side, in which direction, and by which number."""

from reproduce.exhibits.claims.checks import BestOn, Compared, Costlier, Sooner
from reproduce.exhibits.claims.contrasts import Region
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
)
from reproduce.exhibits.claims.statements import CLAIMS

DIRECTIONS = {
    Region(low=0.0): "above",
    Region(high=0.0): "below",
    Region(low=-0.2): "not worse than",
    Region(high=0.2): "not better than",
    Region(low=-0.2, high=0.2): "like",
    Region(high=-0.5): "less than half of",
    Region(high=-0.75): "less than a quarter of",
}
NUMBERS = {
    (RETURN,): "return",
    (EFFICIENCY,): "area",
    (SPREAD,): "spread over seeds",
    (EPISODE_SPREAD,): "spread over episodes",
    (BIAS,): "bias",
    (BIAS_STD,): "spread of the bias",
    BIAS_STD_BY_QUARTER: "spread of the bias, each quarter",
    (BIAS_STD_GROWTH,): "growth of the bias's spread",
    (ACCURATE_STEPS,): "accurate steps",
}

COEFFICIENTS = "alm/c-0.05 alm/c-0.15 alm/c-0.2 alm/c-0.5 alm/c-1"
OTHER_LENGTHS = "alm/k1 alm/k2 alm/k4 alm/k5"
# Written from the paper, sentence by sentence: place, words; one side, direction, the other side, number.
SAID = [
    ("Section 1", "updates 10× faster than MBPO's", "mbpo", "costs 10 times", "alm", "update"),
    ("Section 1", "updates 6× faster than REDQ's", "redq", "costs 6 times", "alm", "update"),
    ("Section 1", "near-optimal returns in about 50 % less time than SAC",
     "alm", "in 0.60 of the time of", "sac", "90 % of the other's return"),
    ("Section 3.3", "the objective is still a good estimate of true expected returns",
     "alm (lower_bound)", "like", "0", "bias"),
    ("Section 4", "a target encoder for the KL term leads to stable learning",
     "alm/online-kl", "above", "alm", "spread over seeds"),
    ("Section 4", "c = 0.1 slightly improves the results over c = 1", "alm", "above", "alm/c-1", "return"),
    ("Table 1", "ALM outperforms model-based and model-free methods on 4/5 tasks",
     "alm", "best on 4 tasks", "sac-svg2 sac-svg3 svg td3 sac", "return"),
    ("Figure 3", "ALM matches the sample complexity of REDQ and MBPO",
     "alm", "not worse than", "redq mbpo", "area"),
    ("Section 5.2", "about 6× less time to train than REDQ and MBPO (here: with parallel ensembles)",
     "alm", "in 0.21 of the time of", "redq mbpo", "90 % of the other's return"),
    ("Section 5.2", "MBPO fails to solve Humanoid and Ant",
     "mbpo", "less than a quarter of", "alm", "return"),
    ("Section 5.2", "REDQ with a parallel ensemble is still 2× slower",
     "redq", "costs 2 times", "alm", "update"),
    ("Figure 4", "the deviation of the bias is lower for ALM than for REDQ and SAC-AVG",
     "alm (lower_bound)", "below", "redq (mean_q) sac-avg (mean_q)", "spread of the bias"),
    ("Figure 5a", "the KL term is crucial", "alm", "above", "alm/no-kl", "return"),
    ("Figure 5a", "the classifier term stabilises learning",
     "alm/no-classifier", "above", "alm", "spread over seeds"),
    ("Section 5.3", "the classifier term stabilises learning, especially on Ant and Walker",
     "alm/no-classifier", "above", "alm", "spread over seeds"),
    ("Figure 5a", "the value term has little effect", "alm/no-value", "like", "alm", "return"),
    ("Figure 5c", "ALM's representation makes model-free learning faster",
     "alm/td3-loss", "above", "td3-ours", "area"),
    ("Appendix F", "MnM does not solve Humanoid and Ant, ALM does",
     "alm/mnm", "less than a quarter of", "alm", "return"),
    ("Appendix G", "value expansion did not help substantially",
     "alm/value-expansion", "not better than", "alm", "return"),
    ("Appendix G", "warm-up on real data did not help substantially",
     "alm/real-warmup", "not better than", "alm", "return"),
    ("Appendix G", "horizon scheduling did not help substantially",
     "alm/horizon-schedule", "not better than", "alm", "return"),
    ("Appendix G", "exponential discounting did not help substantially",
     "alm/time-discount", "not better than", "alm", "return"),
    ("Appendix G", "a target encoder reduces the variance of episode returns",
     "alm", "below", "alm/online-kl", "spread over episodes"),
    ("Appendix G", "ELU is more stable than ReLU", "alm/relu", "above", "alm", "spread over seeds"),
    ("Appendix G", "ELU is more sample efficient than ReLU", "alm", "above", "alm/relu", "area"),
    ("Figure 7", "the model remains accurate for about 20 steps",
     "alm", "not worse than", "20", "accurate steps"),
    ("Figure 7", "without the KL term it diverges after two",
     "alm/no-kl", "not better than", "2", "accurate steps"),
    ("Figure 8", "std values of the bias are uniform throughout training",
     "alm (lower_bound)", "like", "1", "growth of the bias's spread"),
    ("Figure 8", "and consistently lower than REDQ's",
     "alm (lower_bound)", "below", "redq (mean_q)", "spread of the bias, each quarter"),
    ("Figure 9", "ALM generally matches the sample efficiency of MBPO and REDQ",
     "alm", "not worse than", "mbpo redq", "area"),
    ("Table 5", "SAC's entropy bonus is not why SAC-SVG does worse",
     "alm/ent", "above", "sac-svg2 sac-svg3", "return"),
    ("Figure 10a", "the KL term is the most important contributing factor",
     "alm/no-value alm/no-classifier", "above", "alm/no-kl", "return"),
    ("Figure 10b", "all K generally perform better than SAC",
     f"alm {OTHER_LENGTHS}", "above", "sac", "return"),
    ("Figure 10b", "K = 3 is best", "alm", "above", OTHER_LENGTHS, "return"),
    ("Figure 11", "ALM is robust to a range of coefficients c",
     COEFFICIENTS, "not worse than", "alm", "return"),
    ("Figure 12", "the naive logarithm performs much worse",
     "alm/log-naive", "less than half of", "alm", "return"),
    ("Figure 12", "a logarithm for encoder and model only does not affect the performance",
     "alm/log-model", "like", "alm", "return"),
    ("Figure 12", "the logarithm of transformed rewards does not hurt",
     "alm/log-transformed", "not worse than", "alm", "return"),
    ("Figure 13", "an identity encoder, as in MnM, performs much worse",
     "alm/mnm", "less than half of", "alm", "return"),
    ("Figure 14", "after a million steps ALM still outperforms SAC",
     "alm/million", "above", "sac/million", "return"),
    ("Figure 15", "an aligned objective is superior to reconstruction",
     "alm", "above", "alm/reconstruction", "return"),
    ("Figure 16", "ALM works well with a linear classifier",
     "alm/linear-classifier", "not worse than", "alm", "return"),
    ("Figure 17", "ALM is robust to aleatoric noise (here: of observations)",
     "alm obsnoise-0.001 alm obsnoise-0.01 alm obsnoise-0.1 alm obsnoise-1",
     "not worse than", "alm", "return"),
    ("Figure 17", "ALM is robust to aleatoric noise (here: of the dynamics)",
     "alm dynnoise-0.1 alm dynnoise-0.3 alm dynnoise-0.5", "not worse than", "alm", "return"),
    ("Figure 18", "ALM's encoder need not predict the value (the caption says “effect” only)",
     "alm", "not worse than", "alm/value-encoder", "return"),
    ("Figure 19", "nor need encoder and model (the caption says “effect” only)",
     "alm", "not worse than", "alm/value-encoder-model", "return"),
]  # fmt: skip


def side(series):
    """``"alm/no-kl"``, with the estimate or the noise behind it."""
    named = series.algorithm + (f"/{series.variant}" if series.variant != "base" else "")
    return " ".join(filter(None, [named, f"({series.estimate})" if series.estimate else "", series.noise]))


def sides(of):
    return f"{of:g}" if isinstance(of, float) else " ".join(map(side, of))


def checked(check):
    """What a check takes for the claim: one side, direction, the other side, number."""
    match check:
        case Costlier():
            return check.name, f"costs {check.times:g} times", "alm", "update"
        case Sooner():
            time = f"in {check.part:.2f} of the time of"
            return side(check.x), time, sides(check.y), "90 % of the other's return"
        case BestOn():
            best = f"best on {check.at_least} tasks"
            return sides(check.x), best, sides(check.y), NUMBERS[check.outcomes]
        case Compared():
            return sides(check.x), DIRECTIONS[check.region], sides(check.y), NUMBERS[check.outcomes]


def test_claims_are_those_of_the_paper_in_the_order_in_which_it_prints_them():
    assert [(one.place, one.says, *checked(one.check)) for one in CLAIMS] == SAID
