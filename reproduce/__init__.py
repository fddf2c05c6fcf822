"""The laboratory book: which runs an exhibit needs, the store of finished runs, statistics and tables."""
