"""Claims of the paper's text, checked against the stored runs.

statements.py   the claims, as data             checks.py     kinds of claims, and how each is checked
evidence.py     runs, and the numbers of a run  contrasts.py  two sides on a task, and findings over all tasks
verdicts.py     all claims together: verdicts and their table
"""
