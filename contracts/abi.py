"""Contract ABI: arguments to bytes and back.

Small on purpose and fast where it matters: arrays of words (orders, certificates, rows) are packed with `int.to_bytes`,
an order of magnitude faster than a general encoder. Tuples decode to dicts by component name, addresses to checksummed text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from eth_hash.auto import keccak
from eth_utils import to_checksum_address

Parameter: TypeAlias = Mapping[str, Any]
"""A parameter of a JSON ABI: `type`, `name`, and `components` for tuples."""


class AbiError(ValueError):
    """A value that does not fit its ABI type; the message names the parameter, what was expected and what came."""


def canonical(parameter: Parameter) -> str:
    """Type as it appears in a signature, such as `(uint256,uint256[])[]`."""
    kind: str = parameter["type"]
    if not kind.startswith("tuple"):
        return kind
    return "(" + ",".join(canonical(c) for c in parameter["components"]) + ")" + kind[5:]


def signature(entry: Mapping[str, Any]) -> str:
    """Signature of a function, event or error, such as `place(uint256,uint256[])`."""
    return f"{entry['name']}({','.join(canonical(p) for p in entry['inputs'])})"


def selector(entry: Mapping[str, Any]) -> bytes:
    """First four bytes of the signature's hash."""
    return bytes(keccak(signature(entry).encode())[:4])


def topic(entry: Mapping[str, Any]) -> bytes:
    """Hash of an event's signature: its first topic."""
    return bytes(keccak(signature(entry).encode()))


def encode(parameters: Sequence[Parameter], values: Sequence[Any]) -> bytes:
    """`values` in the order of `parameters`; tuples as sequences or mappings by component name."""
    if len(parameters) != len(values):
        names = ", ".join(p.get("name", "") for p in parameters)
        raise AbiError(f"arguments: expected {len(parameters)} ({names}), got {len(values)}")
    heads: list[bytes | int] = []
    tails: list[bytes] = []
    at = 0
    for parameter, value in zip(parameters, values, strict=True):
        data = _encode_one(parameter, value)
        if _dynamic(parameter):
            heads.append(at)
            tails.append(data)
            at += len(data)
        else:
            heads.append(data)
    size = sum(len(h) if isinstance(h, bytes) else 32 for h in heads)
    return b"".join(h if isinstance(h, bytes) else (size + h).to_bytes(32, "big") for h in heads) + b"".join(tails)


def decode(parameters: Sequence[Parameter], data: bytes) -> list[Any]:
    """Values in the order of `parameters`."""
    values = []
    at = 0
    for parameter in parameters:
        if _dynamic(parameter):
            values.append(_decode_one(parameter, data, int.from_bytes(data[at : at + 32], "big")))
            at += 32
        else:
            values.append(_decode_one(parameter, data, at))
            at += _size(parameter)
    return values


def _array(parameter: Parameter) -> tuple[Parameter, int | None] | None:
    """Element and length (None for a dynamic one) of an array type; None for anything else."""
    kind: str = parameter["type"]
    if not kind.endswith("]"):
        return None
    base, _, length = kind[:-1].rpartition("[")
    return {**parameter, "type": base}, int(length) if length else None


def _dynamic(parameter: Parameter) -> bool:
    if array := _array(parameter):
        return array[1] is None or _dynamic(array[0])
    if parameter["type"] == "tuple":
        return any(_dynamic(c) for c in parameter["components"])
    return parameter["type"] in ("bytes", "string")


def _size(parameter: Parameter) -> int:
    """Bytes of a static type in place."""
    if array := _array(parameter):
        return _size(array[0]) * (array[1] or 0)
    if parameter["type"] == "tuple":
        return sum(_size(c) for c in parameter["components"])
    return 32


def _encode_one(parameter: Parameter, value: Any) -> bytes:
    kind: str = parameter["type"]
    if array := _array(parameter):
        element, length = array
        if length is not None and len(value) != length:
            raise AbiError(f"{parameter.get('name')}: expected {length} elements, got {len(value)}")
        body = _words(parameter, value) if element["type"] == "uint256" else encode([element] * len(value), value)
        return body if length is not None else len(value).to_bytes(32, "big") + body
    if kind == "tuple":
        components = parameter["components"]
        return encode(components, [value[c["name"]] for c in components] if isinstance(value, Mapping) else value)
    if kind in ("bytes", "string"):
        raw = value.encode() if isinstance(value, str) else bytes(value)
        return len(raw).to_bytes(32, "big") + raw + b"\0" * (-len(raw) % 32)
    if kind.startswith("uint"):
        bits = int(kind[4:])
        if not isinstance(value, int) or not 0 <= value < 1 << bits:
            raise AbiError(f"{parameter.get('name')}: expected {kind}, got {value!r}")
        return value.to_bytes(32, "big")
    if kind.startswith("int"):
        bits = int(kind[3:])
        if not isinstance(value, int) or not -(1 << bits - 1) <= value < 1 << bits - 1:
            raise AbiError(f"{parameter.get('name')}: expected {kind}, got {value!r}")
        return (value % (1 << 256)).to_bytes(32, "big")
    if kind == "bool":
        return int(bool(value)).to_bytes(32, "big")
    raw = bytes.fromhex(value.removeprefix("0x")) if isinstance(value, str) else bytes(value)
    width = 20 if kind == "address" else int(kind.removeprefix("bytes"))
    if len(raw) != width:
        raise AbiError(f"{parameter.get('name')}: expected {width} bytes, got {len(raw)}")
    return raw.rjust(32, b"\0") if kind == "address" else raw.ljust(32, b"\0")


def _words(parameter: Parameter, values: Sequence[int]) -> bytes:
    try:
        return b"".join([value.to_bytes(32, "big") for value in values])
    except (OverflowError, AttributeError):
        wrong = next(v for v in values if not isinstance(v, int) or not 0 <= v < 1 << 256)
        raise AbiError(f"{parameter.get('name')}: expected words 0..2^256-1, got {wrong!r}") from None


def _decode_one(parameter: Parameter, data: bytes, at: int) -> Any:
    kind: str = parameter["type"]
    if array := _array(parameter):
        element, length = array
        if length is None:
            length = int.from_bytes(data[at : at + 32], "big")
            at += 32
        if element["type"] == "uint256":
            return [int.from_bytes(data[i : i + 32], "big") for i in range(at, at + 32 * length, 32)]
        return decode([element] * length, data[at:])
    if kind == "tuple":
        components = parameter["components"]
        return dict(zip([c["name"] for c in components], decode(components, data[at:]), strict=True))
    if kind in ("bytes", "string"):
        length = int.from_bytes(data[at : at + 32], "big")
        raw = data[at + 32 : at + 32 + length]
        return raw.decode() if kind == "string" else raw
    word = data[at : at + 32]
    if len(word) != 32:
        raise AbiError(f"{parameter.get('name')}: expected 32 bytes at {at}, got {len(word)}")
    if kind.startswith("uint"):
        return int.from_bytes(word, "big")
    if kind.startswith("int"):
        return int.from_bytes(word, "big", signed=True)
    if kind == "bool":
        return word != b"\0" * 32
    if kind == "address":
        return to_checksum_address(word[12:])
    return word[: int(kind.removeprefix("bytes"))]
