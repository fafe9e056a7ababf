"""Signed order batches (EIP-712): what a wallet shows and signs, and who signed it (docs/protocol.md section 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_hash.auto import keccak
from eth_keys.datatypes import PrivateKey, Signature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from contracts.encoding import hash_words
from contracts.errors import FieldError

_DOMAIN_TYPE = keccak(b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)")
_BATCH_TYPE = keccak(b"OrderBatch(uint256 session,uint256[] words,uint256 nonce,uint256 counter,uint256 deadline)")
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


class SignatureError(FieldError):
    """A signature that cannot be read."""


@dataclass(frozen=True, slots=True)
class Domain:
    """Where a signature counts: one contract on one chain."""

    chain_id: int
    market: str
    """Address of the contract that takes the signature."""

    @property
    def separator(self) -> bytes:
        address = bytes.fromhex(self.market[2:]).rjust(32, b"\0")
        return bytes(keccak(_DOMAIN_TYPE + keccak(b"Wattproof") + keccak(b"1") + self.chain_id.to_bytes(32, "big") + address))


@dataclass(frozen=True, slots=True)
class OrderBatch:
    """Entries of one session's log, as words. `nonce` is used once per signer, in any order; `counter` is the signer's on
    chain, so that one transaction takes back everything that was signed under it; `deadline` in Unix seconds."""

    session: int
    words: tuple[int, ...]
    nonce: int
    counter: int
    deadline: int

    def digest(self, domain: Domain) -> bytes:
        """The 32 bytes that are signed."""
        fields = b"".join(v.to_bytes(32, "big") for v in (self.nonce, self.counter, self.deadline))
        struct = keccak(_BATCH_TYPE + self.session.to_bytes(32, "big") + hash_words(self.words) + fields)
        return bytes(keccak(b"\x19\x01" + domain.separator + struct))

    def typed_data(self, domain: Domain) -> dict[str, Any]:
        """The JSON that a wallet's `eth_signTypedData_v4` takes; words as decimal text, which every wallet reads exactly."""
        return {
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"},
                ],
                "OrderBatch": [
                    {"name": "session", "type": "uint256"},
                    {"name": "words", "type": "uint256[]"},
                    {"name": "nonce", "type": "uint256"},
                    {"name": "counter", "type": "uint256"},
                    {"name": "deadline", "type": "uint256"},
                ],
            },
            "primaryType": "OrderBatch",
            "domain": {"name": "Wattproof", "version": "1", "chainId": domain.chain_id, "verifyingContract": domain.market},
            "message": {
                "session": str(self.session),
                "words": [str(word) for word in self.words],
                "nonce": str(self.nonce),
                "counter": str(self.counter),
                "deadline": str(self.deadline),
            },
        }

    def sign(self, domain: Domain, key: bytes) -> SignedBatch:
        """The batch signed by `key`'s account."""
        private = PrivateKey(key)
        signature = private.sign_msg_hash(self.digest(domain))
        raw = signature.to_bytes()
        return SignedBatch(self, private.public_key.to_checksum_address(), raw[:64] + bytes([27 + raw[64]]))


@dataclass(frozen=True, slots=True)
class SignedBatch:
    """A batch with its signer; for an ERC-1271 contract the signature is what that contract takes."""

    batch: OrderBatch
    signer: str
    signature: bytes

    def recover(self, domain: Domain) -> str:
        """Address that made the signature; equals `signer` for a person's account. Raises `SignatureError`."""
        return recover(self.batch.digest(domain), self.signature)


def recover(digest: bytes, signature: bytes) -> str:
    """Address whose key signed `digest`; refuses what the contract refuses too (length, high s, odd v)."""
    if len(signature) != 65:
        raise SignatureError("signature", "65 bytes", f"{len(signature)} bytes")
    if signature[64] not in (27, 28):
        raise SignatureError("signature", "v 27 or 28", f"v {signature[64]}")
    if int.from_bytes(signature[32:64], "big") > _HALF_ORDER:
        raise SignatureError("signature", "s in the lower half of its range", "one in the upper half")
    try:
        parsed = Signature(signature[:64] + bytes([signature[64] - 27]))
        return str(parsed.recover_public_key_from_msg_hash(digest).to_checksum_address())
    except (BadSignature, ValidationError) as error:
        raise SignatureError("signature", "a point of the curve", str(error)) from None


def order_batch(session: int, words: Sequence[int], nonce: int, counter: int, deadline: int) -> OrderBatch:
    """An `OrderBatch` from any sequence of words."""
    return OrderBatch(session, tuple(words), nonce, counter, deadline)


def struct_digest(domain: Domain, name: str, fields: Sequence[tuple[str, str]], message: dict[str, Any]) -> bytes:
    """The 32 bytes that are signed of a struct with these `fields` (name, type) and values (EIP-712)."""
    kind = keccak(f"{name}({','.join(f'{of} {field}' for field, of in fields)})".encode())
    values = (hash_words(v) if isinstance(v, list) else int(v).to_bytes(32, "big") for v in (message[f] for f, _ in fields))
    return bytes(keccak(b"\x19\x01" + domain.separator + keccak(kind + b"".join(values))))


def struct_typed_data(domain: Domain, name: str, fields: Sequence[tuple[str, str]], message: dict[str, Any]) -> dict[str, Any]:
    """The same as the JSON that a wallet's `eth_signTypedData_v4` takes; numbers as decimal text."""

    def shown(value: Any) -> Any:
        if isinstance(value, list):
            return [str(item) for item in value]
        return value if isinstance(value, bool) else str(value)

    return {
        "types": {
            "EIP712Domain": [
                {"name": "name", "type": "string"},
                {"name": "version", "type": "string"},
                {"name": "chainId", "type": "uint256"},
                {"name": "verifyingContract", "type": "address"},
            ],
            name: [{"name": field, "type": of} for field, of in fields],
        },
        "primaryType": name,
        "domain": {"name": "Wattproof", "version": "1", "chainId": domain.chain_id, "verifyingContract": domain.market},
        "message": {field: shown(value) for field, value in message.items()},
    }


def sign_digest(digest: bytes, key: bytes) -> bytes:
    """A signature as contracts take it: r, s, v."""
    raw = PrivateKey(key).sign_msg_hash(digest).to_bytes()
    return bytes(raw[:64]) + bytes([27 + raw[64]])
