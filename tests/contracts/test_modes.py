"""What only some sessions see, through the client on the real contracts: review, exemption, replacement, requests, blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pytest
from contracts_proofs import fake_batch
from contracts_world import OFFSET, RULES, World, address_of, key_of, make_world, order
from eth_account import Account
from eth_account.messages import encode_typed_data
from machine import fast_backend

from contracts.block_words import BlockBook, proposal
from contracts.calls import Call, ClearingPass
from contracts.calls_modes import Award
from contracts.deliveries import Entry, delivery_words, pick_words
from contracts.encoding import ScheduleOrder, Step, decode_entries, entry_words, excluded_words, hash_words
from contracts.events import (
    Awarded,
    BuyersSettled,
    Excluded,
    Exempted,
    ProposalContinued,
    Proposed,
    Released,
    Replaced,
    RequestOpened,
    SellersSettled,
    SessionCancelled,
    SessionOpened,
)
from contracts.orderlog import groups_of
from contracts.refusals import ContractRefusal
from contracts.replacements import Change, Place, ReplacementConsent, failure_picks
from contracts.requests import AwardOrder, Member, RequestTerms, check_list, list_words, profile_words
from contracts.units import Mode, SessionState, Side
from market.clearing import engine
from market.clearing.blocks import search
from market.clearing.blocks_check import check_blocks
from market.clearing.engine import AnyClearing
from market.orders import book_from_log
from market.session import SessionTerms, Zone
from settlement.replacement import change as replaced_rows
from settlement.rules import from_words as rules_from

pytestmark = pytest.mark.slow

REPLACING = (RULES[0] | 500_000 << 96 | 2 << 128, *RULES[1:])
"""The usual rules, and two intervals below half of the promise let others replace a member."""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """The price guard has a band from the first price on."""
    made = make_world(fast_backend(), parameters={"guard history": 1, "guard volume": 100})
    yield made
    made.chain.close()


def working_day(world: World, least: int) -> int:
    """Days from now to the first working day after `least` more."""
    today = world.client.day_of(1, world.chain.now())
    return next(d for d in range(least, least + 5) if (today + d + 3) % 7 < 5)


def cleared(world: World, session: int, excluded: Sequence[tuple[int, Side]] = ()) -> tuple[AnyClearing, ClearingPass]:
    """The engine's clearing and the call that has all of it accepted."""
    client = world.client
    log, terms = client.order_log(session), client.terms(session)
    book = book_from_log(SessionTerms.of_contract(session, Zone(1, OFFSET, 60), terms), log.batches, excluded)
    clearing = engine.clear(book, {account: client.sold(account, terms.day) for account, _ in log.makers()})
    whole = ClearingPass.whole(log, clearing.certificate_words, clearing.level_words)
    return clearing, whole._replace(excluded=excluded_words(list(excluded)))


def cleared_and_committed(world: World, session: int) -> AnyClearing:
    world.close_gate(session)
    clearing, whole = cleared(world, session)
    world.client.clear(world.operator, session, whole)
    for group, rows in enumerate(groups_of(clearing.rows)):
        world.client.commit(world.operator, session, group, rows)
    return clearing


def refuses(world: World, call: Call, error: str, name: str = "operator") -> dict[str, object]:
    with pytest.raises(ContractRefusal) as caught:
        world.client.simulate(address_of(name), call)
    assert caught.value.error_name == error
    return caught.value.arguments


# ------------------------------------------------------------------------------------------------------------------- review


def reviewed(world: World, hour: int) -> tuple[int, AnyClearing]:
    """A session whose price, 285000, lies outside the band that the one before, at 100000, has left."""
    cleaned = {}
    for bids in ([("dso", 600, 120_000)], [("dso", 600, 120_000), ("dear", 1_000, 450_000)]):
        session = world.open(days_ahead=working_day(world, 30 + 10 * len(bids)), mask=1 << hour)
        for name, quantity, limit in bids:
            world.place(name, session, order(world.member(name, meter=False), Side.BID, [(quantity, limit)]))
        world.place("ben", session, order(world.member("ben"), Side.OFFER, [(1_000, 100_000)]))
        world.close_gate(session)
        cleaned[session], whole = cleared(world, session)
        world.client.clear(world.operator, session, whole)
        if len(bids) == 1:
            assert world.client.state(session) is SessionState.CLEARED
            for group, rows in enumerate(groups_of(cleaned[session].rows)):
                world.client.commit(world.operator, session, group, rows)
    assert world.client.state(session) is SessionState.UNDER_REVIEW
    return session, cleaned[session]


