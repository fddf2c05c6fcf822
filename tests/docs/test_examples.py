"""The examples: they are what the documentation shows, and run as they stand."""

import io
import re
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient

import reproduce
from reproduce.exhibits.tidy import COLUMNS
from reproduce.lab.places import CODE, SHIPPED
from reproduce.lab.store import Store

pytestmark = pytest.mark.programs

EXAMPLES = CODE / "examples"


def test_the_plugin_is_the_one_that_the_documentation_explains():
    page = (CODE / "docs" / "new_variant.md").read_text()
    shown = re.search(r'```python\n("""ALM whose policy pays.*?)```', page, re.DOTALL).group(1)
    assert (EXAMPLES / "my_idea.py").read_text() == shown


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.name)
def test_notebooks_run_from_top_to_bottom(path):
    """A cell that fails raises here, with its error."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(EXAMPLES)}}).execute()
    texts = [str(output) for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in text for text in texts)
    assert any("my-idea Hopper smoke" in text for text in texts)


def test_curves_are_those_of_the_store():
    curves = reproduce.load_curves(algorithm="sac", task="HalfCheetah", own=False)
    assert tuple(curves.columns) == COLUMNS
    runs = Store(SHIPPED).runs(algorithm="sac", task="HalfCheetah")
    assert len(curves) == sum(len(run.evaluations) for run in runs)
    for run in runs:
        of_run = curves[(curves["seed"] == run.spec.seed) & (curves["scale"] == run.spec.scale)]
        assert of_run["return"].tolist() == run.evaluations["eval/return"].tolist()
    # Of what there is, but no run of it.
    for algorithm in ("alm", None):
        assert reproduce.load_curves(algorithm=algorithm, variant="no-kl", scale="smoke", own=False).empty
        assert reproduce.load_curves(algorithm=algorithm, variant="joint[horizon=9]", own=False).empty


@pytest.mark.parametrize(
    ("unknown", "sentence"),
    [
        ({"task": "Cheetah"}, "no task 'Cheetah' .did you mean 'HalfCheetah'"),
        ({"scale": "big"}, "no scale 'big'"),
        ({"algorithm": "nobody"}, "no algorithm 'nobody'"),
        ({"algorithm": "alm", "variant": "no-k"}, "no variant 'no-k' of alm .did you mean 'no-kl'"),
        ({"variant": "no-k[horizon=7]"}, "no variant 'no-k' of any algorithm .did you mean 'no-kl'"),
    ],
)
def test_curves_of_what_does_not_exist_are_refused(unknown, sentence):
    with pytest.raises(ValueError, match=sentence):
        reproduce.load_curves(**unknown)


def test_curves_of_ones_own_algorithm_are_known_by_its_runs(tmp_path, monkeypatch, make_run):
    monkeypatch.setattr("reproduce.lab.store.OWN", tmp_path)
    Store(tmp_path).write(make_run({5000: 1.0}, algorithm="mine", variant="loud"))
    assert reproduce.load_curves(algorithm="mine", variant="loud")["return"].tolist() == [1.0]


def test_a_notebook_shows_a_figure_once():
    """What pyplot has open a notebook shows once more."""
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    figure = reproduce.figure("3", scale="laptop", own=False)
    assert plt.get_fignums() == before
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    assert picture.getvalue().startswith(b"\x89PNG")


def test_a_notebook_needs_none_of_what_training_needs():
    code = (
        "import sys, reproduce; reproduce.load_curves; print({'torch', 'mlflow', 'mujoco'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=CODE)
    assert done.stdout.strip() == "set()", done.stderr
