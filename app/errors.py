"""The one error of the application: what was refused, which field, what was expected and what came. The API renders it
as problem+json.
"""

from __future__ import annotations

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
