"""The commands that play and film trained policies."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from reproduce.commands.console import say
from reproduce.commands.options import ReadsRuns
from reproduce.formats import printable
from reproduce.lab.places import OUT, RUNS
from reproduce.lab.plugins import Plugin, load_plugin, mistakes_of
from reproduce.lab.policies import Policy, find_policy
from reproduce.lab.specs import variant_parts


@dataclass(frozen=True)
class ChosenPolicy(ReadsRuns):
    """The choice of a trained policy; options that are not given default to what exists."""

    algorithm: Annotated[str, tyro.conf.Positional]
    """Algorithm, such as alm."""
    task: Annotated[str, tyro.conf.Positional]
    """Task, such as HalfCheetah."""
    variant: str = "base"
    """Variant, such as no-kl or 'base[horizon=7]'."""
    scale: str | None = None
    """paper, laptop or smoke; by default the largest that has a policy."""
    seed: int | None = None
    """Seed of the run; by default the smallest that has a policy."""
    policy: Literal["last", "best"] | None = None
    """last (end of training) or best (evaluation with the highest mean return, which overstates it); by
    default last, if there is one."""
    plugin: Path | None = None
    """The Python file that declares the variant or algorithm, if it is your own."""
    runs_dir: Path = RUNS
    """Directory of runs in training, searched for policies that are not stored."""

    @contextmanager
    def found(self) -> Iterator[tuple[Policy, Plugin | None]]:
        """The policy, and the plugin if given; errors of its code in the block become one sentence."""
        plugin = load_plugin(self.plugin) if self.plugin else None
        policy = find_policy(
            self.opened(),
            self.runs_dir,
            algorithm=self.algorithm,
            task=self.task,
            variant=self.variant,
            scale=self.scale,
            seed=self.seed,
            kind=self.policy,
            plugin=plugin,
        )
        with mistakes_of(plugin, self.algorithm, variant_parts(self.variant).name, self.runs_dir):
            yield policy, plugin


@dataclass(frozen=True)
class Evaluate(ChosenPolicy):
    """Play a trained policy in new episodes and compare the returns with its stored evaluation.

    Example: python -m reproduce evaluate alm HalfCheetah --episodes 100
    """

    episodes: int = 100
    """Number of new episodes."""

    def run(self) -> int:
        """Play and print."""
        from reproduce.lab.playing import play

        with self.found() as (policy, plugin):
            print(printable(play(policy, self.episodes, plugin).text()))
        return 0


@dataclass(frozen=True)
class Render(ChosenPolicy):
    """Film a trained policy: a whole episode as MP4, and its first seconds as GIF.

    Needs the extra [render] and EGL or OSMesa; see docs/policies.md.

    Example: python -m reproduce render alm HalfCheetah
    """

    out: Path = OUT / "films"
    """Output directory."""

    def run(self) -> int:
        """Draw and write both."""
        from reproduce.lab.rendering import film

        with self.found() as (policy, plugin):
            for path in film(policy, self.out, plugin):
                print(f"wrote {path}")
        return 0


@dataclass(frozen=True)
class Gallery(ReadsRuns):
    """Film the last policy of every stored run, with a card for each.

    Needs EGL or OSMesa. README.md shows results/gallery, and so does the report unless --gallery names
    another directory.
    """

    out: Path = OUT / "gallery"
    """Output directory for clips (GIF) and cards (JSON); replaces those there."""

    def run(self) -> int:
        """Draw the new ones; the command documents shows them."""
        from reproduce.lab.gallery import make_gallery

        made = make_gallery(self.opened(), self.out)
        for problem in made.problems:
            say("warning", problem)
        print(f"{len(made.cards)} clips in {self.out}, {made.size / 1e6:.1f} MB")
        return 1 if made.problems else 0
