"""Every error of the contracts is met by name in a test, or there is a reason why no test can meet it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from machine import ROOT

UNREACHABLE = {
    "TooManyKeys": "each key's first day comes after the last one's and is below 65535, so that an account has fewer keys",
}
"""Errors that nothing can bring about, and why."""


def texts(*patterns: str) -> Iterable[str]:
    """The files under the repository that match, without this one."""
    paths = [path for pattern in patterns for path in ROOT.glob(pattern) if path != Path(__file__)]
    assert paths, patterns
    return (path.read_text() for path in paths)


def named(pattern: str, sources: Iterable[str]) -> set[str]:
    return {name for text in sources for name in re.findall(pattern, text, re.MULTILINE)}


def declared() -> set[str]:
    names = named(r"^\s*error (\w+)\(", texts("contracts/src/**/*.sol"))
    assert len(names) > 200, "the pattern finds errors"
    return names


def expected() -> set[str]:
    """Names that a Solidity test gives as an error's selector, or a Python test as a word of its own."""
    return named(r"\.(\w+)\.selector\b", texts("contracts/test/*.sol")) | named(r"\"(\w+)\"", texts("tests/**/*.py"))


def test_every_error_is_expected_by_name_in_a_test() -> None:
    assert declared() - expected() - set(UNREACHABLE) == set()


def test_what_is_called_unreachable_is_an_error_that_no_test_meets() -> None:
    assert set(UNREACHABLE) <= declared()
    assert set(UNREACHABLE) & expected() == set()
