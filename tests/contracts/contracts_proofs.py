"""The statement's words from docs/protocol.md section 9, apart from the contract, and proofs that the fake verifier takes."""

from __future__ import annotations

from collections.abc import Sequence

from contracts_twin import admissible
from contracts_world import R, World
from eth_hash.auto import keccak

from contracts.deliveries import ProofBatch


def statement(world: World, session: int, entries: Sequence[int]) -> list[int]:
    """The public words in the order of the page."""
    client = world.client
    terms = client.terms(session)
    words = [client.deployment.chain_id, int(client.deployment.contracts["Deliveries"], 16), session, terms.day, terms.mask]
    size = 1 + -(-world.day_intervals // 9)
    for start in range(0, len(entries), size):
        head = entries[start]
        account, count, mask = head & 0xFFFFFFFF, head >> 32 & 0xFFFFFFFF, head >> 64 & 2**96 - 1
        key, from_day = client.key_at(account, terms.day) or (0, 0)
        working = {d: bool(client.working_days(terms.zone, d, 1)) for d in range(terms.day - 14, terms.day + 1)}
        events = {d for d in range(terms.day - 14, terms.day) if client.event_days(account, d, 1)}
        days = admissible(terms.day, from_day, working, events)
        words += [account, key, days, mask, count, 0, *entries[start + 1 : start + size]]
    return words


def compress(chain_value: int, words: Sequence[int]) -> tuple[int, int]:
    """gamma and y."""
    gamma = int.from_bytes(keccak(b"".join(w.to_bytes(32, "big") for w in (chain_value, *words))), "big") % R
    n = len(words)
    return gamma, sum(w * pow(gamma, n - 1 - i, R) for i, w in enumerate(words)) % R


def fake_batch(world: World, session: int, entries: Sequence[int], chain_value: int = 5) -> ProofBatch:
    """A batch with eight words that FakeVerifier takes for exactly these entries."""
    gamma, y = compress(chain_value, statement(world, session, entries))
    return ProofBatch(chain_value, tuple(entries), (chain_value, y, gamma, 0, 0, 0, 0, 0))
