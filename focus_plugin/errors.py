"""The one exception that stands for a fault of the input, told in a sentence."""


class FocusError(Exception):
    """Something the user gave is wrong. The message says what, in which file and line, and what to do."""