def test_the_guardian_releases(world: World) -> None:
    session, clearing = reviewed(world, 1)
    client = world.client
    call = client.encode_release(session, clearing.certificate_words, "dear evening")
    world.member("ben")
    refuses(world, call, "NotGuardian", "ben")
    wrong = [*clearing.certificate_words[:-1], clearing.certificate_words[-1] ^ 1]
    refuses(world, client.encode_release(session, wrong, ""), "CertificateMismatch")
    rows = groups_of(clearing.rows)[0]
    refuses(world, client.encode_commit(session, 0, rows), "NotCommittable")
    told = client.receipt_events(client.send(world.operator, call))
    assert Released(session, "dear evening") in told
    assert client.state(session) is SessionState.CLEARED
    client.commit(world.operator, session, 0, rows)


def test_the_guardian_cancels(world: World) -> None:
    session, _ = reviewed(world, 2)
    client = world.client
    call = client.encode_cancel_reviewed(session, "one buyer alone")
    refuses(world, call, "NotGuardian", "ben")
    assert SessionCancelled(session, "one buyer alone") in client.receipt_events(client.send(world.operator, call))
    assert client.state(session) is SessionState.CANCELLED
    refuses(world, client.encode_cancel_reviewed(session, ""), "WrongState")


def test_the_guardian_excludes_and_anyone_clears_again(world: World) -> None:
    session, _ = reviewed(world, 3)
    client = world.client
    without = ((world.accounts["dear"], Side.BID),)
    clearing, again = cleared(world, session, without)
    refuses(world, client.encode_clear(session, again), "ExcludedMismatch")
    words, evidence = excluded_words(list(without)), hash_words([7])
    refuses(world, client.encode_exclude(session, words, evidence), "NotGuardian", "ben")
    (told,) = client.receipt_events(client.send(world.operator, client.encode_exclude(session, words, evidence)))
    assert told == Excluded(session, tuple(words), evidence)
    refuses(world, client.encode_exclude(session, words, evidence), "ExcludedAlready")
    _, as_before = cleared(world, session)
    refuses(world, client.encode_clear(session, as_before), "WrongState")
    client.clear(key_of("ben"), session, again)
    assert client.state(session) is SessionState.CLEARED
    assert clearing.certificates[0].price == 100_000
    assert [row.live for row in clearing.rows] == [True, False, True]
    before = client.balance(world.accounts["dear"])
    client.commit(world.operator, session, 0, groups_of(clearing.rows)[0])
    after = client.balance(world.accounts["dear"])
    assert after.available - before.available == before.locked - after.locked == 450_000


# ------------------------------------------------------------------------------------------- exemption and replacement


class Failing:
    """A session in which anna has sold 100 Wh in each of four intervals at 0.10 EUR/kWh, and ben stands in reserve."""

    def __init__(self, world: World, limit: int = 150_000) -> None:
        self.world, self.client = world, world.client
        self.anna, self.ben, dso = world.member("anna"), world.member("ben"), world.member("dso", meter=False)
        self.session = world.open(REPLACING, days_ahead=working_day(world, 20), mask=0b1111 << 10)
        world.place("dso", self.session, order(dso, Side.BID, [(100, 100_000)] * 4))
        world.place("anna", self.session, order(self.anna, Side.OFFER, [(100, 100_000)] * 4))
        reserve = ScheduleOrder(self.ben, Side.OFFER, (Step((80,) * 4, (limit,) * 4),), reserve=True)
        world.place("ben", self.session, reserve)
        self.clearing = cleared_and_committed(world, self.session)
        self.rows = list(self.clearing.rows)
        assert [row.fills for row in self.rows] == [(100,) * 4, (100,) * 4, (0,) * 4]
        self.terms = self.client.terms(self.session)

    def words(self) -> list[int]:
        return groups_of(self.rows)[0]

    def change(self, intervals: int) -> Change:
        failing, reserve = Place(0, 1, self.words()), Place(0, 2, [])
        return Change(self.session, intervals, failing, reserve, self.clearing.certificate_words, REPLACING)

    def consent(self, intervals: int, most: int = 10_000, nonce: int = 0) -> ReplacementConsent:
        deadline = self.world.chain.now() + 600
        return ReplacementConsent(self.session, self.anna, self.ben, intervals, most, nonce, deadline)

    def replace(self, *intervals: int, forced: bool = False) -> int:
        """Makes the change to the rows as Python has it; micro-euro that it costs beyond."""
        terms = SessionTerms.of_contract(self.session, Zone(1, OFFSET, 60), self.terms)
        rules = rules_from(REPLACING) if forced else None
        certificates = self.clearing.certificates
        done = replaced_rows(terms, certificates, self.rows[1], self.rows[2], intervals, rules)
        self.rows[1], self.rows[2] = done.failing, done.reserve
        return sum(done.extras)

    def settle(self, batches: Sequence[Sequence[int]], picks: Sequence[Sequence[tuple[int, int]]], which: int) -> list[object]:
        packed = pick_words(picks) if picks else []
        certificate = self.clearing.certificate_words
        receipt = self.client.settle(
            self.world.operator, self.session, 0, which, self.words(), certificate, REPLACING, batches, packed
        )
        return list(self.client.receipt_events(receipt))

    def prove_nothing(self, mask: int) -> list[int]:
        """Proves that anna delivered nothing in the intervals of `mask`."""
        return self.prove({t: 0 for t in self.terms.interval_indices if mask >> t & 1})

    def prove(self, values: Mapping[int, int]) -> list[int]:
        """Proves what anna delivered, Wh per interval of the day."""
        days = self.client.admissible(1, self.anna, self.terms.day).bit_count()
        mask = sum(1 << t for t in values)
        words = delivery_words([Entry(self.anna, days, mask, tuple(self.world.deviations(values)))])
        self.client.prove(self.world.operator, self.session, [fake_batch(self.world, self.session, words)])
        return words


