"""Table 1 from synthetic runs: numbers worked out by hand, nothing mixed, nothing hidden."""

import io
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from alm.task_registry import TASKS
from reproduce.exhibits import writing
from reproduce.exhibits.catalogue import TABLE1, TABLE1_MBBL, TABLE5
from reproduce.exhibits.claims.statements import CLAIMS
from reproduce.exhibits.scores import score_table
from reproduce.exhibits.table import Block, Row, Score, Table
from reproduce.exhibits.writing import escape_latex
from reproduce.lab.places import CODE
from reproduce.lab.published import Footnote, printed_rows, printed_scores
from reproduce.lab.store import Store, StoreWarning


def curve(final, *, before=0.0, last=200_000):
    """Evaluations every 5000 steps: ``before`` at each, ``final`` at the last."""
    return {step: before for step in range(5000, last, 5000)} | {last: final}


def render_table(exhibit, store_root, out, console, **options):
    table = score_table(exhibit, Store(store_root), **options)
    writing.render(table, out, console)
    return table.frame


@pytest.fixture
def render(tmp_path):
    def render(runs, width=120):
        store = Store(tmp_path / "runs")
        for run in runs:
            store.write(run)
        console = Console(width=width, file=io.StringIO())
        frame = render_table(TABLE1, tmp_path / "runs", tmp_path / "tables", console)
        files = {
            suffix: (tmp_path / f"tables/table1.{suffix}").read_text() for suffix in ("md", "csv", "tex")
        }
        return frame, console.file.getvalue(), files

    return render


def cell(frame, task="HalfCheetah", scale="paper", algorithm="ALM(3)"):
    found = frame[
        (frame["block"] == "measured")
        & (frame["task"] == task)
        & (frame["scale"] == scale)
        & (frame["algorithm"] == algorithm)
    ]
    (record,) = found.to_dict("records")
    return record


def measured(markdown, scale="paper", label="ALM(3)"):
    """The Markdown cells of a measured row, by task."""
    block = re.search(rf"## Measured · {scale} scale.*?(?=\n## )", markdown, re.S).group()
    lines = [line.strip("|").split("|") for line in block.splitlines() if line.startswith("|")]
    (row,) = [line for line in lines if line[0].strip() == label]
    return dict(zip([task.strip() for task in lines[0][1:]], [text.strip() for text in row[1:]], strict=True))


def test_a_complete_cell(make_run, render):
    # Finals 100 and 130: mean 115, deviation sqrt(450) = 21.21. Four evaluations lie in (180k, 200k], three
    # of them at 50 and 70: window means 62.5 and 85, their mean 73.75, deviation 22.5 / sqrt(2) = 15.91.
    finals = [(100, 50), (130, 70)]
    frame, terminal, files = render(
        [make_run(curve(final, before=before), seed=seed) for seed, (final, before) in enumerate(finals)]
    )
    record = cell(frame)
    assert (record["mean"], record["seeds"], record["step"], record["status"]) == (
        115,
        2,
        200_000,
        "complete",
    )
    assert record["std"] == pytest.approx(21.2132, abs=1e-4)
    assert record["window_mean"] == 73.75
    assert record["window_std"] == pytest.approx(15.9099, abs=1e-4)
    assert (record["protocol"], record["source"]) == ("v2-gymnasium1.4.0-mujoco4.0.0", "measured")

    assert measured(files["md"])["HalfCheetah"] == "115 ± 21 (2 of 5 seeds, 200k steps)<br>w 74 ± 16"
    assert "115 ± 21 (2/5)" in terminal
    assert "w 74±16" in terminal
    assert r"115 $\pm$ 21\\2/5 seeds\\w 74 $\pm$ 16\end{tabular}" in files["tex"]
    csv = pd.read_csv(io.StringIO(files["csv"]), keep_default_na=False)
    row = csv[(csv["block"] == "measured") & (csv["task"] == "HalfCheetah") & (csv["algorithm"] == "ALM(3)")]
    assert row[["mean", "std", "window_mean"]].to_numpy().tolist() == [["115", "21.2132", "73.75"]]


