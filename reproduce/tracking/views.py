"""Views of experiments: the charts that MLflow's experiment page shows for one task and scale.

MLflow keeps the state of that page in the browser, unless a link names a state stored in a tag of the
experiment (as links made by its "Share" button do). This module writes such tags, so that a short link opens
learning curves by environment step, one line per variant with its band over seeds.
"""

import base64
import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote

from alm.names import place_among

_FIRST_SCALES = ("paper", "laptop")
_RETURN = "eval/return"
_SHOWN = 100
"""Number of runs that the page loads at first."""
_LARGEST_TAG = 20_000
"""Letters of an experiment's tag, of which its description is one, that MLflow accepts since version 3.17."""


class Kind(NamedTuple):
    """A selection, by tags, of the runs of a task and scale to be shown together."""

    name: str
    title: str
    condition: str
    holds: Callable[[Mapping[str, str]], bool]


# MLflow's filters have no "or".
_BASELINES = Kind(
    "baselines",
    "ALM, the baselines and variants of your own",
    "tags.role != 'variant'",
    lambda tags: tags["role"] != "variant",
)
_VARIANTS = Kind("variants", "ALM and its variants", "tags.algo = 'alm'", lambda tags: tags["algo"] == "alm")


@dataclass(kw_only=True, eq=False)
class View:
    """Runs of one task and scale in an experiment that are shown together.

    Attributes:
        task: name of the task.
        scale: named size of the runs.
        kind: the selection of runs.
        runs: number of runs.
        methods: names of the lines, each the mean of its seeds.
        metrics: names of all metrics of any of the runs.
        has_variants: whether any run is of one of the paper's variants.
    """

    task: str
    scale: str
    kind: Kind
    runs: int = 0
    methods: set[str] = field(default_factory=set)
    metrics: set[str] = field(default_factory=set)
    has_variants: bool = False

    def holds(self, tags: Mapping[str, str]) -> bool:
        """Whether a run with these tags belongs to the view."""
        return (tags["task"], tags["scale"]) == (self.task, self.scale) and self.kind.holds(tags)

    @property
    def key(self) -> str:
        """Its name in links, such as ``HalfCheetah-laptop``; old links show new runs, too."""
        suffix = "" if self.kind is _BASELINES else f"-{self.kind.name}"
        return f"{self.task.replace('/', '_')}-{self.scale}{suffix}"

    @property
    def title(self) -> str:
        """Its content in one line."""
        rest = f"; MLflow shows the first {_SHOWN}, and more if asked" if self.runs > _SHOWN else ""
        return f"{self.task}, {self.scale}: {self.kind.title} ({self.runs} runs{rest})"

    @property
    def condition(self) -> str:
        """MLflow's filter for its runs."""
        return f"tags.task = '{self.task}' and tags.scale = '{self.scale}' and {self.kind.condition}"

    @property
    def tag(self) -> str:
        """Key of the experiment's tag that holds the state of the page."""
        return f"mlflow.sharedViewState.{self.key}"

    @property
    def state(self) -> str:
        """The state of the page in MLflow's own format: JSON, compressed, because a tag of an experiment is
        limited to 5000 characters before MLflow 3.17, 20,000 since."""
        text = json.dumps(self._page, separators=(",", ":"))
        return f"deflate;{base64.b64encode(zlib.compress(text.encode())).decode()}"

    @property
    def _page(self) -> dict[str, Any]:
        return {
            "searchFilter": self.condition,
            # Groups are ordered by their means.
            "orderByKey": f"metrics.`{_RETURN}`",
            "orderByAsc": False,
            "groupBy": {
                "aggregateFunction": "average",
                "groupByKeys": [{"mode": "tag", "groupByData": "method"}],
            },
            "groupsExpanded": {f"tag.method.{method}": False for method in sorted(self.methods)},
            "useGroupedValuesInCharts": True,
            "runsHiddenMode": "SHOW_ALL",
            "hideEmptyCharts": True,
            "selectedColumns": [],
            "isAccordionReordered": True,
            "compareRunSections": [
                _section("Learning curves", columns=1, height=420, opened=True),
                _section("At the end", columns=3, height=420),
                # MLflow adds a section for each prefix before the slash in the names of other metrics, and
                # opens it unless it is listed here; "Model metrics" is its section for names without a slash.
                *map(_section, sorted({name.rpartition("/")[0] or "Model metrics" for name in self.metrics})),
            ],
            "compareRunCharts": [
                {
                    **_chart("LINE", _RETURN, "Learning curves"),
                    "selectedMetricKeys": [_RETURN],
                    "xAxisKey": "step",
                    "lineSmoothness": 0,
                    "displayPoints": False,
                },
                _chart("BAR", "final/return", "At the end"),
                _chart("BAR", "final/step", "At the end"),
                _chart("BAR", "cost/seed_h", "At the end"),
            ],
        }


