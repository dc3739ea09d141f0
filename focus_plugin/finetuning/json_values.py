"""Reads JSON values of the user's tables."""

import json
import re
from pathlib import Path
from typing import Any

from focus_plugin.errors import FocusError
from focus_plugin.files import parse_json

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def json_value(path: Path, text: str, first: int) -> Any:
    """The value of ``text``, which begins on the line ``first`` of the file ``path``.

    Raises FocusError, with file and line, if it is not valid JSON or has a lone surrogate, which no file of ours can.
    """
    try:
        value = parse_json(text)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise FocusError(
            f"{path}, line {first + error.lineno - 1}: not valid JSON ({error.msg}, column {error.colno}); the file "
            "may be incomplete."
        ) from error
    except UnicodeEncodeError as error:
        raise FocusError(f"{path}, line {first}: has a lone surrogate, which UTF-8 cannot encode.") from error
    except ValueError as error:  # numbers of thousands of digits, thousands of brackets
        raise FocusError(f"{path}, line {first}: not valid JSON ({error}).") from error
    return value
