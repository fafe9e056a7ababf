"""Golden passes (tests/cases/passes): the words of whole clearings of both modes, and what every chunk of batches and then of
levels leaves, as the engines and the twin of the pass have them. contracts/test/GoldenPasses.t.sol holds the contract against
the same file.

`python tests/market/test_golden_passes.py` writes the file anew.
"""

from __future__ import annotations

import json
import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from market_brute import terms_for

from contracts.calls import ClearingPass
from contracts.clearing_words import chain_hash
from contracts.encoding import ScheduleOrder, Step, batch_words, extend_log, hash_words
from contracts.orderlog import OrderLog
from contracts.units import Mode, Side
from market.clearing import engine
from market.clearing.chunks import Claim, advance, begin, check_levels
from market.orders import OrderBook

GOLDEN = Path(__file__).resolve().parents[1] / "cases" / "passes" / "golden.json"
CASES = 8


def _order(dice: random.Random, intervals: int) -> ScheduleOrder:
    side = dice.choice(list(Side))
    steps = []
    for _ in range(dice.choice((1, 1, 2, 4))):
        quantities = [dice.choice((0, dice.randint(1, 4000))) for _ in range(intervals)]
        quantities[0] = quantities[0] or 7
        steps.append(
            Step(tuple(quantities), tuple(dice.choice((60_000, dice.randint(0, 250_000))) if q else 0 for q in quantities))
        )
    agent = dice.choice((0, 0, 40))
    reserve = side is Side.OFFER and dice.random() < 0.3
    return ScheduleOrder(dice.randint(1, 20), side, tuple(steps), agent, bool(agent) and dice.random() < 0.5, reserve)


def golden_case(number: int) -> dict[str, Any]:
    """A random log with its clearing, cut into batches, and the state that is left after each."""
    dice = random.Random(number)
    mode = Mode.COOPERATIVE if number % 2 else Mode.COMPETITIVE
    inside = sorted(dice.sample(range(24), dice.choice((1, 3, 8, 13))))
    terms = replace(terms_for(sum(1 << t for t in inside), cap=250_000), mode=mode)
    orders = tuple(_order(dice, len(inside)) for _ in range(dice.choice((5, 19, 40))))
    makers = sorted({(order.account, order.side) for order in orders})
    excluded = frozenset(dice.sample(makers, 2)) if number >= CASES - 2 else frozenset()
    book = OrderBook(terms, orders, excluded)
    sold = {account: dice.getrandbits(24) for account in dice.sample(range(1, 21), 4)}
    cleared = engine.clear(book, sold)
    verdict = engine.check(book, cleared, sold)
    assert verdict.accepted, verdict.reason
    batches, left = [], list(orders)
    while left:
        size = dice.randint(1, 7)
        batches.append(batch_words(left[:size], terms))
        left = left[size:]
    log = OrderLog.of(batches, len(inside))
    levels = cleared.level_words
    whole = ClearingPass.whole(log, cleared.certificate_words, levels)._replace(excluded=book.excluded_words())
    reached, marks = bytes(32), []
    for batch in batches:
        reached = extend_log(reached, batch)
        marks.append(reached)
    whole = whole._replace(marks=marks[2::3])
    key = whole.key(log.hash())
    claim = Claim(cleared.certificates, key, book.last, book.excluded, terms.intervals, whole.levels_hash)
    state, states, groups = begin(claim), [], []
    for batch in batches:
        state, more = advance(claim, state, [batch], sold)
        states.append(state.words())
        groups += more
    if state.open_rows:
        groups.append(hash_words(state.open_rows))
    assert groups == cleared.group_hashes
    portions: list[int] = []
    while sum(portions) < len(levels):
        portions.append(min(dice.randint(1, 9), len(levels) - sum(portions)))
    at = 0
    for size in portions[:-1]:
        state = check_levels(claim, state, levels[at : at + size], chain_hash(levels[at + size :]))
        states.append(state.words())
        at += size
    hints = [OrderLog.of([batch], len(inside)).hints([(a, s) for a, s, _ in book.rows]) for batch in batches]
    return {
        "mode": int(mode),
        "mask": terms.mask,
        "intervals": len(inside),
        "certificate": _hex(whole.certificate),
        "levels": _hex(levels),
        "levelsHash": "0x" + whole.levels_hash.hex(),
        "portions": portions,
        "live": _hex(whole.live),
        "excluded": _hex(whole.excluded),
        "marks": ["0x" + mark.hex() for mark in whole.marks],
        "sold": _hex([word for account, mask in sorted(sold.items()) for word in (account, mask)]),
        "sizes": [len(batch) for batch in batches],
        "words": _hex(log.words),
        "hintSizes": [len(words) for words in hints],
        "hints": _hex([word for words in hints for word in words]),
        "stateSizes": [len(words) for words in states],
        "states": _hex([word for words in states for word in words]),
        "key": "0x" + key.hex(),
        "groups": ["0x" + group.hex() for group in groups],
    }


def _hex(words: Any) -> list[str]:
    return [f"0x{word:064x}" for word in words]


def golden() -> dict[str, Any]:
    return {f"case{number}": golden_case(number) for number in range(CASES)}


def test_the_stored_passes_are_the_engines() -> None:
    assert json.loads(GOLDEN.read_text()) == golden()


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(golden(), indent=1) + "\n")