def test_exempted_intervals_cost_no_penalty(world: World) -> None:
    failing = Failing(world)
    client, session = world.client, failing.session
    call = client.encode_exempt(session, 0, 1, failing.words(), 0b11 << 10, "line out of service")
    refuses(world, call, "NotGuardian", "anna")
    refuses(world, client.encode_exempt(session, 0, 0, failing.words(), 0b11 << 10, ""), "RowNotToSettle")
    refuses(world, client.encode_exempt(session, 0, 1, failing.words(), 1 << 9, ""), "ExemptionNotInSession")
    (told,) = client.receipt_events(client.send(world.operator, call))
    assert told == Exempted(session, failing.anna, 0b11 << 10, "line out of service")
    world.chain.advance_to(failing.terms.exemption_deadline)
    refuses(world, client.encode_exempt(session, 0, 1, failing.words(), 0b1 << 12, ""), "ExemptionTooLate")
    world.chain.advance_to(failing.terms.proof_deadline + 1)
    sellers = failing.settle([], [[], []], 0b110)[0]
    assert isinstance(sellers, SellersSettled)
    # 100 Wh at 0.10 EUR/kWh are 10000 micro-euro an interval, and nothing delivered costs half of that
    assert [(p.account, p.earned, p.unpaid, p.penalty) for p in sellers.payments] == [
        (failing.anna, 0, 40_000, 10_000),
        (failing.ben, 0, 0, 0),
    ]
    buyers = failing.settle([], [], 0b1)[0]
    assert isinstance(buyers, BuyersSettled)
    assert [(p.cost, p.refund) for p in buyers.payments] == [(40_000, 50_000)]


def test_nobody_settles_an_exempted_seller_before_its_delivery_can_be_proven(world: World) -> None:
    """Its buyer would get back what the seller is about to earn."""
    failing = Failing(world)
    client, session, proof_deadline = world.client, failing.session, failing.terms.proof_deadline
    client.send(world.operator, client.encode_exempt(session, 0, 1, failing.words(), 0b1111 << 10, "line out of service"))

    def attempt() -> None:
        certificate = failing.clearing.certificate_words
        picks = pick_words([[]])
        with pytest.raises(ContractRefusal) as refused:
            client.settle(key_of("dso"), session, 0, 0b10, failing.words(), certificate, REPLACING, [], picks)
        assert refused.value.error_name == "SellerNotFinal"

    attempt()
    world.chain.advance_to(failing.terms.exemption_deadline)
    attempt()
    words = failing.prove({t: 100 for t in failing.terms.interval_indices})
    (sellers,) = [told for told in failing.settle([words], [[(0, 0)]], 0b10) if isinstance(told, SellersSettled)]
    assert [(p.earned, p.unpaid, p.penalty) for p in sellers.payments] == [(40_000, 0, 0)]
    assert world.chain.now() < proof_deadline


