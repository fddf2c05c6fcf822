"""The measured numbers of README.md and docs/, generated from the store and from records of benchmarks.

A page has marks around each generated block. Every module has one subject, and its function `blocks` makes
what pages show of it, by page and name of the block; pages.py puts all of them into the pages.
"""

Blocks = dict[tuple[str, str], str]
"""Markdown by page (its path in the repository) and name of the block."""
