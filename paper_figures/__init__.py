"""The paper's figures: one module each, a function from tidy frames to a matplotlib figure."""
