"""A node cannot have two different proofs of one day."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from app.errors import Refused
from app.told import NAME, Asked, check, note

FIRST = Asked("31337:0xab", 3, 7, 20_000, 0b1100, 0b11111000000000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    note(tmp_path / NAME, FIRST)
    return tmp_path / NAME


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"mask": 0b1110}, "intervals"),
        ({"mask": 0b0011}, "intervals"),
        ({"admissible": 0b11111}, "admissible days"),
        ({"mask": 0b100, "admissible": 0b11111}, "admissible days"),
        ({"day": 20_001}, "day"),
        ({"session": 4, "admissible": 0b11111}, "admissible days"),
    ],
)
def test_another_proof_is_refused(path: Path, change: dict[str, int], field: str) -> None:
    before = path.read_bytes()
    for act in (check, note):
        with pytest.raises(Refused, match="difference between days") as caught:
            act(path, replace(FIRST, **change))  # type: ignore[arg-type]
        assert caught.value.errors[0].field == field
    assert path.read_bytes() == before


def test_what_tells_nothing_new_is_taken(path: Path) -> None:
    note(path, FIRST)
    note(path, replace(FIRST, mask=0b100))
    with pytest.raises(Refused):
        note(path, replace(FIRST, mask=0b10))
    note(path, FIRST)  # the smaller proof has not replaced the larger
    for other in (
        replace(FIRST, session=4, mask=0b11),
        replace(FIRST, session=5, day=20_001, admissible=1),
        replace(FIRST, account=8, admissible=1),
        replace(FIRST, market="1:0xab", admissible=1),
    ):
        note(path, other)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_record_that_cannot_be_read_is_no_empty_one(path: Path) -> None:
    for content in ("{", "{}x", '[{"session": 3}]', path.read_text().replace("20000", '"20000"')):
        path.write_text(content)
        with pytest.raises(Refused, match="cannot be read"):
            check(path, FIRST)
