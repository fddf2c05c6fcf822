"""What is stored and what is missing, in the words of the list of runs, of plans and of figures."""

import io
import re

import pandas as pd
import pytest
from rich.console import Console

from paper_figures.drawing import drawn
from reproduce.cli import main
from reproduce.exhibits.catalogue import EXHIBITS
from reproduce.exhibits.coverage import coverage, why_nothing_shown
from reproduce.exhibits.inventory import print_inventory
from reproduce.exhibits.plan import print_plan
from reproduce.lab.missing import Missing
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import Store


def shown(printing, *arguments, width=200, **options):
    """What a function prints on a console."""
    console = Console(width=width, file=io.StringIO(), markup=False)
    printing(*arguments, console, **options)
    return console.file.getvalue()


@pytest.fixture
def shipped_and_own(tmp_path, make_run):
    """SAC's seeds 0 and 1 on HalfCheetah, which are shipped, and one's own seed 2."""
    shipped = Store(tmp_path / "shipped")
    both = Store(tmp_path / "own", shipped.root)
    for seed, store in ((0, shipped), (1, shipped), (2, both)):
        store.write(make_run({200_000: 100.0 * seed}, algorithm="sac", seed=seed, status="partial"))
    return both


def test_runs_are_summed_up_by_task_and_no_entry_is_broken(tmp_path, shipped_and_own):
    for width in (60, 80, 200):
        text = shown(print_inventory, shipped_and_own, tmp_path / "runs", width=width)
        assert "3 stored runs, 1 of them your own." in text
        assert "paper scale, HalfCheetah\n  SAC 100 ± 100 (3 seeds, 1 own, 200k)\n" in text
        assert max(map(len, text.splitlines()[3:-1])) <= max(width, 60)
    text = shown(print_inventory, shipped_and_own, tmp_path / "runs", every=True)
    lines = [line for line in text.splitlines() if line.startswith("sac/base")]
    assert [line.split(": ")[0][-6:] for line in lines] == ["seed 0", "seed 1", "seed 2"]
    assert [" your own," in line for line in lines] == [False, False, True]


def test_a_sum_names_the_runs_that_it_leaves_out(tmp_path, make_run):
    store = Store(tmp_path / "store")
    store.write(make_run({5000: 1.0, 50_000: 7.0}, scale="laptop"))
    store.write(make_run({5000: 1.0}, seed=1, scale="laptop", status="partial"))
    store.write(make_run({5000: 1.0}, seed=2, scale="laptop", status="failed", reason="loss is not finite"))
    text = shown(print_inventory, store, tmp_path / "runs")
    assert "ALM(3) 7 (1 seed, 1 unfinished, 1 failed, 50k)" in text


def test_a_sum_is_of_one_variant_and_counts_ones_own_among_its_seeds(tmp_path, shipped_and_own, make_run):
    shipped_and_own.write(make_run({5000: 1.0}, algorithm="sac", seed=3, status="partial"))
    shipped_and_own.write(make_run({5000: 9.0}, algorithm="sac", variant="million", status="partial"))
    text = shown(print_inventory, shipped_and_own, tmp_path / "runs")
    sac, million = text.split("HalfCheetah\n  ")[1].split("\n")[0].split(" · ")
    assert sac == "SAC 100 ± 100 (3 seeds, 1 unfinished, 1 own, 200k)"
    assert million.endswith(" 9 (1 seed, 1 own, 5k)")


@pytest.mark.parametrize(("scale", "task"), [("huge", "HalfCheetah"), ("paper", "Swimmer")])
def test_a_run_of_an_unknown_scale_or_task_is_listed_and_not_drawn(tmp_path, make_run, scale, task):
    store = Store(tmp_path / "store")
    store.write(make_run({5000: 1.0, 50_000: 7.0}, scale=scale, task=task))
    assert drawn("curves", store) == []
    for every, line in ((False, f"{scale} scale, {task}\n  ALM(3) 7 (1 seed, 50k)"), (True, "50,000 steps")):
        text = shown(print_inventory, store, tmp_path / "runs", every=every)
        assert "1 stored run." in text and line in text


