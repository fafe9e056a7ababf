"""Contract ABI by eth_abi: arguments to bytes and back, with the names that a JSON ABI gives them.

Tuples decode to dicts by component name, arrays to lists, addresses to checksummed text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import eth_abi
from eth_abi.exceptions import ABITypeError, DecodingError, EncodingError
from eth_utils import function_abi_to_4byte_selector, to_checksum_address
from eth_utils.abi import collapse_if_tuple, event_abi_to_log_topic

Parameter: TypeAlias = Mapping[str, Any]
"""A parameter of a JSON ABI: `type`, `name`, and `components` for tuples."""

_ARRAY = re.compile(r"^(.*)\[\d*\]$")


class AbiError(ValueError):
    """A value that does not fit its ABI type; the message names the parameter, what was expected and what came."""


def selector(entry: Mapping[str, Any]) -> bytes:
    """First four bytes of the hash of a function's or error's signature."""
    return bytes(function_abi_to_4byte_selector({**entry, "type": "function"}))  # type: ignore[typeddict-item]


def topic(entry: Mapping[str, Any]) -> bytes:
    """Hash of an event's signature: its first topic."""
    return bytes(event_abi_to_log_topic(entry))  # type: ignore[arg-type]


def encode(parameters: Sequence[Parameter], values: Sequence[Any]) -> bytes:
    """`values` in the order of `parameters`; tuples as sequences or mappings by component name."""
    if len(parameters) != len(values):
        names = ", ".join(p.get("name", "") for p in parameters)
        raise AbiError(f"arguments: expected {len(parameters)} ({names}), got {len(values)}")
    plain = [_plain(p, v) for p, v in zip(parameters, values, strict=True)]
    try:
        return bytes(eth_abi.encode([_type(p) for p in parameters], plain))
    except (EncodingError, TypeError):
        for parameter, value in zip(parameters, plain, strict=True):
            _require(parameter, value)
        raise


def decode(parameters: Sequence[Parameter], data: bytes) -> list[Any]:
    """Values in the order of `parameters`; raises `AbiError` on bytes that do not hold them."""
    try:
        values = eth_abi.decode([_type(p) for p in parameters], data)
    except (DecodingError, ABITypeError) as error:
        raise AbiError(f"data: expected {', '.join(_type(p) for p in parameters)}, got {len(data)} bytes ({error})") from error
    return [_named(p, v) for p, v in zip(parameters, values, strict=True)]


def _type(parameter: Parameter) -> str:
    return str(collapse_if_tuple(parameter))  # type: ignore[arg-type]


def _require(parameter: Parameter, value: Any) -> None:
    try:
        eth_abi.encode([_type(parameter)], [value])
    except (EncodingError, TypeError) as error:
        shown = repr(value)
        raise AbiError(f"{parameter.get('name')}: expected {_type(parameter)}, got {shown[:80]}") from error


def _element(parameter: Parameter) -> Parameter | None:
    """The element of an array type; None for anything else."""
    array = _ARRAY.match(parameter["type"])
    return {**parameter, "type": array[1]} if array else None


def _plain(parameter: Parameter, value: Any) -> Any:
    """Mappings as tuples in the order of their components."""
    if not parameter["type"].startswith("tuple"):
        return value
    if element := _element(parameter):
        return [_plain(element, item) for item in value]
    components = parameter["components"]
    items = [value[c["name"]] for c in components] if isinstance(value, Mapping) else value
    return tuple(_plain(c, item) for c, item in zip(components, items, strict=True))


def _named(parameter: Parameter, value: Any) -> Any:
    """Tuples as dicts, arrays as lists, addresses with their checksum."""
    if element := _element(parameter):
        nested = element["type"].startswith(("tuple", "address")) or element["type"].endswith("]")
        return [_named(element, item) for item in value] if nested else list(value)
    if parameter["type"] == "tuple":
        return {c["name"]: _named(c, item) for c, item in zip(parameter["components"], value, strict=True)}
    return to_checksum_address(value) if parameter["type"] == "address" else value
