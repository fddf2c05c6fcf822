"""Training, for all algorithms: base agent, population networks, replay, loop, evaluation, checkpoints."""
