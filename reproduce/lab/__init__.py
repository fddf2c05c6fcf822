"""The laboratory: what a run is, how runs are made, and where they are kept.

specs.py        a run and its identity             store.py        finished runs, one Parquet file each
algorithms.py   algorithms and variants            archive.py      from a run directory to the store
settings.py     settings from the command line     training.py     from a command to trained runs
plugins.py      a researcher's own file            grid.py         several runs at a time
planning.py     what is missing, what it costs     executors/      where the grid's jobs run
provenance.py · machine.py                         curves.py       evaluations of one run, read at a step
latents.py      data of Figure 7                   published.py · footnote.py   what was printed
"""
