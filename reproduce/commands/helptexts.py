"""Help texts wrapped at the width of the terminal.

By itself tyro keeps the line breaks of docstrings, does not wrap descriptions, calls positionals STR and
optional values {None}|PATH, and lists shared options first.
"""

import io
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import fields
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import tyro

from reproduce.lab.places import WORKPLACE
from reproduce.lab.settings import meanings


@cache
def describe(command: type[Any]) -> None:
    """Set the help of a command's options to their unwrapped docstrings, and name its positionals.

    Both are written into the annotations of the class, where tyro looks for them.
    """
    texts = meanings(command)
    for name, hint in get_type_hints(command, include_extras=True).items():
        about: dict[str, Any] = {"help": texts[name]} if name in texts else {}
        default = command.__dataclass_fields__[name].default
        marks = getattr(hint, "__metadata__", ())
        if tyro.conf.Positional in marks:
            kind = get_origin(get_args(hint)[0])
            if kind is tuple:
                about |= {"metavar": f"[{name.upper()} ...]", "help_behavior_hint": "(optional)"}
            elif default is None:
                about |= {"metavar": f"[{name.upper()}]", "help_behavior_hint": "(optional)"}
            elif kind is not Literal:
                about["metavar"] = name.upper()
        elif default is None:
            (kind,) = (one for one in get_args(hint) if one is not NoneType)
            choices = "{" + ",".join(map(str, get_args(kind))) + "}"
            metavar = choices if get_origin(kind) is Literal else kind.__name__.upper()
            about |= {"metavar": metavar, "help_behavior_hint": "(optional)"}
        elif default == () and tyro.conf.UseAppendAction not in marks:
            about["help_behavior_hint"] = "(optional)"
        elif isinstance(default, Path) and default.is_relative_to(WORKPLACE):
            about["help_behavior_hint"] = f"(default: {default.relative_to(WORKPLACE)})"
        if about:
            command.__annotations__[name] = Annotated[hint, tyro.conf.arg(**about)]
    # Keyword-only are the options that several commands share.
    command.__dataclass_fields__ = {
        one.name: one for one in sorted(fields(command), key=lambda f: bool(f.kw_only))
    }


@contextmanager
def wrapped() -> Iterator[None]:
    """Wrap everything printed in the block at the terminal's width."""
    width = shutil.get_terminal_size().columns
    # tyro chooses its characters by the stream it prints to.
    shown = io.TextIOWrapper(io.BytesIO(), sys.stdout.encoding)
    shown.isatty = sys.stdout.isatty  # type: ignore[method-assign]
    try:
        with redirect_stdout(shown):
            yield
    finally:
        shown.seek(0)
        for line in shown.read().splitlines():
            plain = re.sub(r"\x1b\[[\d;]*m", "", line)
            if len(plain) > width:
                # Names of commands, between commas.
                spaced = plain.replace(",", ", ") if plain.startswith("usage") else plain
                line = textwrap.fill(spaced, width)
            print(line)
