"""The command line: ``python -m reproduce COMMAND``.

Bad input ends with one sentence and exit code 2; a mistake in the code of a plugin with one and 3; an
interrupted run with 130; a command that trained its runs but those that other processes train, with 75.
"""

import io
import logging
import os
import re
import sys
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import tyro

from reproduce.commands.figures import Figure, Report, Theory
from reproduce.commands.grid import Grid, PlanExhibits
from reproduce.commands.helptexts import describe, wrapped
from reproduce.commands.options import ReadsRuns
from reproduce.commands.policies import Evaluate, Gallery, Render
from reproduce.commands.stored import Archive, Latents, Runs
from reproduce.commands.tables import Claims, Compare, Documents, Table
from reproduce.commands.tracking import Server, Sync, Ui
from reproduce.commands.training import Train
from reproduce.lab.errors import EXIT_INTERRUPTED, is_sentence
from reproduce.lab.plugins import PluginFailure

COMMANDS: dict[str, Any] = {
    "train": Train,
    "runs": Runs,
    "plan": PlanExhibits,
    "grid": Grid,
    "table": Table,
    "figure": Figure,
    "claims": Claims,
    "theory": Theory,
    "report": Report,
    "latents": Latents,
    "compare": Compare,
    "ui": Ui,
    "server": Server,
    "sync": Sync,
    "archive": Archive,
    "evaluate": Evaluate,
    "render": Render,
    "gallery": Gallery,
    "documents": Documents,
}


# What the extra [train] installs, and reading stored results does without.
_FOR_TRAINING = ("torch", "mujoco", "gymnasium", "mlflow", "safetensors")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    logging.basicConfig(format="%(levelname)s: %(message)s")
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        # A terminal's encoding may lack the signs of a table, which is no reason to lose the rest.
        sys.stdout.reconfigure(errors="replace")
    given = _one_spelling(sys.argv[1:] if arguments is None else arguments)
    command = None
    try:
        try:
            if given and given[0] in COMMANDS:
                describe(COMMANDS[given[0]])
            # A script that completes command lines, which tyro prints, too, has to keep its lines.
            with wrapped() if {"-h", "--help"} & set(given) else nullcontext():
                command = tyro.extras.subcommand_cli_from_dict(
                    {**COMMANDS}, prog="python -m reproduce", args=given
                )
            _require_sense(command)
            return int(command.run())
        finally:
            # When Python ends it would be too late to catch that nobody reads any more.
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads, such as head, has seen enough. Python would complain of what is left when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _refused(_in_words(error, command), 2)
    except (ValueError, RuntimeError) as error:
        if _was_interrupted(error):
            return EXIT_INTERRUPTED
        if not is_sentence(error):
            raise
        return _refused(str(error), 2)
    except PluginFailure as error:
        return _refused(str(error), 3)
    except ModuleNotFoundError as error:
        if (package := (error.name or "").partition(".")[0]) not in _FOR_TRAINING:
            raise
        return _refused(
            f"{given[0]} needs {package}, which is not installed: install the extra [train], in a clone with "
            "pip install -c constraints.txt -e '.[train]'",
            2,
        )
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _was_interrupted(error: BaseException) -> bool:
    """Whether an error arose while Ctrl-C was on its way: torch raises one where that meets it writing."""
    while error.__context__ is not None:
        error = error.__context__
        if isinstance(error, KeyboardInterrupt):
            return True
    return False


def _refused(sentence: str, code: int) -> int:
    """Print one line, whatever names it quotes, and return the exit code."""
    shown = "".join(one if one.isprintable() else repr(one)[1:-1] for one in sentence)
    print(f"error: {shown}", file=sys.stderr)
    return code


def _require_sense(command: Any) -> None:
    """Refuse what no command can do anything with.

    Raises:
        ValueError: a store that was named and is not there, by a command that only reads it, or a number
            below one of what there must be some of.
    """
    if isinstance(command, ReadsRuns):
        command.require_store()
    for option, what in (("first_seeds", "first seeds"), ("workers", "workers")):
        number = getattr(command, option, None)
        if number is not None and number < 1:
            raise ValueError(f"The number of {what} must be at least 1, not {number}.")


def _one_spelling(arguments: Sequence[str]) -> list[str]:
    """The arguments with ``table1`` written as ``table 1``, and ``figure5a`` as ``figure 5a``."""
    if arguments and (joined := re.fullmatch(r"(table|figure)(\d.*|G)", arguments[0])):
        return [*joined.groups(), *arguments[1:]]
    return list(arguments)


def _in_words(error: OSError, command: Any) -> str:
    """What the system refused a command, and what to do about it; an error of ours says that itself."""
    if error.errno is None:
        return str(error)
    place = f" {error.filename}" if error.filename else ""
    named = [f"--{name.replace('_', '-')}" for name in ("runs_dir", "store", "out") if hasattr(command, name)]
    if isinstance(command, ReadsRuns):
        named = [name for name in named if name == "--out"]
    options = f" ({', '.join(named)})" if named else ""
    again = ": it goes on from the last checkpoint" if isinstance(command, (Train, Grid)) else ""
    return (
        f"cannot read or write{place}: {error.strerror or error}; make room or choose a place you may write "
        f"to{options}, then repeat the command{again}"
    )
