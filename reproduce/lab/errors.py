"""Errors whose message this project wrote for its users, and the exit code of a stopped command."""

from pathlib import Path

from reproduce.lab.places import CODE

EXIT_INTERRUPTED = 130
"""Exit code of a command that was stopped; repeating it resumes."""
_OWN = ("alm", "baselines", "paper_figures", "reproduce")


def is_sentence(error: BaseException) -> bool:
    """Whether an error was raised by this project, with a message for its users, not by a library."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None or not isinstance(error, (ValueError, RuntimeError)):
        return False
    # The environment and plugins may lie in the repository, but are not ours.
    source = Path(traceback.tb_frame.f_code.co_filename).resolve()
    return any(source.is_relative_to(CODE / package) for package in _OWN)
