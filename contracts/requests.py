"""Requests of a DSO and the coalitions that answer them (docs/protocol.md section 13): lists, consents, orders, results.

The exact twin of contracts/src/RequestList.sol and of what FlexRequests.sol has signed (EIP-712).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from contracts.encoding import GROUP_ROWS, EncodingError, hash_words, words_for
from contracts.typed_data import Domain, sign_digest, struct_digest, struct_typed_data
from contracts.units import MAX_PRICE, MAX_QUANTITY, PPM, ceil_div

_CONSENT_FIELDS = (
    ("session", "uint256"),
    ("account", "uint256"),
    ("agent", "uint256"),
    ("agentPays", "bool"),
    ("promises", "uint256[]"),
    ("prices", "uint256[]"),
    ("nonce", "uint256"),
    ("deadline", "uint256"),
)
_AWARD_FIELDS = (("session", "uint256"), ("list", "uint256[]"), ("nonce", "uint256"), ("deadline", "uint256"))

_M32 = (1 << 32) - 1
_M40 = (1 << 40) - 1
_M64 = (1 << 64) - 1
_A_WORD = 8
_GROSS_A_WORD = 4
_ROW_LIVE = 1 << 193
_ROW_PRICED = 1 << 194
_ROW_SELLER = 1 << 192 | _ROW_LIVE | _ROW_PRICED
_ROW_BUYER = _ROW_LIVE | _ROW_PRICED


@dataclass(frozen=True, slots=True)
class RequestTerms:
    """What a list is held against: K intervals, Wh, micro-euro per kWh, ppm."""

    buyer: int
    """The DSO's account."""
    tolerance_ppm: int
    intervals: int
    min_quantity: int
    price_cap: int
    collateral_ppm: int

    def values(self) -> tuple[int, int, int, int, int, int]:
        """As the contract's `RequestList.Ask`."""
        return self.buyer, self.tolerance_ppm, self.intervals, self.min_quantity, self.price_cap, self.collateral_ppm


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a coalition: per interval of the session a promise (Wh) and its price (micro-euro per kWh).

    `agent` is the account whose owner signs, 0 where the account's own does; with `agent_pays` the collateral and the earnings
    are the agent's. By `nonce` its signer can take the consent back; `deadline` in Unix seconds.
    """

    account: int
    promises: tuple[int, ...]
    prices: tuple[int, ...]
    deadline: int
    nonce: int = 0
    agent: int = 0
    agent_pays: bool = False

    @property
    def payer(self) -> int:
        return self.agent if self.agent_pays else self.account

    def words(self) -> list[int]:
        """Its words in a list: header, promises, prices."""
        for field, value, least, largest in (
            ("account", self.account, 1, _M32),
            ("agent", self.agent, 0, _M32),
            ("nonce", self.nonce, 0, _M64),
            ("deadline", self.deadline, 0, _M40),
        ):
            _within(field, value, least, largest)
        if self.agent_pays and not self.agent:
            raise EncodingError("agent_pays", "an agent that pays", "none")
        if len(self.promises) != len(self.prices):
            raise EncodingError("prices", f"{len(self.promises)}, one a promise", len(self.prices))
        header = self.account | self.agent << 32 | self.nonce << 64 | self.deadline << 128 | self.agent_pays << 168
        return [header, *profile_words(self.promises, "promises"), *profile_words(self.prices, "prices")]

    def consent(self, session: int) -> Consent:
        return Consent(session, self)

    def lock(self, terms: RequestTerms) -> int:
        """Collateral, micro-euro."""
        return ceil_div(terms.collateral_ppm * sum(self.promises) * terms.price_cap, 10**9)


@dataclass(frozen=True, slots=True)
class Consent:
    """What a member signs: its own part of the coalition of one session."""

    session: int
    member: Member

    def digest(self, domain: Domain) -> bytes:
        """The 32 bytes that are signed."""
        return struct_digest(domain, "Consent", _CONSENT_FIELDS, self._message())

    def typed_data(self, domain: Domain) -> dict[str, Any]:
        """The JSON that a wallet's `eth_signTypedData_v4` takes; numbers as decimal text, which every wallet reads exactly."""
        return struct_typed_data(domain, "Consent", _CONSENT_FIELDS, self._message())

    def sign(self, domain: Domain, key: bytes) -> bytes:
        return sign_digest(self.digest(domain), key)

    def _message(self) -> dict[str, Any]:
        member = self.member
        return {
            "session": self.session,
            "account": member.account,
            "agent": member.agent,
            "agentPays": member.agent_pays,
            "promises": profile_words(member.promises, "promises"),
            "prices": profile_words(member.prices, "prices"),
            "nonce": member.nonce,
            "deadline": member.deadline,
        }


