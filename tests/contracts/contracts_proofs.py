"""The statement's words from docs/protocol.md section 9, apart from the contract, and proofs that the fake verifier takes."""

from __future__ import annotations

from collections.abc import Sequence

from contracts_twin import admissible
from contracts_world import R, World
from eth_hash.auto import keccak


def statement(world: World, session: int, mask: int, entries: Sequence[int]) -> list[int]:
    """The public words in the order of the page."""
    client = world.client
    terms = client.terms(session)
    words = [
        client.deployment.chain_id,
        int(client.deployment.contracts["Deliveries"], 16),
        session,
        terms.day,
        mask + 2**96 * terms.mask,
    ]
    size = 1 + -(-world.day_intervals // 9)
    for at in range(0, len(entries), size):
        account, count = entries[at] & 0xFFFFFFFF, entries[at] >> 32
        key, from_day = client.key_at(account, terms.day) or (0, 0)
        working = {d: bool(client.working_days(terms.zone, d, 1)) for d in range(terms.day - 14, terms.day + 1)}
        events = {d for d in range(terms.day - 14, terms.day) if client.event_days(account, d, 1)}
        words += [account, key, admissible(terms.day, from_day, working, events), count, 0, *entries[at + 1 : at + size]]
    return words


def compress(chain_value: int, words: Sequence[int]) -> tuple[int, int]:
    """gamma and y."""
    gamma = int.from_bytes(keccak(b"".join(w.to_bytes(32, "big") for w in (chain_value, *words))), "big") % R
    n = len(words)
    return gamma, sum(w * pow(gamma, n - 1 - i, R) for i, w in enumerate(words)) % R


def proof_for(world: World, session: int, mask: int, chain_value: int, entries: Sequence[int]) -> list[int]:
    """Eight words that FakeVerifier takes for exactly these public signals."""
    gamma, y = compress(chain_value, statement(world, session, mask, entries))
    return [chain_value, y, gamma, 0, 0, 0, 0, 0]
