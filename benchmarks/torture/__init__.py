"""``make torture``: runs that are killed, files that are damaged, command lines that make no sense.

    trials.py    a trial in a process of its own, forked from one that has imported everything; the tally
    world.py     short runs of every algorithm, made by the ``train`` command
    kills.py     signals at random moments: what resumes must end as what nothing stopped, bit for bit
    damage.py    one file of a small world of runs damaged, then a command: a warning or a sentence
    lines.py     options with values of every kind: a sentence, and nothing written elsewhere

Every trial draws from a generator of its own, seeded by the class, the seed and its number, so that one alone
can be repeated: ``python -m benchmarks.torture --only kills:17``.  The draws are the same each time; at which
instruction a signal arrives that is sent after some time is the machine's affair.
"""