@dataclass(frozen=True, slots=True)
class AwardOrder:
    """What the DSO signs: the whole list of one session. By `nonce` it can take that back; `deadline` in Unix seconds."""

    session: int
    words: tuple[int, ...]
    nonce: int
    deadline: int

    def digest(self, domain: Domain) -> bytes:
        """The 32 bytes that are signed."""
        return struct_digest(domain, "Award", _AWARD_FIELDS, self._message())

    def typed_data(self, domain: Domain) -> dict[str, Any]:
        """The JSON that a wallet's `eth_signTypedData_v4` takes; numbers as decimal text, which every wallet reads exactly."""
        return struct_typed_data(domain, "Award", _AWARD_FIELDS, self._message())

    def sign(self, domain: Domain, key: bytes) -> bytes:
        return sign_digest(self.digest(domain), key)

    def _message(self) -> dict[str, Any]:
        return {"session": self.session, "list": list(self.words), "nonce": self.nonce, "deadline": self.deadline}


@dataclass(frozen=True, slots=True)
class Coalition:
    """What an accepted list comes to: the vault's entries, the result rows by group, the certificate."""

    entries: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]
    certificate: tuple[int, ...]
    cost: int
    """What the DSO pays at most, micro-euro."""

    @property
    def group_hashes(self) -> tuple[bytes, ...]:
        return tuple(hash_words(group) for group in self.groups)

    @property
    def certificate_hash(self) -> bytes:
        return hash_words(self.certificate)


