"""Training code shared by all algorithms: base agent, networks, replay, loop, evaluation, checkpoints."""
