"""Documents carry the store's numbers, not typed ones."""

import json

import pytest
from rich.console import Console

from paper_figures.theory import FIGURES as THEORY_FIGURES
from reproduce.exhibits.catalogue import TABLE1, TABLE1_MBBL, TABLE5
from reproduce.exhibits.claims.verdicts import claims_table
from reproduce.exhibits.code_tables import CODE_TABLES
from reproduce.exhibits.documents import published
from reproduce.exhibits.documents.findings import one_protocol
from reproduce.exhibits.documents.pages import documents, refresh
from reproduce.exhibits.scores import score_table
from reproduce.exhibits.theory import DOCUMENT_TABLES, LONG_TITLES, read, tables
from reproduce.exhibits.writing import markdown, render
from reproduce.lab.algorithms import ALGORITHMS
from reproduce.lab.places import CODE
from reproduce.lab.store import Store


def test_the_committed_documents_agree_with_the_store():
    """If this fails: make documents."""
    for path, text in documents(CODE).items():
        assert text == path.read_text(), f"{path.name} is out of date"


# What docs/performance.md takes from the store and from records of benchmarks.
PERFORMANCE = (
    "alm-update", "where-time-goes", "precision", "baseline-updates", "environment-step", "populations",
    "population-gains", "sizes", "libraries", "gpu", "denormals",
)  # fmt: skip

# What docs/reliability.md takes from records of `make torture` and of failures on a cluster.
TORTURES = ("kills", "damage", "lines", "failures")
FINDINGS = ("one-protocol", "leads", "along", "settled", "ablations", "appendix-g", "beside-alm", "costs")
SCALING = ("engines", "programme", "limits")
THEORY = [name for name in DOCUMENT_TABLES if name not in LONG_TITLES]


@pytest.fixture
def pages(tmp_path):
    """The names of the documents that carry runs, in a repository whose documents are all empty."""
    (tmp_path / "docs" / "algorithms").mkdir(parents=True)
    pages = {"alm_variants", *(algorithm.page for algorithm in ALGORITHMS.values())}
    for page in pages:
        (tmp_path / "docs/algorithms" / f"{page}.md").write_text("<!-- runs:begin --><!-- runs:end -->")
    (tmp_path / "README.md").write_text(
        "a\n<!-- returns:begin --><!-- returns:end -->\n<!-- gallery:begin -->\nold\n<!-- gallery:end -->\nb"
    )
    (tmp_path / "docs" / "index.md").write_text(
        "<!-- gallery:begin --><!-- gallery:end --><!-- returns:begin --><!-- returns:end -->"
    )
    (tmp_path / "docs" / "runs.md").write_text("<!-- stored:begin -->\n<!-- stored:end -->\n")
    (tmp_path / "docs" / "policies.md").write_text("<!-- cards:begin --><!-- cards:end -->")
    (tmp_path / "docs" / "fidelity").mkdir()
    for page, names in (("alm", ["authors"]), ("model_free", ["field", "independent"])):
        marks = "".join(f"<!-- {name}:begin -->\n<!-- {name}:end -->\n" for name in names)
        (tmp_path / "docs" / "fidelity" / f"{page}.md").write_text(marks)
    (tmp_path / "docs" / "fidelity.md").write_text("<!-- references:begin -->\n<!-- references:end -->")
    (tmp_path / "results").mkdir()
    (tmp_path / "docs" / "exhibits.md").write_text("<!-- exhibits:begin -->\n<!-- exhibits:end -->\n")
    marks = "".join(f"<!-- {name}:begin -->\n<!-- {name}:end -->\n" for name in PERFORMANCE)
    (tmp_path / "docs" / "performance.md").write_text(marks)
    tortures = "".join(f"<!-- {name}:begin -->\n<!-- {name}:end -->\n" for name in TORTURES)
    (tmp_path / "docs" / "reliability.md").write_text(tortures)
    marks = "".join(f"<!-- {name}:begin -->\n<!-- {name}:end -->\n" for name in FINDINGS)
    (tmp_path / "docs" / "findings.md").write_text(marks)
    theory = "".join(f"<!-- {name}:begin -->\n<!-- {name}:end -->\n" for name in (*THEORY, "practical"))
    (tmp_path / "docs" / "theory.md").write_text(theory)
    scaling = "".join(f"<!-- {name}:begin -->\n<!-- {name}:end -->\n" for name in SCALING)
    (tmp_path / "docs" / "scaling.md").write_text(scaling)
    return pages


def test_refresh_replaces_the_block_only(tmp_path, pages):
    assert len(refresh(tmp_path)) == 14 + len(pages)
    assert (tmp_path / "docs" / "reliability.md").read_text().count("Not measured") == len(TORTURES)
    assert (tmp_path / "docs" / "performance.md").read_text().count("Not measured") == len(PERFORMANCE)
    assert (tmp_path / "docs" / "theory.md").read_text().count("Not computed") == len(THEORY)
    readme = (tmp_path / "README.md").read_text()
    table1 = one_protocol(Store(tmp_path / "results" / "runs"))
    assert readme == (
        f"a\n<!-- returns:begin -->\n{table1['returns']}\n<!-- returns:end -->\n"
        "<!-- gallery:begin -->\nNo clip of a policy is stored here.\n<!-- gallery:end -->\nb"
    )
    assert refresh(tmp_path) == []
    (tmp_path / "README.md").write_text("no marks")
    with pytest.raises(ValueError, match="lacks the marks"):
        refresh(tmp_path)


