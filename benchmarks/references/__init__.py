"""``python -m benchmarks.references``: updates here beside the code that they follow, in float64.

Give it checkouts of those codes; it holds nothing of them.  Both sides start from the same parameters, see
the same batches, and where the reference asks for a random number it is handed ours.

    comparing.py  modules of a checkout, random batches, parameters of both sides
    draws.py      random numbers of a reference, replaced by given ones in the order in which it asks for them
    alm.py        RajGhugare19/alm: updates, acting, evaluation, the lower bound L^K
    td3.py        sfujim/TD3: updates
    redq.py       watchernyu/REDQ: updates
"""
