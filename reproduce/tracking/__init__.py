"""Tracking with MLflow: a copy of the runs, which can be made again at any time.

    client.py      connection to one MLflow: runs by key, errors as one sentence
    records.py     metadata of a run: names, tags, parameters
    following.py   run directories, while they train and afterwards
    importing.py   stored runs, the paper's printed numbers, the authors' curves
    views.py       which charts a link opens, as MLflow's page keeps it
    links.py       links into it
    server.py      a server in front of a database; guard.py ends it with the process that started it
    ui.py          the two commands that serve: one person's, and a lab's

One MLflow run is one training of one (algorithm, variant, task, seed, scale). Experiments are evaluation
protocols (``alm/<protocol>``), because only curves of one protocol may be compared; runs of scale ``smoke``
are kept apart in ``alm/smoke``, the paper's printed numbers and the authors' curves in ``alm/published``.
"""
