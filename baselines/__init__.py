"""The algorithms that ALM is compared with, one per file, on the same tasks, loop and store."""
