"""Gas of a session around its proofs: order entry, clearing, settlement. 50 bids and 50 offers of 24 intervals each; sellers
deliver by real proofs. Beside each figure its floor: what transaction, calldata, event and storage cost at least.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_account import Account

from bench import Row
from contracts.calls import Call, ClearingPass
from contracts.chain_rpc import NodeChain
from contracts.client import MarketClient
from contracts.deliveries import Entry, ProofBatch, decode_delivery, delivery_words
from contracts.encoding import GROUP_ROWS, ResultRow, ScheduleOrder, Step, batch_words, entry_words, groups_of
from contracts.sessions import SessionRequest
from contracts.units import Direction, Kind, Mode, Side
from market.clearing.engine import clear
from market.orders import book_from_log
from market.session import SessionTerms, Zone
from settlement.records import supply
from settlement.rules import load
from zk.eddsa import PrivateKey
from zk.prover import Prover
from zk.statement import AccountInput, Shared, make_statement
from zk.windows import close_window, start_log

T = 24
MASK = (1 << T) - 1
SELLERS = 50
FAITHFUL = 40
"""Sellers from 1 on that deliver what they sold; the others deliver half."""
BATCH = 10
"""Accounts a proof: the key that set-up makes."""
USUAL, PROMISED = 2_000, 500
"""Wh an hour: what a home uses on other days, and what it sells."""

TRANSACTION, SLOT, EVENT_BYTE = 21_000, 5_000, 8
"""What any transaction costs, a slot that is read and changed, a byte of an event."""


@dataclass(frozen=True)
class Square:
    """A market in which one owner holds all accounts: 1 to 50 sell, 51 to 100 buy, 101 is the agent that pays for others."""

    client: MarketClient
    owner: bytes
    prover: Prover
    first_day: int

    @property
    def agent(self) -> int:
        return 2 * SELLERS + 1


def measure(client: MarketClient, owner: bytes, prover: Prover, first_day: int) -> list[Row]:
    """Rows of order entry, clearing and settlement, on a market whose operator and metering are `owner`; no account yet."""
    square = Square(client, owner, prover, first_day)
    _people(square)
    day = first_day + 16
    rows = [
        *_entry(square, day + 1, "order_entry", 300.0, agent=square.agent, pays=True),
        *_entry(square, day + 2, "order_entry_locked", 650.0, agent=square.agent, pays=False),
        *_entry(square, day + 3, "order_entry_owner", 650.0, agent=0, pays=False),
    ]
    session = _open(square, day)
    client.place(owner, session, batch_words(_orders(square, square.agent, False), client.terms(session)))
    return [*rows, *_clear_and_settle(square, session, day)]


def _people(square: Square) -> None:
    client, owner = square.client, square.owner
    address = Account.from_key(owner).address
    client.mint(owner, address, 10**15)
    client.approve(owner, 10**15)
    for account in range(1, square.agent + 1):
        assert client.register(owner, address) == account
        client.deposit(owner, account, 10**10)
        if account <= SELLERS:
            client.bind_meter(owner, account, 1, _meter(account).public.word(), square.first_day)
    for account in range(1, square.agent):
        client.set_delegate(owner, account, square.agent)


def _open(square: Square, day: int) -> int:
    now, end = square.client.chain.now(), (day + 1) * 86_400
    request = SessionRequest(
        1, Kind.ELECTRICAL, Direction.UP, Mode.COMPETITIVE, day, MASK, now, now + 600, end + 3_600, end + 3_600, 500_000, 1,
        square.client.deployment.contracts["Deliveries"],
    )  # fmt: skip
    return square.client.open_session(square.owner, request, load().words())


def _orders(square: Square, agent: int, pays: bool) -> list[ScheduleOrder]:
    """50 offers and 50 bids by ascending account, limits as homes have them; every bid is above every offer."""
    draw = random.Random(24)
    orders = []
    for account in range(1, 2 * SELLERS + 1):
        side = Side.OFFER if account <= SELLERS else Side.BID
        limits = (20_000, 120_000) if side is Side.OFFER else (150_000, 400_000)
        step = Step((PROMISED,) * T, tuple(draw.randint(*limits) for _ in range(T)))
        orders.append(ScheduleOrder(account, side, (step,), agent=agent, agent_pays=pays))
    return orders


def _entry(square: Square, day: int, metric: str, target: float, *, agent: int, pays: bool) -> list[Row]:
    """100 schedules in one transaction, into a log that is not empty."""
    client, owner = square.client, square.owner
    session = _open(square, day)
    terms = client.terms(session)
    orders = _orders(square, agent, pays)
    client.place(owner, session, entry_words(orders[0], terms))
    call = client.encode_place(session, batch_words(orders, terms))
    used = client.send(owner, call, 16_000_000).gas_used
    entries = sum(order.entries for order in orders)
    payers = 1 if pays else len(orders)
    # at least the calldata's floor (EIP-7623); or as execution: calldata, event, the log's slots and a slot for two payers
    work = _calldata(call) + EVENT_BYTE * len(call.data) + 2 * SLOT + SLOT * -(-payers // 2)
    note = f"{len(orders)} schedules of {T} intervals, {payers} payer{'s' * (payers > 1)}: {used:,} gas"
    return _rows(metric, used, entries, target, note, TRANSACTION + max(work, _calldata_floor(call)))


def _clear_and_settle(square: Square, session: int, day: int) -> list[Row]:
    client, owner, chain = square.client, square.owner, square.client.chain
    terms = client.terms(session)
    chain.advance_to(terms.gate_close)
    known = SessionTerms.of_contract(session, Zone(1, 0, 60), terms)
    log = client.order_log(session)
    clearing = clear(book_from_log(known, log.batches), {})
    call = client.encode_clear(session, ClearingPass.whole(log, clearing.certificate_words))
    sent = client.send(owner, call, 16_000_000)
    used, guard = sent.gas_used, _gas_in(client, sent.transaction, "PriceGuard")
    groups = groups_of(clearing.rows)
    entries = sum(1 for row in clearing.rows for _ in row.fills)
    floor = TRANSACTION + max(_calldata(call) + 22_100 * len(groups), _calldata_floor(call))
    said = f"{entries:,} entries: {used:,} gas, {guard:,} of it the price guard's and not counted here"
    rows = _rows("clearing_entry", used - guard, entries, 550.0, said, floor)
    rows.append(
        Row(
            "clearing_guard_hour",
            round(guard / T, 1),
            "gas",
            None,
            "an hour's price held against the band and kept",
        )
    )
    spent = [client.commit(owner, session, index, words).gas_used for index, words in enumerate(groups)]
    rows.append(Row("commit_account", round(sum(spent) / len(clearing.rows), 1), "gas", None, f"{len(groups)} groups"))
    chain.advance_to(terms.delivery_end)
    batches = [_proof(square, session, day, first, clearing.rows) for first in range(1, SELLERS + 1, BATCH)]
    client.send(owner, client.encode_prove(session, batches), 6_000_000)
    supplied = [decode_delivery(batch.entries, T) for batch in batches]
    for metric, target, said, accounts in (
        ("settle_account", 12_000.0, "delivered in full", range(1, FAITHFUL + 1)),
        ("settle_account_short", None, "delivered half in every interval", range(FAITHFUL + 1, SELLERS + 1)),
        ("settle_buyer", None, "refunds in every interval", range(SELLERS + 1, 2 * SELLERS + 1)),
    ):
        chosen = [(index, row) for index, row in enumerate(clearing.rows) if row.account in accounts]
        sellers = [row.account for _, row in chosen if row.side is Side.OFFER]
        given, picks = supply(supplied, sellers)
        first, last = chosen[0][0] // GROUP_ROWS, chosen[-1][0] // GROUP_ROWS
        supplied_rows = [word for words in groups[first : last + 1] for word in words]
        which = sum(1 << (index - GROUP_ROWS * first) for index, _ in chosen)
        call = client.encode_settle(
            session, first, which, supplied_rows, clearing.certificate_words, load().words(), given, picks
        )
        used = client.send(owner, call, 16_000_000).gas_used
        note = f"{len(chosen)} rows of {T} intervals in one call, {said}: {used:,} gas"
        floor = TRANSACTION + _calldata(call) + SLOT * -(-len(chosen) // 2) + EVENT_BYTE * 32 * len(chosen)
        rows += _rows(metric, used, len(chosen), target, note, floor)
    return rows


def _proof(square: Square, session: int, day: int, first: int, rows: Sequence[ResultRow]) -> ProofBatch:
    deployment = square.client.deployment
    shared = Shared(deployment.chain_id, int(deployment.contracts["Deliveries"], 16), session, day, MASK)
    statement = make_statement(shared, [_home(square, account, day) for account in range(first, first + BATCH)])
    listed = [
        Entry(account, count, mask, tuple(deviations))
        for account, _, _, mask, count, _, *deviations in (one.words for one in statement.accounts)
    ]
    proved = square.prover.prove(statement)
    return ProofBatch(statement.c, tuple(delivery_words(listed)), proved.proof.words())


def _home(square: Square, account: int, day: int) -> AccountInput:
    """Uses as much every day; on the day, less by what it has sold, or by half of it."""
    key = _meter(account)
    windows = list(start_log(key, day - 14, T))
    reduced = PROMISED if account <= FAITHFUL else PROMISED // 2
    for back in range(14, -1, -1):
        readings = [USUAL - (0 if back else reduced)] * T
        windows.append(close_window(key, day - back, readings, windows[-1].head))
    return AccountInput(account, key.public, windows[-15:], square.client.admissible(1, account, day), MASK)


def _meter(account: int) -> PrivateKey:
    return PrivateKey((10_000 + account).to_bytes(32, "big"))


def _gas_in(client: MarketClient, transaction: str, name: str) -> int:
    """Gas that a transaction used inside a contract, calls from there included; 0 on a node without traces."""
    if not isinstance(client.chain, NodeChain):
        return 0
    at = client.deployment.contracts[name].lower()

    def inside(call: dict[str, Any]) -> int:
        if call.get("to", "").lower() == at:
            return int(call["gasUsed"], 16)
        return sum(inside(one) for one in call.get("calls", ()))

    return inside(client.chain.call_tree(transaction))


def _calldata(call: Call) -> int:
    return sum(16 if byte else 4 for byte in call.data)


def _calldata_floor(call: Call) -> int:
    return sum(40 if byte else 10 for byte in call.data)


def _rows(metric: str, used: int, per: int, target: float | None, note: str, floor: int) -> list[Row]:
    return [
        Row(metric, round(used / per, 1), "gas", target, note),
        Row(
            f"{metric}_floor",
            round(floor / per, 1),
            "gas",
            None,
            f"{used / floor:.2f} times what transaction, calldata, event and slots cost",
        ),
    ]
