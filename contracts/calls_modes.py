"""Calldata of what only some sessions see: block proposals, requests of a DSO, replacements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from contracts.block_words import Proposal
from contracts.blueprint import DSO_ROLE
from contracts.calls import Call, MarketCalls
from contracts.replacements import Change, SignedConsent
from contracts.sessions import SessionRequest


class Award(NamedTuple):
    """A coalition's list with everybody's signatures, in the order of the contract's struct."""

    words: Sequence[int]
    """As `contracts.requests.list_words` makes them."""
    consents: Sequence[bytes]
    """The members' signatures, in the list's order."""
    nonce: int = 0
    """Of the DSO's signature."""
    deadline: int = 0
    signature: bytes = b""
    """The DSO's; ignored where the DSO sends the award itself."""


class ModeCalls(MarketCalls):
    """All transactions of one deployment."""

    def encode_propose(self, session: int, proposal: Proposal, number: int, state: Sequence[int]) -> Call:
        """Call `number` of a proposal's pass; `state` is what the call before left, at first empty. The owner of the proposal's
        account makes the last one."""
        taken = proposal.calls[number]
        solution = (proposal.account, proposal.certificate, proposal.table, proposal.logs)
        return self._call("BlockClearing", "propose", session, solution, (state, taken.sizes, taken.words, taken.hints))

    def encode_accept(self, session: int, certificate: Sequence[int]) -> Call:
        """Takes the best proposal as the session's result, once the challenge is over."""
        return self._call("BlockClearing", "accept", session, certificate)

    def encode_reclaim(self, session: int) -> Call:
        """Gives the best proposal's bond back where the session was cancelled."""
        return self._call("BlockClearing", "reclaim", session)

    def encode_admit_dso(self, holder: str, admitted: bool = True) -> Call:
        """By the operator: lets `holder` open requests, or no longer."""
        return self._call("FlexMarket", "grantRole" if admitted else "revokeRole", DSO_ROLE, holder)

    def encode_open_request(
        self, account: int, request: SessionRequest, target: Sequence[int], tolerance_ppm: int, rules: Sequence[int]
    ) -> Call:
        """By the owner of the DSO's `account`; `target` as `contracts.requests.profile_words` makes it."""
        return self._call("FlexRequests", "open", account, request.values(), target, tolerance_ppm, rules)

    def encode_withdraw_request(self, session: int, reason: str) -> Call:
        """By the owner of the DSO's account, while nothing is awarded."""
        return self._call("FlexRequests", "withdraw", session, reason)

    def encode_award(self, session: int, target: Sequence[int], award: Award) -> Call:
        """By anyone who has everybody's signatures."""
        return self._call("FlexRequests", "award", session, target, tuple(award))

    def encode_void_consents(self, word: int, bits: int) -> Call:
        """Makes the sender's consents and awards with the nonces `256 * word + k` void, for every set bit k."""
        return self._call("FlexRequests", "invalidateNonces", word, bits)

    def encode_void_replacement_consent(self, nonce: int) -> Call:
        """Makes the sender's consent to a replacement with this nonce void."""
        return self._call("Replacement", "void", nonce)

    def encode_replace_by_consent(self, change: Change, consent: SignedConsent) -> Call:
        """By anyone who has the failing member's word, or its delegate's."""
        return self._call("Replacement", "replaceByConsent", change.values(), tuple(consent))

    def encode_replace_by_proof(self, change: Change, batches: Sequence[Sequence[int]], picks: Sequence[int]) -> Call:
        """By anyone: `batches` are words of recorded entries, `picks` as `contracts.replacements.failure_picks` makes them."""
        return self._call("Replacement", "replaceByProof", change.values(), batches, picks)
