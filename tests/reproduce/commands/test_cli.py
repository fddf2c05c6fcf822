"""The command line: bad input is one sentence and exit code 2; runs train, resume and are stored."""

import errno
import io
import itertools
import json
import os
import re
import resource
import runpy
import shutil
import signal
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from alm.errors import UserError
from alm.training.execution import Execution
from alm.training.lease import EXIT_HELD
from alm.training.loop import Trainer
from alm.training.run_directory import RunDirectory
from patience import PATIENCE, wait_for
from reproduce import cli
from reproduce.cli import COMMANDS, main
from reproduce.commands.console import plain_console
from reproduce.lab.archive import run_of_directory
from reproduce.lab.costs import matrix_gigaflops
from reproduce.lab.places import CODE
from reproduce.lab.resolved_runs import ResolvedRuns
from reproduce.lab.run_directories import UnreadableRunError, directories_under
from reproduce.lab.specs import RunSpec, run_record
from reproduce.lab.store import Store, StoreWarning
from reproduce.lab.training import as_begun, group_by_step, open_run


def train(tmp_path, *more, task="Hopper", scale="smoke"):
    places = ["--runs-dir", str(tmp_path / "runs"), "--store", str(tmp_path / "store")]
    return main(["train", "--task", task, "--scale", scale, "--no-track", *places, *more])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"task": "HalfCheeta"}, ["'HalfCheeta'", "did you mean 'HalfCheetah'", "T-Humanoid"]),
        ({"scale": "lapto"}, ["'lapto'", "did you mean 'laptop'", "paper"]),
    ],
)
def test_unknown_names_are_one_sentence(tmp_path, capsys, options, words):
    assert train(tmp_path, **options) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert all(word in error for word in words)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--algorithm", "aml"], ["'aml'", "did you mean 'alm'"]),
        (["--algorithm", "slbo"], ["that of Hopper is not a function", "mbbl/HalfCheetah"]),
        (["--task", "Hopper-obsnoise-no"], ["'Hopper-obsnoise-no'", "positive level"]),
        (["--variant", "no-k"], ["'no-k' of alm", "did you mean 'no-kl'", "base, no-kl, no-value"]),
        (["--variant", "my-idea"], ["'my-idea' of alm", "add its file: --plugin"]),
        (["--algorithm", "sac", "--variant", "no-kl"], ["'no-kl' of sac", "the variants are base, million."]),
        (["--seeds", "-1"], ["at least 0", "-1"]),
        (["--seeds", "99999999999999999999"], ["at most 4294967295"]),
        (["--seeds"], ["no seed to train", "--seeds 0 1 2"]),
        (["--device", "quantum"], ["'quantum'", "cpu"]),
        (["--device", "meta"], ["'meta'", "choose cpu"]),
        (["--device", "mps"], ["'mps'", "choose cpu"]),
        (["--threads", "100000"], ["at most", "cores, not 100000"]),
        (["--threads", "0"], ["threads", "at least 1", "0"]),
        (["--precision", "bf17"], ["--precision 'bf17'", "float32, bf16"]),
        (
            ["--algorithm", "slbo", "--task", "mbbl/Hopper", "--compile", "on"],
            ["Updates of slbo", "--compile"],
        ),
    ],
)
def test_other_bad_values_are_one_sentence(tmp_path, capsys, more, words):
    assert train(tmp_path, *more) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert all(word in error for word in words)
    assert not list(tmp_path.glob("runs/**/config.json"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plan", "table1", "--first-seeds", "-1"], ["first seeds must be at least 1, not -1"]),
        (["grid", "table1", "--first-seeds", "0"], ["first seeds must be at least 1, not 0"]),
        (["table", "1", "--store", "/nonexistent"], ["no directory /nonexistent"]),
        (["table", "5", "--context"], ["Only table 1 is on tasks near"]),
        (["table1-mbbl", "--context"], ["Only table 1 is on tasks near"]),
        (["table", "4", "--printed"], ["Only tables of the paper's returns, 1 and 5, are printed"]),
        (["table", "3", "--mix"], ["Only measured returns are pooled"]),
        (["table", "1", "--printed", "--mix"], ["Only measured returns are pooled"]),
        (["table", "6"], ["no table '6'", "table1, "]),
        (["table9"], ["no table 'table9'", "did you mean 'table"]),
        (["clams"], ["no command 'clams'", "did you mean 'claims'", "train, "]),
        (["nonsense", "--out", "X"], ["no command 'nonsense'", "the commands are train, "]),
        (["figure-authors", "--out", "X"], ["no figure 'figure-authors'", "did you mean 'authors'"]),
        (["figure", "3", "--store", "/nonexistent"], ["no directory /nonexistent"]),
        (["claims", "--store", "/nonexistent"], ["no directory /nonexistent"]),
        (["claims", "--scale", "big"], ["no scale 'big'", "paper, laptop, smoke"]),
        (["ui", "--store", "/nonexistent"], ["no directory /nonexistent"]),
        (["runs", "--store", "/nonexistent"], ["no directory /nonexistent"]),
        (["plan", "table1", "--store", "/nonexistent"], ["no directory /nonexistent"]),
        (["sync", "--store", "/nonexistent"], ["no directory /nonexistent"]),
        (
            ["compare", "sac", "td3", "--task", "Hopper", "--store", "/nonexistent"],
            ["/nonexistent"],
        ),
        (["evaluate", "td3", "T-Ant", "--store", "/nonexistent"], ["no directory /nonexistent"]),
    ],
)
def test_bad_values_of_other_commands_are_one_sentence(capsys, arguments, words):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert all(word in error for word in words)


