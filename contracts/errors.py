"""The error of values that are refused before any contract sees them: field, what was expected, what came."""

from __future__ import annotations


class FieldError(ValueError):
    """A refused value. `field` is a path such as `steps[0].limits[3]`; `expected` is a phrase; `got` is the value itself."""

    def __init__(self, field: str, expected: str, got: object) -> None:
        super().__init__(f"{field}: expected {expected}, got {got}")
        self.field = field
        self.expected = expected
        self.got = got
