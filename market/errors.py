"""One error type for values that the market refuses: it names the field, what was expected and what came."""

from __future__ import annotations


class FieldError(ValueError):
    """A refused value. `field` is a path such as `steps[0].limits[3]`; `expected` is a phrase; `got` is the value itself."""

    def __init__(self, field: str, expected: str, got: object) -> None:
        super().__init__(f"{field}: expected {expected}, got {got}")
        self.field = field
        self.expected = expected
        self.got = got


class TermsError(FieldError):
    """Terms of a session (or a zone) that the contract would not open."""


class OrderError(FieldError):
    """An order that the contract would not take into the session's log."""
