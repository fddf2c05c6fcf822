"""Settings of a configuration: read from text such as ``horizon=7``, checked, and named in a variant."""

import math
import re
import reprlib
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, NamedTuple

from docstring_parser import parse_from_object

from alm.errors import UserError
from alm.names import nearest
from alm.training.ranges import Range
from reproduce.lab.specs import variant_in, variant_parts

_WORD = re.compile(r"[A-Za-z0-9._-]+")
# Above it, floats print with an exponent, whole numbers without.
_LARGEST_EXPONENT = 15


class Setting(NamedTuple):
    """A setting of a configuration in words: its name, its value as ``--set`` takes it, and its meaning."""

    name: str
    value: str
    meaning: str


def settings_in_words(config: Any) -> list[Setting]:
    """Every setting of a configuration, with its docstring in one line (empty if it has none)."""
    found = dict(_settings(config))
    # Parsing takes longer than all the rest.
    meant = {owner: meanings(owner) for owner in {one.owner for one in found.values()}}
    return [
        Setting(name, _text(one.value), meant[one.owner].get(one.name, "").replace("``", ""))
        for name, one in found.items()
    ]


def meanings(cls: type[Any]) -> dict[str, str]:
    """The docstrings of a class's attributes, its base classes' included, each in one line."""
    return {
        one.arg_name: " ".join((one.description or "").split())
        for place in reversed(cls.__mro__[:-1])
        for one in parse_from_object(place).params
    }


def with_settings(config: Any, assignments: Sequence[str]) -> tuple[Any, tuple[str, ...]]:
    """A configuration with fields set from text, and canonical assignments of the changed fields.

    Canonical assignments are sorted by field, with values in their shortest form, so that all spellings of
    the same settings give the same ones. A field set to its present value is left out.

    Args:
        config: a configuration, an instance of a dataclass; fields of nested dataclasses have dotted names.
        assignments: ``field=value`` each. Whole numbers may be written ``7``, ``7.0`` or ``1e5``, truth
            values ``true`` or ``false``, no value ``none``, tuples ``400,200`` or ``(400,200)``.

    Raises:
        UserError: no ``=``, an unknown field, a value of another type or one that the configuration refuses,
            or two values for one field.
    """
    if not assignments:
        return config, ()
    known, owner = dict(_settings(config)), type(config).__name__
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, sign, text = (part.strip() for part in assignment.partition("="))
        if not sign:
            raise UserError(f"The setting {assignment!r} has no value: write it as field=value.")
        if name not in known:
            raise UserError(
                f"{owner} has no setting {name!r}{nearest(name, known)}; its settings are {', '.join(known)}."
            )
        try:
            value = _value(text, known[name].kind)
        except UserError as error:
            raise UserError(f"The setting {name} of {owner} {error}, not {text!r}.") from None
        if name in values and values[name] != value:
            raise UserError(
                f"The setting {name} is given twice, as {_text(values[name])} and as {_text(value)}: leave "
                "one out."
            )
        values[name] = value
    changed = {name: value for name, value in sorted(values.items()) if value != known[name].value}
    for name, value in changed.items():
        config = _replaced(config, name.split("."), value)
    return config, tuple(f"{name}={_text(value)}" for name, value in changed.items())


def require_valid(config: Any, prefix: str = "") -> None:
    """Check the types and ranges of settings (`alm.training.ranges`), and that they are consistent.

    This is the one place where values are checked, whether they come from the suite, a plugin or ``--set``.
    A configuration whose settings may contradict each other reports that in a method ``conflict``.

    Raises:
        UserError: a value has another type or is out of range, or settings contradict each other.
    """
    kinds = typing.get_type_hints(type(config), include_extras=True)
    for one in fields(config):
        value, kind = getattr(config, one.name), kinds[one.name]
        if is_dataclass(value) and not isinstance(value, type):
            require_valid(value, f"{prefix}{one.name}.")
        elif not _fits(value, kind):
            raise UserError(
                f"The setting {prefix}{one.name} of {type(config).__name__} must be {_words(kind)}, not "
                f"{reprlib.repr(value)}."
            )
    if conflict := getattr(config, "conflict", lambda: None)():
        raise UserError(f"The settings of {type(config).__name__} contradict each other: {conflict}.")


def require_used(assignments: Sequence[str], unused: Sequence[str], name: str) -> None:
    """Check that every setting in a run's name has an effect on the run.

    Raises:
        UserError: a canonical assignment sets a field that the agent called ``name`` does not use.
    """
    for assignment in assignments:
        field = assignment.partition("=")[0]
        if field in unused:
            raise UserError(
                f"{name} does not read the setting {field}, or derives it from others: leave it out."
            )


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a type and in its range; true for types that no setting of the suite has."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _fits(value, arguments[0]) and all(
            value in one for one in arguments[1:] if isinstance(one, Range)
        )
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, one) for one in arguments)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        kinds = _tuple_kinds(arguments, len(value))
        return len(kinds) == len(value) and all(map(_fits, value, kinds))
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind in (bool, str, type(None)):
        return isinstance(value, kind)
    return True


