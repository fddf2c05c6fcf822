"""Links into MLflow: to the views of experiments, and to given runs."""

from collections.abc import Iterable, Sequence
from typing import Any

from reproduce.lab.store import StoredRun
from reproduce.tracking.client import MlflowRuns
from reproduce.tracking.importing import PUBLISHED
from reproduce.tracking.records import SMOKE, record_of
from reproduce.tracking.uri import is_server, resolve_uri, shown_uri
from reproduce.tracking.views import OURS, View, description_of, table_link, view_link, views_of

_DESCRIPTION = "mlflow.note.content"
_SYNC = "python -m reproduce sync"


def update_views(tracker: MlflowRuns) -> tuple[dict[str, str], dict[str, list[View]]]:
    """Identifiers of experiments, and the views of those of runs, whose tags and description are updated.

    Raises:
        reproduce.tracking.uri.TrackingError: MLflow cannot be read or written.
    """
    experiments = tracker.experiments()
    return experiments, {
        name: _refreshed_views(tracker, experiment_id, tracker.search(experiment_id))
        for name, experiment_id in experiments.items()
        if name != PUBLISHED
    }


def links(tracker: MlflowRuns, base: str) -> dict[str, dict[str, str]]:
    """Links to the views of each experiment, by title; the views are updated first.

    The protocol with the most runs comes first; smoke runs and published numbers come last.

    Raises:
        reproduce.tracking.uri.TrackingError: MLflow cannot be read or written.
    """
    experiments, views = update_views(tracker)

    def order(name: str) -> tuple[bool, int, str]:
        return name == SMOKE, -sum(view.runs for view in views[name]), name

    found = {
        name: {view.title: view_link(base, experiments[name], view) for view in views[name]}
        for name in sorted(views, key=order)
    }
    if PUBLISHED in experiments:
        title = "Table 1's printed numbers and the authors' curves"
        found[PUBLISHED] = {title: table_link(base, experiments[PUBLISHED])}
    return {name: titles for name, titles in found.items() if titles}


def _refreshed_views(tracker: MlflowRuns, experiment_id: str, runs: Iterable[Any]) -> list[View]:
    """The views of an experiment with these runs, after updating its tags and description."""
    views = views_of(runs)
    if views:
        tags = {view.tag: view.state for view in views}
        present = tracker.experiment_tags(experiment_id)
        if present.get(_DESCRIPTION, OURS).endswith(OURS):
            tags[_DESCRIPTION] = description_of(experiment_id, views)
        tracker.tag_experiment(experiment_id, {k: v for k, v in tags.items() if present.get(k) != v})
    return views


def where_to_look(runs: Sequence[StoredRun]) -> str:
    """Links to runs in MLflow, or how to find them there, in a line or two.

    For a server: for each task the view that contains most of the runs. For a database, which has no address
    until it is served: the experiment, and a filter that shows the runs beside all others of their tasks.

    Args:
        runs: at least one run, all of one scale.

    Raises:
        reproduce.tracking.uri.TrackingError: the server cannot be read.
    """
    uri = resolve_uri()
    records = [record_of(run.record, run.provenance) for run in runs]
    names = dict.fromkeys(record.experiment for record in records)
    tasks = dict.fromkeys(run.spec.task for run in runs)
    if not is_server(uri):
        filters = [f"tags.task = '{task}' and tags.scale = '{runs[0].spec.scale}'" for task in tasks]
        where = f"experiment {', '.join(names)} ({shown_uri(uri)})"
        return f"MLflow: `python -m reproduce ui`, {where}, filter: {'; or '.join(filters)}"
    tracker = MlflowRuns(uri)
    experiments = tracker.experiments()
    there = {name: list(tracker.search(experiments[name])) for name in names if name in experiments}
    held = {(name, run.data.tags.get("run_key")) for name, its_runs in there.items() for run in its_runs}
    found = [record for record in records if (record.experiment, record.key) in held]
    if not found:
        return f"MLflow at {shown_uri(uri)} has none of these runs yet: send them with `{_SYNC}`"
    missing = "" if len(found) == len(records) else f" ({len(found)} of {len(records)} runs; see `{_SYNC}`)"
    base = shown_uri(uri).rstrip("/")
    addresses = []
    for experiment in dict.fromkeys(record.experiment for record in found):
        views = _refreshed_views(tracker, experiments[experiment], there[experiment])
        for task in tasks:
            of_task = [view for view in views if view.task == task]
            if of_task:
                best = max(of_task, key=lambda view: sum(view.holds(record.tags) for record in found))
                addresses.append(view_link(base, experiments[experiment], best))
    return f"MLflow{missing}: {' '.join(addresses)}"