def _section(name: str, *, columns: int = 3, height: int = 320, opened: bool = False) -> dict[str, Any]:
    return {
        "uuid": name,
        "name": name,
        "display": opened,
        "isReordered": False,
        "deleted": False,
        "isGenerated": False,
        "columns": columns,
        "cardHeight": height,
    }


def _chart(kind: str, metric: str, section: str) -> dict[str, Any]:
    return {
        "uuid": metric,
        "type": kind,
        "metricKey": metric,
        "metricSectionId": section,
        "runsCountToCompare": _SHOWN,
        "deleted": False,
        "isGenerated": False,
    }


def views_of(runs: Iterable[Any]) -> list[View]:
    """The views of an experiment with these runs (MLflow entities).

    Each task and scale has a view of ALM, the baselines and the user's own variants, and one of ALM's
    variants if there are any. They are ordered by task name, then by scale: paper, laptop, others.
    """
    views: dict[tuple[str, str, str], View] = {}
    for run in runs:
        tags = run.data.tags
        if not {"task", "scale", "method", "role", "algo"} <= tags.keys():
            continue
        for kind in (_BASELINES, _VARIANTS):
            if kind.holds(tags):
                place = (tags["task"], tags["scale"], kind.name)
                view = views.setdefault(place, View(task=place[0], scale=place[1], kind=kind))
                view.runs += 1
                view.methods.add(tags["method"])
                view.metrics.update(run.data.metrics)
                view.has_variants |= tags["role"] == "variant"

    def order(view: View) -> tuple[str, int, str, str]:
        return view.task, place_among(view.scale, _FIRST_SCALES), view.scale, view.kind.name

    shown = [view for view in views.values() if view.kind is _BASELINES or view.has_variants]
    return sorted(shown, key=order)


OURS = "*Written by `make ui` and `make sync`; without this line it is yours to change.*"
"""Last line of an experiment's description, until someone takes the description over.

Experiments have it from earlier versions, so it stays as it is.
"""

_BY_HAND = """\
Learning curves of every task and scale, and how to make such a view by hand (use the arrow to expand this).

{views}

A run is one seed of one method on one task at one scale.

By hand: *Model training* at the top of the menu; *Runs*; the chart symbol left of the filter; as filter
`tags.task = 'HalfCheetah' and tags.scale = 'laptop'`; *Group by* the tag `method`; *Show all runs* at the eye
above the list; the chart `eval/return`, whose steps are environment steps. A line is the mean of the seeds,
its band is their range. For intervals and tests, use `python -m reproduce compare`.

"""


def description_of(experiment_id: str, views: Iterable[View]) -> str:
    """The Markdown description of an experiment: links to its views, and how to make one by hand.

    Of more views than MLflow has room for, the first ones.
    """
    listed = [f"* [{view.title}]({view_link('', experiment_id, view)[1:]})" for view in views]

    def text(shown: int) -> str:
        rest = len(listed) - shown
        more = [f"* and {rest} more, to which `python -m reproduce ui` prints links"] if rest else []
        return _BY_HAND.format(views="\n".join([*listed[:shown], *more])) + OURS

    return next(found for shown in range(len(listed), -1, -1) if len(found := text(shown)) <= _LARGEST_TAG)


def view_link(base: str, experiment_id: str, view: View) -> str:
    """URL of a view; without the last parameter MLflow 3 may open a page of traces instead."""
    query = f"viewStateShareKey={quote(view.key)}&compareRunsMode=CHART&workflowType=machine_learning"
    return f"{base}/#/experiments/{experiment_id}/runs?{query}"


def table_link(base: str, experiment_id: str) -> str:
    """URL of the table of an experiment's runs."""
    return f"{base}/#/experiments/{experiment_id}/runs?compareRunsMode=TABLE&workflowType=machine_learning"
