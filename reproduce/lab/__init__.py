"""The laboratory: what a run is, how runs are made, and where they and their policies are kept.

docs/architecture.md lists its modules. Nothing here shows runs: that is `reproduce.exhibits`.
"""