def test_the_paper_scale_is_read_at_200k_even_of_longer_runs(make_run, render):
    returns = curve(100) | {205_000: 999.0, 300_000: 9999.0}
    # A run that failed later has been at 200k all the same.
    frame, _, _ = render(
        [make_run(returns), make_run(returns, seed=1, status="failed", reason="non-finite gradient norm")]
    )
    record = cell(frame)
    assert (record["mean"], record["seeds"], record["step"], record["failed"]) == (100, 2, 200_000, 0)


def test_all_seeds_make_a_cell_without_remark(make_run, render):
    _, terminal, files = render([make_run(curve(100 + seed), seed=seed) for seed in range(5)])
    assert measured(files["md"])["HalfCheetah"].startswith("102 ± 2 (5 seeds, 200k steps)")
    assert "102 ± 2 (5)" in terminal


def test_a_partial_cell_says_how_far_it_got(make_run, render):
    frame, terminal, files = render(
        [make_run({5000: 1.0, 17_000: 4215.0}, task="T-Ant", status="partial")], width=100
    )
    record = cell(frame, "T-Ant")
    assert (record["mean"], record["seeds"], record["step"], record["status"]) == (4215, 1, 17_000, "partial")
    assert pd.isna(record["std"])
    assert measured(files["md"])["T-Ant"] == "4215 (1 of 5 seeds, 17k of 200k steps)<br>w 4215"
    assert "1 of 5 seeds" in terminal
    assert "17k of 200k steps" in terminal


def test_unfinished_seeds_are_read_where_all_have_been(make_run, render):
    short, long = {5000: 10.0, 10_000: 20.0}, {5000: 1.0, 10_000: 40.0, 15_000: 999.0}
    frame, _, _ = render([make_run(short, status="partial"), make_run(long, seed=1, status="partial")])
    record = cell(frame)
    assert (record["mean"], record["seeds"], record["step"], record["unfinished"]) == (30, 2, 10_000, 0)
    assert record["source"] == "measured, partial: 10k of 200k steps"


def test_unfinished_and_failed_seeds_are_not_pooled_with_finished_ones_but_counted(make_run, render):
    frame, _, files = render(
        [
            make_run(curve(100)),
            make_run(curve(7, last=100_000), seed=1, status="partial"),
            make_run(curve(8, last=100_000), seed=2, status="failed", reason="non-finite gradient norm"),
        ]
    )
    record = cell(frame)
    assert (record["mean"], record["seeds"], record["unfinished"], record["failed"]) == (100, 1, 1, 1)
    assert measured(files["md"])["HalfCheetah"].startswith(
        "100 (1 of 5 seeds, 200k steps, 1 unfinished, 1 failed)"
    )


def test_only_failed_runs_are_not_called_missing(make_run, render):
    frame, _, files = render([make_run(curve(8, last=50_000), status="failed", reason="killed")])
    assert cell(frame)["source"] == "failed"
    assert measured(files["md"])["HalfCheetah"] == "1 failed"


def test_missing_cells_say_missing(render):
    frame, terminal, files = render([])
    rows = frame[(frame["block"] == "measured") & (frame["algorithm"] != "SLBO")]
    assert len(rows) == 35
    assert set(rows["source"]) == {"missing"}
    assert rows["mean"].isna().all()
    block = terminal[terminal.index("Measured · paper") : terminal.index("Measured cells:")]
    assert block.count("missing") == 35
    for row in ("ALM(3)", "SAC-SVG(2)", "SAC-SVG(3)", "SVG(1)", "TD3", "SAC"):
        assert set(measured(files["md"], label=row).values()) == {"missing"}
    assert "measured,TD3,Hopper,Hopper,,,,5,,200000,paper,,,,missing,0,0,0,missing,\n" in files["csv"]


