"""Learning curves of two algorithms or variants: interquartile means with bootstrap intervals."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alm.training.files import write_text
from paper_figures import panels
from paper_figures.style import Look, csv_text, figure_style, save
from reproduce.exhibits.comparison import Comparison, TaskComparison
from reproduce.formats import steps_in_words

# Not the algorithms' own looks: both sides may be variants of one algorithm.
_LOOKS = (Look("#D55E00", "o"), Look("#0072B2", "s"))


def draw(comparison: Comparison) -> Figure:
    """Draw one panel per task, both curves up to the last step that all seeds of both have reached."""
    with figure_style():
        figure, ((axes,),) = panels.page(len(comparison.tasks))
        for axis, task in zip(axes, comparison.tasks, strict=True):
            _panel(axis, task)
        panels.name_rows(axes, "return")
        panels.notes(figure, axes, [_numbers(task) for task in comparison.tasks])
        panels.legend(figure)
        panels.caption(
            figure,
            f"{comparison.heading}. {' '.join(comparison.notes())} Curves and bands: the same statistics of "
            "the return at each step that all seeds have.",
        )
    return figure


def _panel(axis: Axes, task: TaskComparison) -> None:
    for side, look in zip(task.sides, _LOOKS, strict=True):
        curve = side.curve
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
    """The result of the comparison on a task."""
    first, second = (f"{side.name} ({side.seeds})" for side in task.sides)
    return (
        f"{first} against {second} at {steps_in_words(task.step)}:\n"
        f"difference {task.difference.text(sign='+')}, P(better) {task.improvement.text(2)}"
    )


def write(comparison: Comparison, out: Path) -> list[Path]:
    """Write a comparison: the curves as PNG, PDF and CSV, the numbers as CSV; returns the files."""
    # With extension, because with_suffix would cut a name such as c-0.05 at its dot.
    picture = out / f"{comparison.file_name}.png"
    save(draw(comparison), picture)
    data, numbers = picture.with_suffix(".csv"), out / f"{comparison.file_name}-numbers.csv"
    write_text(data, csv_text(comparison.points()))
    write_text(numbers, csv_text(comparison.numbers()))
    return [picture, picture.with_suffix(".pdf"), data, numbers]
