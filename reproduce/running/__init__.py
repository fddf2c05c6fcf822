"""From names to trained runs: what can be trained, plans, training, the grid."""