def test_what_cannot_be_trained_on_the_tasks_is_not_missing(render):
    """SLBO on the paper's tasks: a dash, with a footnote that sends the reader to the tasks where it can."""
    frame, terminal, files = render([])
    rows = frame[(frame["block"] == "measured") & (frame["algorithm"] == "SLBO")]
    assert rows["mean"].isna().all() and set(rows["footnotes"]) == {"slbo-needs-rewards"}
    (line,) = re.findall(r"^\| SLBO<sup>(\w)</sup> \| – \| – \| – \| – \| – \|$", files["md"], re.MULTILINE)
    assert f"- **{line}** (protocol) SLBO plans with the task's own reward" in files["md"]
    assert "table1-mbbl" in " ".join(terminal.split())
    table = score_table(TABLE1_MBBL, Store(Path("/nowhere")))
    own = [one for one in table.scores if (one.block, one.algorithm) == ("measured", "SLBO")]
    assert {one.status for one in own} == {"missing"} and not any(one.footnotes for one in own)


def test_scales_and_protocols_stand_apart(make_run, render):
    old = "v2-gymnasium1.3.0-mujoco3.3.0"
    frame, _, files = render(
        [
            make_run(curve(100)),
            make_run(curve(300), seed=1, protocol=old),
            make_run({25_000: 50.0, 50_000: 60.0}, scale="laptop"),
        ]
    )
    found = frame[(frame["algorithm"] == "ALM(3)") & (frame["column"] == "HalfCheetah")]
    assert found[["block", "scale", "protocol", "mean", "seeds"]].to_numpy().tolist() == [
        ["printed", "", "HalfCheetah-v2 (gym 0.17.2; MuJoCo 1.50)", 10789, 5],
        ["released", "", "", 10548.1, 5],
        ["measured", "paper", old, 300, 1],
        ["measured", "paper", "v2-gymnasium1.4.0-mujoco4.0.0", 100, 1],
        ["measured", "laptop", "v2-gymnasium1.4.0-mujoco4.0.0", 60, 1],
    ]
    assert re.findall("^## (.*)$", files["md"], re.M) == [
        "Printed in the paper",
        "Released by the authors · read at 200k environment steps, their logged 195k",
        f"Measured · paper scale · read at 200k steps · {old}",
        "Measured · paper scale · read at 200k steps · v2-gymnasium1.4.0-mujoco4.0.0",
        "Measured · laptop scale · read at 50k steps · v2-gymnasium1.4.0-mujoco4.0.0",
        "Footnotes",
    ]


def test_other_scales_are_read_at_the_end_of_their_runs(make_run, render):
    frame, terminal, files = render(
        [
            make_run({25_000: 50.0, 50_000: 60.0}, scale="laptop"),
            make_run({10_000: 70.0}, scale="laptop", seed=1, status="partial"),
            # Finished, but after fewer steps than the scale's: not the same experiment.
            make_run({8000: 90.0}, scale="laptop", task="T-Ant"),
        ]
    )
    record = cell(frame, scale="laptop")
    assert (record["mean"], record["step"], record["unfinished"]) == (60, 50_000, 1)
    assert cell(frame, "T-Ant", "laptop")["status"] == "partial"
    assert "laptop scale · read at 50k steps" in terminal
    assert measured(files["md"], "laptop")["T-Ant"].startswith("90 (1 of 5 seeds, 8k of 50k steps)")


def test_an_evaluation_before_the_step_is_named(make_run, render):
    frame, terminal, files = render([make_run({199_000: 5.0, 201_000: 99.0})])
    assert (cell(frame)["mean"], cell(frame)["step"]) == (5, 199_000)
    assert "at 199k steps" in terminal
    assert "5 (1 of 5 seeds, 199k steps)" in measured(files["md"])["HalfCheetah"]


def test_runs_of_an_unknown_scale_are_reported(make_run, render):
    with pytest.warns(StoreWarning, match="alm/base HalfCheetah mine seed 0 is not shown"):
        frame, _, _ = render([make_run(curve(5), scale="mine")])
    assert set(frame["scale"]) == {"", "paper"}


def test_variants_and_other_tasks_do_not_enter(make_run, render):
    frame, _, _ = render([make_run(curve(5), variant="no-kl"), make_run(curve(5), task="Ant")])
    assert set(frame[frame["block"] == "measured"]["status"]) == {"missing", "absent"}


