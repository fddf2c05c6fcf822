"""Errors that are sentences for a person, written by this project, and how a stopped command ends."""

from pathlib import Path

from reproduce.lab.places import CODE

EXIT_INTERRUPTED = 130
"""Exit code of a command that someone stopped; the same command goes on."""
_OWN = ("alm", "baselines", "paper_figures", "reproduce")


def is_sentence(error: BaseException) -> bool:
    """Whether an error was written for a person by this project, not raised from within a library."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None or not isinstance(error, (ValueError, RuntimeError)):
        return False
    # Neither the environment nor a plugin is ours, though both may lie in the repository.
    source = Path(traceback.tb_frame.f_code.co_filename).resolve()
    return any(source.is_relative_to(CODE / package) for package in _OWN)
