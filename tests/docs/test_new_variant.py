"""The page about variants of one's own: its example trains and is compared."""

import re

import pytest

from reproduce.cli import main
from reproduce.lab.places import CODE
from reproduce.lab.plugins import load_plugin

pytestmark = pytest.mark.programs

PAGE = (CODE / "docs" / "new_variant.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_trains_and_is_compared(tmp_path, capsys, monkeypatch):
    plugin = tmp_path / "my_idea.py"
    plugin.write_text(EXAMPLES[0])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    (tmp_path / "store").mkdir()  # in which runs of this scale are not stored
    places = ["--scale", "smoke", "--runs-dir", str(tmp_path / "runs"), "--store", str(tmp_path / "store")]
    train = ["train", "--task", "Hopper", "--seeds", "0", "1", "--no-track", *places]
    assert main([*train, "--algorithm", "td3-ours"]) == 0
    assert main([*train, "--plugin", str(plugin), "--variant", "my-idea"]) == 0
    (copy,) = tmp_path.glob("runs/alm/my-idea/Hopper/smoke/seed-1/plugin.py")
    assert copy.read_text() == EXAMPLES[0]
    metrics = (copy.parent / "metrics.jsonl").read_text()
    assert "actor/action_cost" in metrics
    capsys.readouterr()
    assert (
        main(["compare", "alm/my-idea", "td3-ours", "--task", "Hopper", "--out", str(tmp_path), *places]) == 0
    )
    assert re.search(r"alm/my-idea +2 ", capsys.readouterr().out)
    assert (tmp_path / "alm_my-idea-vs-td3-ours-Hopper-smoke.png").exists()


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_can_be_loaded(tmp_path, example):
    (tmp_path / "example.py").write_text(example)
    assert load_plugin(tmp_path / "example.py").text == example
    assert max(map(len, example.splitlines())) <= 110