def test_the_printed_block_is_the_paper_as_printed(render):
    frame, terminal, files = render([])
    printed = frame[frame["block"] == "printed"]
    expected = [(cell.algorithm, cell.task, cell.mean, cell.std) for cell in printed_scores(1)]
    columns = ["algorithm", "column", "mean", "std"]
    assert list(printed[columns].itertuples(index=False, name=None)) == expected
    for digits in ("5306 ± 437", "811.8 ± 241", "147 ± 0.7", "-516 ± 812", "788 ± 977"):
        assert digits in terminal
        assert digits in files["md"]
    assert r"$-$516 $\pm$ 812" in files["tex"]
    assert "printed,SVG(1),T-Humanoid,mbbl/Humanoid-ET,811.8,241," in files["csv"]
    # Over how many seeds others' rows are, the paper does not say.
    ours = printed["algorithm"] == "ALM(3)"
    assert set(printed.loc[ours, "seeds"]) == {5} and printed.loc[~ours, "seeds"].isna().all()


def test_a_number_is_of_the_task_that_it_was_measured_on(tmp_path):
    """Whatever column it stands in: filtered by task, no number is of another one."""
    nothing = Store(tmp_path)
    for exhibit in (TABLE1, TABLE1_MBBL, TABLE5):
        frame = score_table(exhibit, nothing).frame
        assert [*dict.fromkeys(frame["column"])] == [task.rpartition("/")[2] for task in exhibit.tasks]
        printed = frame[(frame["block"] == "printed") & frame["mean"].notna()]
        ours = printed["algorithm"].str.startswith("ALM")
        # Logged step 200k of the authors, and their 5000 random steps.
        assert set(printed.loc[ours, "step"]) == {205_000} and set(printed.loc[~ours, "step"]) == {200_000}
        assert set(printed.loc[ours, "task"]) <= {*TABLE1.tasks}
        of_mbbl = printed["protocol"].str.contains("mbbl")
        assert printed.loc[of_mbbl, "task"].str.startswith("mbbl/").all()
        assert set(printed["task"]) <= {*TASKS, "unknown"}
    mbbl = score_table(TABLE1_MBBL, nothing).frame.query("block == 'printed'").set_index("algorithm")
    assert mbbl.loc["ALM(3)", "task"].tolist() == [*TABLE1.tasks]
    assert mbbl.loc["SVG(1)", "task"].tolist() == [*TABLE1_MBBL.tasks]
    assert mbbl.loc["SAC", "task"].tolist() == [
        "unknown", "mbbl/Ant", "mbbl/HalfCheetah", "mbbl/Walker2d", "mbbl/Hopper"
    ]  # fmt: skip


def test_windows_of_the_printed_rows_come_from_the_authors_scores(render):
    frame, _, files = render([])
    windows = frame[frame["block"] == "printed"].set_index(["algorithm", "task"])["window_mean"].dropna()
    # T-Ant: the mean of the logged evaluations at 185k, 190k, 195k and 200k in authors_curves.csv.
    assert windows[("ALM(3)", "T-Ant")] == pytest.approx(4880.55)
    assert sorted(task for _, task in windows.index) == ["HalfCheetah", "T-Ant", "T-Humanoid", "Walker2d"]
    assert "4887 ± 1027<br>w 4881 |" in files["md"]
    # The released scores are those of unchanged ALM, not of ALM-ENT(3).
    printed = score_table(TABLE5, Store(Path("/nowhere")), measured=False).scores
    assert {one.algorithm for one in printed if one.window()} == {"ALM(3)"}


def test_footnotes_of_known_misprints_are_printed(render):
    _, terminal, files = render([])
    for text in (files["md"], files["tex"].replace(r"$\pm$", "±")):
        for words in ("4177 ± 1017", "1954 ± 1773", "164.5 ± 1318.6", "788.3 ± 738.2", "501 ± 307"):
            assert words in text
    assert "copying slip: POPLIN prints 164.5 ± 1318.6" in terminal
    # The marker at the cell is the letter of the list.
    letter = re.search(r"166 ± 1318<sup>[a-z,]*?([a-z])</sup>", files["md"]).group(1)
    assert re.search(rf"^- \*\*{letter}\*\* \(misprint\) .*164\.5 ± 1318\.6", files["md"], re.M)


