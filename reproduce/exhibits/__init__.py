"""Exhibits: the paper's tables and figures as data, and everything that presents stored runs.

docs/architecture.md lists its modules. Nothing here trains: runs come from `reproduce.lab.store`.
"""
