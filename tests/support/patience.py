"""How long tests wait for what takes moments, before they call it hung."""

PATIENCE = 600.0
"""Seconds: a machine that does other work may be far slower, and no test may depend on that."""
