"""Tracking with MLflow: a copy of the runs, which can be rebuilt at any time.

    uri.py         the address of an MLflow
    client.py      connection to one MLflow: runs by key, errors as one sentence
    records.py     metadata of a run: names, tags, parameters
    following.py   run directories, while they train and afterwards
    importing.py   stored runs, the paper's printed numbers, the authors' curves
    views.py       the charts that a link opens, in the format of MLflow's page
    links.py       links into MLflow
    server.py      a server in front of a database; guard.py ends it with the process that started it

One MLflow run is one training of one (algorithm, variant, task, seed, scale). Experiments are evaluation
protocols (``alm/<protocol>``), because only curves of one protocol are comparable. Runs of scale ``smoke``
are in ``alm/smoke``, the paper's printed numbers and the authors' curves in ``alm/published``.
"""