def ended_run(tmp_path, seed, ending):
    """A run at laptop scale that has ended in its directory and is not stored."""
    resolved = ResolvedRuns.of("td3", "base", "Hopper", (seed,), "laptop")
    directory = open_run(resolved, resolved.specs[0], tmp_path / "runs", Execution())
    directory.start_metrics(0)
    values = {"eval/return": 10.0, "eval/return_std": 1.0, "eval/length": 5.0}
    directory.append_metrics(20_000, 20_000, 60.0, metrics=values, returns=[9.0, 11.0], population=1)
    name, content = ending
    directory.write_json(name, content)
    directory.close()
    return directory


DONE = ("DONE", {"finished_ms": 7, "peak_memory_bytes": 9})
FAILED = ("FAILED", {"step": 20_001, "reason": "loss/actor is not finite"})


def test_a_run_that_ended_while_the_store_was_full_is_stored_by_the_same_command(tmp_path, capsys):
    ended_run(tmp_path, 0, DONE)
    options = ["--algorithm", "td3", "--seeds", "0"]
    for said in (1, 0):
        assert train(tmp_path, *options, scale="laptop") == 0
        out = capsys.readouterr().out
        assert "has ended already" in out and out.count("stored ") == said
        (stored,) = Store(tmp_path / "store").runs()
        assert (stored.status, stored.last_step) == ("done", 20_000)


def test_a_run_that_failed_says_so_again(tmp_path, capsys):
    ended_run(tmp_path, 0, FAILED)
    for _ in range(2):
        assert train(tmp_path, "--algorithm", "td3", scale="laptop") == 1
        assert "has failed (loss/actor is not finite at step 20001)" in capsys.readouterr().out
    (stored,) = Store(tmp_path / "store").runs()
    assert stored.status == "failed"


def test_a_run_whose_record_of_failure_is_damaged_is_one_sentence(tmp_path, capsys):
    for damage in ("{", "{}", '{"reason": "loss/actor is not finite"}'):
        ended_run(tmp_path, 0, FAILED)
        (path,) = tmp_path.rglob("FAILED")
        path.write_text(damage)
        assert train(tmp_path, "--algorithm", "td3", scale="laptop") == 2
        said = capsys.readouterr()
        assert "has failed (its record is damaged)" in said.out
        assert said.err.startswith("error: ") and said.err.count("\n") == 1 and "FAILED is " in said.err
        shutil.rmtree(tmp_path / "runs")


def test_a_run_that_another_process_took_over_ends_with_one_sentence(tmp_path, capsys, monkeypatch):
    advance = Trainer._advance

    def stopped_at_250(trainer):
        if trainer.step == 250:
            for directory in trainer.directories:
                (lease,) = directory.path.glob("lease.*")
                lease.unlink()
        advance(trainer)

    monkeypatch.setattr(Trainer, "_advance", stopped_at_250)
    assert train(tmp_path, "--algorithm", "td3", "--seeds", "0", "1") == EXIT_HELD
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(told) == 1 and "seed-0 was taken over by" in told[0] and "has written nothing since" in told[0]
    for directory in directories_under(tmp_path / "runs").values():
        assert directory.status == "unfinished" and not directory.checkpoints.steps()
        assert [line["step"] for line in directory.metrics()][-1] == 200
        assert not list(directory.path.glob("lease.*")) and not list(directory.path.glob("**/*.tmp"))


def test_a_population_that_lost_one_run_ends_and_the_same_command_resumes_all(tmp_path, capsys, monkeypatch):
    advance = Trainer._advance

    def loses_one_at_250(trainer):
        if trainer.step == 250:
            trainer._checkpoint()
            (lease,) = trainer.directories[1].path.glob("lease.*")
            lease.unlink()
        advance(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_advance", loses_one_at_250)
        assert train(tmp_path, "--algorithm", "td3", "--seeds", "0", "1") == EXIT_HELD
    assert "seed-1 was taken over by" in capsys.readouterr().err
    runs = directories_under(tmp_path / "runs").values()
    assert [(one.status, one.checkpoints.steps()) for one in runs] == [("unfinished", [250])] * 2
    assert not list(tmp_path.rglob("lease.*"))
    assert train(tmp_path, "--algorithm", "td3", "--seeds", "0", "1") == 0
    assert [one.status for one in runs] == ["done"] * 2


def test_a_store_that_cannot_be_written_is_met_before_the_first_step(tmp_path, capsys):
    (tmp_path / "store").write_text("a file where a directory should be")
    assert train(tmp_path, "--algorithm", "td3", scale="laptop") == 2
    error = capsys.readouterr().err
    assert "cannot read or write" in error and "--store" in error and error.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"spec": 3}'])
def test_a_damaged_config_stops_no_other_run(tmp_path, capsys, content):
    sound, damaged = (ended_run(tmp_path, seed, DONE) for seed in (0, 1))
    (damaged.path / "config.json").write_text(content)
    places = ["--runs-dir", str(tmp_path / "runs"), "--store", str(tmp_path / "store")]
    assert main(["archive", *places]) == 1
    assert re.fullmatch(
        r"warning: .*seed-1 cannot be read .*; mend it, .* or move it away\n", capsys.readouterr().err
    )
    assert [run.spec.seed for run in Store(tmp_path / "store").runs()] == [0]
    for command in (["runs"], ["compare", "td3", "sac", "--task", "Hopper", "--out", str(tmp_path)]):
        main([*command, *places])
        assert "warning: " in (said := capsys.readouterr().err) and "seed-1 cannot be read" in said
    assert train(tmp_path, "--algorithm", "td3", "--seeds", "1", scale="laptop") == 2
    error = capsys.readouterr().err
    assert "config.json" in error and error.count("\n") == 1


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize("kept", ["DONE", "metrics.jsonl"])
def test_a_run_without_its_config_is_neither_hidden_nor_begun_anew(tmp_path, capsys, kept, link):
    run = ended_run(tmp_path, 0, DONE)
    for path in run.path.iterdir():
        if path.name != kept:
            path.unlink()
    if link:
        (run.path / "config.json").symlink_to("config.json")
    with pytest.warns(StoreWarning, match=r"seed-0 cannot be read .*config.json.*; mend it, .* move it away"):
        assert not directories_under(tmp_path / "runs")
    assert main(["archive", "--runs-dir", str(tmp_path / "runs"), "--store", str(tmp_path / "store")]) == 1
    assert "seed-0 cannot be read" in capsys.readouterr().err
    resolved = ResolvedRuns.of("td3", "base", "Hopper", (0,), "laptop")
    with pytest.raises(UnreadableRunError, match=r"seed-0 cannot be read .*config.json"):
        open_run(resolved, resolved.specs[0], tmp_path / "runs", Execution())


