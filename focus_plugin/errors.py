"""The exception for errors in the user's input."""


class FocusError(Exception):
    """Something in the user's input is wrong. The message says what, in which file and line, and what to do."""
