"""The commands of ``python -m reproduce``: a class each.

Its fields are the options, its docstrings the help, and `run` does it and returns the exit code.
"""