def test_one_title_stands_above_the_blocks_and_their_explanation_beneath(render):
    _, printed, files = render([])
    title = "Table 1: Mean evaluation return; the paper reads it at 200k environment steps"
    assert files["md"].startswith(f"# {title}\n\n## Printed in the paper\n")
    order = [files["md"].index(words) for words in ("## Measured", "Measured cells: mean", "## Footnotes")]
    assert order == sorted(order)
    assert printed.startswith(f"{title}\n\nPrinted in the paper") and printed.count(title) == 1
    assert rf"\caption{{{title}}}" in files["tex"]
    order = [files["tex"].index(words) for words in (r"\end{longtable}", "Measured cells: mean", "{a}")]
    assert order == sorted(order)


def test_every_marker_is_explained(render):
    _, _, files = render([])
    marked = set("".join(re.findall(r"<sup>(.*?)</sup>", files["md"])).replace(",", ""))
    explained = re.findall(r"^- \*\*([a-z])\*\*", files["md"], re.M)
    assert sorted(marked) == explained == [chr(ord("a") + index) for index in range(len(explained))]


def test_after_z_footnotes_have_two_letters():
    notes = [Footnote(str(number), "caveat", f"short {number}", f"Full {number}.") for number in range(28)]
    cells = (
        Score("printed", "A", "", 1.0, footnotes=tuple(of), status="printed")
        for of in (notes[:26], notes[26:])
    )
    table = Table("t", "Title", ("", "x", "y"), (Block("", (Row("A", tuple(cells)),)),))
    console = Console(width=120, file=io.StringIO())
    writing.terminal(table, console)
    assert "ʸᶻ  1ᵃᵃ,ᵃᵇ\n" in console.file.getvalue() and "\nab short 27\n" in console.file.getvalue()
    assert "y,z</sup> | 1<sup>aa,ab</sup> |" in writing.markdown(table)
    assert "- **ab** (caveat) Full 27." in writing.markdown(table)
    assert r"\textsuperscript{ab} Full 27.\par" in writing.latex(table)


def test_seeds_of_different_configurations_are_not_pooled_and_cost_their_cell_alone(make_run, render):
    runs = [make_run(curve(100 + seed), seed=seed) for seed in range(3)]
    other = make_run(curve(100), seed=3, config={"agent": {"horizon": 7}})
    with pytest.warns(StoreWarning, match="configurations differ .agent.horizon, layers."):
        frame, text, files = render([*runs, other, make_run(curve(50.0), task="Hopper")])
    assert cell(frame)["status"] == "unpooled" and cell(frame, "Hopper")["mean"] == 50.0
    assert measured(files["md"])["HalfCheetah"] == "unpooled"
    assert "one whose seeds differ in configuration unpooled" in " ".join(text.split())


def test_the_same_store_gives_the_same_bytes(make_run, render, tmp_path):
    runs = [make_run(curve(100 + seed), seed=seed) for seed in range(3)]
    _, _, first = render(runs)
    _, _, second = render([], width=80)
    assert first == second
    assert all(text.endswith("\n") and not text.endswith("\n\n") for text in first.values())
    assert str(tmp_path) not in "".join(first.values())


@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_terminal_table_fits(make_run, render, width):
    runs = [
        make_run(curve(10789 + 900 * seed, before=10_000 + 999 * seed), task=task, seed=seed)
        for task in ("T-Ant", "HalfCheetah", "Walker2d")
        for seed in range(5)
    ]
    partial = make_run({17_000: 4215.0}, task="Hopper", status="partial")
    _, terminal, _ = render([*runs, partial], width=width)
    *lines, where = terminal.splitlines()
    assert max(map(len, lines)) <= width
    assert where.startswith("Full footnotes: ")  # a path is not broken
    assert "…" not in terminal
    plus_minus = "±" if width == 80 else " ± "
    assert f"12589{plus_minus}1423" in terminal


def test_seeds_that_are_missing_break_no_cell_of_a_narrow_terminal(make_run, render):
    """Each of five columns has three of five seeds, so that numbers and seeds together are too wide."""
    runs = [
        make_run(curve(10789 + 900 * seed, before=10_000 + 999 * seed), task=task, seed=seed)
        for task in ("T-Humanoid", "T-Ant", "HalfCheetah", "Walker2d", "Hopper")
        for seed in range(3)
    ]
    _, terminal, _ = render(runs, width=80)
    assert terminal.count("3/5 seeds") == 5 and "11689±900 " in terminal
    _, terminal, _ = render([], width=120)
    assert terminal.count("11689 ± 900 (3/5)") == 5


