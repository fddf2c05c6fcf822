"""Two algorithms or variants beside each other."""