def test_variants_stand_beneath_alm_on_the_tasks_that_they_were_trained_on(tmp_path, pages, make_run):
    store = Store(tmp_path / "results" / "runs")
    about = {"scale": "laptop", "provenance": {"command": "python -m reproduce train"}}
    for variant, seed, value in (("no-kl", 0, -5.0), ("base", 0, 10.0), ("base", 1, 30.0)):
        options = {"variant": variant, "seed": seed, "final": {"final/return": value}}
        store.write(make_run({5000: value}, task="HalfCheetah", **options, **about))
    store.write(make_run({5000: 1.0}, task="Hopper", final={"final/return": 1.0}, **about))
    failed = {"status": "failed", "reason": "loss/critic is not finite", "final": {"final/return": 900.0}}
    store.write(make_run({3000: 900.0}, task="HalfCheetah", seed=2, **failed, **about))
    store.write(make_run({3000: 900.0}, task="HalfCheetah", variant="no-value", seed=2, **failed, **about))
    refresh(tmp_path)
    rows = (tmp_path / "docs/algorithms/alm_variants.md").read_text().splitlines()[3:-1]
    assert rows == [
        "| ALM(3) | HalfCheetah | laptop | 0, 1; 1 failed | 5,000 | 20 ± 14 |",
        "| `no-kl` | HalfCheetah | laptop | 0 | 5,000 | -5 |",
        "| `no-value` | HalfCheetah | laptop | 1 failed | – | – |",
    ]


def test_commands_stand_beside_their_seeds_and_where_they_were_stopped(tmp_path, pages, make_run):
    store, train = Store(tmp_path / "results" / "runs"), "python -m reproduce train --algorithm sac"
    for seed, status, step, options in (
        (0, "partial", 200_000, ""),
        (1, "partial", 200_000, ""),
        (2, "done", 300_000, ""),
        (3, "partial", 200_000, " --until 200000"),
        (4, "partial", 200_000, " --until=250000"),
        (5, "failed", 5000, ""),
    ):
        about = {"status": status, "reason": "loss is not finite" if status == "failed" else None}
        provenance = {"command": f"{train}{options}"}
        store.write(make_run({step: 1.0}, algorithm="sac", seed=seed, provenance=provenance, **about))
    store.write(make_run({300_000: 1.0}, algorithm="sac", task="Hopper", provenance={"command": train}))
    refresh(tmp_path)
    lines = (tmp_path / "docs/algorithms/sac.md").read_text().splitlines()
    (cheetah,), (hopper,) = ([line for line in lines if task in line] for task in ("HalfCheetah", "Hopper"))
    assert cheetah.split(" | ")[-1].removesuffix(" |").split("; ") == [
        f"seeds 0 1: `{train}` (stopped: `--until 200000`)",
        f"seeds 2 5: `{train}`",
        f"seed 3: `{train} --until 200000`",
        f"seed 4: `{train} --until=250000` (stopped: `--until 200000` instead of 250000)",
    ]
    assert hopper.endswith(f" | `{train}` |")


def test_a_page_shows_the_curves_that_are_drawn(tmp_path, pages):
    figures = tmp_path / "results" / "figures"
    figures.mkdir()
    for name in ("curves-svg-laptop.png", "curves-svg-mbbl.png", "curves-sac_svg.png"):
        (figures / name).touch()
    refresh(tmp_path)
    shown = [line for line in (tmp_path / "docs/algorithms/svg.md").read_text().splitlines() if "![" in line]
    folder = "../../results/figures"
    assert shown == [
        f"![Stored runs on tasks of Wang et al. (2019), paper scale]({folder}/curves-svg-mbbl.png)",
        f"![Stored runs, laptop scale]({folder}/curves-svg-laptop.png)",
    ]


def test_seeds_of_alm_are_tested_against_the_authors_at_the_same_training_step(tmp_path, pages, make_run):
    """Of five seeds they have -179.2 ± 74.9 after 5000 training steps, which are 10,000 environment steps."""
    store, about = Store(tmp_path / "results" / "runs"), {"provenance": {"command": "make train"}}
    for variant, values in (("base", (757.0,)), ("base+bf16", (-368.0, -168.0))):
        for seed, value in enumerate(values):
            run = {"variant": variant, "seed": seed, "final": {"final/return": value}}
            store.write(make_run({5000: 0.0, 10_000: value}, **run, **about))
    refresh(tmp_path)
    lines = (tmp_path / "docs/fidelity/alm.md").read_text().splitlines()
    assert [line for line in lines if line.startswith("| HalfCheetah")][:3] == [
        "| HalfCheetah | float32 | 5,000 | 0 | -179 ± 75 | 757 | +12.5 |",
        "| HalfCheetah | bf16 | 5,000 | 0 | -179 ± 75 | -368 | -2.5 |",
        "| HalfCheetah | bf16 | 5,000 | 1 | -179 ± 75 | -168 | +0.1 |",
    ]
    # scipy.stats.ttest_ind_from_stats(-268, 100 * 2**0.5, 2, -179.2, 74.9, 5, equal_var=False)
    (test,) = (line for line in lines if "(2 seeds)" in line)
    assert test.startswith("| HalfCheetah | bf16 | 5,000 | -179 ± 75 | -268 ± 141 (2 seeds) | -89 [")
    assert test.endswith("| 0.532 |")