def test_latex_is_plain_and_balanced(make_run, render):
    _, _, files = render([make_run(curve(100))])
    tex = files["tex"]
    assert tex.isascii()
    unescaped = re.sub(r"\\[&%$#_{}\\]", "", tex)
    depth = 0
    for character in unescaped:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    assert unescaped.count("$") % 2 == 0
    assert not re.search(r"[_#^]", unescaped)
    for kind in ("longtable", "tabular"):
        assert tex.count(rf"\begin{{{kind}}}") == tex.count(rf"\end{{{kind}}}") > 0
    assert tex.count(r"\begingroup") == tex.count(r"\endgroup") == 1
    assert tex.count(r"T-Humanoid & T-Ant") == 2, "the header of the first page and of all others"
    body = tex[tex.index(r"\endfoot") : tex.index(r"\end{longtable}")]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    # Seven printed rows, one released, and eight measured.
    assert len(rows) == 7 + 1 + 8
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {5}


def test_cells_in_latex_are_hardly_wider_than_their_numbers(make_run, render):
    """As narrow terminals have them: five columns must fit on a page."""
    _, _, files = render(
        [
            make_run({5000: 1.0, 17_000: 4215.0}, task="T-Ant", status="partial"),
            make_run({199_000: 5.0, 201_000: 99.0}, task="Hopper"),
            make_run(curve(8, last=50_000), task="Walker2d", status="failed", reason="killed"),
        ]
    )
    block = files["tex"][files["tex"].index("Measured $\\cdot$ paper scale") :]
    (row,) = [line for line in block.splitlines() if line.startswith("ALM(3) &")]
    lines, end = r"\begin{tabular}[t]{@{}r@{}}", r"\end{tabular}"
    assert row == (
        rf"ALM(3) & missing & {lines}4215\\1/5 seeds\\17k of 200k\\w 4215{end} & missing & 1 failed & "
        rf"{lines}5\\1/5 seeds\\at 199k\\w 5{end} \\"
    )
    released = files["tex"][files["tex"].index("Released by the authors") :].splitlines()[1]
    assert rf"{lines}5231 $\pm$ 271\\5 seeds\\w 5076{end}" in released


def test_columns_of_text_in_latex_share_the_width_of_a_page():
    def shares(*rows):
        texts = writing.latex(
            Table.of_texts("t", "T", [dict(zip("ab", row, strict=True)) for row in rows], ())
        )
        return [float(share) for share in re.findall(r"p\{\\dimexpr([\d.]+)\\linewidth", texts)]

    assert shares(("word", "word")) == [0.5, 0.5]
    assert shares(("word", "many words " * 20)) == [0.04, 0.96]
    # Where columns without broken words are too wide for a page, by the longest words.
    assert shares(("w" * 50, "w" * 150)) == [0.25, 0.75]


def test_commands_and_options_in_latex_can_be_copied(make_run, render):
    """An option's dashes would become one en dash; between backticks is code."""
    assert escape_latex("plan figure5a --scale laptop") == r"plan figure5a \texttt{-{}-scale} laptop"
    assert escape_latex("by `compare --metric a_b`, 2--3 -1 – x") == (
        r"by \texttt{compare -{}-metric a\_\allowbreak{}b}, 2--3 $-$1 -- x"
    )
    _, _, files = render([])
    assert r"\texttt{-{}-variant quarter}" in files["tex"] and "`" not in files["tex"].replace("``", "")


def test_latex_needs_no_letters_that_pdflatex_lacks():
    texts = [claim.says for claim in CLAIMS] + [
        text for number in (2, 3, 4) for row in printed_rows(number) for text in row.values()
    ]
    texts += ["bias of ALM(3) = −0.71 [-0.74, -0.68], 4.35× the time; σ ≤ ∞", "17 → 512 ELU"]
    assert all(escape_latex(text).isascii() for text in texts)
    assert escape_latex("-0.71 [-0.74, +0.68], two-sided") == "$-$0.71 [$-$0.74, +0.68], two-sided"


