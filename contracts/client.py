"""The market on a chain: every transaction, every view, every event, typed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.calls import RESULTS, Call, ClearingPass, _function
from contracts.calls_modes import ModeCalls
from contracts.chain import ZERO_ADDRESS, Chain, ChainError, Log, Prepared, Receipt
from contracts.deliveries import ProofBatch
from contracts.deploy import CONTRACTS, Deployment
from contracts.events import AccountRegistered, Event, Orders, SessionOpened, ZoneAdded, decode_event, topics_of
from contracts.orderlog import OrderLog
from contracts.sessions import Progress, SessionRequest, Terms
from contracts.typed_data import Domain, SignedBatch
from contracts.units import Mode, SessionState


@dataclass(frozen=True, slots=True)
class Balance:
    """An account's money in the vault, micro-euro, and its reputation: 0 never rated, otherwise 1 to 10001."""

    available: int
    locked: int
    reputation: int


@dataclass(frozen=True, slots=True)
class MeterState:
    """What a proof of one day needs of an account."""

    zone: int
    key: int
    from_day: int
    event_days: int
    """Bit k is day `day - 14 + k`."""


@dataclass(frozen=True, slots=True)
class BestProposal:
    """The best proposal so far for a block session."""

    key: bytes
    certificate_hash: bytes
    welfare: int
    """Wh times micro-euro per kWh."""
    account: int
    groups: int
    outside: bool
    """Whether its prices lay outside the price guard's band when it was proposed."""
    bonded: bool
    """Whether its bond is locked."""


