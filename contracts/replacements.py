"""Replacing a member that fails: the change as the contract takes it, and the consent to it (docs/protocol.md section 14)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from contracts.typed_data import Domain, sign_digest, struct_digest, struct_typed_data

_CONSENT_FIELDS = (
    ("session", "uint256"),
    ("account", "uint256"),
    ("reserve", "uint256"),
    ("intervals", "uint256"),
    ("most", "uint256"),
    ("nonce", "uint256"),
    ("deadline", "uint256"),
)


class Place(NamedTuple):
    """A row of a group, with the words of all the group's rows."""

    group: int
    row: int
    rows: Sequence[int]


class Change(NamedTuple):
    """Which intervals (bits of the day) go from one row to the other, in the order of the contract's struct."""

    session: int
    intervals: int
    failing: Place
    reserve: Place
    """Without rows where it is in the failing row's group."""
    certificate: Sequence[int]
    rules: Sequence[int]

    def values(self) -> tuple[Any, ...]:
        return tuple(tuple(part) if isinstance(part, Place) else part for part in self)


class SignedConsent(NamedTuple):
    """A consent's signature, with what the contract cannot know itself."""

    signer: str
    most: int
    nonce: int
    deadline: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class ReplacementConsent:
    """What the failing account's owner, or its delegate's, signs: `reserve` takes over `intervals` (bits of the day) for at
    `most` so many micro-euro of the account's lock. A nonce is used once per signer; `deadline` in Unix seconds."""

    session: int
    account: int
    reserve: int
    intervals: int
    most: int
    nonce: int
    deadline: int

    def digest(self, domain: Domain) -> bytes:
        """The 32 bytes that are signed."""
        return struct_digest(domain, "ReplacementConsent", _CONSENT_FIELDS, self._message())

    def typed_data(self, domain: Domain) -> dict[str, Any]:
        """The JSON that a wallet's `eth_signTypedData_v4` takes; numbers as decimal text, which every wallet reads exactly."""
        return struct_typed_data(domain, "ReplacementConsent", _CONSENT_FIELDS, self._message())

    def sign(self, domain: Domain, signer: str, key: bytes) -> SignedConsent:
        """The consent of `signer`, signed with its `key`."""
        return SignedConsent(signer, self.most, self.nonce, self.deadline, sign_digest(self.digest(domain), key))

    def _message(self) -> dict[str, Any]:
        return {field: getattr(self, field) for field, _ in _CONSENT_FIELDS}


def failure_picks(records: Sequence[tuple[int, int]]) -> list[int]:
    """(batch, entry) of each of the failing account's records, a word each."""
    return [batch | entry << 16 for batch, entry in records]