def test_a_corrupt_run_is_reported_and_its_cell_is_missing(make_run, render, tmp_path):
    path = Store(tmp_path / "runs").write(make_run(curve(100)))
    path.write_bytes(b"PAR1 and no more")
    with pytest.warns(StoreWarning, match=re.escape(str(path))):
        frame, _, _ = render([])
    assert cell(frame)["source"] == "missing"


def test_the_frame_alone_writes_nothing(make_run, tmp_path):
    Store(tmp_path / "runs").write(make_run(curve(100)))
    frame = score_table(TABLE1, Store(tmp_path / "runs")).frame
    assert cell(frame)["mean"] == 100
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


def test_reading_imports_no_learning_or_simulation(make_run, tmp_path):
    Store(tmp_path / "runs").write(make_run(curve(100)))
    script = (
        "import sys\nfrom pathlib import Path\nfrom rich.console import Console\n"
        "from reproduce.exhibits.catalogue import TABLE1\nfrom reproduce.exhibits.scores import score_table\n"
        "from reproduce.exhibits.writing import render\nfrom reproduce.lab.store import Store\n"
        f"root = Path({str(tmp_path)!r})\n"
        "table = score_table(TABLE1, Store(root / 'runs'))\n"
        "render(table, root / 'tables', Console(quiet=True))\n"
        "heavy = {'torch', 'mujoco', 'gymnasium', 'mlflow', 'matplotlib', 'scipy'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], cwd=CODE, capture_output=True, text=True, check=True
    )
    assert result.stdout == "[]\n"
    assert (tmp_path / "tables/table1.md").exists()


def test_table1_mbbl_measures_every_row_on_the_tasks_of_its_baselines(make_run, tmp_path):
    """The same printed numbers above; measured are runs on mbbl tasks only."""
    store, console = Store(tmp_path / "runs"), Console(width=120, file=io.StringIO())
    store.write(make_run(curve(100)))
    store.write(make_run(curve(700), task="mbbl/Hopper-ET", protocol="mbbl-test"))
    frame = render_table(TABLE1_MBBL, store.root, tmp_path, console)
    measured = frame[(frame["block"] == "measured") & frame["mean"].notna()]
    assert measured[["task", "mean", "protocol"]].to_numpy().tolist() == [
        ["mbbl/Hopper-ET", 700, "mbbl-test"]
    ]
    printed = frame[(frame["block"] == "printed") & (frame["algorithm"] == "SLBO")].set_index("task")["mean"]
    assert printed["mbbl/Humanoid-ET"] == 1377 and printed["mbbl/Hopper-ET"] == 805
    text = (tmp_path / "table1-mbbl.md").read_text()
    assert "## Printed in the paper · on the tasks that footnotes name\n" in text
    assert "| | Humanoid-ET | Ant-ET | HalfCheetah | Walker2d-ET | Hopper-ET |" in text
    assert "100 (" not in text


def test_the_printed_table_alone(make_run, tmp_path):
    store = Store(tmp_path / "runs")
    store.write(make_run(curve(100)))
    frame = render_table(TABLE1, store.root, tmp_path, Console(quiet=True), measured=False)
    assert set(frame["block"]) == {"printed"}
    assert "Measured cells" not in (tmp_path / "table1-printed.md").read_text()
    assert sorted(path.name for path in tmp_path.glob("table1*")) == [
        "table1-printed.csv", "table1-printed.md", "table1-printed.tex"
    ]  # fmt: skip


def test_a_row_of_paper_scale_alone_makes_no_block_of_another(tmp_path, make_run):
    store = Store(tmp_path)
    store.write(make_run({50_000: 1.0}, variant="quarter", scale="laptop"))
    titles = [block.title for block in score_table(TABLE1, store).blocks]
    assert titles[-1].startswith("Measured · paper scale") and len(titles) == 3


