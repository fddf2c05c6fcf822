"""MLflow, as a view of the runs that can be made again at any time.

    client.py      one MLflow: runs found by their key, and one sentence for whatever goes wrong
    records.py     what MLflow is told of a run: names, tags, parameters
    following.py   run directories, while they train and afterwards
    importing.py   stored runs, the paper's printed numbers, the authors' curves
    ui.py          the server on this machine, and links into it

One MLflow run is one training of one (algorithm, variant, task, seed, scale). Experiments are evaluation
protocols (``alm/<protocol>``), because only curves of one protocol may be compared; runs of scale ``smoke``
are kept apart in ``alm/smoke``, the paper's printed numbers and the authors' curves in ``alm/published``.
"""
