"""The transactions of a deployment, each written down before it is sent and sent once, so that one that was interrupted goes on
where it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from eth_account import Account

from contracts.artifacts import load
from contracts.chain import Chain, Receipt
from contracts.manifest import DeploymentError
from contracts.verification import expected_code

PATIENCE_S = 600.0
"""Seconds until a transaction of a deployment has to be mined."""


@dataclass(slots=True)
class Sent:
    """A transaction of a deployment, written down before it is sent. `gas_used` is None until it is mined."""

    raw: str
    transaction: str
    nonce: int
    gas_used: int | None = None


@dataclass(slots=True)
class Begun:
    """A deployment that is under way: what was sent for each of its steps, in order. `settings` is a hash of everything that it
    was begun with."""

    chain_id: int = 0
    genesis: str = ""
    settings: str = ""
    block: int = 0
    steps: dict[str, Sent] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Begun:
        try:
            data = json.loads(text)
            return cls(**{**data, "steps": {name: Sent(**sent) for name, sent in data["steps"].items()}})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DeploymentError(f"a deployment that was begun: expected its record, got {type(error).__name__}") from None


def resumed(begun: Begun | None, chain: Chain, settings: str) -> Begun:
    """A record to go on with, or a fresh one."""
    begun = Begun() if begun is None else begun
    if not begun.settings:
        begun.chain_id, begun.genesis, begun.settings, begun.block = (
            chain.chain_id,
            chain.genesis,
            settings,
            chain.block().number + 1,
        )
    elif (begun.chain_id, begun.genesis) != (chain.chain_id, chain.genesis):
        raise DeploymentError(
            f"the deployment that was begun: expected chain {begun.chain_id} with genesis {begun.genesis}, "
            f"got {chain.chain_id} with {chain.genesis}"
        )
    elif begun.settings != settings:
        raise DeploymentError(
            "the deployment that was begun: expected the settings, keys and contracts that it was begun with, got others; "
            "give the same again, or remove its record to start anew"
        )
    return begun


class Steps:
    """Sends a deployment's transactions, each once."""

    def __init__(
        self, chain: Chain, key: bytes, begun: Begun, keep: Callable[[Begun], None], tell: Callable[[str], None]
    ) -> None:
        self.chain = chain
        self.begun = begun
        self._key = key
        self._keep = keep
        self._tell = tell

    def create(self, name: str, code: bytes, domain: bool) -> str:
        """Address of the contract made of `code`; one that was made before must be just that."""
        before = name in self.begun.steps
        receipt = self._once(name, None, code)
        if receipt.contract is None:
            raise DeploymentError(f"{name}: the chain names no address")
        if before and self.chain.code(receipt.contract) != expected_code(self.chain, code, receipt.contract, domain):
            raise DeploymentError(
                f"{name}: expected the code of the artifact at {receipt.contract}, got another; remove the record of the "
                "deployment that was begun, and start anew"
            )
        self._tell(f"{name} {'is at' if before else 'deployed at'} {receipt.contract}, {receipt.gas_used} gas")
        return receipt.contract

    def do(self, step: str, to: str, name: str, function: str, *values: Any) -> None:
        """Calls a function of a contract."""
        before = step in self.begun.steps
        receipt = self._once(step, to, load(name).functions[function].call(*values))
        self._tell(f"{step}, {'done before' if before else f'{receipt.gas_used} gas'}")

    def _once(self, step: str, to: str | None, data: bytes) -> Receipt:
        sent = self.begun.steps.get(step)
        receipt = None if sent is None else self._sent_before(sent)
        if receipt is None:
            prepared = self.chain.prepare(to, data, self._key)
            sent = self.begun.steps[step] = Sent("0x" + prepared.raw.hex(), prepared.hash, prepared.nonce)
            self._keep(self.begun)
            receipt = self.chain.wait(self.chain.send_raw(prepared.raw), PATIENCE_S)
        assert sent is not None
        if not receipt.succeeded:
            del self.begun.steps[step]
            self._keep(self.begun)
            raise DeploymentError(f"{step}: {self.chain.refusal_of(receipt.transaction)}")
        if sent.gas_used is None:
            sent.gas_used = receipt.gas_used
            self._keep(self.begun)
        return receipt

    def _sent_before(self, sent: Sent) -> Receipt | None:
        """Receipt of what an interrupted deployment sent or was about to send; None where it can never be mined."""
        receipt = self.chain.receipt(sent.transaction)
        if receipt is None:
            known = self.chain.transaction(sent.transaction) is not None
            if not known and self.chain.nonce(Account.from_key(self._key).address) > sent.nonce:
                return None
            receipt = self.chain.wait(self.chain.send_raw(bytes.fromhex(sent.raw[2:])), PATIENCE_S)
        return receipt
