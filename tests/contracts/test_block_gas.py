"""How many words of a log one call of `propose` may take: the estimate errs upwards, and not by much more than needed."""

from __future__ import annotations

import pytest
from contracts_world import World, key_of

from contracts.block_words import BlockBook, BlockSolution, Choice, proposal, words_a_call
from contracts.encoding import EncodingError, ScheduleOrder, Step, decode_entries, entry_words
from contracts.events import ProposalContinued
from contracts.units import PPM, Mode, Side

pytestmark = [pytest.mark.needs("key"), pytest.mark.slow]

PAIRS = 12


@pytest.mark.parametrize("intervals", [1, 24])
def test_calls_stay_below_the_gas_they_were_planned_for(world: World, intervals: int) -> None:
    client, gas = world.client, 800_000
    names = [f"block {n}" for n in range(2 * PAIRS)]
    accounts = [world.member(name) for name in names]
    now = world.chain.now()
    mask = (1 << intervals) - 1
    session = world.open(days_ahead=20 + intervals, mask=mask, mode=Mode.BLOCK, challenge_end=now + 7200, min_quantity=1)
    terms = client.terms(session)
    for n, (name, account) in enumerate(zip(names, accounts, strict=True)):
        side, limit = (Side.OFFER, 123_457) if n % 2 else (Side.BID, 234_567)
        order = ScheduleOrder(account, side, (Step((7_654_321,) * intervals, (limit,) * intervals),), min_fill_ppm=1)
        client.place(key_of(name), session, entry_words(order, terms))
    log = client.order_log(session)
    entries = [entry for batch in log.batches for entry in decode_entries(batch, intervals)]
    book = BlockBook(tuple(entries), terms.interval_indices, terms.price_cap)
    ratio = 333_333  # nothing comes out even, every fill is rounded up
    fill = Choice(ratio, mask).fill(7_654_321, 0)
    choices = {position: Choice(ratio, mask) for position in range(len(entries))}
    assert 7_654_321 * ratio % PPM
    solution = BlockSolution((200_001,) * intervals, (PAIRS * fill,) * intervals, choices)
    world.close_gate(session)
    world.member("finder", meter=False)
    made = proposal(book, solution, log, world.accounts["finder"], words_a_call(intervals, len(book.live), gas))
    state: tuple[int, ...] = ()
    spent = []
    for number in range(len(made.calls)):
        receipt = client.send(key_of("finder"), client.encode_propose(session, made, number, state))
        state = next((e.state for e in client.receipt_events(receipt) if isinstance(e, ProposalContinued)), ())
        spent.append(receipt.gas_used)
    assert len(spent) > 1
    assert gas // 4 < max(spent) <= gas


def test_a_table_too_long_for_a_call_is_refused() -> None:
    with pytest.raises(EncodingError, match="table"):
        words_a_call(24, 100_000, 16_700_000)
