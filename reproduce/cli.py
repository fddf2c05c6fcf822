"""The command line: ``python -m reproduce COMMAND``.

Exit codes: 1 if a run failed or something was left out, which is named (docs/runs.md says by which command);
2 for bad input and 3 for an error in a plugin's code, each with one sentence; 75 if some runs were left to
other processes that train them; 130 for an interrupted run.
"""

import errno
import io
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import tyro

from alm.errors import UserError
from alm.names import nearest
from reproduce.commands.algorithms import Algorithms
from reproduce.commands.console import say, show_warnings
from reproduce.commands.figures import Figure, Report, Theory
from reproduce.commands.grid import Grid, Plan
from reproduce.commands.helptexts import describe, wrapped
from reproduce.commands.options import WritesRuns
from reproduce.commands.policies import Evaluate, Gallery, Render
from reproduce.commands.stored import Archive, Latents, Runs
from reproduce.commands.tables import Claims, Compare, Documents, Table
from reproduce.commands.tracking import Server, Sync, Ui
from reproduce.commands.training import Train
from reproduce.lab.errors import EXIT_INTERRUPTED
from reproduce.lab.places import installing
from reproduce.lab.plugins import PluginFailure

COMMANDS: dict[str, Any] = {
    "train": Train,
    "algorithms": Algorithms,
    "runs": Runs,
    "plan": Plan,
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


# Installed by the extra [train]; not needed to read stored results.
_FOR_TRAINING = ("torch", "mujoco", "gymnasium", "mlflow", "safetensors")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    with warnings.catch_warnings():  # in a notebook, others' warnings stay as they are
        show_warnings()
        return _main(sys.argv[1:] if arguments is None else arguments)


def _main(arguments: Sequence[str]) -> int:
    logging.basicConfig(format="%(levelname)s: %(message)s")
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        # A terminal's encoding may lack the signs of a table, which is no reason to lose the rest.
        sys.stdout.reconfigure(errors="replace")
    given = _one_spelling(arguments)
    if given and given[0] not in COMMANDS and not given[0].startswith("-"):
        known = f"{nearest(given[0], COMMANDS)}; the commands are {', '.join(COMMANDS)}."
        return _refused(f"There is no command {given[0]!r}{known}", 2)
    command = None
    try:
        try:
            # tyro also prints shell-completion scripts, whose lines must stay whole.
            with wrapped() if {"-h", "--help"} & set(given) else nullcontext():
                command = _parsed(given)
            if not _has_place_for_runs(command):
                where = f"{command.runs_dir}, which is no directory: choose another --runs-dir."
                return _refused(f"cannot read or write runs in {where}", 2)
            return int(command.run())
        finally:
            # Flushed here: at Python's exit a BrokenPipeError could no longer be caught.
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as head, has closed the pipe. Python would complain about unflushed output at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _refused(_in_words(error, command), 2)
    except (ValueError, RuntimeError) as error:
        if _was_interrupted(error):
            return EXIT_INTERRUPTED
        if not isinstance(error, UserError):
            raise
        return _refused(str(error), 2)
    except PluginFailure as error:
        return _refused(str(error), 3)
    except ModuleNotFoundError as error:
        if (package := (error.name or "").partition(".")[0]) not in _FOR_TRAINING:
            raise
        return _refused(f"{given[0]} needs {package}, which is not installed: {installing('train')}", 2)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _parsed(given: Sequence[str]) -> Any:
    """The command with its options."""
    program = "python -m reproduce"
    if not given or given[0] not in COMMANDS:
        return tyro.extras.subcommand_cli_from_dict({**COMMANDS}, prog=program, args=given)
    name, *options = given
    describe(COMMANDS[name])
    # By itself, so that errors name the help of this command, which has its options.
    return tyro.cli(COMMANDS[name], prog=f"{program} {name}", args=options)


def _was_interrupted(error: BaseException) -> bool:
    """Whether Ctrl-C caused an error: torch raises its own if it is interrupted while writing."""
    while error.__context__ is not None:
        error = error.__context__
        if isinstance(error, KeyboardInterrupt):
            return True
    return False


def _refused(sentence: str, code: int) -> int:
    """Print an error; returns the exit code."""
    say("error", sentence)
    return code


def _one_spelling(arguments: Sequence[str]) -> list[str]:
    """The arguments with ``table1`` written as ``table table1``, and any other table or figure alike."""
    for command in ("table", "figure"):
        if arguments and arguments[0] not in COMMANDS and arguments[0].startswith(command):
            return [command, *arguments]
    return list(arguments)


def _has_place_for_runs(command: Any) -> bool:
    """Whether a command's directory of runs, if it has one, is a directory or is still to be made."""
    runs_dir = getattr(command, "runs_dir", None)
    return runs_dir is None or runs_dir.is_dir() or not runs_dir.exists()


def _in_words(error: OSError, command: Any) -> str:
    """What the operating system refused, and what to do about it; our own errors say so themselves."""
    if error.errno is None:
        return str(error)
    place = f" {error.filename}" if error.filename else ""
    options = ""
    if isinstance(command, WritesRuns):
        options = " (--runs-dir, --store)"
    elif hasattr(command, "out"):
        options = " (--out)"
    again = ": it resumes from the last checkpoint" if isinstance(command, (Train, Grid)) else ""
    fix = f"choose a writable place{options}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        fix = "free some space"
    elif error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
        fix = f"mend it, put a sound copy back, move it away or {fix}"
    return f"cannot read or write{place}: {error.strerror or error}; {fix}, then repeat the command{again}"
