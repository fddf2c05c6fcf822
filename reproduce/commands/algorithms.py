"""The command that lists algorithms, their variants and their settings."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.table import Table

from alm.errors import UserError
from reproduce.commands.console import plain_console
from reproduce.exhibits.catalogue import shown_in
from reproduce.lab.algorithms import BASE
from reproduce.lab.places import RUNS
from reproduce.lab.plugins import Plugin, algorithms_with, load_plugin, method_named, mistakes_of
from reproduce.lab.resolved_runs import ResolvedRuns
from reproduce.lab.settings import canonical_variant, settings_in_words
from reproduce.lab.specs import variant_parts

# The second is for algorithms that need the reward as a function of what they observe.
_TASKS = ("HalfCheetah", "mbbl/HalfCheetah")


@dataclass(frozen=True)
class Algorithms:
    """List the algorithms or, with a name, the variants and settings of one.

    Variants are trained with --variant, other values of settings with --set. Settings are shown as they are
    at one scale on one task, since some depend on these.
    """

    name: Annotated[str | None, tyro.conf.Positional] = None
    """Algorithm, such as sac, or a variant of it, such as alm/no-kl; without a name, all are listed."""
    task: str | None = None
    """Task of the settings; by default HalfCheetah, or mbbl/HalfCheetah for slbo."""
    scale: str = "laptop"
    """Scale of the settings: paper, laptop or smoke."""
    plugin: Path | None = None
    """Your own Python file with more variants or algorithms; see docs/new_variant.md."""

    def run(self) -> int:
        """Print the list."""
        plugin = load_plugin(self.plugin) if self.plugin else None
        if self.name:
            algorithm, _, variant = self.name.partition("/")
            variant = canonical_variant(variant or BASE.name)
            with mistakes_of(plugin, algorithm, variant_parts(variant).name, RUNS):
                self._print_one(algorithm, variant, plugin)
            return 0
        known = algorithms_with(plugin)
        rows = ((name, one.summary, str(len(one.variants) or "")) for name, one in known.items())
        _print("Algorithms", ("", "", "variants"), rows)
        _say("Variants and settings of one: python -m reproduce algorithms alm")
        return 0

    def _print_one(self, algorithm: str, variant: str, plugin: Plugin | None) -> None:
        """Print the settings of a variant; of an unchanged algorithm, its variants first."""
        name, changed, precision = variant_parts(variant)
        if precision != "float32":
            raise UserError(f"{variant!r} names a precision, which is no setting: leave out +{precision}.")
        resolved = self._resolved(algorithm, name, plugin, changed)
        of, declared = method_named(algorithm, name, plugin)
        if variant == BASE.name:
            page = f" (docs/algorithms/{of.page}.md)" if of.page else ""
            _say(f"{of.title}: {of.summary}{page}")
            if of.variants:
                rows = (
                    (one.name, one.summary, ", ".join(shown_in(algorithm, one.name)))
                    for one in of.variants.values()
                )
                _print("Variants: train … --variant NAME", ("", "what changes", "shown in"), rows)
        else:
            settings = "" if resolved.specs[0].variant == name else ", with other settings"
            summary = "the algorithm" if settings and name == BASE.name else declared.summary
            _say(f"{of.title} {variant}: {summary}{settings}")
        unchanged = self._of(algorithm, BASE.name, resolved.task.name, plugin)
        usual = {one.name: one.value for one in settings_in_words(unchanged.agent_config)}
        rows = (
            (one.name, _beside(one.value, usual.get(one.name, one.value)), one.meaning)
            for one in settings_in_words(resolved.agent_config)
            if one.name not in resolved.agent_class.unused_settings
        )
        title = f"Settings on {resolved.task.name} at {self.scale} scale: train … --set NAME=VALUE"
        _print(title, ("", "value", "what it is"), rows)

    def _resolved(
        self, algorithm: str, variant: str, plugin: Plugin | None, changed: Sequence[str]
    ) -> ResolvedRuns:
        """The variant on the given task, by default on the first that it can learn."""
        first, second = (self.task, self.task) if self.task else _TASKS
        try:
            return self._of(algorithm, variant, first, plugin, changed)
        except UserError:
            return self._of(algorithm, variant, second, plugin, changed)

    def _of(
        self, algorithm: str, variant: str, task: str, plugin: Plugin | None, changed: Sequence[str] = ()
    ) -> ResolvedRuns:
        return ResolvedRuns.of(algorithm, variant, task, (0,), self.scale, plugin, settings=changed)


def _say(text: str) -> None:
    plain_console().print(text, "", highlight=False, sep="\n")


def _beside(value: str, usual: str) -> str:
    """A value beside that of the unchanged algorithm, such as ``"5, not 3"``."""
    return value if value == usual else f"{value}, not {usual}"


def _print(title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    table = Table(*columns, title=title, title_justify="left", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    plain_console().print(table, "")
