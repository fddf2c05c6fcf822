"""``make torture``: killed runs, damaged files, and nonsensical command lines.

    trials.py    a trial in a separate process, forked from one that has imported everything; the tally
    world.py     short runs of every algorithm, made by the ``train`` command
    kills.py     signals at random moments: a resumed run must equal an undisturbed one, bit for bit
    damage.py    one file of a small world of runs damaged, then a command: a warning or a sentence
    lines.py     options with values of every kind: a sentence, and nothing written elsewhere

Every trial has its own generator, seeded by the class, the seed and its number, so that a single trial can
be repeated: ``python -m benchmarks.torture --only kills:17``. The draws are the same each time, but the
instruction at which a timed signal arrives depends on the machine.
"""
