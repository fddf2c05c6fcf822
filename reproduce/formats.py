"""Numbers, steps and seeds in words, the same in every table, figure, page and printed line; foreign text."""

import math
from collections.abc import Sequence


def decimal(value: float, decimals: int = 4) -> str:
    """Without trailing zeros: 5306, 811.8."""
    text = f"{value:.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def mean_and_std(mean: float, std: float, plus_minus: str = " ± ", decimals: int = 0) -> str:
    """A mean with its standard deviation if that is not NaN: 5306 ± 437."""
    spread = "" if math.isnan(std) else f"{plus_minus}{decimal(std, decimals)}"
    return f"{decimal(mean, decimals)}{spread}"


def steps_in_words(step: int | None) -> str:
    """17000 as 17k."""
    return f"{step / 1000:g}k" if step is not None and step >= 1000 else str(step)


def steps_reached(step: int | None, wanted: int | None) -> str:
    """Steps reached, out of those wanted if known: 17k of 200k steps, or 17k steps."""
    return f"{steps_in_words(step)}{'' if wanted is None else f' of {steps_in_words(wanted)}'} steps"


def seeds_in_words(seeds: int | None, wanted: int | None, of: str = " of ") -> str:
    """The number of seeds, and the number wanted if that is larger: 2 of 5, 5."""
    missing = seeds is not None and wanted is not None and seeds < wanted
    return f"{seeds}{of}{wanted}" if missing else str(seeds)


def seeds_named(seeds: Sequence[int]) -> str:
    """``"seed 3"``, or ``"seeds 0 1 2"``."""
    return f"seed{'s' if len(seeds) > 1 else ''} {' '.join(map(str, seeds))}"


def p_in_words(p: float) -> str:
    """A p value to three digits: 0.034, or <0.001 if they would all be zero."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def p_statement(p: float) -> str:
    """The same within a sentence: p = 0.034, p < 0.001."""
    return "p < 0.001" if p < 0.001 else f"p = {p_in_words(p)}"


def left_out(unfinished: int, failed: int) -> list[str]:
    """Counts of stored runs that a number leaves out: ``["2 unfinished", "1 failed"]``, without zeros."""
    return [f"{count} {what}" for count, what in ((unfinished, "unfinished"), (failed, "failed")) if count]


def seeds_counted(seeds: int | None, wanted: int | None) -> str:
    """``"2 of 5 seeds"``, ``"5 seeds"``, ``"1 seed"``."""
    count = seeds_in_words(seeds, wanted)
    return f"{count} seed{'' if count == '1' else 's'}"


def printable(text: str) -> str:
    """Text whose characters that a terminal obeys, or does not show, are escaped: what is read may hold any.

    Line ends stay, and no-break spaces, which lists have.
    """
    return "".join(one if one.isprintable() or one in "\n\u00a0" else repr(one)[1:-1] for one in text)


def on_one_line(text: object) -> str:
    """A `printable` sentence whose line ends are escaped, too: names of files that it quotes may hold any."""
    return printable(str(text)).replace("\n", "\\n")
