"""Where MLflow has given runs: a link into its server, or how to open its database."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from reproduce.lab.store import StoredRun
from reproduce.tracking.client import MlflowRuns, resolve_uri, shown_uri
from reproduce.tracking.records import record_of
from reproduce.tracking.ui import compare_link


def where_to_look(runs: Sequence[StoredRun], tracking_uri: str | None = None) -> str:
    """A line or two that lead to runs of one or more tasks in MLflow.

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