def test_all_runs_are_listed_by_scale_then_seed_with_the_hours_of_a_seed(tmp_path, make_run):
    """One of five that trained together for an hour took a fifth of it; of how many is not always known."""
    store, final = Store(tmp_path / "store"), {"final/return": 7.0, "cost/wall_h": 1.0}
    for scale in ("laptop", "paper"):
        for seed in (0, 1):
            about = {"seed": seed, "scale": scale, "final": final}
            code = {"git_sha": "f" * 40, "git_dirty": seed == 1}
            about |= {"provenance": {"population": 5, **code}} if scale == "laptop" else {}
            store.write(make_run({5000: 7.0}, **about))
    text = shown(print_inventory, store, tmp_path / "runs", every=True)
    lines = [line for line in text.splitlines() if line.startswith("alm/base")]
    assert [line.partition(":")[0].removeprefix("alm/base HalfCheetah ") for line in lines] == [
        "paper seed 0", "paper seed 1", "laptop seed 0", "laptop seed 1"
    ]  # fmt: skip
    assert ["hours" in line for line in lines] == [False, False, True, True]
    assert "5,000 of 50,000 steps, return 7, 0.20 hours a seed, v2" in lines[-1]
    assert lines[-2].endswith(" fffffff") and lines[-1].endswith(" fffffff+")


def test_the_list_of_runs_pools_no_seeds_that_do_not_compare(tmp_path, make_run):
    """Seed 1 is of another simulator, seed 2 of other settings, whose runs begin to be evaluated later."""
    store = Store(tmp_path / "store")
    for seed, returns, other in (
        (0, {5000: 10.0}, {}),
        (1, {5000: 90.0}, {"protocol": "v2-newer"}),
        (2, {10_000: 50.0}, {"config": {"agent": {"horizon": 4}}}),
        (3, {5000: 20.0}, {}),
    ):
        run = {"algorithm": "sac", "seed": seed, "scale": "laptop", "status": "partial", **other}
        store.write(make_run(returns, **run))
    assert (
        "  SAC, seeds 0 3 by v2-gymnasium1.4.0-mujoco4.0.0: 15 ± 7 (2 seeds, 5k) · SAC, seed 1 by v2-newer: "
        "90 (1 seed, 5k) · SAC, seed 2 by v2-gymnasium1.4.0-mujoco4.0.0: 50 (1 seed, 10k)"
    ) in shown(print_inventory, store, tmp_path / "runs", width=300).splitlines()


def test_a_plan_says_what_stored_runs_lack_and_what_needs_none(tmp_path, make_run):
    store = Store(tmp_path / "store")
    for variant in ("base", "no-kl"):
        for seed in range(5):
            about = {"variant": variant, "seed": seed, "scale": "laptop"}
            store.write(make_run({50_000: 7.0}, extra={"time/evaluation_s": [0.0]}, **about))
    run = store.runs(variant="base")[0]
    frame = dict.fromkeys(("encoded", "predicted", "sampled", "squared_error", "divergence"), 0.0)
    store.write_latents(run, pd.DataFrame({"step": [0], **frame}), "someone")
    exhibits = [EXHIBITS[name] for name in ("figure7", "figure8", "table2", "figure14")]
    assert shown(print_plan, exhibits, [], store, "laptop").splitlines()[:4] == [
        "figure7 at laptop scale: 1 of 10 runs stored; 9 more lack predictions, which python -m reproduce "
        "latents measures from their last checkpoints",
        "figure8 at laptop scale: 0 of 20 runs stored; 5 more lack value estimates, which are measured only "
        "during training",
        "table2 at laptop scale: derived from the code alone, without runs",
        "figure14 at laptop scale: has no panel at this scale",
    ]
    why = why_nothing_shown(exhibits[1], coverage(exhibits[1], store, "laptop"))
    assert why == "its runs are stored without value estimates, which are measured only during training"


