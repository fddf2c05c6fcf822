"""The commands of ``python -m reproduce``, one class each.

Fields are the options, docstrings are the help, and `run` executes the command and returns the exit code.
"""
