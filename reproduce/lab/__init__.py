"""The laboratory: what a run is, how runs are made, and where they and their policies are kept.

docs/architecture.md lists its modules. What compares and draws runs is in `reproduce.exhibits`.
"""
