"""The ABI coder against the one of eth_abi."""

from __future__ import annotations

import eth_abi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.abi import AbiError, decode, encode

WORD = st.integers(0, 2**256 - 1)
BATCH = {
    "name": "batches",
    "type": "tuple[]",
    "components": [
        {"name": "session", "type": "uint256"},
        {"name": "words", "type": "uint256[]"},
        {"name": "signature", "type": "bytes"},
    ],
}
MIXED = [
    {"name": "a", "type": "uint32"},
    {"name": "b", "type": "int256"},
    {"name": "c", "type": "bool"},
    {"name": "d", "type": "bytes32"},
    {"name": "e", "type": "uint256[8]"},
    {"name": "f", "type": "string"},
    {"name": "g", "type": "uint256[][]"},
    BATCH,
]
TYPES = ["uint32", "int256", "bool", "bytes32", "uint256[8]", "string", "uint256[][]", "(uint256,uint256[],bytes)[]"]


@given(
    st.tuples(
        st.integers(0, 2**32 - 1),
        st.integers(-(2**255), 2**255 - 1),
        st.booleans(),
        st.binary(min_size=32, max_size=32),
        st.lists(WORD, min_size=8, max_size=8),
        st.text(max_size=70),
        st.lists(st.lists(WORD, max_size=3), max_size=3),
        st.lists(st.tuples(WORD, st.lists(WORD, max_size=5), st.binary(max_size=70)), max_size=3),
    )
)
def test_same_bytes_as_eth_abi_and_back(values: tuple[object, ...]) -> None:
    data = encode(MIXED, values)
    assert data == eth_abi.encode(TYPES, values)
    *plain, batches = decode(MIXED, data)
    assert plain == list(values[:-1])
    assert [tuple(batch.values()) for batch in batches] == values[-1]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("uint32", 2**32),
        ("uint256", -1),
        ("uint256[]", [2**256]),
        ("uint256[2]", [1]),
        ("address", b"\0" * 19),
        ("bytes4", "0x00"),
    ],
)
def test_values_that_do_not_fit_are_refused_by_name(kind: str, value: object) -> None:
    with pytest.raises(AbiError, match="amount"):
        encode([{"name": "amount", "type": kind}], [value])


def test_a_wrong_number_of_arguments_is_refused() -> None:
    with pytest.raises(AbiError, match=r"expected 2 .*got 1"):
        encode([{"name": "a", "type": "bool"}, {"name": "b", "type": "bool"}], [True])
