"""Links into MLflow: charts of experiments, comparisons of runs, and where given runs are."""

import json
from collections import defaultdict
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from reproduce.lab.store import StoredRun
from reproduce.tracking.client import MlflowRuns, resolve_uri, shown_uri
from reproduce.tracking.records import record_of

__all__ = ["chart_link", "compare_link", "links", "where_to_look"]

# Chart mode shows ten runs at first and grows slow far beyond that.
_COMPARED = 10


def chart_link(base: str, experiment_id: str) -> str:
    """Address of an experiment's charts; without these parameters MLflow 3 opens an empty page of traces."""
    query = "compareRunsMode=CHART&workflowType=machine_learning"
    return f"{base}/#/experiments/{experiment_id}/runs?{query}"


def compare_link(base: str, run_ids: Sequence[str], experiment_ids: Sequence[str]) -> str:
    """Address of the comparison of runs, of one or several experiments, in parallel coordinates."""

    def listed(values: Sequence[str]) -> str:
        return quote(json.dumps(list(values), separators=(",", ":")))

    return f"{base}/#/compare-runs?runs={listed(run_ids)}&experiments={listed(experiment_ids)}"


def links(tracker: MlflowRuns, base: str) -> dict[str, str]:
    """Links by title: each experiment's charts, and one comparison.

    The comparison is of the task with most runs of ours: the newest of them beside what is published for
    it. There is none where that would be a single run.

    Raises:
        reproduce.tracking.client.TrackingError: MLflow cannot be read.
    """
    titles: dict[str, str] = {}
    ours: dict[str, list[tuple[str, str]]] = defaultdict(list)
    others: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name, experiment_id in tracker.experiments().items():
        titles[name] = chart_link(base, experiment_id)
        for run in tracker.search(experiment_id):
            group = ours if run.data.tags.get("source") == "ours" else others
            group[run.data.tags.get("task", "")].append((run.info.run_id, experiment_id))
    if ours:
        task = max(sorted(ours), key=lambda task: len(ours[task]))
        chosen = ours[task][:_COMPARED] + others[task][:_COMPARED]
        if len(chosen) > 1:
            runs = [run for run, _ in chosen]
            experiments = list(dict.fromkeys(experiment for _, experiment in chosen))
            titles[f"compare runs on {task}"] = compare_link(base, runs, experiments)
    return titles


def where_to_look(runs: Sequence[StoredRun], tracking_uri: str | None = None) -> str:
    """A link to runs in MLflow, or how to find them there, in a line or two.

    Of a server, the comparison of those runs that it has; of a database, which has no address until it is
    served, the experiment and a filter that shows these runs beside all others of their tasks.

    Args:
        runs: at least one, all of one scale.
        tracking_uri: see `reproduce.tracking.client.resolve_uri`.

    Raises:
        reproduce.tracking.client.TrackingError: the server cannot be read.
    """
    uri = resolve_uri(tracking_uri)
    records = [record_of(run.spec, run.digest, run.protocol, run.config, run.provenance) for run in runs]
    if urlsplit(uri).scheme not in ("http", "https"):
        names = ", ".join(dict.fromkeys(record.experiment for record in records))
        tasks = dict.fromkeys(run.spec.task for run in runs)
        filters = [f"tags.task = '{task}' and tags.scale = '{runs[0].spec.scale}'" for task in tasks]
        return f"MLflow: `make ui`, experiment {names} ({shown_uri(uri)}), filter: {'; or '.join(filters)}"
    tracker = MlflowRuns(uri)
    experiments = tracker.experiments()
    found = [
        (known[0].run_id, experiments[record.experiment])
        for record in records
        if record.experiment in experiments and (known := tracker.find(record.experiment, record.key))
    ]
    if not found:
        return f"MLflow at {shown_uri(uri)} has none of these runs yet: send them with `make sync`"
    missing = "" if len(found) == len(records) else f" ({len(found)} of {len(records)} runs; see `make sync`)"
    link = compare_link(
        shown_uri(uri).rstrip("/"), [run for run, _ in found], list(dict.fromkeys(e for _, e in found))
    )
    return f"MLflow{missing}: {link}"
