"""Errors in words, where they came from, and the exit code of an interruption."""

import traceback

EXIT_INTERRUPTED = 130
"""Exit code of a command that was stopped; repeating it resumes."""
_OWN = ("alm", "baselines", "paper_figures", "reproduce")


def reason_of(error: Exception) -> str:
    """The first line of an error's message, after its type if it may not say by itself what is wrong."""
    if isinstance(error, KeyError) and isinstance(error.args[0], str):
        return f"it lacks {error}"
    first = (str(error).splitlines() or [""])[0].rstrip(".")
    kind = type(error)
    says_it = kind is ValueError or isinstance(error, OSError) or kind.__module__.partition(".")[0] in _OWN
    return first if says_it else f"{kind.__name__}: {first}"


def in_words(error: BaseException) -> str:
    """The type of an error and the first line of its message, even if its ``__str__`` fails."""
    said = error.msg if isinstance(error, SyntaxError) else traceback.TracebackException.from_exception(error)
    message = str(said).partition("\n")[0].rstrip(".")
    # The suite's own sentence about a plugin.
    return message if type(error).__name__ == "ContractError" else f"{type(error).__name__}: {message}"


def frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The places through which an error came, the innermost last; it may be one of syntax."""
    places = list(traceback.extract_tb(error.__traceback__))
    if isinstance(error, SyntaxError) and error.filename:
        places.append(traceback.FrameSummary(error.filename, error.lineno, "<module>"))
    return places
