"""``python -m benchmarks.references``: updates here compared with the code that they follow, in float64.

It needs checkouts of those codes and contains none of them. Both sides start from the same parameters and
see the same batches; the reference's random numbers are replaced with ours.

    comparing.py  modules of a checkout, random batches, parameters of both sides
    draws.py      random numbers of a reference, replaced by given ones in the order of its requests
    alm.py        RajGhugare19/alm: updates, acting, evaluation, the lower bound L^K
    td3.py        sfujim/TD3: updates
    redq.py       watchernyu/REDQ: updates
"""
