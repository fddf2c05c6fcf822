"""Table 1 as a declaration."""

import pytest

from alm.tasks.registry import TASKS
from alm.training.scale import SCALES, UnknownScaleError
from reproduce.exhibits import EXHIBITS, TABLE1
from reproduce.published import printed_scores
from reproduce.specs import RunSpec


def test_table1_needs_five_seeds_a_task_of_what_can_be_trained_at_paper_scale():
    needs = TABLE1.needs("paper")
    assert len(needs) == len(set(needs)) == 150
    assert needs[0] == RunSpec(algorithm="alm", variant="base", task="T-Humanoid", seed=0, scale="paper")
    assert {spec.seed for spec in needs} == set(range(5))


def test_paper_scale_is_read_at_200k_and_others_at_the_end_of_their_runs():
    assert {TABLE1.step("paper", task) for task in TABLE1.tasks} == {200_000}
    assert TABLE1.step("laptop", "Hopper") == SCALES["laptop"].total_steps
    assert {spec.seed for spec in TABLE1.needs("laptop")} == set(SCALES["laptop"].seeds)


def test_unknown_scales_are_refused():
    with pytest.raises(UnknownScaleError, match="laptop"):
        TABLE1.needs("labtop")


def test_tasks_are_registered_and_rows_are_the_printed_ones():
    assert set(TABLE1.tasks) <= set(TASKS)
    printed = [(cell.algorithm, cell.task) for cell in printed_scores(1)]
    assert printed == [(row.label, task) for row in TABLE1.rows for task in TABLE1.tasks]


def test_exhibits_are_found_by_name():
    assert EXHIBITS["table1"] is TABLE1
