"""The one error of the application: what was refused, which field, what was expected and what came. The API renders it
as problem+json. And how an error nobody expected is told in a log.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One refused field."""

    field: str
    expected: str
    got: str


class Refused(Exception):
    """A request that cannot be carried out; nothing was stored. `status` is the HTTP status."""

    def __init__(self, detail: str, *, status: int = 422, field: str | None = None, expected: str = "", got: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.errors: list[FieldError] = [FieldError(field, expected, got)] if field else []


def shown(value: object) -> str:
    """What came, as an error says it back: at most 120 characters, and none that no answer can be encoded with."""
    text = str(value)
    return (text if len(text) <= 120 else text[:117] + "...").encode("utf-8", "backslashreplace").decode()


def told(error: BaseException) -> str:
    """An unexpected error for the log: its type, what fields were refused, and where it came from. Not its message, which could
    carry readings or keys."""
    frames = traceback.extract_tb(error.__traceback__)[::-1]
    ours = [frame for frame in frames if "site-packages" not in frame.filename]
    fields = f" ({', '.join(wrong.field for wrong in error.errors)})" if isinstance(error, Refused) and error.errors else ""
    return f"{type(error).__name__}{fields} at " + " < ".join(
        f"{frame.name} ({frame.filename}:{frame.lineno})" for frame in ours or frames
    )
