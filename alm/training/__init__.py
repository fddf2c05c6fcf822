"""What every agent trains with: population networks, replay, loop, evaluation, checkpoint."""