def _words(kind: Any) -> str:
    """A type and its range in words, as in "a whole number of at least 1"."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return " ".join(
            [_words(arguments[0]), *(str(one) for one in arguments[1:] if isinstance(one, Range))]
        )
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(_words, arguments))
    if origin is tuple:
        return f"a tuple of ({', '.join('…' if one is Ellipsis else _words(one) for one in arguments)})"
    named = {
        int: "a whole number",
        float: "a finite number",
        bool: "True or False",
        str: "text",
        type(None): "None",
    }
    return named.get(kind, str(kind))


def canonical_variant(variant: str) -> str:
    """A variant's name as runs are stored under it: settings sorted, numbers in shortest form.

    Types are not known here, and hence not which settings change nothing.

    Raises:
        UserError: the brackets do not hold a list of settings, or set a field twice.
    """
    name, settings, precision = variant_parts(variant)
    values = dict(sorted(setting.partition("=")[::2] for setting in settings))
    if variant_in(name, precision, settings) != variant or len(values) < len(settings):
        raise UserError(
            f"{variant!r} is no variant: write a name, perhaps with settings, each once, and a precision, as "
            "in 'base[horizon=7,learning_rate=3e-4]+bf16'."
        )
    return variant_in(name, precision, [f"{field}={_shortest(text)}" for field, text in values.items()])


def _shortest(text: str) -> str:
    """The canonical text of a number or a tuple of numbers; other text is unchanged."""
    if text.startswith("("):
        return f"({','.join(map(_shortest, text[1:-1].split(',')))})"
    try:
        return str(_whole_number(text))
    except ValueError:
        pass
    try:
        return _text(_number(text))
    except ValueError:
        return text


class _Field(NamedTuple):
    """The field that holds a setting: its class, its name there, its type and its value."""

    owner: type[Any]
    name: str
    kind: Any
    value: Any


def _settings(config: Any, prefix: str = "") -> Iterator[tuple[str, _Field]]:
    """Every setting by its dotted name."""
    kinds = typing.get_type_hints(type(config))
    for one in fields(config):
        value = getattr(config, one.name)
        if is_dataclass(value):
            yield from _settings(value, f"{prefix}{one.name}.")
        elif one.init:
            yield f"{prefix}{one.name}", _Field(type(config), one.name, kinds[one.name], value)


def _replaced(config: Any, path: Sequence[str], value: Any) -> Any:
    first, *rest = path
    return replace(config, **{first: _replaced(getattr(config, first), rest, value) if rest else value})


def _value(text: str, kind: Any) -> Any:
    """The value of a given type that a text represents.

    Raises:
        UserError: the text is not of that type; the message names it, as in "must be a whole number".
    """
    arguments = typing.get_args(kind)
    if typing.get_origin(kind) in (typing.Union, types.UnionType) and type(None) in arguments:
        if text.lower() == "none":
            return None
        inner = [one for one in arguments if one is not type(None)]
        if len(inner) == 1:
            try:
                return _value(text, inner[0])
            except UserError as error:
                raise UserError(f"{error} or none") from None
    if kind is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind is int:
        return _whole_number(text)
    if kind is float:
        return _number(text)
    if kind is str and _WORD.fullmatch(text):
        return text
    if typing.get_origin(kind) is tuple:
        return _tuple(text, arguments)
    needed = {
        bool: "must be true or false",
        str: "must be a word of letters, digits, dots, dashes and underscores to be given here",
    }
    raise UserError(needed.get(kind, f"has the type {kind}, which only a plugin's variant can set"))


def _whole_number(text: str) -> int:
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite() or number.adjusted() > _LARGEST_EXPONENT or number % 1:
        raise UserError("must be a whole number")
    return int(number)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError("must be a finite number")
    return number + 0.0  # -0.0 becomes 0.0, the same number


def _tuple(text: str, kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    inside = text[1:-1] if text.startswith("(") and text.endswith(")") else text
    parts = [part.strip() for part in inside.split(",")] if inside.strip() else []
    kinds = _tuple_kinds(kinds, len(parts))
    if len(parts) != len(kinds):
        raise UserError(f"must be {len(kinds)} values with commas between them")
    return tuple(_value(part, kind) for part, kind in zip(parts, kinds, strict=True))


def _tuple_kinds(kinds: tuple[Any, ...], length: int) -> tuple[Any, ...]:
    """The type of each of a tuple's values, also for a tuple of any length."""
    return (kinds[0],) * length if len(kinds) == 2 and kinds[1] is Ellipsis else kinds


def _text(value: Any) -> str:
    """The shortest text of a value, the same for equal values of a type."""
    if isinstance(value, tuple):
        return f"({','.join(map(_text, value))})"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        # No plus sign: in a variant's name it precedes the precision.
        return re.sub(r"e\+?(-?)0*", r"e\1", repr(value)).removesuffix(".0")
    return str(value)
