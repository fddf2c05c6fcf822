"""The commands that play and film trained policies."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from reproduce.commands.options import RUNS, ReadsRuns
from reproduce.lab.places import OUT
from reproduce.lab.plugins import Plugin, load_plugin, mistakes_of
from reproduce.lab.specs import variant_parts

if TYPE_CHECKING:
    from reproduce.lab.policies import Policy


@dataclass(frozen=True)
class ChosenPolicy(ReadsRuns):
    """Which trained policy: what is not given is chosen by what there is."""

    algorithm: Annotated[str, tyro.conf.Positional]
    """Algorithm, such as alm."""
    task: Annotated[str, tyro.conf.Positional]
    """Task, such as HalfCheetah."""
    variant: str = "base"
    """Variant, such as no-kl or 'base[horizon=7]'."""
    scale: str | None = None
    """paper, laptop or smoke; by default the largest there is."""
    seed: int | None = None
    """Seed of the run; by default the smallest there is."""
    policy: Literal["last", "best"] | None = None
    """last (of the end of training) or best (of the evaluation with the highest mean return, which flatters
    it); by default the last, if it is there."""
    plugin: Path | None = None
    """The Python file that declares the variant or algorithm, if it is one of your own."""
    runs_dir: Path = RUNS
    """Where runs are trained: a policy that is not stored is looked for here."""

    @contextmanager
    def found(self) -> "Iterator[tuple[Policy, Plugin | None]]":
        """The policy, and the plugin if one is given; mistakes of its code in the block are one sentence."""
        from reproduce.lab.policies import find_policy

        plugin = load_plugin(self.plugin) if self.plugin else None
        chosen = self.variant, self.scale, self.seed, self.policy, plugin
        policy = find_policy(self.algorithm, self.task, self.opened(), self.runs_dir, *chosen)
        with mistakes_of(plugin, self.algorithm, variant_parts(self.variant)[0], self.runs_dir):
            yield policy, plugin


@dataclass(frozen=True)
class Evaluate(ChosenPolicy):
    """Play a trained policy in new episodes, beside the evaluation that is stored with it.

    For instance: python -m reproduce evaluate alm HalfCheetah --episodes 100
    """

    episodes: int = 100
    """New episodes."""

    def run(self) -> int:
        """Play and print."""
        from reproduce.lab.playing import play

        with self.found() as (policy, plugin):
            print(play(policy, self.episodes, plugin).text())
        return 0


@dataclass(frozen=True)
class Render(ChosenPolicy):
    """Film a trained policy: a whole episode as MP4, its first seconds as GIF.

    For instance: python -m reproduce render alm HalfCheetah. Needs the extra render and EGL or OSMesa: see
    docs/policies.md.
    """

    out: Path = OUT / "films"
    """Where the films go."""

    def run(self) -> int:
        """Draw and write both."""
        from reproduce.lab.rendering import film

        with self.found() as (policy, plugin):
            for path in film(policy, self.out, plugin):
                print(f"wrote {path}")
        return 0


@dataclass(frozen=True)
class Gallery(ReadsRuns):
    """Film every stored last policy for README.md and the report, with a card for each.

    Needs EGL or OSMesa.
    """

    out: Path = OUT / "gallery"
    """Where clips (GIF) and cards (JSON) go, in place of those there."""

    def run(self) -> int:
        """Draw those that are new; documents shows them."""
        from reproduce.lab.gallery import make_gallery

        made = make_gallery(self.opened(), self.out)
        for problem in made.problems:
            print(f"warning: {problem}", file=sys.stderr)
        print(f"{len(made.cards)} clips in {self.out}, {made.size / 1e6:.1f} MB")
        return 1 if made.problems else 0
