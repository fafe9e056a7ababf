"""Errors for values that the market refuses: they name the field, what was expected and what came."""

from __future__ import annotations

from contracts.errors import FieldError as FieldError


class TermsError(FieldError):
    """Terms of a session (or a zone) that the contract would not open."""


class OrderError(FieldError):
    """An order that the contract would not take into the session's log."""