def test_the_authors_released_curves_are_read_where_runs_are():
    """From the row of 195,000 logged steps in authors_curves.csv, with the 5000 random steps."""
    table = score_table(TABLE1, Store(Path("/nowhere")))
    released = {one.task: one for one in table.scores if one.block == "released"}
    ant = released["T-Ant"]
    assert (ant.algorithm, ant.mean, ant.std, ant.seeds, ant.step) == ("ALM(3)", 5073.7, 350.7, 5, 200_000)
    assert ant.basis == "(5 seeds, 200k steps)" and released["Hopper"].number() == "–"
    elsewhere = score_table(TABLE1_MBBL, Store(Path("/nowhere")))
    assert "released" not in {one.block for one in elsewhere.scores}
    assert "Released cells" in " ".join(table.notes) and "Released cells" not in " ".join(elsewhere.notes)


def test_a_table_without_unchanged_alm_has_no_block_of_released_curves():
    """The authors' curves are ALM's; a block without rows could not be laid out."""
    one = replace(TABLE1, series=tuple(row for row in TABLE1.series if row.label == "TD3"))
    table = score_table(replace(one, number=None), Store(Path("/nowhere")))
    assert [block.title.partition(" · ")[0] for block in table.blocks] == ["Measured"]
    assert "| TD3 | missing |" in writing.markdown(table)


def test_what_others_published_is_read_at_their_last_evaluation_until_the_paper_s_step():
    """From the rows of field_curves.csv: ten seeds of SAC at 199,992 steps, of CrossQ at 192,000."""
    table = score_table(TABLE1, Store(Path("/nowhere")), context=True)
    assert table.name == "table1-context"
    published = {(one.algorithm, one.task): one for one in table.scores if one.block == "published"}
    sac, crossq = published["SAC", "HalfCheetah-v4"], published["CrossQ", "Ant-v4"]
    assert (sac.mean, sac.seeds, sac.step) == (pytest.approx(7679.4), 10, 199_992)
    assert sac.std == pytest.approx(898.1953, abs=1e-4)
    assert (crossq.mean, crossq.seeds, crossq.step) == (pytest.approx(4918.8), 10, 192_000)
    # BRO evaluates at the step itself.
    bro = published["BRO", "Hopper-v4"]
    assert (bro.mean, bro.seeds, bro.step) == (pytest.approx(1264.2), 5, 200_000)
    console = Console(width=120, file=io.StringIO())
    writing.terminal(table, console)
    assert "at 192k steps" in console.file.getvalue()
    assert crossq.protocol == "Ant-v4" and published["SAC", "T-Humanoid"].status == "absent"


def test_protocols_share_a_block_only_when_forced_and_it_says_so(tmp_path, make_run):
    store = Store(tmp_path / "runs")
    store.write(make_run({200_000: 1.0}, seed=0))
    store.write(make_run({200_000: 3.0}, seed=1, protocol="v5"))
    frame = render_table(TABLE1, store.root, tmp_path, Console(quiet=True))
    apart = frame[(frame["block"] == "measured") & (frame["algorithm"] == "ALM(3)")]
    assert set(apart["protocol"]) == {"v2-gymnasium1.4.0-mujoco4.0.0", "v5"}
    assert not (apart["seeds"] > 1).any()
    frame = render_table(TABLE1, store.root, tmp_path, Console(quiet=True), mix=True)
    cell = frame[(frame["block"] == "measured") & frame["mean"].notna()].iloc[0]
    assert cell["mean"] == 2.0 and cell["seeds"] == 2
    assert cell["protocol"].startswith("MIXED PROTOCOLS, not comparable: ")
    assert "MIXED PROTOCOLS" in (tmp_path / "table1-mixed.md").read_text()


def test_a_small_number_is_no_zero_for_programs(tmp_path):
    numbers = pd.DataFrame({"p": [0.0, 2e-7, -3.14e-6, 0.00012, 0.5, 1234.5, float("nan")]})
    table = Table("small", "Small", ("", "says"), (Block("", (Row("a", ("b",)),)),), numbers=numbers)
    writing.render(table, tmp_path, Console(file=io.StringIO()))
    written = (tmp_path / "small.csv").read_text().split()
    assert written == ["p", "0", "2e-07", "-3.1e-06", "0.0001", "0.5", "1234.5", '""']
