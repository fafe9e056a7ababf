"""Chains behind JSON-RPC: a node by its address, and an anvil of our own."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import requests
from eth_hash.auto import keccak
from eth_utils import to_checksum_address
from web3 import HTTPProvider
from web3.types import RPCEndpoint

from contracts.chain import (
    MAX_TRANSACTION_GAS,
    ZERO_ADDRESS,
    Block,
    Chain,
    ChainBusyError,
    ChainError,
    Log,
    Receipt,
    Transaction,
    anvil_binary,
)
from contracts.refusals import ContractRefusal, refusal

_START_SECONDS = 20.0
_PR_SET_PDEATHSIG = 1


class RpcError(ChainError):
    """The node answered with an error; `data` holds what a reverted call returned."""

    def __init__(self, method: str, code: int, message: str, data: bytes | None) -> None:
        super().__init__(f"{method}: {message} ({code})")
        self.code = code
        self.data = data


class NodeChain(Chain):
    """A node by its HTTP address."""

    name = "node"

    def __init__(self, url: str) -> None:
        self.url = url
        self._host = urlsplit(url).netloc.rpartition("@")[2]  # what else is in an address can be a secret
        session = requests.Session()
        session.trust_env = False  # a proxy of the environment is not for a chain
        self._provider = HTTPProvider(
            url, request_kwargs={"timeout": 120.0}, session=session, exception_retry_configuration=None
        )
        self._session = session
        self.chain_id = int(self._rpc("eth_chainId"), 16)
        self.genesis = self.block(0).hash

    def close(self) -> None:
        self._session.close()

    def block(self, number: int | None = None) -> Block:
        found = self._rpc("eth_getBlockByNumber", _tag(number), False)
        if found is None:
            raise ChainError(f"block {number}: the node does not know it")
        return Block(int(found["number"], 16), found["hash"], int(found["timestamp"], 16))

    def nonce(self, address: str) -> int:
        return int(self._rpc("eth_getTransactionCount", address, "pending"), 16)

    def balance(self, address: str) -> int:
        return int(self._rpc("eth_getBalance", address, "latest"), 16)

    def code(self, address: str) -> bytes:
        return _bytes(self._rpc("eth_getCode", address, "latest"))

    def fees(self) -> tuple[int, int]:
        base = int(self._rpc("eth_getBlockByNumber", "latest", False)["baseFeePerGas"], 16)
        tip = int(self._rpc("eth_maxPriorityFeePerGas"), 16)
        return 2 * base + tip, tip

    def estimate(self, sender: str, to: str | None, data: bytes) -> int:
        if self.is_development:
            return MAX_TRANSACTION_GAS
        try:
            needed = int(self._rpc("eth_estimateGas", _request(to, data, sender)), 16)
        except RpcError as error:
            raise _refused(error) from None
        return min(needed + needed // 4, max(needed, MAX_TRANSACTION_GAS))

    def call(self, to: str, data: bytes, sender: str = ZERO_ADDRESS, block: int | None = None) -> bytes:
        return self._call(to, data, sender, block)

    def created(self, creation: bytes, sender: str) -> bytes:
        return self._call(None, creation, sender, None)

    def _call(self, to: str | None, data: bytes, sender: str, block: int | None) -> bytes:
        try:
            return _bytes(self._rpc("eth_call", _request(to, data, sender), _tag(block)))
        except RpcError as error:
            raise _refused(error) from None

    def send_raw(self, raw: bytes) -> str:
        name: str = "0x" + keccak(raw).hex()
        try:
            self._rpc("eth_sendRawTransaction", "0x" + raw.hex())
        except RpcError:
            # known already, or its nonce is taken because it is mined: both are fine
            if self.transaction(name) is None:
                raise
        return name

    def receipt(self, transaction: str) -> Receipt | None:
        found = self._rpc("eth_getTransactionReceipt", transaction)
        if found is None:
            return None
        created = found.get("contractAddress")
        return Receipt(
            transaction,
            int(found["blockNumber"], 16),
            int(found["status"], 16) == 1,
            int(found["gasUsed"], 16),
            to_checksum_address(created) if created else None,
            tuple(_log(log) for log in found["logs"]),
        )

    def transaction(self, transaction: str) -> Transaction | None:
        found = self._rpc("eth_getTransactionByHash", transaction)
        if found is None:
            return None
        to, block = found.get("to"), found.get("blockNumber")
        return Transaction(
            transaction,
            to_checksum_address(found["from"]),
            to_checksum_address(to) if to else None,
            _bytes(found["input"]),
            int(block, 16) if block else None,
        )

    def call_tree(self, transaction: str) -> Any:
        """The calls within a mined transaction as `debug_traceTransaction` tells them, with `to`, `gasUsed` (hexadecimal) and
        `calls` of each; raises `ChainError` on a node that keeps no traces."""
        return self._rpc("debug_traceTransaction", transaction, {"tracer": "callTracer"})

    def refusal_of(self, transaction: str) -> ContractRefusal:
        sent, receipt = self.transaction(transaction), self.receipt(transaction)
        if sent is None or receipt is None:
            raise ChainError(f"transaction {transaction}: not mined")
        for block in (receipt.block - 1, receipt.block):  # before it, and at its time
            try:
                self._call(sent.to, sent.data, sent.sender, block)
            except ContractRefusal as error:
                return error
            except ChainError:
                return refusal(b"")  # a pruned node no longer knows the state before
        return refusal(b"", out_of_gas=True)  # with gas to spare it goes through

    def logs(
        self, addresses: Sequence[str], from_block: int, to_block: int | None = None, topics: Sequence[bytes] = ()
    ) -> list[Log]:
        wanted: dict[str, Any] = {"address": list(addresses), "fromBlock": _tag(from_block), "toBlock": _tag(to_block)}
        if topics:
            wanted["topics"] = [["0x" + topic.hex() for topic in topics]]
        try:
            return [_log(log) for log in self._rpc("eth_getLogs", wanted)]
        except RpcError:
            # nodes limit how many blocks or events an answer may span, each in its own way
            last = self.block().number if to_block is None else to_block
            if last <= from_block:
                raise
            middle = (from_block + last) // 2
            return self.logs(addresses, from_block, middle, topics) + self.logs(addresses, middle + 1, last, topics)

    def advance_to(self, timestamp: int) -> None:
        self.require_development("advance_to")
        if timestamp > self.now():
            self._rpc("evm_setNextBlockTimestamp", timestamp)
            self._rpc("evm_mine")

    def fund(self, address: str, wei: int = 10**24) -> None:
        self.require_development("fund")
        self._rpc("anvil_setBalance", address, hex(self.balance(address) + wei))

    def _rpc(self, method: str, *parameters: Any) -> Any:
        try:
            answer = self._provider.make_request(RPCEndpoint(method), parameters)
        except (requests.RequestException, ValueError) as error:
            raise ChainError(f"{method}: the node at {self._host} does not answer ({type(error).__name__})") from None
        if refused := answer.get("error"):
            if isinstance(refused, str):
                raise RpcError(method, 0, refused, None)
            data = refused.get("data")
            found = _bytes(data) if isinstance(data, str) and data.startswith("0x") else None
            raise RpcError(method, refused.get("code", 0), refused.get("message", ""), found)
        return answer["result"]


class AnvilChain(NodeChain):
    """An anvil from the npm tree on a free loopback port, ended with this object.

    With a `state` file a restart goes on where the last one was at most a second before it ended. The file is locked while
    anvil lives, so that two of them never write one chain.
    """

    name = "anvil"

    def __init__(self, timestamp: int | None = None, state: Path | None = None) -> None:
        """`timestamp` is the genesis time of a fresh chain, now by default."""
        binary = anvil_binary()
        if binary is None:
            raise ChainError("anvil: expected one in contracts/node_modules, found none; run `npm ci` in contracts/")
        resumes = state is not None and state.exists()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [
            str(binary),
            "--quiet",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--accounts",
            "1",
            "--prune-history",
            "64",
        ]
        gas_limit, genesis_time = _genesis(state, timestamp)
        command += ["--no-request-size-limit", "--gas-limit", str(gas_limit), "--timestamp", str(genesis_time)]
        lock: int | None = None
        if state is not None:
            state.parent.mkdir(parents=True, exist_ok=True)
            command += ["--state", str(state), "--state-interval", "1"]
            lock = _lock(state)
        with tempfile.TemporaryFile() as complaints:
            try:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=complaints,
                    start_new_session=True,  # a Ctrl-C is for us, who then end it in order
                    preexec_fn=_end_with_parent if sys.platform == "linux" else None,
                    pass_fds=() if lock is None else (lock,),
                )
            finally:
                if lock is not None:
                    os.close(lock)  # anvil holds it now
            self._end = weakref.finalize(self, _end, self._process)  # also when Python ends without `close`
            try:
                self._wait_until_up(f"http://127.0.0.1:{port}", complaints, state if resumes else None)
                if resumes:  # anvil would go on at the clock on the wall
                    self._rpc("evm_setTime", self.now() + 1)
                    self._rpc("evm_mine")
            except BaseException:
                self.close()
                raise

    @property
    def process_id(self) -> int:
        return self._process.pid

    def close(self) -> None:
        self._end()
        if hasattr(self, "_session"):
            super().close()

    def _wait_until_up(self, url: str, complaints: IO[bytes], resumed: Path | None) -> None:
        until = time.monotonic() + _START_SECONDS
        while True:
            try:
                NodeChain.__init__(self, url)
                return
            except ChainError:
                if self._process.poll() is not None:
                    complaints.seek(0)
                    said = complaints.read(2000).decode(errors="replace").strip().split("\n")[0]
                    broken = f"; is {resumed} whole? Without it a new chain begins" if resumed else ""
                    raise ChainError(
                        f"anvil ended with code {self._process.returncode} while starting: {said or 'without a word'}{broken}"
                    ) from None
                if time.monotonic() > until:
                    raise ChainError(f"anvil did not answer within {_START_SECONDS:.0f} s") from None
                time.sleep(0.02)


def _genesis(state: Path | None, timestamp: int | None) -> tuple[int, int]:
    """Gas limit and time of block 0, on which alone anvil's genesis depends: by chance for a fresh chain, so that each is
    another one; what they were for a chain that goes on, because anvil makes block 0 anew at every start."""
    kept = None if state is None else state.with_name(state.name + ".genesis")
    if kept is not None and state is not None and state.exists() and kept.exists():
        found = json.loads(kept.read_text())
        return found["gas_limit"], found["timestamp"]
    gas_limit, genesis_time = 10**9 + secrets.randbits(44), int(time.time()) if timestamp is None else timestamp
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps({"gas_limit": gas_limit, "timestamp": genesis_time}))
    return gas_limit, genesis_time


def _end(process: subprocess.Popen[bytes]) -> None:
    """Lets anvil write its state and go; insists after ten seconds."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _end_with_parent() -> None:
    """Runs in anvil's process before anvil: the kernel ends it when whoever started it is gone, even by SIGKILL."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _lock(state: Path) -> int:
    handle = os.open(state.with_name(state.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise ChainBusyError(f"state: expected a chain that nobody runs, got {state}, which another process runs") from None
    return handle


def _refused(error: RpcError) -> Exception:
    if error.data is not None:
        return refusal(error.data)
    return refusal(b"") if "revert" in str(error).lower() else error


def _tag(number: int | None) -> str:
    return "latest" if number is None else hex(number)


def _request(to: str | None, data: bytes, sender: str) -> dict[str, str]:
    request = {"from": sender, "data": "0x" + data.hex()}
    return request if to is None else {**request, "to": to}


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _log(found: dict[str, Any]) -> Log:
    return Log(
        to_checksum_address(found["address"]),
        tuple(_bytes(t) for t in found["topics"]),
        _bytes(found["data"]),
        int(found["blockNumber"], 16),
        found["transactionHash"],
        int(found["logIndex"], 16),
    )
