"""ALM: tasks, the trainer that every agent shares, and the Aligned Latent Models method itself."""
