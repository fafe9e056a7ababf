"""A chain as the rest of Wattproof sees it: one small class, three backends.

`open_chain("tester")` runs py-evm inside this process, `open_chain("anvil")` starts a local anvil, any other text is the HTTP
address of a node. A transaction is prepared (signed, hashed) first and sent afterwards, so that an outbox can store it in
between; sending the same bytes again does no harm.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import rlp
from eth_account import Account
from eth_hash.auto import keccak
from eth_utils import to_canonical_address, to_checksum_address

from contracts.refusals import ContractRefusal

DEVELOPMENT_CHAINS = (31337, 1337, 131277322940537)
"""Chain ids on which development keys and play money are allowed, as in DevelopmentChains.sol."""

MAX_TRANSACTION_GAS = 1 << 24
"""Largest gas limit of one transaction (EIP-7825); not every backend enforces it."""

ZERO_ADDRESS = "0x" + "00" * 20


class ChainError(RuntimeError):
    """The chain cannot be reached, or does not take a transaction for a reason outside the contracts."""


class ChainBusyError(ChainError):
    """Another process runs the chain that is kept in this file."""


class GasLimitError(ChainError):
    """A transaction that needs more gas than one may have."""


@dataclass(frozen=True, slots=True)
class Log:
    """One event as the chain stores it."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes
    block: int
    transaction: str
    index: int
    """Place in the block."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Outcome of a transaction."""

    transaction: str
    block: int
    succeeded: bool
    gas_used: int
    contract: str | None
    """Address of the contract that the transaction created."""
    logs: tuple[Log, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A signed transaction that has not been sent yet."""

    raw: bytes
    hash: str
    sender: str
    nonce: int
    gas: int


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction as it was sent."""

    hash: str
    sender: str
    to: str | None
    data: bytes
    block: int | None


@dataclass(frozen=True, slots=True)
class Block:
    """Number, hash and time of a block."""

    number: int
    hash: str
    timestamp: int


class Chain(ABC):
    """A chain to read from and to send to. Addresses are checksummed text, hashes 0x-text, times Unix seconds, amounts wei."""

    name: str
    chain_id: int
    genesis: str
    """Hash of block 0; together with the chain id it tells one development chain from the next."""

    @property
    def is_development(self) -> bool:
        return self.chain_id in DEVELOPMENT_CHAINS

    @abstractmethod
    def block(self, number: int | None = None) -> Block:
        """Block `number`, the latest by default."""

    @abstractmethod
    def nonce(self, address: str) -> int:
        """Next nonce of `address`, pending transactions included."""

    @abstractmethod
    def balance(self, address: str) -> int:
        """Balance in wei."""

    @abstractmethod
    def code(self, address: str) -> bytes:
        """Code of the contract at `address`, empty where there is none."""

    @abstractmethod
    def fees(self) -> tuple[int, int]:
        """Largest fee and largest tip per gas for a transaction sent now, wei."""

    @abstractmethod
    def estimate(self, sender: str, to: str | None, data: bytes) -> int:
        """Gas limit for a transaction. Development chains answer with the largest allowed, since gas costs nothing there."""

    @abstractmethod
    def call(self, to: str, data: bytes, sender: str = ZERO_ADDRESS, block: int | None = None) -> bytes:
        """What a call returns on top of a block (the latest by default); raises `ContractRefusal`."""

    @abstractmethod
    def created(self, creation: bytes, sender: str) -> bytes:
        """Code of the contract that `sender` would get from creation code now; nothing is sent. Raises `ContractRefusal`."""

    @abstractmethod
    def send_raw(self, raw: bytes) -> str:
        """Sends a prepared transaction, returns its hash; sending it again is harmless. `ChainError` if the chain refuses."""

    @abstractmethod
    def receipt(self, transaction: str) -> Receipt | None:
        """Receipt of a mined transaction, None before."""

    @abstractmethod
    def transaction(self, transaction: str) -> Transaction | None:
        """A transaction by hash, None if the chain does not know it."""

    @abstractmethod
    def logs(
        self, addresses: Sequence[str], from_block: int, to_block: int | None = None, topics: Sequence[bytes] = ()
    ) -> list[Log]:
        """Events of `addresses` in blocks `from_block` to `to_block` (the latest by default), whose first topic is one of
        `topics` (any if there are none), in order."""

    @abstractmethod
    def advance_to(self, timestamp: int) -> None:
        """Mines a block at `timestamp`; nothing happens if the chain is there already. Development chains only."""

    @abstractmethod
    def fund(self, address: str, wei: int = 10**24) -> None:
        """Gives `address` ether to pay for gas. Development chains only."""

    @abstractmethod
    def refusal_of(self, transaction: str) -> ContractRefusal:
        """Why a mined transaction failed."""

    def close(self) -> None:  # noqa: B027  (not every backend has something to end)
        """Ends what the backend started."""

    def now(self) -> int:
        """Time of the latest block."""
        return self.block().timestamp

    def holds(self, number: int, block_hash: str) -> bool:
        """Whether a block is still part of the chain, and so everything before it as well."""
        return number <= self.block().number and self.block(number).hash == block_hash

    def prepare(
        self, to: str | None, data: bytes, key: bytes, gas: int | None = None, nonce: int | None = None, value: int = 0
    ) -> Prepared:
        """Signs a transaction of `key`'s account; `to` None creates a contract."""
        account = Account.from_key(key)
        if gas is None:
            gas = self.estimate(account.address, to, data)
        if gas > MAX_TRANSACTION_GAS:
            raise GasLimitError(f"gas: expected at most {MAX_TRANSACTION_GAS} for one transaction, got {gas}")
        if nonce is None:
            nonce = self.nonce(account.address)
        fee, tip = self.fees()
        fields = {
            "type": 2, "chainId": self.chain_id, "nonce": nonce, "gas": gas, "value": value, "data": data,
            "maxFeePerGas": fee, "maxPriorityFeePerGas": tip,
        }  # fmt: skip
        if to is not None:
            fields["to"] = to_checksum_address(to)
        signed = account.sign_transaction(fields)
        return Prepared(bytes(signed.raw_transaction), "0x" + bytes(signed.hash).hex(), account.address, nonce, gas)

    def wait(self, transaction: str, timeout: float = 60.0) -> Receipt:
        """Receipt of a sent transaction, whether it succeeded or not; raises `ChainError` after `timeout` seconds."""
        until = time.monotonic() + timeout
        pause = 0.001
        while (receipt := self.receipt(transaction)) is None:
            if time.monotonic() > until:
                raise ChainError(f"transaction {transaction}: no receipt after {timeout:.0f} s")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.25)
        return receipt

    def transact(self, to: str | None, data: bytes, key: bytes, gas: int | None = None, value: int = 0) -> Receipt:
        """Prepares, sends and waits; raises `ContractRefusal` if the transaction failed."""
        receipt = self.wait(self.send_raw(self.prepare(to, data, key, gas, None, value).raw))
        if not receipt.succeeded:
            raise self.refusal_of(receipt.transaction)
        return receipt

    def require_development(self, what: str) -> None:
        if not self.is_development:
            raise ChainError(f"{what}: expected a development chain, got chain {self.chain_id}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def created_address(sender: str, nonce: int) -> str:
    """Address of the contract that `sender` creates with its transaction `nonce`."""
    packed = rlp.encode([to_canonical_address(sender), nonce])
    return str(to_checksum_address(keccak(packed)[12:]))


def anvil_binary() -> Path | None:
    """The anvil of contracts/node_modules, None where there is none for this platform."""
    modules = Path(__file__).parent / "node_modules" / "@foundry-rs"
    found = (path for path in sorted(modules.glob("anvil-*/bin/anvil*")) if os.access(path, os.X_OK))
    return next(found, None)


def open_chain(backend: str, timestamp: int | None = None, state: Path | None = None) -> Chain:
    """Opens `tester`, `anvil` or a node by its address. `timestamp` is the genesis time of a fresh development chain, `state`
    the file in which anvil keeps itself between starts."""
    if backend == "tester":
        from contracts.chain_tester import TesterChain

        return TesterChain(timestamp)
    from contracts.chain_rpc import AnvilChain, NodeChain

    if backend == "anvil":
        return AnvilChain(timestamp, state)
    if backend.startswith(("http://", "https://")):
        return NodeChain(backend)
    raise ChainError(f"chain: expected tester, anvil or an http address, got {backend!r}")
