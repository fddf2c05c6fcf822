"""The paper's figures: one module per kind, with functions from tidy frames to matplotlib figures."""
