"""What the paper says in words, beside what the stored runs say.

statements.py   the claims, as data             checks.py     kinds of claim, and how each is looked up
evidence.py     runs, and the numbers of a run  contrasts.py  two sides on a task, and a finding of all tasks
verdicts.py     all claims together: verdicts and their table
"""

from reproduce.exhibits.claims.statements import CLAIMS, Claim
from reproduce.exhibits.claims.verdicts import COLUMNS, Judged, claims_table, judged, rows_of, table_of

__all__ = [
    "CLAIMS",
    "COLUMNS",
    "Claim",
    "Judged",
    "claims_table",
    "judged",
    "rows_of",
    "table_of",
]
