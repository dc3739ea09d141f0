"""The exception for errors in the user's input."""


class FocusError(Exception):
    """Something in the user's input is wrong. The message says what, in which file and line, and what to do."""


def first_line(error: BaseException) -> str:
    """The first line of what another library says about a file, for a sentence; else the name of the exception."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