def test_a_member_is_replaced_with_its_consent(world: World) -> None:
    failing = Failing(world)
    client, session, taken = world.client, failing.session, 0b11 << 12
    change, domain = failing.change(taken), client.domain_of("Replacement")
    consent = failing.consent(taken, most=8_000)
    assert failing.replace(12, 13) == 8_000, "80 Wh an interval at 0.05 EUR/kWh more"
    wallets = Account.sign_message(encode_typed_data(full_message=consent.typed_data(domain)), key_of("anna"))
    signed = consent.sign(domain, address_of("anna"), key_of("anna"))
    assert bytes(wallets.signature) == signed.signature

    def attempt(given: ReplacementConsent, signer: str = "anna", key: str = "anna", on: Change = change) -> Call:
        return client.encode_replace_by_consent(on, given.sign(domain, address_of(signer), key_of(key)))

    refuses(world, attempt(consent, key="ben"), "ConsentNotSigned")
    refuses(world, attempt(consent, signer="ben", key="ben"), "NotAllowed")
    cheaper = failing.consent(taken, most=7_999)
    assert refuses(world, attempt(cheaper), "ExtraAboveConsent") == {"extra": 8_000, "most": 7_999}
    refuses(world, attempt(consent, on=change._replace(intervals=0b1111 << 10)), "ConsentNotSigned")
    refuses(world, attempt(consent, on=change._replace(rules=RULES)), "SuppliedDataMismatch")
    before = client.balance(failing.anna).locked
    client.send(key_of("anna"), client.encode_void_replacement_consent(77))
    refuses(world, attempt(failing.consent(taken, most=8_000, nonce=77)), "NonceUsed")
    receipt = client.send(world.operator, client.encode_replace_by_consent(change, signed))
    told = [e for e in client.receipt_events(receipt) if isinstance(e, Replaced)]
    assert told == [Replaced(session, failing.anna, failing.ben, taken, 8_000, True)]
    assert client.group_hash(session, 0) == hash_words(failing.words())
    assert before - client.balance(failing.anna).locked == 8_000
    assert client.sold(failing.ben, failing.terms.day) == taken
    again = failing.change(0b11 << 10)
    refuses(world, attempt(failing.consent(0b11 << 10), on=again), "NonceUsed")

    world.chain.advance_to(failing.terms.proof_deadline + 1)
    sellers = failing.settle([], [[], []], 0b110)[0]
    buyers = failing.settle([], [], 0b1)[0]
    assert isinstance(sellers, SellersSettled) and isinstance(buyers, BuyersSettled)
    # anna keeps 240 Wh at 0.10, ben has 160 Wh at 0.15 EUR/kWh; both deliver nothing
    assert [(p.unpaid, p.penalty) for p in sellers.payments] == [(24_000, 12_000), (24_000, 12_000)]
    assert [(p.cost, p.refund) for p in buyers.payments] == [(40_000, 72_000)]
    assert client.escrow(session) == 0


def test_a_member_that_fails_is_replaced_without_its_consent(world: World) -> None:
    failing = Failing(world)
    client, session, taken = world.client, failing.session, 1 << 13
    change, day = failing.change(taken), failing.terms.day
    world.chain.advance_to(client.interval_start(1, day, 11))
    words = failing.prove_nothing(1 << 10)
    refuses(world, client.encode_replace_by_proof(change, [words], failure_picks([(0, 0)])), "TooFewFailures")
    world.chain.advance_to(client.interval_start(1, day, 12))
    batches = [words, failing.prove_nothing(1 << 11)]
    both = failure_picks([(0, 0), (1, 0)])
    refuses(world, client.encode_replace_by_proof(change, batches, failure_picks([(0, 0), (0, 0)])), "PickOverlaps")
    forged = [batches[0], [*batches[1][:-1], batches[1][-1] ^ 1]]
    refuses(world, client.encode_replace_by_proof(change, forged, both), "BatchNotProven")
    refuses(world, client.encode_replace_by_proof(failing.change(1 << 12), batches, both), "IntervalBegun")
    call = client.encode_replace_by_proof(change, batches, both)
    assert failing.replace(13, forced=True) == 4_000
    world.chain.fund(address_of("passer-by"))
    told = [e for e in client.receipt_events(client.send(key_of("passer-by"), call)) if isinstance(e, Replaced)]
    assert told == [Replaced(session, failing.anna, failing.ben, taken, 4_000, False)]
    assert client.group_hash(session, 0) == hash_words(failing.words())


