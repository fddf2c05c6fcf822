"""Learning curves of compared algorithms or variants: interquartile means with bootstrap intervals."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alm.training.files import write_text
from paper_figures import panels
from paper_figures.pictures import Picture, csv_text
from paper_figures.style import Look, figure_style, looks_apart
from reproduce.exhibits.comparison import Comparison, TaskComparison
from reproduce.formats import steps_in_words


@figure_style()
def draw(comparison: Comparison) -> Figure:
    """Draw one panel per task, all curves up to the last step that all seeds have reached."""
    looks = looks_apart(comparison.sides)
    figure, ((axes,),) = panels.page(len(comparison.tasks))
    for axis, task in zip(axes, comparison.tasks, strict=True):
        _panel(axis, task, looks)
    panels.name_rows(axes, "return")
    panels.notes(figure, axes, [_numbers(task) for task in comparison.tasks])
    panels.legend(figure)
    panels.caption(
        figure,
        f"{comparison.heading}. {' '.join(comparison.notes())} Curves and bands: the same statistics of "
        "the return at each step that all seeds have.",
    )
    return figure


def _panel(axis: Axes, task: TaskComparison, looks: Mapping[str, Look]) -> None:
    for side in task.sides:
        curve, look = side.curve, looks[side.name]
        axis.fill_between(task.steps, curve.low, curve.high, color=look.colour, alpha=0.18, linewidth=0)
        axis.plot(
            task.steps,
            curve.value,
            color=look.colour,
            marker=look.marker,
            markevery=max(1, len(task.steps) // 8),
            markeredgecolor="white",
            markeredgewidth=0.4,
            label=side.name,
        )
    axis.set_title(task.task)
    panels.steps_axis(axis)
    panels.returns_axis(axis)


def _numbers(task: TaskComparison) -> str:
    """The results of the comparisons on a task."""
    lines = [f"{task.first.name} ({task.first.seeds}) at {steps_in_words(task.step)}, against"]
    for contrast in task.contrasts:
        other, improvement = contrast.other, contrast.improvement.text(2)
        difference = contrast.difference.text(sign="+")
        lines.append(f"{other.name} ({other.seeds}): difference {difference}, P(first > other) {improvement}")
    return "\n".join(lines)


def write(comparison: Comparison, out: Path) -> list[Path]:
    """Write a comparison: the curves as PNG, PDF and CSV, the numbers as CSV; returns the files."""
    picture = Picture(comparison.file_name, "", draw(comparison), comparison.points())
    files, numbers = picture.write(out), out / f"{picture.file}-numbers.csv"
    write_text(numbers, csv_text(comparison.numbers()))
    return [*files, numbers]