def test_a_plan_counts_no_time_for_runs_that_have_come_far_enough_already(tmp_path):
    """Their checkpoints are beyond what the table reads; only storing them is missing."""

    def missing(algorithm, reached):
        spec = RunSpec(algorithm=algorithm, task="Hopper", seed=0, scale="paper")
        return Missing((spec,), (reached,), 200_000)

    groups = [missing("sac", 200_000), missing("td3", 0)]
    text = shown(print_plan, [], groups, Store(tmp_path), "paper", workers=2)
    together = re.search(r"Together ([\d.]+) hours", text)[1]
    longest = re.search(r"On 2 cores: .* the longest ([\d.]+) hours", text)[1]
    assert together == longest and float(together) > 0.0


def test_commands_of_a_plan_can_be_pasted(tmp_path):
    """They find the store and the checkpoints that the plan read."""
    missing = Missing((RunSpec(algorithm="sac", task="Hopper", seed=3, scale="paper"),), (0,), 200_000)
    text = shown(print_plan, [], [missing], Store(tmp_path / "my runs"), "paper", runs_dir=tmp_path)
    assert text.splitlines()[-1] == (
        "  python -m reproduce train --algorithm sac --task Hopper --scale paper --seeds 3 --until 200000 "
        f"--runs-dir {tmp_path} --store '{tmp_path}/my runs'"
    )


def test_what_a_figure_takes_is_said_of_scales_at_which_it_shows_nothing(tmp_path, capsys, make_run):
    store = Store(tmp_path / "store")
    for variant in ("base", "no-kl"):
        store.write(make_run({5000: 7.0}, variant=variant, scale="laptop", status="partial"))
    said = []
    for name, code in (("5a", 0), ("5b", 1), ("6", 0), ("14", 1)):
        assert main(["figure", name, "--store", str(store.root), "--out", str(tmp_path)]) == code
        said += capsys.readouterr().out.splitlines()
    none, plan = "none of its runs is stored yet", "python -m reproduce plan"
    assert [line for line in said if not line.startswith("wrote ")] == [
        f"figure5a at paper scale: {none}; 40 of its 40 runs lack 16,000,000 environment steps: "
        f"{plan} figure5a --scale paper",
        f"figure5b at paper scale: {none}; 60 of its 60 runs lack 24,000,000 environment steps: "
        f"{plan} figure5b --scale paper",
        "figure5b at laptop scale: no run of ALM(1), ALM(2), ALM(4), ALM(5) is stored; "
        f"30 of its 30 runs lack 1,500,000 environment steps: {plan} figure5b --scale laptop",
        f"figure14 at paper scale: {none}; 30 of its 30 runs lack 30,000,000 environment steps: "
        f"{plan} figure14 --scale paper",
    ]


def test_a_run_counts_where_all_that_a_figure_reads_of_it_is_stored(tmp_path, make_run):
    """Figure 8 reads two estimates of unchanged ALM; the third of these runs has but one of them."""
    store = Store(tmp_path / "store")
    for seed, estimates in enumerate((("lower_bound", "min_q"), (), ("lower_bound",))):
        run = make_run({50_000: 7.0}, seed=seed, scale="laptop")
        store.write(run)
        columns = ("step", "episode", "episode_step", "monte_carlo", *estimates)
        if estimates:
            store.write_values(run, pd.DataFrame(dict.fromkeys(columns, [1.0])))
    store.write(make_run({5000: 7.0}, seed=3, scale="laptop", status="partial"))
    found = coverage(EXHIBITS["figure8"], store, "laptop")
    assert (found.done, found.unmeasured, found.partial, found.stored) == (1, 2, 3, 4)
