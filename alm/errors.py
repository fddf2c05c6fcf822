"""Errors for users."""


class UserError(ValueError):
    """An error in what someone gave: a value, a file, a place, a machine that lacks something.

    Its message is a sentence that names the value, where it is, and what to do; commands print it without a
    traceback. Any other exception of the suite is a mistake of the suite.
    """