def test_exempted_intervals_are_no_failures_and_a_dear_reserve_needs_consent(world: World) -> None:
    failing = Failing(world, limit=151_000)
    client, session = world.client, failing.session
    world.chain.advance_to(client.interval_start(1, failing.terms.day, 12))
    batches, picks = [failing.prove_nothing(0b11 << 10)], failure_picks([(0, 0)])
    call = client.encode_replace_by_proof(failing.change(1 << 13), batches, picks)
    # delivering nothing costs half of the 8000 micro-euro that would be passed on
    assert refuses(world, call, "TooDear")["most"] == 4_000
    client.send(world.operator, client.encode_exempt(session, 0, 1, failing.words(), 1 << 10, "meter exchanged"))
    assert refuses(world, call, "TooFewFailures")["failures"] == 1


# ------------------------------------------------------------------------------------------------------------------ requests


def test_a_request_is_opened_and_awarded(world: World) -> None:
    client, anna, ben = world.client, world.member("anna"), world.member("ben")
    dso = world.member("dso", meter=False)
    request = world.request(days_ahead=working_day(world, 20), mask=0b11 << 20, mode=Mode.REQUEST)
    target = profile_words([600, 300])
    call = client.encode_open_request(dso, request, target, 0, RULES)
    refuses(world, call, "NotDso", "dso")
    client.send(world.operator, client.encode_admit_dso(address_of("dso")))
    told = client.receipt_events(client.send(key_of("dso"), call))
    (session,) = [e.session for e in told if isinstance(e, SessionOpened)]
    assert RequestOpened(session, dso, 0, tuple(target)) in told

    deadline = world.chain.now() + 600
    members = {
        "anna": Member(anna, (500, 100), (120_000, 120_001), deadline, nonce=1),
        "ben": Member(ben, (100, 200), (90_000, 80_000), deadline, nonce=2),
    }
    words, domain = list_words(list(members.values())), client.domain_of("FlexRequests")
    consents = [
        members[name].consent(session).sign(domain, key_of(name)) for name in sorted(members, key=lambda n: members[n].account)
    ]
    by_dso = AwardOrder(session, tuple(words), 5, deadline)
    award = Award(words, consents, 5, deadline, by_dso.sign(domain, key_of("dso")))
    refuses(world, client.encode_award(session, target, award._replace(consents=consents[::-1])), "ConsentRefused")
    refuses(world, client.encode_award(session, target, award._replace(signature=consents[0])), "OrderRefused")
    refuses(world, client.encode_award(session, profile_words([600, 299]), award), "TargetMismatch")
    client.send(key_of("ben"), client.encode_void_consents(0, 1 << 9))  # another nonce
    coalition = check_list(RequestTerms(dso, 0, 2, request.min_quantity, request.price_cap, 600_000), [600, 300], words)
    told = client.receipt_events(client.send(world.operator, client.encode_award(session, target, award)))
    assert Awarded(session, address_of("operator"), tuple(words), coalition.certificate) in told
    assert client.state(session) is SessionState.CLEARED
    assert client.group_hash(session, 0, Mode.REQUEST) == coalition.group_hashes[0]
    assert client.certificate_hash(session, Mode.REQUEST) == coalition.certificate_hash
    assert client.sold(anna, request.day) == client.sold(ben, request.day) == 0b11 << 20
    assert client.escrow(session) == coalition.cost
    refuses(world, client.encode_award(session, target, award), "NotAwardable")


def test_a_request_is_withdrawn_and_a_consent_taken_back(world: World) -> None:
    client, anna = world.client, world.member("anna")
    dso = world.member("dso", meter=False)
    client.send(world.operator, client.encode_admit_dso(address_of("dso")))
    request = world.request(days_ahead=working_day(world, 20), mask=1 << 22, mode=Mode.REQUEST)
    target = profile_words([500])
    client.send(key_of("dso"), client.encode_open_request(dso, request, target, 0, RULES))
    session = client.sessions()
    member = Member(anna, (500,), (120_000,), world.chain.now() + 600, nonce=300)
    consent = member.consent(session).sign(client.domain_of("FlexRequests"), key_of("anna"))
    call = client.encode_award(session, target, Award(member.words(), [consent]))
    client.simulate(address_of("dso"), call)
    client.send(key_of("anna"), client.encode_void_consents(1, 1 << 300 - 256))
    refuses(world, call, "NonceUsed", "dso")
    refuses(world, client.encode_withdraw_request(session, ""), "NotOwner", "anna")
    client.send(key_of("dso"), client.encode_withdraw_request(session, "no congestion"))
    assert client.state(session) is SessionState.CANCELLED
    client.send(world.operator, client.encode_admit_dso(address_of("dso"), admitted=False))
    refuses(world, client.encode_open_request(dso, request, target, 0, RULES), "NotDso", "dso")


