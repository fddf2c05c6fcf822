"""The figure of a comparison: what can be read off its panels, and where it is written."""

import itertools
import random
from pathlib import Path

import pytest

from alm.variants import VARIANTS
from paper_figures.comparison import draw, write
from paper_figures.style import LOOKS, looks, looks_apart
from reproduce.exhibits.catalogue import EXHIBITS
from reproduce.exhibits.comparison import MOST_SIDES, Comparison
from reproduce.exhibits.kinds import Series
from reproduce.exhibits.sides import side_named
from reproduce.lab.store import Store


@pytest.fixture
def comparison(tmp_path, make_run):
    store = Store(tmp_path / "store")
    for task in ("Hopper", "HalfCheetah-obsnoise-0.1"):
        for seed in (0, 1):
            for variant, final in (("base", 10.0), ("c-0.05", 30.0)):
                run = {"variant": variant, "seed": seed, "scale": "laptop", "task": task}
                store.write(make_run({1000: 0.0, 2000: final + 10 * seed}, **run))
    tasks = ("Hopper", "HalfCheetah-obsnoise-0.1")
    return Comparison.of(["alm/c-0.05", "alm"], tasks, "laptop", "return", store, Path("/nowhere"))


def test_panels_show_both_means_with_their_intervals(comparison):
    figure = draw(comparison)
    panel = figure.axes[0]
    assert [axis.get_title() for axis in figure.axes] == ["Hopper", "HalfCheetah-obsnoise-0.1"]
    assert {line.get_label(): line.get_ydata().tolist() for line in panel.lines} == {
        "c = 0.05": [0, 35],
        "ALM(3)": [0, 15],
    }
    heights = [band.get_paths()[0].vertices[:, 1] for band in panel.collections]
    assert [(heights[0].max(), heights[1].max())] == [(40, 20)]
    note = " ".join(" ".join(text.get_text() for text in panel.texts).split())
    assert (
        "c = 0.05 (2 seeds) at 2k, against ALM(3) (2 seeds): difference +20 [+10, +30], P(first > other) 1.00"
        in note
    )
    caption = " ".join(figure.get_supxlabel().split())
    assert "with 2 an interval is too narrow" in caption
    # There is no mean beneath a curve, and it is more than the last step.
    assert "eneath" not in caption and "at each step that all seeds have" in caption


def test_a_side_keeps_its_colour_where_another_has_no_run(tmp_path, make_run):
    store = Store(tmp_path)
    names = ["alm", "sac", "td3"]
    for task, there in (("Hopper", ("alm", "td3")), ("Ant", names)):
        for name in there:
            store.write(make_run({1000: 0.0, 2000: 1.0}, algorithm=name, task=task, scale="laptop"))
    panels = draw(Comparison.of(names, ["Hopper", "Ant"], "laptop", "return", store)).axes
    without, both = ({line.get_label(): line.get_color() for line in axis.lines} for axis in panels)
    assert list(without) == ["ALM(3)", "TD3"] and list(both) == ["ALM(3)", "SAC", "TD3"]
    assert without.items() <= both.items() and len(set(both.values())) == 3


def looks_of(*names):
    """The looks of sides in one picture by their names on the command line."""
    sides = [side_named(name) for name in names]
    found = looks_apart(sides)
    return {side.command_name: found[side.label] for side in sides}


def test_a_side_looks_as_in_every_figure():
    known = looks_of("alm/my-idea", "sac/million", "sac", "slbo", "alm", "alm/base+bf16", "alm/k5")
    for name in ("sac", "slbo", "alm"):
        assert known[name] == LOOKS[name]
    for variant in ("no-kl", "base+bf16"):
        alone = looks([Series("one", "alm", variant)])["one"]
        assert looks_of("alm", f"alm/{variant}")[f"alm/{variant}"] == alone
    of_figure = looks(EXHIBITS["figure5b"].series)
    assert known["alm/k5"] == of_figure["ALM(5)"]
    # Alone it has SAC's own look, as in Figure 14.
    assert known["sac/million"] != LOOKS["sac"] == looks_of("sac/million")["sac/million"]


def test_what_the_suite_does_not_know_has_no_look_of_the_suite():
    sides = ("my-td3", "redq", "alm/my-idea", "sac/relu", "alm/relu", "alm/base[horizon=7]")
    found = looks_of(*sides)
    assert found["alm/relu"] == looks([Series("one", "alm", "relu")])["one"]
    assert len({look.colour for look in found.values()}) == len(sides)
    own = {found[name].colour for name in ("my-td3", "alm/my-idea", "sac/relu", "alm/base[horizon=7]")}
    assert not own & {look.colour for look in LOOKS.values()}
    # By name: the others in the picture do not change it unless one has it.
    assert looks_of("alm/my-idea", "td3")["alm/my-idea"] == looks_of("sac", "alm/my-idea")["alm/my-idea"]


def test_no_two_sides_look_alike():
    """Of as many as may be compared, whatever their names; of those, two can share a colour of seven."""
    draw_names = random.Random(0)
    names = [f"alm/{one}" for one in (*VARIANTS, *(f"idea-{number}" for number in range(40)))]
    names += ["mine", "yours", "sac/relu", "sac/base+bf16", "redq/official-density", "sac", "alm"]
    for _ in range(200):
        some = draw_names.sample(names, MOST_SIDES)
        found = looks_of(*some)
        assert set(found) == set(some)
        assert len({(one.colour, one.marker) for one in found.values()}) == MOST_SIDES
    # Bands have a colour only.
    for first, second in itertools.combinations((*VARIANTS, "my-idea"), 2):
        pair = looks_of(f"alm/{first}", f"alm/{second}")
        assert len({one.colour for one in pair.values()}) == 2, pair
    ideas = looks_of(*(f"alm/idea-{number}" for number in range(MOST_SIDES)))
    assert len({look.colour for look in ideas.values()}) == MOST_SIDES - 1


def test_names_with_dots_and_slashes_keep_their_ends(comparison, tmp_path):
    stem = "alm_c-0.05-vs-alm-Hopper-HalfCheetah-obsnoise-0.1-laptop"
    files = write(comparison, tmp_path / "out")
    assert [file.name for file in files] == [
        f"{stem}{end}" for end in (".png", ".pdf", ".csv", "-numbers.csv")
    ]
    assert all(file.exists() for file in files)
    before = files[0].read_bytes()
    assert write(comparison, tmp_path / "out")[0].read_bytes() == before
