"""The data of Figure 7: from the checkpoints of finished runs into the store."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from alm.training.run_directory import RunDirectory
from reproduce.cli import main
from reproduce.exhibits.catalogue import EXHIBITS
from reproduce.lab import latents
from reproduce.lab.archive import archive_policies, archive_run
from reproduce.lab.run_directories import directories_under
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import LATENT_COLUMNS, Store, StoreWarning

pytestmark = pytest.mark.programs

FIGURE7 = EXHIBITS["figure7"].needs("smoke")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Smoke runs of ALM with and without KL on HalfCheetah, and a store that holds them."""
    folder = tmp_path_factory.mktemp("latents")
    for variant in ("base", "no-kl"):
        command = ["train", "--task", "HalfCheetah", "--scale", "smoke", "--variant", variant, "--no-track"]
        assert main([*command, "--runs-dir", str(folder / "runs"), "--store", str(folder / "store")]) == 0
    store = Store(folder / "store")
    for directory in directories_under(folder / "runs").values():
        archive_run(directory, store)
    return folder


def test_every_trained_run_is_measured_along_one_episode(trained):
    store = Store(trained / "store")
    written = latents.measure_latents(FIGURE7, "HalfCheetah", "smoke", store, trained / "runs")
    assert len(written) == 2
    for variant in ("base", "no-kl"):
        spec = RunSpec(algorithm="alm", variant=variant, task="HalfCheetah", seed=0, scale="smoke")
        run = store.get(spec)
        steps, policy = store.latents(run)
        assert policy == "alm/base HalfCheetah smoke seed 0"
        assert list(steps.columns) == list(LATENT_COLUMNS) and len(steps) == 1001
        known = steps["squared_error"].notna()
        assert steps.loc[known, "step"].tolist() == list(range(1, latents.HORIZON + 1))
        assert np.isfinite(steps[["encoded", "predicted", "sampled"]].to_numpy()).all()
        # Both start at what the encoder sees, up to the sample's deviation.
        assert steps["encoded"][0] == steps["predicted"][0]
    assert len(store.runs()) == 2  # the files beside the runs are not runs
    again = latents.measure_latents(FIGURE7, "HalfCheetah", "smoke", store, trained / "runs")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in written]


def test_runs_whose_checkpoints_are_elsewhere_are_named(trained, tmp_path, capsys):
    places = ["--runs-dir", str(tmp_path), "--store", str(trained / "store")]
    assert main(["latents", "--scale", "smoke", *places]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: there is no finished run of alm on HalfCheetah")
    assert error.endswith(f"train --algorithm alm --task HalfCheetah --scale smoke {' '.join(places)}\n")


def test_a_task_that_does_not_exist_is_named(tmp_path, capsys):
    places = ["--runs-dir", str(tmp_path), "--store", str(tmp_path)]
    assert main(["latents", "--task", "HalfCheeta", *places]) == 2
    assert "error: There is no task 'HalfCheeta'" in capsys.readouterr().err


def test_a_checkpoint_of_another_step_does_not_count(trained, tmp_path):
    store = Store(tmp_path / "store")
    shutil.copytree(trained / "store", store.root, ignore=shutil.ignore_patterns("*.latents.parquet"))
    shutil.copytree(trained / "runs", tmp_path / "runs")
    directory = RunDirectory(tmp_path / "runs/alm/base/HalfCheetah/smoke/seed-0")
    newest = max(directory.checkpoints.folder.glob("*.pt"))
    newest.rename(newest.with_name("step-000000001.pt"))
    with pytest.raises(ValueError, match="^there is no finished run of alm on HalfCheetah"):
        latents.measure_latents(FIGURE7, "HalfCheetah", "smoke", store, tmp_path / "runs")


def test_a_damaged_checkpoint_is_warned_of_and_left_as_it_is(trained, tmp_path):
    shutil.copytree(trained / "store", tmp_path / "store", ignore=shutil.ignore_patterns("*.latents.parquet"))
    shutil.copytree(trained / "runs", tmp_path / "runs")
    directory = RunDirectory(tmp_path / "runs/alm/no-kl/HalfCheetah/smoke/seed-0")
    newest = max(directory.checkpoints.folder.glob("*.pt"))
    newest.write_bytes(newest.read_bytes()[:-1])
    with pytest.warns(StoreWarning, match=r"no-kl .* is not measured: the checkpoint .* is damaged"):
        (written,) = latents.measure_latents(
            FIGURE7, "HalfCheetah", "smoke", Store(tmp_path / "store"), tmp_path / "runs"
        )
    assert "base" in written.parts and newest.exists()


@pytest.fixture
def shipped(trained, tmp_path):
    """A store in which the run without KL lacks its predictions, and the directory of that run alone."""
    shutil.copytree(trained / "store", tmp_path / "shipped")
    store = Store(tmp_path / "shipped")
    latents.measure_latents(FIGURE7, "HalfCheetah", "smoke", store, trained / "runs")
    archive_policies(RunDirectory(trained / "runs/alm/base/HalfCheetah/smoke/seed-0"), store)
    (lacking,) = store.runs(variant="no-kl")
    store.place(lacking).with_suffix(".latents.parquet").unlink()
    shutil.copytree(trained / "runs/alm/no-kl", tmp_path / "runs/alm/no-kl")
    return store


def test_a_run_that_lacks_them_is_measured_along_the_episode_of_the_stored_ones(trained, shipped, tmp_path):
    """The acting policy comes from the store; what is written over it is read with what lies beneath."""
    own = Store(tmp_path / "own", shipped.root)
    (written,) = latents.measure_latents(FIGURE7, "HalfCheetah", "smoke", own, tmp_path / "runs")
    assert written.is_relative_to(own.root)
    assert {own.latents(run)[1] for run in own.runs()} == {"alm/base HalfCheetah smoke seed 0"}
    together = Store(tmp_path / "together")
    shutil.copytree(trained / "store", together.root)
    every = latents.measure_latents(FIGURE7, "HalfCheetah", "smoke", together, trained / "runs")
    assert written.read_bytes() in [path.read_bytes() for path in every]


def test_without_the_policy_of_the_stored_ones_none_is_measured(shipped, tmp_path, capsys):
    for path in shipped.root.rglob("*.safetensors"):
        path.unlink()
    places = ["--runs-dir", str(tmp_path / "runs"), "--store", str(shipped.root)]
    assert main(["latents", "--scale", "smoke", *places]) == 2
    error = capsys.readouterr().err
    assert "along the episode of alm/base HalfCheetah smoke seed 0" in error
    assert "its policy is not here" in error and "archive --store" in error
    assert not (shipped.root / "alm/no-kl/HalfCheetah/smoke/seed-0.latents.parquet").exists()


def test_a_run_that_was_trained_elsewhere_is_not_the_one_here(trained, tmp_path):
    """Another processor rounds otherwise: the same configuration, another model."""
    store = Store(tmp_path / "store")
    for run in Store(trained / "store").runs():
        returns = [[value + 1.0 for value in of] for of in run.evaluations["eval/returns"]]
        store.write(replace(run, evaluations=run.evaluations.assign(**{"eval/returns": returns})))
    with pytest.raises(ValueError, match="^there is no finished run of alm on HalfCheetah"):
        latents.measure_latents(FIGURE7, "HalfCheetah", "smoke", store, trained / "runs")