class MarketClient(ModeCalls):
    """Sends and reads on one chain. Writes take the sender's key, wait for the receipt and raise `ContractRefusal`."""

    def __init__(self, chain: Chain, deployment: Deployment) -> None:
        super().__init__(deployment)
        self.chain = chain

    @property
    def domain(self) -> Domain:
        """Domain of signed order batches."""
        return self.domain_of("FlexMarket")

    def domain_of(self, name: str) -> Domain:
        """Domain of what `FlexMarket`, `FlexRequests` or `Replacement` has signed."""
        return Domain(self.deployment.chain_id, self.deployment.contracts[name])

    # ------------------------------------------------------------------------------------------------------------- sending

    def send(self, key: bytes, call: Call, gas: int | None = None) -> Receipt:
        return self.chain.transact(call.to, call.data, key, gas)

    def prepare(self, key: bytes, call: Call, gas: int | None = None, nonce: int | None = None) -> Prepared:
        """Signed but not sent, for an outbox; `chain.send_raw` sends it, again if need be."""
        return self.chain.prepare(call.to, call.data, key, gas, nonce)

    def simulate(self, sender: str, call: Call) -> bytes:
        """What the call would return if `sender` sent it now; raises `ContractRefusal`."""
        return self.chain.call(call.to, call.data, sender)

    def add_zone(self, key: bytes, offset: int, interval_minutes: int) -> int:
        """Adds a zone, returns its number."""
        return int(self._event(self.send(key, self.encode_add_zone(offset, interval_minutes)), ZoneAdded).zone)

    def set_holidays(self, key: bytes, zone: int, days: Sequence[int], holiday: bool = True) -> Receipt:
        return self.send(key, self.encode_set_holidays(zone, days, holiday))

    def register(self, key: bytes, owner: str) -> int:
        """Opens an account for `owner`, returns its index."""
        return int(self._event(self.send(key, self.encode_register(owner)), AccountRegistered).account)

    def set_delegate(self, key: bytes, account: int, delegate: int) -> Receipt:
        return self.send(key, self.encode_set_delegate(account, delegate))

    def set_envelope(self, key: bytes, account: int, wh: int) -> Receipt:
        return self.send(key, self.encode_set_envelope(account, wh))

    def bind_meter(self, key: bytes, account: int, zone: int, meter_key: int, from_day: int) -> Receipt:
        return self.send(key, self.encode_bind_meter(account, zone, meter_key, from_day))

    def mint(self, key: bytes, to: str, amount: int) -> Receipt:
        return self.send(key, self.encode_mint(to, amount))

    def approve(self, key: bytes, amount: int) -> Receipt:
        return self.send(key, self.encode_approve(amount))

    def deposit(self, key: bytes, account: int, amount: int) -> Receipt:
        return self.send(key, self.encode_deposit(account, amount))

    def withdraw(self, key: bytes, account: int, amount: int, to: str) -> Receipt:
        return self.send(key, self.encode_withdraw(account, amount, to))

    def open_session(self, key: bytes, request: SessionRequest, rules: Sequence[int]) -> int:
        """Opens a session, returns its number."""
        return int(self._event(self.send(key, self.encode_open_session(request, rules)), SessionOpened).session)

    def cancel(self, key: bytes, session: int, reason: str) -> Receipt:
        return self.send(key, self.encode_cancel(session, reason))

    def set_paused(self, key: bytes, paused: bool) -> Receipt:
        return self.send(key, self.encode_set_paused(paused))

    def release_auction(self, key: bytes, session: int) -> Receipt:
        return self.send(key, self.encode_release_auction(session))

    def place(self, key: bytes, session: int, words: Sequence[int]) -> Receipt:
        return self.send(key, self.encode_place(session, words))

    def place_signed(self, key: bytes, batches: Sequence[SignedBatch]) -> Receipt:
        return self.send(key, self.encode_place_signed(batches))

    def invalidate_nonces(self, key: bytes, word: int, bits: int) -> Receipt:
        return self.send(key, self.encode_invalidate_nonces(word, bits))

    def increment_counter(self, key: bytes) -> Receipt:
        return self.send(key, self.encode_increment_counter())

    def clear(self, key: bytes, session: int, part: ClearingPass) -> Receipt:
        return self.send(key, self.encode_clear(session, part))

    def commit(self, key: bytes, session: int, group: int, rows: Sequence[int], mode: Mode = Mode.COMPETITIVE) -> Receipt:
        return self.send(key, self.encode_commit(session, group, rows, mode))

    def release_cancelled(self, key: bytes, session: int, previous: bytes, words: Sequence[int]) -> Receipt:
        return self.send(key, self.encode_release_cancelled(session, previous, words))

    def prove(self, key: bytes, session: int, batches: Sequence[ProofBatch]) -> Receipt:
        return self.send(key, self.encode_prove(session, batches))

    def report_fork(self, key: bytes, meter_key: int, day: int, interval: int, proof_words: Sequence[int]) -> Receipt:
        return self.send(key, self.encode_report_fork(meter_key, day, interval, proof_words))

    def settle(
        self,
        key: bytes,
        session: int,
        group: int,
        which: int,
        rows: Sequence[int],
        certificate: Sequence[int],
        rules: Sequence[int],
        batches: Sequence[Sequence[int]],
        picks: Sequence[int],
    ) -> Receipt:
        return self.send(key, self.encode_settle(session, group, which, rows, certificate, rules, batches, picks))

    # --------------------------------------------------------------------------------------------------------------- views

    def _view(self, name: str, function: str, *values: Any) -> Any:
        entry = _function(name, function)
        return entry.result(self.chain.call(self.deployment.contracts[name], entry.call(*values), ZERO_ADDRESS))

    def day_of(self, zone: int, timestamp: int) -> int:
        return int(self._view("Zones", "dayOf", zone, timestamp))

    def interval_start(self, zone: int, day: int, interval: int) -> int:
        return int(self._view("Zones", "intervalStart", zone, day, interval))

    def working_days(self, zone: int, first: int, days: int) -> int:
        """Bit k: day `first + k` is a working day."""
        return int(self._view("Zones", "workingDays", zone, first, days))

    def accounts(self) -> int:
        """Number of accounts."""
        return int(self._view("Accounts", "count"))

    def owner_of(self, account: int) -> str:
        return str(self._view("Accounts", "ownerOf", account))

    def delegate_of(self, account: int) -> int | None:
        """The account whose owner may place orders for `account`."""
        return int(self._view("Accounts", "delegateOf", account)) or None

    def envelope_of(self, account: int) -> int:
        """Wh an interval that the account may offer in a cooperative session."""
        return int(self._view("Accounts", "envelopeOf", account))

    def key_at(self, account: int, day: int) -> tuple[int, int] | None:
        """Meter key in force on `day` and its first day; None where there is none, or a suspended one."""
        key, from_day = self._view("Accounts", "keyAt", account, day)
        return (key, from_day) if key else None

    def meter_on(self, account: int, day: int) -> MeterState:
        states = self._view("Accounts", "metersOn", day, [account], 1)
        key, packed = int.from_bytes(states[:32], "big"), int.from_bytes(states[32:], "big")
        return MeterState(packed & 0xFFFF, key, packed >> 16 & 0xFFFFFFFF, packed >> 48)

    def sold(self, account: int, day: int) -> int:
        """Bits of the day's intervals that the account has sold."""
        return int(self._view("Accounts", "sold", account, day))

    def event_days(self, account: int, first: int, days: int) -> int:
        return int(self._view("Accounts", "eventDays", account, first, days))

    def balance(self, account: int) -> Balance:
        return Balance(*self._view("Vault", "balanceOf", account))

    def escrow(self, session: int) -> int:
        """Micro-euro that a session holds."""
        return int(self._view("Vault", "escrow", session))

    def token_balance(self, holder: str) -> int:
        return int(self._view("Token", "balanceOf", holder))

    def sessions(self) -> int:
        """Number of sessions."""
        return int(self._view("FlexMarket", "count"))

    def paused(self) -> bool:
        return bool(self._view("FlexMarket", "paused"))

    def terms(self, session: int) -> Terms:
        return Terms.from_abi(self._view("FlexMarket", "terms", session))

    def state(self, session: int) -> SessionState:
        """State at the time of the latest block."""
        return SessionState(self._view("FlexMarket", "state", session))

    def progress(self, session: int) -> Progress:
        return Progress.from_abi(self._view("FlexMarket", "progress", session))

    def log(self, session: int) -> bytes:
        """Hash of the order log."""
        return bytes(self._view("FlexMarket", "log", session))

    def certificate_hash(self, session: int, mode: Mode = Mode.COMPETITIVE) -> bytes:
        """Hash of the accepted certificate's words, zero before."""
        return bytes(self._view(RESULTS[mode], "certificateHash", session))

    def group_hash(self, session: int, group: int, mode: Mode = Mode.COMPETITIVE) -> bytes:
        return bytes(self._view(RESULTS[mode], "groupHash", session, group))

    def committed(self, session: int, group: int, mode: Mode = Mode.COMPETITIVE) -> bool:
        return bool(self._view(RESULTS[mode], "committed", session, group))

    def auctioned(self, zone: int, day: int) -> int:
        return int(self._view("FlexMarket", "auctioned", zone, day))

    def counter_of(self, signer: str) -> int:
        """What `signer` has to state as counter in what it signs now."""
        return int(self._view("FlexMarket", "counterOf", signer))

    def nonce_used(self, signer: str, nonce: int) -> bool:
        return bool(self._view("FlexMarket", "nonceUsed", signer, nonce))

    def admissible(self, zone: int, account: int, day: int) -> int:
        """Days that may make up the baseline, bit k for `day - 14 + k`."""
        return int(self._view("Deliveries", "admissible", zone, account, day))

    def statement_words(self, session: int, entries: Sequence[int]) -> list[int]:
        """Public words of a batch's statement, as `prove` builds them."""
        return list(self._view("Deliveries", "words", session, entries))

    def recorded(self, session: int, account: int) -> int:
        """Intervals of the day that are recorded for the account."""
        return int(self._view("Deliveries", "recordedOf", session, account))

    def proven(self, session: int, batch: bytes) -> bool:
        """Whether a batch whose recorded entries have this hash was proven for the session."""
        return bool(self._view("Deliveries", "proven", session, batch))

    def account_of_key(self, key: int) -> int | None:
        """The account that a meter key word was bound to, suspended or not."""
        return int(self._view("Accounts", "accountOfKey", key)) or None

    def band(self, product: int, hour_type: int) -> tuple[int, int] | None:
        """The price guard's band of an hour type, micro-euro per kWh, both ends included; None while there is none."""
        low, high, _ = self._view("PriceGuard", "bandOf", product, hour_type)
        return None if high == (1 << 256) - 1 else (int(low), int(high))

    def guarded_volume(self) -> int:
        """Wh from which on a price counts for the guard."""
        return int(self._view("PriceGuard", "minVolume"))

    def best_proposal(self, session: int) -> BestProposal | None:
        """What a block session would be cleared by if its challenge ended now."""
        found = BestProposal(*self._view("BlockClearing", "best", session))
        return found if any(found.key) else None

    def proposal_state(self, session: int, key: bytes) -> bytes:
        """Hash of the state that the pass of a proposal has reached; zero before its first call and after its last."""
        return bytes(self._view("BlockClearing", "stateHash", session, key))

    def block_bond(self) -> int:
        """Micro-euro that a block proposal locks."""
        return int(self._view("BlockClearing", "bond"))

    def block_improvement(self) -> int:
        """By how much of the best welfare a block proposal must be better, ppm."""
        return int(self._view("BlockClearing", "minImprovementPpm"))

    def settled(self, session: int, group: int, row: int) -> bool:
        return bool(self._view("Settlement", "settled", session, group, row))

    def refunds(self, session: int, j: int) -> int:
        """Micro-euro that the buyers of the session's interval `j` get back together, as far as sellers are settled."""
        return int(self._view("Settlement", "refunds", session, j))

    # -------------------------------------------------------------------------------------------------------------- events

    def events(
        self, from_block: int | None = None, to_block: int | None = None, *kinds: type[Any]
    ) -> Iterator[tuple[Log, Event]]:
        """Events of the market in order, from the deployment on by default; only `kinds` if some are given."""
        start = self.deployment.block if from_block is None else from_block
        addresses = [self.deployment.contracts[name] for name in CONTRACTS]
        for log in self.chain.logs(addresses, start, to_block, topics_of(*kinds) if kinds else ()):
            event = decode_event(log)
            if event is not None:
                yield log, event

    def receipt_events(self, receipt: Receipt) -> list[Event]:
        """The market's events of one transaction."""
        return [event for log in receipt.logs if (event := decode_event(log)) is not None]

    def order_log(self, session: int, to_block: int | None = None) -> OrderLog:
        """The session's order log from the chain's events; raises `ChainError` if it is not the one that the contract keeps."""
        batches = [e.words for _, e in self.events(None, to_block, Orders) if isinstance(e, Orders) and e.session == session]
        log = OrderLog.of(batches, self.terms(session).intervals)
        if to_block is None and log.hash() != self.log(session):
            raise ChainError(f"session {session}: the events do not add up to the order log")
        return log

    def _event(self, receipt: Receipt, kind: type[Any]) -> Any:
        return next(event for event in self.receipt_events(receipt) if isinstance(event, kind))