def test_the_operator_ends_a_request_behind_its_gate(world: World) -> None:
    """Otherwise whoever was a DSO for a moment could keep intervals from every session for as long as days can be named."""
    client, dso = world.client, world.member("dso", meter=False)
    client.send(world.operator, client.encode_admit_dso(address_of("dso")))
    request = world.request(days_ahead=working_day(world, 21), mask=1 << 23, mode=Mode.REQUEST)
    client.send(key_of("dso"), client.encode_open_request(dso, request, profile_words([500]), 0, RULES))
    session = client.sessions()
    client.send(world.operator, client.encode_admit_dso(address_of("dso"), admitted=False))
    world.chain.advance_to(request.gate_close)
    assert client.state(session) is SessionState.CLOSED and client.auctioned(1, request.day) >> 23 & 1
    client.cancel(world.operator, session, "no longer a DSO's")
    assert client.state(session) is SessionState.CANCELLED and not client.auctioned(1, request.day) >> 23 & 1
    refuses(world, client.encode_cancel(session, "again"), "WrongState", "operator")
    far = world.request(days_ahead=367, mask=1, mode=Mode.COMPETITIVE)
    refuses(world, client.encode_open_session(far, RULES), "FieldOutOfRange", "operator")


# -------------------------------------------------------------------------------------------------------------------- blocks


def test_blocks_are_proposed_and_accepted(world: World) -> None:
    client = world.client
    names = ("anna", "ben", "carl", "dora")
    accounts = [world.member(name) for name in names]
    now = world.chain.now()
    session = world.open(
        days_ahead=working_day(world, 20), mask=0b111 << 4, mode=Mode.BLOCK, challenge_end=now + 7200, min_quantity=1
    )
    terms = client.terms(session)
    blocks = [
        ScheduleOrder(accounts[0], Side.BID, (Step((700,) * 3, (100_000,) * 3),)),
        ScheduleOrder(accounts[1], Side.OFFER, (Step((500,) * 3, (60_000,) * 3),), min_fill_ppm=10**6),
        ScheduleOrder(accounts[2], Side.OFFER, (Step((400,) * 3, (70_000,) * 3),), min_fill_ppm=250_000),
        ScheduleOrder(accounts[3], Side.BID, (Step((100, 100, 0), (80_000, 80_000, 0)),)),
    ]
    for name, block in zip(names, blocks, strict=True):
        client.place(key_of(name), session, entry_words(block, terms))
    log = client.order_log(session)
    entries = [entry for batch in log.batches for entry in decode_entries(batch, 3)]
    book = BlockBook(tuple(entries), terms.interval_indices, terms.price_cap)
    solution = search(book, 10.0).solution
    assert any(solution.volumes)
    verdict = check_blocks(book, solution)
    assert verdict.accepted
    world.close_gate(session)
    world.member("finder", meter=False)
    made = proposal(book, solution, log, world.accounts["finder"], 5)
    assert len(made.calls) > 1
    bond = client.balance(made.account).locked
    state: tuple[int, ...] = ()
    for number in range(len(made.calls)):
        call = client.encode_propose(session, made, number, state)
        if number == len(made.calls) - 1:
            refuses(world, call, "NotOwner", "anna")
        told = client.receipt_events(client.send(key_of("finder"), call))
        state = next((e.state for e in told if isinstance(e, ProposalContinued)), ())
    (best,) = [e for e in told if isinstance(e, Proposed)]
    assert (best.key, best.account) == (made.key(), made.account)
    assert client.balance(made.account).locked - bond == 1_000_000
    refuses(world, client.encode_accept(session, made.certificate), "ChallengeOpen")
    world.chain.advance_to(terms.challenge_end)
    wrong = [*made.certificate[:-1], made.certificate[-1] ^ 1]
    refuses(world, client.encode_accept(session, wrong), "CertificateMismatch")
    client.send(world.operator, client.encode_accept(session, made.certificate))
    assert client.balance(made.account).locked == bond
    for group, rows in enumerate(groups_of(verdict.rows)):
        assert client.group_hash(session, group, Mode.BLOCK) == hash_words(rows)
        client.commit(world.operator, session, group, rows, Mode.BLOCK)
    assert client.state(session) is SessionState.CLEARED
    refuses(world, client.encode_reclaim(session), "WrongState")