def test_an_empty_directory_is_no_run(tmp_path, recwarn):
    run = ended_run(tmp_path, 0, DONE)
    for path in run.path.iterdir():
        path.unlink()
    (run.path / "lease.00").touch()
    assert not directories_under(tmp_path / "runs") and not recwarn.list


def test_what_a_name_hides_is_shown_in_warnings_and_errors(tmp_path, capsys):
    """A directory's name may hold what a terminal obeys, or a line's end."""
    (ended_run(tmp_path, 0, DONE).path / "config.json").write_text("{")
    places = [str((tmp_path / "runs").rename(tmp_path / "a\x1b[31m\nb")), str(tmp_path / "none\x1b")]
    assert main(["archive", "--runs-dir", places[0], "--store", str(tmp_path / "store")]) == 1
    assert main(["runs", "--store", places[1]]) == 2
    said = capsys.readouterr().err
    assert "\x1b" not in said and said.count("\n") == 2
    assert r"a\x1b[31m\nb" in said and r"none\x1b" in said


def test_a_terminal_that_says_it_has_no_columns_is_written_to(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "0")
    assert main(["runs", "--runs-dir", str(tmp_path), "--store", str(tmp_path)]) == 0
    assert "  table1 0 of " in capsys.readouterr().out


def test_what_a_record_hides_is_shown_in_lists(tmp_path, capsys, make_run):
    ended_run(tmp_path, 0, ("FAILED", {"step": 20_001, "reason": "\x1b[2J\nis not finite"}))
    Store(tmp_path / "store").write(make_run({5000: 1.0}, provenance={"git_sha": "\x1b[3J"}))
    places = ["--runs-dir", str(tmp_path / "runs")]
    assert train(tmp_path, "--algorithm", "td3", "--seeds", "0", scale="laptop") == 1
    assert main(["grid", "--status", *places]) == 0
    assert main(["runs", "--all", *places, "--store", str(tmp_path / "store")]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said and said.count(r"\x1b[2J") == 2 and r"\x1b[3J" in said
    assert r"(\x1b[2J\nis not finite at step 20001)" in said


def test_what_is_shown_of_a_cell_is_not_cut():
    table = Table("run", "state")
    table.add_row("a\x1b[2J\u202eb", "done")
    console = plain_console()
    with console.capture() as captured:
        console.print(table, Text("c\u2028d"))
    assert r"│ a\x1b[2J\u202eb │ done" in captured.get() and r"c\u2028d" in captured.get()


def test_a_policy_that_cannot_be_kept_keeps_no_other_run_back(tmp_path, capsys):
    run = ended_run(tmp_path, 0, DONE)
    damaged = run.policies.path(20_000)
    damaged.parent.mkdir()
    damaged.write_bytes(b"no policy")
    ended_run(tmp_path, 1, DONE)
    places = ["--runs-dir", str(tmp_path / "runs"), "--store", str(tmp_path / "store")]
    assert main(["archive", *places]) == 0
    assert len(Store(tmp_path / "store").runs()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"warning: no policy is kept of {run.path}: {damaged}")


def test_an_edited_record_is_refused_before_training(tmp_path, capsys):
    run = ended_run(tmp_path, 0, DONE)
    (run.path / "DONE").unlink()
    record = run.read_json("config.json")
    for edit, words in (
        ({"spec": {**record["spec"], "seed": 5}}, "is of td3/base Hopper laptop seed 5"),
        ({"config": {}}, "was edited"),
    ):
        run.write_json("config.json", {**record, **edit})
        assert train(tmp_path, "--algorithm", "td3", scale="laptop") == 2
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1
        with pytest.warns(StoreWarning, match=words):
            assert not directories_under(tmp_path / "runs")


@pytest.mark.parametrize("name", ["config.json", "provenance.json", "population.json", "committed.json"])
@pytest.mark.parametrize("damage", ["a directory", "{"])
def test_a_damaged_record_is_met_before_the_first_step(tmp_path, name, damage):
    run = ended_run(tmp_path, 0, DONE)
    (run.path / "DONE").unlink()
    path = run.path / name
    path.unlink(missing_ok=True)
    if damage == "{":
        path.write_text(damage)
    else:
        path.mkdir()
    resolved = ResolvedRuns.of("td3", "base", "Hopper", (0,), "laptop")
    with pytest.raises(UnreadableRunError, match="put a sound copy back, or move it away") as caught:
        open_run(resolved, resolved.specs[0], tmp_path / "runs", Execution())
    assert str(caught.value).startswith(f"{run.path} cannot be read (") and name in str(caught.value)
    assert not list(run.path.glob("lease.*"))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "; free some space, then repeat"),
        (errno.EACCES, "; choose a writable place (--runs-dir, --store), then repeat"),
        (
            errno.EISDIR,
            "; mend it, put a sound copy back, move it away or choose a writable place (--runs-dir",
        ),
    ],
)
def test_what_the_system_refuses_has_a_fix_that_fits(tmp_path, capsys, monkeypatch, number, words):
    def refused(*_):
        raise OSError(number, os.strerror(number), str(tmp_path))

    monkeypatch.setattr(Store, "require_writable", refused)
    assert train(tmp_path, scale="laptop") == 2
    assert f"error: cannot read or write {tmp_path}: {os.strerror(number)}{words}" in capsys.readouterr().err


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)], ids=" ".join)
def test_help_is_as_wide_as_the_terminal(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    shown = capsys.readouterr().out
    assert stop.value.code == 0 and max(map(len, shown.splitlines())) <= 80
    positionals = shown.partition("positional arguments")[2].partition("options")[0]
    assert "STR" not in positionals
    for name in command:
        # tyro would break the line before a bracket, and keeps a break that a docstring makes elsewhere.
        for line in COMMANDS[name].__doc__.splitlines()[1:]:
            assert not line.strip() or line.strip()[0].isalpha()
        # Nor would it keep a break between two examples.
        for example in re.findall("python -m reproduce .*", COMMANDS[name].__doc__):
            assert f"Example: {example}" in shown.splitlines()


def test_help_has_a_commands_own_options_first_and_says_optional(capsys, monkeypatch):
    """What several commands share comes last; no value is {None}, no default a directory's whole path."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["grid", "--help"])
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert text.index("[EXHIBITS ...] Names") < text.index("--scale STR") < text.index("--store PATH")
    assert "all tables and figures. (optional)" in text
    assert "every cell. (optional)" in text
    assert "logs. (default: runs)" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_what_an_option_takes(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    shown = capsys.readouterr().out
    assert not re.findall(r"{None}|LITERAL|\(default: (?:None)?\)", shown)
    if command in ("evaluate", "render"):
        assert "--policy {last,best}" in shown


def test_help_breaks_lines_where_they_end(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["compare", "--help"])
    usage, *shown = (line.strip("│ ") for line in capsys.readouterr().out.splitlines())
    assert usage.endswith("FIRST [OTHERS ...]")
    first = next(index for index, line in enumerate(shown) if line.startswith("--metric"))
    text = shown[first + 1 : next(i for i, line in enumerate(shown) if line.startswith("--runs-dir"))]
    # Each line but the last is full: the first word of the next has no room there.
    width = max(map(len, text))
    assert len(text) > 2 and all(
        len(f"{line} {following.split()[0]}") > width for line, following in itertools.pairwise(text)
    )


def test_words_for_numbers_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        train(tmp_path, "--seeds", "one")
    assert stop.value.code == 2
    assert "one" in capsys.readouterr().err


def test_a_place_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "runs").write_text("a file where a directory should be")
    assert train(tmp_path) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "cannot read or write" in error
    assert "--runs-dir" in error


@pytest.mark.parametrize(
    "command",
    [
        "runs",
        "plan figure3",
        "grid --status",
        "evaluate td3 Hopper",
        "archive",
        "compare alm sac --task Hopper",
    ],
)
def test_a_file_is_no_directory_of_runs(tmp_path, capsys, command):
    (tmp_path / "file").touch()
    assert main([*command.split(), "--runs-dir", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err == (
        f"error: cannot read or write runs in {tmp_path / 'file'}, which is no directory: choose another "
        "--runs-dir.\n"
    )


def test_what_a_table_cannot_write_is_no_matter_of_runs(tmp_path, capsys):
    (tmp_path / "file").write_text("a file where a directory should be")
    assert main(["table", "1", "--printed", "--out", str(tmp_path / "file")]) == 2
    error = capsys.readouterr().err
    assert "cannot read or write" in error and "writable place (--out), then repeat the command\n" in error


def test_a_terminal_without_the_signs_of_a_table_shows_the_rest(tmp_path, monkeypatch):
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="latin-1"))
    assert main(["table", "1", "--printed", "--out", str(tmp_path)]) == 0
    assert {"±", "?"} <= set(shown.getvalue().decode("latin-1"))


def test_a_store_that_is_not_there_empties_no_gallery(tmp_path, capsys):
    for name in ("clip-seed-0.gif", "clip-seed-0.json"):
        (tmp_path / name).write_text("drawn before")
    assert main(["gallery", "--store", str(tmp_path / "typo"), "--out", str(tmp_path)]) == 2
    assert "There is no directory" in capsys.readouterr().err
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.programs
def test_a_full_disk_ends_with_one_sentence_and_the_run_goes_on_later(tmp_path):
    """A limit on file sizes stands in for a full disk: writing the first checkpoint fails."""
    command = [
        sys.executable,
        "-m",
        "reproduce",
        "train",
        "--task",
        "Hopper",
        "--scale",
        "smoke",
        "--no-track",
    ]
    command += ["--runs-dir", str(tmp_path)]

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    full = subprocess.run(command, cwd=CODE, capture_output=True, text=True, preexec_fn=limit)
    assert full.returncode == 2
    assert "Traceback" not in full.stderr
    assert re.search(r"^error: cannot read or write.*resumes from the last checkpoint$", full.stderr, re.M)
    (run,) = tmp_path.glob("**/seed-0")
    assert not (run / "DONE").exists()
    assert not list(run.glob("**/*.tmp"))
    assert subprocess.run(command, cwd=CODE, capture_output=True).returncode == 0
    assert (run / "DONE").exists()


@pytest.mark.programs
def test_training_stores_provenance_and_is_not_repeated(tmp_path, capsys):
    assert train(tmp_path, "--seeds", "0", "1") == 0
    runs = sorted((tmp_path / "runs").glob("**/seed-*"))
    assert [run.name for run in runs] == ["seed-0", "seed-1"]
    provenance = json.loads((runs[0] / "provenance.json").read_text())
    assert {"git_sha", "git_dirty", "packages", "hardware", "command", "device", "threads"} <= set(provenance)
    assert provenance["packages"]["mujoco"]
    written = {path: path.stat().st_mtime_ns for path in runs[0].glob("**/*") if path.is_file()}
    assert train(tmp_path, "--seeds", "0", "1") == 0
    assert capsys.readouterr().out.count("has ended already") == 2
    assert written == {path: path.stat().st_mtime_ns for path in runs[0].glob("**/*") if path.is_file()}
    assert not (tmp_path / "store").exists()  # smoke runs are not results

    config = json.loads((runs[0] / "config.json").read_text())
    config["digest"] = "0" * 12
    (runs[0] / "config.json").write_text(json.dumps(config))
    assert train(tmp_path) == 2
    assert "another digest (000000000000" in capsys.readouterr().err


@pytest.mark.programs
def test_a_run_in_bf16_is_stored_apart_and_says_how_it_ran(tmp_path, capsys):
    assert train(tmp_path, "--precision", "bf16") == 0
    (run,) = (tmp_path / "runs").glob("**/seed-*")
    assert run.relative_to(tmp_path / "runs") == Path("alm/base+bf16/Hopper/smoke/seed-0")
    assert RunSpec.from_relative_dir(run.relative_to(tmp_path / "runs")).variant == "base+bf16"
    provenance = json.loads((run / "provenance.json").read_text())
    assert provenance["execution"] == {"precision": "bf16", "compiled": False, "captured": False}
    told = " ".join(capsys.readouterr().err.split())
    assert "precision bf16, eager, cpu, 1 thread" in told
    assert re.search(r"done after \d+\.\d min; peak memory \d\.\d\d GiB", told)


def test_precision_is_part_of_a_run_and_float32_keeps_its_identity():
    plans = [
        ResolvedRuns.of("alm", "no-kl", "Hopper", (0,), "laptop", **more)
        for more in ({}, {"precision": "float32"}, {"precision": "bf16"})
    ]
    variants = [plan.specs[0].variant for plan in plans]
    assert variants == ["no-kl", "no-kl", "no-kl+bf16"]
    digests = [plan.record(plan.specs[0])["digest"] for plan in plans]
    assert digests[0] == digests[1] != digests[2]


def test_a_task_with_a_slash_has_a_directory_that_leads_back(tmp_path):
    assert train(tmp_path, "--algorithm", "td3-ours", task="mbbl/Hopper-ET-dynnoise-0.50") == 0
    ((spec, directory),) = directories_under(tmp_path / "runs").items()
    place = directory.path.relative_to(tmp_path / "runs")
    assert place == Path("td3-ours/base/mbbl_Hopper-ET-dynnoise-0.5/smoke/seed-0")
    assert RunSpec.from_relative_dir(place) == spec
    assert directory.read_json("config.json")["protocol"].startswith("mbbl-gymnasium")
    run = run_of_directory(directory)
    store = Store(tmp_path / "store")
    assert store.write(run) == tmp_path / "store" / place.parent / "seed-0.parquet"
    (stored,) = store.runs(task="mbbl/Hopper-ET-dynnoise-0.5")
    assert stored.spec == run.spec
    # A task with noise is evaluated without it, too.
    assert stored.evaluations[["eval/return", "eval/return_without_noise"]].notna().all(axis=None)


@pytest.mark.parametrize(("algorithm", "groups"), [("slbo", [1, 1]), ("svg", [2])])
def test_seeds_that_cannot_share_a_population_train_in_turn(tmp_path, monkeypatch, algorithm, groups):
    trained = []
    monkeypatch.setattr(
        "reproduce.commands.training.train_population", lambda _, group, *told: trained.append(len(group))
    )
    assert train(tmp_path, "--algorithm", algorithm, "--seeds", "0", "1", task="mbbl/Hopper") == 0
    assert trained == groups


@pytest.mark.parametrize(
    ("held", "groups"),
    [
        ({0: [200, 100], 1: [100]}, [[0, 1]]),
        ({0: [200, 100], 1: [200, 100], 2: [100]}, [[0, 1, 2]]),
        ({0: [300, 200], 1: [100], 2: []}, [[0], [1], [2]]),
        ({0: [300], 1: [], 2: []}, [[1, 2], [0]]),
        ({0: [], 1: []}, [[0, 1]]),
    ],
)
def test_seeds_with_a_checkpoint_in_common_are_one_population(tmp_path, held, groups):
    for seed, steps in held.items():
        for step in steps:
            path = tmp_path / str(seed) / "checkpoints" / f"step-{step:09d}.pt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    found = group_by_step([RunDirectory(tmp_path / str(seed)) for seed in held])
    assert [[int(directory.path.name) for directory in group] for group in found] == groups


def test_an_unfinished_run_is_archived(tmp_path, capsys):
    resolved = ResolvedRuns.of("td3", "base", "Hopper", (0,), "laptop")
    directory = open_run(resolved, resolved.specs[0], tmp_path / "runs", Execution())
    directory.start_metrics(0)
    values = {"eval/return": 10.0, "eval/return_std": 1.0, "eval/length": 5.0}
    directory.append_metrics(1000, 1000, 60.0, metrics=values, returns=[9.0, 11.0], population=1)
    directory.close()
    assert main(["archive", "--runs-dir", str(tmp_path / "runs"), "--store", str(tmp_path / "store")]) == 0
    (stored,) = Store(tmp_path / "store").runs()
    assert (stored.spec, stored.status, stored.last_step) == (resolved.specs[0], "partial", 1000)
    assert "stored" in capsys.readouterr().out


def test_a_file_that_is_left_out_is_named_once(tmp_path, make_run):
    store = Store(tmp_path / "store")
    path = store.write(make_run({5000: 1.0}, scale="laptop"))
    (path.parent / "seed-0 (1).parquet").write_bytes(path.read_bytes())
    command = [sys.executable, "-m", "reproduce", "runs", "--store", str(store.root)]
    done = subprocess.run([*command, "--runs-dir", str(tmp_path)], cwd=CODE, capture_output=True, text=True)
    (warning,) = done.stderr.splitlines()
    assert warning.startswith("warning: ") and "seed-0 (1).parquet is left out" in warning


def test_archive_says_what_it_does_not_store(tmp_path, capsys):
    places = ["--runs-dir", str(tmp_path / "runs"), "--store", str(tmp_path / "store")]
    assert main(["archive", *places]) == 0
    assert capsys.readouterr().out == f"there are no runs in {tmp_path / 'runs'}\n"
    plan = ResolvedRuns.of("alm", "base", "Hopper", (0, 1), "smoke")
    for spec in plan.specs:
        open_run(plan, spec, tmp_path / "runs", Execution()).close()
    assert main(["archive", *places]) == 0
    assert capsys.readouterr().out == f"smoke runs are not stored: 2 in {tmp_path / 'runs'}\n"


def test_runs_lists_what_is_missing(tmp_path, capsys):
    assert main(["runs", "--runs-dir", str(tmp_path), "--store", str(tmp_path)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "No run is stored yet." in out
    assert "Runs stored of each exhibit, paper scale table1 0 of 175 ·" in out
    assert "python -m reproduce plan table1" in out


def test_runs_lists_those_that_are_asked_for(tmp_path, capsys, make_run):
    """In the store and in the runs directory; coverage of exhibits is of all runs, and left out."""
    store = Store(tmp_path / "store")
    for algorithm, seed in (("sac", 0), ("sac", 1), ("td3", 2)):
        store.write(make_run({5000: 1.0}, algorithm=algorithm, seed=seed, scale="laptop"))
    for task in ("Hopper", "HalfCheetah"):
        resolved = ResolvedRuns.of("sac", "base", task, (4,), "laptop")
        open_run(resolved, resolved.specs[0], tmp_path / "runs", Execution()).close()
    places = ["--runs-dir", str(tmp_path / "runs"), "--store", str(tmp_path / "store")]
    assert main(["runs", "--all", "--algorithm", "sac", "--task", "HalfCheetah", *places]) == 0
    out = capsys.readouterr().out
    assert out.startswith("2 stored runs.") and "td3" not in out and "Runs stored of each exhibit" not in out
    assert "sac/base HalfCheetah laptop seed 4, unfinished" in out and "Hopper" not in out
    assert main(["runs", "--scale", "paper", *places]) == 0
    assert capsys.readouterr().out == "No such run is stored yet.\n"
    # One's own variant is known by its run, also while that trains.
    spec = replace(resolved.specs[0], variant="my-idea")
    record = run_record(spec, "v2", {})
    (tmp_path / "runs" / spec.relative_dir).mkdir(parents=True)
    (tmp_path / "runs" / spec.relative_dir / "config.json").write_text(json.dumps(record))
    assert main(["runs", "--variant", "my-idea", *places]) == 0
    assert "sac/my-idea HalfCheetah laptop seed 4, unfinished" in capsys.readouterr().out
    assert main(["runs", "--variant", "no-k", *places]) == 2
    error = capsys.readouterr().err
    assert "There is no variant 'no-k' of any algorithm (did you mean 'no-kl'?); python -m rep" in error
    assert f"python -m reproduce runs --all {' '.join(places)} lists the stored runs" in error


@pytest.mark.parametrize(
    "wrong", [["train", "--task", "Hopper", "--seeds", "0,1,2"], ["train", "--task", "Hopper", "--seds", "1"]]
)
def test_errors_in_options_name_the_help_that_has_them(capsys, wrong):
    with pytest.raises(SystemExit):
        main(wrong)
    error = " ".join(capsys.readouterr().err.split())
    assert "python -m reproduce train --help" in error
    assert "Seeds to train, with spaces between them: --seeds 0 1 2." in error


def test_runs_lists_one_that_has_no_checkpoint_yet(tmp_path, capsys, make_run):
    resolved = ResolvedRuns.of("td3", "base", "Hopper", (0,), "laptop")
    open_run(resolved, resolved.specs[0], tmp_path / "runs", Execution()).close()
    assert main(["runs", "--runs-dir", str(tmp_path / "runs"), "--store", str(tmp_path)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "td3/base Hopper laptop seed 0, unfinished, no checkpoint yet" in out
    for step in (1000, 2000):
        RunDirectory(tmp_path / "runs" / resolved.specs[0].relative_dir).checkpoints.save(step, {})
    assert main(["runs", "--runs-dir", str(tmp_path / "runs"), "--store", str(tmp_path)]) == 0
    assert "seed 0, unfinished, checkpoint at step 2,000" in " ".join(capsys.readouterr().out.split())
    # As far as it is stored it is listed there; smoke runs never are.
    about = {"algorithm": "td3", "task": "Hopper", "scale": "laptop", "status": "partial"}
    Store(tmp_path).write(make_run({2000: 1.0}, **about))
    smoke = ResolvedRuns.of("td3", "base", "Hopper", (0,), "smoke")
    open_run(smoke, smoke.specs[0], tmp_path / "runs", Execution()).close()
    assert main(["runs", "--runs-dir", str(tmp_path / "runs"), "--store", str(tmp_path)]) == 0
    assert "unfinished" not in capsys.readouterr().out


def test_sizes_beyond_the_memory_are_one_sentence(tmp_path, capsys):
    command = ["train", "--algorithm", "td3", "--task", "Hopper", "--scale", "smoke", "--no-track"]
    assert main([*command, "--runs-dir", str(tmp_path), "--set", "hidden_size=1e12"]) == 2
    error = capsys.readouterr().err
    assert "does not fit into the memory of cpu: " in error and "choose smaller sizes" in error


def test_a_plan_lists_runs_operations_hours_and_commands(tmp_path, capsys, make_run, monkeypatch):
    store = Store(tmp_path)
    curve = {5000: 1.0, 50_000: 2.0}
    extra = {"time/evaluation_s": [10.0, 20.0]}
    for seed, status in ((0, "done"), (1, "partial")):
        run = {"scale": "laptop", "status": status, "provenance": {"population": 2, "device": "cpu"}}
        store.write(make_run(curve, algorithm="sac", seed=seed, extra=extra, **run))
    costs = {"laptop": {"alm": {"step_ms": 90.0, "gflop": 2.0}}}
    benchmark = tmp_path / "benchmark.json"
    benchmark.write_text(json.dumps({"results": {"matrix_gigaflops": 30.0, "costs": costs}}))
    monkeypatch.setattr("reproduce.lab.costs.BENCHMARK", benchmark)
    monkeypatch.setattr("reproduce.lab.costs.matrix_gigaflops", lambda: 60.0)  # twice as fast a machine

    assert main(["plan", "figure3", "--store", str(tmp_path)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "figure3 at laptop scale: 2 of 50 runs stored" in out
    assert "hours of one thread of this machine, without rows that have no estimate." in out
    assert "matrix products (60 GFLOP/s now, 30 in the record; repeat on an idle machine);" in out
    # Not in the benchmark: the fixture's clock says 500 s, of which 30 for evaluations, for a population of
    # two, so 235 s for a run.
    assert "SAC on Hopper 0 1 2 3 4 250,000 ? 0.3" in out
    # The stored part of seed 1 has been where the figure ends.
    assert "SAC on HalfCheetah 2 3 4 150,000 ? 0.2" in out
    assert "TD3 on Hopper 0 1 2 3 4 250,000 ? ?" in out
    assert "ALM(3) on Hopper 0 1 2 3 4 250,000 0.5 3.1" in out
    assert "python -m reproduce train --algorithm sac --task HalfCheetah --scale laptop --seeds 2 3 4" in out

    assert main(["plan", "figure3", "--workers", "2", "--store", str(tmp_path)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    (jobs,) = re.findall(r"On 2 cores: [0-9.]+ hours, .*; (\d+) jobs, .*, without (\d+) that have no", out)
    assert sum(map(int, jobs)) == 48 and "nan" not in out

    assert main(["plan", "figure3", "figure9", "--first-seeds", "1", "--store", str(tmp_path)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "figure9 at laptop scale" in out and "--task Hopper --scale laptop --seeds 0 " in out
    assert out.count("--algorithm redq --task Hopper") == 1  # both figures need it
    benchmark.unlink()
    assert main(["plan", "figure3", "--store", str(tmp_path)]) == 0
    assert "speed in matrix products; operations" in " ".join(capsys.readouterr().out.split())
    assert main(["plan", "figure33", "--store", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "no exhibit 'figure33'" in error and "table1" in error


def test_this_machine_multiplies_matrices():
    assert matrix_gigaflops() > 0.1


def test_help_lists_the_variants(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    # Wrapped by the terminal's width, also at hyphens.
    text = "".join(capsys.readouterr().out.replace("│", "").split())
    for name in ("no-kl", "k5", "c-0.05", "value-encoder-model", "million"):
        assert name in text


def test_reading_results_imports_neither_torch_nor_mujoco(tmp_path):
    script = (
        "import sys; from reproduce.cli import main\n"
        f"assert main(['table1', '--no-own', '--out', {str(tmp_path)!r}]) == 0\n"
        f"assert main(['runs', '--no-own', '--runs-dir', {str(tmp_path)!r}]) == 0\n"
        "bad = {'torch', 'mujoco', 'gymnasium', 'mlflow'} & set(sys.modules)\n"
        "sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=CODE, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.programs
def test_an_interrupted_run_goes_on_beside_a_new_seed(tmp_path):
    """Ctrl-C ends with 130 and a sentence; then seeds at different steps train one group after the other."""
    command = [sys.executable, "-m", "reproduce", "train", "--no-track", "--task", "Hopper"]
    command += ["--scale", "smoke", "--runs-dir", str(tmp_path), "--seeds"]
    process = subprocess.Popen([*command, "0"], cwd=CODE, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "alm" / "base" / "Hopper" / "smoke" / "seed-0" / "metrics.jsonl"
    wait_for(lambda: metrics.exists() and '"step": 300' in metrics.read_text(), process)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    said = re.search(r"^stopped at step (\d+); the same command goes on from there$", error, re.MULTILINE)

    done = subprocess.run([*command, "0", "1"], cwd=CODE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0
    assert f"smoke seed 0: resumes at step {said[1]} of 600" in done.stderr
    assert "smoke seed 1: from step 0 of 600" in done.stderr
    steps = [json.loads(line)["step"] for line in metrics.read_text().splitlines()]
    assert steps == [100, 200, 200, 300, 400, 400, 500, 600, 600]


def test_a_run_goes_on_compiled_if_it_was_unless_it_is_told_otherwise(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.compile", lambda update, **options: update)
    origins = []
    for options in (["--compile", "on", "--until", "200"], ["--until", "400"], ["--compile", "off"]):
        assert train(tmp_path, "--algorithm", "td3", *options) == 0
        (file,) = (tmp_path / "runs").glob("**/provenance.json")
        origins.append(json.loads(file.read_text()))
    begun, same, other = origins
    assert begun["execution"]["compiled"] and same == begun
    assert other == begun | {
        "resumed": [{"step": 400, "execution": begun["execution"] | {"compiled": False}}]
    }
    # It has ended, so it does not decide about others.
    both = ResolvedRuns.of("td3", "base", "Hopper", (0, 1), "smoke")
    assert as_begun(Execution(compiled=True), both, tmp_path / "runs").compiled


def test_an_interruption_while_options_are_read_is_no_traceback(monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.tyro, "cli", interrupted)
    assert main(["runs"]) == 130


def test_an_interruption_while_commands_are_imported_is_no_traceback(monkeypatch):
    class Interrupting:
        def find_spec(self, name, *_):
            if name == "reproduce.cli":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "reproduce.cli")
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    with pytest.raises(SystemExit) as stop:
        runpy.run_module("reproduce", run_name="__main__")
    assert stop.value.code == 130


def test_a_package_that_only_training_needs_is_named(monkeypatch, capsys):
    def lacking(name):
        def run(self):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        return run

    monkeypatch.setattr("reproduce.commands.stored.Runs.run", lacking("torch.nn"))
    assert main(["runs"]) == 2
    error = capsys.readouterr().err
    how = "pip install -c constraints.txt -e '.[train]'"
    assert error.startswith(f"error: runs needs torch, which is not installed: {how}")
    assert error.count("\n") == 1
    monkeypatch.setattr("reproduce.commands.stored.Runs.run", lacking("reproduce.typo"))
    with pytest.raises(ModuleNotFoundError):
        main(["runs"])


@pytest.mark.parametrize(
    "mistake", [ValueError("could not convert string to float: 'x'"), RuntimeError("no")]
)
def test_errors_for_users_are_sentences_and_mistakes_of_the_suite_have_a_traceback(
    monkeypatch, capsys, mistake
):
    def fails(error):
        def run(self):
            raise error

        monkeypatch.setattr("reproduce.commands.stored.Runs.run", run)
        return main(["runs"])

    assert fails(UserError("Hopper is missing: put it back.")) == 2
    assert capsys.readouterr().err == "error: Hopper is missing: put it back.\n"
    with pytest.raises(type(mistake), match=str(mistake)):
        fails(mistake)


def test_a_second_ctrl_c_that_meets_torch_writing_is_no_traceback(monkeypatch):
    """torch's writer of archives turns it into an error of its own."""

    def interrupted(self):
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 7872 vs 7824")

    monkeypatch.setattr("reproduce.commands.stored.Runs.run", interrupted)
    assert main(["runs"]) == 130


@pytest.mark.programs
@pytest.mark.parametrize("command", [["runs", "--all"], ["table", "1", "--help"]])
def test_a_reader_who_has_seen_enough_is_no_error(command):
    read, write = os.pipe()
    os.close(read)
    given = [sys.executable, "-m", "reproduce", *command]
    ended = subprocess.run(given, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (1, "")


def test_training_what_is_stored_already_says_where_it_stays(tmp_path, capsys, monkeypatch, make_run):
    monkeypatch.setattr("reproduce.commands.training.train_population", lambda *told: None)
    resolved = ResolvedRuns.of("td3", "base", "Hopper", (0, 1), "laptop")
    config = resolved.record(resolved.specs[0])["config"]
    about = {"algorithm": "td3", "task": "Hopper", "scale": "laptop", "config": config}
    Store(tmp_path / "store").write(make_run({50_000: 1.0}, **about))
    read, opened = Store._read, []
    monkeypatch.setattr(Store, "_read", lambda *told: opened.append(told[1]) or read(*told))
    assert train(tmp_path, "--algorithm", "td3", "--seeds", "0", "1", scale="laptop") == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: td3/base Hopper laptop seed 0 is stored already (")
    assert len(opened) == 1
    assert str(tmp_path / "runs/td3/base/Hopper/laptop/seed-0") in line


@pytest.mark.parametrize("command", [["table1"], ["claims", "--scale", "laptop"], ["figure3"]])
def test_a_damaged_stored_run_is_said_once_by_every_call(tmp_path, capsys, make_run, command):
    """In a notebook as in a shell: what one call has said, the next one says again."""
    store = Store(tmp_path / "store")
    path = store.write(make_run({2500: 1.0, 50_000: 2.0}, algorithm="sac", scale="laptop"))
    path.write_bytes(path.read_bytes()[:-3])
    show = warnings.showwarning
    for _ in range(2):
        main([*command, "--store", str(store.root), "--out", str(tmp_path / "out")])
        said = capsys.readouterr()
        assert said.err.count(f"warning: {path} is left out") == 1 and "warning" not in said.out
    assert warnings.showwarning is show


def test_a_warning_that_nobody_can_read_ends_no_command(tmp_path, monkeypatch, capsys):
    class Closed(io.StringIO):
        def write(self, text):
            raise OSError(9, "Bad file descriptor")

    (tmp_path / "store").mkdir()
    (tmp_path / "runs" / "td3" / "base" / "Hopper" / "laptop" / "seed-0").mkdir(parents=True)
    (tmp_path / "runs" / "td3" / "base" / "Hopper" / "laptop" / "seed-0" / "config.json").write_text("{")
    monkeypatch.setattr(sys, "stderr", Closed())
    assert main(["runs", "--store", str(tmp_path / "store"), "--runs-dir", str(tmp_path / "runs")]) == 0