def profile_words(values: Sequence[int], field: str = "target") -> list[int]:
    """A value per interval of the session, 32 bits each, eight a word."""
    words = [0] * words_for(len(values), _A_WORD)
    for j, value in enumerate(values):
        _within(f"{field}[{j}]", value, 0, _M32)
        words[j // _A_WORD] |= value << 32 * (j % _A_WORD)
    return words


def decode_profile(words: Sequence[int], intervals: int, field: str = "target") -> tuple[int, ...]:
    """The inverse of `profile_words`."""
    if len(words) != words_for(intervals, _A_WORD):
        raise EncodingError(field, f"{words_for(intervals, _A_WORD)} words", len(words))
    values = tuple(words[j // _A_WORD] >> 32 * (j % _A_WORD) & _M32 for j in range(intervals))
    if profile_words(values) != list(words):
        raise EncodingError(field, f"nothing beyond interval {intervals - 1}", "bits there")
    return values


def list_words(members: Sequence[Member]) -> list[int]:
    """A coalition's list, by ascending account."""
    return [word for member in sorted(members, key=lambda m: m.account) for word in member.words()]


def decode_list(words: Sequence[int], intervals: int) -> tuple[Member, ...]:
    """The members of a list; raises `EncodingError` on words that are none."""
    width = words_for(intervals, _A_WORD)
    size = 1 + 2 * width
    if not words or len(words) % size:
        raise EncodingError("list", f"{size} words a member", f"{len(words)} words")
    members = []
    for start in range(0, len(words), size):
        header = words[start]
        member = Member(
            account=header & _M32,
            promises=decode_profile(words[start + 1 : start + 1 + width], intervals, "promises"),
            prices=decode_profile(words[start + 1 + width : start + size], intervals, "prices"),
            deadline=header >> 128 & _M40,
            nonce=header >> 64 & _M64,
            agent=header >> 32 & _M32,
            agent_pays=bool(header >> 168 & 1),
        )
        if member.words() != list(words[start : start + size]):
            raise EncodingError("list", f"no bits outside the fields of account {member.account}", f"{header:#x}")
        members.append(member)
    return tuple(members)


def check_list(terms: RequestTerms, target: Sequence[int], words: Sequence[int]) -> Coalition:
    """What a list comes to; raises `EncodingError` on every list that the contract refuses for its words."""
    if len(target) != terms.intervals or not any(target):
        raise EncodingError("target", f"{terms.intervals} values, not all zero", list(target))
    members = decode_list(words, terms.intervals)
    for before, member in zip((0, *(m.account for m in members)), members, strict=False):
        if member.account <= before:
            raise EncodingError("list", "accounts in ascending order, each once", f"{member.account} after {before}")
        _check_member(terms, member)
    promised = [sum(m.promises[j] for m in members) for j in range(terms.intervals)]
    gross = [sum(m.promises[j] * m.prices[j] for m in members) for j in range(terms.intervals)]
    for j, (have, want) in enumerate(zip(promised, target, strict=True)):
        tolerance = terms.tolerance_ppm * want // PPM
        if abs(have - want) > tolerance:
            raise EncodingError(f"promises[{j}]", f"{want} +- {tolerance} Wh in all", have)
        if have > _M32 or gross[j] > _M64:
            raise EncodingError(f"promises[{j}]", f"at most {_M32} Wh and {_M64} of gross in all", f"{have} and {gross[j]}")
    cost = sum(ceil_div(g, 1000) for g in gross)
    rows = [_row(m.account, m.payer, m.lock(terms), 0, _ROW_SELLER, m.promises, _gross(m)) for m in members]
    rows.append(_row(terms.buyer, terms.buyer, cost, cost, _ROW_BUYER, promised, gross))
    entries = [m.account | m.agent << 32 | m.lock(terms) << 64 | 1 << 128 | m.agent_pays << 130 for m in members]
    return Coalition(
        entries=(*entries, terms.buyer | cost << 64),
        groups=tuple(tuple(w for row in rows[i : i + GROUP_ROWS] for w in row) for i in range(0, len(rows), GROUP_ROWS)),
        certificate=tuple(w for v, g in zip(promised, gross, strict=True) for w in (v << 64, g | g << 80)),
        cost=cost,
    )


def _check_member(terms: RequestTerms, member: Member) -> None:
    name = f"account {member.account}"
    for j, (promise, price) in enumerate(zip(member.promises, member.prices, strict=True)):
        if promise:
            _within(f"{name}: promises[{j}]", promise, terms.min_quantity, MAX_QUANTITY)
            _within(f"{name}: prices[{j}]", price, 0, min(terms.price_cap, MAX_PRICE))
        elif price:
            raise EncodingError(f"{name}: prices[{j}]", "no price where there is no promise", price)
    if not any(member.promises):
        raise EncodingError(f"{name}: promises", "at least one", "none")
    _within(f"{name}: lock", member.lock(terms), 0, _M64)


def _gross(member: Member) -> list[int]:
    return [promise * price for promise, price in zip(member.promises, member.prices, strict=True)]


def _row(
    account: int, payer: int, lock: int, cost: int, marks: int, fills: Sequence[int], gross: Sequence[int]
) -> tuple[int, ...]:
    """A priced result row (docs/protocol.md section 7)."""
    words = [0] * words_for(len(gross), _GROSS_A_WORD)
    for j, value in enumerate(gross):
        words[j // _GROSS_A_WORD] |= value << 64 * (j % _GROSS_A_WORD)
    return (account | payer << 32 | lock << 64 | cost << 128 | marks, *profile_words(fills, "fills"), *words)


def _within(field: str, value: int, least: int, largest: int) -> None:
    if not least <= value <= largest:
        raise EncodingError(field, f"{least}..{largest}", value)
