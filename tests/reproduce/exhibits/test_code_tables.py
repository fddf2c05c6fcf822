"""Tables 2 to 4: read off the code, so that they change when it does."""

import dataclasses

import pandas as pd
import pytest
from rich.console import Console

from alm.config import ALMConfig
from alm.objectives import heads_objective
from reproduce.exhibits.code_tables import CODE_TABLES, layers_in_words
from reproduce.exhibits.writing import render
from reproduce.lab.published import printed_rows
from reproduce.lab.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "runs")


def test_table2_counts_the_steps_of_every_optimiser(store):
    frame = CODE_TABLES["table2"](store).frame.set_index("")
    steps = frame["gradient steps here"]
    assert steps["ALM"] == "encoder_model 1, heads 1, critic 1, actor 1"
    assert "model 4" in steps["SAC-SVG"].split(", ")
    assert "critic 20–40" in steps["MBPO"]
    assert steps["REDQ"] == "critic 20, policy 1"
    assert frame["UTD, printed"].tolist() == [row["utd"] for row in printed_rows(2)]


def test_table3_shows_what_is_configured_and_what_stored_runs_had(store, make_run):
    config = {"agent": dataclasses.asdict(ALMConfig(discount=0.9, batch_size=128))}
    store.write(make_run({5000: 1.0}, scale="laptop", config=config))
    frame = CODE_TABLES["table3"](store).frame.set_index("")
    assert frame["paper scale"]["Batch size"] == "512"
    assert frame["laptop scale"]["Batch size"] == "128 ≠"
    widths = frame[["printed", "paper scale", "laptop scale"]]
    assert widths.loc["Hidden units (appendix D)"].tolist() == ["512", "512", "128 ≠"]
    assert widths.loc["Hidden units of the model (appendix D)"].tolist() == ["1024", "1,024", "256 ≠"]
    assert frame["paper scale"]["Replay Buffer"] == "1,000,000 humanoid; 100,000 otherwise"
    used = frame["stored at laptop scale (runs: 1)"]
    assert used["Batch size"] == "128 ≠" and used["Discount (γ)"] == "0.9 ≠"
    assert used["Learning rate"] == "0.0001"
    assert set(frame["stored at paper scale (runs: 0)"]) == {"–"}


def test_table3_has_a_dash_for_what_a_stored_run_lacks(store, make_run):
    agent = dataclasses.asdict(ALMConfig()) | {"discount": "x", "learning_rate": None}
    del agent["trace"]
    store.write(make_run({5000: 1.0}, scale="laptop", config={"agent": agent}))
    used = CODE_TABLES["table3"](store).frame.set_index("")["stored at laptop scale (runs: 1)"]
    assert used["Weighted target parameter (λ)"] == used["Learning rate"] == "– ≠"
    assert used["Discount (γ)"] == "x ≠" and used["Batch size"] == "512"


def test_table4_is_read_off_the_networks(store):
    frame = CODE_TABLES["table4"](store).frame.set_index("network")
    assert frame["layers here"]["Encoder"] == "17 → 512 ELU → 512 ELU → 100"
    assert frame["layers here"]["Reward Function"] == "56 → 512 layer norm Tanh → 512 ELU → 1"
    # As counted in the authors' code.
    counts = {"Encoder": "323,172", "Model": "1,210,468", "Q-Function": "586,754", "Policy": "291,846"}
    assert frame["parameters"][list(counts)].to_dict() == counts
    assert frame["trained by"]["Classifier"] == f"alm.objectives.{heads_objective.__name__}"


def test_layers_of_an_activation_in_front_of_all_layers():
    from torch import nn

    from alm.training.population import Linear

    assert layers_in_words(nn.Sequential(nn.Tanh(), Linear(1, 3, 2))) == "3 → 2"


@pytest.mark.parametrize("name", CODE_TABLES)
def test_each_is_written_in_three_forms(name, store, tmp_path):
    table = CODE_TABLES[name](store)
    render(table, tmp_path, Console(quiet=True))
    read = pd.read_csv(tmp_path / f"{name}.csv", dtype=str, keep_default_na=False)
    assert read.to_numpy().tolist() == table.frame.to_numpy().tolist()
    markdown = (tmp_path / f"{name}.md").read_text()
    assert markdown.count("\n|") == len(table.frame) + 2 and table.notes[0] in markdown
    latex = (tmp_path / f"{name}.tex").read_text()
    assert latex.count(r" \\") == len(table.frame) + 2 and r"\midrule" in latex
    assert "\0" not in latex
