"""The in-process chain: eth-tester's py-evm, driven directly. Nothing persists.

eth-tester's own calls walk the whole chain to find a transaction; this backend keeps the few tables that it needs instead.
Every transaction is mined in a block of its own, one second after the last.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from typing import Any

from eth.constants import CREATE_CONTRACT_ADDRESS
from eth.exceptions import OutOfGas
from eth.vm.message import Message
from eth_account import Account
from eth_tester import PyEVMBackend
from eth_utils import ValidationError, to_canonical_address, to_checksum_address

from contracts.chain import (
    MAX_TRANSACTION_GAS,
    ZERO_ADDRESS,
    Block,
    Chain,
    ChainError,
    Log,
    Receipt,
    Transaction,
    created_address,
)
from contracts.refusals import ContractRefusal, refusal

BLOCK_GAS = 120_000_000
CALL_GAS = 1 << 40
"""Calls are free; only a loop without end should run out."""


class TesterChain(Chain):
    """A fresh chain with a genesis of its own."""

    name = "tester"

    def __init__(self, timestamp: int | None = None) -> None:
        """`timestamp` is the genesis time, now by default."""
        self._lock = threading.RLock()
        self._treasury = os.urandom(32)
        self._treasury_nonce = 0
        treasury = Account.from_key(self._treasury).address
        parameters = PyEVMBackend.generate_genesis_params(
            {
                "timestamp": int(time.time()) if timestamp is None else timestamp,
                "gas_limit": BLOCK_GAS,
                "extra_data": os.urandom(16),
            }
        )
        state = {to_canonical_address(treasury): {"balance": 1 << 200, "nonce": 0, "code": b"", "storage": {}}}
        self._backend = PyEVMBackend(genesis_parameters=parameters, genesis_state=state)
        self._chain = self._backend.chain
        self._receipts: dict[str, Receipt] = {}
        self._transactions: dict[str, Transaction] = {}
        self._refusals: dict[str, ContractRefusal] = {}
        self._logs: list[Log] = []
        self.chain_id = self._chain.chain_id
        self.genesis = self.block(0).hash

    def block(self, number: int | None = None) -> Block:
        with self._lock:
            header = self._head() if number is None else self._chain.get_canonical_block_header_by_number(number)
            return Block(header.block_number, "0x" + header.hash.hex(), header.timestamp)

    def nonce(self, address: str) -> int:
        with self._lock:
            return int(self._chain.get_vm().state.get_nonce(to_canonical_address(address)))

    def balance(self, address: str) -> int:
        with self._lock:
            return int(self._chain.get_vm().state.get_balance(to_canonical_address(address)))

    def code(self, address: str) -> bytes:
        with self._lock:
            return bytes(self._chain.get_vm().state.get_code(to_canonical_address(address)))

    def fees(self) -> tuple[int, int]:
        return 2 * self._head().base_fee_per_gas + 1, 1

    def estimate(self, sender: str, to: str | None, data: bytes) -> int:
        return MAX_TRANSACTION_GAS

    def call(self, to: str, data: bytes, sender: str = ZERO_ADDRESS, block: int | None = None) -> bytes:
        with self._lock:
            header = self._head() if block is None else self._chain.get_canonical_block_header_by_number(block)
            state, target, caller = self._state(header), to_canonical_address(to), to_canonical_address(sender)
            return self._run(state, Message(CALL_GAS, target, caller, 0, data, state.get_code(target)))

    def created(self, creation: bytes, sender: str) -> bytes:
        with self._lock:
            state, caller = self._state(self._head()), to_canonical_address(sender)
            target = to_canonical_address(created_address(sender, state.get_nonce(caller)))
            message = Message(CALL_GAS, CREATE_CONTRACT_ADDRESS, caller, 0, b"", creation, create_address=target)
            return self._run(state, message)

    def _state(self, header: Any) -> Any:
        return self._chain.get_vm(at_header=header).state

    @staticmethod
    def _run(state: Any, message: Message) -> bytes:
        """What a message returns; the state stays as it is."""
        snapshot = state.snapshot()
        try:
            context = state.get_transaction_context_class()(gas_price=0, origin=message.sender)
            run = state.computation_class
            computation = (run.apply_create_message if message.is_create else run.apply_message)(state, message, context)
        finally:
            state.revert(snapshot)
        if computation.is_error:
            raise _refusal(computation)
        return bytes(computation.output)

    def send_raw(self, raw: bytes) -> str:
        with self._lock:
            try:
                transaction = self._chain.get_vm().get_transaction_builder().decode(raw)
            except Exception as error:
                raise ChainError(f"transaction: cannot be decoded ({error})") from None
            name: str = "0x" + transaction.hash.hex()
            if name in self._transactions:
                return name
            self._set_time(self._head().timestamp + 1)
            try:
                _, _, computation = self._chain.apply_transaction(transaction)
            except ValidationError as error:
                raise ChainError(f"transaction {name}: {error}") from None
            self._backend.mine_blocks()
            self._remember(name, transaction, computation)
            return name

    def receipt(self, transaction: str) -> Receipt | None:
        return self._receipts.get(transaction)

    def transaction(self, transaction: str) -> Transaction | None:
        return self._transactions.get(transaction)

    def refusal_of(self, transaction: str) -> ContractRefusal:
        return self._refusals[transaction]

    def logs(
        self, addresses: Sequence[str], from_block: int, to_block: int | None = None, topics: Sequence[bytes] = ()
    ) -> list[Log]:
        wanted = {to_checksum_address(address) for address in addresses}
        with self._lock:
            last = self._head().block_number if to_block is None else to_block
            return [
                log
                for log in self._logs
                if from_block <= log.block <= last and log.address in wanted and (not topics or log.topics[0] in topics)
            ]

    def advance_to(self, timestamp: int) -> None:
        with self._lock:
            if timestamp > self._head().timestamp:
                self._set_time(timestamp)
                self._backend.mine_blocks()

    def fund(self, address: str, wei: int = 10**24) -> None:
        self.transact(address, b"", self._treasury, 21_000, wei)

    def _head(self) -> Any:
        return self._chain.get_canonical_head()

    def _set_time(self, timestamp: int) -> None:
        self._chain.header = self._chain.header.copy(timestamp=timestamp)

    def _remember(self, name: str, transaction: Any, computation: Any) -> None:
        block = self._chain.get_canonical_block_by_number(self._head().block_number)
        receipt = block.get_receipts(self._chain.chaindb)[0]
        logs = tuple(
            Log(
                to_checksum_address(log.address),
                tuple(t.to_bytes(32, "big") for t in log.topics),
                bytes(log.data),
                block.number,
                name,
                index,
            )
            for index, log in enumerate(receipt.logs)
        )
        succeeded = not computation.is_error
        created = to_checksum_address(computation.msg.storage_address) if not transaction.to and succeeded else None
        self._receipts[name] = Receipt(name, block.number, succeeded, receipt.gas_used, created, logs)
        to = to_checksum_address(transaction.to) if transaction.to else None
        self._transactions[name] = Transaction(
            name, to_checksum_address(transaction.sender), to, bytes(transaction.data), block.number
        )
        self._logs.extend(logs)
        if not succeeded:
            self._refusals[name] = _refusal(computation)


def _refusal(computation: Any) -> ContractRefusal:
    return refusal(bytes(computation.output), isinstance(computation.error, OutOfGas))
