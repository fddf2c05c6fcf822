"""The algorithms that ALM is compared with, one a file, on the same tasks, loop and store."""
