"""The data of Figure 7: from the checkpoints of finished runs into the store."""

import shutil

import numpy as np
import pytest

from alm.training.run_directory import RunDirectory
from reproduce.cli import main
from reproduce.exhibits import exhibit_named
from reproduce.lab import latents
from reproduce.lab.archive import archive_run, directories_under
from reproduce.lab.specs import RunSpec
from reproduce.lab.store import LATENT_COLUMNS, Store

pytestmark = pytest.mark.programs

FIGURE7 = exhibit_named("figure7").needs("smoke")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Smoke runs of ALM with and without KL on HalfCheetah, and a store that holds them."""
    folder = tmp_path_factory.mktemp("latents")
    for variant in ("base", "no-kl"):
        command = ["train", "--task", "HalfCheetah", "--scale", "smoke", "--variant", variant, "--no-track"]
        assert main([*command, "--runs-dir", str(folder / "runs"), "--store", str(folder / "store")]) == 0
    store = Store(folder / "store")
    for directory in directories_under(folder / "runs"):
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
    assert error.startswith("error: there is no finished run of alm on HalfCheetah") and "make train" in error


def test_a_checkpoint_of_another_step_does_not_count(trained, tmp_path):
    store = Store(trained / "store")
    shutil.copytree(trained / "runs", tmp_path / "runs")
    directory = RunDirectory(tmp_path / "runs/alm/base/HalfCheetah/smoke/seed-0")
    newest = max(directory.checkpoints.folder.glob("*.pt"))
    newest.rename(newest.with_name("step-000000001.pt"))
    with pytest.raises(latents.NoCheckpointError):
        latents.measure_latents(FIGURE7, "HalfCheetah", "smoke", store, tmp_path / "runs")