def test_bf16_stands_beside_float32_at_the_last_step_that_both_have(tmp_path, pages, make_run):
    store, about = Store(tmp_path / "results" / "runs"), {"task": "HalfCheetah", "scale": "laptop"}
    about |= {"provenance": {"command": "make train"}, "final": {"final/return": 0.0}}
    for variant, values in (("base", (10.0, 30.0)), ("base+bf16", (35.0, 45.0))):
        for seed, value in enumerate(values):
            returns = {5000: value, 6000: 0.0} if variant == "base" else {5000: value}
            store.write(make_run(returns, variant=variant, seed=seed, **about))
    refresh(tmp_path)
    (row,) = (line for line in performance(tmp_path) if line.startswith("| HalfCheetah"))
    cells = "20 [10, 30], 2 seeds | 40 [35, 45], 2 seeds | +20 [+5, +35] | 1.00 [1.00, 1.00]"
    assert row == f"| HalfCheetah | 5,000 | {cells} |"


def test_runs_in_bf16_that_failed_are_no_measurement(tmp_path, pages, make_run):
    failed = {"status": "failed", "reason": "loss/critic is not finite"}
    store = Store(tmp_path / "results" / "runs")
    store.write(make_run({5000: 1.0}, task="HalfCheetah", scale="laptop", variant="base+bf16", **failed))
    refresh(tmp_path)
    assert "Not measured: no run in bf16 is stored at this scale." in performance(tmp_path)


def performance(repository):
    return (repository / "docs" / "performance.md").read_text().splitlines()


def test_the_committed_tables_agree_with_the_store(tmp_path):
    """If this fails: make documents."""
    store, quiet = Store(CODE / "results" / "runs"), Console(quiet=True)
    for exhibit in (TABLE1, TABLE1_MBBL, TABLE5):
        render(score_table(exhibit, store), tmp_path, quiet)
    for table in CODE_TABLES.values():
        render(table(store), tmp_path, quiet)
    for scale in ("paper", "laptop"):
        render(claims_table(store, scale), tmp_path, quiet)
    written = sorted(path.name for path in tmp_path.iterdir())
    assert len(written) == 3 * (3 + len(CODE_TABLES) + 2)
    for name in written:
        assert (tmp_path / name).read_bytes() == (CODE / "results" / "tables" / name).read_bytes(), name


def test_the_committed_tables_and_figures_of_the_theory_agree_with_its_rows():
    """If this fails: python -m reproduce theory --out results/theory, then make documents."""
    folder, figures = CODE / "results" / "theory", CODE / "results" / "figures"
    for name, table in tables(read(folder)).items():
        assert markdown(table) == (folder / f"{name}.md").read_text(), name
    for name in THEORY_FIGURES:
        assert (figures / f"{name}.csv").read_bytes() == (folder / f"{name}.csv").read_bytes(), name


def test_sac_stands_beside_that_of_another_library_up_to_where_all_its_seeds_are(tmp_path, make_run):
    store, records = Store(tmp_path / "runs"), tmp_path / "records"
    records.mkdir()
    text = published.blocks(store, records)["docs/fidelity/model_free.md", "independent"]
    assert text.startswith("Not measured")
    for seed, value in enumerate((100.0, 300.0)):
        curve = {9500: 0.0, 10_000: value, 20_000: 9.0}
        store.write(make_run(curve, algorithm="sac", task="T-Ant", seed=seed, scale="paper"))
    theirs = {"0": [[9500, 200.0], [10_000, 500.0]], "1": [[9500, 0.0], [10_000, 700.0], [20_000, 1.0]]}
    record = {"task": "T-Ant", "library": "sbx-rl==0.28.0", "results": theirs}
    (records / "independent_T-Ant.json").write_text(json.dumps(record))
    header, _, last, window = published.blocks(store, records)[
        "docs/fidelity/model_free.md", "independent"
    ].splitlines()
    assert "| library | return | SAC, here | SAC, the library's |" in header
    # scipy.stats.ttest_ind([100, 300], [500, 700], equal_var=False).pvalue is 0.106.
    assert last.startswith("| T-Ant | 10,000 | sbx-rl 0.28.0 | last evaluation | 200 ± 141 (100, 300) |")
    assert last.endswith("| 600 ± 141 (500, 700) | 0.106 |")
    assert "| mean over the last tenth | 100 ± 71 (50, 150) | 350 ± 0 (350, 350) |" in window
