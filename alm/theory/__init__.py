"""The paper's bounds on finite MDPs in exact arithmetic: checks of its statements, and ascent on them."""
